//! Appending, opening again, looking up.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use ledger::{Ledger, LookupError, OpenError, Reader, Recovery, Unavailable};
use proof::{
    entry::{Class, Kind, Outcome},
    note::VerifierKey,
    receipt::Receipt,
};
use terms::{Moment, SystemClock};

use crate::world::{ORIGIN, World, closing, decode, note, opening, options, put, refusal, segments, submit, until};

#[test]
fn a_new_log_begins_with_genesis_and_start_and_ends_with_stop() {
    let world = World::new();
    let (ledger, recovery) = world.try_open().unwrap();
    assert_eq!(recovery, Recovery::default());
    assert_eq!(put(&ledger, "hello"), 2);
    ledger.stop().unwrap();
    let kinds = [Kind::Genesis, Kind::Start, Kind::Admin, Kind::Heads, Kind::Stop];
    assert_eq!(world.kinds(), kinds);
    assert_eq!(refusal(ledger.append(note("late"))), Unavailable::Fenced);
}

#[test]
fn genesis_commits_to_the_origin_and_the_key_of_the_log() {
    let world = World::new();
    let ledger = world.open();
    let genesis = ledger.stored(0).unwrap();
    let private = String::from_utf8(genesis.main().unwrap().to_vec()).unwrap();
    assert!(private.contains(ORIGIN) && private.contains(&ledger.verifier_key()));
}

#[test]
fn what_was_submitted_survives_a_drop_without_stop() {
    let world = World::new();
    let ledger = world.open();
    let mut index = 0;
    for n in 0..1_000 {
        index = submit(&ledger, &format!("entry {n}")).index();
    }
    drop(ledger);
    let (ledger, recovery) = world.try_open().unwrap();
    assert_eq!(recovery.entries, 1_002);
    assert!(recovery.unclean);
    assert_eq!(recovery.torn_bytes, 0);
    assert_eq!(ledger.stored(index).unwrap().main().unwrap(), b"entry 999");
}

#[test]
fn a_log_can_be_opened_and_closed_again_and_again() {
    let world = World::new();
    for round in 0..5 {
        let (ledger, recovery) = world.try_open().unwrap();
        assert_eq!(recovery.entries, if round == 0 { 0 } else { 5 + 4 * (round - 1) });
        assert!(!recovery.unclean);
        put(&ledger, "round");
        ledger.stop().unwrap();
        ledger.stop().unwrap();
    }
    assert_eq!(world.entries().len(), 21);
}

#[test]
fn an_open_call_is_closed_as_interrupted_by_the_next_opening() {
    let world = World::new();
    let ledger = world.open();
    let open = |call| {
        let draft = opening(&ledger, call);
        ledger.submit(call, draft).unwrap().wait().unwrap()
    };
    let (first, second) = (open(1), open(2));
    let settled = ledger.close(closing(1, first.index())).unwrap();
    drop(settled.wait().unwrap());
    let pseudonym = ledger.pseudonym("ada");
    drop(ledger);
    let (ledger, recovery) = world.try_open().unwrap();
    assert_eq!((recovery.interrupted, recovery.unclean), (1, true));
    let entries = world.entries();
    let [close, start] = &entries[entries.len() - 2..] else { panic!() };
    assert_eq!(close.kind, Kind::Close);
    assert_eq!(close.outcome, Some(Outcome::Interrupted));
    assert_eq!(close.opened, Some(second.index()));
    assert_eq!(close.call, Some([2; 16]));
    assert_eq!(close.subject, Some(pseudonym));
    assert_eq!(close.model.as_deref(), Some("mythos-5"));
    assert_eq!(close.lease, Some(256));
    let back: Vec<_> = close.links.iter().flatten().map(|link| (link.class, link.seq, link.back)).collect();
    assert_eq!(back, [(Class::Subject, 2, 2), (Class::Model, 2, 2)]);
    assert_eq!(start.kind, Kind::Start);
    let start = ledger.stored(entries.len() as u64 - 1).unwrap();
    let said: serde_json::Value = serde_json::from_slice(start.main().unwrap()).unwrap();
    assert_eq!(said, serde_json::json!({ "interrupted": 1, "unclean": true }));
    drop(ledger);
    assert_eq!(world.try_open().unwrap().1.interrupted, 0);
}

