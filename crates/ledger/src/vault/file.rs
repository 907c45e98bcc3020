//! The file of the vault: slots, one after another, and the key they are sealed under in a file beside it.
//!
//! Both are named by a generation. Changing the key writes both anew under the next number; whatever is of another
//! one is overwritten and removed. What a crash leaves: two generations, of which the later one with a whole file of
//! slots counts, since that gets its name last. What a failure leaves: as long as that name was not given, the
//! generation before and nothing else; from then on nobody knows which one the next opening will find, so nothing more
//! is written.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, NONCE},
    slot::{self, Content, Found, Owner, SLOT},
};
use crate::{
    bytes::size,
    keys::random,
    storage::{Storage, StorageFile, replace},
};

/// The file grows by so many bytes at a time, all zeros, so that most commits do not change its length.
const GROWS_BY: u64 = 64 << 10;
const SLOTS: &str = "keys";
const KEY: &str = "kek";
/// What either is called before it is whole.
const UNFINISHED: [&str; 2] = ["keys.tmp", "kek.tmp"];
/// There as long as a key that was destroyed was sealed under the key of the vault that is still in use.
const DUE: &str = "rekey";

/// The vault cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("cannot {action} `{path}`: {source}")]
    Io { action: &'static str, path: String, source: io::Error },
    #[error("`{path}` {why}: restore it")]
    Damaged { path: String, why: String },
}

/// Where the files of one generation are.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    dir: PathBuf,
    generation: u32,
}

impl Names {
    /// Returns those of the latest generation in `dir`; `None` if there is none.
    fn latest(dir: &Path) -> io::Result<Option<Self>> {
        let of = |extension| generations(dir, extension);
        let latest = of(SLOTS)?.into_iter().max();
        Ok(latest.map(|generation| Self { dir: dir.to_owned(), generation }))
    }

    fn slots(&self) -> PathBuf {
        self.dir.join(format!("{}.{SLOTS}", self.generation))
    }

    fn key(&self) -> PathBuf {
        self.dir.join(format!("{}.{KEY}", self.generation))
    }

    fn next(&self) -> Self {
        Self { generation: self.generation.saturating_add(1), dir: self.dir.clone() }
    }
}

fn generations(dir: &Path, extension: &str) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(extension)?.strip_suffix('.'));
        found.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Followers take messages of 20 MiB at most.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// After so many bytes a write waits for followers: of one that is slower than the memory here, 64 MiB may wait.
const SYNCED_AT_ONCE: usize = 16 << 20;

/// The file, open for writing.
pub(crate) struct VaultFile {
    storage: Arc<dyn Storage>,
    names: Names,
    cipher: Cipher,
    file: Box<dyn StorageFile>,
    /// Slots that are durable.
    durable: u32,
    /// Bytes of the file.
    length: u64,
    /// A key was destroyed since the key of the vault was last changed.
    is_rekey_due: bool,
    /// Which generation the next opening will find is not known.
    is_broken: bool,
}

/// A generation that is durable but for its name.
struct Prepared {
    names: Names,
    cipher: Cipher,
    unnamed: PathBuf,
    length: u64,
}

impl std::fmt::Debug for VaultFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultFile").field("names", &self.names).field("durable", &self.durable).finish_non_exhaustive()
    }
}

