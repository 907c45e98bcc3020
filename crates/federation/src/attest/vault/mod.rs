//! Personal values, sealed so that each person's can be destroyed.
//!
//! The ledger keeps everything for ever, so what it holds about a person must be able to become unreadable. Every person
//! has a key of their own; a value is sealed under it before it goes into a document, and to forget the person is to
//! destroy the key. The keys themselves are wrapped by a master key and kept in `vault.db`, beside the registry and never
//! in the ledger. What follows for operators:
//!
//! - `vault.key` and `vault.db` are backed up like any other secret, and apart from the ledger. A backup of `vault.db` from
//!   before a person was forgotten can still open that person's values: it must be destroyed as well.
//! - Look-up terms ([`Vault::term`]) are keyed by the whole vault, since they are looked up before the person is known.
//!   They outlive a person's key, and whoever holds `vault.key` can confirm a guess of what a term stands for.

mod forget;
mod keyring;
mod master;

use std::{fmt, path::Path};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use terms::PersonId;
use zeroize::Zeroizing;

use keyring::Keyring;
use master::Master;

use crate::token::file::private_folder;

/// What a sealed value begins with: the version of its form.
const PREFIX: &str = "v1.";
/// Bytes of a value that can be sealed.
const MAX_PLAIN: usize = 64 << 10;
/// Bytes of the nonce before the ciphertext (NIST SP 800-38D section 8.2.2).
const NONCE_BYTES: usize = 12;

