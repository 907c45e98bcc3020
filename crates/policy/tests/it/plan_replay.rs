//! A replay says of every recorded call what deciding it would say.

use std::collections::BTreeMap;

use policy::{
    Determination, Directive, Facts, Snapshot, SnapshotDocument, decide,
    plan::{Count, RecordedCall, Replay, ReplayReport, as_if_in_force},
};
use proptest::{collection::vec, prelude::*};
use terms::{ModelVersionId, Moment};

use crate::{
    plan::{compiled, keys},
    world::documents,
};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_782_745_200_000;
const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");

/// Which key called, when, and for how many tokens.
type Call = (prop::sample::Index, i64, u64);

fn calls() -> impl Strategy<Value = Vec<Call>> {
    vec((any::<prop::sample::Index>(), -60_i64..60, 1_u64..100), 1..60)
}

fn at(half_hours: i64) -> Moment {
    Moment::from_millis(NOW + half_hours * HOUR / 2)
}

/// Adds up what deciding each call by itself gives: permitted, held, denied.
fn one_by_one(snapshot: &Snapshot, calls: &[(Moment, &Facts, u64)]) -> BTreeMap<&'static str, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (at, facts, tokens) in calls {
        let verdict = match decide(snapshot, &Facts { at: *at, ..(*facts).clone() }) {
            Determination::Permit(_) => "permitted",
            Determination::Refuse(refusal) if refusal.is_hold() => "held",
            Determination::Refuse(_) => "denied",
        };
        let sum: &mut (u64, u64) = sums.entry(verdict).or_default();
        *sum = (sum.0 + 1, sum.1 + tokens);
    }
    sums
}

fn sums(report: &ReplayReport) -> BTreeMap<&'static str, (u64, u64)> {
    let all = [("permitted", report.permitted), ("held", report.held), ("denied", report.denied)];
    let some = all.into_iter().filter(|(_, count)| count.calls > 0);
    some.map(|(verdict, count)| (verdict, (count.calls, count.tokens))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_in_whatever_order_and_memory_gives_what_deciding_each_call_gives(
        keys in keys(), calls in calls(), document in documents(), memory in prop::sample::select(vec![2_usize, 6, 1_000]),
    ) {
        let snapshot = compiled(&document);
        let calls: Vec<(Moment, &Facts, u64)> =
            calls.iter().map(|(key, when, tokens)| (at(*when), key.get(&keys), *tokens)).collect();
        let mut replay = Replay::with_memory(&snapshot, at(-60), at(60), memory);
        for (at, facts, tokens) in &calls {
            // What a gateway records was gathered when the call came or, where it remembered it, earlier.
            let recorded = Facts { at: Moment::from_millis(at.as_millis() - 700), ..(*facts).clone() };
            let facts = serde_json::to_vec(&recorded).unwrap();
            replay.feed(RecordedCall { at: *at, requested: None, facts: &facts, tokens: *tokens });
        }
        let report = replay.report();
        prop_assert_eq!(sums(&report), one_by_one(&snapshot, &calls));
        let parts = |counts: Vec<Count>| counts.iter().fold((0, 0), |sum, c| (sum.0 + c.calls, sum.1 + c.tokens));
        let all = parts(vec![report.all]);
        let refused = parts(vec![report.held, report.denied]);
        prop_assert_eq!(parts(report.by_day.iter().map(|row| row.all).collect()), all);
        prop_assert_eq!(parts(report.by_model.iter().map(|row| row.all).collect()), all);
        prop_assert_eq!(parts(report.by_code.iter().map(|row| row.count).collect()), refused);
        prop_assert_eq!(parts(report.by_tenant.iter().map(|row| row.refused).collect()), refused);
        prop_assert_eq!(report.all.first, calls.iter().map(|(at, _, _)| *at).min());
        prop_assert_eq!(report.all.last, calls.iter().map(|(at, _, _)| *at).max());
    }
}

