//! Each clause of the two example instruments does something: another wording of it gives another answer.
//!
//! `docs/clauses.md` says in words what each clause says and where it is carried out.

use std::collections::BTreeSet;

use policy::{Determination, Directive, Facts, License, Snapshot, SnapshotDocument, decide};
use serde_json::{Value, json};
use terms::OrganizationId;
use testkit::cases::{self, Case, Verdict};

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");

/// The places of the checks of `mythos-5.0` in each case.
const JUNE_12_CHECK: usize = 2;
const JUNE_26_CHECK: usize = 4;

/// Another wording of one clause, a case whose answer it changes, and that answer.
type Reworded = (&'static str, Value, &'static str, &'static str);

fn directive_reworded() -> Vec<Reworded> {
    let scope = json!({"deny": "all_foreign", "unsettled": true});
    vec![
        ("/effective_at", json!("2026-07-01T00:00:00Z"), "E04", "permit base.no-license-required"),
        ("/expires_at", json!("2026-06-20T00:00:00Z"), "E04", "permit base.no-license-required"),
        ("/status", json!("stayed"), "E04", "permit base.no-license-required"),
        ("/models/families", json!(["fable-5"]), "E04", "permit base.no-license-required"),
        ("/person_scope", json!({"deny": "none"}), "E04", "permit DIR-2026-06-12.outside-scope"),
        ("/person_scope/definition", json!("citizens_nationals_only"), "P05", "deny foreign_person_barred"),
        ("/person_scope/unknown", json!("deny"), "P02", "deny standing_unattested"),
        ("/destination_scope", scope, "P03-person-based", "hold destination_barred"),
        ("/entity_scope", json!({"deny": "none"}), "E17", "permit DIR-2026-06-12.us-person"),
        ("/evidence/min_assurance", json!("ial3"), "P01", "hold standing_unattested"),
        ("/evidence/max_age_hours", json!(5), "P01", "hold standing_unattested"),
        ("/obligations", json!(["strip_logprobs"]), "P01", "permit and demand"),
    ]
}

fn license_reworded() -> Vec<Reworded> {
    let (barred, unmet) = ("deny foreign_person_barred", "deny license_condition_unmet");
    vec![
        ("/status", json!("pending"), "E02", barred),
        ("/models/families", json!(["fable-5"]), "E02", barred),
        ("/grantees/organizations", json!(["pinecrest-water"]), "E02", barred),
        ("/grantees/own_staff", json!(false), "E01", barred),
        ("/beneficiaries/employee_scope", json!("direct"), "E06", unmet),
        ("/territory/unsettled_groups", json!([]), "E15", "permit_with_flag LTR-2026-06-26.grantees"),
        ("/territory", json!({"exclude_groups": ["D:5"], "unsettled_groups": []}), "E15", unmet),
        ("/conditions/token_caps", json!([{"tokens": 1, "per": "month"}]), "E02", unmet),
        ("/valid/from", json!("2026-07-10T00:00:00Z"), "E02", barred),
        ("/valid/to", json!("2026-06-28T00:00:00Z"), "E02", barred),
        ("/obligations", json!(["strip_logprobs"]), "E02", "permit and demand"),
    ]
}

/// Clauses that decide and that no other wording of theirs alone can show, with the test that shows them.
const ELSEWHERE: [&str; 6] =
    ["/under", "/tenant_binding", "/status_since", "/models/include_derivatives", "/effect", "/entity_scope"];
/// Clauses that identify and explain an instrument; answers name or show them, and none depends on them.
const FOR_THE_RECORD: [&str; 18] = [
    "/actions",
    "/addressee",
    "/comply_by",
    "/confidentiality",
    "/interpretation",
    "/never_waives",
    "/recordkeeping_years",
    "/reporting",
    "/source/pages",
    "/type",
    "/id",
    "/version",
    "/kind",
    "/issuer/agency",
    "/issuer/official",
    "/authority/cite",
    "/received_at",
    "/source/sha256",
];

#[test]
fn another_wording_of_a_clause_of_the_directive_gives_another_answer() {
    let cases = cases::load(&cases::directory()).unwrap();
    for (at, wording, case, expected) in directive_reworded() {
        let (mut document, facts) = check(&cases, case, JUNE_12_CHECK);
        let before = spelled(&document, &facts, None);
        let reworded = Directive::parse(edited(JUNE_12, at, wording).as_bytes()).unwrap();
        document.directives = vec![reworded];
        let after = spelled(&document, &facts, Some(expected));
        assert_eq!((after.as_str(), before != after), (expected, true), "{at}, case {case}");
    }
}

#[test]
fn another_wording_of_a_clause_of_the_license_gives_another_answer() {
    let cases = cases::load(&cases::directory()).unwrap();
    for (at, wording, case, expected) in license_reworded() {
        let (mut document, facts) = check(&cases, case, JUNE_26_CHECK);
        let before = spelled(&document, &facts, None);
        document.licenses = vec![License::parse(edited(ANNEX_A, at, wording).as_bytes()).unwrap()];
        let after = spelled(&document, &facts, Some(expected));
        assert_eq!((after.as_str(), before != after), (expected, true), "{at}, case {case}");
    }
}

#[test]
fn a_license_that_binds_the_tenant_covers_nobody_under_another_one() {
    let cases = cases::load(&cases::directory()).unwrap();
    let (mut document, mut facts) = check(&cases, "E02", JUNE_26_CHECK);
    facts.credential.organization = OrganizationId::parse("harbor-tools").ok();
    assert_eq!(spelled(&document, &facts, None), "deny foreign_person_barred");
    let reworded = edited(ANNEX_A, "/tenant_binding", json!(false));
    document.licenses = vec![License::parse(reworded.as_bytes()).unwrap()];
    let covered = "permit LTR-2026-06-26.grantees";
    assert_eq!(spelled(&document, &facts, Some(covered)), covered);
}

#[test]
fn a_license_waives_the_directives_it_names_and_no_other() {
    let cases = cases::load(&cases::directory()).unwrap();
    let (mut document, facts) = check(&cases, "E02", JUNE_26_CHECK);
    document.directives.push(Directive::parse(edited(JUNE_12, "/id", json!("DIR-2")).as_bytes()).unwrap());
    assert_eq!(spelled(&document, &facts, None), "deny foreign_person_barred");
    let both = edited(ANNEX_A, "/under", json!(["DIR-2", "DIR-2026-06-12"]));
    document.licenses = vec![License::parse(both.as_bytes()).unwrap()];
    let covered = "permit LTR-2026-06-26.grantees";
    assert_eq!(spelled(&document, &facts, Some(covered)), covered);
}

#[test]
fn a_version_speaks_from_its_own_moment_on() {
    let cases = cases::load(&cases::directory()).unwrap();
    let (mut document, mut facts) = check(&cases, "E04", JUNE_12_CHECK);
    let lifted =
        document.directives[0].with_status(policy::Status::Lifted, facts.at.plus(std::time::Duration::from_secs(1)));
    document.directives.push(lifted);
    assert_eq!(spelled(&document, &facts, None), "deny foreign_person_barred");
    facts.at = facts.at.plus(std::time::Duration::from_secs(1));
    let permitted = "permit base.no-license-required";
    assert_eq!(spelled(&document, &facts, Some(permitted)), permitted);
}

#[test]
fn each_clause_decides_or_is_for_the_record() {
    for (document, reworded) in [(JUNE_12, directive_reworded()), (ANNEX_A, license_reworded())] {
        let mut clauses = BTreeSet::new();
        leaves(&serde_json::from_str(document).unwrap(), "", &mut clauses);
        let known: Vec<&str> = reworded.iter().map(|(at, ..)| *at).chain(ELSEWHERE).chain(FOR_THE_RECORD).collect();
        let is_known = |clause: &&String| known.iter().any(|at| clause.starts_with(at));
        let forgotten: Vec<&String> = clauses.iter().filter(|clause| !is_known(clause)).collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
    }
}

fn check(cases: &[Case], id: &str, at: usize) -> (SnapshotDocument, Facts) {
    let check = &cases.iter().find(|case| case.id == id).unwrap().checks[at];
    (check.document.clone(), check.facts.clone())
}

/// Spells an answer as the cases do. Of several bases of a permit it names the one that is expected, if that is there.
fn spelled(document: &SnapshotDocument, facts: &Facts, expected: Option<&str>) -> String {
    let determination = decide(&Snapshot::compile(document.clone()).unwrap(), facts);
    let verdict = Verdict::of(&determination);
    match &determination {
        Determination::Permit(permit) if !permit.obligations().is_empty() => "permit and demand".to_owned(),
        Determination::Permit(permit) => {
            let bases = permit.basis().iter().map(|basis| format!("{verdict} {basis}"));
            let bases: Vec<String> = bases.collect();
            bases.iter().find(|basis| Some(basis.as_str()) == expected).unwrap_or(&bases[0]).clone()
        }
        Determination::Refuse(refusal) => format!("{verdict} {}", refusal.code().as_str()),
    }
}

fn edited(document: &str, pointer: &str, value: Value) -> String {
    let mut json: Value = serde_json::from_str(document).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    if pointer == "/effective_at" {
        // To comply before it binds would be a contradiction.
        json.as_object_mut().unwrap().remove("comply_by");
    }
    json.to_string()
}

/// Collects the places of everything that a document states; the elements of a list are at the place of the list.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), found)),
        Value::Array(values) if !values.is_empty() => values.iter().for_each(|value| leaves(value, at, found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}
