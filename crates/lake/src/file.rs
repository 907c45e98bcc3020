//! Reading one file of the lake: Parquet back into leaves, checked against one hash of the tree.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    },
    file::metadata::KeyValue,
};
use proof::{
    entry::Entry,
    hex,
    tree::{Frontier, Hash, leaf_hash},
};
use sha2::{Digest, Sha256};

use crate::{
    bounds::Bounds,
    chains::Chains,
    columns::{Rows, schema_digest},
    footer,
    row::Record,
    span::{SPAN_LEAVES, Span},
};

/// What the metadata of every file of this version says under `exeat.format`.
pub const FORMAT: &str = "exeat-lake/v2";
/// A file that would unpack to more bytes than this is not read: 4 KiB for each of the most leaves one can have.
pub(crate) const UNPACKED_BYTES_MAX: i64 = 4 << 30;

/// A file cannot be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadFile {
    /// Not Parquet, or damaged.
    #[error("cannot read Parquet: {0}")]
    Parquet(String),
    /// The metadata does not say what a file of the lake says.
    #[error("the metadata does not have `{0}` as it must be")]
    Metadata(&'static str),
    /// The row groups are not those of the span.
    #[error("there are not 65,536 rows in each row group, or not as many groups as the span has")]
    Shape,
    /// What stands here is no page that files of the lake have, or its header says what is not so.
    #[error("what stands at byte {0} is not the page that it must be")]
    Page(u64),
    /// The footer says something else than pages, keys and columns: an engine would leave out or exchange rows by it.
    #[error("the footer is not the one that belongs to the pages before it")]
    Footer,
    /// The bounds that it says of the rows of a group are not theirs: an engine would leave out rows by them.
    #[error("what it says beside the rows before {0} is not of these rows")]
    Bounds(u64),
    /// A row is no leaf.
    #[error("row {index} is no leaf: {why}")]
    Row {
        /// The index that the row should have.
        index: u64,
        /// What is wrong.
        why: String,
    },
    /// The leaves have another root.
    #[error("the leaves {0} do not have the root that the tree has over them")]
    Root(Span),
    /// It does not lie where a file with its leaves lies.
    #[error("it is not in the folder of day and hour of its first entry")]
    Place,
    /// The sealed parts are not those that were written. Whoever opens one checks it against its leaf in any case.
    #[error("the private parts of the leaves {0} are damaged")]
    Private(Span),
}

/// A file of the lake whose metadata was read; its leaves are not to be believed before [`File::verify`].
#[derive(Clone, Debug)]
pub struct File {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    origin: String,
    span: Span,
    root: String,
    sealed: String,
}

