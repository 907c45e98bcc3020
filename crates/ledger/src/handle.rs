//! The handle that the data path holds.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use proof::{entry::Entry, tree::Hash};
use terms::Clock;

use crate::{
    open::{self, Inner},
    pace::Awaited,
    reader::Reader,
    slot::{Slot, block_on},
    storage::{Disk, Storage},
};

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's origin, as in its checkpoints: a schema-less URL such as `log.example.com/exeat/1`.
    pub origin: String,
    /// Bytes of one segment; pre-written, so that a commit changes no file metadata.
    pub segment_bytes: u64,
    /// Entries that may wait for the disk; beyond it [`Unavailable::Full`].
    pub queue_entries: usize,
    /// How often a new checkpoint is signed while entries arrive.
    pub checkpoint_every: Duration,
}

/// An entry to be appended: the ledger sets version, time and commitment.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The entry; `at_ms`, `version` and `private` are set by the ledger.
    pub entry: Entry,
    /// What the entry commits to and the log does not show; kept beside it, as durable as the entry.
    pub private: Bytes,
}

/// Nothing was written and nothing may be released.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// Too many entries wait for the disk; the caller may try again shortly.
    #[error("the ledger's queue is full")]
    Full,
    /// A write or a sync failed; the log takes nothing more until the process starts anew.
    #[error("the ledger is fenced after a failed write")]
    Fenced,
    /// The next segment could not be made, for example because the disk is full; tried again by itself.
    #[error("the ledger has no room for another entry")]
    NoRoom,
    /// The clock stepped back behind the last entry.
    #[error("the clock is behind the last entry of the ledger")]
    ClockBehind,
    /// The entry is longer than [`proof::entry::ENTRY_BYTES_MAX`], or its private part is too long.
    #[error("the entry is too long")]
    TooLong,
}

/// The log cannot be opened; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the log.
    #[error("another process holds the log in `{0}`: stop it first")]
    Held(String),
    /// The files contradict each other or a signed checkpoint; a person must look.
    #[error("the log in `{dir}` is damaged: {why}")]
    Damaged {
        /// Where.
        dir: String,
        /// What contradicts what.
        why: String,
    },
    /// The clock is behind the last entry by more than the tolerance.
    #[error("the clock says {now}, behind the last entry at {last}: set the clock")]
    ClockBehind {
        /// The clock.
        now: terms::Moment,
        /// The last entry.
        last: terms::Moment,
    },
    /// The operating system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The answer.
        source: std::io::Error,
    },
}

/// What opening the log found and did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovery {
    /// Entries in the log before this process added any.
    pub entries: u64,
    /// Bytes of a torn last batch that were discarded; no entry in it was ever acknowledged.
    pub torn_bytes: u64,
    /// Calls that were open when the last process ended, now closed as interrupted.
    pub interrupted: u64,
    /// True if the last process did not close the log in good order.
    pub unclean: bool,
}

/// A snapshot of the log's state, for readiness and metrics.
#[derive(Clone, Debug)]
pub struct Health {
    /// Why nothing can be appended, if so.
    pub unavailable: Option<Unavailable>,
    /// Entries that are durable.
    pub durable: u64,
    /// Entries that wait.
    pub queued: usize,
    /// The size of the latest signed checkpoint.
    pub checkpoint: u64,
    /// Commits (one fdatasync each) so far.
    pub commits: u64,
    /// The time the last commit took.
    pub last_commit: Duration,
}

/// The log, open for appending by this process alone. Cheap to clone.
///
/// When the last handle is dropped without [`Ledger::stop`], what was submitted is still written, and the drop waits
/// for it; the next opening finds the log unclean and closes its open calls as interrupted.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

/// A `T` whose opening entry has been submitted and may not be durable yet.
///
/// The model may already work on it; nothing it says may leave.
#[must_use = "a submitted call must be awaited until it is durable, and then settled"]
#[derive(Debug)]
pub struct Pending<T> {
    inner: T,
    index: u64,
    leaf: Hash,
    slot: Arc<Slot>,
}

/// A `T` whose opening entry is durable. Only [`Pending::durable`] makes one.
#[must_use = "a recorded call that is not settled is closed as interrupted by the next recovery"]
#[derive(Debug)]
pub struct Recorded<T> {
    inner: T,
    index: u64,
    leaf: Hash,
}

impl Ledger {
    /// Opens or creates the log in `dir` and recovers it: a torn tail is cut, open calls are closed as
    /// interrupted, both durable before this returns. Starts the writer and the checkpoint threads.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was changed and the caller must not serve.
    pub fn open(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<(Self, Recovery), OpenError> {
        Self::open_on(Arc::new(Disk), dir, options, clock)
    }

    /// Opens the log as [`Ledger::open`] does, but makes all changes through `storage`; for tests that fail them.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), OpenError> {
        let (inner, recovery) = open::open(storage, dir, &options, clock)?;
        let inner = Arc::new(inner);
        Ok((Self { inner }, recovery))
    }