/// A value cannot be sealed, opened or forgotten. Names no value and no key.
#[derive(Debug, thiserror::Error)]
pub enum VaultFault {
    /// The master key is gone although there are keys that it wrapped.
    #[error("`{0}` is missing and `vault.db` holds keys: restore it from a backup, or no personal value can be read")]
    MasterGone(String),
    /// The master key is not what it must be.
    #[error("`{0}` is not 32 bytes: restore it from a backup")]
    MasterSize(String),
    /// A file of the vault cannot be read or written.
    #[error("cannot use `{0}`")]
    File(String, #[source] std::io::Error),
    /// The keys cannot be read or written.
    #[error("cannot use the keys of the vault")]
    Keys(#[source] rusqlite::Error),
    /// The person was forgotten: what was sealed is unreadable for good, and nothing more is sealed.
    #[error("`{0}` was forgotten")]
    Forgotten(PersonId),
    /// The value was not sealed for this person and purpose by this vault, or it was changed.
    #[error("a sealed value of `{0}` does not open: it was changed, or is another person's, purpose's or vault's")]
    Sealed(PersonId),
    /// The value is longer than 64 KiB.
    #[error("a personal value is longer than 65536 bytes")]
    TooLong,
    /// There is no randomness, or a key of a wrong size; nothing was sealed.
    #[error("the cryptographic library refused to work")]
    Crypto,
}

/// Seals personal values under a key for each person. Blocks on disk; safe to share between threads.
pub struct Vault {
    master: Master,
    keyring: Keyring,
}

impl Vault {
    /// Opens the vault in a folder, made with mode 0700: `vault.key` and `vault.db`, made with mode 0600 if neither is there.
    ///
    /// # Errors
    ///
    /// [`VaultFault::MasterGone`] and [`VaultFault::MasterSize`] want a restored backup; the others are the operating
    /// system's.
    pub fn open(folder: &Path) -> Result<Self, VaultFault> {
        private_folder(folder).map_err(|error| VaultFault::File(folder.display().to_string(), error))?;
        let keyring = Keyring::open(&folder.join("vault.db"))?;
        let master = Master::at(&folder.join("vault.key"), !keyring.is_empty()?)?;
        Ok(Self { master, keyring })
    }

    /// Seals a value under the person's key, which is durable when this returns.
    ///
    /// The same value seals differently each time. It opens for the same person and purpose only.
    pub(crate) fn seal(&self, person: &PersonId, purpose: &str, plain: &str) -> Result<String, VaultFault> {
        if plain.len() > MAX_PLAIN {
            return Err(VaultFault::TooLong);
        }
        let key = match self.key(person)? {
            Some(key) => key,
            None => self.new_key(person)?,
        };
        let sealed = encrypt(&key, &context("value", person, purpose), plain.as_bytes())?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens a value that [`Vault::seal`] sealed for this person and purpose.
    pub(crate) fn open_sealed(
        &self,
        person: &PersonId,
        purpose: &str,
        sealed: &str,
    ) -> Result<Zeroizing<String>, VaultFault> {
        let bad = || VaultFault::Sealed(person.clone());
        let key = self.key(person)?.ok_or_else(bad)?;
        let sealed = sealed.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let plain = decrypt(&key, &context("value", person, purpose), sealed.ok_or_else(bad)?).ok_or_else(bad)?;
        let plain = std::str::from_utf8(&plain).map_err(|_| bad())?;
        Ok(Zeroizing::new(plain.to_owned()))
    }

    /// Destroys a person's key: whatever was sealed for them is unreadable for good, and nothing more can be sealed.
    ///
    /// Durable when this returns. Destroying it twice, or that of somebody without one, is no error.
    fn destroy(&self, person: &PersonId) -> Result<(), VaultFault> {
        self.keyring.destroy(person)
    }

    /// Returns the term under which a value is looked up without being stored: HMAC-SHA-256, as 43 characters.
    pub(crate) fn term(&self, purpose: &str, value: &str) -> String {
        let tag = hmac::sign(self.master.index(), framed(&["term", purpose, value]).as_slice());
        URL_SAFE_NO_PAD.encode(tag.as_ref())
    }

    /// Commits to a value without showing it: returns a commitment for the record, and an opening to be sealed.
    ///
    /// The opening is the value behind 43 characters of salt; the commitment is the SHA-256 of the opening, as 43
    /// characters. Without the salt, a guess of the value cannot be confirmed.
    pub(crate) fn commit(value: &str) -> Result<(String, Zeroizing<String>), VaultFault> {
        let mut salt = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(salt.as_mut_slice()).map_err(|_| VaultFault::Crypto)?;
        let opening = Zeroizing::new(format!("{}{value}", URL_SAFE_NO_PAD.encode(salt.as_slice())));
        Ok((commitment(&opening), opening))
    }

    fn key(&self, person: &PersonId) -> Result<Option<Zeroizing<Vec<u8>>>, VaultFault> {
        let Some(wrapped) = self.keyring.wrapped(person)? else { return Ok(None) };
        let key = decrypt(self.master.wrapping(), &context("key", person, ""), wrapped);
        key.map(Some).ok_or_else(|| VaultFault::Sealed(person.clone()))
    }

    /// Makes a key. Should another thread have made one meanwhile, that one stays and is returned.
    fn new_key(&self, person: &PersonId) -> Result<Zeroizing<Vec<u8>>, VaultFault> {
        let mut key = Zeroizing::new(vec![0; 32]);
        aws_lc_rs::rand::fill(&mut key).map_err(|_| VaultFault::Crypto)?;
        let wrapped = encrypt(self.master.wrapping(), &context("key", person, ""), &key)?;
        self.keyring.keep(person, &wrapped)?;
        self.key(person)?.ok_or(VaultFault::Crypto)
    }
}

impl From<VaultFault> for control::Fault {
    /// A personal value that cannot be sealed stops the change that needs it: nothing was changed, try again.
    fn from(fault: VaultFault) -> Self {
        Self::Conflict(fault.to_string())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// Returns the commitment that an opening opens.
fn commitment(opening: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(framed(&["commitment", opening])))
}

/// What is authenticated beside a value: for what, whose, and to what purpose.
fn context(kind: &str, person: &PersonId, purpose: &str) -> Vec<u8> {
    framed(&[kind, person.as_str(), purpose])
}

/// Writes texts one after the other, each behind its length, so that no two lists are written alike.
fn framed(texts: &[&str]) -> Vec<u8> {
    let mut bytes = b"exeat-vault-1".to_vec();
    for text in texts {
        bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Encrypts with AES-256-GCM under a random nonce, which stands before the ciphertext.
fn encrypt(key: &[u8], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultFault> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| VaultFault::Crypto)?;
    let mut sealed = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut sealed).map_err(|_| VaultFault::Crypto)?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

/// Decrypts what [`encrypt`] made of the same key and context; `None` for anything else.
fn decrypt(key: &[u8], context: &[u8], sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut rest = Zeroizing::new(rest.to_vec());
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let plain = key.open_in_place(nonce, Aad::from(context), &mut rest).ok()?.len();
    rest.truncate(plain);
    Some(rest)
}

#[cfg(test)]
mod tests;
