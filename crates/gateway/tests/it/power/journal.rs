//! A disk whose power can go: what is done to it is kept in order, and any of the states it may then have is made of that.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use ledger::storage::{Disk, Storage, StorageFile};

/// What a disk can tear: a write may leave any of its sectors old or new.
const SECTOR: usize = 512;

/// A small generator of the same numbers for the same seed (xorshift64, Marsaglia 2003).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }
}

/// One thing that was done to the disk. Files are numbered in the order in which they were made.
#[derive(Clone, Debug)]
enum Done {
    Named(Naming),
    Written { file: usize, at: usize, bytes: Vec<u8> },
    Synced(usize),
    SyncedDir(PathBuf),
}

#[derive(Clone, Debug)]
enum Naming {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl Naming {
    fn dir(&self) -> Option<&Path> {
        let (Self::Made(path, _) | Self::Renamed(_, path) | Self::Removed(path)) = self;
        path.parent()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Removed(path) => drop(names.remove(path)),
            Self::Renamed(from, to) => {
                let file = names.remove(from);
                names.extend(file.map(|file| (to.clone(), file)));
            }
        }
    }
}

#[derive(Debug, Default)]
struct Journal {
    done: Vec<Done>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
    /// Steps until the power goes, if it does.
    left: Option<usize>,
    off: bool,
}

/// The disk. Everything is also done really, without syncs, so that it can be read meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Power(Arc<Mutex<Journal>>);

impl Power {
    /// Lets the power go after so many more steps.
    pub(super) fn goes_after(&self, steps: usize) {
        self.journal().left = Some(steps);
    }

    pub(super) fn is_off(&self) -> bool {
        self.journal().off
    }

    /// Returns how many steps there were.
    pub(super) fn steps(&self) -> usize {
        self.journal().done.len()
    }

    /// Writes, under `to`, one of the states that what was under `from` may have after the cut.
    pub(super) fn leave(&self, from: &Path, to: &Path, random: &mut Random) {
        let journal = self.journal();
        let mut contents = vec![Content::default(); journal.files];
        let (mut durable, mut pending) = (BTreeMap::new(), Vec::new());
        for done in &journal.done {
            match done {
                Done::Written { file, at, bytes } => contents[*file].pending.push((*at, bytes)),
                Done::Synced(file) => contents[*file].sync(),
                Done::Named(naming) => pending.push(naming),
                Done::SyncedDir(dir) => {
                    for naming in pending.extract_if(.., |naming| naming.dir() == Some(dir)) {
                        naming.apply(&mut durable);
                    }
                }
            }
        }
        // A journal of names keeps their order, so some first part of what is pending is there.
        let kept = random.below(pending.len() + 1);
        pending.iter().take(kept).for_each(|naming| naming.apply(&mut durable));
        for (path, file) in durable {
            let path = to.join(path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents[file].after_cut(random)).unwrap();
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap()
    }

    /// Counts a step; an error once the power is off.
    fn step(&self) -> io::Result<MutexGuard<'_, Journal>> {
        let mut journal = self.journal();
        match &mut journal.left {
            Some(0) => {
                journal.off = true;
                return Err(io::Error::other("the power is off"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(journal)
    }

    fn name(&self, naming: Naming) -> io::Result<()> {
        let mut journal = self.step()?;
        naming.apply(&mut journal.names);
        journal.done.push(Done::Named(naming));
        Ok(())
    }

    fn file(&self, number: usize, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(PoweredFile { power: self.clone(), number, file })
    }
}

/// A file as the disk has it, and what was written since.
#[derive(Clone, Debug, Default)]
struct Content<'a> {
    durable: Vec<u8>,
    pending: Vec<(usize, &'a Vec<u8>)>,
}

impl Content<'_> {
    fn sync(&mut self) {
        for (at, bytes) in std::mem::take(&mut self.pending) {
            overlay(&mut self.durable, at, bytes);
        }
    }

    /// Returns the durable bytes with any of the pending sectors on top of them, in any combination.
    fn after_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let likely = random.below(11);
        for (at, written) in &self.pending {
            for (at, sector) in (*at..).step_by(SECTOR).zip(written.chunks(SECTOR)) {
                if random.below(10) < likely {
                    overlay(&mut bytes, at, sector);
                }
            }
        }
        bytes
    }
}

fn overlay(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    if bytes.len() < at + written.len() {
        bytes.resize(at + written.len(), 0);
    }
    bytes[at..at + written.len()].copy_from_slice(written);
}

#[derive(Debug)]
struct PoweredFile {
    power: Power,
    number: usize,
    file: Box<dyn StorageFile>,
}

impl StorageFile for PoweredFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let was_off = self.power.is_off();
        let on = self.power.step().map(drop);
        // The write that the power goes off in may still reach the disk in part.
        if on.is_ok() || !was_off {
            let at = usize::try_from(offset).unwrap();
            let written = Done::Written { file: self.number, at, bytes: bytes.to_vec() };
            self.power.journal().done.push(written);
        }
        on?;
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.power.step()?.done.push(Done::Synced(self.number));
        Ok(())
    }
}

impl Storage for Power {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        drop(self.step()?);
        Disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let number = {
            let mut journal = self.step()?;
            journal.files += 1;
            let naming = Naming::Made(path.to_owned(), journal.files - 1);
            naming.apply(&mut journal.names);
            journal.done.push(Done::Named(naming));
            journal.files - 1
        };
        Ok(self.file(number, Disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let number = self.step()?.names[path];
        Ok(self.file(number, Disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name(Naming::Renamed(from.to_owned(), to.to_owned()))?;
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.name(Naming::Removed(path.to_owned()))?;
        Disk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.step()?;
        let inside: Vec<_> = journal.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for naming in inside.into_iter().map(Naming::Removed) {
            naming.apply(&mut journal.names);
            journal.done.push(Done::Named(naming));
        }
        Disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?.done.push(Done::SyncedDir(path.to_owned()));
        Ok(())
    }
}
