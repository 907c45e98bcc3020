//! Where entries wait for the disk: in the order, and with the indices, that the log will have.
//!
//! A submitter commits and seals on its own thread; under the lock the entry gets its index and its places in chains,
//! its bytes and their hash, and the frame is copied. The writer takes all that waits at once: while it writes, the next batch gathers. When it
//! takes is told by [`crate::pace`].

use std::{
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use proof::{
    entry::{Entry, Kind},
    heads::Heads,
    tree::{Hash, leaf_hash},
};

use crate::{
    batch,
    bytes::padded,
    calls::Change,
    chains::Places,
    frame::Frame,
    handle::{Draft, Unavailable},
    pace::{Awaited, Next, Pace, Waiting},
    ready::{Ready, Sealer},
    slot::Slot,
    vault::Vault,
};

/// How far the clock may lie behind the last entry before nothing is taken any more, in milliseconds.
pub(crate) const CLOCK_TOLERANCE_MS: u64 = 5_000;

/// How often what grew is counted into the head map before the queue stands still for the rest: the second time only
/// what came during the first is left, and less each time.
const HEADS_AHEAD: usize = 3;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Entries that wait or are being written.
    pub(crate) entries: usize,
    /// Bytes of one batch, with its header.
    pub(crate) batch: usize,
}

/// An entry's place in the log, before it is durable.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) index: u64,
    pub(crate) at_ms: u64,
    pub(crate) leaf: Hash,
    pub(crate) slot: Arc<Slot>,
}

/// What one commit takes: everything that waited.
#[derive(Debug)]
pub(crate) struct Work {
    /// Room for the batch header, then the frames.
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaves: Vec<Hash>,
    pub(crate) slots: Vec<Arc<Slot>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) last_at_ms: u64,
    /// How many entries somebody waits for.
    pub(crate) awaited: usize,
    /// When the first entry came.
    since: Option<Instant>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            bytes: vec![0; batch::HEADER],
            leaves: Vec::new(),
            slots: Vec::new(),
            changes: Vec::new(),
            last_at_ms: 0,
            awaited: 0,
            since: None,
        }
    }
}

impl Work {
    /// Makes room for the next batch, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(batch::HEADER);
        self.leaves.clear();
        self.slots.clear();
        self.changes.clear();
        self.awaited = 0;
        self.since = None;
    }

    /// Appends the frame of an entry; returns its leaf, `None` if it has none.
    fn write(&mut self, entry: &Entry, sealed: &[u8]) -> Option<Vec<u8>> {
        let leaf = entry.encode().ok()?;
        let frame = Frame { leaf: &leaf, sealed };
        frame.write(&frame.head()?, &mut self.bytes);
        Some(leaf)
    }

    fn bytes_with(&self, frame: usize) -> u64 {
        padded((self.bytes.len() + frame) as u64)
    }
}

/// Whether entries are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Open,
    /// What waits is still written, nothing more is taken.
    Closed,
    /// Nothing is written any more.
    Fenced,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    work: Work,
    /// The index of the next entry.
    next: u64,
    /// Where every chain stands before it.
    places: Places,
    /// The index of the last heads entry.
    last_heads: Option<u64>,
    /// The size of the log that is durable.
    durable: u64,
    /// Bytes left in the segment after the batch that is being written.
    room: u64,
    /// While the writer sleeps: how many awaited entries wake it; 0 if any entry does.
    sleeps_until: Option<usize>,
    /// When it takes.
    pace: Pace,
}

/// The queue between submitters and the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: Limits,
    /// True while the next segment cannot be made.
    starved: Arc<AtomicBool>,
    sealer: Sealer,
    state: Mutex<State>,
    arrived: Condvar,
}

/// Where a log stands when it is opened; all of it is durable.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// How many entries it has.
    pub(crate) next: u64,
    /// When the last of them was written.
    pub(crate) last_at_ms: u64,
    /// Where every chain stands.
    pub(crate) places: Places,
    /// The index of the last heads entry, if it is known.
    pub(crate) last_heads: Option<u64>,
    /// Bytes left in the last segment.
    pub(crate) room: u64,
}

