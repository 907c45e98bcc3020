//! One entry as a segment keeps it: the leaf and the private part, sealed (see [`crate::seal`]), under one checksum.
//!
//! ```text
//! 0   u32  bytes after this field and the next
//! 4   u32  CRC-32C of the length and of everything after this field
//! 8   u32  bytes of the leaf
//! 12       leaf, then the sealed private part; nothing if there is none
//! ```
//! Numbers are little endian.

use proof::tree::{Hash, leaf_hash};

use crate::bytes::{Fields, checksum};

/// Bytes of a frame before its leaf.
pub(crate) const HEAD: usize = 12;

/// A frame as it was read, still within the bytes of its batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Frame<'a> {
    pub(crate) leaf: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

/// The bytes are not a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("a frame is cut short")]
    Short,
    #[error("a frame does not match its checksum")]
    Checksum,
    #[error("a frame has a leaf longer than itself")]
    Leaf,
}

impl<'a> Frame<'a> {
    /// Returns what stands before the leaf; `None` if the frame is longer than four bytes can say.
    pub(crate) fn head(&self) -> Option<[u8; HEAD]> {
        let length = u32::try_from(self.length() - 8).ok()?.to_le_bytes();
        let leaf = u32::try_from(self.leaf.len()).ok()?.to_le_bytes();
        let crc = checksum(&[&length, &leaf, self.leaf, self.sealed]).to_le_bytes();
        let mut head = [0; HEAD];
        head.copy_from_slice([length, crc, leaf].as_flattened());
        Some(head)
    }

    /// Appends the frame to `bytes`; `head` is its own.
    pub(crate) fn write(&self, head: &[u8; HEAD], bytes: &mut Vec<u8>) {
        [head, self.leaf, self.sealed].iter().for_each(|piece| bytes.extend_from_slice(piece));
    }

    /// Returns how many bytes the frame takes.
    pub(crate) fn length(&self) -> usize {
        HEAD + self.leaf.len() + self.sealed.len()
    }

    /// Returns the frame's bytes.
    #[cfg(test)]
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&self.head()?, &mut bytes);
        Some(bytes)
    }

    /// Takes one frame off the front of `fields`.
    pub(crate) fn decode(fields: &mut Fields<'a>) -> Result<Self, BadFrame> {
        let length = fields.array::<4>().ok_or(BadFrame::Short)?;
        let crc = fields.u32().ok_or(BadFrame::Short)?;
        let count = usize::try_from(u32::from_le_bytes(length)).map_err(|_| BadFrame::Short)?;
        let body = fields.take(count).ok_or(BadFrame::Short)?;
        if checksum(&[&length, body]) != crc {
            return Err(BadFrame::Checksum);
        }
        Self::split(body).ok_or(BadFrame::Leaf)
    }

    fn split(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let leaf = usize::try_from(fields.u32()?).ok()?;
        let leaf = fields.take(leaf)?;
        Some(Self { leaf, sealed: fields.0 })
    }

    /// Returns the hash of the leaf in the tree.
    pub(crate) fn hash(&self) -> Hash {
        leaf_hash(self.leaf)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_frame_reads_back_and_leaves_what_follows(
            leaf in proptest::collection::vec(any::<u8>(), 0..300),
            sealed in proptest::collection::vec(any::<u8>(), 0..300),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let frame = Frame { leaf: &leaf, sealed: &sealed };
            let mut bytes = frame.encode().unwrap();
            prop_assert_eq!(bytes.len(), 12 + leaf.len() + sealed.len());
            bytes.extend_from_slice(&rest);
            let mut fields = Fields(&bytes);
            prop_assert_eq!(Frame::decode(&mut fields).unwrap(), frame);
            prop_assert_eq!(fields.0, rest);
        }

        #[test]
        fn a_frame_with_one_bit_flipped_is_refused(
            leaf in proptest::collection::vec(any::<u8>(), 0..100),
            sealed in proptest::collection::vec(any::<u8>(), 0..100),
            bit: prop::sample::Index,
        ) {
            let frame = Frame { leaf: &leaf, sealed: &sealed };
            let mut bytes = frame.encode().unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Frame::decode(&mut Fields(&bytes)).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = Frame::decode(&mut Fields(&bytes));
        }
    }
}
