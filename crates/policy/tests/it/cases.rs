//! Every case under every set of instruments.

use std::collections::BTreeMap;

use policy::{Determination, Facts, License, Snapshot, decide};
use serde_json::Value;
use terms::{Account, AccountState, ChannelId, OrganizationId, SubjectName};
use testkit::cases::{self, Case, Check, Verdict};

use crate::properties::with_people;

#[test]
fn every_case_is_decided_as_its_file_says() {
    let cases = cases::load(&cases::directory()).unwrap();
    let wrong: Vec<String> = cases.iter().flat_map(differences).collect();
    assert!(
        wrong.is_empty(),
        "\n{:<28} {:<8} {:<12} {:<44} got\n{}",
        "case",
        "stage",
        "model",
        "expected",
        wrong.join("\n")
    );
}

#[test]
fn the_cases_cover_every_verdict_and_all_forty_questions() {
    let cases = cases::load(&cases::directory()).unwrap();
    let mut questions: Vec<&str> = cases.iter().filter_map(|case| case.id.get(..3)).collect();
    questions.dedup();
    assert_eq!(questions.len(), 40, "{questions:?}");
    for verdict in [Verdict::Permit, Verdict::PermitWithFlag, Verdict::Hold, Verdict::Deny] {
        let shown = cases.iter().flat_map(|case| &case.checks).any(|check| check.expected.verdict == verdict);
        assert!(shown, "{verdict}");
    }
    assert!(cases.iter().all(|case| !case.title.is_empty() && !case.basis.is_empty()));
}

#[test]
fn a_suspension_by_an_employer_ends_what_rests_on_that_employer_whichever_key_is_used() {
    let case = cases::load(&cases::directory()).unwrap().into_iter().find(|case| case.id == "E09-employed").unwrap();
    let check = case.checks.iter().find(|check| check.expected.to_string().contains("LTR-2026-06-26")).unwrap();
    let mut document = check.document.clone();
    document.licenses.iter_mut().for_each(|license| *license = for_any_tenant(license));
    let snapshot = Snapshot::compile(document).unwrap();
    for tenant in [None, Some("larkspur-labs")] {
        let mut facts = check.facts.clone();
        facts.credential.organization = tenant.map(|id| OrganizationId::parse(id).unwrap());
        let verdict = |state| Verdict::of(&decide(&snapshot, &with_account(facts.clone(), state)));
        assert_eq!(verdict(AccountState::Active), Verdict::Permit, "{tenant:?}");
        for out in [AccountState::Suspended, AccountState::Ended] {
            assert_eq!(verdict(out), Verdict::Deny, "{tenant:?} {out:?}");
        }
    }
}

fn for_any_tenant(license: &License) -> License {
    let mut json = serde_json::to_value(license).unwrap();
    json["tenant_binding"] = Value::Bool(false);
    License::parse(json.to_string().as_bytes()).unwrap()
}

/// Gives everybody an account at the employer of the case.
fn with_account(facts: Facts, state: AccountState) -> Facts {
    let account = Account {
        channel: ChannelId::parse("northgate-directory").unwrap(),
        subject: SubjectName::parse("4711").unwrap(),
        organization: Some(OrganizationId::parse("northgate-grid").unwrap()),
        state,
        sessions_end: None,
    };
    with_people(facts, |person| person.accounts = vec![account.clone()])
}

fn differences(case: &Case) -> Vec<String> {
    let mut snapshots = BTreeMap::new();
    for check in &case.checks {
        snapshots.entry(check.stage).or_insert_with(|| Snapshot::compile(check.document.clone()).unwrap());
    }
    let checks = case.checks.iter();
    checks.filter_map(|check| difference(&case.id, check, &snapshots[check.stage])).collect()
}

fn difference(id: &str, check: &Check, snapshot: &Snapshot) -> Option<String> {
    let determination = decide(snapshot, &check.facts);
    if check.expected.is_met_by(&determination) {
        return None;
    }
    let (expected, model) = (check.expected.to_string(), check.facts.model.as_str());
    let got = spelled(&determination);
    Some(format!("{id:<28} {:<8} {model:<12} {expected:<44} {got}", check.stage))
}

fn spelled(determination: &Determination) -> String {
    let verdict = Verdict::of(determination);
    match determination {
        Determination::Permit(permit) => format!("{verdict} {:?}", permit.basis()),
        Determination::Refuse(refusal) => format!("{verdict} {} {:?}", refusal.code().as_str(), refusal.denied_by()),
    }
}
