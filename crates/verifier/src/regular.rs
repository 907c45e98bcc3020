//! Files of a record: plain ones of a bounded length, never what a link, a pipe or a device leads to.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use crate::VerifyError;

/// Opens a plain file of at most `max` bytes.
///
/// # Errors
///
/// The operating system's answer; [`io::ErrorKind::InvalidInput`] if there is something else under the name, a symbolic
/// link too, or [`io::ErrorKind::FileTooLarge`] if it is longer.
pub(crate) fn open(path: &Path, max: u64) -> io::Result<File> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file: links are not followed"));
    }
    if metadata.len() > max {
        let why = format!("it is longer than the {max} bytes that such a file may have");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    File::open(path)
}

/// Reads a plain file of at most `max` bytes.
///
/// # Errors
///
/// As [`open`].
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = open(path, max)?;
    let length = file.metadata()?.len().min(max);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or_default())?;
    // A file may grow under the reader.
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Says which file could not be read.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> VerifyError {
    VerifyError { path: path.display().to_string(), source }
}

/// Returns the answer, with what `faulty` makes of it where there is something else than such a record has under a name:
/// that was seen, so it is no longer unknown whether the record holds.
pub(crate) fn or_fault<R>(answer: Result<R, VerifyError>, faulty: impl FnOnce(String) -> R) -> Result<R, VerifyError> {
    match answer {
        Err(bad) if matches!(bad.source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge) => {
            Ok(faulty(bad.to_string()))
        }
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_of_its_length_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, b"12345678").unwrap();
        assert_eq!(read(&file, 8).unwrap(), b"12345678");
        let kind = |path: &Path, max| read(path, max).unwrap_err().kind();
        assert_eq!(kind(&file, 7), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(dir.path(), 8), io::ErrorKind::InvalidInput);
        assert_eq!(kind(&dir.path().join("none"), 8), io::ErrorKind::NotFound);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&file, &link).unwrap();
            assert_eq!(kind(&link, 8), io::ErrorKind::InvalidInput);
            std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero")).unwrap();
            assert_eq!(kind(&dir.path().join("zero"), 8), io::ErrorKind::InvalidInput);
            assert_eq!(kind(Path::new("/dev/zero"), 8), io::ErrorKind::InvalidInput);
        }
    }
}
