//! What a segment begins with: where the log stands, so that reading can begin here.
//!
//! ```text
//! 0   8   "EXEATSEG"
//! 8   u32 format version, 2
//! 12  u32 bytes of the header, with its checksum and without padding
//! 16  u64 epoch
//! 24  u64 segment, counted from 0
//! 32  u64 number of the first batch
//! 40  u64 time of the last entry, in milliseconds since the Unix epoch
//! 48  32  SHA-256 of the previous batch's header
//! 80  u64 slots of the vault that are durable
//! 88  u64 entries before this segment
//! 96      hashes of the frontier of the tree, 32 bytes for each bit set in that number
//!         open calls: u32 how many; each u64 index, 16 call, u16 + subject, u16 + model, u64 lease (all ones: none),
//!                     u8 how many chains; each u8 class, 16 id
//!     u32 CRC-32C of all before
//!         zeros up to a multiple of 4096 bytes; then batches
//! ```
//! Numbers are little endian. A segment has its name, the index of its first entry in 20 digits, only once this
//! header is durable, and nothing overwrites the header afterwards.

use proof::tree::Frontier;

use crate::{
    batch::Position,
    bytes::{Fields, checksum, pad, padded},
    calls::OpenCalls,
};

const MAGIC: [u8; 8] = *b"EXEATSEG";
const VERSION: u32 = 2;
/// Bytes that tell how long the header is.
pub(crate) const PREFIX: usize = 16;

/// Where the log stands at the beginning of a segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Start {
    pub(crate) position: Position,
    pub(crate) last_at_ms: u64,
    pub(crate) calls: OpenCalls,
}

impl Start {
    /// Writes the header, padded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let Position { epoch, segment, seq, prev, tree, slots } = &self.position;
        for field in [*epoch, *segment, *seq, self.last_at_ms] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(prev);
        bytes.extend_from_slice(&u64::from(*slots).to_le_bytes());
        bytes.extend_from_slice(&tree.size().to_le_bytes());
        tree.hashes().iter().for_each(|hash| bytes.extend_from_slice(hash));
        self.calls.encode(&mut bytes);
        let length = u32::try_from(bytes.len() + 4).unwrap_or(u32::MAX);
        if let Some(field) = bytes.get_mut(12..PREFIX) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
        pad(&mut bytes);
        bytes
    }

    /// Returns the bytes the header takes without padding, from its first [`PREFIX`] bytes; `None` if it is none.
    pub(crate) fn length(prefix: [u8; PREFIX]) -> Option<u64> {
        let mut fields = Fields(&prefix);
        if fields.array()? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        fields.u32().map(u64::from)
    }

    /// Reads a header from its bytes without padding; `None` if they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        if checksum(&[covered]) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut fields = Fields(covered);
        fields.take(PREFIX)?;
        let (epoch, segment, seq) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let last_at_ms = fields.u64()?;
        let prev = fields.array()?;
        let slots = u32::try_from(fields.u64()?).ok()?;
        let tree = decode_tree(&mut fields)?;
        let calls = OpenCalls::decode(&mut fields)?;
        let position = Position { epoch, segment, seq, prev, tree, slots };
        fields.0.is_empty().then_some(Self { position, last_at_ms, calls })
    }
}

fn decode_tree(fields: &mut Fields<'_>) -> Option<Frontier> {
    let entries = fields.u64()?;
    let hashes: Option<Vec<_>> = (0..entries.count_ones()).map(|_| fields.array()).collect();
    Frontier::from_parts(entries, hashes?).ok()
}

/// Returns where the first batch begins after a header of `length` bytes.
pub(crate) fn first_batch(length: u64) -> u64 {
    padded(length)
}

/// Returns the name of the segment whose first entry has the index `first`.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// Returns the index of the first entry of the segment of this name; `None` if no segment is named so.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let first = name.strip_suffix(".seg")?.parse().ok()?;
    (self::name(first) == name).then_some(first)
}

#[cfg(test)]
mod tests {
    use proof::{entry::Class, heads::Chain};
    use proptest::prelude::*;

    use super::*;
    use crate::calls::{Change, OpenCall};

    fn start(entries: u64, calls: u64) -> Start {
        let mut start = Start { last_at_ms: 1_781_299_260_000, ..Start::default() };
        start.position.epoch = 3;
        start.position.prev = [9; 32];
        for index in 0..entries {
            start.position.tree.push(proof::tree::leaf_hash(&index.to_be_bytes()));
        }
        for index in 0..calls {
            let call = OpenCall {
                call: [1; 16],
                subject: Some([2; 16]),
                model: Some("ember-2".to_owned()),
                chains: vec![Chain { class: Class::Model, id: [3; 16] }],
                lease: Some(1_024),
            };
            start.calls.apply(Change::Opens(index, call));
        }
        start
    }

    proptest! {
        #[test]
        fn a_header_reads_back_from_the_bytes_it_says_it_has(entries in 0_u64..100, calls in 0_u64..300) {
            let start = start(entries, calls);
            let bytes = start.encode();
            prop_assert_eq!(bytes.len() % 4_096, 0);
            let length = usize::try_from(Start::length(*bytes.first_chunk().unwrap()).unwrap()).unwrap();
            prop_assert_eq!(Start::decode(&bytes[..length]), Some(start));
            prop_assert_eq!(first_batch(length as u64), crate::bytes::size(&bytes));
        }

        #[test]
        fn a_header_with_one_bit_flipped_is_refused(bit: prop::sample::Index) {
            let bytes = start(5, 2).encode();
            let length = usize::try_from(Start::length(*bytes.first_chunk().unwrap()).unwrap()).unwrap();
            let mut bytes = bytes[..length].to_vec();
            let bit = bit.index(length * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Start::decode(&bytes), None);
        }
    }

    #[test]
    fn a_segment_is_named_by_its_first_index_in_twenty_digits() {
        assert_eq!(name(42), "00000000000000000042.seg");
        assert_eq!(first_of(&name(u64::MAX)), Some(u64::MAX));
        for other in ["42.seg", "00000000000000000042", "spare.pre", "+0000000000000000042.seg"] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }
}