impl File {
    /// Reads the metadata of a file.
    ///
    /// # Errors
    ///
    /// [`BadFile`]: it is no file of the lake that this program knows.
    pub fn open(bytes: Bytes) -> Result<Self, BadFile> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = contained(|| ArrowReaderMetadata::load(&bytes, options).map_err(unreadable))?;
        let said = said(&metadata);
        let says = |key: &'static str| said.get(key).cloned().ok_or(BadFile::Metadata(key));
        let (format, origin) = (says("exeat.format")?, says("exeat.origin")?);
        let (root, sealed) = (says("exeat.root")?, says("exeat.private")?);
        if format != FORMAT {
            return Err(BadFile::Metadata("exeat.format"));
        }
        if says("exeat.schema")? != hex(&schema_digest()) {
            return Err(BadFile::Metadata("exeat.schema"));
        }
        let index = |key| says(key)?.parse().map_err(|_| BadFile::Metadata(key));
        let span = Span::new(index("exeat.first")?, index("exeat.last")?);
        let span = span.map_err(|_| BadFile::Metadata("exeat.last"))?;
        check_shape(&metadata, span)?;
        contained(|| footer::check(&bytes, metadata.metadata(), keys(&origin, span, &sealed, &root)))?;
        Ok(Self { bytes, metadata, origin, span, root, sealed })
    }

    /// Returns the log it says it is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns which leaves it says it has.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Returns how many bytes it unpacks to.
    pub(crate) fn unpacked(&self) -> i64 {
        unpacked(&self.metadata)
    }

    /// Checks every leaf: that `root`, got from the log's tiles or checkpoint, is the root over them.
    ///
    /// # Errors
    ///
    /// [`BadFile`]: nothing in it may be believed.
    pub fn verify(&self, root: &Hash) -> Result<(), BadFile> {
        self.verified(root).map(drop)
    }

    /// Does what [`File::verify`] does and returns when the first entry was recorded, in milliseconds since the Unix epoch.
    pub(crate) fn verified(&self, root: &Hash) -> Result<u64, BadFile> {
        let (mut tree, mut private, mut batches) = (Frontier::new(), Sealed::default(), Batches::of(self));
        let mut first = None;
        while batches.has_more() {
            batches.next(|leaf, sealed| {
                tree.push(leaf_hash(&leaf));
                private.push(sealed);
                first.get_or_insert(leaf);
            })?;
        }
        if tree.root() != *root || self.root != hex(root) {
            return Err(BadFile::Root(self.span));
        }
        if !self.has(&private.digest()) {
            return Err(BadFile::Private(self.span));
        }
        let first = Entry::decode(&first.unwrap_or_default()).map_err(|why| bad_row(self.span.first(), why))?;
        Ok(first.at_ms)
    }

    /// Says whether its sealed private parts are said to have this digest.
    pub(crate) fn has(&self, sealed: &Hash) -> bool {
        self.sealed == hex(sealed)
    }

    /// Goes through the leaves in order, unpacking some at a time.
    ///
    /// They are what the file says: compare their root with the tree's.
    #[must_use]
    pub fn leaves(&self) -> Leaves {
        Leaves { batches: Batches::of(self), ready: Vec::new().into_iter() }
    }
}

/// The leaves of a file in order; nothing comes after an error.
pub struct Leaves {
    batches: Batches,
    ready: std::vec::IntoIter<Record>,
}

impl Iterator for Leaves {
    type Item = Result<Record, BadFile>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.ready.next() {
            return Some(Ok(record));
        }
        if !self.batches.has_more() {
            return None;
        }
        let mut records = Vec::new();
        let whole = |leaf, sealed: Option<&[u8]>| records.push(Record { leaf, sealed: sealed.map(<[u8]>::to_vec) });
        if let Err(why) = self.batches.next(whole) {
            return Some(Err(why));
        }
        self.ready = records.into_iter();
        self.ready.next().map(Ok)
    }
}

/// The leaves of a file, some at a time.
struct Batches {
    file: File,
    /// The row group that is read.
    rows: Option<ParquetRecordBatchReader>,
    chains: Chains,
    bounds: Bounds,
    /// The index of the first leaf that was not unpacked yet.
    next: u64,
}

impl Batches {
    fn of(file: &File) -> Self {
        let (chains, bounds) = (Chains::default(), Bounds::default());
        Self { file: file.clone(), rows: None, chains, bounds, next: file.span.first() }
    }

    fn has_more(&self) -> bool {
        self.next < self.file.span.end()
    }

    /// Unpacks some more and gives `each` leaf with its sealed part; after an error there is no more.
    fn next(&mut self, each: impl FnMut(Vec<u8>, Option<&[u8]>)) -> Result<(), BadFile> {
        let done = contained(|| self.unpack(each));
        if done.is_err() {
            self.next = self.file.span.end();
        }
        done
    }

    /// Returns which row group has a leaf.
    fn group(&self, index: u64) -> Result<usize, BadFile> {
        usize::try_from((index - self.file.span.first()) / SPAN_LEAVES).map_err(|_| BadFile::Shape)
    }

