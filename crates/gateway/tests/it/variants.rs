//! The variants of the cases through the gateway, and then by the auditor's program from the log that this left.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot set up its world fails"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use policy::{Consumed, Determination, Facts, Snapshot, SnapshotDocument, decide};
use proof::entry::{Entry, Kind};
use terms::{InstrumentId, Moment};
use testkit::{
    cases::{
        self, Verdict,
        variants::{self, Answer, Situation},
    },
    http::Head,
};

use crate::{
    cases::{call, world_for},
    world::World,
};

#[test]
fn every_variant_gets_through_the_gateway_and_the_audit_what_the_decision_says() {
    let cases = cases::load(&cases::directory()).unwrap();
    let variants = variants::of(&cases).unwrap();
    let mut compiler = Compiler::default();
    let mut asked = Vec::new();
    let named: BTreeSet<(&str, usize)> =
        variants.iter().map(|variant| (variant.case.as_str(), variant.check)).collect();
    for (case, at) in named {
        let check = &cases.iter().find(|known| known.id == case).unwrap().checks[at];
        let situation = Situation { document: check.document.clone(), facts: check.facts.clone() };
        asked.push(compiler.call(Name::Case(case, at), &[situation]));
    }
    asked.extend(variants.iter().enumerate().map(|(at, variant)| compiler.call(Name::Variant(at), &variant.steps)));
    let heard = ask(asked);
    let broken = variants.iter().enumerate().filter_map(|(at, variant)| {
        let (before, after) = (&heard[&Name::Case(&variant.case, variant.check)], &heard[&Name::Variant(at)]);
        let allowed = variant.law.allows(before, after);
        (!allowed).then(|| format!("{}, {}: {before:?}, then {after:?}", variant.case, variant.change))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(variants.len() >= 1_000 && heard.len() > variants.len());
}

/// What a call is remembered by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Name<'a> {
    Case(&'a str, usize),
    Variant(usize),
}

/// One call, made anew at each step.
struct Call<'a> {
    name: Name<'a>,
    steps: Vec<(Arc<Snapshot>, Facts)>,
}

impl Call<'_> {
    fn last(&self) -> &(Arc<Snapshot>, Facts) {
        self.steps.last().unwrap()
    }

    fn consumed(&self) -> Vec<Consumed> {
        self.last().1.consumed.clone()
    }
}

/// Compiles each document once.
#[derive(Default)]
struct Compiler(BTreeMap<Vec<u8>, Arc<Snapshot>>);

impl Compiler {
    fn call<'a>(&mut self, name: Name<'a>, steps: &[Situation]) -> Call<'a> {
        Call { name, steps: steps.iter().map(|step| (self.compiled(&step.document), step.facts.clone())).collect() }
    }

    fn compiled(&mut self, document: &SnapshotDocument) -> Arc<Snapshot> {
        let key = serde_json::to_vec(document).unwrap();
        let compiled = || Arc::new(Snapshot::compile(document.clone()).unwrap());
        Arc::clone(self.0.entry(key).or_insert_with(compiled))
    }
}

/// Worlds in which those calls are made at the same time that use nothing up.
const WORLDS: usize = 4;