    /// Submits the opening entry of a call; from here the model may work, but nothing may be released.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nothing was submitted; the call must be refused.
    pub fn submit<T>(&self, inner: T, draft: Draft) -> Result<Pending<T>, Unavailable> {
        self.submit_as(inner, draft, Awaited::Now)
    }

    /// Submits any other entry (`T` is usually `()`); same as [`Ledger::submit`] in all but intent.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nothing was submitted.
    pub fn append(&self, draft: Draft) -> Result<Pending<()>, Unavailable> {
        self.submit((), draft)
    }

    /// Submits the closing entry of a call; `draft.entry.opened` must be the opening entry's index.
    ///
    /// Nobody waits for it on the data path, so it is written together with the next entry that somebody waits for,
    /// or by a commit that begins 2 ms later, or when the one under way ends; a process that is killed meanwhile
    /// leaves the call open, to be closed as interrupted.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nothing was submitted; recovery will close the call as interrupted.
    pub fn close(&self, draft: Draft) -> Result<Pending<()>, Unavailable> {
        self.submit_as((), draft, Awaited::Nobody)
    }

    /// Returns the pseudonym under which the log speaks of `subject`: a keyed hash, the same for the life of the log.
    #[must_use]
    pub fn pseudonym(&self, subject: &str) -> [u8; 16] {
        self.inner.pseudonyms.of(subject)
    }

    /// Returns the entry at `index` with its private part and salt, once durable.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub fn stored(&self, index: u64) -> Result<Stored, LookupError> {
        self.inner.stored(index)
    }

    /// Returns the entry at `index` with a proof that the latest signed checkpoint covers it.
    ///
    /// # Errors
    ///
    /// [`LookupError::NotYet`] if no checkpoint covers it yet: ask again after the checkpoint interval.
    pub fn receipt(&self, index: u64) -> Result<Receipt, LookupError> {
        self.inner.receipt(index)
    }

    /// Returns a view of the log that reads its files: to go through entries, or to export them.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::at(self.inner.shared.layout.dir())
    }

    /// Returns the state of the log.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.health()
    }

    /// Returns the log's verifier key in C2SP signed-note form (`name+hash+key`).
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.inner.shared.key.verifier_key().to_owned()
    }

    /// Waits until everything submitted is durable, writes a `Stop` entry, signs a last checkpoint and stops the
    /// threads. Later submissions answer [`Unavailable::Fenced`]. Blocks; call it off the data path.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the last commit failed.
    pub fn stop(&self) -> Result<(), Unavailable> {
        self.inner.stop()
    }

    fn submit_as<T>(&self, inner: T, draft: Draft, awaited: Awaited) -> Result<Pending<T>, Unavailable> {
        let ticket = self.inner.submit(draft, awaited)?;
        Ok(Pending { inner, index: ticket.index, leaf: ticket.leaf, slot: ticket.slot })
    }
}

impl<T> Pending<T> {
    /// Returns what was submitted.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// Returns the index of the entry; final, although the entry may not be durable yet.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Waits until the entry is durable: for one commit or two, but as long as it takes where the disk filled up
    /// between the submission and the commit. Dropping the future gives up waiting, not the entry.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Fenced`]: it may or may not be in the log after recovery; nothing may be released.
    pub async fn durable(self) -> Result<Recorded<T>, Unavailable> {
        let told = self.slot.wait().await;
        told.map_err(|_| Unavailable::Fenced)?;
        Ok(Recorded { inner: self.inner, index: self.index, leaf: self.leaf })
    }

    /// Like [`Pending::durable`], blocking the thread; for tools and tests.
    ///
    /// # Errors
    ///
    /// As [`Pending::durable`].
    pub fn wait(self) -> Result<Recorded<T>, Unavailable> {
        block_on(self.durable())
    }
}

impl<T> Recorded<T> {
    /// Returns what was recorded.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// Returns the index of the opening entry.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns the leaf hash of the opening entry.
    #[must_use]
    pub fn leaf(&self) -> &Hash {
        &self.leaf
    }

    /// Returns what was recorded under other evidence of the same entry, for example after a re-decision.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

/// An entry as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub leaf: Vec<u8>,
    /// The salt of its commitment.
    pub salt: [u8; 16],
    /// Its private part.
    pub private: Vec<u8>,
}

/// An entry with the proof that a signed checkpoint covers it.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub leaf: Vec<u8>,
    /// The proof in the C2SP tlog-proof text format, with the checkpoint.
    pub proof: String,
}

/// An entry cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The log has no such entry.
    #[error("the log has no entry {0}")]
    Unknown(u64),
    /// It is durable or about to be, but no signed checkpoint covers it yet.
    #[error("no checkpoint covers entry {0} yet: ask again in a second")]
    NotYet(u64),
    /// The files could not be read.
    #[error("cannot read the log: {0}")]
    Io(#[source] std::io::Error),
    /// What was read does not hash to what the tree says.
    #[error("entry {0} does not match the tree: the log is damaged")]
    Damaged(u64),
}
