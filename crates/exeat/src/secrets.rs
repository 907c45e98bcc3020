//! Files that nobody else may read: the pepper of key digests and the first admin token.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::{Context, bail};
use identity::Pepper;
use jose::{Alg, SigningKey};
use ledger::storage::{Disk, replace};
use zeroize::Zeroizing;

/// The file of the pepper, in the data folder.
pub(crate) const PEPPER: &str = "pepper.key";
/// The file of the key that signs tickets, in the data folder.
pub(crate) const TICKET_KEY: &str = "ticket.key";
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

/// Reads the key that signs tickets, or makes one on the first start.
///
/// # Errors
///
/// If the file cannot be read or made, or is no such key: restore it, since meters know its public half.
pub(crate) fn ticket_key(data_dir: &Path) -> anyhow::Result<SigningKey> {
    let file = data_dir.join(TICKET_KEY);
    match fs::read(&file).map(Zeroizing::new) {
        Ok(der) => read_ticket_key(&file, &der),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate(Alg::EdDsa).context("cannot make a ticket key")?;
            write_private(&file, &key.to_pkcs8().context("cannot write a ticket key")?)?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", file.display())),
    }
}

/// Reads the key that signs tickets from `file`, where the first start of a server made it.
///
/// # Errors
///
/// If the file cannot be read, or is no such key.
pub(crate) fn ticket_key_in(file: &Path) -> anyhow::Result<SigningKey> {
    let der = fs::read(file).map(Zeroizing::new);
    read_ticket_key(file, &der.with_context(|| format!("cannot read `{}`", file.display()))?)
}

fn read_ticket_key(file: &Path, der: &[u8]) -> anyhow::Result<SigningKey> {
    let key = SigningKey::from_pkcs8(Alg::EdDsa, der);
    key.with_context(|| format!("`{}` is no ticket key: restore it from a backup", file.display()))
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
    replace(&Disk, file, bytes).with_context(|| format!("cannot write `{}`", file.display()))
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
    fn the_ticket_key_is_made_once_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = ticket_key(dir.path()).unwrap().public().to_value();
        assert_eq!(ticket_key(dir.path()).unwrap().public().to_value(), first);
        let file = dir.path().join(TICKET_KEY);
        assert_eq!(ticket_key_in(&file).unwrap().public().to_value(), first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, [1; 31]).unwrap();
        assert!(ticket_key(dir.path()).is_err(), "and never replaced");
    }
}