/// Makes all calls, those that begin with the same tokens used in worlds of their own, a few worlds at a time; returns
/// what the callers heard and the record says.
fn ask(calls: Vec<Call<'_>>) -> BTreeMap<Name<'_>, Answer> {
    let mut worlds: BTreeMap<(Vec<u64>, usize), Vec<Call<'_>>> = BTreeMap::new();
    for call in calls {
        let used: Vec<u64> = call.consumed().iter().map(|used| used.tokens).collect();
        let turn = if used.is_empty() { usize::from(call.last().0.digest()[0]) % WORLDS } else { 0 };
        worlds.entry((used, turn)).or_default().push(call);
    }
    std::thread::scope(|scope| {
        let worlds = worlds.into_values().map(|calls| scope.spawn(|| ask_in_one_world(calls)));
        let worlds: Vec<_> = worlds.collect();
        worlds.into_iter().flat_map(|world| world.join().unwrap()).collect()
    })
}

fn ask_in_one_world(mut calls: Vec<Call<'_>>) -> Vec<(Name<'_>, Answer)> {
    let batch = |call: &Call<'_>| -> (Moment, Vec<[u8; 32]>) {
        (call.last().1.at, call.steps.iter().map(|(snapshot, _)| *snapshot.digest()).collect())
    };
    calls.sort_by_key(batch);
    let world = world_for(calls.iter().map(|call| &call.last().1));
    let mut made = use_up(&world, &calls);
    let mut heard = BTreeMap::new();
    for batch in calls.chunk_by(|one, other| batch(one) == batch(other)) {
        for step in 0..batch[0].steps.len() {
            world.clock.set(batch[0].last().1.at);
            world.enact(&batch[0].steps[step].0);
            for one in batch {
                heard.insert(one.name, call(&world, &one.steps[step].1, ""));
                made += 1;
            }
        }
    }
    let record: BTreeMap<String, Entry> = world.entries().into_iter().filter_map(by_call).collect();
    let report = world.audited();
    assert!(report.holds(), "{report}");
    assert_eq!((report.replays.permits + report.replays.refusals, report.replays.not_possible), (made, 0));
    calls.iter().map(|call| (call.name, answer(call, &heard[&call.name], &record))).collect()
}

/// Uses as many tokens as the calls say were used under each license, each in one call that it covers.
fn use_up(world: &World, calls: &[Call<'_>]) -> u64 {
    let consumed: BTreeMap<InstrumentId, u64> =
        calls.iter().flat_map(Call::consumed).map(|used| (used.instrument, used.tokens)).collect();
    let mut made = 0;
    for (license, tokens) in consumed {
        let matters = |call: &&Call<'_>| call.last().0.document().licenses.iter().any(|known| *known.id() == license);
        let Some(covered) = calls.iter().filter(matters).find(|call| is_covered(call, &license)) else {
            assert!(!calls.iter().any(|call| matters(&call)), "nobody can use `{license}`");
            continue;
        };
        let (snapshot, facts) = covered.last();
        world.enact(snapshot);
        call(world, facts, &format!("usage-{tokens}"));
        world.settle();
        made += 1;
    }
    made
}

/// Tells whether a call would rest on a license if nothing had been used.
fn is_covered(call: &Call<'_>, license: &InstrumentId) -> bool {
    let (snapshot, facts) = call.last();
    let mut facts = facts.clone();
    facts.consumed.iter_mut().for_each(|used| used.tokens = 0);
    let names = |provision: &terms::ProvisionId| provision.as_str() == format!("{license}.grantees");
    matches!(decide(snapshot, &facts), Determination::Permit(permit) if permit.basis().iter().any(names))
}

fn by_call(entry: Entry) -> Option<(String, Entry)> {
    let decides = matches!(entry.kind, Kind::Open | Kind::Refusal);
    let call = entry.call.filter(|_| decides).map(terms::CallId)?;
    Some((call.to_string(), entry))
}

/// Puts together what the caller heard and what the record says; it must be what the decision function says.
fn answer(call: &Call<'_>, head: &Head, record: &BTreeMap<String, Entry>) -> Answer {
    let entry = &record[head.get("x-request-id").unwrap()];
    let verdict = match (head.status, head.get("exeat-refusal")) {
        (200, None) => Verdict::Permit,
        (403, Some("hold")) => Verdict::Hold,
        (401, _) | (403, Some("denial")) => Verdict::Deny,
        other => panic!("{other:?}"),
    };
    let provisions = entry.basis.clone().unwrap_or_default();
    let answer = Answer { verdict, code: entry.code.clone(), provisions };
    let (snapshot, facts) = call.last();
    assert_eq!(answer, Answer::of(&decide(snapshot, facts)).without_flags(), "{:?}", call.name);
    answer
}
