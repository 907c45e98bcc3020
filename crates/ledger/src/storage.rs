//! What the log asks of the disk: few operations, each with what must hold once it has returned.
//!
//! Everything the log changes goes through [`Storage`], so that tests can fail any step, tear any write and lose
//! whatever was not synced. Reads go to the files directly.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Makes, renames and removes files.
///
/// Nothing here is durable on return except what [`StorageFile::sync`] and [`Storage::sync_dir`] covered. Nothing is
/// retried: after an error the state of the file or of the name is unknown until it is read again.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Learns that the log is this process's alone from now on; called once, before any file of the log is written.
    ///
    /// # Errors
    ///
    /// Whatever keeps the storage from being used; the log is not opened then.
    fn held(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes the directory `path` and its parents; does nothing if it is there.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the file `path`, empty, in place of any that is there; only the owner may read and write it.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Makes the file `path` as [`Storage::create`] does, to be filled once: writes need not pass through memory.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn create_to_fill(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.create(path)
    }

    /// Opens the file `path` for writing; it must be there.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Gives the file `from` the name `to`, in place of any that had it; at every moment one of the two has the name.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file `path`.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes the directory `path` with everything in it.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in the directory `path` durable: files made in it, renamed into it, removed from it.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file that is written by position.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Writes all of `bytes` at `offset`. Not durable, not atomic: a crash may leave any of its sectors old or new.
    ///
    /// # Errors
    ///
    /// The operating system's answer; any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all that was written, and the length needed to read it back, durable.
    ///
    /// # Errors
    ///
    /// The operating system's answer. What was written since the last sync may be lost although it still reads
    /// back, and a second sync may succeed without having written it: never try again, never trust the file.
    ///
    /// # Source
    ///
    /// Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    fn sync(&self) -> io::Result<()>;
}

/// The local disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(DiskFile(options.open(path)?)))
    }

    fn create_to_fill(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let buffered = self.create(path)?;
        match OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path) {
            Ok(direct) => Ok(Box::new(DirectFile { direct, buffered })),
            // Not every file system has it, and each says so in its own way.
            Err(_) => Ok(buffered),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// A file that is written past the page cache where length, offset and memory are aligned for it.
#[derive(Debug)]
struct DirectFile {
    direct: File,
    buffered: Box<dyn StorageFile>,
}

impl StorageFile for DirectFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.direct.write_all_at(bytes, offset) {
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                self.buffered.write_at(bytes, offset)
            }
            written => written,
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.buffered.sync()
    }
}

/// Replaces the file `path` by `bytes`, durably: a crash leaves the old or the new content, and perhaps a `.tmp` beside it.
///
/// # Errors
///
/// The operating system's answer; the old content is still there or the new is, whole.
pub fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let tmp = path.with_added_extension("tmp");
    let file = storage.create(&tmp)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    storage.rename(&tmp, path)?;
    storage.sync_dir(parent(path))
}

/// Puts `bytes` under `path` at once but not durably: a crash may leave it missing, empty or torn.
///
/// # Errors
///
/// The operating system's answer.
pub(crate) fn put(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let tmp = path.with_added_extension("tmp");
    let file = match storage.create(&tmp) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            storage.create_dir(parent(path))?;
            storage.create(&tmp)?
        }
        made => made?,
    };
    file.write_at(bytes, 0)?;
    storage.rename(&tmp, path)
}

/// Returns the directory a path is in; that of a bare name is the working directory.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_working_folder() {
        assert_eq!(parent(Path::new("ready.json")), Path::new("."));
        assert_eq!(parent(Path::new("/tmp/ready.json")), Path::new("/tmp"));
    }

    #[test]
    fn a_replaced_file_is_whole_and_only_the_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        replace(&Disk, &path, b"old").unwrap();
        replace(&Disk, &path, b"newer").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_to_fill_takes_aligned_and_other_bytes_alike() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        let file = Disk.create_to_fill(&path).unwrap();
        let bytes = vec![7; 3 * 4_096];
        let aligned = bytes.as_ptr().align_offset(4_096);
        file.write_at(&bytes[aligned..aligned + 4_096], 0).unwrap();
        file.write_at(b"odd", 4_096).unwrap();
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [vec![7; 4_096], b"odd".to_vec()].concat());
    }

    #[test]
    fn a_file_is_put_into_directories_that_are_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tile/0/x001/000");
        put(&Disk, &path, b"hashes").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"hashes");
    }
}
