//! What the ledger does not take at once, or not whole, is not lost: no call stays open in a log that goes on, and none
//! goes on under a basis that is on no record.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::{sync::Arc, thread, time::Duration};

use gateway::{ContentSettings, Unmonitored};
use identity::Change;
use ledger::{Draft, Unavailable};
use proof::{
    commit::Field,
    entry::{Entry, Kind, Outcome},
};
use terms::{Attestation, Person};

use crate::{
    disk::Stall,
    ends::{durable, once, responses_ended_by},
    world::{CHAT, World, body, capped, chat, person, served},
};

/// Stalls the disk and fills the queue of the ledger.
fn filled(world: &World) -> Stall {
    let stall = world.disk.stall();
    let refused = std::iter::from_fn(|| Some(world.ledger.append(Draft::new(Entry::new(Kind::Admin), ""))));
    let why = refused.into_iter().find_map(Result::err).unwrap();
    assert_eq!(why, Unavailable::Full);
    stall
}

fn closes(world: &World) -> Vec<(Outcome, Option<String>)> {
    let closes = world.entries().into_iter().filter(|entry| entry.kind == Kind::Close);
    closes.map(|close| (close.outcome.unwrap(), close.code)).collect()
}

#[test]
fn a_client_that_goes_while_the_queue_is_full_is_on_record_once_there_is_room() {
    let world = World::new();
    let ada = world.person("ada", true);
    let streams = [(); 3].map(|()| world.stream(&ada, "mythos-5"));
    let stall = filled(&world);
    drop(streams);
    while world.gateway.live() > 0 {
        thread::sleep(Duration::from_millis(5));
    }
    drop(stall);
    for _ in 0..500 {
        if closes(&world).len() == 3 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(closes(&world), [(Outcome::ClientGone, None), (Outcome::ClientGone, None), (Outcome::ClientGone, None)]);
}

#[test]
fn the_last_event_of_a_stream_waits_for_room_in_the_queue() {
    let world = World::new();
    let ada = world.person("ada", true);
    let fake = [("x-fake", "slow-4-150")];
    let mut answer = world.post_with(&ada, CHAT, &fake, &body(&chat("mythos-5", true)));
    answer.next_piece().unwrap().unwrap();
    let stall = filled(&world);
    let text = thread::scope(|scope| {
        let reading = scope.spawn(move || answer.text().unwrap());
        thread::sleep(Duration::from_millis(1_500));
        assert!(!reading.is_finished(), "the last event is held");
        drop(stall);
        reading.join().unwrap()
    });
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(closes(&world), [(Outcome::Completed, None)]);
}

#[test]
fn a_response_that_the_log_has_no_room_to_keep_is_delivered_and_its_place_says_so() {
    let keep =
        ContentSettings { escrow_key: "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=".to_owned(), max_bytes: 4 << 20 };
    // A segment of this log is 1 MiB, so an entry with what is kept beside it is at most a quarter of that.
    let sent = responses_ended_by(400 << 10);
    let url = once(sent.clone());
    let settings = |settings: &mut gateway::Settings| {
        (settings.upstreams, settings.content) = (vec![served("mythos-5", &url)], Some(keep));
    };
    let world = World::with(settings, Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let text = world.post(&ada, "/v1/responses", &chat("mythos-5", true)).text().unwrap();
    assert!(text == sent, "{} of {} bytes came", text.len(), sent.len());
    let (close, stored) = world.stored().into_iter().find(|(entry, _)| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.outcome, close.usage.unwrap().delivered_bytes), (Some(Outcome::Completed), sent.len() as u64));
    assert_eq!(stored.field(Field::SealedResponse).unwrap(), b"too_long");
    assert_eq!(stored.field(Field::Response).unwrap().len(), 32);
}

/// Returns somebody of whom so much is attested that no entry of this log can hold the facts.
fn much_attested(id: &str, us: bool, attestations: usize) -> Person {
    let mut much = person(id, us);
    let first = much.attestations[0].clone();
    let more = (0..attestations).map(|n| Attestation { id: format!("m{n}").parse().unwrap(), ..first.clone() });
    much.attestations.extend(more);
    much
}

/// Returns the only closing entry, which must not name a decision.
fn cut_without_decision(world: &World) -> Entry {
    let (close, stored) = world.stored().into_iter().find(|(entry, _)| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.outcome, close.snapshot, &close.basis), (Some(Outcome::Cut), None, &None));
    assert_eq!(stored.main(), None);
    close
}

#[test]
fn a_cut_on_facts_that_are_too_long_is_on_record_without_them() {
    // Longer than this log has room for, and than any log has.
    for attestations in [2_000, 6_000] {
        let world = World::new().recorded();
        let ada = world.person("ada", true);
        let hers = world.stream(&ada, "mythos-5");
        let gone = Person { active: false, ..much_attested("ada", true, attestations) };
        assert_eq!(world.change(Change::Person(Arc::new(gone))).recalled, 1);
        assert!(hers.text().unwrap().contains("caller_inactive"));
        assert_eq!(cut_without_decision(&world).code.as_deref(), Some("facts_too_long"));
        let report = world.audited();
        assert!(report.holds(), "{report}");
    }
}

#[test]
fn a_call_whose_new_basis_no_entry_can_hold_is_recalled() {
    let world = World::new().recorded();
    world.enact(&Arc::new(capped(2, &[("LTR-1", None)])));
    let minh = world.person("minh", false);
    let his = world.stream(&minh, "mythos-5");
    world.directory.apply(Change::Person(Arc::new(much_attested("minh", false, 2_000))));
    assert_eq!(world.enact(&Arc::new(capped(3, &[("LTR-2", None)]))).recalled, 1);
    assert!(his.text().unwrap().contains("ledger_unavailable"));
    assert_eq!(cut_without_decision(&world).code.as_deref(), Some("ledger_unavailable"));
    let report = world.audited();
    assert!(report.holds(), "{report}");
}

#[test]
fn a_new_basis_that_the_full_queue_did_not_take_is_on_record_once_there_is_room() {
    let world = World::new().recorded();
    world.enact(&Arc::new(capped(2, &[("LTR-1", None)])));
    let minh = world.person("minh", false);
    let his = world.stream(&minh, "mythos-5");
    let second = Arc::new(capped(3, &[("LTR-2", None)]));
    world.put_on_record(&second);
    let stall = filled(&world);
    let effect = world.gateway.snapshot(Arc::clone(&second));
    assert_eq!((effect.examined, effect.recalled), (1, 0));
    drop(stall);
    let redecision = |entries: Vec<Entry>| entries.into_iter().find(|entry| entry.kind == Kind::Redecision);
    let found = (0..500).find_map(|_| {
        world.clock.advance(Duration::from_millis(20));
        thread::sleep(Duration::from_millis(20));
        redecision(durable(&world))
    });
    let found = found.unwrap();
    assert_eq!((found.snapshot, found.basis), (Some(*second.digest()), Some(vec!["LTR-2.own-staff".to_owned()])));
    drop(his);
    let report = world.audited();
    assert!(report.holds(), "{report}");
}
