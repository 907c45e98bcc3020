//! One key as the vault keeps it, in a slot of its own.
//!
//! ```text
//! 0    8   "EXEATKEY"
//! 8    u32 format version, 1
//! 12   u32 epoch
//! 16   16  subject
//! 32   u32 1: kept, 2: destroyed
//! 36   12  nonce
//! 48   48  the key, sealed with AES-256-GCM under the vault's key, with bytes 0 to 35 as additional data; zeros if
//!          destroyed
//! 96   28  zeros
//! 124  u32 CRC-32C of all before
//! ```
//! Numbers are little endian. A slot lies within one sector, so a cut of power leaves it old or new.

use proof::commit::SaltKey;

use super::cipher::{Cipher, NONCE, TAG};
use crate::bytes::{Fields, checksum};

/// Bytes of a slot.
pub(crate) const SLOT: usize = 128;
const MAGIC: [u8; 8] = *b"EXEATKEY";
const VERSION: u32 = 1;
/// Where the part ends that a sealed key is bound to.
const NAMED: usize = 36;
const KEPT: u32 = 1;
const DESTROYED: u32 = 2;

/// Whose key it is, and of which epoch.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Owner {
    pub(crate) subject: [u8; 16],
    pub(crate) epoch: u32,
}

/// What is in a slot.
pub(crate) enum Content {
    Kept(SaltKey),
    Destroyed,
}

/// What a slot was found to be.
pub(crate) enum Found {
    /// Nothing was ever written there.
    Blank,
    Slot(Owner, Content),
    /// Torn, damaged, or sealed under another key.
    Bad,
}

/// Writes a slot; `nonce` must be fresh. `None` if the key could not be sealed.
pub(crate) fn encode(owner: Owner, content: &Content, cipher: &Cipher, nonce: [u8; NONCE]) -> Option<[u8; SLOT]> {
    let state = if matches!(content, Content::Kept(_)) { KEPT } else { DESTROYED };
    let mut bytes = Vec::with_capacity(SLOT);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&owner.epoch.to_le_bytes());
    bytes.extend_from_slice(&owner.subject);
    bytes.extend_from_slice(&state.to_le_bytes());
    if let Content::Kept(key) = content {
        let mut sealed = key.bytes().to_vec();
        cipher.seal(nonce, &bytes, &mut sealed)?;
        bytes.extend_from_slice(&nonce);
        bytes.append(&mut sealed);
    }
    bytes.resize(SLOT - 4, 0);
    bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
    bytes.as_slice().try_into().ok()
}

/// Reads a slot.
pub(crate) fn decode(bytes: &[u8; SLOT], cipher: &Cipher) -> Found {
    if bytes.iter().all(|byte| *byte == 0) {
        return Found::Blank;
    }
    parse(bytes, cipher).map_or(Found::Bad, |(owner, content)| Found::Slot(owner, content))
}

fn parse(bytes: &[u8; SLOT], cipher: &Cipher) -> Option<(Owner, Content)> {
    let (covered, crc) = bytes.split_last_chunk::<4>()?;
    let mut fields = Fields(covered);
    if checksum(&[covered]) != u32::from_le_bytes(*crc) || fields.array()? != MAGIC || fields.u32()? != VERSION {
        return None;
    }
    let owner = Owner { epoch: fields.u32()?, subject: fields.array()? };
    let state = fields.u32()?;
    if state == DESTROYED {
        return fields.0.iter().all(|byte| *byte == 0).then_some((owner, Content::Destroyed));
    }
    let nonce = fields.array()?;
    let sealed = fields.take(32 + TAG)?;
    let key = cipher.open(nonce, bytes.get(..NAMED)?, sealed)?;
    let key = SaltKey::new(key.as_slice().try_into().ok()?);
    (state == KEPT).then_some((owner, Content::Kept(key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: Owner = Owner { subject: [7; 16], epoch: 8_106 };

    fn cipher(byte: u8) -> Cipher {
        Cipher::new(&[byte; 32]).unwrap()
    }

    fn kept() -> [u8; SLOT] {
        encode(OWNER, &Content::Kept(SaltKey::new([9; 32])), &cipher(1), [3; NONCE]).unwrap()
    }

    #[test]
    fn a_slot_reads_back_and_says_whose_it_is() {
        let Found::Slot(owner, Content::Kept(key)) = decode(&kept(), &cipher(1)) else { panic!() };
        assert_eq!((owner, key.bytes()), (OWNER, &[9; 32]));
        let destroyed = encode(OWNER, &Content::Destroyed, &cipher(1), [3; NONCE]).unwrap();
        assert!(matches!(decode(&destroyed, &cipher(1)), Found::Slot(OWNER, Content::Destroyed)));
        assert!(matches!(decode(&[0; SLOT], &cipher(1)), Found::Blank));
    }

    #[test]
    fn the_key_is_not_in_the_bytes_and_opens_under_no_other() {
        assert!(!kept().windows(32).any(|window| window == [9; 32]));
        assert!(matches!(decode(&kept(), &cipher(2)), Found::Bad));
    }

    proptest! {
        #[test]
        fn a_slot_with_one_bit_flipped_is_bad(bit in 0..SLOT * 8) {
            let mut bytes = kept();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(matches!(decode(&bytes, &cipher(1)), Found::Bad));
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), SLOT)) {
            let _read = decode(bytes.as_slice().try_into().unwrap(), &cipher(1));
        }
    }
}
