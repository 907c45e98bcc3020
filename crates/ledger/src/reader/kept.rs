//! Entries as they are kept, their private parts still sealed: for an archive that must not open them.

use std::io;

use proof::{
    tile::TileHashes,
    tree::{Hash, prove_inclusion, range_root, verify_inclusion},
};

use super::{Entries, Reader, Unopened};
use crate::{handle::LookupError, stored::Stored, tiles::Tiles, wal::Raw};

/// An entry as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub leaf: Vec<u8>,
    /// Its private part, sealed; empty if it has none. It can be opened for as long as its subject's key is there.
    pub sealed: Vec<u8>,
}

impl From<Unopened> for Kept {
    fn from(Unopened(Raw { index, leaf, sealed }): Unopened) -> Self {
        // What is copied does not keep the whole batch in memory.
        Self { index, leaf: leaf.to_vec(), sealed: sealed.to_vec() }
    }
}

/// The entries of a log as they are kept, in order. See [`Reader::kept`].
#[derive(Debug)]
pub struct KeptEntries(Entries);

impl Reader {
    /// Goes through the entries from index `from` on, in order, without opening their private parts.
    ///
    /// # Errors
    ///
    /// As [`Reader::entries`].
    pub fn kept(&self, from: u64) -> Result<KeptEntries, LookupError> {
        self.entries(from).map(KeptEntries)
    }

    /// Opens an entry that was kept elsewhere, with the keys of this log.
    ///
    /// # Errors
    ///
    /// [`LookupError::Damaged`] if it is no entry, or its private part is not what it commits to.
    pub fn show(&self, kept: Kept) -> Result<Stored, LookupError> {
        let Kept { index, leaf, sealed } = kept;
        let wal = self.segments(index).map_err(|error| super::lookup_error(index, error))?;
        self.view.show(Raw { index, leaf: leaf.into(), sealed: sealed.into() }, &|index| wal.place(index))
    }

    /// Returns the root over the entries from `first` up to and without `end`: a power of two of them, beginning at a
    /// multiple of their number. That it is a part of the tree of the latest signed checkpoint was checked.
    ///
    /// # Errors
    ///
    /// [`LookupError::NotYet`] beyond that checkpoint; [`LookupError::Damaged`] if the tiles have another root.
    pub fn subtree(&self, first: u64, end: u64) -> Result<Hash, LookupError> {
        let leaves = end.checked_sub(first).filter(|leaves| leaves.is_power_of_two() && first.is_multiple_of(*leaves));
        let leaves = leaves.ok_or(LookupError::Unknown(first))?;
        let signed = self.signed()?.filter(|signed| end <= signed.size).ok_or(LookupError::NotYet(first))?;
        let tiles = TileHashes::new(Tiles::new(&self.layout.log()), signed.size);
        let unread =
            |error: proof::tile::TileHashError<io::Error>| LookupError::Io(io::Error::other(error.to_string()));
        let root = range_root(&tiles, first, end).map_err(unread)?;
        let path = prove_inclusion(&tiles, first, signed.size).map_err(unread)?;
        // Above the subtree, the tree is one whose leaves are subtrees of this size, the last perhaps cut short.
        let above = path.get(leaves.trailing_zeros() as usize..).unwrap_or_default();
        verify_inclusion(&root, first / leaves, signed.size.div_ceil(leaves), above, &signed.root)
            .map_err(|_| LookupError::Damaged(first))?;
        Ok(root)
    }
}

impl Iterator for KeptEntries {
    type Item = Result<Kept, LookupError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_unopened().map(|read| read.map(Kept::from))
    }
}
