//! Invariant 1: no byte of output leaves before the entry that opens the call is durable.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{thread, time::Duration};

use proof::entry::{Entry, Kind};
use testkit::upstream::Fate;

use crate::{
    ends::SILENCE,
    world::{CHAT, World, body, chat},
};

#[test]
fn whenever_a_caller_has_a_byte_the_entry_that_opens_its_call_is_already_on_disk() {
    let world = World::new();
    let ada = world.person("ada", true);
    for asked in 1..=3 {
        let stall = world.disk.stall();
        thread::scope(|scope| {
            let heard = scope.spawn(|| first_byte(&world, &ada));
            let answered = world.upstream.wait_until(Duration::from_secs(10), |received| {
                received.len() == asked && received.iter().all(|request| request.fate == Fate::Given)
            });
            assert!(answered, "the model does not wait for the disk");
            thread::sleep(SILENCE);
            assert!(!heard.is_finished(), "a byte came while the disk was still at work");
            drop(stall);
            let (receipt, durable) = heard.join().unwrap();
            check(&world, &receipt, durable);
        });
    }
}

/// Reads the first bytes of an answer; returns its receipt, and how many entries were durable by then.
fn first_byte(world: &World, key: &str) -> (String, u64) {
    let mut answer = world.post_with(key, CHAT, &[("x-fake", "slow-2-0")], &body(&chat("mythos-5", true)));
    let durable = world.ledger.health().durable;
    answer.next_piece().unwrap().unwrap();
    (answer.head.get("x-exeat-receipt").unwrap().to_owned(), durable)
}

/// Checks that a receipt names an entry that opens a call and was among the first `durable`.
fn check(world: &World, receipt: &str, durable: u64) {
    let (index, leaf) = receipt.split_once('-').unwrap();
    let index = index.parse().unwrap();
    assert!(index < durable, "entry {index} of {durable}");
    let stored = world.ledger.stored(index).unwrap();
    assert_eq!(Entry::decode(&stored.leaf).unwrap().kind, Kind::Open);
    let hash = proof::tree::leaf_hash(&stored.leaf);
    assert_eq!(leaf, hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn every_opened_call_is_closed_exactly_once_whatever_its_end() {
    let world = World::new();
    let ada = world.person("ada", true);
    for fake in ["slow-3-0", "reset", "close", "garbage", "status-500", "error-inside"] {
        for stream in [true, false] {
            let answer = world.post_with(&ada, CHAT, &[("x-fake", fake)], &body(&chat("mythos-5", stream)));
            drop(answer.text());
        }
    }
    drop(world.stream(&ada, "mythos-5"));
    world.settle();
    thread::sleep(Duration::from_millis(50));
    let entries = world.entries();
    let calls = |kind| entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.call).collect::<Vec<_>>();
    let (mut opened, mut closed) = (calls(Kind::Open), calls(Kind::Close));
    opened.sort_unstable();
    closed.sort_unstable();
    assert_eq!(opened, closed);
    assert_eq!(opened.len(), 13);
}
