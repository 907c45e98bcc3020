//! A store that fails, that is newer or older than the log, or that holds another one. The cases are those of Sunlight
//! (`internal/ctlog`): its lock backend is this store.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// What a store does to a swap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    /// 500, and nothing is kept.
    FailedNotPersisted,
    /// Late: it is kept, and nobody hears of it.
    FailedButPersisted,
    /// 412, although nobody else wrote.
    Refused,
}

/// What is kept, seen by any number of processes.
type Cell = Arc<Mutex<(u64, Option<Mark>)>>;

/// One process's view of a cell.
#[derive(Debug, Default)]
struct Store {
    cell: Cell,
    version: AtomicU64,
    next: Mutex<Option<Answer>>,
}

impl Store {
    fn of(cell: &Cell) -> Arc<Self> {
        Arc::new(Self { cell: Arc::clone(cell), ..Self::default() })
    }

    fn will(&self, answer: Answer) {
        *lock(&self.next) = Some(answer);
    }
}

impl CheckpointStore for Store {
    fn load(&self) -> io::Result<Option<Mark>> {
        let cell = lock(&self.cell);
        self.version.store(cell.0, Ordering::SeqCst);
        Ok(cell.1)
    }

    fn swap(&self, next: &Mark) -> io::Result<bool> {
        let answer = lock(&self.next).take();
        let failed = || io::Error::other("500 Internal Server Error");
        match answer {
            Some(Answer::FailedNotPersisted) => return Err(failed()),
            Some(Answer::Refused) => return Ok(false),
            _ => {}
        }
        let mut cell = lock(&self.cell);
        if cell.0 != self.version.load(Ordering::SeqCst) {
            return Ok(false);
        }
        *cell = (cell.0 + 1, Some(*next));
        if answer.is_some() {
            return Err(failed());
        }
        self.version.store(cell.0, Ordering::SeqCst);
        Ok(true)
    }
}

fn guard(store: &Arc<Store>, epoch: u64) -> Guard {
    Guard::new(Some(Arc::clone(store) as Arc<dyn CheckpointStore>), epoch).unwrap()
}

/// The root that the test's log has at a size.
fn root(size: u64) -> Hash {
    proof::tree::leaf_hash(&size.to_be_bytes())
}

fn pass(guard: &Guard, size: u64) -> Result<(), Fault> {
    guard.pass(size, root(size), |size| Ok(root(size)))
}

fn size(cell: &Cell) -> u64 {
    lock(cell).1.unwrap().size
}

#[test]
fn a_failed_swap_is_tried_again_whether_it_was_persisted_or_not_and_whether_the_log_grew_or_not() {
    for answer in [Answer::FailedNotPersisted, Answer::FailedButPersisted] {
        for first in [0, 7] {
            for grown in [20, 25] {
                let cell = Cell::default();
                let store = Store::of(&cell);
                let guard = guard(&store, 1);
                if first > 0 {
                    pass(&guard, first).unwrap();
                }
                store.will(answer);
                assert!(matches!(pass(&guard, 20), Err(Fault::Io { .. })));
                store.will(Answer::FailedNotPersisted);
                assert!(matches!(pass(&guard, 20), Err(Fault::Io { .. })), "again, at the same size");
                pass(&guard, grown).unwrap();
                assert_eq!(size(&cell), grown, "{answer:?} {first}");
                assert!(guard.holds());
            }
        }
    }
}

#[test]
fn a_refusal_without_reason_is_asked_about_once() {
    let cell = Cell::default();
    let store = Store::of(&cell);
    let guard = guard(&store, 1);
    pass(&guard, 3).unwrap();
    store.will(Answer::Refused);
    pass(&guard, 4).unwrap();
    assert_eq!(size(&cell), 4);
}

#[test]
fn whoever_opens_later_takes_over_and_the_one_before_is_fenced() {
    let cell = Cell::default();
    let (before, after) = (guard(&Store::of(&cell), 5), guard(&Store::of(&cell), 6));
    pass(&before, 10).unwrap();
    pass(&after, 12).unwrap();
    assert!(matches!(pass(&before, 11), Err(Fault::Damaged(_))));
    pass(&after, 13).unwrap();
    assert_eq!(size(&cell), 13);
}

#[test]
fn two_copies_of_one_opening_never_both_go_on() {
    let cell = Cell::default();
    let (one, other) = (guard(&Store::of(&cell), 5), guard(&Store::of(&cell), 5));
    pass(&one, 10).unwrap();
    assert!(matches!(pass(&other, 10), Err(Fault::Damaged(_))));
    assert!(!other.holds());
    pass(&one, 11).unwrap();
}

#[test]
fn a_stale_opening_is_refused() {
    let cell = Cell::default();
    pass(&guard(&Store::of(&cell), 9), 10).unwrap();
    assert!(matches!(pass(&guard(&Store::of(&cell), 8), 30), Err(Fault::Damaged(_))));
}

#[test]
fn checkpoint_store_newer() {
    let cell = Cell::default();
    pass(&guard(&Store::of(&cell), 1), 10).unwrap();
    assert!(matches!(pass(&guard(&Store::of(&cell), 2), 9), Err(Fault::Damaged(_))));
}

#[test]
fn checkpoint_store_older() {
    let cell = Cell::default();
    pass(&guard(&Store::of(&cell), 1), 10).unwrap();
    pass(&guard(&Store::of(&cell), 2), 1_000).unwrap();
}

#[test]
fn checkpoint_store_mismatch() {
    let cell = Cell::default();
    pass(&guard(&Store::of(&cell), 1), 10).unwrap();
    let other = guard(&Store::of(&cell), 2);
    let refused = other.pass(12, root(12), |_| Ok([9; 32]));
    assert!(matches!(refused, Err(Fault::Damaged(_))));
}

#[test]
fn without_a_store_everything_passes() {
    let guard = Guard::new(None, 1).unwrap();
    assert!(guard.holds());
    guard.pass(1, [0; 32], |_| Err(Fault::Damaged("not asked".to_owned()))).unwrap();
}
