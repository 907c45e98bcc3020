//! The handle that the data path holds.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use proof::{
    commit::{Field, Fields},
    entry::{Class, Entry},
    heads::Chain,
    note::SignerKey,
    tree::Hash,
};
use terms::Clock;

use crate::{
    guard::CheckpointStore,
    open::{self, Inner},
    pace::Awaited,
    queue::Ticket,
    reader::Reader,
    slot::{Slot, block_on},
    storage::{Disk, Storage},
    stored::Stored,
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
    /// How often an entry says where every chain stands, while others arrive.
    pub heads_every: Duration,
}

/// An entry to be appended: the ledger sets version, time, commitment and links.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The entry; `version`, `at_ms`, `private`, `links`, `key_epoch` and `nonce` are set by the ledger.
    pub entry: Entry,
    /// What the entry commits to and the log does not show; kept beside it, sealed, and as durable as the entry.
    pub private: Fields,
    /// The chains in which it takes the next place, in any order, at most 16. A snapshot also takes one in the chain of
    /// what was in force.
    pub chains: Arc<[Chain]>,
}

impl Draft {
    /// Makes a draft of `entry` in no chain. Its private part has `main` as [`Field::Main`], unless that is empty.
    #[must_use]
    pub fn new(entry: Entry, main: impl Into<Bytes>) -> Self {
        let main = Some(main.into()).filter(|main| !main.is_empty());
        let private = main.map(|main| (Field::Main, main)).into_iter().collect();
        Self { entry, private, chains: Arc::default() }
    }

    /// Sets a field of the private part.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Bytes>) -> Self {
        self.private = self.private.with(field, value.into());
        self
    }

    /// Sets the chains.
    #[must_use]
    pub fn on(mut self, chains: Arc<[Chain]>) -> Self {
        self.chains = chains;
        self
    }
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
    /// The entry is longer than [`proof::entry::ENTRY_BYTES_MAX`], its private part is too long, or it is in more than
    /// 16 chains.
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

