//! Power cuts: what the disk may have when writes that were not synced are lost, torn or reordered, and what the
//! next opening makes of it.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use ledger::{
    Chain, Draft, Ledger, OpenError, Reader,
    storage::{Disk, Storage, StorageFile},
};
use proof::entry::Class;

use crate::{
    fsck::fsck_after_power_cut,
    world::{World, note, put, segments, submit, until},
};

/// What a disk can tear: a write may leave any of its sectors old or new.
const SECTOR: usize = 512;

/// A small generator of the same numbers for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }
}

/// A file as the disk has it, and what was written since.
#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Naming {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

impl Naming {
    fn dir(&self) -> &Path {
        let (Self::Link(path, _) | Self::Rename(_, path) | Self::Unlink(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

/// What the disk is sure to have and what it may have.
#[derive(Clone, Debug, Default)]
struct Model {
    files: Vec<Content>,
    /// Names as all processes see them.
    names: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<Naming>,
    /// Operations until the power goes.
    left: usize,
    used: usize,
    /// True once an operation met the power off.
    off: bool,
}

impl Model {
    /// Counts an operation; an error once the power is off.
    fn tick(&mut self) -> io::Result<()> {
        self.used += 1;
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.off = true;
                Err(io::Error::other("the power is off"))
            }
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    fn sync_dir(&mut self, dir: &Path) {
        let durable = &mut self.durable;
        self.pending.retain(|naming| {
            let synced = naming.dir() == dir;
            if synced {
                naming.apply(durable);
            }
            !synced
        });
    }

    /// Writes, under `to`, one of the states that the disk may have after the cut.
    fn materialize(mut self, from: &Path, to: &Path, random: &mut Random) {
        // A journal keeps the order of names, so some first part of what is pending is there.
        let kept = random.below(self.pending.len() + 1);
        for naming in self.pending.drain(..).take(kept) {
            naming.apply(&mut self.durable);
        }
        for (path, file) in &self.durable {
            let path = to.join(path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.files[*file].after_cut(random)).unwrap();
        }
    }
}

impl Content {
    /// Returns the durable bytes with any of the pending sectors on top of them, in any combination.
    fn after_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let likely = random.below(11);
        for (offset, written) in &self.pending {
            for (at, sector) in (*offset..).step_by(SECTOR).zip(written.chunks(SECTOR)) {
                if random.below(10) < likely {
                    overlay(&mut bytes, at, sector);
                }
            }
        }
        bytes
    }
}

fn overlay(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    if bytes.len() < offset + written.len() {
        bytes.resize(offset + written.len(), 0);
    }
    bytes[offset..offset + written.len()].copy_from_slice(written);
}

/// A disk whose power can go. Everything is also done really, without syncs, so that it can be read meanwhile.
#[derive(Clone, Debug)]
struct Simulated(Arc<Mutex<Model>>);

impl Storage for Simulated {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().tick()?;
        Disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        let file = Disk.create(path)?;
        let id = model.files.len();
        model.files.push(Content::default());
        model.name(Naming::Link(path.to_owned(), id));
        Ok(self.file(id, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        let id = model.names[path];
        Ok(self.file(id, Disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        model.name(Naming::Rename(from.to_owned(), to.to_owned()));
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        model.name(Naming::Unlink(path.to_owned()));
        Disk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        let inside: Vec<_> = model.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        inside.into_iter().for_each(|name| model.name(Naming::Unlink(name)));
        Disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut model = self.0.lock().unwrap();
        model.tick()?;
        model.sync_dir(path);
        Ok(())
    }
}

impl Simulated {
    fn file(&self, id: usize, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        let model = Arc::clone(&self.0);
        Box::new(SimulatedFile { model, id, file })
    }
}

struct SimulatedFile {
    model: Arc<Mutex<Model>>,
    id: usize,
    file: Box<dyn StorageFile>,
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedFile({})", self.id)
    }
}

impl StorageFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut model = self.model.lock().unwrap();
        // The write that the power goes off in may still reach the disk in part.
        let first = !model.off;
        let on = model.tick();
        if on.is_ok() || first {
            let at = usize::try_from(offset).unwrap();
            model.files[self.id].pending.push((at, bytes.to_vec()));
        }
        on?;
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let mut model = self.model.lock().unwrap();
        model.tick()?;
        let content = &mut model.files[self.id];
        for (offset, written) in std::mem::take(&mut content.pending) {
            overlay(&mut content.durable, offset, &written);
        }
        Ok(())
    }
}

/// Uses a log until the power goes after some operations, and returns what was acknowledged by then.
fn run(world: &World, model: &Arc<Mutex<Model>>, rounds: usize) -> Vec<(u64, String)> {
    let storage = Arc::new(Simulated(Arc::clone(model)));
    let opened = Ledger::open_on(storage, world.dir(), world.options.clone(), world.clock());
    let mut kept = Vec::new();
    let Ok((ledger, _)) = opened else {
        return kept;
    };
    for round in 0..rounds {
        let texts: Vec<_> =
            (0..round % 4 + 1).map(|n| format!("{round}.{n} {}", "p".repeat(round * 331 % 3_000))).collect();
        if round % 8 == 7 {
            // Where the power goes meanwhile, the log is fenced or goes on as before.
            let _changed = ledger.rekey();
        }
        let mut pending: Vec<_> = texts.iter().map(|text| ledger.append(about(round, text))).collect();
        if round % 9 == 5 {
            pending.push(ledger.heads());
        }
        for (pending, text) in pending.into_iter().zip(texts) {
            let Ok(pending) = pending else { continue };
            // Without power the next segment may never come, and then neither would an answer.
            until("the entry is durable or the power is off", || {
                ledger.health().durable > pending.index() || model.lock().unwrap().off
            });
            if ledger.health().durable > pending.index() {
                kept.push((pending.wait().unwrap().index(), text));
            }
        }
    }
    kept
}

/// A note about one of several people, so that some commits need a key that was not there before.
fn about(round: usize, text: &str) -> Draft {
    let mut draft = note(text);
    let subject = [u8::try_from(round / 4 + 1).unwrap(); 16];
    draft.entry.subject = Some(subject);
    draft.on([Chain { class: Class::Subject, id: subject }].into())
}

fn small() -> World {
    let mut world = World::new();
    world.options.segment_bytes = 64 << 10;
    world.options.checkpoint_every = Duration::from_millis(2);
    world
}

/// Cuts the power after `operations` and checks one of the states that the disk may have then.
fn cut(operations: usize, seed: u64) {
    let world = small();
    let model = Arc::new(Mutex::new(Model { left: operations, ..Model::default() }));
    let kept = run(&world, &model, 24);
    let after = small();
    let mut random = Random(seed | 1);
    let frozen = model.lock().unwrap().clone();
    frozen.materialize(world.dir(), after.dir(), &mut random);
    let when = format!("after {operations} operations, seed {seed}");
    fsck_after_power_cut(after.dir()).unwrap_or_else(|why| panic!("{when}: {why}"));
    let power_on = Arc::new(Mutex::new(whole(after.dir())));
    let storage = Arc::new(Simulated(power_on));
    let opened = Ledger::open_on(storage, after.dir(), after.options.clone(), after.clock());
    let (ledger, recovery) = opened.unwrap_or_else(|error| panic!("{when}: {error}"));
    assert!(recovery.unclean || recovery.entries == 0, "{when}");
    for (index, text) in &kept {
        let stored = ledger.stored(*index);
        let stored = stored.unwrap_or_else(|error| panic!("{when}: entry {index}: {error}"));
        assert_eq!(stored.main().unwrap(), text.as_bytes(), "{when}");
        assert!(*index < recovery.entries, "{when}");
    }
    ledger.stop().unwrap();
    drop(ledger);
    let reader = Reader::open(after.dir()).unwrap();
    let entries: Vec<_> = reader.entries(0).unwrap().map(|e| e.unwrap().index).collect();
    assert_eq!(entries.len() as u64, reader.checkpoint_size().unwrap(), "{when}");
    for index in [0, entries.len() as u64 / 2, entries.len() as u64 - 1] {
        reader.receipt(index).unwrap_or_else(|error| panic!("{when}: {error}"));
    }
}

/// The model of a disk that has what is in `dir`.
fn whole(dir: &Path) -> Model {
    let mut model = Model { left: usize::MAX, ..Model::default() };
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let durable = std::fs::read(&path).unwrap();
            model.names.insert(path.clone(), model.files.len());
            model.durable.insert(path, model.files.len());
            let pending = Vec::new();
            model.files.push(Content { durable, pending });
        }
    }
    model
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes_and_whatever_sectors_it_takes() {
    // EXEAT_POWER_CUTS asks for more than a test run has time for.
    let cuts = std::env::var("EXEAT_POWER_CUTS").ok();
    let cuts: usize = cuts.map_or(200, |cuts| cuts.parse().unwrap());
    let world = small();
    let model = Arc::new(Mutex::new(whole(world.dir())));
    assert_eq!(run(&world, &model, 24).len(), 60);
    let operations = model.lock().unwrap().used;
    // Most of the time of each cut is spent waiting, so several are made at once.
    std::thread::scope(|scope| {
        for worker in 0..AT_ONCE {
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9_7f4a_7c15 + worker as u64);
                for round in (worker..cuts).step_by(AT_ONCE) {
                    let seed = random.0;
                    cut(random.below(operations), seed ^ round as u64);
                }
            });
        }
    });
}

