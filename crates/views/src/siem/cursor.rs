//! How far a stream has come, kept on disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ledger::storage::{Disk, replace};

/// A file that holds the index of the first entry that was not sent.
#[derive(Clone, Debug)]
pub(super) struct Cursor(PathBuf);

impl Cursor {
    /// Keeps it in `dir`, under the name of the stream.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self(dir.join(format!("{name}.cursor")))
    }

    /// Returns where to go on: 0 where nothing was sent yet.
    ///
    /// # Errors
    ///
    /// Of the file system; [`io::ErrorKind::InvalidData`] if the file holds anything but a number.
    pub(super) fn read(&self) -> io::Result<u64> {
        match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            read => {
                let bad =
                    || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` holds no index", self.0.display()));
                parse(&read?).ok_or_else(bad)
            }
        }
    }

    /// Remembers where to go on. Durable when it returns; a crash leaves the old number or the new one.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub(super) fn write(&self, next: u64) -> io::Result<()> {
        replace(&Disk, &self.0, format!("{next}\n").as_bytes())
    }
}

/// Reads the index that the file holds.
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text.strip_suffix(b"\n")?).ok()?;
    let index: u64 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_begins_at_the_beginning_and_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(dir.path(), "soc");
        assert_eq!(cursor.read().unwrap(), 0);
        cursor.write(17).unwrap();
        assert_eq!(Cursor::new(dir.path(), "soc").read().unwrap(), 17);
        assert_eq!(Cursor::new(dir.path(), "other").read().unwrap(), 0);
    }

    #[test]
    fn a_cursor_that_holds_no_number_is_an_error_and_not_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "x\n", "+1\n", "01\n", "7", "18446744073709551616\n"] {
            fs::write(dir.path().join("soc.cursor"), text).unwrap();
            let error = Cursor::new(dir.path(), "soc").read().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _read = parse(&bytes);
        }

        #[test]
        fn an_index_reads_back(next: u64) {
            prop_assert_eq!(parse(format!("{next}\n").as_bytes()), Some(next));
        }
    }
}
