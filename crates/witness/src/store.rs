//! What a witness or a mirror keeps on disk: one folder for each log, and one owner.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ledger::storage::{Storage, replace};

/// A folder that this process alone changes.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    _held: Arc<File>,
}

impl Store {
    /// Makes the folder if it is not there, and keeps every other process out of it.
    pub(crate) fn open(storage: Arc<dyn Storage>, dir: &Path) -> io::Result<Self> {
        storage.create_dir(dir)?;
        let held = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        held.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process uses this folder: stop it first")
            }
            std::fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { dir: dir.to_owned(), storage, _held: Arc::new(held) })
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads a whole file; `None` if it is not there.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Replaces a file, durably with the folders it is in: a crash leaves the old or the new content.
    ///
    /// After an error the old content is there or the new is, whole.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            self.make_dirs(folder)?;
        }
        replace(self.storage.as_ref(), &path, bytes)
    }

    /// Removes a folder with all in it; what stays is only in the way.
    pub(crate) fn remove_dir(&self, name: &str) {
        let path = self.path(name);
        if path.exists() {
            let _removed = self.storage.remove_dir(&path);
        }
    }

    fn make_dirs(&self, folder: &Path) -> io::Result<()> {
        self.storage.create_dir(folder)?;
        let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.dir));
        above.into_iter().try_for_each(|above| self.storage.sync_dir(above))
    }
}

/// Locks what no panic can leave half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