/// How many cuts of power are made at once.
const AT_ONCE: usize = 8;

/// A log whose last process was killed; its bytes, the ends of its batches with the entries up to there.
struct Killed {
    world: World,
    segment: PathBuf,
    bytes: Vec<u8>,
    ends: Vec<(usize, u64)>,
}

/// Writes some batches of several sizes, without a checkpoint after the first entries.
fn killed() -> Killed {
    let mut world = small();
    world.options.checkpoint_every = Duration::from_secs(3_600);
    let ledger = world.open();
    for length in [10, 5_000, 1, 9_000, 300] {
        put(&ledger, &"k".repeat(length));
    }
    let segment = world.segment();
    let bytes = std::fs::read(&segment).unwrap();
    // The handle is forgotten, so no last checkpoint is signed; the lock goes with a copy of the directory.
    let copy = small();
    copy_dir(world.dir(), copy.dir());
    let segment = copy.dir().join(segment.strip_prefix(world.dir()).unwrap());
    drop(ledger);
    let _removed = std::fs::remove_file(copy.dir().join("log/checkpoint"));
    let ends = ends(&bytes);
    Killed { world: copy, segment, bytes, ends }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Reads, from the format as documented, where each batch's frames end, and the entries up to there.
fn ends(bytes: &[u8]) -> Vec<(usize, u64)> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut ends = Vec::new();
    let mut at = 4_096;
    while bytes[at..].starts_with(b"EXEATWAL") {
        let count = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap());
        let frames = usize::try_from(number(at + 48)).unwrap();
        ends.push((at + 128 + frames, number(at + 40) + u64::from(count)));
        at = (at + 128 + frames).next_multiple_of(4_096);
    }
    ends
}

