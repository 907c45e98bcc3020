//! A log's folder in the lake: which files it has, and reading them back.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::path::Path;
use proof::tree::Hash;
use tokio::task::spawn_blocking;

use crate::{
    file::{BadFile, File},
    names,
    span::Span,
    store::{Store, StoreError},
};

/// A longer object is no file of the lake: 4 KiB for each of the most leaves one can have.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// The files of one log in a store.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) store: Store,
    origin: String,
    folder: Path,
}

/// A file of the lake cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was listed and is not there.
    #[error("`{0}` is gone from the store: list again")]
    Gone(String),
    /// It is not what it should be.
    #[error("`{path}` is damaged: {why}")]
    Bad {
        /// Which.
        path: String,
        /// What is wrong.
        why: BadFile,
    },
}

impl Place {
    /// Takes the files of the log `origin` in `store`.
    #[must_use]
    pub fn new(store: Store, origin: &str) -> Self {
        let folder = names::folder(store.prefix(), origin);
        Self { store, origin: origin.to_owned(), folder }
    }

    /// Returns the log whose files they are.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns where the file with the leaves of `span` lies, the first of which was written at `first_at_ms`.
    pub(crate) fn path(&self, span: Span, first_at_ms: u64) -> Path {
        names::path(&self.folder, span, first_at_ms)
    }

    /// Lists the files by the leaves they have. Where a wide file has the leaves of smaller ones, those are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn files(&self) -> Result<Files, StoreError> {
        let mut files = Files::default();
        let mut paths = self.store.list(&self.folder).await?;
        paths.sort();
        paths.into_iter().for_each(|path| files.add(path));
        Ok(files)
    }

    /// Reads the file with the leaves of `span` and checks every leaf against `root`, on a thread for such work.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: nothing of it may be believed.
    pub async fn file(&self, path: &Path, span: Span, root: &Hash) -> Result<File, ReadError> {
        let got = self.store.get(path, FILE_BYTES_MAX).await?.ok_or_else(|| ReadError::Gone(path.to_string()))?;
        let (place, root, found) = (self.clone(), *root, path.clone());
        let read = spawn_blocking(move || place.checked(got.bytes, &found, span, &root)).await;
        let read = read.unwrap_or_else(|_| Err(BadFile::Parquet("the reading was abandoned".to_owned())));
        read.map_err(|why| ReadError::Bad { path: path.to_string(), why })
    }

    /// Opens a file and checks that it is the one that is wanted, where it must lie.
    fn checked(&self, bytes: Bytes, path: &Path, span: Span, root: &Hash) -> Result<File, BadFile> {
        let file = File::open(bytes)?;
        if file.origin() != self.origin {
            return Err(BadFile::Metadata("exeat.origin"));
        }
        if file.span() != span {
            return Err(BadFile::Metadata("exeat.first"));
        }
        let first_at_ms = file.verified(root)?;
        if self.path(span, first_at_ms) == *path { Ok(file) } else { Err(BadFile::Place) }
    }
}

/// The files of a log as they were listed.
#[derive(Clone, Debug, Default)]
pub struct Files {
    all: BTreeMap<Span, Path>,
    strange: Vec<Path>,
}

impl Files {
    fn add(&mut self, path: Path) {
        match names::span_of(&path) {
            Some(span) if !self.all.contains_key(&span) => _ = self.all.insert(span, path),
            _ => self.strange.push(path),
        }
    }

    /// Returns what no log put there: of other names, whatever they are, or of the same leaves as another file. Engines that read
    /// whatever is in the folder read these.
    #[must_use]
    pub fn strange(&self) -> &[Path] {
        &self.strange
    }

    /// Returns the file to read the leaf at `index` from: the widest.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<(Span, &Path)> {
        Span::every(index).find_map(|span| Some((span, self.all.get(&span)?)))
    }

    /// Returns the files to read the log from, in order: those whose leaves no wider one has. There may be gaps between them.
    pub fn widest(&self) -> impl Iterator<Item = (Span, &Path)> {
        self.listed(true)
    }

    /// Returns the files whose leaves a wider one has too, in order: engines that read all files count these leaves twice.
    pub fn doubled(&self) -> impl Iterator<Item = (Span, &Path)> {
        self.listed(false)
    }

    fn listed(&self, widest: bool) -> impl Iterator<Item = (Span, &Path)> {
        let is_widest = |span: Span| self.at(span.first()).is_some_and(|(widest, _)| widest == span);
        let wanted = move |(span, _): &(&Span, &Path)| is_widest(**span) == widest;
        self.all.iter().filter(wanted).map(|(span, path)| (*span, path))
    }

    /// Returns the file of exactly these leaves.
    pub(crate) fn exactly(&self, span: Span) -> Option<&Path> {
        self.all.get(&span)
    }

    /// Returns how many leaves, from the first of the log on, are in files without a gap.
    #[must_use]
    pub fn covered(&self) -> u64 {
        let mut end = 0;
        while let Some((span, _)) = self.at(end) {
            end = span.end();
        }
        end
    }

    /// Returns how many files there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns the smaller files that together have the leaves of `wide`; `None` if there is a gap between them.
    pub(crate) fn pieces(&self, wide: Span) -> Option<Vec<(Span, &Path)>> {
        let (mut pieces, mut at) = (Vec::new(), wide.first());
        while at < wide.end() {
            let mut smaller = Span::every(at).filter(|span| span.leaves() < wide.leaves() && span.first() == at);
            let (span, path) = smaller.find_map(|span| Some((span, self.all.get(&span)?)))?;
            pieces.push((span, path));
            at = span.end();
        }
        Some(pieces)
    }

    /// Returns the smaller files within `wide`.
    pub(crate) fn within(&self, wide: Span) -> impl Iterator<Item = &Path> {
        let inside =
            move |span: &Span| span.leaves() < wide.leaves() && (wide.first()..wide.end()).contains(&span.first());
        self.all.iter().filter(move |(span, _)| inside(span)).map(|(_, path)| path)
    }

    /// Returns the spans of `leaves` leaves that have a file, or could have one, and smaller files besides.
    pub(crate) fn compactable(&self, leaves: u64) -> Vec<Span> {
        let mut found: Vec<Span> = self.all.keys().filter_map(|span| Span::of(leaves, span.first()).ok()).collect();
        found.dedup();
        found.retain(|wide| {
            let whole = self.all.contains_key(wide) || self.pieces(*wide).is_some();
            whole && self.within(*wide).next().is_some()
        });
        found
    }
}
