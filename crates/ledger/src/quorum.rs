//! Copies of the log on other machines: nobody is told that an entry is durable before enough of them have it.
//!
//! [`Quorum`] is a [`Storage`] that hands every change of the log's segments and sealed keys on to followers, in order,
//! and whose sync returns only when, beside this machine, so many followers have synced that together they are more than
//! half. [`Follower`] keeps the same files, byte for byte, in a directory of its own. What is derived, and the secrets
//! (the signer key, the key of the pseudonyms, the key of the vault), stay here.
//!
//! Only one leader writes: a follower remembers the latest leader it took, and the opening (epoch) of the log that was;
//! it refuses an earlier opening, the same by another leader, and a leader whose log is behind its own. So whoever opens
//! the log with more than half of the machines has every entry that anybody was told of, and whoever had it open before
//! gets no further sync.

mod feed;
mod files;
mod follower;
mod message;

use std::{
    fmt, io,
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use proof::tree::{Frontier, Hash};

pub use self::follower::Follower;
use self::{
    feed::{Feeds, Leader, feed},
    follower::Known,
    message::{Message, Name, Place, Prefix},
};
use crate::{
    bytes::Fields,
    keys::random,
    layout::Layout,
    sequencer::read_number,
    storage::{Disk, Storage, StorageFile},
    wal::{Step, Wal, Walker},
};

/// A connection that nobody else can read or write: mutual TLS, or something as good.
///
/// Reads and writes must give up with an error some time after the other side went silent.
pub trait Channel: Read + Write + Send {}

impl<T: Read + Write + Send> Channel for T {}

/// Reaches one follower.
pub trait Connect: Send + Sync + fmt::Debug {
    /// Connects anew.
    ///
    /// # Errors
    ///
    /// If the follower does not answer, or is not who it should be; tried again after a while.
    fn connect(&self) -> io::Result<Box<dyn Channel>>;
}

/// The local disk and some followers, of which more than half must have what is synced.
pub struct Quorum {
    dir: PathBuf,
    origin: String,
    followers: Vec<Arc<dyn Connect>>,
    patience: Duration,
    /// From when the log is this process's alone.
    feeds: OnceLock<Arc<Feeds>>,
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quorum").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Quorum {
    /// Makes the storage of the log in `dir`, which the caller opens next, and only once: `followers` are brought up to it
    /// as soon as no other process can have it open. A sync that not enough of them answer within `patience` fails, and
    /// so fences the log.
    #[must_use]
    pub fn new(dir: &Path, origin: &str, followers: Vec<Arc<dyn Connect>>, patience: Duration) -> Self {
        Self { dir: dir.to_owned(), origin: origin.to_owned(), followers, patience, feeds: OnceLock::new() }
    }

    /// Begins to bring the followers up to the log.
    fn begin(&self) -> io::Result<Feeds> {
        let layout = Layout::new(&self.dir);
        let epoch = read_number(&layout.epoch()).unwrap_or_default();
        let epoch = epoch.max(Known::read(&layout)?.epoch).saturating_add(1);
        let leader = Leader { origin: self.origin.clone(), id: leader_id(&layout)?, epoch };
        Ok(Feeds::new(layout, leader, self.followers.len(), self.patience))
    }

    fn feeds(&self) -> io::Result<&Arc<Feeds>> {
        self.feeds.get().ok_or_else(|| io::Error::other("the log is written before it is this process's alone"))
    }

    fn name(&self, path: &Path) -> Option<Name> {
        Name::of(&self.dir, path)
    }

    fn file(&self, path: &Path, file: Box<dyn StorageFile>) -> io::Result<Box<dyn StorageFile>> {
        Ok(match self.name(path) {
            Some(name) => Box::new(QuorumFile { name, file, feeds: Arc::clone(self.feeds()?) }),
            None => file,
        })
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        // A thread may still wait for an answer, which has a limit of time of its own.
        if let Some(feeds) = self.feeds.get() {
            feeds.close();
        }
    }
}

impl Storage for Quorum {
    fn held(&self) -> io::Result<()> {
        let feeds = Arc::new(self.begin()?);
        for (number, follower) in self.followers.iter().enumerate() {
            let (feeds, follower) = (Arc::clone(&feeds), Arc::clone(follower));
            let thread = std::thread::Builder::new().name(format!("ledger-follower-{number}"));
            thread.spawn(move || feed(&feeds, number, &follower))?;
        }
        self.feeds.set(feeds).map_err(|_| io::Error::other("the storage is that of a log that is open already"))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = match self.name(path) {
            Some(name) => self.feeds()?.create(name, || Disk.create(path))?,
            None => Disk.create(path)?,
        };
        self.file(path, file)
    }

    fn create_to_fill(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        // Followers get the length of what is filled when it is named.
        match self.name(path) {
            Some(name) => self.feeds()?.create(name, || Disk.create_to_fill(path)),
            None => Disk.create_to_fill(path),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.file(path, Disk.open(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let Some((old, new)) = self.name(from).zip(self.name(to)) else {
            return Disk.rename(from, to);
        };
        let length = std::fs::metadata(from)?.len();
        self.feeds()?.rename(old, new, length, || Disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.name(path) {
            Some(name) => self.feeds()?.change(name, || Disk.remove(path), Message::Remove),
            None => Disk.remove(path),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let layout = Layout::new(&self.dir);
        if path != layout.wal() && path != layout.vault() {
            return Disk.sync_dir(path);
        }
        // Followers make names durable whenever they say that something is.
        self.feeds()?.sync(None, || Disk.sync_dir(path))
    }
}

/// A file that followers keep too.
struct QuorumFile {
    /// The name it was opened under.
    name: Name,
    file: Box<dyn StorageFile>,
    feeds: Arc<Feeds>,
}

impl fmt::Debug for QuorumFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuorumFile").field(&self.name).finish()
    }
}

impl StorageFile for QuorumFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let said = |name| Message::Write(name, offset, bytes.to_vec());
        self.feeds.change(self.name.clone(), || self.file.write_at(bytes, offset), said)
    }

    fn sync(&self) -> io::Result<()> {
        self.feeds.sync(Some(self.name.clone()), || self.file.sync())
    }
}

/// Returns a message as it is written, if the bytes begin with one.
pub(crate) fn rewritten(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let message = Message::receive(&mut bytes).ok()?;
    let mut again = Vec::new();
    message.send(&mut again).ok()?;
    Some(again)
}

/// Returns who this directory is as a leader; makes it up, durably, when it is first asked for. A copy of the directory,
/// such as one from a backup, is somebody else: the file that says so knows its own number on the disk.
fn leader_id(layout: &Layout) -> io::Result<[u8; 16]> {
    let path = layout.leader();
    if let Some(id) = read_leader_id(&path)? {
        return Ok(id);
    }
    Disk.create_dir(&layout.wal())?;
    let file = Disk.create(&path)?;
    let random = random()?;
    let id: [u8; 16] = random.first_chunk().copied().unwrap_or_default();
    let inode = std::fs::metadata(&path)?.ino();
    file.write_at(&[id.as_slice(), &inode.to_le_bytes()].concat(), 0)?;
    file.sync()?;
    Disk.sync_dir(&layout.wal())?;
    Ok(id)
}

/// Returns `None` if there is no whole file that was made here.
fn read_leader_id(path: &Path) -> io::Result<Option<[u8; 16]>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let inode = std::fs::metadata(path)?.ino();
    let mut fields = Fields(&bytes);
    let told = fields.array().zip(fields.u64()).filter(|_| fields.0.is_empty());
    Ok(told.filter(|(_, made_as)| *made_as == inode).map(|(id, _)| id))
}

/// How far the log in a directory is.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// Up to the last whole batch of its last segment.
    place: Place,
    /// Up to the batch before that; all of it, if the segment has no batch yet.
    prefix: Prefix,
}

