//! Live calls, found by whatever may change under them: person, organization, credential, model version, time.
//!
//! A change does work in proportion to the calls it touches. The order that makes this safe: a call is entered
//! here first and then compares the directory's revision and the snapshot with those it was decided on; a change
//! is applied to them first and then looks here. Whichever comes second sees the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use policy::{Permit, Refusal};
use terms::{
    CallId, ChannelId, InstrumentId, KeyId, ModelVersionId, Moment, OrganizationId, PersonId, ProvisionId, SubjectName,
    WorkloadId,
};
use tokio::sync::Notify;

use crate::{authenticate::Caller, party::Party, tally::Tab};

/// Something that calls depend on and that can change.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Subject {
    /// A natural person: the caller, an owner or a recipient.
    Person(PersonId),
    /// An organization that an affiliation or a credential names.
    Organization(OrganizationId),
    /// A workload.
    Workload(WorkloadId),
    /// A credential.
    Key(KeyId),
    /// A model version, and through it every instrument in whose scope it is.
    Model(ModelVersionId),
    /// A license whose cap may stand in the way.
    License(InstrumentId),
    /// A channel that evidence about a caller, or a token, rests on.
    Channel(ChannelId),
    /// What a source calls whom it speaks for.
    Account(ChannelId, SubjectName),
    /// A session at a source, or one token of it.
    Session(ChannelId, SubjectName),
}

/// Why a call was recalled, as recorded and as the caller is told.
#[derive(Debug)]
pub(crate) struct Recall {
    /// The stable reason.
    pub(crate) code: &'static str,
    /// One sentence for the caller, without anybody's personal data.
    pub(crate) message: String,
    /// True if named evidence would clear it.
    pub(crate) hold: bool,
    /// What `policy::decide` said; absent where the gateway itself, or a monitor, stops a call that policy permits.
    pub(crate) decision: Option<Decision>,
    /// When.
    pub(crate) at: Instant,
}

/// The refusal that recalled a call, as its closing entry names it.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The provisions that refused.
    pub(crate) denied_by: Vec<ProvisionId>,
    /// The digest of the snapshot that decided.
    pub(crate) snapshot: [u8; 32],
    /// The facts it was decided on, serialized.
    pub(crate) facts: Bytes,
}

impl Recall {
    /// Makes a recall of a refusal.
    pub(crate) fn refused(refusal: &Refusal, facts: Bytes) -> Self {
        let decision = Decision { denied_by: refusal.denied_by().to_vec(), snapshot: *refusal.snapshot(), facts };
        Self {
            code: refusal.code().as_str(),
            message: refusal.message(),
            hold: refusal.is_hold(),
            decision: Some(decision),
            at: Instant::now(),
        }
    }

    /// Makes a recall for a stop that policy did not decide: a monitor, an obligation or a limit of the gateway demands it.
    /// The code is none of the policy's.
    pub(crate) fn stopped(code: &'static str, message: &str) -> Self {
        Self { code, message: message.to_owned(), hold: false, decision: None, at: Instant::now() }
    }
}

/// One live call, shared between its own task and whoever may recall it.
#[derive(Debug)]
pub(crate) struct Live {
    /// Names the call.
    pub(crate) call: CallId,
    /// The credential it came with.
    pub(crate) caller: Caller,
    /// The version that serves it.
    pub(crate) model: ModelVersionId,
    /// What it uses under capped licenses.
    pub(crate) tab: Tab,
    place: Place,
    opened: OnceLock<(u64, Party)>,
    is_closed: AtomicBool,
    permit: Mutex<Held>,
    recalled: OnceLock<Recall>,
    waker: AtomicWaker,
    /// Of whoever closes it where its own task waits for a client to read.
    closer: AtomicWaker,
}

/// The permit that a live call runs on.
#[derive(Debug)]
struct Held {
    permit: Permit,
    /// False while no entry names its legal basis, which the ledger did not take.
    on_record: bool,
}

/// Where a live call stands in the index.
#[derive(Clone, Copy, Debug)]
struct Place {
    worker: usize,
    slot: u64,
}

impl Live {
    /// Recalls the call; the first recall stands. Its task stops before the next chunk.
    pub(crate) fn recall(&self, recall: Recall) -> bool {
        let first = self.recalled.set(recall).is_ok();
        self.waker.wake();
        self.closer.wake();
        first
    }

    /// Returns the recall, if there is one.
    pub(crate) fn recalled(&self) -> Option<&Recall> {
        self.recalled.get()
    }

