//! The head map as of a heads entry, in a file: derived from the log, and believed only if it has the entry's root.
//!
//! ```text
//! 0   8   "EXEATHDS"
//! 8   u32 format version, 1
//! 12  u32 zero
//! 16  u64 index of the heads entry
//! 24  u64 chains
//! 32      for each: class (1 byte), id (16), then the seven numbers of its head
//!     u32 CRC-32C of all before
//! ```
//! Numbers are little endian.

use std::path::Path;

use proof::{
    heads::{Chain, Head, Heads},
    tree::Hash,
};

use crate::{
    bytes::{Fields, checksum},
    chains::{self, Places},
};

const MAGIC: [u8; 8] = *b"EXEATHDS";
const VERSION: u32 = 1;
/// Bytes of one chain.
const CHAIN: usize = 17 + 7 * 8;

/// What the file says.
#[derive(Debug)]
pub(crate) struct Saved {
    /// The index of the heads entry.
    pub(crate) index: u64,
    heads: Vec<(Chain, Head)>,
}

impl Saved {
    /// Writes the map as of the heads entry at `index`.
    pub(crate) fn encode(index: u64, heads: &Heads) -> Vec<u8> {
        let chains = usize::try_from(heads.chains()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(chains.saturating_mul(CHAIN).saturating_add(64));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&index.to_le_bytes());
        bytes.extend_from_slice(&heads.chains().to_le_bytes());
        for (chain, head) in heads.iter() {
            chains::encode(&chain, &mut bytes);
            bytes.extend_from_slice(numbers(&head).map(u64::to_le_bytes).as_flattened());
        }
        bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
        bytes
    }

    /// Reads the file at `path`; `None` if there is none, or not a whole one.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::decode(&std::fs::read(path).ok()?)
    }

    /// Reads what the file holds; `None` if it is not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        let mut fields = Fields(covered);
        if checksum(&[covered]) != u32::from_le_bytes(*crc) || fields.array()? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        let zero = fields.u32()?;
        let (index, count) = (fields.u64()?, fields.u64()?);
        let whole = zero == 0 && fields.0.len() as u64 == count.checked_mul(CHAIN as u64)?;
        if !whole {
            return None;
        }
        let heads = (0..count).map(|_| decode_head(&mut fields)).collect::<Option<_>>()?;
        Some(Self { index, heads })
    }

    /// Returns where every chain stood, if that is what `root` commits to; otherwise all as it was.
    pub(crate) fn restore(self, root: Option<Hash>) -> Result<Places, Self> {
        let mut heads = Heads::new();
        self.heads.iter().for_each(|(chain, head)| heads.set(*chain, *head));
        if root != Some(heads.root()) {
            return Err(self);
        }
        let mut places = Places::default();
        self.heads.into_iter().for_each(|(chain, head)| places.restore(chain, head));
        Ok(places)
    }
}

fn decode_head(fields: &mut Fields<'_>) -> Option<(Chain, Head)> {
    let chain = chains::decode(fields)?;
    let [seq, last, calls, refusals] = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    let [input, output, events] = [fields.u64()?, fields.u64()?, fields.u64()?];
    Some((chain, Head { seq, last, calls, refusals, input, output, events }))
}

fn numbers(head: &Head) -> [u64; 7] {
    [head.seq, head.last, head.calls, head.refusals, head.input, head.output, head.events]
}

#[cfg(test)]
mod tests {
    use proof::entry::Class;
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    prop_compose! {
        fn any_heads()(told in btree_map(any::<[u8; 16]>(), any::<[u64; 7]>(), 0..40)) -> Heads {
            let mut heads = Heads::new();
            for (id, [seq, last, calls, refusals, input, output, events]) in told {
                let head = Head { seq, last, calls, refusals, input, output, events };
                heads.set(Chain { class: Class::Key, id }, head);
            }
            heads
        }
    }

    proptest! {
        #[test]
        fn what_is_saved_is_restored_under_its_own_root_alone(mut heads in any_heads(), index: u64) {
            let bytes = Saved::encode(index, &heads);
            let read = || Saved::decode(&bytes).unwrap();
            prop_assert_eq!(read().index, index);
            let mut places = read().restore(Some(heads.root())).unwrap();
            prop_assert_eq!(places.take_grown().len() as u64, heads.chains());
            prop_assert!(read().restore(Some([1; 32])).is_err());
            prop_assert!(read().restore(None).is_err());
        }

        #[test]
        fn a_file_with_one_bit_flipped_is_ignored(heads in any_heads(), bit: prop::sample::Index) {
            let mut bytes = Saved::encode(7, &heads);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Saved::decode(&bytes).is_none());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = Saved::decode(&bytes);
        }
    }
}
