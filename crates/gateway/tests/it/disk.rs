//! A disk that stalls or breaks when it is told to.

#![expect(clippy::unwrap_used, reason = "a test whose disk has a poisoned lock fails")]

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use ledger::storage::{Disk, Storage, StorageFile};

/// The local disk, whose syncs can be made to wait or to fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk(Arc<(Mutex<Mood>, Condvar)>);

/// How syncs go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mood {
    #[default]
    Well,
    Stalled,
    Broken,
}

/// While it lives, no sync ends.
#[derive(Debug)]
pub(crate) struct Stall(TestDisk);

impl TestDisk {
    /// Lets no sync end from now on.
    pub(crate) fn stall(&self) -> Stall {
        self.set(Mood::Stalled);
        Stall(self.clone())
    }

    /// Lets every sync fail from now on.
    pub(crate) fn fail(&self) {
        self.set(Mood::Broken);
    }

    fn set(&self, mood: Mood) {
        *self.0.0.lock().unwrap() = mood;
        self.0.1.notify_all();
    }

    fn sync(&self) -> io::Result<()> {
        let mood = self.0.1.wait_while(self.0.0.lock().unwrap(), |mood| *mood == Mood::Stalled).unwrap();
        match *mood {
            Mood::Broken => Err(io::Error::other("the disk broke")),
            Mood::Well | Mood::Stalled => Ok(()),
        }
    }

    fn file(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(TestFile { file, disk: self.clone() })
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.0.set(Mood::Well);
    }
}

#[derive(Debug)]
struct TestFile {
    file: Box<dyn StorageFile>,
    disk: TestDisk,
}

impl StorageFile for TestFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()?;
        self.file.sync()
    }
}

impl Storage for TestDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(Disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(Disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }
}
