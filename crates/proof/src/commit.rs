//! Commitments: how an entry binds what the log does not show, field by field.
//!
//! A private part is a list of fields. Each is committed to under a salt of its own, and the entry has one commitment
//! to all of these: whoever is given salt and value of some fields, and of the others the commitment, can check that
//! they are the private part of the entry. The salts follow from the key of a subject and an epoch; once the key is
//! destroyed, nobody can guess at what is gone. `docs/log-format.md` section 2.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::entry::Entry;

mod fields;

pub use fields::{Field, Fields, Opening, Openings, Unordered};

/// What a salt is derived from begins with this.
const SALT: &[u8] = b"exeat/salt/v2";
/// What a commitment to a field is made of begins with this.
const FIELD: &[u8] = b"exeat/field/v2";
/// What the commitment to a private part is made of begins with this.
const PRIVATE: &[u8] = b"exeat/private/v2";

/// Keeps a reader of the log from guessing a value that was committed to.
pub type Salt = [u8; 16];
/// Binds one value of a field, or a whole private part.
pub type Commitment = [u8; 32];

/// The key of a subject and an epoch, which all salts of the subject's entries in that epoch follow from.
///
/// It is wiped when it is dropped. It has no `Debug`, so that it gets into no log.
pub struct SaltKey(Zeroizing<[u8; 32]>);

impl SaltKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Returns the bytes, for whoever keeps them sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Begins what follows from the key for one entry: the part of it that is the same for every salt.
    #[must_use]
    pub fn begin(&self) -> Begun {
        Begun(keyed(&*self.0))
    }
}

/// A [`SaltKey`] that HMAC-SHA-256 was begun with, once for all that follows from it for an entry.
///
/// It is worth as much as the key and is not wiped: it must not outlive the work on one entry.
pub struct Begun(Hmac<Sha256>);

impl Begun {
    /// Returns the salt of `field` of `entry`, which must have its kind, call and nonce already.
    ///
    /// Two entries of one subject and epoch have the same salts only if kind, call and nonce are the same.
    #[must_use]
    pub fn salt(&self, entry: &Entry, field: Field) -> Salt {
        self.derive(SALT, entry, &[field.id()]).first_chunk().copied().unwrap_or_default()
    }

