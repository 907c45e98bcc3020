//! Uploads go on after a restart, wherever it came.

use terms::Moment;

use crate::{
    mirror::ORIGIN,
    world::{Log, World},
};

const ALL: usize = usize::MAX;

#[test]
fn an_upload_goes_on_in_the_middle_of_a_bundle_that_is_there_whole() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 900);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 900, 0);
    world.pend(&log, 900, 1_200);
    world.post(&log.add_entries(0, 1_200, b"", 4)).stands(202, 1_200, 1_024);
    world.post(&log.add_entries(900, 900, &ticket, ALL)).cosigns(&log, 900);
    world.holds(&log, 900);
    let world = world.restart();
    world.holds(&log, 900);
    world.post(&log.add_entries(900, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn an_upload_goes_on_in_the_middle_of_a_bundle_that_is_there_in_part() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 900);
    let ticket = world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 900, 0);
    world.pend(&log, 900, 1_000);
    // All packages are saved; then the checkpoint cannot be cosigned, for want of a clock.
    let never = Moment::from_millis(-1);
    assert!(world.mirror.add_entries(&mut log.add_entries(0, 1_000, b"", ALL).as_slice(), never).is_err());
    world.post(&log.add_entries(900, 900, &ticket, ALL)).cosigns(&log, 900);
    world.holds(&log, 900);
    let world = world.restart();
    world.pend(&log, 1_000, 1_200);
    world.post(&log.add_entries(900, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn what_was_uploaded_and_not_cosigned_is_sent_again_after_a_restart() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 1_200);
    world.post(&log.add_entries(0, 1_200, b"", 3)).stands(202, 1_200, 768);
    let world = world.restart();
    world.post(&log.add_entries(768, 1_200, b"", ALL)).stands(409, 1_200, 0);
    world.post(&log.add_entries(0, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}