/// Returns how far the log is.
fn standing(layout: &Layout) -> io::Result<Standing> {
    let (wal, Some(mut walker)) = walker(layout, u64::MAX)? else {
        return Ok(Standing { place: Place::default(), prefix: Prefix::of(&Frontier::new()) });
    };
    let mut prefix = Prefix::of(&walker.position.tree);
    loop {
        let before = Prefix::of(&walker.position.tree);
        let Step::Batch(_) = walker.step(&wal).map_err(io::Error::other)? else { break };
        prefix = before;
    }
    let place = Place { epoch: walker.position.epoch, entries: walker.position.tree.size() };
    Ok(Standing { place, prefix })
}

/// Returns the root of the first `entries`, if a batch ends there.
fn root_at(layout: &Layout, entries: u64) -> io::Result<Option<Hash>> {
    let (wal, Some(mut walker)) = walker(layout, entries)? else {
        return Ok((entries == 0).then(|| Frontier::new().root()));
    };
    while walker.position.tree.size() < entries {
        let Step::Batch(_) = walker.step(&wal).map_err(io::Error::other)? else { return Ok(None) };
    }
    Ok((walker.position.tree.size() == entries).then(|| walker.position.tree.root()))
}

/// Begins to read the log at the segment that has, or would have, the entry at `index`.
fn walker(layout: &Layout, index: u64) -> io::Result<(Wal, Option<Walker>)> {
    if !layout.wal().is_dir() {
        return Ok((Wal::default(), None));
    }
    let wal = Wal::list(&layout.wal()).map_err(io::Error::other)?;
    let walker = Walker::begin(&wal, index).map_err(io::Error::other)?;
    Ok((wal, walker))
}