    /// Returns what follows from the key for `entry`, which must have its kind, call and nonce already: HMAC-SHA-256 of the
    /// label, kind (1 byte), call (or 16 zero bytes), nonce (or 8), and `more`.
    #[must_use]
    pub fn derive(&self, label: &[u8], entry: &Entry, more: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = self.0.clone();
        mac.update(label);
        mac.update(&[entry.kind.ordinal()]);
        mac.update(&entry.call.unwrap_or_default());
        mac.update(&entry.nonce.unwrap_or_default());
        mac.update(more);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// Opens every one of `fields` as the private part of `entry`, which must have its kind, call and nonce already.
    #[must_use]
    pub fn open(&self, entry: &Entry, fields: &Fields) -> Openings {
        fields.iter().map(|(field, value)| (field, Opening::Shown { salt: self.salt(entry, field), value })).collect()
    }

    /// Commits to `fields` as the private part of `entry`, which must have its kind, call and nonce already; `None` if
    /// there are no fields.
    #[must_use]
    pub fn commit(&self, entry: &Entry, fields: &Fields) -> Option<Commitment> {
        combine(fields.into_iter().map(|(field, value)| {
            let salt = self.salt(entry, *field);
            (*field, commit_to_field(*field, &salt, value))
        }))
    }
}

/// Commits to the value of one field under its salt: HMAC-SHA-256, spelled out, since a verifier makes millions of them and
/// a salt need not be wiped.
///
/// # Source
///
/// RFC 2104; RFC 6234.
#[must_use]
pub fn commit_to_field(field: Field, salt: &Salt, value: &[u8]) -> Commitment {
    let [mut inner, mut outer] = [[0x36; 64], [0x5c; 64]];
    for ((inner, outer), byte) in inner.iter_mut().zip(&mut outer).zip(salt) {
        *inner ^= byte;
        *outer ^= byte;
    }
    let length = (value.len() as u64).to_be_bytes();
    let hash = Sha256::new_with_prefix(inner).chain_update(FIELD).chain_update([field.id()]).chain_update(length);
    Sha256::new_with_prefix(outer).chain_update(hash.chain_update(value).finalize()).finalize().into()
}

/// Commits to a private part by the commitments to its fields, which must come in rising order; `None` without fields.
#[must_use]
pub fn combine(commitments: impl IntoIterator<Item = (Field, Commitment)>) -> Option<Commitment> {
    let mut hash = Sha256::new_with_prefix(PRIVATE);
    let mut any = false;
    for (field, commitment) in commitments {
        hash.update([field.id()]);
        hash.update(commitment);
        any = true;
    }
    any.then(|| hash.finalize().into())
}

/// Begins an HMAC-SHA-256 under a key of at most 64 bytes, which is padded with zeros to a block: what comes out is
/// the same as if the key had been a block of that content.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::<Sha256>::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::entry::Kind;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn counting() -> SaltKey {
        SaltKey::new(std::array::from_fn(|n| u8::try_from(n).unwrap()))
    }

    fn open() -> Entry {
        Entry { call: Some([0xaa; 16]), ..Entry::new(Kind::Open) }
    }

    /// Made with another implementation: the `hmac` and `hashlib` of Python, after `docs/log-format.md` section 2.
    #[test]
    fn salts_and_commitments_are_those_another_implementation_makes() {
        let key = counting().begin();
        let facts = key.salt(&open(), Field::Main);
        assert_eq!(hex(&facts), "78b7cff235041bb47f39582fcd156b05");
        assert_eq!(hex(&key.salt(&open(), Field::Request)), "29bac4aaefdbfc99bb6d3b741e92d7cd");
        assert_eq!(
            hex(&commit_to_field(Field::Main, &facts, br#"{"facts":1}"#)),
            "5f6e6386f992cb834229fcfa09848e1a4b81a50e9e42e6d8c54261924a18cbdc"
        );
        let fields = Fields::default()
            .with(Field::Request, Bytes::copy_from_slice(&[0x22; 32]))
            .with(Field::Main, Bytes::from_static(br#"{"facts":1}"#));
        assert_eq!(
            key.commit(&open(), &fields).map(|all| hex(&all)).as_deref(),
            Some("c5ae8fa10ead20128686eb410dc4fb87e60bc95f605d7651b93c991b7a501b6b")
        );
    }

    #[test]
    fn an_entry_without_a_call_is_salted_by_its_nonce() {
        let change = Entry { nonce: Some(*b"nonce123"), ..Entry::new(Kind::Registry) };
        assert_eq!(hex(&counting().begin().salt(&change, Field::Main)), "c2e4604277164544842905474714d6f4");
    }

    proptest! {
        #[test]
        fn a_commitment_is_the_hmac_of_the_field_under_its_salt(salt: Salt, at in 0_usize..6, value in vec(any::<u8>(), 0..200)) {
            let field = Field::ALL[at];
            let mac = keyed(&salt).chain_update(FIELD).chain_update([field.id()]);
            let mac = mac.chain_update((value.len() as u64).to_be_bytes()).chain_update(&value);
            let wanted: Commitment = mac.finalize().into_bytes().into();
            prop_assert_eq!(commit_to_field(field, &salt, &value), wanted);
        }
    }

    #[test]
    fn without_fields_there_is_no_commitment() {
        assert_eq!(counting().begin().commit(&open(), &Fields::default()), None);
        assert_eq!(combine([]), None);
    }

    prop_compose! {
        fn any_fields()(values in vec((0_usize..6, vec(any::<u8>(), 0..80)), 1..6)) -> Fields {
            values.into_iter().fold(Fields::default(), |fields, (at, value)| fields.with(Field::ALL[at], Bytes::from(value)))
        }
    }

    proptest! {
        #[test]
        fn whatever_is_withheld_the_rest_opens_the_commitment(key: [u8; 32], fields in any_fields(), shown: u8) {
            let key = SaltKey::new(key).begin();
            let commitment = key.commit(&open(), &fields);
            let openings = key.open(&open(), &fields).showing(|field| shown & (1 << field.id()) != 0);
            prop_assert_eq!(openings.commitment(), commitment);
            for (field, opening) in openings.iter() {
                prop_assert_eq!(matches!(opening, Opening::Shown { .. }), shown & (1 << field.id()) != 0);
            }
        }

        #[test]
        fn another_salt_value_or_set_of_fields_does_not_open_it(
            key: [u8; 32], fields in any_fields(), at: Index, bit in 0_usize..128,
        ) {
            let key = SaltKey::new(key).begin();
            let honest = key.open(&open(), &fields);
            let commitment = honest.commitment();
            let (chosen, _) = honest.iter().nth(at.index(fields.iter().count())).unwrap();
            let changed = |change: &dyn Fn(&mut Salt, &mut Vec<u8>)| -> Openings {
                honest.iter().map(|(field, opening)| {
                    let Opening::Shown { salt, value } = opening else { unreachable!() };
                    let (mut salt, mut value) = (*salt, value.to_vec());
                    if field == chosen {
                        change(&mut salt, &mut value);
                    }
                    (field, Opening::Shown { salt, value: value.into() })
                }).collect()
            };
            prop_assert_eq!(changed(&|_, _| ()).commitment(), commitment);
            prop_assert_ne!(changed(&|salt, _| salt[bit / 8] ^= 1 << (bit % 8)).commitment(), commitment);
            prop_assert_ne!(changed(&|_, value| value.push(0)).commitment(), commitment);
            let fewer: Openings = honest.iter().filter(|(field, _)| *field != chosen).map(|(f, o)| (f, o.clone())).collect();
            prop_assert_ne!(fewer.commitment(), commitment);
        }
    }
}
