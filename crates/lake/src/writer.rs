//! Writing one file of the lake: row after row, so that a span with large private parts takes no more memory than its file.

use std::sync::Arc;

use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    file::metadata::KeyValue,
};
use proof::{
    hex,
    tree::{Frontier, Hash, leaf_hash},
};

use crate::{
    chains::Chains,
    columns::{Columns, schema},
    file::{self, BadFile, File, Sealed},
    properties,
    row::{Record, Row},
    source::SourceError,
    span::Span,
};

/// A sealed private part of up to this many bytes is in the file, whatever else is.
const SMALL_BYTES_MAX: usize = 4 << 10;
/// Bytes that longer ones take together in one row group; with the small ones, 512 MiB at most.
const LONG_BYTES_MAX: usize = 256 << 20;
/// Rows that are turned into Parquet at a time.
const ROWS_AT_A_TIME: usize = 4_096;
/// Bytes of private parts that are turned into Parquet at a time, unless one alone has more.
const BYTES_AT_A_TIME: usize = 16 << 20;

/// A file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The log could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file that was to become part of a wider one could not be read.
    #[error(transparent)]
    Piece(#[from] BadFile),
    /// The log ends, or has other leaves, before the span does.
    #[error("leaf {0} of the span is not there: wait until the log has it")]
    Missing(u64),
    /// A leaf is no entry of the version that this program knows.
    #[error("leaf {0} is no entry of this version: use the program that wrote it")]
    NotAnEntry(u64),
    /// The encoder failed.
    #[error("cannot write Parquet: {0}")]
    Parquet(String),
    /// What was written does not read back as what the tree commits to.
    #[error("leaves {span}, written and read back, do not have the root of the tree: {why}")]
    Check {
        /// Which.
        span: Span,
        /// What differs.
        why: String,
    },
}

impl WriteError {
    /// Returns true if trying again cannot help: a person must look.
    pub(crate) fn is_alarm(&self) -> bool {
        !matches!(self, Self::Source(_) | Self::Missing(_))
    }
}

/// A file that was written and read back: the bytes, and the root that they have.
#[derive(Clone, Debug)]
pub struct Written {
    /// The Parquet file.
    pub bytes: Bytes,
    /// The root of the subtree over its leaves.
    pub root: Hash,
    /// SHA-256 of the sealed private parts that are in it.
    pub(crate) sealed: Hash,
    /// Private parts that there was no room for: they are in the log only.
    pub left: u64,
    /// When its first entry was written, in milliseconds since 1970.
    pub first_at_ms: u64,
    /// When its last entry was.
    pub last_at_ms: u64,
}

/// Writes the leaves of `span` of the log `origin`, which `records` gives in order.
///
/// A sealed private part of more than 4 KiB is left out where those before it in the row group have taken 256 MiB: whoever
/// writes the same leaves leaves out the same. The bytes are read back before this returns: leaf for leaf, with `root` over
/// them.
///
/// # Errors
///
/// [`WriteError`]: there is no file.
pub fn write<E>(
    origin: &str,
    span: Span,
    root: &Hash,
    records: impl Iterator<Item = Result<Record, E>>,
) -> Result<Written, WriteError>
where
    WriteError: From<E>,
{
    let mut writer = Writer::new()?;
    let mut records = records.fuse();
    for part in span.parts() {
        writer.group(part, &mut records)?;
    }
    let Writer { inner, tree, sealed, left, first_at_ms, last_at_ms, .. } = writer;
    if tree.root() != *root {
        return Err(WriteError::Check { span, why: "the log gave other leaves".to_owned() });
    }
    let sealed = sealed.digest();
    let bytes = finish(inner, file::keys(origin, span, &hex(&sealed), &hex(root)))?;
    let check = |why: BadFile| WriteError::Check { span, why: why.to_string() };
    File::open(bytes.clone()).and_then(|file| file.verify(root)).map_err(check)?;
    Ok(Written { bytes, root: *root, sealed, left, first_at_ms, last_at_ms })
}

struct Writer {
    inner: ArrowWriter<Vec<u8>>,
    columns: Columns,
    tree: Frontier,
    sealed: Sealed,
    left: u64,
    first_at_ms: u64,
    last_at_ms: u64,
}

impl Writer {
    fn new() -> Result<Self, WriteError> {
        let options = ArrowWriterOptions::new().with_properties(properties::all()).with_skip_arrow_metadata(true);
        let inner = ArrowWriter::try_new_with_options(Vec::new(), Arc::new(schema()), options).map_err(parquet)?;
        Ok(Self {
            inner,
            columns: Columns::new(),
            tree: Frontier::new(),
            sealed: Sealed::default(),
            left: 0,
            first_at_ms: 0,
            last_at_ms: 0,
        })
    }

