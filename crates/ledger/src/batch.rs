//! What one commit writes: a header and the frames of its entries, filled up with zeros to whole blocks.
//!
//! ```text
//! 0    8   "EXEATWAL"
//! 8    u32 format version, 2
//! 12   u32 entries
//! 16   u64 epoch: the opening of the log that wrote it
//! 24   u64 segment, counted from 0
//! 32   u64 batch, counted from 0 over the whole log
//! 40   u64 index of the first entry
//! 48   u64 bytes of the frames
//! 56   32  SHA-256 of the previous batch's header; zeros in the first batch of the log
//! 88   32  root of the tree after this batch
//! 120  u32 slots of the vault that were durable before this batch
//! 124  u32 CRC-32C of the header before this field
//! 128      frames, then zeros up to a multiple of 4096 bytes
//! ```
//! Numbers are little endian. The header is covered by its checksum, each frame by its own, all leaves by the root,
//! and all earlier batches by the chain of predecessors; bytes left by an earlier use of the place have another segment, batch
//! number or predecessor.

use proof::tree::{Frontier, Hash};
use sha2::{Digest, Sha256};

use crate::{
    bytes::{Fields, checksum, length, padded, size},
    frame::{BadFrame, Frame},
};

/// Bytes of a batch before its frames.
pub(crate) const HEADER: usize = 128;
const MAGIC: [u8; 8] = *b"EXEATWAL";
const VERSION: u32 = 2;

/// The header of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) count: u32,
    pub(crate) epoch: u64,
    pub(crate) segment: u64,
    pub(crate) seq: u64,
    pub(crate) first: u64,
    pub(crate) bytes: u64,
    pub(crate) prev: Hash,
    pub(crate) root: Hash,
    pub(crate) slots: u32,
}

/// The bytes are not the batch that belongs here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadBatch {
    #[error("the batch header does not match its checksum")]
    Header,
    #[error("the batch was written for another place: its {0} is not the next")]
    Place(&'static str),
    #[error("the batch is cut short")]
    Short,
    #[error("{0}")]
    Frame(#[from] BadFrame),
    #[error("the batch has another number of frames than it says")]
    Count,
    #[error("the batch is not followed by zeros")]
    Padding,
    #[error("the leaves of the batch do not have its root")]
    Root,
}

impl Header {
    /// Writes the header.
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        for field in [self.epoch, self.segment, self.seq, self.first, self.bytes] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.prev);
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.slots.to_le_bytes());
        bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads a header; `None` if the bytes are none.
    pub(crate) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        let mut fields = Fields(covered);
        if checksum(&[covered]) != u32::from_le_bytes(*crc) || fields.array()? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        Some(Self {
            count: fields.u32()?,
            epoch: fields.u64()?,
            segment: fields.u64()?,
            seq: fields.u64()?,
            first: fields.u64()?,
            bytes: fields.u64()?,
            prev: fields.array()?,
            root: fields.array()?,
            slots: fields.u32()?,
        })
    }

    /// Returns what the next batch names as its predecessor.
    pub(crate) fn hash(&self) -> Hash {
        Sha256::digest(self.encode()).into()
    }

    /// Returns the bytes the batch takes, with header and padding.
    pub(crate) fn length(&self) -> u64 {
        padded(size(&[0; HEADER]).saturating_add(self.bytes))
    }

    /// Returns the index after the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Where the log stands after a batch: all that the next one must continue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Position {
    /// The least epoch the next batch may have.
    pub(crate) epoch: u64,
    /// The segment it must be in.
    pub(crate) segment: u64,
    /// Its number.
    pub(crate) seq: u64,
    /// Its predecessor.
    pub(crate) prev: Hash,
    /// The tree before it.
    pub(crate) tree: Frontier,
    /// Slots of the vault that must be there.
    pub(crate) slots: u32,
}

impl Position {
    /// Makes the header of the next batch, whose leaves are `leaves` and whose frames take `bytes`, and moves past it.
    pub(crate) fn append(&mut self, leaves: &[Hash], bytes: u64) -> Header {
        let first = self.tree.size();
        leaves.iter().for_each(|leaf| self.tree.push(*leaf));
        let header = Header {
            count: u32::try_from(leaves.len()).unwrap_or(u32::MAX),
            epoch: self.epoch,
            segment: self.segment,
            seq: self.seq,
            first,
            bytes,
            prev: self.prev,
            root: self.tree.root(),
            slots: self.slots,
        };
        self.pass(&header);
        header
    }