impl VaultFile {
    /// Opens the vault in `dir`, of which `durable` slots belong to whole batches of the log, and gives each of those
    /// to `each` in order; what is behind them belonged to nobody. Makes it if it is missing and the log is `new`.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        new: bool,
        durable: u32,
        each: impl FnMut(Owner, Content),
    ) -> Result<Self, VaultError> {
        let names = Names::latest(dir).map_err(|source| io_error("list", dir, source))?;
        let names = match names {
            Some(names) => names,
            None if new => make(storage.as_ref(), dir).map_err(|source| io_error("make a vault in", dir, source))?,
            None => return Err(damaged(dir, "has no keys")),
        };
        let cipher = read_cipher(&names)?;
        let path = names.slots();
        let read = read_slots(&path, &cipher, 0, Some(durable), each)?;
        let failed = |source| io_error("write", &path, source);
        let file = storage.open(&path).map_err(failed)?;
        let is_rekey_due = dir.join(DUE).exists();
        let vault = Self { storage, names, cipher, file, durable, length: read.length, is_rekey_due, is_broken: false };
        if read.slots > durable {
            vault.clear().map_err(failed)?;
        }
        vault.remove_others().map_err(failed)?;
        Ok(vault)
    }

    /// Overwrites what nobody's entries use: slots that were on their way when the power went.
    fn clear(&self) -> io::Result<()> {
        let from = offset(self.durable);
        let zeros = vec![0; crate::bytes::length(self.length.saturating_sub(from))];
        write_durably(self.file.as_ref(), &zeros, from)
    }

    /// Appends slots and returns once they are durable.
    pub(crate) fn append(&mut self, keys: &[(Owner, Content)]) -> io::Result<()> {
        self.check()?;
        let mut bytes = encode_all(keys, &self.cipher)?;
        let from = offset(self.durable);
        let end = from + size(&bytes);
        if end > self.length {
            self.length = end.next_multiple_of(GROWS_BY);
            bytes.resize(crate::bytes::length(self.length - from), 0);
        }
        write_durably(self.file.as_ref(), &bytes, from)?;
        self.durable = self.durable.saturating_add(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Overwrites the key in `slot`, and returns once that is durable; from then on it is due to change the vault's key.
    pub(crate) fn destroy(&mut self, slot: u32, owner: Owner) -> io::Result<()> {
        self.check()?;
        if !self.is_rekey_due {
            self.storage.create(&self.names.dir.join(DUE))?;
            self.storage.sync_dir(&self.names.dir)?;
            self.is_rekey_due = true;
        }
        self.file.write_at(&encode(owner, &Content::Destroyed, &self.cipher)?, offset(slot))?;
        self.file.sync()
    }

    /// Returns how many slots are durable.
    ///
    /// # Errors
    ///
    /// If that is not known.
    pub(crate) fn durable(&self) -> io::Result<u32> {
        self.check().map(|()| self.durable)
    }

    /// Returns true if a key was destroyed since the key of the vault was last changed.
    pub(crate) fn is_rekey_due(&self) -> bool {
        self.is_rekey_due
    }

    /// Returns an error once it is not known which generation the next opening will find.
    pub(crate) fn check(&self) -> io::Result<()> {
        let broken = || io::Error::other("the key of the vault was not changed in good order: start anew");
        if self.is_broken { Err(broken()) } else { Ok(()) }
    }

    /// Writes everything anew under a key that was never used, and destroys the one before: what a disk may still
    /// hold of overwritten slots can then not be opened by anybody who has not kept that key.
    ///
    /// # Errors
    ///
    /// The operating system's answer. Everything is as it was, or as it should be but for files that are left; or else
    /// [`Self::check`] fails from now on.
    pub(crate) fn rekey(&mut self, slots: &[(Owner, Content)]) -> io::Result<()> {
        self.check()?;
        self.is_broken = true;
        let prepared = match self.prepare(slots) {
            Ok(prepared) => prepared,
            Err(error) => {
                // What is left of it could open keys that are destroyed later.
                self.remove_others()?;
                self.is_broken = false;
                return Err(error);
            }
        };
        self.enter(prepared)?;
        self.is_broken = false;
        self.remove_others()?;
        self.settle()
    }

    /// Makes the next generation durable; nothing of it counts before its slots have their name.
    fn prepare(&self, slots: &[(Owner, Content)]) -> io::Result<Prepared> {
        let names = self.names.next();
        let secret = random()?;
        let cipher = Cipher::new(&secret).ok_or_else(|| io::Error::other("the new key is none"))?;
        replace(self.storage.as_ref(), &names.key(), secret.as_slice())?;
        let mut bytes = encode_all(slots, &cipher)?;
        let length = size(&bytes).next_multiple_of(GROWS_BY).max(GROWS_BY);
        bytes.resize(crate::bytes::length(length), 0);
        let unnamed = names.slots().with_added_extension("tmp");
        let file = self.storage.create(&unnamed)?;
        write_durably(file.as_ref(), &bytes, 0)?;
        Ok(Prepared { names, cipher, unnamed, length })
    }

    /// Goes over to the next generation, all at once.
    fn enter(&mut self, prepared: Prepared) -> io::Result<()> {
        let Prepared { names, cipher, unnamed, length } = prepared;
        let path = names.slots();
        self.storage.rename(&unnamed, &path)?;
        self.storage.sync_dir(&names.dir)?;
        let file = self.storage.open(&path)?;
        (self.names, self.cipher, self.file, self.length) = (names, cipher, file, length);
        Ok(())
    }

    /// Notes, durably, that no change of the key is due any more.
    fn settle(&mut self) -> io::Result<()> {
        if self.is_rekey_due {
            self.storage.remove(&self.names.dir.join(DUE))?;
            self.storage.sync_dir(&self.names.dir)?;
        }
        self.is_rekey_due = false;
        Ok(())
    }

    /// Destroys the keys of every generation but this one, and what was never finished, then removes their files.
    fn remove_others(&self) -> io::Result<()> {
        let dir = &self.names.dir;
        let mut removed = false;
        for extension in [KEY, SLOTS].into_iter().chain(UNFINISHED) {
            for generation in generations(dir, extension)? {
                if generation != self.names.generation || UNFINISHED.contains(&extension) {
                    self.destroy_file(&dir.join(format!("{generation}.{extension}")))?;
                    removed = true;
                }
            }
        }
        if removed { self.storage.sync_dir(dir) } else { Ok(()) }
    }

    fn destroy_file(&self, path: &Path) -> io::Result<()> {
        let length = std::fs::metadata(path)?.len();
        let file = self.storage.open(path)?;
        write_durably(file.as_ref(), &vec![0; crate::bytes::length(length)], 0)?;
        self.storage.remove(path)
    }
}

/// Writes in pieces, each of which is one message to a follower, and returns once all of it is durable.
fn write_durably(file: &dyn StorageFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut at = offset;
    for part in bytes.chunks(SYNCED_AT_ONCE) {
        for piece in part.chunks(WRITTEN_AT_ONCE) {
            file.write_at(piece, at)?;
            at += size(piece);
        }
        file.sync()?;
    }
    Ok(())
}

fn encode_all(slots: &[(Owner, Content)], cipher: &Cipher) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(slots.len() * SLOT);
    for (owner, content) in slots {
        bytes.extend_from_slice(&encode(*owner, content, cipher)?);
    }
    Ok(bytes)
}

