//! A plan says of every key what deciding that key would say, and adds it up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use policy::{
    CallerFacts, Facts, Snapshot, SnapshotDocument, decide,
    plan::{Answer, ModelTraffic, Plan, Population, Principal, Reach, Readings, Report, Split},
};
use proptest::{collection::vec, prelude::*};
use terms::{KeyId, Moment, Organization, Person, Screening};

use crate::world::{World, documents, relied, worlds};

/// The keys that a plan is made for: facts about each, to be decided one by one.
pub(crate) fn keys() -> impl Strategy<Value = Vec<Facts>> {
    let twist = (any::<[bool; 6]>(), 0_u8..8, 0_u64..5_000);
    vec((worlds(), twist), 1..32).prop_map(|all| {
        let all = all.into_iter().enumerate();
        all.map(|(at, (World { facts, .. }, (twists, who, _)))| twisted(facts, at, twists, who)).collect()
    })
}

/// Gives facts a key of their own, and now and then what arbitrary worlds do not have.
fn twisted(mut facts: Facts, at: usize, [revoked, idle, unknown, extra, renamed, far]: [bool; 6], who: u8) -> Facts {
    facts.credential.id = KeyId::parse(&format!("key-{at}")).unwrap();
    facts.credential.revoked = revoked && idle && unknown;
    facts.consumed.clear();
    if idle && extra && renamed {
        change_people(&mut facts, |person| person.active = false);
    }
    if unknown && extra && far {
        facts.organizations.pop();
    }
    if renamed && far {
        facts.organizations.iter_mut().for_each(|o| rename(Arc::make_mut(o)));
    }
    if who == 0 && extra {
        change_people(&mut facts, |person| person.screening = Screening::EntityListed);
    }
    facts
}

fn rename(organization: &mut Organization) {
    organization.legal_name.push_str(", Inc.");
}

fn change_people(facts: &mut Facts, change: impl Fn(&mut Person)) {
    let changed = |person: &mut Arc<Person>| change(Arc::make_mut(person));
    match &mut facts.caller {
        CallerFacts::Person { person } => changed(person),
        CallerFacts::Workload { owners, recipients, .. } => owners.iter_mut().chain(recipients).for_each(changed),
        CallerFacts::Unbound => {}
    }
}

pub(crate) fn population(keys: &[Facts]) -> Population {
    let mut population = Population::new();
    population.rely_on(relied());
    keys.iter().enumerate().for_each(|(at, facts)| population.add(principal(facts, at)));
    population
}

pub(crate) fn principal(facts: &Facts, at: usize) -> Principal {
    let tokens = u64::try_from(at).unwrap() * 10 + 1;
    let traffic = ModelTraffic { model: facts.model.clone(), tokens_per_minute: tokens, calls: 3, open_streams: 1 };
    Principal {
        credential: facts.credential.clone(),
        caller: facts.caller.clone(),
        organizations: facts.organizations.clone(),
        traffic: vec![traffic],
    }
}

pub(crate) fn compiled(document: &SnapshotDocument) -> Snapshot {
    Snapshot::compile(document.clone()).unwrap()
}

fn moments() -> impl Strategy<Value = Moment> {
    (-96_i64..96).prop_map(|halves| Moment::from_millis(1_782_745_200_000 + halves * 1_800_000))
}

fn answer(snapshot: &Snapshot, facts: &Facts, model: &terms::ModelVersionId, at: Moment) -> Answer {
    Answer::of(&decide(snapshot, &Facts { at, model: model.clone(), ..facts.clone() }))
}