fn count(dir: &Path) -> Result<u64, String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let entries = reader.entries(0).map_err(|error| error.to_string())?;
    let mut count = 0;
    for entry in entries {
        entry.map_err(|error| error.to_string())?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_log_cut_off_at_any_byte_has_the_batches_that_are_whole_and_nothing_else() {
    let killed = killed();
    let (last, _) = *killed.ends.last().unwrap();
    assert!(killed.ends.len() >= 6, "{:?}", killed.ends);
    for length in (4_096..=last + 1).rev() {
        let file = std::fs::File::options().write(true).open(&killed.segment).unwrap();
        file.set_len(length as u64).unwrap();
        let whole = killed.ends.iter().rfind(|(end, _)| *end <= length);
        let expected = whole.map_or(0, |(_, entries)| *entries);
        assert_eq!(count(killed.world.dir()), Ok(expected), "cut at {length}");
    }
}

#[test]
fn a_log_cut_off_at_any_sector_opens_and_goes_on() {
    let killed = killed();
    let (last, _) = *killed.ends.last().unwrap();
    let vault = killed.world.dir().join("vault/1.keys");
    let keys = std::fs::read(&vault).unwrap();
    for length in (4_096..last + SECTOR).step_by(SECTOR) {
        std::fs::write(&killed.segment, &killed.bytes[..length]).unwrap();
        std::fs::write(&vault, &keys).unwrap();
        let whole = killed.ends.iter().rfind(|(end, _)| *end <= length);
        let expected = whole.map_or(0, |(_, entries)| *entries);
        let (ledger, recovery) = killed.world.try_open().unwrap();
        assert_eq!(recovery.entries, expected, "cut at {length}");
        put(&ledger, "on");
        drop(ledger);
        assert!(count(killed.world.dir()).unwrap() > expected + 1);
        std::fs::remove_file(killed.world.dir().join("log/checkpoint")).unwrap();
        std::fs::remove_file(killed.world.dir().join("wal/tiled")).unwrap();
    }
}

#[test]
fn a_bit_flipped_in_any_batch_but_the_last_is_damage_and_in_the_last_a_torn_tail() {
    let killed = killed();
    let (last, entries) = *killed.ends.last().unwrap();
    let (before, kept) = killed.ends[killed.ends.len() - 2];
    let begin = before.next_multiple_of(4_096);
    for at in (0..last).step_by(37) {
        let mut bytes = killed.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&killed.segment, bytes).unwrap();
        let header_end = 4_096;
        let opened = count_or_damage(&killed.world);
        match opened {
            Ok(found) if at >= begin => assert_eq!(found, kept, "flip at {at}"),
            Ok(found) => {
                // Nothing is in the blank end of the segment's first block, so a flip there changes nothing.
                assert!(at < header_end && found == entries, "flip at {at} found {found}");
            }
            Err(why) => assert!(at < begin, "flip at {at}: {why}"),
        }
    }
}

