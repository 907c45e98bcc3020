//! What a meter knows after a crash.

use std::time::Duration;

use proof::entry::Outcome;
use terms::Clock;

use crate::world::{World, code_of, streaming};

#[test]
fn a_ticket_that_was_taken_before_a_restart_is_not_good_after_it() {
    let world = World::new();
    let ticket = world.mint(1);
    let meter = world.start();
    meter.chat(Some(&ticket), "", &streaming()).text().unwrap();
    meter.stop();
    let meter = world.start();
    assert_eq!(code_of(meter.chat(Some(&ticket), "", &streaming())), (403, "ticket_replayed".to_owned()));
    world.clock.advance(Duration::from_secs(100));
    assert_eq!(code_of(meter.chat(Some(&ticket), "", &streaming())), (403, "ticket_replayed".to_owned()));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(code_of(meter.chat(Some(&ticket), "", &streaming())), (401, "ticket_expired".to_owned()));
    meter.stop();
    assert_eq!(world.outcomes(), [Some(Outcome::Completed)]);
}

#[test]
fn a_clock_that_is_set_back_brings_no_old_ticket_to_life() {
    let world = World::new();
    let meter = world.start();
    let (first, begun) = (world.mint(1), world.clock.now());
    assert_eq!(meter.chat(Some(&first), "", &streaming()).head.status, 200);
    world.clock.advance(Duration::from_secs(200));
    assert_eq!(meter.chat(Some(&world.mint(2)), "", &streaming()).head.status, 200);
    world.clock.set(begun);
    assert_eq!(code_of(meter.chat(Some(&first), "", &streaming())), (401, "ticket_expired".to_owned()));
    world.clock.advance(Duration::from_secs(300));
    meter.stop();
}

/// Whoever signs tickets may sign a second one for the same call, which would count in the same hour.
#[test]
fn a_second_ticket_of_a_call_is_refused_for_as_long_as_it_could_count_in_the_same_hour() {
    let world = World::new();
    let meter = world.start();
    meter.chat(Some(&world.mint(1)), "", &streaming()).text().unwrap();
    world.clock.advance(Duration::from_secs(1_200));
    assert_eq!(code_of(meter.chat(Some(&world.mint(1)), "", &streaming())), (403, "ticket_replayed".to_owned()));
    meter.stop();
    world.clock.advance(Duration::from_secs(1_000));
    let meter = world.start();
    assert_eq!(code_of(meter.chat(Some(&world.mint(1)), "", &streaming())), (403, "ticket_replayed".to_owned()));
    meter.stop();
}