fn sum(split: &Split) -> Reach {
    let all = [&split.permit, &split.hold, &split.deny];
    Reach {
        keys: all.iter().map(|reach| reach.keys).sum(),
        tokens_per_minute: all.iter().map(|reach| reach.tokens_per_minute).sum(),
        calls: all.iter().map(|reach| reach.calls).sum(),
        open_streams: all.iter().map(|reach| reach.open_streams).sum(),
        ..Reach::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_gets_in_a_plan_the_answer_that_deciding_it_gives(
        keys in keys(), before in documents(), after in documents(), at in moments(),
    ) {
        let (before, after) = (compiled(&before), compiled(&after));
        let plan = Plan { readings: Readings::none(), ..Plan::new(&before, &after, at) };
        let mut told = 0;
        let mut wrong = Vec::new();
        plan.make_with(&population(&keys), |outcome| {
            told += 1;
            let facts = keys.iter().find(|facts| facts.credential.id == *outcome.key).unwrap();
            for (snapshot, got) in [(&before, outcome.before), (&after, outcome.after)] {
                let wanted = answer(snapshot, facts, outcome.model, at);
                if wanted != *got {
                    wrong.push(format!("{} {}: wanted {wanted:?} got {got:?} for {facts:#?}", outcome.key, outcome.model));
                }
            }
        });
        prop_assert_eq!(told, keys.len() * before.document().models.len());
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_count_of_a_plan_is_what_counting_the_keys_gives(
        keys in keys(), before in documents(), after in documents(), at in moments(),
    ) {
        let (before, after) = (compiled(&before), compiled(&after));
        let report = Plan { readings: Readings::none(), ..Plan::new(&before, &after, at) }.make(&population(&keys));
        for model in &report.models {
            let pair = |facts: &Facts| {
                let answer = |snapshot| answer(snapshot, facts, &model.model, at);
                (answer(&before), answer(&after))
            };
            let pairs: Vec<(Answer, Answer)> = keys.iter().map(pair).collect();
            let permits = |answer: &Answer| matches!(answer, Answer::Permit { .. });
            let count = |such: &dyn Fn(&(Answer, Answer)) -> bool| {
                let all = keys.iter().zip(&pairs).enumerate().filter(|(_, (_, pair))| such(pair));
                let tokens = |(at, (facts, _)): (usize, (&Facts, _))| {
                    if facts.model == model.model { at as u64 * 10 + 1 } else { 0 }
                };
                all.fold((0, 0), |(keys, sum), one| (keys + 1, sum + tokens(one)))
            };
            let is = |reach: &Reach, such: &dyn Fn(&(Answer, Answer)) -> bool| {
                (reach.keys, reach.tokens_per_minute) == count(such)
            };
            prop_assert!(is(&model.turn_off.reach, &|(b, a)| permits(b) && !permits(a)));
            prop_assert!(is(&model.after.permit, &|(_, a)| permits(a)));
            let holds = |answer: &Answer| matches!(answer, Answer::Hold { .. });
            prop_assert!(is(&model.after.hold, &|(_, a)| holds(a)));
            prop_assert!(is(&model.diff.newly_allowed, &|(b, a)| !permits(b) && permits(a)));
            prop_assert!(is(&model.diff.basis_changed, &|(b, a)| permits(b) && permits(a) && a != b));
            prop_assert!(is(&model.diff.unchanged, &|(b, a)| a == b));
            prop_assert_eq!(model.keeps.iter().map(|keep| keep.reach.keys).sum::<u64>(), model.after.permit.keys);
            prop_assert_eq!(model.holds.iter().map(|hold| hold.reach.keys).sum::<u64>(), model.after.hold.keys);
            for hold in &model.holds {
                for supplied in &hold.supplied {
                    prop_assert_eq!(sum(&supplied.result).keys, hold.reach.keys);
                }
            }
            for (row, answer) in model.turn_off.reasons.iter().map(|reason| (&reason.reach, &reason.answer)) {
                prop_assert!(is(row, &|(b, a)| permits(b) && a == answer));
            }
            let diff = &model.diff;
            let parts = [&diff.newly_denied, &diff.newly_held, &diff.newly_allowed, &diff.basis_changed, &diff.reason_changed, &diff.unchanged];
            prop_assert_eq!(parts.iter().map(|reach| reach.keys).sum::<u64>(), keys.len() as u64);
            prop_assert_eq!(model.turn_off.tenants.iter().map(|row| row.reach.keys).sum::<u64>(), model.turn_off.reach.keys);
        }
    }

    #[test]
    fn a_lapse_is_when_deciding_each_key_first_refuses_it(keys in keys(), after in documents(), at in moments()) {
        let after = compiled(&after);
        let mut plan = Plan { readings: Readings::none(), ..Plan::new(&after, &after, at) };
        plan.options.lapses = Duration::from_secs(30 * 3_600);
        let report = plan.make(&population(&keys));
        let until = at.plus(plan.options.lapses);
        let mut wanted: BTreeMap<(i64, String, String), (Moment, u64)> = BTreeMap::new();
        for facts in &keys {
            for model in after.document().models.iter().map(|model| &model.id) {
                if let Some((when, code)) = first_refusal(&after, facts, model, at, until) {
                    let row = (when.as_millis().div_euclid(900_000), model.to_string(), code);
                    let sum = wanted.entry(row).or_insert((when, 0));
                    *sum = (sum.0.min(when), sum.1 + 1);
                }
            }
        }
        let row = |lapse: &policy::plan::Lapse| {
            let quarter = lapse.first.as_millis().div_euclid(900_000);
            ((quarter, lapse.model.to_string(), lapse.code.as_str().to_owned()), (lapse.first, lapse.keys))
        };
        prop_assert_eq!(report.schedule.lapses.iter().map(row).collect::<BTreeMap<_, _>>(), wanted);
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_in_whatever_order_keys_arrive(
        keys in keys(), before in documents(), after in documents(), at in moments(),
    ) {
        let (before, after) = (compiled(&before), compiled(&after));
        let plan = Plan { readings: Readings::none(), ..Plan::new(&before, &after, at) };
        let bytes = |population: &Population| serde_json::to_string(&plan.make(population)).unwrap();
        let mut turned = Population::new();
        turned.rely_on(relied());
        for (at, facts) in keys.iter().enumerate().rev() {
            turned.add(principal(facts, at));
        }
        let report = bytes(&population(&keys));
        prop_assert_eq!(&bytes(&turned), &report);
        let read: Report = serde_json::from_str(&report).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), report);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_cell_of_the_matrix_is_what_deciding_each_key_under_that_reading_gives(
        keys in keys(), after in documents(), at in moments(),
        questions in proptest::sample::subsequence(QUESTIONS.to_vec(), 1..=2),
    ) {
        let after = compiled(&after);
        let all = after.document().directives.iter().map(|d| d.id());
        let all = all.chain(after.document().licenses.iter().map(|license| license.id())).cloned().collect();
        let plan = Plan { readings: Readings::of(all).only(questions), ..Plan::new(&after, &after, at) };
        let report = plan.make(&population(&keys));
        for cell in report.matrix.iter().flat_map(|matrix| &matrix.cells) {
            let read = read(after.document(), &cell.readings).map(Snapshot::compile);
            let Some(Ok(snapshot)) = read else {
                prop_assert!(cell.fault.is_some(), "{:?}", cell.readings);
                continue;
            };
            prop_assert_eq!(cell.as_written, *snapshot.digest() == *after.digest());
            for (model, split) in &cell.models {
                let mut counts = [0, 0, 0];
                for facts in &keys {
                    counts[match answer(&snapshot, facts, model, at) {
                        Answer::Permit { .. } => 0,
                        Answer::Hold { .. } => 1,
                        Answer::Deny { .. } => 2,
                    }] += 1;
                }
                prop_assert_eq!([split.permit.keys, split.hold.keys, split.deny.keys], counts, "{:?}", &cell.readings);
            }
        }
    }
}

/// A superseded word does not return when what superseded it, by whichever issuer, has expired.
/// Asks a plan about one person of whom this was said, and checks that it answers as a decision does. Tells of each
/// statement its id, issuer and claim, the hours until it ends, and what it supersedes.
fn planned(order: serde_json::Value, said: &[(&str, &str, serde_json::Value, i64, Option<&str>)]) -> Answer {
    let order = policy::Directive::parse(order.to_string().as_bytes()).unwrap();
    let after = compiled(&crate::world::document(vec![order], Vec::new(), Vec::new()));
    let at = Moment::parse("2026-06-29T15:00:00Z").unwrap();
    let hour = |hours: i64| Moment::from_millis(at.as_millis() + hours * 3_600_000).to_string();
    let said = said.iter().map(|(id, issuer, claim, ends, supersedes)| {
        serde_json::json!({
            "id": id, "person": "ada", "claim": claim, "issuer": issuer, "evidence": "file", "assurance": "ial2",
            "issued_at": hour(-2), "expires_at": hour(*ends), "supersedes": supersedes,
        })
    });
    let facts: Facts = serde_json::from_value(serde_json::json!({
        "at": at, "model": "mythos-open", "organizations": [], "consumed": [],
        "credential": {"id": "key-1", "expires_at": hour(99), "revoked": false, "organization": null},
        "caller": {"kind": "person", "person": {
            "id": "ada", "display_name": "Ada", "screening": "cleared", "active": true,
            "attestations": said.collect::<Vec<_>>(), "affiliations": [],
        }},
    }))
    .unwrap();
    let mut got = None;
    Plan::new(&after, &after, at).make_with(&population(std::slice::from_ref(&facts)), |outcome| {
        if *outcome.model == facts.model {
            got = Some(outcome.after.clone());
        }
    });
    let got = got.unwrap();
    assert_eq!(got, answer(&after, &facts, &facts.model, at));
    got
}

fn june_12() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../examples/june-12.directive.json")).unwrap()
}

#[test]
fn a_key_with_superseded_evidence_gets_the_answer_that_deciding_it_gives() {
    let verdict = |supersedes| {
        let citizen = serde_json::json!({"kind": "us_person", "limb": "citizen"});
        let foreign = serde_json::json!({"kind": "foreign_person"});
        let said = [("a0", "civic", citizen, 9, None), ("a1", "roster", foreign, -1, supersedes)];
        matches!(planned(june_12(), &said), Answer::Permit { .. })
    };
    assert_eq!((verdict(None), verdict(Some("a0"))), (true, false));
}

/// What was once said of a country is not unsaid when the statement expires: it establishes nothing and contradicts.
#[test]
fn a_key_of_somebody_whose_other_citizenship_is_no_longer_attested_gets_the_answer_that_deciding_it_gives() {
    let mut order = june_12();
    order["person_scope"] =
        serde_json::json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "ear", "unknown": "hold"});
    let citizen = |country: &str| serde_json::json!({"kind": "citizenship", "country": country});
    let asked = |other: &str, ends| {
        let foreign = serde_json::json!({"kind": "foreign_person"});
        let said = [
            ("a0", "civic", foreign, 9, None),
            ("a1", "civic", citizen("CA"), 9, None),
            ("a2", "roster", citizen(other), ends, None),
        ];
        matches!(planned(order.clone(), &said), Answer::Permit { .. })
    };
    assert_eq!((asked("CA", -1), asked("CN", -1), asked("CN", 9)), (true, false, false));
}

