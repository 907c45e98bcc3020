//! A change cuts live streams, exactly those it touches.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::{Monitor, Verdict};
use identity::Change;
use policy::Permit;
use proof::entry::{Kind, Outcome};
use terms::{Affiliation, CallId, Claim, Organization, Screening};

use crate::world::{CHAT, World, body, chat, lab, person};

#[test]
fn a_directive_cuts_the_foreign_persons_stream_and_not_the_us_persons() {
    let mut world = World::new();
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    let (mut hers, his) = (world.stream(&ada, "mythos-5"), world.stream(&minh, "mythos-5"));
    let effect = world.june_12();
    assert_eq!((effect.examined, effect.recalled), (2, 1));
    let rest = his.text().unwrap();
    let last = rest.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\ndata: {\"type\":\"error\""), "{last}");
    assert!(last.contains("permission_error") && last.contains("foreign_person_barred"), "{last}");
    assert!(hers.next_piece().unwrap().is_some(), "hers goes on");
    drop(hers);
    let entries = world.entries();
    let cut = entries.iter().find(|entry| entry.outcome == Some(Outcome::Cut)).expect("a cut on record");
    assert_eq!(cut.code.as_deref(), Some("foreign_person_barred"));
    assert!(cut.usage.unwrap().delivered_events >= 1, "{cut:?}");
    assert!(entries.iter().any(|entry| entry.outcome == Some(Outcome::ClientGone)));
}

#[test]
fn a_cut_aborts_the_upstream() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let his = world.stream(&minh, "mythos-5");
    world.june_12();
    his.text().unwrap();
    assert!(world.upstream.wait_aborted(Duration::from_secs(5)));
}

#[test]
fn a_call_on_another_model_is_not_even_looked_at() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let mut his = world.stream(&minh, "ember-2");
    let effect = world.june_12();
    assert_eq!((effect.examined, effect.recalled), (0, 0));
    assert!(his.next_piece().unwrap().is_some());
}

#[test]
fn withdrawing_a_person_cuts_their_streams_and_nobody_elses() {
    let world = World::new();
    let (ada, eve) = (world.person("ada", true), world.person("eve", true));
    let (hers, mut other) = (world.stream(&ada, "mythos-5"), world.stream(&eve, "mythos-5"));
    let mut gone = person("ada", true);
    gone.active = false;
    let effect = world.change(Change::Person(Arc::new(gone)));
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    assert!(hers.text().unwrap().contains("caller_inactive"));
    assert!(other.next_piece().unwrap().is_some());
}

#[test]
fn a_changed_attestation_cuts_under_a_directive() {
    let mut world = World::new();
    let ada = world.person("ada", true);
    world.june_12();
    let hers = world.stream(&ada, "mythos-5");
    let mut changed = person("ada", true);
    changed.attestations[0].claim = Claim::ForeignPerson;
    assert_eq!(world.change(Change::Person(Arc::new(changed))).recalled, 1);
    assert!(hers.text().unwrap().contains("foreign_person_barred"));
}

#[test]
fn a_license_lets_the_foreign_employee_in_again_and_names_its_basis() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.june_12();
    assert_eq!(world.post(&minh, CHAT, &chat("mythos-5", false)).head.status, 403);
    world.annex_a();
    assert_eq!(world.post(&minh, CHAT, &chat("mythos-5", false)).head.status, 200);
    let entries = world.entries();
    let open = entries.iter().rev().find(|entry| entry.kind == Kind::Open).unwrap();
    let basis = open.basis.clone().unwrap();
    assert!(basis.iter().any(|id| id.contains("LTR-2026-06-26")), "{basis:?}");
}

