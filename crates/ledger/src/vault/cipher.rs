//! AES-256-GCM, under which the keys of a vault are sealed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes that sealing adds.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;

/// A key that seals.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    /// Takes a key of 32 bytes; `None` if the library refuses it, which it does to none of that length.
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new).map(Self)
    }

    /// Seals `text` in place and appends the tag; `None` if it is longer than one message may be, 64 GB.
    pub(crate) fn seal(&self, nonce: [u8; NONCE], bound: &[u8], text: &mut Vec<u8>) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce, Aad::from(bound), text).ok()
    }

    /// Opens what was sealed; `None` if it was not sealed so.
    pub(crate) fn open(&self, nonce: [u8; NONCE], bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.0.open_in_place(nonce, Aad::from(bound), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}