/// Two keys may have come with different states of one organization; each is decided on its own.
#[test]
fn keys_that_know_an_organization_in_different_states_are_not_confused() {
    let after = compiled(&crate::world::document(Vec::new(), Vec::new(), Vec::new()));
    let at = Moment::parse("2026-06-29T15:00:00Z").unwrap();
    let organization = |id: &str, coverage: &str| {
        serde_json::json!({
            "id": id, "legal_name": id, "country": "US", "kind": "us", "screening": "cleared", "coverage": coverage,
            "resells": false,
        })
    };
    let key = |id: &str, coverage: &str| -> Facts {
        let works = serde_json::json!([{
            "id": "w0", "person": "ada", "organization": "north", "engagement": "employee", "issuer": "roster",
            "evidence": "file", "attested_at": "2026-06-29T05:00:00Z", "ends_at": "2027-06-29T05:00:00Z",
        }]);
        serde_json::from_value(serde_json::json!({
            "at": at, "model": "mythos-open", "consumed": [],
            "organizations": [organization("harbor", coverage), organization("north", "none")],
            "credential": {"id": id, "expires_at": "2027-01-01T00:00:00Z", "revoked": false, "organization": "harbor"},
            "caller": {"kind": "person", "person": {
                "id": "ada", "display_name": "Ada", "screening": "cleared", "active": true, "attestations": [],
                "affiliations": works,
            }},
        }))
        .unwrap()
    };
    let keys = [key("key-1", "undetermined"), key("key-2", "none")];
    let mut permitted = Vec::new();
    Plan::new(&after, &after, at).make_with(&population(&keys), |outcome| {
        let facts = keys.iter().find(|facts| facts.credential.id == *outcome.key).unwrap();
        assert_eq!(*outcome.after, answer(&after, facts, outcome.model, at));
        if matches!(outcome.after, Answer::Permit { .. }) && *outcome.model == facts.model {
            permitted.push(outcome.key.to_string());
        }
    });
    assert_eq!(permitted, ["key-2"]);
}