    /// Polls for a recall; the task is woken when one comes.
    pub(crate) fn poll_recalled(&self, cx: &Context<'_>) -> Poll<&Recall> {
        self.poll_with(&self.waker, cx)
    }

    /// Waits for a recall.
    pub(crate) async fn wait_recalled(&self) -> &Recall {
        std::future::poll_fn(|cx| self.poll_recalled(cx)).await
    }

    /// Waits for a recall beside the call's own task, which is woken too; for one task at a time.
    pub(crate) async fn wait_recalled_beside(&self) -> &Recall {
        std::future::poll_fn(|cx| self.poll_with(&self.closer, cx)).await
    }

    fn poll_with(&self, waker: &AtomicWaker, cx: &Context<'_>) -> Poll<&Recall> {
        if let Some(recall) = self.recalled.get() {
            return Poll::Ready(recall);
        }
        waker.register(cx.waker());
        self.recalled.get().map_or(Poll::Pending, Poll::Ready)
    }

    /// Learns the index of the opening entry, whom that is about and which permit it names. Returns true if the call was
    /// decided again since, on another legal basis: it runs on the permit of the entry then, and must be decided again.
    #[must_use = "a call that goes on under another basis than its entries say must be decided again"]
    pub(crate) fn opened_at(&self, index: u64, party: Party, permit: Permit) -> bool {
        let mut held = lock(&self.permit);
        // Only the call's own task learns it, and only once.
        let _ = self.opened.set((index, party));
        let changed = held.permit.basis() != permit.basis();
        *held = Held { permit, on_record: true };
        changed
    }

    /// Returns the index of the opening entry and whom it is about, from when it was submitted until the closing entry is.
    pub(crate) fn opened(&self) -> Option<(u64, &Party)> {
        let opened = self.opened.get().filter(|_| !self.is_closed.load(Ordering::Acquire));
        opened.map(|(index, party)| (*index, party))
    }

    /// Learns that its closing entry is about to be submitted: nothing more is recorded of it, though its client may take
    /// as long as it likes to read the end.
    pub(crate) fn closes(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Returns the legal bases it runs on.
    pub(crate) fn basis(&self) -> Vec<ProvisionId> {
        lock(&self.permit).permit.basis().to_vec()
    }

    /// Learns that the ledger did not take the entry that names its legal basis: the next permit needs one, whatever its own.
    pub(crate) fn not_recorded(&self) {
        lock(&self.permit).on_record = false;
    }

    /// Puts a newer permit in place of the one it runs on; returns true if its entries name another legal basis, and one
    /// more is to be written. A call that is not open yet has none, see [`Live::opened_at`].
    fn replace(&self, permit: Permit) -> bool {
        let mut held = lock(&self.permit);
        let changed = held.permit.basis() != permit.basis() || !held.on_record;
        *held = Held { permit, on_record: true };
        changed && self.opened.get().is_some()
    }
}

/// All live calls, one shard per worker thread so that workers do not contend.
#[derive(Debug)]
pub(crate) struct Leases {
    shards: Vec<Shard>,
}

#[derive(Debug, Default)]
struct Shard {
    index: Mutex<Index>,
    earlier: Notify,
}

/// Empty groups that are kept, so that a caller's next call finds its own; more, where more are in use. Each change of
/// what was decided leaves one behind.
const SPARE_GROUPS: usize = 32;

#[derive(Debug, Default)]
struct Index {
    next: u64,
    live: BTreeMap<u64, Entered>,
    groups: BTreeMap<GroupId, Group>,
    empty_groups: usize,
    by_subject: BTreeSet<(Subject, GroupId)>,
    by_time: BTreeSet<(Moment, u64)>,
}

/// The address of a group's subjects, which is nobody else's while the group holds them.
type GroupId = usize;

/// Live calls that were decided together and depend on the same: entering one more costs one look-up, not one for
/// each subject.
#[derive(Debug)]
struct Group {
    subjects: Arc<[Subject]>,
    slots: BTreeSet<u64>,
}

/// A live call, and under what it stands in the index.
#[derive(Debug)]
struct Entered {
    live: Arc<Live>,
    until: Moment,
    subjects: Arc<[Subject]>,
}

/// Holds a live call in the index; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Arc<Leases>,
    live: Arc<Live>,
}

impl Lease {
    /// Returns the live call, for whoever needs it beyond the lease.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }
}

impl std::ops::Deref for Lease {
    type Target = Live;
    fn deref(&self) -> &Live {
        &self.live
    }
}

