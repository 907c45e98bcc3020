//! Invariant 1: no byte of output leaves before the entry that opens the call is durable.

use std::time::Duration;

use proof::entry::{Entry, Kind};

use crate::world::{CHAT, World, body, chat};

#[test]
fn whenever_a_caller_has_a_byte_the_entry_that_opens_its_call_is_already_on_disk() {
    let world = World::new();
    let ada = world.person("ada", true);
    for _ in 0..50 {
        let mut answer = world.post_with(&ada, CHAT, &[("x-fake", "slow-2-1")], &body(&chat("mythos-5", true)));
        let receipt = answer.head.get("x-exeat-receipt").unwrap().to_owned();
        let index: u64 = receipt.split('-').next().unwrap().parse().unwrap();
        answer.next_piece().unwrap().unwrap();
        let stored = world.ledger.stored(index).unwrap();
        let entry = Entry::decode(&stored.leaf).unwrap();
        assert_eq!(entry.kind, Kind::Open);
        let leaf = proof::tree::leaf_hash(&stored.leaf);
        assert!(receipt.ends_with(&leaf[..8].iter().map(|b| format!("{b:02x}")).collect::<String>()));
    }
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
    std::thread::sleep(Duration::from_millis(50));
    let entries = world.entries();
    let calls = |kind| entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.call).collect::<Vec<_>>();
    let (mut opened, mut closed) = (calls(Kind::Open), calls(Kind::Close));
    opened.sort_unstable();
    closed.sort_unstable();
    assert_eq!(opened, closed);
    assert_eq!(opened.len(), 13);
}