const QUESTIONS: [&str; 5] = ["person_definition", "unknown_standing", "destination", "employee_scope", "entity_scope"];

/// Reads a document as a cell says; `None` if it is none then. Silent about what a question does not apply to.
fn read(document: &SnapshotDocument, readings: &BTreeMap<String, String>) -> Option<SnapshotDocument> {
    let mut json = serde_json::to_value(document).unwrap();
    for (question, answer) in readings.iter().filter(|(_, answer)| *answer != "as_written") {
        for directive in json["directives"].as_array_mut().unwrap() {
            match question.as_str() {
                "person_definition" if directive["person_scope"].get("definition").is_some() => {
                    directive["person_scope"]["definition"] = answer.as_str().into();
                }
                "unknown_standing" if directive["person_scope"].get("unknown").is_some() => {
                    directive["person_scope"]["unknown"] = answer.as_str().into();
                }
                "destination" => {
                    directive["destination_scope"] = match answer.as_str() {
                        "none" => serde_json::json!({"deny": "none"}),
                        "all_foreign" => serde_json::json!({"deny": "all_foreign", "unsettled": false}),
                        _ => serde_json::json!({"deny": "all_foreign", "unsettled": true}),
                    };
                }
                _ => {}
            }
        }
        for license in json["licenses"].as_array_mut().unwrap() {
            match question.as_str() {
                "employee_scope" => license["beneficiaries"]["employee_scope"] = answer.as_str().into(),
                "entity_scope" => license["entity_scope"] = answer.as_str().into(),
                _ => {}
            }
        }
    }
    serde_json::from_value(json).ok()
}

/// Follows a permit from end to end by deciding again whenever it says so.
fn first_refusal(
    snapshot: &Snapshot,
    facts: &Facts,
    model: &terms::ModelVersionId,
    from: Moment,
    until: Moment,
) -> Option<(Moment, String)> {
    let mut at = from;
    while at <= until {
        match decide(snapshot, &Facts { at, model: model.clone(), ..facts.clone() }) {
            policy::Determination::Permit(permit) => at = permit.valid_until(),
            policy::Determination::Refuse(refusal) if at > from => {
                return Some((at, refusal.code().as_str().to_owned()));
            }
            policy::Determination::Refuse(_) => return None,
        }
    }
    None
}
