//! A log that is signed and hashes well, and says what cannot be true: each lie is found where it is told.

use proof::entry::{Entry, Kind, Link, Outcome};
use verifier::Report;

use crate::world::{Draft, Log, facts, full_log, revoked, snapshot};

/// Entries of [`full_log`].
const GENESIS: usize = 0;
const SNAPSHOT: usize = 2;
const OPEN: usize = 3;
const REFUSAL: usize = 4;
const CLOSE: usize = 5;
const BY_ALIAS: usize = 6;
const REDECISION: usize = 9;
const CUT: usize = 10;
const HEADS: usize = 14;
const START: usize = 16;

/// Tells the full log with one entry changed.
fn told(index: usize, lie: impl FnOnce(&mut Draft)) -> Report {
    let mut log = full_log();
    lie(&mut log.drafts[index]);
    log.verified()
}

/// Asserts that a fault of this entry contains these words.
#[track_caller]
fn found(report: &Report, index: usize, words: &str) {
    let here = |fault: &&verifier::Fault| fault.index == Some(index as u64) && fault.why.contains(words);
    assert!(report.faults.iter().any(|fault| here(&fault)), "no `{words}` at {index} in\n{report}");
}

fn refacts(draft: &mut Draft, change: impl FnOnce(&mut policy::Facts)) {
    let mut facts = serde_json::from_slice(&draft.private).unwrap();
    change(&mut facts);
    draft.private = serde_json::to_vec(&facts).unwrap();
}

#[test]
fn lies_about_a_permit_are_found() {
    found(&told(OPEN, |d| d.entry.basis = Some(vec!["invented".to_owned()])), OPEN, "the record says basis `invented`");
    found(
        &told(OPEN, |d| refacts(d, |f| f.credential.revoked = true)),
        OPEN,
        "deciding again refuses: credential_ended",
    );
    found(&told(OPEN, |d| d.entry.model = Some("mythos-5".to_owned())), OPEN, "the record says model `mythos-5`");
    found(&told(OPEN, |d| d.private = b"{}".to_vec()), OPEN, "not the facts of a decision");
    found(&told(OPEN, |d| d.entry.subject = None), OPEN, "without saying for whom");
    found(&told(OPEN, |d| d.entry.snapshot = None), OPEN, "does not name the snapshot");
}

#[test]
fn lies_about_a_refusal_are_found() {
    let permitted = |d: &mut Draft| refacts(d, |f| f.model = terms::ModelVersionId::parse("ember-2").unwrap());
    found(&told(REFUSAL, permitted), REFUSAL, "deciding again permits");
    found(&told(REFUSAL, |d| d.entry.code = Some("blocked".to_owned())), REFUSAL, "the record says code `blocked`");
    found(&told(REFUSAL, |d| d.entry.code = None), REFUSAL, "does not say why");
}

#[test]
fn a_name_that_resolves_otherwise_is_found() {
    let to = |name: &'static str| move |d: &mut Draft| d.entry.requested = Some(name.to_owned());
    found(&told(BY_ALIAS, to("nobody")), BY_ALIAS, "no model version or alias `nobody`");
    found(&told(BY_ALIAS, to("mythos-5")), BY_ALIAS, "deciding again refuses");
}

#[test]
fn a_snapshot_that_was_not_in_force_is_found() {
    let unknown = told(OPEN, |d| d.entry.snapshot = Some(*snapshot(9).digest()));
    found(&unknown, OPEN, "was not in force");
    let future = told(OPEN, |d| d.entry.snapshot = Some(*snapshot(2).digest()));
    found(&future, OPEN, "was not in force");
    let mut log = full_log();
    for _ in 0..12 {
        log.put(Entry::new(Kind::Registry), b"");
    }
    let facts = facts(log.now_ms(), "ember-2");
    let index = log.ask(&snapshot(1), &facts, 9);
    found(&log.verified(), usize::try_from(index).unwrap(), "no longer in force");
}

#[test]
fn a_document_that_is_not_the_snapshot_is_found() {
    let other = snapshot(3).canonical();
    found(&told(SNAPSHOT, |d| d.private = other), SNAPSHOT, "not the canonical document");
    found(&told(SNAPSHOT, |d| d.private.push(b' ')), SNAPSHOT, "not the canonical document");
    found(&told(SNAPSHOT, |d| d.private = b"{}".to_vec()), SNAPSHOT, "is not a snapshot");
}

