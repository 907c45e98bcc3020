//! A name that callers use resolves to the best version they may use.

use policy::{Alias, Code, Determination, Resolution, Snapshot, resolve};
use terms::{AliasName, ModelVersionId};
use testkit::cases::{self, Check};

#[test]
fn an_alias_gives_a_foreign_person_the_best_version_that_is_open_to_them() {
    let check = check("P10", "june_12");
    let resolution = resolved(&check, &["mythos-5.0", "fable-5.0", "fable-5-open"]).unwrap();
    assert_eq!(served(&resolution), Some("fable-5-open"));
    let passed: Vec<(&str, Code)> = resolution.passed_over.iter().map(|p| (p.model.as_str(), p.code)).collect();
    assert_eq!(passed, [("mythos-5.0", Code::ForeignPersonBarred), ("fable-5.0", Code::ForeignPersonBarred)]);
}

#[test]
fn an_alias_gives_a_citizen_the_best_version() {
    let resolution = resolved(&check("P01", "june_12"), &["mythos-5.0", "fable-5-open"]).unwrap();
    assert_eq!(served(&resolution), Some("mythos-5.0"));
    assert!(resolution.passed_over.is_empty());
}

#[test]
fn where_no_version_is_permitted_the_refusal_of_the_best_one_stands() {
    let resolution = resolved(&check("P10", "june_12"), &["mythos-5.0", "fable-5.0"]).unwrap();
    let Determination::Refuse(refusal) = resolution.determination else {
        panic!("permitted");
    };
    assert_eq!(refusal.model().as_str(), "mythos-5.0");
}

#[test]
fn a_resolution_holds_no_longer_than_any_answer_it_rests_on() {
    let check = check("E09-employed", "june_26");
    let resolution = resolved(&check, &["fable-5.0", "mythos-5.0"]).unwrap();
    assert_eq!(served(&resolution), Some("mythos-5.0"));
    assert_eq!(resolution.valid_until.to_string(), "2026-06-29T15:00:00Z");
}

#[test]
fn a_name_that_is_neither_version_nor_alias_resolves_to_nothing() {
    let check = check("P01", "before");
    let snapshot = Snapshot::compile(check.document).unwrap();
    assert_eq!(resolve(&snapshot, &check.facts, "nothing"), None);
}

fn check(case: &str, stage: &str) -> Check {
    let cases = cases::load(&cases::directory()).unwrap();
    let case = cases.into_iter().find(|found| found.id == case).unwrap();
    case.checks.into_iter().find(|check| check.stage == stage).unwrap()
}

fn resolved(check: &Check, versions: &[&str]) -> Option<Resolution> {
    let versions = versions.iter().map(|id| ModelVersionId::parse(id).unwrap()).collect();
    let mut document = check.document.clone();
    document.aliases.push(Alias { name: AliasName::parse("assistant").unwrap(), versions });
    resolve(&Snapshot::compile(document).unwrap(), &check.facts, "assistant")
}

fn served(resolution: &Resolution) -> Option<&str> {
    match &resolution.determination {
        Determination::Permit(permit) => Some(permit.model().as_str()),
        Determination::Refuse(_) => None,
    }
}
