//! Where entries wait for the disk: in the order, and with the indices, that the log will have.
//!
//! A submitter encodes, commits and hashes on its own thread; under the lock it only takes the next index and copies
//! the finished frame. The writer takes all that waits at once: while it writes, the next batch gathers. When it
//! takes is told by [`crate::pace`].

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use proof::{
    commit::commit,
    entry::{ENTRY_VERSION, Entry},
    tree::{Hash, leaf_hash},
};

use crate::{
    batch,
    bytes::padded,
    calls::Change,
    frame::{self, Frame},
    handle::{Draft, Unavailable},
    pace::{Awaited, Next, Pace, Waiting},
    salts::Salts,
    slot::Slot,
};

/// How far the clock may lie behind the last entry before nothing is taken any more, in milliseconds.
pub(crate) const CLOCK_TOLERANCE_MS: u64 = 5_000;

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
    salts: Salts,
    state: Mutex<State>,
    arrived: Condvar,
}

impl Queue {
    /// Makes the queue of a log with `next` entries, the last of them at `last_at_ms`, all durable.
    pub(crate) fn new(limits: Limits, starved: Arc<AtomicBool>, next: u64, last_at_ms: u64, room: u64) -> Self {
        let work = Work { last_at_ms, ..Work::default() };
        let pace = Pace::default();
        let state = State { mode: Mode::Open, work, next, durable: next, room, sleeps_until: None, pace };
        Self { limits, starved, salts: Salts::default(), state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Takes an entry at `now_ms`.
    pub(crate) fn submit(&self, draft: Draft, now_ms: u64, awaited: Awaited) -> Result<Ticket, Unavailable> {
        let last = awaited == Awaited::Last;
        let Draft { mut entry, private } = draft;
        // Without randomness nothing can be committed to, so nothing is taken.
        let salt = self.salts.draw().map_err(|_| Unavailable::Fenced)?;
        entry.version = ENTRY_VERSION;
        entry.private = Some(commit(&salt, &private));
        entry.at_ms = now_ms;
        let mut ready = Ready::new(&entry, salt, private)?;
        let slot = Arc::new(Slot::default());
        let mut state = self.lock();
        if let Err(refused) = self.admit(&state, ready.frame().length(), now_ms, last) {
            // There may be room as soon as what gathers is written.
            if refused == Unavailable::Full && state.sleeps_until.take().is_some() {
                self.arrived.notify_one();
            }
            return Err(refused);
        }
        if entry.at_ms < state.work.last_at_ms {
            // Another thread read the clock later and came first; the length does not change.
            entry.at_ms = state.work.last_at_ms;
            ready = Ready::new(&entry, salt, ready.private)?;
        }
        let index = state.push(&ready, entry, Arc::clone(&slot), awaited);
        if last {
            state.mode = Mode::Closed;
        }
        let wakes = self.wakes(&mut state);
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        Ok(Ticket { index, leaf: ready.hash, slot })
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

    /// Learns that the log is durable up to `size`.
    pub(crate) fn committed(&self, size: u64) {
        let mut state = self.lock();
        state.durable = size;
        state.pace.wrote(Instant::now());
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
    fn push(&mut self, ready: &Ready, entry: Entry, slot: Arc<Slot>, awaited: Awaited) -> u64 {
        let index = self.next;
        self.next += 1;
        self.work.since.get_or_insert_with(Instant::now);
        self.work.awaited += usize::from(awaited != Awaited::Nobody);
        self.work.last_at_ms = entry.at_ms;
        ready.frame().write(&ready.head, &mut self.work.bytes);
        self.work.leaves.push(ready.hash);
        self.work.slots.push(slot);
        self.work.changes.extend(Change::of(entry, index));
        index
    }
}

/// Locks; what another thread left when it panicked is whole, since nothing panics half way through a change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry in the bytes it will have.
struct Ready {
    head: [u8; frame::HEAD],
    leaf: Vec<u8>,
    salt: [u8; 16],
    private: Bytes,
    hash: Hash,
}

impl Ready {
    fn new(entry: &Entry, salt: [u8; 16], private: Bytes) -> Result<Self, Unavailable> {
        let leaf = entry.encode().map_err(|_| Unavailable::TooLong)?;
        let head = Frame { leaf: &leaf, salt, private: &private }.head().ok_or(Unavailable::TooLong)?;
        let hash = leaf_hash(&leaf);
        Ok(Self { head, leaf, salt, private, hash })
    }

    fn frame(&self) -> Frame<'_> {
        Frame { leaf: &self.leaf, salt: self.salt, private: &self.private }
    }
}

#[cfg(test)]
mod tests {
    use proof::entry::Kind;

    use super::*;

    fn queue(limits: Limits, room: u64) -> Queue {
        Queue::new(limits, Arc::new(AtomicBool::new(true)), 10, 1_000, room)
    }

    const WIDE: Limits = Limits { entries: 100, batch: 1 << 20 };

    fn draft(private: usize) -> Draft {
        Draft { entry: Entry::new(Kind::Admin), private: vec![0; private].into() }
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
