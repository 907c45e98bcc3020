//! Files that nobody else may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use zeroize::Zeroizing;

/// Makes a folder with mode 0700, and those above it; one that is there stays as it is.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file with mode 0600, whole or not at all, and waits until it is on disk.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = file.with_extension("part");
    let _ = fs::remove_file(&part);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(&part, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Reads 32 secret bytes, or draws them if there is no such file yet.
///
/// # Errors
///
/// The operating system's; a file of another length is never replaced.
pub(crate) fn secret(file: &Path) -> io::Result<Zeroizing<[u8; 32]>> {
    match fs::read(file).map(Zeroizing::new) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not 32 bytes: restore it from a backup")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
            write_private(file, bytes.as_slice())?;
            Ok(bytes)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_private_and_never_replaced_when_it_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.key");
        let first = secret(&file).unwrap();
        assert_eq!(secret(&file).unwrap(), first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, [1; 31]).unwrap();
        assert!(secret(&file).is_err());
        assert_eq!(fs::read(&file).unwrap(), [1; 31]);
    }
}
