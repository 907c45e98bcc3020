//! The keys that private parts are sealed and committed to under: one for each subject and quarter of a year.
//!
//! Who destroys the key of a subject and an epoch destroys what all entries of the subject in that epoch say in
//! private; the entries, their proofs, links and sums stay. A key is made when the first entry needs it and is durable
//! before that entry is written, by the same commit.

mod cipher;
mod file;
mod slot;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use proof::commit::SaltKey;

use self::{
    cipher::Cipher,
    file::{SlotReader, VaultFile},
    slot::{Content, Found},
};
pub(crate) use self::{file::VaultError, slot::Owner};
use crate::{keys::random, queue::lock, storage::Storage};

/// The subject whose keys cover entries without a subject. They are never destroyed.
pub(crate) const NOBODY: [u8; 16] = [0; 16];

/// A key is not to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoKey {
    /// It was destroyed.
    Destroyed,
    /// There was none, and no randomness to make one.
    Unknown,
}

/// All keys, in memory.
#[derive(Default)]
struct Keys {
    /// With the slot each is kept in.
    kept: BTreeMap<Owner, (u32, Content)>,
    /// Made and not durable yet, in order of their slots.
    fresh: Vec<Owner>,
    /// The next free slot.
    next: u32,
}

impl Keys {
    fn insert(&mut self, owner: Owner, content: Content) {
        self.kept.insert(owner, (self.next, content));
        self.next = self.next.saturating_add(1);
    }

    fn get(&self, owner: Owner) -> Option<Result<SaltKey, NoKey>> {
        self.kept.get(&owner).map(|(_, content)| match content {
            Content::Kept(key) => Ok(SaltKey::new(*key.bytes())),
            Content::Destroyed => Err(NoKey::Destroyed),
        })
    }
}

/// The vault of a log that this process has open.
pub(crate) struct Vault {
    keys: RwLock<Keys>,
    file: Mutex<VaultFile>,
    /// What is known of the file without its lock: how many slots are durable, in `Err` once it can no longer be used.
    settled: Settled,
}

/// A commit without new keys looks here, so that it does not wait while the key of the vault is changed.
#[derive(Debug, Default)]
struct Settled {
    slots: AtomicU32,
    is_broken: AtomicBool,
}

impl Settled {
    fn note(&self, durable: &io::Result<u32>) {
        match durable {
            Ok(slots) => self.slots.store(*slots, Ordering::Release),
            Err(_) => self.is_broken.store(true, Ordering::Release),
        }
    }

