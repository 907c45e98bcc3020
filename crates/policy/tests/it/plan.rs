//! A plan says of every key what deciding that key would say, and adds it up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use policy::{
    CallerFacts, Facts, Snapshot, SnapshotDocument, decide,
    plan::{Answer, ModelTraffic, Plan, Population, Principal, Reach, Readings, Report, Split},
};
use proptest::{collection::vec, prelude::*};
use terms::{KeyId, Moment, Organization, Person, Screening};

use crate::world::{World, documents, worlds};

/// The keys that a plan is made for: facts about each, to be decided one by one.
pub(crate) fn keys() -> impl Strategy<Value = Vec<Facts>> {
    let twist = (any::<[bool; 6]>(), 0_u8..8, 0_u64..5_000);
    vec((worlds(), twist), 1..24).prop_map(|all| {
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
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

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
            let permits = |answer: &Answer| matches!(answer, Answer::Permit { .. });
            let count = |such: &dyn Fn(&(Answer, Answer)) -> bool| {
                let all = keys.iter().enumerate().filter(|(_, facts)| such(&pair(facts)));
                let tokens = |(at, facts): (usize, &Facts)| if facts.model == model.model { at as u64 * 10 + 1 } else { 0 };
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
        let plan = Plan::new(&before, &after, at);
        let bytes = |population: &Population| serde_json::to_string(&plan.make(population)).unwrap();
        let mut turned = Population::new();
        for (at, facts) in keys.iter().enumerate().rev() {
            turned.add(principal(facts, at));
        }
        let report = bytes(&population(&keys));
        prop_assert_eq!(&bytes(&turned), &report);
        let read: Report = serde_json::from_str(&report).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), report);
    }
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
