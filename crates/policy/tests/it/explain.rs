//! An explanation agrees with the decision that it explains, and what it suggests is true.

use std::collections::BTreeSet;

use policy::{
    Determination, Facts, Snapshot, decide, explain,
    explain::{Answer, Clause, Explanation, Force, LicenseTest, Outcome, Step, Tried, instruments_at},
};
use proptest::prelude::*;
use terms::{Moment, ProvisionId};
use testkit::cases::{self, Check, Verdict};

use crate::{properties::with_people, world::worlds};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_agrees_with_the_decision_and_so_does_everything_in_it(world in worlds()) {
        let snapshot = Snapshot::compile(world.document).unwrap();
        let facts = named(world.facts);
        let explained = explained(&snapshot, &facts);
        let determination = decide(&snapshot, &facts);
        answers_the_same(&explained.tried[0], &determination)?;
        conditions_are_met_exactly_where_a_license_permits(&explained.tried[0], &determination)?;
        suggestions_turn_the_answer(&explained.tried[0])?;
        let text = serde_json::to_string(&explained).unwrap();
        prop_assert!(!text.contains("Lovelight") && !text.contains("drawer"), "{}", text);
    }

    #[test]
    fn one_version_of_each_instrument_governs_and_those_in_effect_do(world in worlds()) {
        let snapshot = Snapshot::compile(world.document).unwrap();
        let all = instruments_at(&snapshot, world.facts.at);
        let ids: BTreeSet<_> = all.iter().map(|version| &version.id).collect();
        for id in ids {
            let governing: Vec<_> = all.iter().filter(|version| version.id == *id && version.governs).collect();
            prop_assert_eq!(governing.len(), 1, "{:?}", governing);
        }
        for version in &all {
            prop_assert_eq!(version.in_effect, version.why == Force::InEffect, "{:?}", version);
            prop_assert!(version.governs || !version.in_effect);
            let idle = matches!(version.why, Force::LaterVersion | Force::NotYetSpeaking);
            prop_assert_eq!(idle, !version.governs, "{:?}", version);
        }
    }
}

/// Gives everybody a name and their evidence a place, neither of which an explanation may show.
fn named(facts: Facts) -> Facts {
    with_people(facts, |person| {
        person.display_name = "Augusta Lovelight".to_owned();
        person.attestations.iter_mut().for_each(|word| word.evidence = "drawer nine".to_owned());
        person.affiliations.iter_mut().for_each(|held| held.evidence = "drawer nine".to_owned());
    })
}

fn answers_the_same(tried: &Tried, determination: &Determination) -> Result<(), TestCaseError> {
    let answer = &tried.answer;
    prop_assert_eq!(said(answer), expected(determination));
    prop_assert_eq!(answer.ends_by.is_empty(), answer.valid_until.is_none());
    for note in answer.basis.iter().chain(&answer.denied_by) {
        prop_assert!(!note.basis.is_empty(), "{:?}", note);
    }
    Ok(())
}

fn conditions_are_met_exactly_where_a_license_permits(
    tried: &Tried,
    determination: &Determination,
) -> Result<(), TestCaseError> {
    for test in &tried.licenses {
        let met = test.in_effect && test.conditions.iter().all(|condition| condition.met);
        prop_assert_eq!(met, test.permits, "{:?}", test);
    }
    if let Determination::Permit(permit) = determination {
        for basis in permit.basis().iter().filter(|basis| basis.as_str().starts_with("LIC-")) {
            let permits = |test: &LicenseTest| test.permits && basis.as_str().starts_with(test.license.as_str());
            prop_assert!(tried.licenses.iter().any(permits), "{:?}", basis);
        }
    }
    Ok(())
}

fn suggestions_turn_the_answer(tried: &Tried) -> Result<(), TestCaseError> {
    let refused = matches!(tried.answer.outcome, Outcome::Hold | Outcome::Refuse);
    for nearest in &tried.nearest {
        let permits = matches!(nearest.would_be.outcome, Outcome::Permit | Outcome::PermitWithFlag);
        prop_assert_eq!(permits, refused, "{:?}", nearest);
        prop_assert!((1..=2).contains(&nearest.steps.len()));
        prop_assert_eq!(permits, nearest.would_be.code.is_none());
        prop_assert!(!permits || !nearest.would_be.basis.is_empty());
    }
    prop_assert!(tried.nearest.is_sorted_by_key(|nearest| nearest.size));
    prop_assert!(refused || !tried.nearest.is_empty(), "a key can always be revoked");
    Ok(())
}

fn explained(snapshot: &Snapshot, facts: &Facts) -> Explanation {
    explain(snapshot, facts, facts.model.as_str()).unwrap()
}

