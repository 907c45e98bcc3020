//! The log as the lake sees it: leaves with their private parts as they are sealed, and roots that a checkpoint covers.

use proof::tree::Hash;

use crate::row::Record;

/// A log that is read; [`crate::Log`] is the one on the local disk.
pub trait Source: Send + Sync {
    /// Returns the log's name, as in its checkpoints.
    fn origin(&self) -> &str;

    /// Returns how many leaves the latest checkpoint covers, its signature checked.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    fn size(&self) -> Result<u64, SourceError>;

    /// Returns the root over the leaves from `first` up to and without `end`, which must be one subtree; that it is part
    /// of the tree of the latest checkpoint was checked.
    ///
    /// # Errors
    ///
    /// [`SourceError`], also beyond the latest checkpoint.
    fn root(&self, first: u64, end: u64) -> Result<Hash, SourceError>;

    /// Goes through the leaves from `from` on, in order, to the end that the log has by then.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    fn records(&self, from: u64) -> Result<Records<'_>, SourceError>;
}

/// Leaves, one after another.
pub type Records<'a> = Box<dyn Iterator<Item = Result<Record, SourceError>> + Send + 'a>;

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log: {0}")]
pub struct SourceError(pub String);