#[test]
fn facts_from_later_and_permits_from_too_early_are_found() {
    let later = terms::Moment::MAX;
    found(&told(OPEN, |d| refacts(d, |f| f.at = later)), OPEN, "after the entry");
    let mut log = Log::begun();
    let snapshot = snapshot(1);
    log.enact(&snapshot);
    let facts = facts(log.now_ms(), "ember-2");
    let index = log.ask(&snapshot, &facts, 1);
    let expired = u64::try_from(facts.credential.expires_at.as_millis()).unwrap();
    log.drafts.last_mut().unwrap().entry.at_ms = expired + 60_000;
    found(&log.verified(), usize::try_from(index).unwrap(), "and was used later");
}

#[test]
fn calls_that_are_not_closed_once_by_their_own_entry_are_found() {
    found(&told(CLOSE, |d| d.entry.opened = Some(1)), CLOSE, "entry 1 opened none");
    found(&told(CLOSE, |d| d.entry.opened = None), CLOSE, "without saying where");
    found(&told(CLOSE, |d| d.entry.outcome = None), CLOSE, "without saying how it ended");
    found(&told(CLOSE, |d| d.entry.usage = None), CLOSE, "what it used");
    found(&told(CLOSE, |d| d.entry.call = Some([9; 16])), CLOSE, "another call, person or model");
    found(&told(CLOSE, |d| d.entry.subject = Some([9; 16])), CLOSE, "another call, person or model");
    found(&told(REDECISION, |d| d.entry.call = Some([9; 16])), REDECISION, "another call, person or model");
    found(&told(REDECISION, |d| d.entry.opened = Some(1)), REDECISION, "about a call that is not open");
    let mut twice = full_log();
    let index = twice.close(OPEN as u64, Outcome::Completed);
    found(&twice.verified(), usize::try_from(index).unwrap(), "or it was closed");
    let mut again = full_log();
    let facts = facts(again.now_ms(), "ember-2");
    let index = again.ask(&snapshot(2), &facts, 6);
    found(&again.verified(), usize::try_from(index).unwrap(), "a call that is open already");
}

#[test]
fn chains_that_are_not_those_of_the_entry_are_found() {
    let mut links = Entry::decode(&full_log().entries()[OPEN].leaf).unwrap().links.unwrap();
    let with = |links: Vec<Link>| move |d: &mut Draft| d.entry.links = Some(links);
    found(&told(OPEN, with(links[1..].to_vec())), OPEN, "not in the chains");
    found(&told(SNAPSHOT, with(links.clone())), SNAPSHOT, "not in the chains");
    found(&told(CLOSE, with(links[..1].to_vec())), CLOSE, "in other chains than the entry that opened");
    links[2].id = [9; 16];
    found(&told(BY_ALIAS, with(links)), BY_ALIAS, "not those of the names in its facts");
}

#[test]
fn a_place_that_is_skipped_or_taken_twice_is_found() {
    let mut links = Entry::decode(&full_log().entries()[BY_ALIAS].leaf).unwrap().links.unwrap();
    links[0].seq += 1;
    found(&told(BY_ALIAS, |d| d.entry.links = Some(links)), BY_ALIAS, "its link of class 1 says 4 before");
}

#[test]
fn heads_that_are_not_where_the_chains_stand_are_found() {
    found(&told(HEADS, |d| d.entry.root = Some([7; 32])), HEADS, "the chains do not stand where it says");
    found(&told(HEADS, |d| d.entry.covered = Some(3)), HEADS, "where the chains stand before it");
}

#[test]
fn more_than_a_lease_allows_and_facts_of_nobody_are_found() {
    let lease = |lease: u64| move |log: &mut Log| log.drafts[OPEN].entry.lease = Some(lease);
    let with = |change: &dyn Fn(&mut Log)| {
        let mut log = full_log();
        change(&mut log);
        log.verified()
    };
    assert!(with(&lease(21)).holds());
    found(&with(&lease(20)), CLOSE, "delivered 21 events and might deliver 20");
    let refers = |to: u64| move |d: &mut Draft| (d.entry.facts, d.private) = (Some(to), Vec::new());
    found(&told(BY_ALIAS, refers(CLOSE as u64)), BY_ALIAS, "has no facts of its subject");
}