#[test]
fn facts_that_differ_only_in_their_time_are_decided_once_until_the_answer_ends() {
    let snapshot = compiled(&with(vec![june_12()]));
    let mut replay = Replay::new(&snapshot, at(-200), at(200));
    for step in 0..100 {
        let facts = shared_key(at(step - 100));
        replay.feed(RecordedCall { at: at(step - 100), requested: None, facts: &facts, tokens: 7 });
    }
    let report = replay.report();
    assert_eq!((report.all.calls, report.denied.calls, report.decisions), (100, 100, 1));
    assert_eq!((report.denied.first, report.denied.last), (Some(at(-100)), Some(at(-1))));
}

#[test]
fn facts_spelled_otherwise_are_the_same_facts_and_what_is_none_is_counted_apart() {
    let snapshot = compiled(&with(vec![june_12()]));
    let facts = shared_key(at(0));
    let value: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let spaced = serde_json::to_vec_pretty(&value).unwrap();
    let mut replay = Replay::new(&snapshot, at(-2), at(2));
    let cut = facts[..facts.len() - 9].to_vec();
    for facts in [&facts, &spaced, &cut, &b"{}".to_vec()] {
        replay.feed(RecordedCall { at: at(0), requested: None, facts, tokens: 1 });
    }
    replay.feed(RecordedCall { at: at(2), requested: None, facts: &facts, tokens: 1 });
    let report = replay.report();
    let counts = (report.all.calls, report.decisions, report.unreadable, report.outside);
    assert_eq!(counts, (2, 1, 2, 1));
}

#[test]
fn a_name_that_would_have_led_to_a_lesser_version_is_told() {
    let mut document = with(vec![june_12()]);
    let version = |id: &str| ModelVersionId::parse(id).unwrap();
    document.aliases.push(policy::Alias {
        name: terms::AliasName::parse("assistant").unwrap(),
        versions: vec![version("mythos-open"), version("mythos-published")],
    });
    let snapshot = compiled(&document);
    let mut replay = Replay::new(&snapshot, at(-2), at(2));
    let facts = shared_key(at(0));
    for requested in [None, Some("assistant")] {
        replay.feed(RecordedCall { at: at(0), requested, facts: &facts, tokens: 1 });
    }
    let report = replay.report();
    assert_eq!((report.denied.calls, report.served_by_lesser.calls), (2, 1));
}

#[test]
fn a_directive_asked_about_as_if_in_force_bars_calls_from_before_it_came() {
    let early = at(-24 * 60);
    let snapshot = compiled(&with(vec![june_12()]));
    let moved = compiled(&as_if_in_force(snapshot.document(), early));
    let denied = |snapshot: &Snapshot| {
        let mut replay = Replay::new(snapshot, early, at(0));
        for at in [early, at(-20 * 60)] {
            replay.feed(RecordedCall { at, requested: None, facts: &shared_key(at), tokens: 1 });
        }
        replay.report().denied.calls
    };
    assert_eq!((denied(&snapshot), denied(&moved)), (0, 2));
    let lifted = with(vec![june_12().with_status(policy::Status::Lifted, at(0))]);
    assert_eq!(as_if_in_force(&lifted, early), lifted);
}

fn june_12() -> Directive {
    Directive::parse(JUNE_12.as_bytes()).unwrap()
}

fn with(directives: Vec<Directive>) -> SnapshotDocument {
    crate::world::document(directives, Vec::new(), Vec::new())
}

fn shared_key(at: Moment) -> Vec<u8> {
    let facts = Facts {
        at,
        model: ModelVersionId::parse("mythos-open").unwrap(),
        credential: policy::CredentialFacts {
            id: terms::KeyId::parse("key-1").unwrap(),
            expires_at: Moment::MAX,
            revoked: false,
            organization: None,
            end_use: None,
        },
        caller: policy::CallerFacts::Unbound,
        organizations: Vec::new(),
        consumed: Vec::new(),
        channels: Vec::new(),
    };
    serde_json::to_vec(&facts).unwrap()
}