    /// Returns how many slots are durable; `None` if the file has to be asked why it cannot be used.
    fn get(&self) -> Option<u32> {
        let slots = self.slots.load(Ordering::Acquire);
        (!self.is_broken.load(Ordering::Acquire)).then_some(slots)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// Opens the vault in `dir`, of which `durable` slots belong to whole batches; makes it if the log is `new`.
    pub(crate) fn open(storage: Arc<dyn Storage>, dir: &Path, new: bool, durable: u32) -> Result<Self, VaultError> {
        let mut keys = Keys::default();
        let file = VaultFile::open(storage, dir, new, durable, |owner, content| keys.insert(owner, content))?;
        let settled = Settled::default();
        settled.note(&file.durable());
        Ok(Self { keys: RwLock::new(keys), file: Mutex::new(file), settled })
    }

    /// Returns the key of `owner`, and makes it if there never was one.
    pub(crate) fn obtain(&self, owner: Owner) -> Result<SaltKey, NoKey> {
        if let Some(known) = self.read().get(owner) {
            return known;
        }
        let mut keys = self.write();
        if let Some(known) = keys.get(owner) {
            return known;
        }
        let random = random().map_err(|_| NoKey::Unknown)?;
        keys.insert(owner, Content::Kept(SaltKey::new(*random)));
        keys.fresh.push(owner);
        Ok(SaltKey::new(*random))
    }

    /// Makes every key durable that was obtained so far; returns how many slots are. Costs nothing if none is new, and then
    /// waits for nothing either.
    pub(crate) fn flush(&self) -> io::Result<u32> {
        if let Some(slots) = self.settled.get().filter(|_| self.read().fresh.is_empty()) {
            return Ok(slots);
        }
        let mut file = lock(&self.file);
        file.check()?;
        let fresh = self.take_fresh();
        if !fresh.is_empty() {
            file.append(&fresh)?;
        }
        let durable = file.durable();
        self.settled.note(&durable);
        durable
    }

    fn take_fresh(&self) -> Vec<(Owner, Content)> {
        if self.read().fresh.is_empty() {
            return Vec::new();
        }
        let mut keys = self.write();
        let fresh = std::mem::take(&mut keys.fresh);
        fresh.into_iter().filter_map(|owner| Some((owner, copied(keys.kept.get(&owner)?)))).collect()
    }

    /// Overwrites the key of `owner` on disk, then forgets it; false if there is none to destroy.
    pub(crate) fn destroy(&self, owner: Owner) -> io::Result<bool> {
        let mut file = lock(&self.file);
        let slot = match self.read().kept.get(&owner) {
            Some((slot, Content::Kept(_))) => *slot,
            _ => return Ok(false),
        };
        file.destroy(slot, owner)?;
        self.write().kept.insert(owner, (slot, Content::Destroyed));
        Ok(true)
    }

    /// Returns true if a key was destroyed since the key of the vault was last changed.
    pub(crate) fn is_rekey_due(&self) -> bool {
        lock(&self.file).is_rekey_due()
    }

    /// Returns an error once a change of the vault's key failed in such a way that nothing more may be written.
    pub(crate) fn check(&self) -> io::Result<()> {
        lock(&self.file).check()
    }

    /// Returns the epochs in which a subject has, or had, a key, in rising order; with false where it was destroyed.
    pub(crate) fn epochs(&self, subject: [u8; 16]) -> Vec<(u32, bool)> {
        let keys = self.read();
        let of = Owner { subject, epoch: 0 }..=Owner { subject, epoch: u32::MAX };
        let there = |content: &Content| matches!(content, Content::Kept(_));
        keys.kept.range(of).map(|(owner, (_, content))| (owner.epoch, there(content))).collect()
    }

    /// Writes all keys anew under another key of the vault, and destroys the one before.
    ///
    /// # Errors
    ///
    /// The operating system's answer; [`Self::check`] says whether the vault can still be used.
    pub(crate) fn rekey(&self) -> io::Result<()> {
        let mut file = lock(&self.file);
        let written = file.durable()?;
        let mut slots: Vec<_> = {
            let keys = self.read();
            let durable = keys.kept.iter().filter(|(_, (slot, _))| *slot < written);
            durable.map(|(owner, kept)| (kept.0, (*owner, copied(kept)))).collect()
        };
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        let slots: Vec<_> = slots.into_iter().map(|(_, slot)| slot).collect();
        let changed = file.rekey(&slots);
        self.settled.note(&file.durable());
        changed
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if these are the bytes of a slot that is in use, in a vault with this key.
pub(crate) fn is_slot(bytes: &[u8], key: &[u8; 32]) -> bool {
    let read = bytes.try_into().ok().zip(Cipher::new(key));
    read.is_some_and(|(bytes, cipher)| matches!(slot::decode(bytes, &cipher), Found::Slot(..)))
}

fn copied((_, content): &(u32, Content)) -> Content {
    match content {
        Content::Kept(key) => Content::Kept(SaltKey::new(*key.bytes())),
        Content::Destroyed => Content::Destroyed,
    }
}

/// The vault of a log that only is read here, and may be written by another process.
pub(crate) struct Copy {
    dir: PathBuf,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    keys: Keys,
    reader: Option<SlotReader>,
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Copy(..)")
    }
}

impl Copy {
    /// Makes a copy of the vault in `dir` that is read when a key is first asked for.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, state: Mutex::default() }
    }

    fn find(&self, owner: Owner) -> Result<SaltKey, NoKey> {
        let mut seen = lock(&self.state);
        if let Some(known) = seen.keys.get(owner) {
            return known;
        }
        // Another process may have made it since.
        seen.read_on(&self.dir).map_err(|error| {
            tracing::warn!(%error, "cannot read the keys of the private parts");
            NoKey::Unknown
        })?;
        seen.keys.get(owner).unwrap_or(Err(NoKey::Unknown))
    }
}

impl Seen {
    fn read_on(&mut self, dir: &Path) -> Result<(), VaultError> {
        let reader = match self.reader.take().filter(SlotReader::is_latest) {
            Some(reader) => reader,
            None => {
                self.keys = Keys::default();
                SlotReader::open(dir)?
            }
        };
        let keys = &mut self.keys;
        let read = reader.read(keys.next, |owner, content| keys.insert(owner, content));
        self.reader = Some(reader);
        read
    }
}

/// Where keys are looked up.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// In the vault of the open log.
    Open(Arc<Vault>),
    /// In a copy of it.
    Copy(Arc<Copy>),
}

