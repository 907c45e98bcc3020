//! Uploads that meet: whatever the order, the log is held once and never rewound.

use std::{
    io::{self, Read},
    sync::{Arc, Barrier, mpsc},
};

use crate::{
    mirror::ORIGIN,
    world::{Log, Meanwhile, Told, World},
};

const ALL: usize = usize::MAX;

/// Posts `body`; once its first `after` bytes were read, does something else first.
fn meanwhile(world: &World, body: &[u8], after: usize, then: impl FnMut()) -> Told {
    let mut body = Meanwhile { body, after, then: Some(then) };
    let told = world.post_reading(&mut body);
    assert!(body.then.is_none(), "what should happen meanwhile never did");
    told
}

#[test]
fn a_commit_does_not_rewind_what_another_committed_meanwhile() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 1_200);
    let again = log.add_entries(512, 600, b"", ALL);
    let raced = meanwhile(&world, &again, again.len() - 1, || {
        world.post(&log.add_entries(600, 1_200, b"", ALL)).cosigns(&log, 1_200);
    });
    raced.stands(409, 1_200, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn two_that_commit_the_same_both_get_their_cosignatures() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    let body = log.add_entries(0, 600, b"", ALL);
    let raced = meanwhile(&world, &body, body.len() - 1, || {
        world.post(&body).cosigns(&log, 600);
    });
    raced.cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_pending_checkpoint_may_move_on_during_an_upload() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    let body = log.add_entries(0, 600, b"", ALL);
    meanwhile(&world, &body, body.len() - 1, || world.pend(&log, 600, 1_200)).cosigns(&log, 600);
    world.holds(&log, 600);
    world.post(&log.add_entries(600, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn a_commit_behind_the_end_of_an_upload_does_not_stop_it() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 900);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 900, 600);
    world.pend(&log, 900, 1_200);
    let body = log.add_entries(600, 1_200, b"", ALL);
    let raced = meanwhile(&world, &body, body.len() - 1, || {
        world.post(&log.add_entries(900, 900, &ticket, ALL)).cosigns(&log, 900);
    });
    raced.cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn an_upload_completes_its_first_bundle_after_another_uploaded_everything() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 1_200);
    let body = log.add_entries(600, 1_200, b"", ALL);
    let raced = meanwhile(&world, &body, log.header(600, 1_200, b"").len(), || {
        world.post(&body).cosigns(&log, 1_200);
    });
    raced.cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn uploads_that_interleave_package_by_package_lose_nothing() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    let after_first = log.add_entries(0, 600, b"", 1).len();
    let raced = meanwhile(&world, &log.add_entries(0, 600, b"", ALL), after_first, || {
        world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
    });
    raced.cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn an_interrupted_upload_is_told_how_far_another_came() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    let after_first = log.add_entries(0, 600, b"", 1).len();
    let two = log.add_entries(0, 600, b"", 2);
    let raced = meanwhile(&world, &two[..two.len() - 40], after_first, || {
        world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
    });
    raced.stands(202, 600, 512);
    world.post(&log.add_entries(512, 600, b"", ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn an_interrupted_upload_whose_end_was_overtaken_is_led_to_what_is_pending() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    let ticket = world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
    world.pend(&log, 600, 1_200);
    let after_first = log.add_entries(256, 600, &ticket, 1).len();
    let body = log.add_entries(256, 600, &ticket, ALL);
    let raced = meanwhile(&world, &body[..body.len() - 40], after_first, || {
        world.post(&log.add_entries(512, 1_200, b"", 2)).stands(202, 1_200, 1_024);
    });
    let ticket = raced.stands(202, 1_200, 1_024);
    world.post(&log.add_entries(1_024, 1_200, &ticket, ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn many_threads_upload_one_log_at_once() {
    let log = Log::new(ORIGIN, 3_000);
    let world = World::pending(&log, 3_000);
    std::thread::scope(|threads| {
        for n in 0..4 {
            let (world, log) = (&world, &log);
            threads.spawn(move || {
                let mut next = 0;
                loop {
                    let told = world.post(&log.add_entries(next, 3_000, b"", 1 + n));
                    match &told.info {
                        Some(info) => next = info.next,
                        None => break told.cosigns(log, 3_000),
                    }
                }
            });
        }
    });
    world.holds(&log, 3_000);
}

/// A body of which no more comes before a sender is dropped.
struct Held<'b>(&'b [u8], mpsc::Receiver<()>, Arc<Barrier>);

impl Read for Held<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            self.2.wait();
            let _released = self.1.recv();
        }
        self.0.read(into)
    }
}

#[test]
fn whoever_takes_all_places_of_one_log_leaves_places_to_the_others() {
    let (one, other) = (Log::new(ORIGIN, 300), Log::new("log.other.example/1", 300));
    let world = World::new(&[&one, &other]);
    world.pend(&one, 0, 300);
    world.pend(&other, 0, 300);
    let all_are_in = Arc::new(Barrier::new(9));
    let header = one.header(0, 300, b"");
    std::thread::scope(|threads| {
        let held: Vec<_> = (0..8)
            .map(|_| {
                let (world, header, all_are_in) = (&world, &header, Arc::clone(&all_are_in));
                let (release, released) = mpsc::channel();
                threads.spawn(move || world.post_reading(&mut Held(header, released, all_are_in)).is(400).status);
                release
            })
            .collect();
        all_are_in.wait();
        world.post(&one.add_entries(0, 300, b"", usize::MAX)).is(503);
        world.post(&other.add_entries(0, 300, b"", usize::MAX)).cosigns(&other, 300);
        drop(held);
    });
    world.post(&one.add_entries(0, 300, b"", usize::MAX)).cosigns(&one, 300);
}