#[test]
fn a_call_that_stays_open_over_many_segments_is_found_without_reading_them() {
    let world = World::new();
    let ledger = world.open();
    let open = ledger.submit((), opening(&ledger, 9)).unwrap();
    let opened = open.index();
    for round in 0..200 {
        put(&ledger, &format!("{round} {}", "x".repeat(3_000)));
    }
    drop(ledger.heads().unwrap().wait().unwrap());
    until("all is signed and where the chains stand is saved", || {
        let health = ledger.health();
        health.checkpoint == health.durable && world.dir().join("wal/heads").exists()
    });
    drop(ledger);
    let segments = segments(world.dir());
    assert!(segments.len() > 5, "{segments:?}");
    // What is not read cannot be missed.
    std::fs::write(&segments[0], b"gone").unwrap();
    let (_ledger, recovery) = world.try_open().unwrap();
    assert_eq!(recovery.interrupted, 1);
    let close = world.reader().stored(recovery.entries).unwrap();
    assert_eq!(decode(&close).opened, Some(opened));
}

#[test]
fn so_much_that_it_would_take_long_to_read_is_followed_by_a_heads_entry_and_not_read_by_an_opening() {
    let mut world = World::new();
    world.options.segment_bytes = 8 << 20;
    let ledger = world.open();
    let open = ledger.submit((), opening(&ledger, 9)).unwrap().index();
    (0..140).for_each(|_| _ = put(&ledger, &"x".repeat(1 << 20)));
    // None is due for an hour, so this one is for the bytes alone.
    until("all is signed and where the chains stand is saved", || {
        let health = ledger.health();
        health.checkpoint == health.durable && world.dir().join("wal/heads").exists()
    });
    drop(ledger);
    let segments = segments(world.dir());
    assert!(segments.len() >= 16, "{segments:?}");
    std::fs::write(&segments[0], b"gone").unwrap();
    let (_ledger, recovery) = world.try_open().unwrap();
    let close = world.reader().stored(recovery.entries).unwrap();
    assert_eq!(decode(&close).opened, Some(open));
}

#[test]
fn where_the_chains_stand_is_saved_however_much_is_recorded() {
    let mut world = World::new();
    world.options.segment_bytes = 8 << 20;
    world.options.checkpoint_every = Duration::from_secs(1);
    let ledger = world.open();
    // At each look, another heads entry is due for the bytes that came since.
    for _ in 0..3 {
        let signed = ledger.health().checkpoint;
        while ledger.health().checkpoint == signed {
            (0..140).for_each(|_| _ = put(&ledger, &"x".repeat(1 << 20)));
        }
    }
    assert!(world.dir().join("wal/heads").exists());
}

#[test]
fn a_receipt_proves_the_entry_under_the_logs_key() {
    let world = World::new();
    let ledger = world.open();
    let mut last = 0;
    for round in 0..600 {
        last = submit(&ledger, &round.to_string()).index();
    }
    until("the last entry is covered", || ledger.health().checkpoint > last);
    let key: VerifierKey = ledger.verifier_key().parse().unwrap();
    for index in [0, 1, 255, 256, last] {
        let receipt = ledger.receipt(index).unwrap();
        assert_eq!(receipt.leaf, ledger.stored(index).unwrap().leaf);
        let proof = Receipt::parse(&receipt.proof).unwrap();
        let keys = std::slice::from_ref(&key);
        assert_eq!(proof.index, index);
        proof.verify(&receipt.leaf, ORIGIN, keys).unwrap();
        assert_eq!(world.reader().receipt(index).unwrap().leaf, receipt.leaf);
    }
    let unknown = ledger.receipt(last + 10);
    assert!(matches!(unknown, Err(LookupError::Unknown(_))), "{unknown:?}");
    let unknown = ledger.stored(last + 10);
    assert!(matches!(unknown, Err(LookupError::Unknown(_))), "{unknown:?}");
}

