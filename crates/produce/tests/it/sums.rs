//! Sums of model-hours: the calls that are shown are among those that gateway and meter counted.

use std::time::Duration;

use proof::{
    entry::Outcome,
    sums::{Counted, sum_root},
};

use crate::world::{ACME, Log, METER, OTHER};

const ANOTHER: &str = "meter.example.com/2";

fn counted(call: u8) -> Counted {
    Counted { call: [call; 16], input: 10, output: 100, events: 3 }
}

#[test]
fn calls_that_are_shown_are_proved_to_be_in_the_sums_of_their_meter_and_outcome() {
    let log = Log::new();
    let (from, hour) = (log.now_ms(), log.now_ms() / 3_600_000);
    for (call, organization) in [(4, ACME), (1, OTHER), (2, ACME)] {
        log.call(call, organization, "mythos-5");
    }
    for (call, organization, end) in [
        (3, OTHER, (Outcome::Cut, METER)),
        (5, ACME, (Outcome::ClientGone, METER)),
        (6, ACME, (Outcome::Completed, ANOTHER)),
    ] {
        let opened = log.open(call, organization, "mythos-5");
        log.end(call, opened, 100, end);
    }
    let to = log.now_ms() + 1;
    let (completed, early) = ([1, 2, 4].map(counted), [3, 5].map(counted));
    let entry = log.reconciliation(METER, &completed, &early, hour);
    let another = log.reconciliation(ANOTHER, &[counted(6)], &[], hour);
    log.advance(Duration::from_secs(60));
    log.heads();
    let read = log.produce(&log.act((from, to)));
    let [first, second] = &read.written.sums.0[..] else { panic!("not two statements") };
    assert_eq!((first.entry, second.entry), (entry, another));
    assert_eq!((&first.completed.positions[..], &first.early.positions[..]), (&[1, 2][..], &[1][..]));
    first.completed.verify(&[counted(2), counted(4)], &sum_root(&completed).unwrap()).unwrap();
    first.early.verify(&[counted(5)], &sum_root(&early).unwrap()).unwrap();
    second.completed.verify(&[counted(6)], &sum_root(&[counted(6)]).unwrap()).unwrap();
    assert_eq!(read.survey.unmetered, 0);
}

#[test]
fn a_statement_that_was_recorded_twice_is_shown_once() {
    let log = Log::new();
    let (from, hour) = (log.now_ms(), log.now_ms() / 3_600_000);
    log.call(1, ACME, "mythos-5");
    let to = log.now_ms() + 1;
    let stale = log.reconciliation(METER, &[counted(1)], &[], hour);
    let entry = log.reconciliation(METER, &[counted(1)], &[], hour);
    log.advance(Duration::from_secs(60));
    log.heads();
    let read = log.produce(&log.act((from, to)));
    assert_eq!(read.written.sums.0.iter().map(|one| one.entry).collect::<Vec<_>>(), [entry]);
    assert!(read.survey.entries.iter().all(|(index, _)| *index != stale));
}

#[test]
fn calls_of_an_hour_that_nobody_reconciled_are_counted() {
    let log = Log::new();
    let from = log.now_ms();
    log.call(1, ACME, "mythos-5");
    log.call(2, ACME, "mythos-5");
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    log.heads();
    let read = log.produce(&log.act((from, to)));
    assert_eq!((read.survey.unmetered, read.written.sums.0.len()), (2, 0));
}
