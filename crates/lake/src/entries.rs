//! The leaves of a log from wherever they are: the lake, and for the rest the log itself.

use std::ops::Range;

use tokio::runtime::Handle;

use crate::{
    file::{BadFile, Leaves},
    place::{Files, Place, ReadError},
    row::Record,
    source::{Records, Source, SourceError},
    store::StoreError,
};

/// Leaves of a log in order, each with its index. Blocks: not to be used within an asynchronous task.
///
/// Every file is checked whole against a root that a signed checkpoint covers, before its first leaf is given.
pub struct Entries<'a> {
    source: &'a dyn Source,
    lake: Option<Lake>,
    /// What is read next, and where to stop.
    range: Range<u64>,
    /// The file of the lake that is read.
    file: Option<Leaves>,
    /// The log's own leaves, once the lake has no more.
    rest: Option<Records<'a>>,
}

struct Lake {
    runtime: Handle,
    place: Place,
    files: Files,
}

/// Leaves cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    /// The log could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The lake could not be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of the lake that was checked cannot be read once more.
    #[error(transparent)]
    Bad(BadFile),
    /// The log ends before the range does.
    #[error("the log has no leaf {0}")]
    End(u64),
    /// A leaf is no entry of the version that this program knows.
    #[error("leaf {0} is no entry of this version: use the program that wrote it")]
    NotAnEntry(u64),
}

impl<'a> Entries<'a> {
    /// Goes through the leaves of `range`, from `place` as far as that has them. Its runtime must have a thread of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the lake cannot be listed.
    pub fn new(source: &'a dyn Source, place: Option<(Handle, Place)>, range: Range<u64>) -> Result<Self, StoreError> {
        let lake = match place {
            Some((runtime, place)) => {
                let files = runtime.block_on(place.files())?;
                Some(Lake { runtime, place, files })
            }
            None => None,
        };
        Ok(Self { source, lake, range, file: None, rest: None })
    }

    /// Returns the next leaf of the file that is read; the next file is opened where one ends.
    fn next_in_lake(&mut self) -> Result<Option<Record>, EntriesError> {
        if let Some(record) = self.file.as_mut().and_then(Leaves::next) {
            return Ok(Some(record.map_err(EntriesError::Bad)?));
        }
        let at = self.range.start;
        let Some(lake) = &self.lake else { return Ok(None) };
        let Some((span, path)) = lake.files.at(at) else { return Ok(None) };
        let root = self.source.root(span.first(), span.end())?;
        let mut leaves = lake.runtime.block_on(lake.place.file(path, span, &root))?.leaves();
        let passed = usize::try_from(at - span.first()).unwrap_or(usize::MAX);
        let record = leaves.nth(passed).transpose().map_err(EntriesError::Bad)?;
        self.file = Some(leaves);
        Ok(record)
    }

    fn next_in_log(&mut self) -> Result<Record, EntriesError> {
        let at = self.range.start;
        let rest = match &mut self.rest {
            Some(rest) => rest,
            None => self.rest.insert(self.source.records(at)?),
        };
        Ok(rest.next().ok_or(EntriesError::End(at))??)
    }

    fn step(&mut self) -> Result<(u64, Record), EntriesError> {
        let index = self.range.start;
        let in_lake = if self.rest.is_none() { self.next_in_lake()? } else { None };
        let record = match in_lake {
            Some(record) => record,
            None => self.next_in_log()?,
        };
        self.range.start += 1;
        Ok((index, record))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(u64, Record), EntriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.range.start = self.range.end;
        }
        Some(step)
    }
}