/// What an opening would find, on a copy so that it changes nothing.
fn count_or_damage(world: &World) -> Result<u64, String> {
    let copy = small();
    copy_dir(world.dir(), copy.dir());
    match copy.try_open() {
        Ok((_, recovery)) => Ok(recovery.entries),
        Err(OpenError::Damaged { why, .. }) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_log_that_lost_what_was_signed_is_damaged() {
    let world = small();
    let ledger = world.open();
    let last = put(&ledger, "signed");
    until("it is signed", || ledger.health().checkpoint > last);
    drop(ledger);
    let segment = world.segment();
    let bytes = std::fs::read(&segment).unwrap();
    let (end, _) = ends(&bytes)[ends(&bytes).len() - 1];
    let file = std::fs::File::options().write(true).open(&segment).unwrap();
    file.set_len(end as u64 - 1).unwrap();
    let damaged = world.try_open().unwrap_err().to_string();
    assert!(damaged.contains("a signed checkpoint says"), "{damaged}");
}

#[test]
fn a_log_rewritten_behind_its_checkpoint_is_damaged() {
    let (world, other) = (small(), small());
    for (world, text) in [(&world, "what happened"), (&other, "what did not")] {
        let ledger = world.open();
        put(&ledger, text);
        ledger.stop().unwrap();
    }
    std::fs::copy(other.segment(), world.segment()).unwrap();
    let damaged = world.try_open().unwrap_err().to_string();
    assert!(damaged.contains("do not have the root"), "{damaged}");
}

#[test]
fn a_log_without_its_segments_or_its_key_is_damaged() {
    let world = small();
    world.open().stop().unwrap();
    let copy = small();
    copy_dir(world.dir(), copy.dir());
    std::fs::remove_file(copy.dir().join("key")).unwrap();
    let damaged = copy.try_open().unwrap_err().to_string();
    assert!(damaged.contains("is missing"), "{damaged}");
    for segment in segments(world.dir()) {
        std::fs::remove_file(segment).unwrap();
    }
    let damaged = world.try_open().unwrap_err().to_string();
    assert!(damaged.contains("it has 0 entries"), "{damaged}");
}

#[test]
fn tiles_that_were_lost_or_torn_are_there_again_after_an_opening() {
    let world = small();
    let ledger = world.open();
    for round in 0..700 {
        let _pending = submit(&ledger, &round.to_string());
    }
    ledger.stop().unwrap();
    std::fs::remove_dir_all(world.dir().join("log/tile/0")).unwrap();
    std::fs::write(world.dir().join("log/tile/entries/001"), b"torn").unwrap();
    let ledger = world.open();
    for index in [0, 300, 700] {
        let receipt = ledger.receipt(index).unwrap();
        assert_eq!(receipt.leaf, ledger.stored(index).unwrap().leaf);
    }
}
