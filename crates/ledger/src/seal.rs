//! Private parts at rest: sealed with AES-256 in counter mode, each under a key of its own that follows from its subject's.
//!
//! ```text
//! key     HMAC-SHA-256(key of the subject and epoch, "exeat/seal/v3" || kind (1 byte) || call, or 16 zero bytes ||
//!         nonce of the entry, or 8 zero bytes)
//! block   the first 16 bytes of the entry's commitment to its private part (key 12), the first of the counter
//! text    for each field, in rising order: id (1 byte), length (LEB128), value
//! ```
//! No tag is kept: the commitment is one. It is a keyed hash of the text that the leaf has in any case, the counter begins with
//! it, and nothing that was opened leaves here unless it is what the leaf commits to. That is the construction SIV: Rogaway and
//! Shrimpton, "Deterministic Authenticated-Encryption" (EUROCRYPT 2006), RFC 5297.

use ::bytes::Bytes;
use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};
use proof::{
    commit::{Begun, Field, Fields, Openings},
    entry::Entry,
};
use zeroize::Zeroizing;

use crate::bytes;

const LABEL: &[u8] = b"exeat/seal/v3";

/// Returns `fields` sealed as the private part of `entry`, which must have its kind, call, nonce and commitment; `None` if there
/// is no commitment, or if the library refuses, which it does to nothing of these lengths.
pub(crate) fn seal(key: &Begun, entry: &Entry, fields: &Fields) -> Option<Vec<u8>> {
    let (key, block) = derived(key, entry)?;
    let mut text = encode(fields);
    EncryptingKey::ctr(key).ok()?.less_safe_encrypt(&mut text, EncryptionContext::Iv128(block)).ok()?;
    Some(text)
}

/// Opens the private part of `entry`; `None` if it is not what the entry commits to.
pub(crate) fn open(key: &Begun, entry: &Entry, sealed: &[u8]) -> Option<Openings> {
    let (derived, block) = derived(key, entry)?;
    let mut text = Zeroizing::new(sealed.to_vec());
    DecryptingKey::ctr(derived).ok()?.decrypt(&mut text, DecryptionContext::Iv128(block)).ok()?;
    let fields = decode(std::mem::take(&mut *text).into())?;
    Some(key.open(entry, &fields)).filter(|openings| openings.commitment() == entry.private)
}

fn derived(key: &Begun, entry: &Entry) -> Option<(UnboundCipherKey, FixedLength<16>)> {
    let block: [u8; 16] = *entry.private.as_ref()?.first_chunk()?;
    let derived = key.derive(LABEL, entry, &[]);
    Some((UnboundCipherKey::new(&AES_256, &*derived).ok()?, block.into()))
}

fn encode(fields: &Fields) -> Vec<u8> {
    let length: usize = fields.into_iter().map(|(_, value)| 6 + value.len()).sum();
    let mut text = Vec::with_capacity(length);
    for (field, value) in fields {
        text.push(field.id());
        bytes::put_leb128(&mut text, bytes::size(value));
        text.extend_from_slice(value);
    }
    text
}

/// Reads what [`encode`] wrote; `None` if it is anything else.
fn decode(text: Bytes) -> Option<Fields> {
    let mut read = bytes::Fields(&text);
    let mut fields = Fields::default();
    let mut last = 0;
    while !read.0.is_empty() {
        let [id] = read.array()?;
        let length = bytes::length(read.leb128()?);
        let value = read.take(length)?;
        if id <= last {
            return None;
        }
        last = id;
        fields = fields.with(Field::from_id(id)?, text.slice_ref(value));
    }
    Some(fields)
}

/// Returns a text as it is written again; `None` if it is none.
pub(crate) fn rewritten(text: &[u8]) -> Option<Vec<u8>> {
    decode(Bytes::copy_from_slice(text)).map(|fields| encode(&fields))
}

#[cfg(test)]
mod tests {
    use proof::{commit::SaltKey, entry::Kind};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn entry(key: &Begun, fields: &Fields) -> Entry {
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
            let secret = SaltKey::new(key).begin();
            let entry = entry(&secret, &fields);
            let mut sealed = seal(&secret, &entry, &fields).unwrap();
            prop_assert_eq!(open(&secret, &entry, &sealed), Some(secret.open(&entry, &fields)));
            let mut other = key;
            other[0] ^= 1;
            prop_assert_eq!(open(&SaltKey::new(other).begin(), &entry, &sealed), None);
            prop_assert_eq!(open(&secret, &Entry { call: Some([6; 16]), ..entry.clone() }, &sealed), None);
            let shorter = &sealed[..bit.index(sealed.len())];
            prop_assert_eq!(open(&secret, &entry, shorter), None);
            prop_assert_eq!(open(&secret, &entry, &[&sealed[..], &[0]].concat()), None);
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&secret, &entry, &sealed), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in vec(any::<u8>(), 0..60)) {
            let text = Bytes::from(bytes);
            if let Some(fields) = decode(text.clone()) {
                prop_assert_eq!(encode(&fields), text);
            }
        }
    }

    #[test]
    fn what_is_sealed_cannot_be_read_in_the_bytes() {
        let fields = Fields::default().with(Field::Main, Bytes::from_static(b"nationality: Ruritanian"));
        let key = SaltKey::new([1; 32]).begin();
        let sealed = seal(&key, &entry(&key, &fields), &fields).unwrap();
        assert_eq!(sealed.len(), 2 + 23);
        assert!(!sealed.windows(10).any(|window| window == b"Ruritanian"));
    }
}
