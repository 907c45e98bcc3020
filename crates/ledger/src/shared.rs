//! What the threads of an open log share.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proof::tree::Hash;
use terms::Clock;

use crate::{
    cosign::Candidates,
    guard::Guard,
    handle::Unavailable,
    heads::HeadsKeeper,
    keys::LogKey,
    layout::Layout,
    queue::{CLOCK_TOLERANCE_MS, Queue, lock},
    storage::Storage,
    told::Told,
    vault::Vault,
    wal::Wal,
};

/// An open log, without its threads.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) segment_bytes: u64,
    pub(crate) checkpoint_every: Duration,
    pub(crate) key: LogKey,
    pub(crate) guard: Guard,
    pub(crate) vault: Arc<Vault>,
    pub(crate) queue: Queue,
    pub(crate) heads: HeadsKeeper,
    pub(crate) status: Status,
    pub(crate) told: Told,
    pub(crate) wal: Mutex<Wal>,
    pub(crate) closing: Signal,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Shared {
    /// Returns the time for an entry, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> Result<u64, Unavailable> {
        let now = self.clock.now();
        if self.clock.behind().as_millis() > u128::from(CLOCK_TOLERANCE_MS) {
            return Err(Unavailable::ClockBehind);
        }
        Ok(u64::try_from(now.as_millis()).unwrap_or_default())
    }
}

/// The latest signed checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Signed {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) text: Arc<str>,
}

/// What the threads tell each other and the outside about how far they are.
#[derive(Debug)]
pub(crate) struct Status {
    /// Size and root of the tree that is durable.
    durable: Mutex<(u64, Hash)>,
    signed: Mutex<Option<Signed>>,
    /// The checkpoint with cosignatures that is shown.
    cosigned: Mutex<Option<Signed>>,
    candidates: Mutex<Candidates>,
    /// Held while a checkpoint is written.
    publishing: Mutex<()>,
    commits: AtomicU64,
    last_commit_ns: AtomicU64,
}

impl Status {
    pub(crate) fn new(size: u64, root: Hash, signed: Option<Signed>) -> Self {
        Self {
            durable: Mutex::new((size, root)),
            signed: Mutex::new(signed),
            cosigned: Mutex::new(None),
            candidates: Mutex::default(),
            publishing: Mutex::new(()),
            commits: AtomicU64::new(0),
            last_commit_ns: AtomicU64::new(0),
        }
    }

    pub(crate) fn committed(&self, size: u64, root: Hash, took: Duration) {
        *lock(&self.durable) = (size, root);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.last_commit_ns.store(nanos, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn durable(&self) -> (u64, Hash) {
        *lock(&self.durable)
    }

    pub(crate) fn sign(&self, signed: Signed) {
        *lock(&self.signed) = Some(signed);
    }

    pub(crate) fn signed(&self) -> Option<Signed> {
        lock(&self.signed).clone()
    }

    /// Takes up the cosigned checkpoint that was shown last.
    pub(crate) fn resume_cosigned(self, cosigned: Option<Signed>, origin: &str) -> Self {
        *lock(&self.candidates) = Candidates::new(cosigned.clone(), origin);
        *lock(&self.cosigned) = cosigned;
        self
    }

    pub(crate) fn candidates(&self) -> MutexGuard<'_, Candidates> {
        lock(&self.candidates)
    }

    pub(crate) fn set_cosigned(&self, cosigned: Signed) {
        *lock(&self.cosigned) = Some(cosigned);
    }

    fn cosigned(&self) -> Option<Signed> {
        lock(&self.cosigned).clone()
    }

    /// Returns the latest checkpoint that covers the entry at `index`: one with cosignatures, if there is one.
    pub(crate) fn covering(&self, index: u64) -> Option<Signed> {
        let covers = |signed: &Signed| index < signed.size;
        self.cosigned().filter(covers).or_else(|| self.signed().filter(covers))
    }

    /// Lets nobody else publish a checkpoint until the guard is dropped.
    pub(crate) fn publishing(&self) -> MutexGuard<'_, ()> {
        lock(&self.publishing)
    }

    /// Returns how many commits there were and how long the last one took.
    pub(crate) fn commits(&self) -> (u64, Duration) {
        let nanos = self.last_commit_ns.load(Ordering::Relaxed);
        (self.commits.load(Ordering::Relaxed), Duration::from_nanos(nanos))
    }
}

/// Something that happens once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn give(&self) {
        *lock(&self.given) = true;
        self.changed.notify_all();
    }

    /// Waits until it happens, at most for `timeout`; returns whether it has happened.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let given = lock(&self.given);
        let (given, _) =
            self.changed.wait_timeout_while(given, timeout, |given| !*given).unwrap_or_else(PoisonError::into_inner);
        *given
    }
}
