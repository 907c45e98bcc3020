//! The keys that our own tokens are signed with: one in use, the next one published before it is used, and old ones
//! published until nothing that they signed is still good.
//!
//! Each key is a file named by the millisecond from when on it signs. A crash leaves at most a `.part` file, which the
//! next write replaces.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jose::{Alg, Jwks, SigningFault, SigningKey};
use terms::Moment;
use zeroize::Zeroizing;

use super::file;

/// How private keys end.
const EXTENSION: &str = "p8";

/// When keys begin and end, and with what they sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// With what they sign.
    pub(crate) alg: Alg,
    /// For how long a key signs.
    pub(crate) every: Duration,
    /// For how long it is published before: longer than anybody keeps our key set without asking again.
    pub(crate) ahead: Duration,
    /// For how long it is published afterwards: longer than any token lives.
    pub(crate) after: Duration,
}

/// The keys cannot be read or made; no token can be issued.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFault {
    /// A file or the folder.
    #[error("cannot use `{0}`")]
    File(String, #[source] io::Error),
    /// A private key.
    #[error("cannot use the private key in `{0}`")]
    Key(String, #[source] SigningFault),
}

/// The keys, in order of when they begin to sign.
#[derive(Debug)]
pub(crate) struct Keyring {
    folder: PathBuf,
    rotation: Rotation,
    keys: RwLock<Vec<Held>>,
    /// How often the keys changed since they were read.
    version: AtomicU64,
}

#[derive(Clone, Debug)]
struct Held {
    since: Moment,
    key: Arc<SigningKey>,
}

impl Keyring {
    /// Reads the keys in `folder`; makes the first one.
    pub(crate) fn open(folder: &Path, rotation: Rotation, now: Moment) -> Result<Self, KeyringFault> {
        let at = |error| KeyringFault::File(folder.display().to_string(), error);
        file::private_folder(folder).map_err(at)?;
        let mut keys = Vec::new();
        for entry in fs::read_dir(folder).map_err(at)? {
            keys.extend(read(rotation.alg, &entry.map_err(at)?.path())?);
        }
        keys.sort_by_key(|held| held.since);
        let ring = Self { folder: folder.to_owned(), rotation, keys: RwLock::new(keys), version: AtomicU64::default() };
        ring.tend(now)?;
        Ok(ring)
    }

    /// Returns the key that signs at `now`. May write files: call it from a thread that may block.
    ///
    /// # Errors
    ///
    /// [`KeyringFault`]: there is none.
    pub(crate) fn signing(&self, now: Moment) -> Result<Arc<SigningKey>, KeyringFault> {
        self.tend(now)?;
        let keys = self.read();
        let held = keys.iter().rev().find(|held| held.since <= now).or_else(|| keys.first());
        let none = || KeyringFault::File(self.folder.display().to_string(), io::ErrorKind::NotFound.into());
        held.map(|held| Arc::clone(&held.key)).ok_or_else(none)
    }

    /// Returns every public key that verifies a token that may be good, and the next one.
    pub(crate) fn public(&self) -> Jwks {
        self.read().iter().map(|held| held.key.public().clone()).collect()
    }

    /// Returns a number that grows with every change of the keys, after it can be read.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Makes the next key in time, and forgets those whose tokens are all over.
    pub(crate) fn tend(&self, now: Moment) -> Result<(), KeyringFault> {
        if !self.is_due(now) {
            return Ok(());
        }
        let mut keys = self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(since) = self.next(&keys, now) {
            keys.push(self.make(since)?);
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        while let [_, successor, ..] = keys.as_slice()
            && successor.since.plus(self.rotation.after) <= now
        {
            let old = keys.remove(0);
            self.version.fetch_add(1, Ordering::SeqCst);
            let path = self.path(old.since);
            fs::remove_file(&path).map_err(|error| KeyringFault::File(path.display().to_string(), error))?;
        }
        Ok(())
    }

    fn is_due(&self, now: Moment) -> bool {
        let keys = self.read();
        let over = matches!(keys.as_slice(), [_, next, ..] if next.since.plus(self.rotation.after) <= now);
        over || self.next(&keys, now).is_some()
    }

    /// Returns from when on the next key is to sign, if it is to be made now.
    fn next(&self, keys: &[Held], now: Moment) -> Option<Moment> {
        let Some(last) = keys.last() else { return Some(now) };
        let due = last.since.plus(self.rotation.every);
        let soon = now.plus(self.rotation.ahead);
        (due <= soon).then_some(due.max(soon))
    }

    fn make(&self, since: Moment) -> Result<Held, KeyringFault> {
        let path = self.path(since);
        let named = || path.display().to_string();
        let key = SigningKey::generate(self.rotation.alg).map_err(|fault| KeyringFault::Key(named(), fault))?;
        let der = key.to_pkcs8().map_err(|fault| KeyringFault::Key(named(), fault))?;
        file::write_private(&path, &der).map_err(|error| KeyringFault::File(named(), error))?;
        Ok(Held { since, key: Arc::new(key) })
    }

    fn path(&self, since: Moment) -> PathBuf {
        self.folder.join(format!("{}.{EXTENSION}", since.as_millis()))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Held>> {
        self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads a key; nothing if the file is not one of ours.
fn read(alg: Alg, path: &Path) -> Result<Option<Held>, KeyringFault> {
    let named = || path.display().to_string();
    let millis = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
    let Some(millis) = millis.filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION)) else {
        return Ok(None);
    };
    let der = fs::read(path).map(Zeroizing::new).map_err(|error| KeyringFault::File(named(), error))?;
    let key = SigningKey::from_pkcs8(alg, &der).map_err(|fault| KeyringFault::Key(named(), fault))?;
    Ok(Some(Held { since: Moment::from_millis(millis), key: Arc::new(key) }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const ROTATION: Rotation =
        Rotation { alg: Alg::Es256, every: Duration::from_hours(240), ahead: DAY, after: Duration::from_hours(2) };

    fn start() -> Moment {
        Moment::parse("2026-06-12T00:00:00Z").unwrap()
    }

    fn kids(ring: &Keyring) -> Vec<String> {
        ring.public().iter().filter_map(|key| key.kid().map(str::to_owned)).collect()
    }

    #[test]
    fn the_next_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_are_over() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::open(dir.path(), ROTATION, start()).unwrap();
        let first = kids(&ring);
        assert_eq!(first.len(), 1);
        let alone = ring.version();
        let announced = start().plus(DAY * 9);
        assert_eq!(ring.signing(announced).unwrap().public().kid(), Some(first[0].as_str()));
        let both = kids(&ring);
        assert_eq!(both.len(), 2);
        let announcing = ring.version();
        assert!(announcing > alone);
        let turned = announced.plus(DAY);
        assert_eq!(ring.signing(turned).unwrap().public().kid(), Some(both[1].as_str()));
        assert_eq!((kids(&ring), ring.version()), (both.clone(), announcing));
        ring.signing(turned.plus(Duration::from_hours(2))).unwrap();
        assert_eq!(kids(&ring), both[1..]);
        assert!(ring.version() > announcing);
    }

    #[test]
    fn keys_are_private_files_and_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let before = kids(&Keyring::open(dir.path(), ROTATION, start()).unwrap());
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kids(&Keyring::open(dir.path(), ROTATION, start().plus(DAY)).unwrap()), before);
        fs::write(&files[0], b"not a key").unwrap();
        assert!(Keyring::open(dir.path(), ROTATION, start()).is_err());
    }

    #[test]
    fn what_a_crash_left_half_written_is_no_key_and_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let half = dir.path().join(format!("{}.part", start().as_millis()));
        fs::write(&half, b"half a k").unwrap();
        let ring = Keyring::open(dir.path(), ROTATION, start()).unwrap();
        assert_eq!(kids(&ring).len(), 1);
        assert!(!half.exists());
        assert_eq!(kids(&Keyring::open(dir.path(), ROTATION, start()).unwrap()), kids(&ring));
    }

    #[test]
    fn a_key_is_announced_for_its_whole_time_even_after_a_long_standstill() {
        let dir = tempfile::tempdir().unwrap();
        let first = kids(&Keyring::open(dir.path(), ROTATION, start()).unwrap());
        let late = start().plus(DAY * 100);
        let ring = Keyring::open(dir.path(), ROTATION, late).unwrap();
        assert_eq!(ring.signing(late).unwrap().public().kid(), Some(first[0].as_str()));
        assert_ne!(ring.signing(late.plus(DAY)).unwrap().public().kid(), Some(first[0].as_str()));
    }
}