/// Outcome, code, basis or provisions that refused, and up to when.
type Said = (Outcome, Option<&'static str>, Vec<ProvisionId>, Option<Moment>);

fn said(answer: &Answer) -> Said {
    let notes = answer.basis.iter().chain(&answer.denied_by);
    let code = answer.code.map(policy::Code::as_str);
    (answer.outcome, code, notes.map(|note| note.id.clone()).collect(), answer.valid_until)
}

fn expected(determination: &Determination) -> Said {
    let (code, provisions, until) = match determination {
        Determination::Permit(permit) => (None, permit.basis(), permit.valid_until()),
        Determination::Refuse(refusal) => (Some(refusal.code().as_str()), refusal.denied_by(), refusal.valid_until()),
    };
    let outcome = match Verdict::of(determination) {
        Verdict::Permit => Outcome::Permit,
        Verdict::PermitWithFlag => Outcome::PermitWithFlag,
        Verdict::Hold => Outcome::Hold,
        Verdict::Deny => Outcome::Refuse,
    };
    (outcome, code, provisions.to_vec(), (until < Moment::MAX).then_some(until))
}

#[test]
fn no_explanation_of_the_forty_cases_contradicts_what_the_case_expects() {
    let cases = cases::load(&cases::directory()).unwrap();
    for case in &cases {
        for check in &case.checks {
            let snapshot = Snapshot::compile(check.document.clone()).unwrap();
            let explained = explained(&snapshot, &check.facts);
            let answer = &explained.tried[0].answer;
            assert_eq!(said(answer), expected(&decide(&snapshot, &check.facts)), "{}", case.id);
            let reason = answer.code.map(|code| code.as_str().to_owned());
            let named = answer.basis.iter().any(|note| note.id.as_str() == check.expected.reason);
            assert!(named || reason.as_deref() == Some(check.expected.reason.as_str()), "{}", case.id);
            names_nobody(&case.id, check, answer);
        }
    }
}

/// The sentence for the caller names no person, whoever stands behind the call.
fn names_nobody(case: &str, check: &Check, answer: &Answer) {
    let facts = serde_json::to_value(&check.facts).unwrap();
    let mut ids = BTreeSet::new();
    person_ids(&facts["caller"], &mut ids);
    let message = answer.message.as_deref().unwrap_or_default();
    let words: BTreeSet<&str> = message.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
    for id in &ids {
        assert!(!words.contains(id.as_str()), "{case}: `{message}` names {id}");
    }
}

fn person_ids(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            let id = map.get("id").filter(|_| map.contains_key("display_name"));
            into.extend(id.and_then(|id| id.as_str()).map(str::to_owned));
            map.values().for_each(|item| person_ids(item, into));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| person_ids(item, into)),
        _ => {}
    }
}

/// Explains the check of a case at a stage on one model.
fn of_case(id: &str, stage: &str, model: &str) -> Explanation {
    let cases = cases::load(&cases::directory()).unwrap();
    let case = cases.iter().find(|case| case.id == id).unwrap();
    let found = case.checks.iter().find(|check| check.stage == stage && check.facts.model.as_str() == model);
    let check = found.unwrap();
    explained(&Snapshot::compile(check.document.clone()).unwrap(), &check.facts)
}

#[test]
fn a_person_without_evidence_hears_that_an_attestation_would_do_and_of_which_standings() {
    let explained = of_case("P02", "june_12", "mythos-5.0");
    let nearest = &explained.tried[0].nearest[0];
    let [step] = nearest.steps.as_slice() else {
        panic!("{nearest:?}");
    };
    let Step::AttestStanding { standings, .. } = &step.change else {
        panic!("{step:?}");
    };
    assert_eq!(standings.len(), 6, "each limb of 15 CFR 772.1, and not a foreign person: {standings:?}");
    assert_eq!(step.who_can_give_it, "an identity-proofing provider or the employer");
    assert_eq!(nearest.would_be.basis[0].as_str(), "DIR-2026-06-12.us-person");
}

#[test]
fn a_foreign_person_at_a_firm_without_a_license_hears_of_a_license_and_of_a_stay_and_of_no_attestation() {
    let explained = of_case("E04", "june_12", "mythos-5.0");
    let nearest = &explained.tried[0].nearest;
    let single: Vec<&Step> = nearest.iter().filter(|n| n.steps.len() == 1).map(|n| &n.steps[0].change).collect();
    assert!(matches!(single.as_slice(), [Step::License { .. }, .., Step::Stay { .. }]), "{single:?}");
    let attested = single.iter().any(|step| matches!(step, Step::AttestStanding { .. }));
    assert!(!attested, "{single:?}");
}

#[test]
fn a_contractor_of_a_grantee_is_held_by_one_condition_that_counsel_can_settle() {
    let explained = of_case("E06", "june_26", "mythos-5.0");
    let tried = &explained.tried[0];
    assert_eq!(tried.answer.outcome, Outcome::Hold);
    let [test] = tried.licenses.as_slice() else {
        panic!("{:?}", tried.licenses);
    };
    let unmet: Vec<Clause> = test.conditions.iter().filter(|c| !c.met).map(|c| c.clause).collect();
    assert_eq!(unmet, [Clause::Beneficiaries]);
    assert!(matches!(tried.nearest[0].steps[0].change, Step::RuleOnEmployees { .. }), "{:?}", tried.nearest);
}

#[test]
fn a_permit_says_when_time_alone_ends_it_and_by_what() {
    let explained = of_case("P01", "june_12", "mythos-5.0");
    let tried = &explained.tried[0];
    assert_eq!(tried.answer.outcome, Outcome::Permit);
    assert!(matches!(tried.nearest[0].steps[0].change, Step::Time { .. }), "{:?}", tried.nearest);
    let ends: Vec<&str> = tried.answer.ends_by.iter().map(|boundary| boundary.what).collect();
    assert_eq!(ends, ["becomes older than a directive allows"; 2], "standing and location were issued together");
    let reading = &explained.people[0].readings[0];
    assert_eq!((reading.standing, reading.under.as_deref()), ("us_person", Some("DIR-2026-06-12")));
    assert!(reading.evidence.iter().all(|word| word.counts && word.age_seconds == 6 * 3_600), "{reading:?}");
}