    /// Opens the row group that begins here.
    fn open(&mut self) -> Result<ParquetRecordBatchReader, BadFile> {
        let group = self.group(self.next)?;
        (self.chains, self.bounds) = (Chains::default(), Bounds::default());
        let (bytes, metadata) = (self.file.bytes.clone(), self.file.metadata.clone());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata).with_row_groups(vec![group]);
        reader.build().map_err(unreadable)
    }

    fn unpack(&mut self, mut each: impl FnMut(Vec<u8>, Option<&[u8]>)) -> Result<(), BadFile> {
        let mut rows = match self.rows.take() {
            Some(rows) if !self.next.is_multiple_of(SPAN_LEAVES) => rows,
            _ => self.open()?,
        };
        let batch = rows.next().ok_or(BadFile::Shape)?.map_err(unreadable)?;
        self.rows = Some(rows);
        let left = Span::around(self.next).end() - self.next;
        let batch = Rows::of(&batch).map_err(|why| bad_row(self.next, why))?;
        let unpacked = batch.len() as u64;
        if unpacked == 0 || unpacked > left {
            return Err(BadFile::Shape);
        }
        for (at, index) in (0..batch.len()).zip(self.next..) {
            let row = batch.row(at).map_err(|why| bad_row(index, why))?;
            if row.index != index {
                return Err(bad_row(index, "it has another index"));
            }
            self.bounds.take(index, row.entry.at_ms);
            each(row.into_leaf(&mut self.chains).map_err(|why| bad_row(index, why))?, batch.sealed(at));
        }
        self.next += unpacked;
        if left == unpacked { self.check_bounds() } else { Ok(()) }
    }

    /// Holds what the group that ended here says of its rows against them.
    fn check_bounds(&self) -> Result<(), BadFile> {
        let group = self.file.metadata.metadata().row_groups().get(self.group(self.next - 1)?);
        let said = group.is_some_and(|group| self.bounds.are_said(group));
        if said { Ok(()) } else { Err(BadFile::Bounds(self.next)) }
    }
}

/// The digest of all sealed parts: it finds accidents, as their leaves find malice once they are opened.
#[derive(Default)]
pub(crate) struct Sealed(Sha256);

impl Sealed {
    pub(crate) fn push(&mut self, sealed: Option<&[u8]>) {
        self.0.update([u8::from(sealed.is_some())]);
        let sealed = sealed.unwrap_or_default();
        self.0.update((sealed.len() as u64).to_be_bytes());
        self.0.update(sealed);
    }

    pub(crate) fn digest(self) -> Hash {
        self.0.finalize().into()
    }
}

/// Returns what the metadata of a file says, in the order it is written.
pub(crate) fn keys(origin: &str, span: Span, sealed: &str, root: &str) -> Vec<KeyValue> {
    let pairs = [
        ("exeat.format", FORMAT.to_owned()),
        ("exeat.origin", origin.to_owned()),
        ("exeat.first", span.first().to_string()),
        ("exeat.last", span.last().to_string()),
        ("exeat.schema", hex(&schema_digest())),
        ("exeat.private", sealed.to_owned()),
        ("exeat.root", root.to_owned()),
    ];
    pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
}

fn said(metadata: &ArrowReaderMetadata) -> BTreeMap<String, String> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let pairs = pairs.into_iter().flatten();
    pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect()
}

fn check_shape(metadata: &ArrowReaderMetadata, span: Span) -> Result<(), BadFile> {
    let groups = metadata.metadata().row_groups();
    if groups.iter().any(|group| group.total_byte_size() < 0) || unpacked(metadata) > UNPACKED_BYTES_MAX {
        return Err(BadFile::Shape);
    }
    let whole = groups.iter().all(|group| u64::try_from(group.num_rows()) == Ok(SPAN_LEAVES));
    if whole && groups.len() == span.parts().count() { Ok(()) } else { Err(BadFile::Shape) }
}

fn unpacked(metadata: &ArrowReaderMetadata) -> i64 {
    let groups = metadata.metadata().row_groups().iter();
    groups.map(|group| group.total_byte_size()).fold(0, i64::saturating_add)
}

/// Takes a panic of the decoder for what it is: a file that cannot be read. Whoever can write to the store chose the bytes.
fn contained<T>(work: impl FnOnce() -> Result<T, BadFile>) -> Result<T, BadFile> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(BadFile::Parquet("the decoder gave up".to_owned())))
}

pub(crate) fn unreadable(error: impl std::fmt::Display) -> BadFile {
    BadFile::Parquet(error.to_string())
}

fn bad_row(index: u64, why: impl ToString) -> BadFile {
    BadFile::Row { index, why: why.to_string() }
}
