//! The master key: a file that nobody else may read, and the two keys derived from it.

use std::{fs, io, path::Path};

use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use super::VaultFault;
use crate::token::file::write_private;

/// What is derived from the master key. The master key itself is not kept.
pub(super) struct Master {
    wrapping: Zeroizing<[u8; 32]>,
    index: hmac::Key,
}

impl Master {
    /// Reads the master key. Makes one if there is none, unless it is `wanted` to open what it wrapped before.
    pub(super) fn at(file: &Path, wanted: bool) -> Result<Self, VaultFault> {
        let named = || file.display().to_string();
        let bytes = match fs::read(file) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound && wanted => {
                return Err(VaultFault::MasterGone(named()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(file)?,
            Err(error) => return Err(VaultFault::File(named(), error)),
        };
        if bytes.len() != 32 {
            return Err(VaultFault::MasterSize(named()));
        }
        Self::of(&bytes)
    }

    /// Returns the key that wraps people's keys.
    pub(super) fn wrapping(&self) -> &[u8] {
        self.wrapping.as_slice()
    }

    /// Returns the key of look-up terms.
    pub(super) fn index(&self) -> &hmac::Key {
        &self.index
    }

    fn of(master: &[u8]) -> Result<Self, VaultFault> {
        let derived = |info: &'static [u8]| -> Result<Zeroizing<[u8; 32]>, VaultFault> {
            let mut key = Zeroizing::new([0; 32]);
            let master = hkdf::Salt::new(hkdf::HKDF_SHA256, b"exeat-vault-1").extract(master);
            let filled = master.expand(&[info], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(key.as_mut_slice()));
            filled.map_err(|_| VaultFault::Crypto)?;
            Ok(key)
        };
        let index = hmac::Key::new(hmac::HMAC_SHA256, derived(b"look-up terms")?.as_slice());
        Ok(Self { wrapping: derived(b"wrapping of keys")?, index })
    }
}

/// Writes a new key with mode 0600, whole or not at all, and waits until it is on disk.
fn make(file: &Path) -> Result<Zeroizing<Vec<u8>>, VaultFault> {
    let mut bytes = Zeroizing::new(vec![0; 32]);
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| VaultFault::Crypto)?;
    write_private(file, &bytes).map_err(|error| VaultFault::File(file.display().to_string(), error))?;
    Ok(bytes)
}