/// A key of private parts is not destroyed.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The epoch has not ended, so more may be recorded under the key.
    #[error("epoch {0} has not ended: its keys are in use")]
    Current(u32),
    /// It is the key of the entries without a subject: documents, changes and acts, which everybody's record rests on.
    #[error("the key of the entries without a subject is never destroyed")]
    Shared,
    /// The disk refused; what it holds is not known. The log takes nothing more until the process starts anew.
    #[error("cannot write the keys: {0}")]
    Failed(#[source] std::io::Error),
    /// The disk refused another key of the vault. The log goes on; what was to be overwritten may still be there.
    #[error("the key of the vault is still the one before, or that is still on the disk: {0}")]
    NotRekeyed(#[source] std::io::Error),
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
    pub(crate) inner: Arc<Inner>,
}

/// A `T` whose opening entry has been submitted and may not be durable yet.
///
/// The model may already work on it; nothing it says may leave.
#[must_use = "a submitted call must be awaited until it is durable, and then settled"]
#[derive(Debug)]
pub struct Pending<T> {
    inner: T,
    index: u64,
    at_ms: u64,
    leaf: Hash,
    slot: Arc<Slot>,
}

/// A `T` whose opening entry is durable. Only [`Pending::durable`] makes one.
#[must_use = "a recorded call that is not settled is closed as interrupted by the next recovery"]
#[derive(Debug)]
pub struct Recorded<T> {
    inner: T,
    index: u64,
    at_ms: u64,
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
        let (inner, recovery) = open::open(storage, dir, &options, clock, None)?;
        let inner = Arc::new(inner);
        Ok((Self { inner }, recovery))
    }

    /// Opens the log as [`Ledger::open_on`] does, and signs no checkpoint that `checkpoints` did not take: of all copies of
    /// the log, only the one that was opened last goes on.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`]; also if the store does not answer, holds a later opening, or what the log has lost.
    pub fn open_guarded(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Result<(Self, Recovery), OpenError> {
        let (inner, recovery) = open::open(storage, dir, &options, clock, Some(checkpoints))?;
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

    /// Submits an entry that says where every chain stands; see `docs/log-format.md` section 8.
    ///
    /// The ledger does so by itself every [`Options::heads_every`] in which something was recorded, sooner where an opening
    /// would take long to read what was, and when it stops.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nothing was submitted.
    pub fn heads(&self) -> Result<Pending<()>, Unavailable> {
        self.inner.heads().map(|ticket| Pending::new((), ticket))
    }

    /// From now on nobody is told that an entry is durable before a mirror holds it; see [`Ledger::mirrored`].
    ///
    /// Entries that wait for a mirror count as waiting, so a mirror that is away ends in [`Unavailable::Full`].
    pub fn require_mirror(&self) {
        self.inner.shared.told.require_mirror();
    }

    /// Tells those who wait that a mirror holds the first `size` entries: it has cosigned a checkpoint of that size.
    pub fn mirrored(&self, size: u64) {
        self.inner.mirrored(size);
    }

    /// Returns the pseudonym under which the log speaks of `name`, such as `person:ada`: the same for the life of the
    /// log, and of no use to whoever does not know the log's secret or is shown [`Ledger::pseudonym_opening`].
    #[must_use]
    pub fn pseudonym(&self, name: &str) -> [u8; 16] {
        self.inner.pseudonyms.of(name)
    }

    /// Returns what shows that a pseudonym is that of `name`.
    #[must_use]
    pub fn pseudonym_opening(&self, name: &str) -> [u8; 16] {
        self.inner.pseudonyms.opening(name)
    }

    /// Returns the chain of `class` of what `name` names, such as `organization:acme`.
    #[must_use]
    pub fn chain(&self, class: Class, name: &str) -> Chain {
        Chain { class, id: self.pseudonym(name) }
    }

    /// Destroys the key under which the private parts of a subject's entries in an epoch are kept; false if there is
    /// none. From then on they are withheld from everybody, while entries, proofs, links and sums stay as they are.
    ///
    /// The key is overwritten on disk and forgotten. A disk that writes elsewhere than where it was told to, as flash
    /// and copy-on-write file systems do, may still hold what was overwritten: [`Ledger::rekey`] makes that unreadable.
    /// Whether it may be destroyed at all, retention and legal holds say: the caller asks them first, and records it.
    ///
    /// # Errors
    ///
    /// [`EraseError`]; after [`EraseError::Failed`] the log is fenced.
    pub fn erase(&self, subject: &[u8; 16], epoch: u32) -> Result<bool, EraseError> {
        self.inner.erase(subject, epoch)
    }

    /// Returns the epochs of which private parts of a subject's entries can be read, in rising order.
    #[must_use]
    pub fn kept_epochs(&self, subject: &[u8; 16]) -> Vec<u32> {
        let epochs = self.inner.epochs(subject).into_iter();
        epochs.filter_map(|(epoch, kept)| kept.then_some(epoch)).collect()
    }

    /// Returns true if private parts of a subject's entries were made unreadable by [`Ledger::erase`].
    #[must_use]
    pub fn has_erased(&self, subject: &[u8; 16]) -> bool {
        self.inner.epochs(subject).iter().any(|(_, kept)| !kept)
    }

    /// Keeps all keys of private parts under another key from now on, and overwrites and removes the files of the one
    /// before; takes a second for a million keys, in which nothing that is new to the vault becomes durable.
    ///
    /// Followers never have the new key either: whoever keeps a copy of it elsewhere needs another copy.
    ///
    /// # Errors
    ///
    /// [`EraseError::NotRekeyed`]: it is still due. [`EraseError::Failed`]: the log is fenced.
    pub fn rekey(&self) -> Result<(), EraseError> {
        self.inner.rekey()
    }

    /// Returns true if [`Ledger::erase`] destroyed a key since the last [`Ledger::rekey`], by whichever process.
    #[must_use]
    pub fn is_rekey_due(&self) -> bool {
        self.inner.is_rekey_due()
    }

    /// Returns the entry at `index` with its private part, once durable.
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
        self.inner.reader()
    }

    /// Returns how many entries the log will have when all that was submitted so far is durable.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        self.inner.shared.queue.next()
    }

    /// Returns the state of the log.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.health()
    }

    /// Returns the log's origin, as in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.inner.shared.key.origin()
    }

    /// Returns the log's verifier key in C2SP signed-note form (`name+hash+key`).
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.inner.shared.key.verifier_key().to_owned()
    }

    /// Returns the log's key, for what is signed besides checkpoints: each kind of statement has a label of its own.
    #[must_use]
    pub fn signer(&self) -> &SignerKey {
        self.inner.shared.key.signer()
    }

    /// Waits until everything submitted is durable, writes a heads entry and a `Stop`, signs a last checkpoint and stops the
    /// threads. Later submissions answer [`Unavailable::Fenced`]. Blocks; call it off the data path.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the last commit failed.
    pub fn stop(&self) -> Result<(), Unavailable> {
        self.inner.stop()
    }

    fn submit_as<T>(&self, inner: T, draft: Draft, awaited: Awaited) -> Result<Pending<T>, Unavailable> {
        self.inner.submit(draft, awaited).map(|ticket| Pending::new(inner, ticket))
    }
}

impl<T> Pending<T> {
    fn new(inner: T, ticket: Ticket) -> Self {
        Self { inner, index: ticket.index, at_ms: ticket.at_ms, leaf: ticket.leaf, slot: ticket.slot }
    }

    /// Returns what was submitted.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// Returns the index of the entry; final, although the entry may not be durable yet.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns the time of the entry, in milliseconds since the Unix epoch; final as well.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// Returns the leaf hash of the entry; final as well.
    #[must_use]
    pub fn leaf(&self) -> &Hash {
        &self.leaf
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
        Ok(Recorded { inner: self.inner, index: self.index, at_ms: self.at_ms, leaf: self.leaf })
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

    /// Returns the time of the opening entry, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
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
