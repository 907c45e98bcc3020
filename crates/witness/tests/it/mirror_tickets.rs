//! Tickets bring back checkpoints that were pending, and nothing else.

use crate::{
    mirror::ORIGIN,
    world::{Log, World},
};

const ALL: usize = usize::MAX;

/// A mirror with a ticket for 600 entries, of which it has 512, and with 1,200 pending since.
fn ticketed(log: &Log) -> (World, Vec<u8>) {
    let world = World::pending(log, 600);
    let ticket = world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
    world.pend(log, 600, 1_200);
    (world, ticket)
}

#[test]
fn a_ticket_completes_an_upload_after_the_pending_checkpoint_moved_on() {
    let log = Log::new(ORIGIN, 1_200);
    let (world, ticket) = ticketed(&log);
    world.post(&log.add_entries(512, 600, b"", ALL)).stands(409, 1_200, 512);
    world.post(&log.add_entries(512, 600, &ticket, ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
    world.post(&log.add_entries(600, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn a_checkpoint_behind_what_is_there_is_cosigned_by_its_ticket() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 900);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 900, 600);
    world.pend(&log, 900, 1_200);
    world.post(&log.add_entries(600, 1_200, b"", 2)).stands(202, 1_200, 1_024);
    world.post(&log.add_entries(900, 900, &ticket, ALL)).cosigns(&log, 900);
    world.holds(&log, 900);
    world.post(&log.add_entries(768, 900, &ticket, ALL)).cosigns(&log, 900);
}

#[test]
fn a_checkpoint_far_behind_what_is_there_is_within_any_window() {
    let size = 35 * 256;
    let log = Log::new(ORIGIN, size);
    let world = World::pending(&log, 300);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 300, 0);
    world.pend(&log, 300, size);
    world.post(&log.add_entries(0, size, b"", 34)).stands(202, size, 34 * 256);
    world.post(&log.add_entries(300, 300, &ticket, ALL)).cosigns(&log, 300);
    world.holds(&log, 300);
}

#[test]
fn a_ticket_that_was_changed_or_is_of_another_log_is_worth_nothing() {
    let logs = [Log::new("log.example/a", 1_200), Log::new("log.example/bb", 1_200)];
    let world = World::new(&[&logs[0], &logs[1]]);
    let tickets = logs.each_ref().map(|log| {
        world.pend(log, 0, 600);
        let ticket = world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
        world.pend(log, 600, 1_200);
        ticket
    });
    let mut bad = tickets[0].clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    world.post(&logs[0].add_entries(512, 600, &bad, ALL)).stands(409, 1_200, 512);
    world.post(&logs[0].add_entries(512, 600, b"short", ALL)).stands(409, 1_200, 512);
    world.post(&logs[1].add_entries(512, 600, &tickets[0], ALL)).stands(409, 1_200, 512);
    for (log, ticket) in logs.iter().zip(&tickets) {
        world.post(&log.add_entries(512, 600, ticket, ALL)).cosigns(log, 600);
        world.holds(log, 600);
    }
}

#[test]
fn a_ticket_does_not_rewind_the_mirror() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 300);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 300, 0);
    world.pend(&log, 300, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.post(&log.add_entries(300, 300, &ticket, ALL)).stands(409, 600, 600);
    world.holds(&log, 600);
}

#[test]
fn an_upload_by_ticket_that_is_interrupted_again_goes_on_to_the_same_end() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    let ticket = world.post(&log.add_entries(0, 600, b"", 1)).stands(202, 600, 256);
    world.pend(&log, 600, 1_200);
    let ticket = world.post(&log.add_entries(256, 600, &ticket, 1)).stands(202, 600, 512);
    world.post(&log.add_entries(512, 600, &ticket, ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_wrong_start_does_not_lose_the_end_that_a_ticket_brought_back() {
    let log = Log::new(ORIGIN, 1_200);
    let (world, ticket) = ticketed(&log);
    let ticket = world.post(&log.add_entries(600, 600, &ticket, ALL)).stands(409, 600, 512);
    world.post(&log.add_entries(512, 600, &ticket, ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_wrong_start_of_an_end_that_was_overtaken_leads_to_what_is_pending() {
    let (old, size) = (16 * 256, 35 * 256);
    let log = Log::new(ORIGIN, size);
    let world = World::pending(&log, old);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, old, 0);
    world.pend(&log, old, size);
    world.post(&log.add_entries(0, size, b"", 34)).stands(202, size, 34 * 256);
    world.post(&log.add_entries(0, old, &ticket, 1)).stands(409, size, 34 * 256);
}

#[test]
fn a_ticket_from_before_a_restart_leads_to_what_is_pending() {
    let log = Log::new(ORIGIN, 1_200);
    let (world, ticket) = ticketed(&log);
    let world = world.restart();
    world.post(&log.add_entries(512, 600, &ticket, ALL)).stands(409, 1_200, 0);
    world.post(&log.add_entries(0, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}
