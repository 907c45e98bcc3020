//! Files that nobody else may read: the pepper of key digests and the first admin token.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, bail};
use identity::Pepper;

/// The file of the pepper, in the data folder.
pub(crate) const PEPPER: &str = "pepper.key";
/// The file of the first admin token, in the data folder.
pub(crate) const TOKEN: &str = "admin.token";

/// Makes a folder with mode 0700, and those above it; one that is there stays as it is.
///
/// # Errors
///
/// The operating system's error with the folder's name.
pub(crate) fn private_dir(dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the data folder `{}`", dir.display()))
}

/// Reads the pepper, or makes one on the first start.
///
/// # Errors
///
/// If the file cannot be read or made, or is not 32 bytes: restore it, since every key depends on it.
pub(crate) fn pepper(data_dir: &Path) -> anyhow::Result<Pepper> {
    let file = data_dir.join(PEPPER);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_pepper(&file)?,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", file.display()));
        }
    };
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else {
        bail!("`{}` is not 32 bytes: restore it from a backup, or no key will be known", file.display());
    };
    Ok(Pepper::new(bytes))
}

fn new_pepper(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no randomness to give")?;
    write_private(file, &bytes)?;
    Ok(bytes.to_vec())
}

/// Writes a file with mode 0600, whole or not at all, and waits until it is on disk.
///
/// # Errors
///
/// The operating system's error with the file's name.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = file.with_extension("part");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&part);
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        fs::rename(&part, file)?;
        fs::File::open(folder_of(file))?.sync_all()
    };
    write().with_context(|| format!("cannot write `{}`", file.display()))
}

/// Returns the folder of a file; that of a bare name is the working folder.
fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_pepper_is_made_once_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        pepper(dir.path()).unwrap();
        let file = dir.path().join(PEPPER);
        let first = fs::read(&file).unwrap();
        pepper(dir.path()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_pepper_that_was_cut_is_an_error_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(PEPPER), [1; 31]).unwrap();
        assert!(pepper(dir.path()).is_err());
        assert_eq!(fs::read(dir.path().join(PEPPER)).unwrap(), [1; 31]);
    }

    #[test]
    fn a_bare_file_name_lies_in_the_working_folder() {
        assert_eq!(folder_of(Path::new("ready.json")), Path::new("."));
        assert_eq!(folder_of(Path::new("/tmp/ready.json")), Path::new("/tmp"));
    }
}
