//! Private parts at rest: sealed with AES-256-GCM, each under a key of its own that follows from its subject's.
//!
//! ```text
//! key     HMAC-SHA-256(key of the subject and epoch, "exeat/seal/v2" || kind (1 byte) || call, or 16 zero bytes ||
//!         nonce of the entry, or 8 zero bytes)
//! nonce   the first 12 bytes of the entry's commitment to its private part (key 12)
//! text    for each field, in rising order: id (1 byte), length (u32, little endian), value
//! ```
//! Were one key ever used for two private parts, they would have different commitments and so different nonces.

use ::bytes::Bytes;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hmac::{Hmac, KeyInit, Mac};
use proof::{
    commit::{Commitment, Field, Fields, SaltKey},
    entry::Entry,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::bytes;

/// Bytes that sealing adds.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;
const LABEL: &[u8] = b"exeat/seal/v2";

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

/// Returns `fields` sealed as the private part of `entry`, which must have its kind, call, nonce and commitment.
pub(crate) fn seal(key: &SaltKey, entry: &Entry, fields: &Fields) -> Option<Vec<u8>> {
    let (cipher, nonce) = cipher(key, entry)?;
    let mut text = encode(fields)?;
    cipher.seal(nonce, &[], &mut text)?;
    Some(text)
}

/// Opens the private part of `entry`; `None` if it is not the one that was sealed.
pub(crate) fn open(key: &SaltKey, entry: &Entry, sealed: &[u8]) -> Option<Fields> {
    let (cipher, nonce) = cipher(key, entry)?;
    let mut text = cipher.open(nonce, &[], sealed)?;
    decode(std::mem::take(&mut *text).into())
}

fn cipher(key: &SaltKey, entry: &Entry) -> Option<(Cipher, [u8; NONCE])> {
    let commitment: &Commitment = entry.private.as_ref()?;
    let mut block = Zeroizing::new([0; 64]);
    block.split_at_mut(32).0.copy_from_slice(key.bytes());
    let mac = Hmac::<Sha256>::new((&*block).into())
        .chain_update(LABEL)
        .chain_update([entry.kind.ordinal()])
        .chain_update(entry.call.unwrap_or_default())
        .chain_update(entry.nonce.unwrap_or_default());
    let derived: Zeroizing<[u8; 32]> = Zeroizing::new(mac.finalize().into_bytes().into());
    Some((Cipher::new(&derived)?, *commitment.first_chunk()?))
}

/// Writes the fields; `None` if one is longer than four bytes can say.
fn encode(fields: &Fields) -> Option<Vec<u8>> {
    let length: usize = fields.iter().map(|(_, value)| 5 + value.len()).sum();
    let mut text = Vec::with_capacity(length + TAG);
    for (field, value) in fields.iter() {
        text.push(field.id());
        text.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        text.extend_from_slice(&value);
    }
    Some(text)
}

/// Reads what [`encode`] wrote; `None` if it is anything else.
fn decode(text: Bytes) -> Option<Fields> {
    let mut read = bytes::Fields(&text);
    let mut fields = Fields::default();
    let mut last = 0;
    while !read.0.is_empty() {
        let [id] = read.array()?;
        let value = usize::try_from(read.u32()?).ok().and_then(|length| read.take(length))?;
        if id <= last {
            return None;
        }
        last = id;
        fields = fields.with(Field::from_id(id)?, text.slice_ref(value));
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use proof::entry::Kind;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn entry(key: &SaltKey, fields: &Fields) -> Entry {
        let mut entry = Entry { call: Some([5; 16]), ..Entry::new(Kind::Open) };
        entry.private = key.commit(&entry, fields);
        entry
    }

    prop_compose! {
        fn any_fields()(values in vec((0_usize..6, vec(any::<u8>(), 0..200)), 1..6)) -> Fields {
            values.into_iter().map(|(at, value)| (Field::ALL[at], Bytes::from(value))).collect()
        }
    }

    proptest! {
        #[test]
        fn a_sealed_private_part_opens_under_its_own_key_and_entry_alone(
            fields in any_fields(), key: [u8; 32], bit: prop::sample::Index,
        ) {
            let secret = SaltKey::new(key);
            let entry = entry(&secret, &fields);
            let mut sealed = seal(&secret, &entry, &fields).unwrap();
            prop_assert_eq!(open(&secret, &entry, &sealed), Some(fields));
            let mut other = key;
            other[0] ^= 1;
            prop_assert_eq!(open(&SaltKey::new(other), &entry, &sealed), None);
            prop_assert_eq!(open(&secret, &Entry { call: Some([6; 16]), ..entry.clone() }, &sealed), None);
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&secret, &entry, &sealed), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in vec(any::<u8>(), 0..60)) {
            let text = Bytes::from(bytes);
            if let Some(fields) = decode(text.clone()) {
                prop_assert_eq!(encode(&fields).unwrap(), text);
            }
        }
    }

    #[test]
    fn what_is_sealed_cannot_be_read_in_the_bytes() {
        let fields = Fields::default().with(Field::Main, Bytes::from_static(b"nationality: Ruritanian"));
        let key = SaltKey::new([1; 32]);
        let sealed = seal(&key, &entry(&key, &fields), &fields).unwrap();
        assert_eq!(sealed.len(), 5 + 23 + TAG);
        assert!(!sealed.windows(10).any(|window| window == b"Ruritanian"));
    }
}