#[test]
fn an_entry_no_checkpoint_covers_yet_has_no_receipt_yet() {
    let mut world = World::new();
    world.options.checkpoint_every = Duration::from_secs(3_600);
    let ledger = world.open();
    let index = put(&ledger, "new");
    assert!(matches!(ledger.receipt(index), Err(LookupError::NotYet(_))));
    ledger.stop().unwrap();
    assert!(world.reader().receipt(index).is_ok());
}

#[test]
fn the_same_subject_has_the_same_pseudonym_for_the_life_of_the_log() {
    let (world, other) = (World::new(), World::new());
    let ledger = world.open();
    let ada = ledger.pseudonym("ada");
    assert_ne!(ada, ledger.pseudonym("minh"));
    assert_ne!(ada, other.open().pseudonym("ada"));
    drop(ledger);
    assert_eq!(world.open().pseudonym("ada"), ada);
}

#[test]
fn secrets_are_readable_by_their_owner_alone() {
    let world = World::new();
    let _ledger = world.open();
    for name in ["key", "pseudonym.key", "vault/1.kek", "vault/1.keys", "wal/00000000000000000000.seg"] {
        let data = std::fs::metadata(world.dir().join(name)).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_second_handle_on_the_same_log_is_refused() {
    let world = World::new();
    let ledger = world.open();
    assert!(matches!(world.try_open(), Err(OpenError::Held(_))));
    put(&ledger, "still works");
    ledger.stop().unwrap();
    assert!(world.try_open().is_ok());
}

#[test]
fn a_clock_that_steps_back_while_the_log_is_open_stops_it_until_it_is_right_again() {
    let world = World::new();
    let ledger = world.open();
    let start = Moment::parse("2026-06-12T21:21:00Z").unwrap();
    world.clock.set(Moment::from_millis(start.as_millis() - 5_001));
    assert_eq!(refusal(ledger.append(note("x"))), Unavailable::ClockBehind);
    assert_eq!(ledger.health().unavailable, Some(Unavailable::ClockBehind));
    world.clock.set(start);
    put(&ledger, "again");
    assert_eq!(ledger.health().unavailable, None);
}

#[test]
fn an_entry_that_is_too_long_is_refused_and_the_log_goes_on() {
    let world = World::new();
    let ledger = world.open();
    let mut long = note("");
    long.entry.code = Some("x".repeat(5_000));
    assert_eq!(refusal(ledger.append(long)), Unavailable::TooLong);
    let long = note(&"x".repeat(64 << 10));
    assert_eq!(refusal(ledger.append(long)), Unavailable::TooLong);
    put(&ledger, "short");
}

#[test]
fn there_is_no_reader_where_there_is_no_log() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(OpenError::Io { .. })));
}

#[test]
fn a_reader_follows_a_log_that_is_being_written() {
    let world = World::new();
    let ledger = world.open();
    let reader = world.reader();
    for round in 0..300 {
        let index = put(&ledger, &"y".repeat(2_000));
        let seen: Vec<_> = reader.entries(index).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(seen.len(), 1, "round {round}");
        assert_eq!(seen[0].index, index);
    }
}

#[test]
fn tasks_of_many_runtimes_are_woken_when_their_entries_are_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path(), options(), Arc::new(SystemClock::default())).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || runtime(&ledger))
        })
        .collect();
    let mut indices: Vec<u64> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    indices.sort_unstable();
    assert_eq!(indices, (2..4_002).collect::<Vec<_>>());
    let mut last = 0;
    for stored in ledger.reader().entries(0).unwrap() {
        let at = decode(&stored.unwrap()).at_ms;
        assert!(at >= last);
        last = at;
    }
}

fn runtime(ledger: &Ledger) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let ledger = ledger.clone();
                tokio::task::spawn_local(async move {
                    let mut indices = Vec::new();
                    for _ in 0..20 {
                        let pending = ledger.append(note("task")).unwrap();
                        indices.push(pending.durable().await.unwrap().index());
                    }
                    indices
                })
            })
            .collect();
        let mut indices = Vec::new();
        for task in tasks {
            indices.extend(task.await.unwrap());
        }
        indices
    })
}