    fn group<E>(&mut self, part: Span, records: &mut impl Iterator<Item = Result<Record, E>>) -> Result<(), WriteError>
    where
        WriteError: From<E>,
    {
        let (mut chains, mut room, mut waiting) = (Chains::default(), Room::default(), Waiting::default());
        for index in part.first()..part.end() {
            let mut record = records.next().ok_or(WriteError::Missing(index))??;
            self.left += u64::from(!room.keep(&mut record));
            let full = waiting.add(&record);
            self.row(index, record, &mut chains)?;
            if full {
                self.encode()?;
            }
        }
        self.encode()?;
        self.inner.flush().map_err(parquet)
    }

    fn row(&mut self, index: u64, record: Record, chains: &mut Chains) -> Result<(), WriteError> {
        let hash = leaf_hash(&record.leaf);
        let Record { leaf, sealed } = record;
        self.sealed.push(sealed.as_deref());
        let row = Row::of(index, leaf, chains).ok_or(WriteError::NotAnEntry(index))?;
        if self.tree.size() == 0 {
            self.first_at_ms = row.entry.at_ms;
        }
        self.last_at_ms = row.entry.at_ms;
        self.tree.push(hash);
        self.columns.push(&row, sealed.as_deref()).map_err(parquet)
    }

    /// Hands the rows that wait to the encoder, which packs them page by page.
    fn encode(&mut self) -> Result<(), WriteError> {
        let batch = self.columns.finish().map_err(parquet)?;
        self.inner.write(&batch).map_err(parquet)
    }
}

/// What room there still is for long private parts in a row group.
struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(LONG_BYTES_MAX)
    }
}

impl Room {
    /// Takes the private part from a record that there is no room for; says whether the record is still whole.
    fn keep(&mut self, record: &mut Record) -> bool {
        let bytes = record.sealed.as_ref().map_or(0, Vec::len);
        if bytes <= SMALL_BYTES_MAX {
            return true;
        }
        match self.0.checked_sub(bytes) {
            Some(rest) => self.0 = rest,
            None => record.sealed = None,
        }
        record.sealed.is_some()
    }
}

/// How much waits to be encoded.
#[derive(Default)]
struct Waiting {
    rows: usize,
    bytes: usize,
}

impl Waiting {
    /// Adds a record; true if that is enough to be encoded, and counting begins anew.
    fn add(&mut self, record: &Record) -> bool {
        self.rows += 1;
        self.bytes += record.sealed.as_ref().map_or(0, Vec::len);
        let full = self.rows >= ROWS_AT_A_TIME || self.bytes >= BYTES_AT_A_TIME;
        if full {
            *self = Self::default();
        }
        full
    }
}

fn finish(mut writer: ArrowWriter<Vec<u8>>, keys: Vec<KeyValue>) -> Result<Bytes, WriteError> {
    keys.into_iter().for_each(|key| writer.append_key_value_metadata(key));
    Ok(writer.into_inner().map_err(parquet)?.into())
}

fn parquet(error: impl std::fmt::Display) -> WriteError {
    WriteError::Parquet(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sealed: usize) -> Record {
        Record { leaf: Vec::new(), sealed: Some(vec![7; sealed]) }
    }

    #[test]
    fn small_private_parts_are_kept_whatever_the_long_ones_take() {
        let mut room = Room::default();
        let half = LONG_BYTES_MAX / 2 + 1;
        let kept = [half, half, SMALL_BYTES_MAX, half - 2, SMALL_BYTES_MAX + 1].map(|bytes| {
            let mut record = record(bytes);
            (room.keep(&mut record), record.sealed.is_some())
        });
        let whole = (true, true);
        assert_eq!(kept, [whole, (false, false), whole, whole, (false, false)]);
        assert!(room.keep(&mut Record { leaf: Vec::new(), sealed: None }));
    }

    #[test]
    fn what_waits_is_encoded_at_so_many_rows_or_bytes() {
        let mut waiting = Waiting::default();
        assert!((1..ROWS_AT_A_TIME).all(|_| !waiting.add(&record(1))));
        assert!(waiting.add(&record(1)) && !waiting.add(&record(1)));
        assert!(waiting.add(&record(BYTES_AT_A_TIME)));
    }
}