    /// Returns why `header` is not the next batch's, if it is not.
    pub(crate) fn place(&self, header: &Header) -> Result<(), BadBatch> {
        let expected = [
            ("segment", header.segment == self.segment),
            ("number", header.seq == self.seq),
            ("first index", header.first == self.tree.size()),
            ("predecessor", header.prev == self.prev),
            ("epoch", header.epoch >= self.epoch),
            ("number of keys", header.slots >= self.slots),
        ];
        match expected.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(BadBatch::Place(what)),
            None => Ok(()),
        }
    }

    /// Checks the batch in `bytes`, which begin with its frames and end with its padding, and moves past it. Returns
    /// the frames with the hashes of their leaves.
    pub(crate) fn check<'a>(&mut self, header: &Header, bytes: &'a [u8]) -> Result<Vec<(Frame<'a>, Hash)>, BadBatch> {
        self.place(header)?;
        let frames: Vec<_> = frames(header, bytes)?.into_iter().map(|frame| (frame, frame.hash())).collect();
        let mut tree = self.tree.clone();
        frames.iter().for_each(|(_, hash)| tree.push(*hash));
        if tree.root() != header.root {
            return Err(BadBatch::Root);
        }
        self.tree = tree;
        self.pass(header);
        Ok(frames)
    }

    fn pass(&mut self, header: &Header) {
        self.epoch = header.epoch;
        self.seq = header.seq.saturating_add(1);
        self.prev = header.hash();
        self.slots = header.slots;
    }
}

/// Returns the frames in `bytes`, checked against their checksums and the header's count, and the zeros after them.
pub(crate) fn frames<'a>(header: &Header, bytes: &'a [u8]) -> Result<Vec<Frame<'a>>, BadBatch> {
    let (body, padding) = bytes.split_at_checked(length(header.bytes)).ok_or(BadBatch::Short)?;
    let mut fields = Fields(body);
    let mut frames = Vec::new();
    while !fields.0.is_empty() {
        frames.push(Frame::decode(&mut fields)?);
    }
    if u32::try_from(frames.len()) != Ok(header.count) || header.count == 0 {
        return Err(BadBatch::Count);
    }
    if padding.iter().any(|byte| *byte != 0) {
        return Err(BadBatch::Padding);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::pad;

    fn batch(position: &mut Position, leaves: &[Vec<u8>]) -> Vec<u8> {
        let frame = |leaf| Frame { leaf, sealed: b"sealed" };
        let frames: Vec<u8> = leaves.iter().flat_map(|leaf| frame(leaf.as_slice()).encode().unwrap()).collect();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| frame(leaf).hash()).collect();
        let header = position.append(&hashes, size(&frames));
        let mut bytes = [header.encode().as_slice(), &frames].concat();
        pad(&mut bytes);
        bytes
    }

    fn check(position: &mut Position, bytes: &[u8]) -> Result<usize, BadBatch> {
        let (header, rest) = bytes.split_first_chunk().unwrap();
        let header = Header::decode(header).ok_or(BadBatch::Header)?;
        position.check(&header, rest).map(|frames| frames.len())
    }

    fn leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..40)
    }

    proptest! {
        #[test]
        fn what_is_appended_is_what_is_checked(batches in proptest::collection::vec(leaves(), 1..5)) {
            let (mut writing, mut reading) = (Position::default(), Position::default());
            for leaves in batches {
                let bytes = batch(&mut writing, &leaves);
                prop_assert_eq!(bytes.len() % 4_096, 0);
                prop_assert_eq!(check(&mut reading, &bytes), Ok(leaves.len()));
            }
            prop_assert_eq!(reading, writing);
        }

        #[test]
        fn a_batch_with_one_bit_flipped_anywhere_is_refused(leaves in leaves(), bit: prop::sample::Index) {
            let mut bytes = batch(&mut Position::default(), &leaves);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(check(&mut Position::default(), &bytes).is_err());
        }
    }

    #[test]
    fn a_batch_is_refused_in_any_place_but_its_own() {
        let mut position = Position::default();
        let first = batch(&mut position, &[b"one".to_vec()]);
        let second = batch(&mut position.clone(), &[b"two".to_vec()]);
        assert_eq!(check(&mut Position::default(), &second), Err(BadBatch::Place("number")));
        assert_eq!(check(&mut position.clone(), &first), Err(BadBatch::Place("number")));
        position.segment = 1;
        assert_eq!(check(&mut position, &second), Err(BadBatch::Place("segment")));
        position.segment = 0;
        position.epoch = 1;
        assert_eq!(check(&mut position, &second), Err(BadBatch::Place("epoch")));
        position.epoch = 0;
        position.slots = 1;
        assert_eq!(check(&mut position, &second), Err(BadBatch::Place("number of keys")));
        position.slots = 0;
        position.prev = [1; 32];
        assert_eq!(check(&mut position, &second), Err(BadBatch::Place("predecessor")));
    }
}