impl Queue {
    /// Makes the queue of a log.
    pub(crate) fn new(limits: Limits, starved: Arc<AtomicBool>, vault: Arc<Vault>, standing: Standing) -> Self {
        let Standing { next, last_at_ms, places, last_heads, room } = standing;
        let work = Work { last_at_ms, ..Work::default() };
        let state = State {
            mode: Mode::Open,
            work,
            next,
            places,
            last_heads,
            durable: next,
            room,
            sleeps_until: None,
            pace: Pace::default(),
        };
        Self { limits, starved, sealer: Sealer::new(vault), state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Takes an entry at `now_ms`.
    pub(crate) fn submit(&self, draft: Draft, now_ms: u64, awaited: Awaited) -> Result<Ticket, Unavailable> {
        let mut ready = Ready::new(&self.sealer, draft, now_ms)?;
        loop {
            let mut state = self.admitted(&ready, now_ms, awaited)?;
            // Another thread may have read the clock later and come first.
            let at_ms = now_ms.max(state.work.last_at_ms);
            if ready.is_for(at_ms) {
                ready.entry.at_ms = at_ms;
                let ticket = state.push(ready, awaited)?;
                self.pushed(state, awaited);
                return Ok(ticket);
            }
            drop(state);
            ready = ready.again(&self.sealer, at_ms)?;
        }
    }

    /// Takes a heads entry, whose root is of the map of all entries before it. `heads` is the map as of the last one;
    /// most of what grew since is counted in before the queue stands still.
    pub(crate) fn submit_heads(&self, heads: &mut Heads, now_ms: u64) -> Result<Ticket, Unavailable> {
        for _ in 0..HEADS_AHEAD {
            let grown = self.lock().places.take_grown();
            grown.into_iter().for_each(|(chain, head)| heads.set(chain, head));
            heads.root();
        }
        // Its length is measured before it is known what it says: as long as it can be.
        let longest = Entry { root: Some([u8::MAX; 32]), covered: Some(u64::MAX), ..Entry::new(Kind::Heads) };
        let mut ready = Ready::new(&self.sealer, Draft::new(longest, Vec::new()), now_ms)?;
        let mut state = self.admitted(&ready, now_ms, Awaited::Now)?;
        state.places.take_grown().into_iter().for_each(|(chain, head)| heads.set(chain, head));
        ready.entry.at_ms = now_ms.max(state.work.last_at_ms);
        ready.entry.root = Some(heads.root());
        ready.entry.covered = Some(state.next);
        state.last_heads = Some(state.next);
        let ticket = state.push(ready, Awaited::Now)?;
        self.pushed(state, Awaited::Now);
        Ok(ticket)
    }

    /// Returns the indices of what was recorded since the last heads entry; none if nothing was.
    pub(crate) fn since_heads(&self) -> Range<u64> {
        let state = self.lock();
        state.last_heads.map_or(0, |last| last + 1)..state.next
    }

    /// Locks the queue if it takes the entry.
    fn admitted(&self, ready: &Ready, now_ms: u64, awaited: Awaited) -> Result<MutexGuard<'_, State>, Unavailable> {
        let mut state = self.lock();
        match self.admit(&state, ready.longest(), now_ms, awaited == Awaited::Last) {
            Ok(()) => Ok(state),
            Err(refused) => {
                // There may be room as soon as what gathers is written.
                if refused == Unavailable::Full && state.sleeps_until.take().is_some() {
                    self.arrived.notify_one();
                }
                Err(refused)
            }
        }
    }

    /// Lets go of the queue after an entry came, and wakes the writer if there is reason to.
    fn pushed(&self, mut state: MutexGuard<'_, State>, awaited: Awaited) {
        if awaited == Awaited::Last {
            state.mode = Mode::Closed;
        }
        let wakes = self.wakes(&mut state);
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
    }

    /// Returns why an entry is not taken, if it is not. The last one is taken also where the queue is full.
    fn admit(&self, state: &State, frame: usize, now_ms: u64, last: bool) -> Result<(), Unavailable> {
        if state.mode != Mode::Open {
            return Err(Unavailable::Fenced);
        }
        if state.work.last_at_ms > now_ms.saturating_add(CLOCK_TOLERANCE_MS) {
            return Err(Unavailable::ClockBehind);
        }
        if batch::HEADER + frame > self.limits.batch {
            return Err(Unavailable::TooLong);
        }
        let waiting = state.next - state.durable;
        let full = waiting >= self.limits.entries as u64 || state.work.bytes.len() + frame > self.limits.batch;
        if full && !last {
            return Err(Unavailable::Full);
        }
        if state.work.bytes_with(frame) > state.room && self.starved.load(Ordering::Relaxed) {
            return Err(Unavailable::NoRoom);
        }
        Ok(())
    }

    /// Returns why the next entry would be refused, if so.
    pub(crate) fn refuses(&self, now_ms: u64) -> Option<Unavailable> {
        self.admit(&self.lock(), 0, now_ms, false).err()
    }

    /// Returns true, once, if the writer sleeps and what waits by now is reason enough to wake it.
    fn wakes(&self, state: &mut State) -> bool {
        let enough = |awaited| state.work.awaited >= awaited || state.mode != Mode::Open || self.is_half_full(state);
        let wakes = state.sleeps_until.is_some_and(enough);
        if wakes {
            state.sleeps_until = None;
        }
        wakes
    }

    /// So much waits that it is better written now than gathered longer.
    fn is_half_full(&self, state: &State) -> bool {
        let (entries, bytes) = (state.work.leaves.len(), state.work.bytes.len());
        entries > 0 && (entries >= self.limits.entries / 2 || bytes >= self.limits.batch / 2)
    }

    /// Waits until work should be written and takes all of it in exchange for an empty one; false once there will
    /// be no more.
    pub(crate) fn take(&self, work: &mut Work) -> bool {
        let mut state = self.lock();
        while state.mode == Mode::Open && !self.is_half_full(&state) {
            let waiting = Waiting { since: state.work.since, awaited: state.work.awaited };
            state = match state.pace.next(waiting, Instant::now()) {
                Next::Take => break,
                Next::Sleep { awaited, timeout } => self.sleep(state, awaited, timeout),
            };
        }
        if state.work.leaves.is_empty() {
            return false;
        }
        work.last_at_ms = state.work.last_at_ms;
        state.room = state.room.saturating_sub(state.work.bytes_with(0));
        let awaited = state.work.awaited;
        state.pace.took(awaited, Instant::now());
        std::mem::swap(&mut state.work, work);
        true
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        awaited: usize,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.sleeps_until = Some(awaited);
        let mut state = match timeout {
            None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.arrived.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.sleeps_until = None;
        state
    }

    /// Learns that what was taken is written, and that everybody was told who waited for the first `size` entries.
    pub(crate) fn committed(&self, size: u64) {
        self.told(size);
        self.lock().pace.wrote(Instant::now());
    }

    /// Learns that everybody was told who waited for the first `size` entries.
    pub(crate) fn told(&self, size: u64) {
        let mut state = self.lock();
        state.durable = state.durable.max(size);
    }

    /// Learns how many bytes a new segment has left.
    pub(crate) fn rolled(&self, room: u64) {
        self.lock().room = room;
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Open {
            state.mode = Mode::Closed;
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// Takes nothing more and tells all that wait.
    pub(crate) fn fence(&self) {
        let mut state = self.lock();
        state.mode = Mode::Fenced;
        let work = std::mem::take(&mut state.work);
        state.work.last_at_ms = work.last_at_ms;
        drop(state);
        self.arrived.notify_all();
        work.slots.iter().for_each(|slot| slot.fenced());
    }

    /// Returns how many entries may wait.
    pub(crate) fn capacity(&self) -> usize {
        self.limits.entries
    }

    /// Returns the index the next entry will have.
    pub(crate) fn next(&self) -> u64 {
        self.lock().next
    }

    /// Returns how many entries wait or are being written.
    pub(crate) fn waiting(&self) -> u64 {
        let state = self.lock();
        state.next - state.durable
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Gives an entry its index and its places, and takes it.
    fn push(&mut self, mut ready: Ready, awaited: Awaited) -> Result<Ticket, Unavailable> {
        let index = self.next;
        self.places.link(&mut ready.entry, index);
        let Some(leaf) = self.work.write(&ready.entry, &ready.sealed) else {
            // It was measured with the longest numbers, so this does not happen; after it, there would be a gap.
            self.mode = Mode::Fenced;
            return Err(Unavailable::Fenced);
        };
        let (hash, slot) = (leaf_hash(&leaf), Arc::new(Slot::default()));
        self.next += 1;
        self.work.since.get_or_insert_with(Instant::now);
        self.work.awaited += usize::from(awaited != Awaited::Nobody);
        let at_ms = ready.entry.at_ms;
        self.work.last_at_ms = at_ms;
        self.work.leaves.push(hash);
        self.work.slots.push(Arc::clone(&slot));
        self.work.changes.extend(Change::of(ready.entry, index));
        Ok(Ticket { index, leaf: hash, at_ms, slot })
    }
}

/// Locks; what another thread left when it panicked is whole, since nothing panics half way through a change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    fn queue(limits: Limits, room: u64) -> Queue {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(Arc::new(Disk), dir.path(), true, 0).unwrap();
        let standing = Standing { next: 10, last_at_ms: 1_000, room, ..Standing::default() };
        Queue::new(limits, Arc::new(AtomicBool::new(true)), Arc::new(vault), standing)
    }

    const WIDE: Limits = Limits { entries: 100, batch: 1 << 20 };

    fn draft(private: usize) -> Draft {
        Draft::new(Entry::new(Kind::Admin), vec![0; private])
    }

    #[test]
    fn indices_follow_the_log_and_times_never_fall() {
        let queue = queue(WIDE, 1 << 30);
        let first = queue.submit(draft(5), 2_000, Awaited::Now).unwrap();
        let second = queue.submit(draft(5), 1_500, Awaited::Now).unwrap();
        assert_eq!((first.index, second.index), (10, 11));
        let mut work = Work::default();
        assert!(queue.take(&mut work));
        assert_eq!(work.leaves, [first.leaf, second.leaf]);
        assert_eq!(work.last_at_ms, 2_000);
        let mut fields = crate::bytes::Fields(&work.bytes[batch::HEADER..]);
        for _ in 0..2 {
            let frame = Frame::decode(&mut fields).unwrap();
            assert_eq!(Entry::decode(frame.leaf).unwrap().at_ms, 2_000);
        }
    }

    #[test]
    fn a_heads_entry_that_the_segment_has_no_room_for_is_refused() {
        let mut work = Work::default();
        let wide = queue(WIDE, 1 << 30);
        drop(wide.submit_heads(&mut Heads::new(), 2_000).unwrap());
        assert!(wide.take(&mut work));
        let needed = work.bytes.len();
        // So long that a frame without a root still ends in the first block, and one with a root does not.
        let filler = |queue: &Queue| {
            drop(queue.submit(draft(0), 2_000, Awaited::Now).unwrap());
            let gathered = queue.lock().work.bytes.len();
            drop(queue.submit(draft(4_096 - gathered - needed + batch::HEADER - 60), 2_000, Awaited::Now).unwrap());
            queue.lock().work.bytes.len()
        };
        let starved = queue(WIDE, 4_096);
        let gathered = filler(&starved);
        assert!(
            gathered + needed - batch::HEADER > 4_096 && gathered + needed - batch::HEADER - 45 <= 4_096,
            "{gathered}"
        );
        let refused = starved.submit_heads(&mut Heads::new(), 2_000);
        assert_eq!(refused.unwrap_err(), Unavailable::NoRoom);
    }

    #[test]
    fn a_clock_too_far_behind_the_last_entry_is_refused() {
        let queue = queue(WIDE, 1 << 30);
        drop(queue.submit(draft(0), 100_000, Awaited::Now).unwrap());
        let late = queue.submit(draft(0), 94_999, Awaited::Now);
        assert_eq!(late.unwrap_err(), Unavailable::ClockBehind);
        assert!(queue.submit(draft(0), 95_000, Awaited::Now).is_ok());
    }

    #[test]
    fn entries_being_written_count_as_waiting_until_they_are_durable() {
        let queue = queue(Limits { entries: 2, ..WIDE }, 1 << 30);
        drop(queue.submit(draft(0), 2_000, Awaited::Now).unwrap());
        drop(queue.submit(draft(0), 2_000, Awaited::Now).unwrap());
        assert!(queue.take(&mut Work::default()));
        let full = queue.submit(draft(0), 2_000, Awaited::Now);
        assert_eq!(full.unwrap_err(), Unavailable::Full);
        queue.committed(12);
        assert!(queue.submit(draft(0), 2_000, Awaited::Now).is_ok());
    }

    #[test]
    fn what_can_never_fit_is_too_long_and_what_does_not_fit_now_is_full() {
        let queue = queue(Limits { batch: 8_192, ..WIDE }, 1 << 30);
        let long = queue.submit(draft(9_000), 2_000, Awaited::Now);
        assert_eq!(long.unwrap_err(), Unavailable::TooLong);
        drop(queue.submit(draft(5_000), 2_000, Awaited::Now).unwrap());
        let full = queue.submit(draft(5_000), 2_000, Awaited::Now);
        assert_eq!(full.unwrap_err(), Unavailable::Full);
    }

    #[test]
    fn without_a_next_segment_only_what_fits_into_this_one_is_taken() {
        let queue = queue(WIDE, 8_192);
        drop(queue.submit(draft(5_000), 2_000, Awaited::Now).unwrap());
        let none = queue.submit(draft(5_000), 2_000, Awaited::Now);
        assert_eq!(none.unwrap_err(), Unavailable::NoRoom);
        queue.starved.store(false, Ordering::Relaxed);
        assert!(queue.submit(draft(5_000), 2_000, Awaited::Now).is_ok());
    }

    #[test]
    fn a_closed_queue_gives_up_what_waits_and_then_ends() {
        let queue = queue(Limits { entries: 1, ..WIDE }, 1 << 30);
        drop(queue.submit(draft(0), 2_000, Awaited::Now).unwrap());
        // The last one is taken although the queue is full.
        drop(queue.submit(draft(0), 2_000, Awaited::Last).unwrap());
        let after = queue.submit(draft(0), 2_000, Awaited::Now);
        assert_eq!(after.unwrap_err(), Unavailable::Fenced);
        let mut work = Work::default();
        assert!(queue.take(&mut work));
        assert_eq!(work.leaves.len(), 2);
        work.clear();
        assert!(!queue.take(&mut work));
    }

    #[test]
    fn a_refusal_for_want_of_room_wakes_the_writer_that_gathers() {
        let queue = queue(Limits { batch: 8_192, ..WIDE }, 1 << 30);
        queue.lock().sleeps_until = Some(1);
        drop(queue.submit(draft(3_000), 2_000, Awaited::Nobody).unwrap());
        assert_eq!(queue.lock().sleeps_until, Some(1));
        let full = queue.submit(draft(6_000), 2_000, Awaited::Now);
        assert_eq!(full.unwrap_err(), Unavailable::Full);
        assert_eq!(queue.lock().sleeps_until, None);
    }

    #[test]
    fn a_queue_for_one_entry_waits_for_it() {
        let queue = Arc::new(queue(Limits { entries: 1, ..WIDE }, 1 << 30));
        let waiting = Arc::clone(&queue);
        let writer = std::thread::spawn(move || waiting.take(&mut Work::default()));
        std::thread::sleep(Duration::from_millis(20));
        drop(queue.submit(draft(0), 2_000, Awaited::Nobody).unwrap());
        assert!(writer.join().unwrap());
    }

    #[test]
    fn fencing_tells_all_that_wait() {
        let queue = queue(WIDE, 1 << 30);
        let ticket = queue.submit(draft(0), 2_000, Awaited::Now).unwrap();
        queue.fence();
        let told = crate::slot::block_on(ticket.slot.wait());
        assert_eq!(told, Err(crate::slot::Fenced));
        assert_eq!(queue.refuses(2_000), Some(Unavailable::Fenced));
    }
}
