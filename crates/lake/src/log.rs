//! The log on the local disk.

use ledger::{Kept, Reader};
use proof::{note::VerifierKey, tree::Hash};

use crate::{
    row::Record,
    source::{Records, Source, SourceError},
};

/// The log that a [`Reader`] reads.
#[derive(Clone, Debug)]
pub struct Log {
    reader: Reader,
    origin: String,
}

impl Log {
    /// Takes a log.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if the log's verifier key, which names it, cannot be read.
    pub fn new(reader: Reader) -> Result<Self, SourceError> {
        let key: VerifierKey = reader.verifier_key().map_err(unreadable)?.parse().map_err(unreadable)?;
        let origin = key.name().to_owned();
        Ok(Self { reader, origin })
    }
}

impl Source for Log {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn size(&self) -> Result<u64, SourceError> {
        self.reader.checkpoint_size().map_err(unreadable)
    }

    fn root(&self, first: u64, end: u64) -> Result<Hash, SourceError> {
        self.reader.subtree(first, end).map_err(unreadable)
    }

    fn records(&self, from: u64) -> Result<Records<'_>, SourceError> {
        let kept = self.reader.kept(from).map_err(unreadable)?;
        Ok(Box::new(kept.map(|kept| kept.map(record).map_err(unreadable))))
    }
}

fn record(kept: Kept) -> Record {
    let sealed = (!kept.sealed.is_empty()).then_some(kept.sealed);
    Record { leaf: kept.leaf, sealed }
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError(error.to_string())
}

impl Record {
    /// Returns the record as the ledger has it, to be opened by [`Reader::show`].
    #[must_use]
    pub fn kept(self, index: u64) -> Kept {
        Kept { index, leaf: self.leaf, sealed: self.sealed.unwrap_or_default() }
    }
}
