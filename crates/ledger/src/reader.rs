//! A view of a log that only reads: for tools, beside a running server or without one.

mod kept;
mod proofs;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use proof::{
    entry::Entry,
    note::SignerKey,
    tile::{TileHashError, TileHashes},
    tree::HashReader,
};

use zeroize::Zeroizing;

use crate::{
    handle::{LookupError, OpenError, Receipt},
    keys::Pseudonyms,
    layout::Layout,
    open::io_error,
    queue::lock,
    recover::open_error,
    shared::Signed,
    stored::Stored,
    tiles::{Recent, Tiles},
    vault::{Copy, KeySource},
    view::View,
    wal::{Raw, Step, Wal, WalError, Walker},
};

pub use kept::{Kept, KeptEntries};
pub(crate) use proofs::Proofs;

/// Reads the files of a log, takes no lock and changes nothing. Cheap to clone.
///
/// Beside a running server it sees every entry that was durable when it looked, and may see some that are about to
/// be. What it returns is checked: private parts against their commitments, entries gone through in order against the
/// root that each batch recorded, receipts against the signed checkpoint. It keeps the keys of private parts that it
/// has read, so one that another process destroyed meanwhile is withheld from the next reader on.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) layout: Layout,
    view: Arc<View>,
    proofs: Arc<Proofs>,
    /// The segments as they were listed last.
    segments: Arc<Mutex<Arc<Wal>>>,
}

impl Reader {
    /// Opens the log in `dir` for reading.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if there is no log or it may not be read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let layout = Layout::new(dir);
        let keys = KeySource::Copy(Arc::new(Copy::new(layout.vault())));
        let reader = Self::at(layout, Arc::new(View::new(keys)), Arc::default());
        let wal = reader.layout.wal();
        let segments = Wal::list(&wal).map_err(|error| open_error(dir, error))?;
        if segments.is_empty() {
            return Err(io_error("find a log in", dir, io::ErrorKind::NotFound.into()));
        }
        Ok(reader)
    }

    /// Makes a reader without looking at the files.
    pub(crate) fn at(layout: Layout, view: Arc<View>, proofs: Arc<Proofs>) -> Self {
        Self { layout, view, proofs, segments: Arc::default() }
    }

    /// Returns the log's verifier key in C2SP signed-note form (`name+hash+key`), as the log published it.
    ///
    /// Whoever can change the log can change this file: compare it with one got elsewhere.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    pub fn verifier_key(&self) -> Result<String, LookupError> {
        let text = std::fs::read_to_string(self.layout.verifier_key()).map_err(LookupError::Io)?;
        Ok(text.trim_end().to_owned())
    }

    /// Returns the latest signed checkpoint, as published; `None` if none was signed yet.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    pub fn checkpoint(&self) -> Result<Option<String>, LookupError> {
        read_text(&self.layout.checkpoint())
    }

    /// Returns the latest checkpoint that has cosignatures, as published; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    pub fn cosigned(&self) -> Result<Option<String>, LookupError> {
        read_text(&self.layout.cosigned())
    }

    /// Returns the key that signs for the log: what a reader hands out in the log's name bears its signature.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`], also if the file holds no key.
    pub fn signer_key(&self) -> Result<SignerKey, LookupError> {
        let text = std::fs::read_to_string(self.layout.key()).map(Zeroizing::new).map_err(LookupError::Io)?;
        SignerKey::parse(text.trim_end()).map_err(invalid)
    }

    /// Returns what makes pseudonyms of names in this log, and shows that they are.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    pub fn pseudonyms(&self) -> Result<Pseudonyms, LookupError> {
        Pseudonyms::read(&self.layout).map_err(LookupError::Io)
    }

    /// Returns the hashes of the tree of the first `size` entries, from the tiles. A signed checkpoint must cover them.
    ///
    /// The last tile of each level is kept: hashes that are asked for from left to right take one reading of each tile.
    #[must_use]
    pub fn hashes(&self, size: u64) -> impl HashReader<Error = TileHashError<io::Error>> + use<> {
        TileHashes::new(Recent::new(Tiles::new(&self.layout.log())), size)
    }

    /// Returns the latest checkpoint with its signature checked against the log's published key.
    fn signed(&self) -> Result<Option<Signed>, LookupError> {
        self.opened(self.checkpoint()?)
    }

    /// Checks the signature on a checkpoint against the log's published key.
    fn opened(&self, text: Option<String>) -> Result<Option<Signed>, LookupError> {
        text.map(|text| self.proofs.opened(&text, self.verifier_key()?)).transpose()
    }

    /// Returns the size of the log in the latest signed checkpoint, its signature checked; 0 without one.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`], also if the checkpoint is not one that the log's key signed.
    pub fn checkpoint_size(&self) -> Result<u64, LookupError> {
        Ok(self.signed()?.map_or(0, |signed| signed.size))
    }

    /// Goes through the entries from index `from` on, in order, up to the end the log has by then.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`]; [`LookupError::Damaged`] if the segment with that entry is.
    pub fn entries(&self, from: u64) -> Result<Entries, LookupError> {
        let signed = self.checkpoint_size()?;
        let dir = self.layout.wal();
        let wal = Wal::list(&dir).map_err(|error| lookup_error(from, error))?;
        let walker = Walker::begin(&wal, from).map_err(|error| lookup_error(from, error))?;
        Ok(Entries { reader: self.clone(), wal, walker, ready: VecDeque::new(), from, signed })
    }

    /// Returns the index of the first entry below `end` that was written at `at_ms` or later, else `end`.
    ///
    /// `at_ms` is in milliseconds since the Unix epoch; entries are in order of time, so this takes a logarithmic
    /// number of look-ups.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub fn first_since(&self, at_ms: u64, end: u64) -> Result<u64, LookupError> {
        let (mut low, mut high) = (0, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = Entry::decode(&self.stored(middle)?.leaf).map_err(|_| LookupError::Damaged(middle))?;
            if entry.at_ms < at_ms {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Returns the entry at `index` with its private part.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub fn stored(&self, index: u64) -> Result<Stored, LookupError> {
        let wal = self.segments(index).map_err(|error| lookup_error(index, error))?;
        self.view.stored(index, &|index| wal.place(index))?.ok_or(LookupError::Unknown(index))
    }

    /// Returns the segments, listed anew unless one is known that begins after the entry at `index`.
    fn segments(&self, index: u64) -> Result<Arc<Wal>, WalError> {
        let known = Arc::clone(&lock(&self.segments));
        if known.begun_after(index) > 0 {
            return Ok(known);
        }
        let listed = Arc::new(Wal::list(&self.layout.wal())?);
        *lock(&self.segments) = Arc::clone(&listed);
        Ok(listed)
    }

    /// Returns the entry at `index` with a proof that the latest signed checkpoint covers it.
    ///
    /// # Errors
    ///
    /// [`LookupError`]; [`LookupError::NotYet`] for every index that no checkpoint covers.
    pub fn receipt(&self, index: u64) -> Result<Receipt, LookupError> {
        let covers = |signed: &Signed| index < signed.size;
        let cosigned = self.opened(self.cosigned()?)?.filter(covers);
        let signed = cosigned.map_or_else(|| self.signed(), |cosigned| Ok(Some(cosigned)))?.filter(covers);
        let signed = signed.ok_or(LookupError::NotYet(index))?;
        self.proofs.receipt(&self.layout.log(), &signed, index)
    }
}

/// The entries of a log, in order. See [`Reader::entries`].
#[derive(Debug)]
pub struct Entries {
    reader: Reader,
    wal: Wal,
    /// `None` once the end or damage was met.
    walker: Option<Walker>,
    ready: VecDeque<Raw>,
    from: u64,
    signed: u64,
}

/// An entry whose private part was not opened: for going through many of which few are of interest. It keeps what was
/// written with it in memory, up to 16 MiB.
#[derive(Debug)]
pub struct Unopened(Raw);

impl Unopened {
    /// Returns its index.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// Returns its exact bytes.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.0.leaf
    }
}