fn encode(owner: Owner, content: &Content, cipher: &Cipher) -> io::Result<[u8; SLOT]> {
    let random = random()?;
    let nonce: [u8; NONCE] = random.first_chunk().copied().unwrap_or_default();
    slot::encode(owner, content, cipher, nonce).ok_or_else(|| io::Error::other("a key cannot be sealed"))
}

/// What reading a file of slots found.
struct Extent {
    slots: u32,
    length: u64,
}

/// Reads the slots of a vault that another process may be writing.
pub(crate) struct SlotReader {
    names: Names,
    cipher: Cipher,
}

impl SlotReader {
    /// Opens the latest generation of the vault in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, VaultError> {
        let names = Names::latest(dir).map_err(|source| io_error("list", dir, source))?;
        let names = names.ok_or_else(|| damaged(dir, "has no keys"))?;
        Ok(Self { cipher: read_cipher(&names)?, names })
    }

    /// Returns true if no later generation took the place of this one.
    pub(crate) fn is_latest(&self) -> bool {
        matches!(Names::latest(&self.names.dir), Ok(Some(names)) if names == self.names)
    }

    /// Gives the slots from number `from` on to `each`, up to the first that is none.
    pub(crate) fn read(&self, from: u32, each: impl FnMut(Owner, Content)) -> Result<(), VaultError> {
        read_slots(&self.names.slots(), &self.cipher, from, None, each).map(drop)
    }
}

/// Reads slots from number `from` on: up to the first that is none, or as many as must be there, which are `durable`.
fn read_slots(
    path: &Path,
    cipher: &Cipher,
    from: u32,
    durable: Option<u32>,
    mut each: impl FnMut(Owner, Content),
) -> Result<Extent, VaultError> {
    let failed = |source| io_error("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut file = BufReader::with_capacity(1 << 16, file);
    file.seek(SeekFrom::Start(offset(from))).map_err(failed)?;
    let mut bytes = [0; SLOT];
    let mut slots = 0;
    for number in from..u32::try_from(length / SLOT as u64).unwrap_or(u32::MAX) {
        file.read_exact(&mut bytes).map_err(failed)?;
        let needed = durable.is_none_or(|durable| number < durable);
        match slot::decode(&bytes, cipher) {
            Found::Slot(owner, content) if needed => each(owner, content),
            Found::Blank | Found::Bad if durable.is_none() => break,
            Found::Blank | Found::Bad if needed => return Err(damaged(path, &format!("has no key in slot {number}"))),
            Found::Blank => continue,
            Found::Slot(..) | Found::Bad => {}
        }
        slots = number + 1;
    }
    match durable.filter(|durable| slots < *durable) {
        Some(durable) => Err(damaged(path, &format!("has {slots} keys, and the log says {durable}"))),
        None => Ok(Extent { slots, length }),
    }
}

fn read_cipher(names: &Names) -> Result<Cipher, VaultError> {
    let path = names.key();
    let secret = std::fs::read(&path).map(Zeroizing::new).map_err(|source| io_error("read", &path, source))?;
    let secret = secret.first_chunk().filter(|_| secret.len() == 32);
    secret.and_then(Cipher::new).ok_or_else(|| damaged(&path, "is not 32 bytes long"))
}

/// Makes an empty vault, durably.
fn make(storage: &dyn Storage, dir: &Path) -> io::Result<Names> {
    let names = Names { dir: dir.to_owned(), generation: 1 };
    replace(storage, &names.key(), random()?.as_slice())?;
    replace(storage, &names.slots(), &vec![0; crate::bytes::length(GROWS_BY)])?;
    Ok(names)
}

fn offset(slot: u32) -> u64 {
    u64::from(slot) * SLOT as u64
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { action, path: path.display().to_string(), source }
}

fn damaged(path: &Path, why: &str) -> VaultError {
    VaultError::Damaged { path: path.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests;