impl KeySource {
    /// Returns the key of `owner`.
    pub(crate) fn find(&self, owner: Owner) -> Result<SaltKey, NoKey> {
        match self {
            Self::Open(vault) => vault.read().get(owner).unwrap_or(Err(NoKey::Unknown)),
            Self::Copy(copy) => copy.find(owner),
        }
    }
}

/// Returns the epoch that a time, in milliseconds since the Unix epoch, is in: four times the year in UTC, and the
/// quarter from 0 to 3.
///
/// # Source
///
/// The civil calendar from a count of days: years are counted from 1 March, so that a leap day is the last of its year.
#[must_use]
pub fn epoch(at_ms: u64) -> u32 {
    let days = at_ms / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (month, next) = if month < 10 { (month + 2, 0) } else { (month - 10, 1) };
    let year = era * 400 + year + next;
    u32::try_from(year * 4 + month / 3).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use terms::Moment;

    use super::*;
    use crate::storage::Disk;

    fn open(dir: &Path, durable: u32) -> Result<Vault, VaultError> {
        Vault::open(Arc::new(Disk), dir, durable == 0, durable)
    }

    fn owner(subject: u8) -> Owner {
        Owner { subject: [subject; 16], epoch: 8_106 }
    }

    fn bytes(key: Result<SaltKey, NoKey>) -> Result<[u8; 32], NoKey> {
        key.map(|key| *key.bytes())
    }

    #[test]
    fn a_key_is_the_same_for_as_long_as_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), 0).unwrap();
        let key = bytes(vault.obtain(owner(1)));
        assert_eq!(bytes(vault.obtain(owner(1))), key);
        assert_ne!(bytes(vault.obtain(owner(2))), key);
        assert_eq!(vault.flush().unwrap(), 2);
        drop(vault);
        let vault = open(dir.path(), 2).unwrap();
        assert_eq!(bytes(vault.obtain(owner(1))), key);
        let copy = KeySource::Copy(Arc::new(Copy::new(dir.path().to_owned())));
        assert_eq!(bytes(copy.find(owner(1))), key);
        assert_eq!(bytes(copy.find(owner(3))), Err(NoKey::Unknown));
    }

    #[test]
    fn a_key_that_no_whole_batch_used_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), 0).unwrap();
        let keys: Vec<_> = (0..3).map(|subject| bytes(vault.obtain(owner(subject)))).collect();
        assert_eq!(vault.flush().unwrap(), 3);
        drop(vault);
        let vault = open(dir.path(), 1).unwrap();
        assert_eq!(bytes(vault.obtain(owner(0))), keys[0]);
        assert_ne!(bytes(vault.obtain(owner(1))), keys[1]);
        assert_eq!(vault.flush().unwrap(), 2);
        drop(vault);
        assert!(open(dir.path(), 2).is_ok());
        assert!(matches!(open(dir.path(), 3), Err(VaultError::Damaged { .. })));
    }

    #[test]
    fn a_destroyed_key_is_gone_from_memory_and_file_and_never_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), 0).unwrap();
        drop((vault.obtain(owner(1)), vault.obtain(owner(2))));
        vault.flush().unwrap();
        let before = std::fs::read(dir.path().join("1.keys")).unwrap();
        assert!(vault.destroy(owner(1)).unwrap());
        assert!(!vault.destroy(owner(1)).unwrap());
        assert_eq!(bytes(vault.obtain(owner(1))), Err(NoKey::Destroyed));
        let sealed = &before[48..96];
        let after = std::fs::read(dir.path().join("1.keys")).unwrap();
        assert!(!after.windows(sealed.len()).any(|window| window == sealed));
        drop(vault);
        let vault = open(dir.path(), 2).unwrap();
        assert_eq!(bytes(vault.obtain(owner(1))), Err(NoKey::Destroyed));
        assert!(vault.obtain(owner(2)).is_ok());
        let later = Owner { epoch: 8_107, ..owner(1) };
        vault.obtain(later).unwrap();
        assert_eq!(vault.epochs([1; 16]), [(8_106, false), (8_107, true)]);
        assert_eq!(vault.epochs([3; 16]), []);
    }

    #[test]
    fn under_another_key_of_the_vault_all_keys_are_the_same_and_the_old_files_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), 0).unwrap();
        let keys: Vec<_> = (0..600_u16).map(|n| bytes(vault.obtain(many(n)))).collect();
        vault.flush().unwrap();
        vault.destroy(many(7)).unwrap();
        vault.rekey().unwrap();
        let last = bytes(vault.obtain(many(600)));
        assert_eq!(vault.flush().unwrap(), 601);
        drop(vault);
        let vault = open(dir.path(), 601).unwrap();
        for (n, key) in (0..600).zip(keys).filter(|(n, _)| *n != 7) {
            assert_eq!(bytes(vault.obtain(many(n))), key);
        }
        assert_eq!(bytes(vault.obtain(many(7))), Err(NoKey::Destroyed));
        assert_eq!(bytes(vault.obtain(many(600))), last);
        let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["2.kek", "2.keys"]);
    }

    fn many(subject: u16) -> Owner {
        let mut owner = owner(0);
        owner.subject[..2].copy_from_slice(&subject.to_be_bytes());
        owner
    }

    #[test]
    fn a_slot_that_changed_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let vault = open(dir.path(), 0).unwrap();
        drop((vault.obtain(owner(1)), vault.obtain(owner(2))));
        vault.flush().unwrap();
        drop(vault);
        let path = dir.path().join("1.keys");
        let mut file = std::fs::read(&path).unwrap();
        file[60] ^= 4;
        std::fs::write(&path, file).unwrap();
        let damaged = open(dir.path(), 2).unwrap_err().to_string();
        assert!(damaged.contains("has no key in slot 0"), "{damaged}");
    }

    #[test]
    fn an_epoch_is_a_quarter_of_a_year_in_utc() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 1_970 * 4),
            ("1999-12-31T23:59:59Z", 1_999 * 4 + 3),
            ("2000-02-29T12:00:00Z", 2_000 * 4),
            ("2000-03-31T23:59:59Z", 2_000 * 4),
            ("2000-04-01T00:00:00Z", 2_000 * 4 + 1),
            ("2026-06-12T21:21:00Z", 2_026 * 4 + 1),
            ("2026-07-01T00:00:00Z", 2_026 * 4 + 2),
            ("2100-03-01T00:00:00Z", 2_100 * 4),
            ("2100-10-01T00:00:00Z", 2_100 * 4 + 3),
        ] {
            let at = u64::try_from(Moment::parse(text).unwrap().as_millis()).unwrap();
            assert_eq!(epoch(at), expected, "{text}");
        }
        let day = u64::try_from(Duration::from_secs(86_400).as_millis()).unwrap();
        let epochs: Vec<_> = (0..200_000).map(|n| epoch(n * day)).collect();
        assert!(epochs.is_sorted_by(|a, b| b - a <= 1));
    }
}