#[test]
fn a_permit_ends_with_time_alone() {
    let mut world = World::new();
    let ada = world.person("ada", true);
    world.june_12();
    let hers = world.stream(&ada, "mythos-5");
    world.clock.advance(Duration::from_secs(29 * 86_400));
    let begun = Instant::now();
    let rest = hers.text().unwrap();
    assert!(rest.contains("permission_error"), "{rest}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(world.closed().0, Outcome::Cut);
}

#[test]
fn a_recall_before_the_first_byte_is_a_plain_refusal() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let address = world.gateway.addresses()[0];
    let waiting = thread::spawn(move || {
        let bearer = format!("Bearer {minh}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("x-fake", "hang")];
        testkit::http::send(address, "POST", CHAT, &headers, &body(&chat("mythos-5", true))).unwrap()
    });
    while world.gateway.live() == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    world.june_12();
    let answer = waiting.join().unwrap();
    assert_eq!(answer.head.status, 403);
    assert_eq!(answer.head.get("x-should-retry"), Some("false"));
    assert_eq!(world.closed().0, Outcome::Cut);
}

#[test]
fn two_hundred_streams_are_cut_and_each_is_on_record() {
    let mut world =
        World::with(|settings| settings.limits.in_flight_per_caller = 4_096, Arc::new(gateway::Unmonitored));
    let keys: Vec<String> = (0..4).map(|n| world.person(&format!("minh-{n}"), false)).collect();
    let streams: Vec<_> = (0..200).map(|n| world.stream(&keys[n % 4], "mythos-5")).collect();
    let effect = world.june_12();
    assert_eq!(effect.recalled, 200);
    for stream in streams {
        assert!(stream.text().unwrap().contains("foreign_person_barred"));
    }
    let cuts = world.entries().iter().filter(|entry| entry.outcome == Some(Outcome::Cut)).count();
    assert_eq!(cuts, 200);
}

#[test]
fn a_party_that_a_live_call_gained_cuts_it_when_it_changes() {
    let world = World::new();
    let ada = world.person("ada", true);
    let hers = world.stream(&ada, "mythos-5");
    let partner = |screening| Organization { id: "partner".parse().unwrap(), screening, ..lab() };
    world.change(Change::Organization(Arc::new(partner(Screening::Cleared))));
    let mut more = person("ada", true);
    let second = Affiliation {
        id: "f2".parse().unwrap(),
        organization: "partner".parse().unwrap(),
        ..more.affiliations[0].clone()
    };
    more.affiliations.push(second);
    assert_eq!(world.change(Change::Person(Arc::new(more))), gateway::Effect { examined: 1, recalled: 0 });
    let effect = world.change(Change::Organization(Arc::new(partner(Screening::EntityListed))));
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    assert!(hers.text().unwrap().contains("restricted_party"));
}

#[test]
fn what_was_decided_before_a_change_is_not_remembered_after_it() {
    let world = World::new();
    let ada = world.person("ada", true);
    assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 200);
    let mut gone = person("ada", true);
    gone.active = false;
    // Into the directory only: nothing is recalled, the next call must find it by itself.
    world.directory.apply(Change::Person(Arc::new(gone)));
    assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 403);
}

#[test]
fn a_permit_that_demands_what_the_gateway_cannot_do_is_refused() {
    let mut world = World::new();
    let ada = world.person("ada", true);
    let hers = world.stream(&ada, "mythos-5");
    assert_eq!(world.demanding("strip_logprobs").recalled, 1);
    assert!(hers.text().unwrap().contains("obligation_unmet"));
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 403);
    assert!(answer.text().unwrap().contains("obligation_unmet"));
}

/// Holds every prompt back until it is told to let it go.
#[derive(Debug)]
struct Held {
    came: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Monitor for Held {
    fn prompt(&self, _: CallId, _: &Permit, _: &[u8]) -> Verdict {
        self.came.lock().unwrap().send(()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        Verdict::Pass
    }

    fn output(&self, _: CallId, _: &[u8]) -> Verdict {
        Verdict::Pass
    }
}

#[test]
fn a_change_of_basis_between_the_decision_and_the_opening_entry_is_on_record() {
    let ((came, has_come), (go, may_go)) = (channel(), channel());
    let held = Held { came: Mutex::new(came), go: Mutex::new(may_go) };
    let mut world = World::with(|_| {}, Arc::new(held));
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", None)]);
    let (address, request) = (world.gateway.addresses()[0], body(&chat("mythos-5", false)));
    thread::scope(|scope| {
        let bearer = format!("Bearer {minh}");
        let asked = scope.spawn(move || {
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            testkit::http::send(address, "POST", CHAT, &headers, &request).unwrap().head.status
        });
        has_come.recv().unwrap();
        let effect = world.capped(&[("LTR-2", None)]);
        assert_eq!((effect.examined, effect.recalled), (1, 0));
        go.send(()).unwrap();
        assert_eq!(asked.join().unwrap(), 200);
    });
    let entries = world.entries();
    let about: Vec<_> = entries.iter().filter(|entry| entry.call.is_some()).collect();
    let basis = |at: usize| about[at].basis.as_deref().unwrap_or_default().join(" ");
    assert_eq!(about.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [Kind::Open, Kind::Redecision, Kind::Close]);
    assert!(basis(0).contains("LTR-1") && basis(1).contains("LTR-2"), "{} then {}", basis(0), basis(1));
    assert_ne!(about[0].snapshot, about[1].snapshot);
    let opened = entries.iter().position(|entry| entry.kind == Kind::Open).map(|at| at as u64);
    assert_eq!(about[1].opened, opened);
}
