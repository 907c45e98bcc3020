//! Stops that policy did not decide: the record names no decision for them, and holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::{Monitor, Verdict};
use identity::Change;
use policy::Permit;
use proof::entry::{Kind, Outcome};
use terms::CallId;

use crate::world::{CHAT, World, body, chat, demanding, lab, person};

/// Checks that each of the calls was stopped with this code and without a decision, and that the record holds.
fn check(world: World, code: &str, stops: u64) {
    let closes = world.stored().into_iter().filter(|(entry, _)| entry.kind == Kind::Close);
    for (close, stored) in closes {
        assert_eq!((close.outcome, close.code.as_deref()), (Some(Outcome::Cut), Some(code)));
        assert_eq!((close.snapshot, close.basis, stored.main()), (None, None, None));
    }
    let report = world.audited();
    assert!(report.holds(), "{report}");
    assert_eq!(report.replays.cuts_without_decision, stops);
}

#[test]
fn a_stop_for_an_obligation_that_cannot_be_met_leaves_a_record_that_holds() {
    let world = World::new().recorded();
    let ada = world.person("ada", true);
    let hers = world.stream(&ada, "mythos-5");
    assert_eq!(world.enact(&Arc::new(demanding(2, "strip_logprobs"))).recalled, 1);
    assert!(hers.text().unwrap().contains("obligation_unmet"));
    check(world, "obligation_unmet", 1);
}

/// Stops any output with the second word in it.
#[derive(Debug)]
struct Second;

impl Monitor for Second {
    fn prompt(&self, _: CallId, _: &Permit, _: &[u8]) -> Verdict {
        Verdict::Pass
    }

    fn output(&self, _: CallId, chunk: &[u8]) -> Verdict {
        if String::from_utf8_lossy(chunk).contains("word-1") { Verdict::Stop("second_word") } else { Verdict::Pass }
    }
}

#[test]
fn a_stop_by_a_monitor_leaves_a_record_that_holds() {
    let world = World::with(|_| {}, Arc::new(Second)).recorded();
    let ada = world.person("ada", true);
    let streamed = world.post_with(&ada, CHAT, &[("x-fake", "slow-5-0")], &body(&chat("mythos-5", true)));
    let text = streamed.text().unwrap();
    assert!(text.contains("word-0") && text.contains("second_word") && !text.contains("word-1"), "{text}");
    let whole = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(whole.head.status, 403);
    check(world, "second_word", 2);
}

#[test]
fn a_stop_because_everything_changes_too_fast_leaves_a_record_that_holds() {
    let world = World::new().recorded();
    let ada = world.person("ada", true);
    let hers = world.stream(&ada, "mythos-5");
    let (over, begun) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                world.directory.apply(Change::Organization(Arc::new(lab())));
            }
        });
        let again = || world.gateway.change(&Change::Person(Arc::new(person("ada", true)))).recalled;
        while again() == 0 && begun.elapsed() < Duration::from_secs(60) {}
        over.store(true, Ordering::SeqCst);
    });
    assert!(hers.text().unwrap().contains("revisions_exceeded"));
    check(world, "revisions_exceeded", 1);
}