impl Leases {
    /// Makes an index for `workers` threads.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { shards: (0..workers.max(1)).map(|_| Shard::default()).collect() })
    }

    /// Enters a call that is permitted up to `until`. Whoever enters it must then check that nothing changed since it was
    /// decided.
    pub(crate) fn enter(
        self: &Arc<Self>,
        worker: usize,
        call: CallId,
        caller: Caller,
        subjects: Arc<[Subject]>,
        permit: Permit,
        until: Moment,
    ) -> Lease {
        let worker = worker % self.shards.len().max(1);
        let live = |slot| Live {
            call,
            caller,
            model: permit.model().clone(),
            tab: Tab::default(),
            place: Place { worker, slot },
            opened: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            permit: Mutex::new(Held { permit, on_record: true }),
            recalled: OnceLock::new(),
            waker: AtomicWaker::new(),
            closer: AtomicWaker::new(),
        };
        let live = match self.shards.get(worker) {
            Some(shard) => shard.enter(live, subjects, until),
            None => Arc::new(live(0)),
        };
        Lease { leases: Arc::clone(self), live }
    }

    /// Returns the live calls that depend on `subject`.
    pub(crate) fn touching(&self, subject: &Subject) -> Vec<Arc<Live>> {
        self.shards.iter().flat_map(|shard| lock(&shard.index).touching(subject)).collect()
    }

    /// Returns how many live calls depend on `subject`.
    pub(crate) fn count(&self, subject: &Subject) -> usize {
        self.shards.iter().map(|shard| lock(&shard.index).count(subject)).sum()
    }

    /// Returns the number of live calls.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.index).live.len()).sum()
    }

    /// Returns every live call.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.shards.iter().flat_map(|shard| lock(&shard.index).all()).collect()
    }

    /// Returns the live calls of one worker whose time has come, and the earliest time of the others.
    pub(crate) fn due(&self, worker: usize, now: Moment) -> (Vec<Arc<Live>>, Option<Moment>) {
        self.shards.get(worker).map_or((Vec::new(), None), |shard| lock(&shard.index).due(now))
    }

    /// Waits until a call was entered at `worker` whose time is the earliest there.
    pub(crate) async fn earlier(&self, worker: usize) {
        match self.shards.get(worker) {
            Some(shard) => shard.earlier.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Lets a live call stand under what it depends on now, which may be more than when it was entered.
    pub(crate) fn depend(&self, live: &Live, subjects: &Arc<[Subject]>) {
        if let Some(shard) = self.shards.get(live.place.worker) {
            shard.depend(live.place.slot, subjects);
        }
    }

    /// Takes a recalled call out of the order of time: it needs no further decision.
    pub(crate) fn forget_time(&self, live: &Live) {
        self.decide_at(live, Moment::MAX);
    }

    /// Lets a live call be decided again at a moment, in place of the one it stood under.
    pub(crate) fn decide_at(&self, live: &Live, at: Moment) {
        if let Some(shard) = self.shards.get(live.place.worker) {
            shard.reschedule(live.place.slot, at);
        }
    }

    /// Puts a newer permit, which holds up to `until`, under a live call; returns true if it is open and its entries name
    /// another legal basis.
    pub(crate) fn renew(&self, live: &Live, permit: Permit, until: Moment) -> bool {
        self.decide_at(live, until);
        live.replace(permit)
    }
}

impl Shard {
    fn enter(&self, live: impl FnOnce(u64) -> Live, subjects: Arc<[Subject]>, until: Moment) -> Arc<Live> {
        let mut index = lock(&self.index);
        let slot = index.next;
        index.next += 1;
        let live = Arc::new(live(slot));
        index.join(&subjects, slot);
        index.live.insert(slot, Entered { live: Arc::clone(&live), until, subjects });
        index.by_time.insert((until, slot));
        if index.by_time.first().is_some_and(|(_, first)| *first == slot) {
            self.earlier.notify_one();
        }
        live
    }

    fn leave(&self, slot: u64) {
        let mut index = lock(&self.index);
        let Some(entered) = index.live.remove(&slot) else { return };
        index.by_time.remove(&(entered.until, slot));
        index.quit(&entered.subjects, slot);
    }

    fn depend(&self, slot: u64, subjects: &Arc<[Subject]>) {
        let mut index = lock(&self.index);
        let Some(entered) = index.live.get_mut(&slot) else { return };
        if entered.subjects == *subjects {
            return;
        }
        let before = std::mem::replace(&mut entered.subjects, Arc::clone(subjects));
        index.quit(&before, slot);
        index.join(subjects, slot);
    }

    fn reschedule(&self, slot: u64, until: Moment) {
        let mut index = lock(&self.index);
        let Some(entered) = index.live.get_mut(&slot) else { return };
        let before = std::mem::replace(&mut entered.until, until);
        index.by_time.remove(&(before, slot));
        index.by_time.insert((until, slot));
        self.earlier.notify_one();
    }
}

impl Index {
    fn all(&self) -> Vec<Arc<Live>> {
        self.live.values().map(|entered| Arc::clone(&entered.live)).collect()
    }

    fn at(&self, slot: u64) -> Option<Arc<Live>> {
        self.live.get(&slot).map(|entered| Arc::clone(&entered.live))
    }

    /// Puts a call under everything it depends on.
    fn join(&mut self, subjects: &Arc<[Subject]>, slot: u64) {
        let id = group_id(subjects);
        if let Some(group) = self.groups.get_mut(&id) {
            self.empty_groups -= usize::from(group.slots.is_empty());
            group.slots.insert(slot);
            return;
        }
        self.by_subject.extend(subjects.iter().map(|subject| (subject.clone(), id)));
        self.groups.insert(id, Group { subjects: Arc::clone(subjects), slots: BTreeSet::from([slot]) });
    }

    /// Takes a call from under everything it depended on.
    fn quit(&mut self, subjects: &Arc<[Subject]>, slot: u64) {
        let Some(group) = self.groups.get_mut(&group_id(subjects)) else { return };
        if group.slots.remove(&slot) && group.slots.is_empty() {
            self.empty_groups += 1;
        }
        if self.empty_groups > SPARE_GROUPS.max(self.groups.len() / 2) {
            self.drop_empty_groups();
        }
    }

    fn drop_empty_groups(&mut self) {
        for (id, group) in self.groups.extract_if(.., |_, group| group.slots.is_empty()) {
            for subject in group.subjects.iter() {
                self.by_subject.remove(&(subject.clone(), id));
            }
        }
        self.empty_groups = 0;
    }

    fn groups(&self, subject: &Subject) -> impl Iterator<Item = &Group> {
        let range = (subject.clone(), 0)..=(subject.clone(), GroupId::MAX);
        self.by_subject.range(range).filter_map(|(_, id)| self.groups.get(id))
    }

    fn count(&self, subject: &Subject) -> usize {
        self.groups(subject).map(|group| group.slots.len()).sum()
    }

    fn touching(&self, subject: &Subject) -> Vec<Arc<Live>> {
        self.groups(subject).flat_map(|group| &group.slots).filter_map(|slot| self.at(*slot)).collect()
    }

    fn due(&self, now: Moment) -> (Vec<Arc<Live>>, Option<Moment>) {
        let come = self.by_time.iter().take_while(|(at, _)| *at <= now);
        let due = come.filter_map(|(_, slot)| self.at(*slot)).collect();
        let next = self.by_time.iter().map(|(at, _)| *at).find(|at| *at > now);
        (due, next)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(shard) = self.leases.shards.get(self.live.place.worker) {
            shard.leave(self.live.place.slot);
        }
    }
}

fn group_id(subjects: &Arc<[Subject]>) -> GroupId {
    subjects.as_ptr().addr()
}

/// Takes a lock; whoever panicked while holding it left whole values behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(key: usize) -> Arc<[Subject]> {
        let key = Subject::Key(KeyId::parse(&format!("k{key}")).unwrap());
        Arc::new([key, Subject::Model(ModelVersionId::parse("mythos-5").unwrap())])
    }

    #[test]
    fn calls_are_counted_under_everything_they_depend_on_whichever_group_they_are_in() {
        let mut index = Index::default();
        let (one, same, other) = (subjects(1), subjects(1), subjects(2));
        for (slot, subjects) in [&one, &one, &same, &other].into_iter().enumerate() {
            index.join(subjects, slot as u64);
        }
        assert_eq!([&one[0], &other[0], &one[1]].map(|subject| index.count(subject)), [3, 1, 4]);
        index.quit(&one, 0);
        index.quit(&same, 2);
        assert_eq!([&one[0], &other[0], &one[1]].map(|subject| index.count(subject)), [1, 1, 2]);
    }

    #[test]
    fn groups_without_calls_are_forgotten_once_they_are_many() {
        let mut index = Index::default();
        let kept = subjects(0);
        index.join(&kept, 0);
        for n in 1..=2 * SPARE_GROUPS {
            let subjects = subjects(n);
            index.join(&subjects, n as u64);
            index.quit(&subjects, n as u64);
            assert!(index.groups.len() <= SPARE_GROUPS + 1 && index.by_subject.len() == 2 * index.groups.len());
        }
        assert_eq!(index.count(&kept[1]), 1);
    }
}
