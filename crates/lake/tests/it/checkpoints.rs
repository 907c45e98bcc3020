//! The object that guards checkpoints, in a store that fails.

use std::{
    io::{Error, ErrorKind},
    sync::Arc,
    time::Duration,
};

use lake::{CheckpointObject, Store};
use ledger::{CheckpointStore, Mark};
use object_store::path::Path;
use tokio::{
    runtime::{Builder, Runtime},
    time::{advance, sleep},
};

use crate::{
    memory::ORIGIN,
    world::{Asked, Fault, Faulty},
};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn object(runtime: &Runtime, store: &Faulty) -> CheckpointObject {
    CheckpointObject::new(runtime.handle().clone(), Store::on(Arc::new(store.clone()), Path::default()), ORIGIN)
}

fn mark(size: u64) -> Mark {
    Mark { size, root: [9; 32], epoch: 3, holder: [7; 16] }
}

#[test]
fn a_mark_is_replaced_only_by_whoever_read_it_last() {
    let (runtime, store) = (runtime(), Faulty::default());
    let (one, other) = (object(&runtime, &store), object(&runtime, &store));
    assert_eq!(one.load().unwrap(), None);
    assert!(one.swap(&mark(1)).unwrap());
    assert!(one.swap(&mark(2)).unwrap());
    assert!(!other.swap(&mark(3)).unwrap(), "it was never read");
    assert_eq!(other.load().unwrap(), Some(mark(2)));
    assert!(other.swap(&mark(3)).unwrap());
    assert!(!one.swap(&mark(4)).unwrap());
    assert_eq!(one.load().unwrap(), Some(mark(3)));
}

#[test]
fn after_a_swap_without_an_answer_the_object_says_what_is_there() {
    for (fault, there) in [(Fault::Failed, None), (Fault::FailedButPersisted, Some(mark(1)))] {
        let (runtime, store) = (runtime(), Faulty::default());
        let object = object(&runtime, &store);
        assert_eq!(object.load().unwrap(), None);
        store.fail(&[fault]);
        assert!(object.swap(&mark(1)).is_err());
        assert_eq!(object.swap(&mark(2)).unwrap(), there.is_none());
        if there.is_some() {
            assert_eq!(object.load().unwrap(), there);
            assert!(object.swap(&mark(2)).unwrap());
        }
    }
}

/// Does `work` on a thread of its own while time goes by, second after second, as nobody waits for it.
fn while_time_goes_by<T: Send + 'static>(clock: &Runtime, work: impl FnOnce() -> T + Send + 'static) -> T {
    clock.block_on(async {
        let working = tokio::task::spawn_blocking(work);
        while !working.is_finished() {
            advance(Duration::from_secs(1)).await;
        }
        working.await.unwrap()
    })
}

/// Two of us wait, one within the other: where time goes by quickly, either may be the first to give up.
fn is_late(error: &Error) -> bool {
    error.kind() == ErrorKind::TimedOut || error.to_string().contains("no answer within")
}

#[test]
fn a_store_that_hangs_is_not_waited_for_and_the_object_says_what_it_did_in_the_end() {
    let clock = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let store = Faulty::default();
    let object = Arc::new(object(&clock, &store));
    let load = || {
        let object = Arc::clone(&object);
        while_time_goes_by(&clock, move || object.load())
    };
    let swap = |size| {
        let object = Arc::clone(&object);
        while_time_goes_by(&clock, move || object.swap(&mark(size)))
    };
    let two_years = Duration::from_secs(1 << 26);
    assert_eq!(load().unwrap(), None);
    store.fail(&[Fault::Late(two_years)]);
    assert!(is_late(&swap(1).unwrap_err()));
    assert_eq!(load().unwrap(), None, "nothing is there yet");
    clock.block_on(async { sleep(two_years).await });
    assert!(!swap(2).unwrap(), "what came late was not read yet");
    store.fail_next(Asked::Get, Fault::Late(two_years));
    assert!(is_late(&load().unwrap_err()));
    assert!(!swap(2).unwrap());
    assert_eq!(load().unwrap(), Some(mark(1)));
    assert!(swap(2).unwrap());
}

#[test]
fn an_object_of_something_else_is_no_mark() {
    let (runtime, store) = (runtime(), Faulty::default());
    let object = object(&runtime, &store);
    object.load().unwrap();
    store.fail(&[Fault::Corrupted]);
    object.swap(&mark(1)).unwrap();
    assert!(object.load().is_err());
}
