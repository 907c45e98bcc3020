//! A view of a log that only reads: for tools, beside a running server or without one.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use proof::{
    checkpoint::Checkpoint,
    commit::matches,
    entry::Entry,
    note::VerifierKey,
    receipt,
    tile::TileHashes,
    tree::{leaf_hash, prove_inclusion, verify_inclusion},
};

use crate::{
    handle::{LookupError, OpenError, Receipt, Stored},
    layout::Layout,
    open::io_error,
    recover::open_error,
    shared::Signed,
    tiles::Tiles,
    wal::{Finder, Step, Wal, WalError, Walker},
};

/// Reads the files of a log, takes no lock and changes nothing. Cheap to clone.
///
/// Beside a running server it sees every entry that was durable when it looked, and may see some that are about to
/// be. What it returns is checked: private parts against their commitments, entries gone through in order against the
/// root that each batch recorded, receipts against the signed checkpoint.
#[derive(Clone, Debug)]
pub struct Reader {
    layout: Layout,
}

impl Reader {
    /// Opens the log in `dir` for reading.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if there is no log or it may not be read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let reader = Self::at(dir);
        let wal = reader.layout.wal();
        let segments = Wal::list(&wal).map_err(|error| open_error(dir, error))?;
        if segments.is_empty() {
            return Err(io_error("find a log in", dir, io::ErrorKind::NotFound.into()));
        }
        Ok(reader)
    }

    /// Makes a reader without looking at the files.
    pub(crate) fn at(dir: &Path) -> Self {
        let layout = Layout::new(dir);
        Self { layout }
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
        match std::fs::read_to_string(self.layout.checkpoint()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(LookupError::Io),
        }
    }

    /// Returns the latest checkpoint with its signature checked against the log's published key.
    fn signed(&self) -> Result<Option<Signed>, LookupError> {
        let Some(text) = self.checkpoint()? else {
            return Ok(None);
        };
        let key: VerifierKey = self.verifier_key()?.parse().map_err(invalid)?;
        let keys = std::slice::from_ref(&key);
        let checkpoint = Checkpoint::open(text.as_bytes(), key.name(), keys).map_err(invalid)?;
        Ok(Some(Signed { size: checkpoint.size, root: checkpoint.root, text: Arc::from(text) }))
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
        Ok(Entries { layout: self.layout.clone(), wal, walker, ready: VecDeque::new(), from, signed })
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

    /// Returns the entry at `index` with its private part and salt.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub fn stored(&self, index: u64) -> Result<Stored, LookupError> {
        let wal = Wal::list(&self.layout.wal()).map_err(|error| lookup_error(index, error))?;
        let found = Finder::default().find(&Mutex::new(wal), index).map_err(|error| lookup_error(index, error))?;
        checked(found.ok_or(LookupError::Unknown(index))?)
    }

    /// Returns the entry at `index` with a proof that the latest signed checkpoint covers it.
    ///
    /// # Errors
    ///
    /// [`LookupError`]; [`LookupError::NotYet`] for every index that no checkpoint covers.
    pub fn receipt(&self, index: u64) -> Result<Receipt, LookupError> {
        let signed = self.signed()?.filter(|signed| index < signed.size);
        let signed = signed.ok_or(LookupError::NotYet(index))?;
        receipt(&self.layout.log(), &signed, index)
    }
}

/// The entries of a log, in order. See [`Reader::entries`].
#[derive(Debug)]
pub struct Entries {
    layout: Layout,
    wal: Wal,
    /// `None` once the end or damage was met.
    walker: Option<Walker>,
    ready: VecDeque<Stored>,
    from: u64,
    signed: u64,
}

impl Entries {
    /// Reads batches until one has entries that are wanted; false at the end.
    fn fill(&mut self) -> Result<bool, LookupError> {
        while self.ready.is_empty() {
            let Some(walker) = &mut self.walker else {
                return Ok(false);
            };
            let at = walker.chain.tree.size();
            let damaged = |error| lookup_error(at, error);
            let mut step = walker.step(&self.wal).map_err(damaged)?;
            if !matches!(step, Step::Batch(_)) {
                // Meanwhile there may be another segment, or what was half written is whole.
                self.wal = Wal::list(&self.layout.wal()).map_err(damaged)?;
                step = walker.step(&self.wal).map_err(damaged)?;
            }
            let Step::Batch(batch) = step else {
                return end(at, self.signed);
            };
            let entries = batch.entries().map_err(|_| LookupError::Damaged(at))?;
            let wanted = |entry: &Stored| entry.index >= self.from;
            self.ready.extend(entries.into_iter().filter(wanted));
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
        match self.fill() {
            Ok(true) => self.ready.pop_front().map(checked),
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
}

/// Returns the entry if it is one and its private part is what it commits to.
pub(crate) fn checked(stored: Stored) -> Result<Stored, LookupError> {
    let holds = Entry::decode(&stored.leaf)
        .ok()
        .and_then(|entry| entry.private)
        .is_some_and(|commitment| matches(&commitment, &stored.salt, &stored.private));
    if holds { Ok(stored) } else { Err(LookupError::Damaged(stored.index)) }
}

/// Proves from the tiles in `log` that `signed` covers the entry at `index`, which must be below its size.
pub(crate) fn receipt(log: &Path, signed: &Signed, index: u64) -> Result<Receipt, LookupError> {
    let tiles = Tiles::new(log);
    let leaf = tiles.leaf(index, signed.size).map_err(LookupError::Io)?;
    let hashes = prove_inclusion(&TileHashes::new(tiles, signed.size), index, signed.size)
        .map_err(|error| LookupError::Io(io::Error::other(error.to_string())))?;
    verify_inclusion(&leaf_hash(&leaf), index, signed.size, &hashes, &signed.root)
        .map_err(|_| LookupError::Damaged(index))?;
    let proof = receipt::Receipt { extra: None, index, hashes, checkpoint: signed.text.to_string() };
    Ok(Receipt { index, leaf, proof: proof.to_text() })
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
