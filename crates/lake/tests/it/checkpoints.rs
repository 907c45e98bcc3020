//! The object that guards checkpoints, in a store that fails.

use std::sync::Arc;

use lake::{CheckpointObject, Store};
use ledger::{CheckpointStore, Mark};
use object_store::path::Path;
use tokio::runtime::{Builder, Runtime};

use crate::{
    memory::ORIGIN,
    world::{Fault, Faulty},
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

#[test]
fn an_object_of_something_else_is_no_mark() {
    let (runtime, store) = (runtime(), Faulty::default());
    let object = object(&runtime, &store);
    object.load().unwrap();
    store.fail(&[Fault::Corrupted]);
    object.swap(&mark(1)).unwrap();
    assert!(object.load().is_err());
}