impl Entries {
    /// Returns the next entry without opening its private part; otherwise as [`Iterator::next`].
    pub fn next_unopened(&mut self) -> Option<Result<Unopened, LookupError>> {
        match self.fill() {
            Ok(true) => self.ready.pop_front().map(|raw| Ok(Unopened(raw))),
            Ok(false) => {
                self.walker = None;
                None
            }
            Err(error) => {
                self.walker = None;
                Some(Err(error))
            }
        }
    }

    /// Opens the private part of an entry of this log.
    ///
    /// # Errors
    ///
    /// [`LookupError`]; [`LookupError::Damaged`] if it is not what the entry commits to.
    pub fn open(&self, entry: Unopened) -> Result<Stored, LookupError> {
        self.reader.view.show(entry.0, &|index| self.wal.place(index))
    }

    /// Reads batches until one has entries that are wanted; false at the end.
    fn fill(&mut self) -> Result<bool, LookupError> {
        while self.ready.is_empty() {
            let Some(walker) = &mut self.walker else {
                return Ok(false);
            };
            let at = walker.position.tree.size();
            let damaged = |error| lookup_error(at, error);
            let mut step = walker.step(&self.wal).map_err(damaged)?;
            if !matches!(step, Step::Batch(_)) {
                // Meanwhile there may be another segment, or what was half written is whole.
                self.wal = Wal::list(&self.reader.layout.wal()).map_err(damaged)?;
                step = walker.step(&self.wal).map_err(damaged)?;
            }
            let Step::Batch(batch) = step else {
                return end(at, self.signed);
            };
            let wanted = |entry: &Raw| entry.index >= self.from;
            self.ready.extend(batch.entries().filter(wanted));
        }
        Ok(true)
    }
}

/// A log may end anywhere but before what it signed.
fn end(at: u64, signed: u64) -> Result<bool, LookupError> {
    if at < signed {
        return Err(LookupError::Damaged(at));
    }
    Ok(false)
}

impl Iterator for Entries {
    type Item = Result<Stored, LookupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_unopened()?;
        Some(next.and_then(|entry| self.open(entry)))
    }
}

/// Reads a file of text; `None` if it is not there.
fn read_text(path: &Path) -> Result<Option<String>, LookupError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(LookupError::Io),
    }
}

/// Says in the words of a look-up what reading the log answered.
pub(crate) fn lookup_error(index: u64, error: WalError) -> LookupError {
    match error {
        WalError::Io { source, .. } => LookupError::Io(source),
        WalError::Batch { .. } | WalError::Followed { .. } | WalError::Start { .. } => LookupError::Damaged(index),
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> LookupError {
    LookupError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}
