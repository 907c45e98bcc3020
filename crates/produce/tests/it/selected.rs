//! Which entries are shown, and how much of each.

use std::time::Duration;

use produce::{Fault, Show, Survey};
use proof::{commit::Field, entry::Kind, production::Disclosure};

use crate::world::{ACME, Log, OTHER, Read, START};

/// Returns the indices of entries that are shown as far as this.
fn shown(read: &Read, show: Show) -> Vec<u64> {
    let entries = read.survey.entries.iter().filter(|(_, how)| *how == show);
    entries.map(|(index, _)| *index).collect()
}

#[test]
fn calls_of_the_chain_in_the_time_on_the_model_are_shown_and_of_nobody_else_anything() {
    let log = Log::new();
    log.call(1, ACME, "mythos-5");
    let before = log.heads();
    log.advance(Duration::from_secs(60));
    let from = log.now_ms();
    let asked = log.call(2, ACME, "mythos-5");
    let beside = log.call(3, ACME, "ember-2");
    log.call(4, OTHER, "mythos-5");
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    let after = log.heads();
    log.call(5, ACME, "mythos-5");
    let act = log.act((from, to));
    let read = log.produce(&act);
    assert_eq!((read.survey.from, read.survey.to), (Some(before), after));
    assert_eq!(shown(&read, Show::Asked), [asked, asked + 1]);
    let snapshot = 2;
    assert_eq!(shown(&read, Show::Main), [snapshot, act.entry]);
    assert_eq!(shown(&read, Show::Bare), [START, before, beside, beside + 1, after]);
    for (entry, bundled) in &read.entries {
        let open = bundled.fields.value(Field::Main).is_some();
        let reason = bundled.index == asked || [Kind::Snapshot, Kind::Admin].contains(&entry.kind);
        assert_eq!(open, reason, "entry {}", bundled.index);
    }
    let names: Vec<_> = read.written.names.0.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, [ACME]);
    assert!(!read.calls.is_empty());
}

#[test]
fn a_chain_without_entries_before_is_shown_from_the_beginning_so_that_no_other_is_named() {
    let log = Log::new();
    log.call(1, OTHER, "mythos-5");
    log.heads();
    log.advance(Duration::from_secs(60));
    let from = log.now_ms();
    let asked = log.call(2, ACME, "mythos-5");
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    log.heads();
    let read = log.produce(&log.act((from, to)));
    assert_eq!(read.survey.from, None);
    assert_eq!(shown(&read, Show::Asked), [asked, asked + 1]);
}

#[test]
fn a_call_that_ends_late_is_shown_to_its_end_and_one_that_has_not_ended_is_counted() {
    let log = Log::new();
    let from = log.now_ms();
    let late = log.open(1, ACME, "mythos-5");
    let never = log.open(2, ACME, "mythos-5");
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    let first = log.heads();
    let beside = log.open(3, ACME, "mythos-5");
    let end = log.close(1, late, 100);
    let second = log.heads();
    log.close(3, beside, 100);
    let read = log.produce(&log.act((from, to)));
    assert_eq!((read.survey.to, read.survey.open), (second, 1));
    assert_eq!(shown(&read, Show::Asked), [late, never, end]);
    assert_eq!(shown(&read, Show::Bare), [START, beside, second]);
    assert!(first < second);
}

#[test]
fn what_is_not_over_is_not_surveyed() {
    let log = Log::new();
    let from = log.now_ms();
    log.call(1, ACME, "mythos-5");
    log.heads();
    let act = log.act((from, log.now_ms() + 3_600_000));
    let size = log.ledger.health().durable;
    let found = Survey::take(&log.reader(), &act, size, &mut ());
    assert!(matches!(found, Err(Fault::NoHeads(_))), "{found:?}");
}

#[test]
fn the_programs_that_wrote_what_is_between_the_heads_are_shown_and_no_others() {
    let mut log = Log::new();
    log.call(1, ACME, "mythos-5");
    let first = log.reopen();
    log.heads();
    log.advance(Duration::from_secs(60));
    let from = log.now_ms();
    log.call(2, ACME, "mythos-5");
    let second = log.reopen();
    log.call(3, ACME, "mythos-5");
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    log.heads();
    log.reopen();
    let read = log.produce(&log.act((from, to)));
    let starts: Vec<_> = read.survey.engine.iter().map(|engine| engine.start).collect();
    assert_eq!(starts, [first, second]);
    for engine in &read.survey.engine {
        let (entry, bundled) = read.entries.iter().find(|(_, bundled)| bundled.index == engine.start).unwrap();
        assert_eq!((entry.kind, entry.code.as_ref()), (Kind::Start, Some(&engine.version)));
        assert!(bundled.fields.is_empty(), "nothing private of it is shown");
    }
    let all = read.entries.iter().filter(|(entry, _)| entry.kind == Kind::Start);
    assert_eq!(all.count(), 2);
}

#[test]
fn facts_that_a_selected_entry_points_to_are_shown_only_where_facts_are_asked_for() {
    let log = Log::new();
    let opened = log.open(1, ACME, "mythos-5");
    log.heads();
    log.advance(Duration::from_secs(60));
    let from = log.now_ms();
    let again = log.open_again(2, ACME, "mythos-5", opened);
    log.close(2, again, 100);
    let to = log.now_ms() + 1;
    log.advance(Duration::from_secs(60));
    log.heads();
    let mut act = log.act((from, to));
    for (disclose, show) in
        [(vec![], None), (vec![Disclosure::Digests], None), (vec![Disclosure::Facts], Some(Show::Main))]
    {
        act.selection.disclose = disclose;
        let read = log.produce(&act);
        let earlier = read.survey.entries.iter().find(|(index, _)| *index == opened);
        assert_eq!(earlier.map(|(_, show)| *show), show, "{:?}", act.selection.disclose);
        assert_eq!(shown(&read, Show::Asked), [again, again + 1]);
    }
}

#[test]
fn a_log_that_does_not_go_on_from_what_it_wrote_down_is_not_surveyed() {
    let log = Log::new();
    log.call(1, ACME, "mythos-5");
    log.forge_heads();
    let act = log.act((1, log.now_ms() - 1));
    let size = log.ledger.health().durable;
    let found = Survey::take(&log.reader(), &act, size, &mut ());
    assert!(matches!(found, Err(Fault::Contradiction(..))), "{found:?}");
}
