//! Commitments: how an entry binds what the log does not show.
//!
//! The salt keeps a reader of the log from guessing what was committed to; whoever is given salt and private part
//! can check that they belong to the entry, and nobody can find another private part that does.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every commitment of this version begins with.
const LABEL: &[u8] = b"exeat/private/v1";

/// Commits to `private` under `salt`, which must be 16 fresh random bytes for each commitment.
///
/// The commitment is HMAC-SHA-256, keyed with the salt, over the 16 bytes `exeat/private/v1`, the length of the
/// private part as 8 bytes big endian, and the private part.
///
/// # Source
///
/// RFC 2104; RFC 6234.
#[must_use]
pub fn commit(salt: &[u8; 16], private: &[u8]) -> [u8; 32] {
    mac(salt, private).finalize().into_bytes().into()
}

/// Returns true if `commitment` is the one to `private` under `salt`; the time it takes tells nothing.
#[must_use]
pub fn matches(commitment: &[u8; 32], salt: &[u8; 16], private: &[u8]) -> bool {
    mac(salt, private).verify_slice(commitment).is_ok()
}

fn mac(salt: &[u8; 16], private: &[u8]) -> Hmac<Sha256> {
    // An HMAC-SHA-256 key of up to 64 bytes is padded with zeros to a block: the same as a block of that content.
    let mut key = [0; 64];
    let (head, _) = key.split_at_mut(salt.len());
    head.copy_from_slice(salt);
    Hmac::<Sha256>::new(&key.into())
        .chain_update(LABEL)
        .chain_update((private.len() as u64).to_be_bytes())
        .chain_update(private)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Made with another implementation: `hmac.new(salt, b"exeat/private/v1" + len.to_bytes(8, "big") + private)`.
    #[test]
    fn a_commitment_is_the_one_another_implementation_makes() {
        let salt: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        assert_eq!(
            hex(&commit(&salt, b"private part")),
            "e934fe77b5089b7ea6358a3f58a3ddb2c5c3b804a53c15424153aaa1bd2719a4"
        );
        assert_eq!(hex(&commit(&[0xff; 16], b"")), "9ac7e194c185b4ee78d7ab42065ad9f67c7ec3f7639d3b9fa5512df832a8d322");
    }

    proptest! {
        #[test]
        fn only_the_same_salt_and_private_part_match(salt: [u8; 16], private: Vec<u8>, bit in 0_usize..128) {
            let commitment = commit(&salt, &private);
            prop_assert!(matches(&commitment, &salt, &private));
            let mut other = salt;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches(&commitment, &other, &private));
            prop_assert!(!matches(&commitment, &salt, &[&private[..], &[0]].concat()));
        }
    }
}
