//! A log in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use lake::{Record, Records, Source, SourceError};
use proof::tree::{Frontier, Hash, leaf_hash};

pub(crate) const ORIGIN: &str = "log.example.com/exeat/1";

/// A log of these leaves; its checkpoint covers the first `size` of them.
pub(crate) struct Memory<'a> {
    pub(crate) records: &'a [Record],
    pub(crate) size: AtomicUsize,
}

pub(crate) fn root(records: &[Record]) -> Hash {
    let mut tree = Frontier::new();
    records.iter().for_each(|record| tree.push(leaf_hash(&record.leaf)));
    tree.root()
}

impl Memory<'_> {
    fn within(&self, first: u64, end: u64) -> Result<&[Record], SourceError> {
        let size = self.size.load(Ordering::SeqCst);
        let range = first as usize..(end as usize).min(size);
        if end != u64::MAX && end as usize > size {
            return Err(SourceError("no checkpoint covers that".to_owned()));
        }
        Ok(&self.records[range])
    }
}

impl Source for Memory<'_> {
    fn origin(&self) -> &str {
        ORIGIN
    }

    fn size(&self) -> Result<u64, SourceError> {
        Ok(self.size.load(Ordering::SeqCst) as u64)
    }

    fn root(&self, first: u64, end: u64) -> Result<Hash, SourceError> {
        self.within(first, end).map(root)
    }

    fn records(&self, from: u64) -> Result<Records<'_>, SourceError> {
        Ok(Box::new(self.within(from, u64::MAX)?.iter().cloned().map(Ok)))
    }
}