#[test]
fn facts_by_reference_are_decided_on_like_ones_own() {
    let mut log = full_log();
    let facts = facts(log.now_ms(), "ember-2");
    let own = log.ask(&snapshot(2), &facts, 7);
    let reference = |log: &mut Log, call| {
        let index = log.ask(&snapshot(2), &facts, call);
        let draft = log.drafts.last_mut().unwrap();
        (draft.entry.facts, draft.private) = (Some(own), Vec::new());
        index
    };
    reference(&mut log, 8);
    let second = reference(&mut log, 9);
    let report = log.verified();
    assert!(report.holds(), "{report}");
    assert_eq!(report.replays.permits, 8);
    log.drafts.last_mut().unwrap().entry.basis = Some(vec!["invented".to_owned()]);
    found(&log.verified(), usize::try_from(second).unwrap(), "the record says basis `invented`");
}

#[test]
fn cuts_that_no_decision_explains_are_found() {
    found(&told(CUT, |d| d.private.clear()), CUT, "a decision without its facts");
    let unnamed = |d: &mut Draft| (d.private, d.entry.snapshot) = (Vec::new(), None);
    found(&told(CUT, unnamed), CUT, "without the snapshot that decided");
    found(&told(CUT, |d| d.entry.snapshot = None), CUT, "without the snapshot that decided");
    let own_reason = |d: &mut Draft| (d.private, d.entry.code) = (Vec::new(), Some("output_limit".to_owned()));
    found(&told(CUT, own_reason), CUT, "a decision without its facts");
    let still_good = |d: &mut Draft| refacts(d, |f| f.credential.revoked = false);
    found(&told(CUT, still_good), CUT, "deciding again permits");
    found(&told(CUT, |d| d.entry.code = None), CUT, "does not say why");
}

#[test]
fn a_redecision_that_should_have_cut_is_found() {
    let revoked = revoked(0, "ember-2");
    let report = told(REDECISION, |d| refacts(d, |f| f.credential = revoked.credential));
    found(&report, REDECISION, "deciding again refuses");
}

#[test]
fn time_that_runs_backwards_is_found() {
    found(&told(CLOSE, |d| d.entry.at_ms -= 5_000), CLOSE, "earlier than the entry before it");
}

#[test]
fn a_log_that_does_not_begin_and_end_its_processes_is_found() {
    found(&told(GENESIS, |d| d.entry.kind = Kind::Admin), GENESIS, "a log begins with its genesis");
    found(&told(CLOSE - 1, |d| d.entry = Entry::new(Kind::Genesis)), CLOSE - 1, "comes only there");
    found(&told(GENESIS, |d| d.private = b"{}".to_vec()), GENESIS, "the beginning of another log");
    found(&told(1, |d| d.entry.kind = Kind::Admin), 1, "no process had the log open");
    let says = |note: &'static str| move |d: &mut Draft| d.private = note.into();
    let clean = told(START, says(r#"{"unclean":false,"interrupted":1}"#));
    found(&clean, START, "says `unclean: false`");
    for no_note in ["{}", r#"{"unclean":1,"interrupted":1}"#, r#"{"unclean":true,"interrupted":1,"more":1}"#] {
        found(&told(START, says(no_note)), START, "is not what a start says");
    }
    let more = told(START, says(r#"{"unclean":true,"interrupted":2}"#));
    found(&more, START, "says that 2 calls were interrupted");
    let mut stopped = full_log();
    stopped.stop();
    stopped.put(Entry::new(Kind::Admin), b"");
    found(&stopped.verified(), 19, "no process had the log open");
    let mut forgotten = full_log();
    forgotten.start(true, 0);
    found(&forgotten.verified(), 18, "1 calls of the process before are still open");
    let unfinished = told(START, |d| d.entry.kind = Kind::Admin);
    found(&unfinished, START, "recovery began and no start followed");
}
