//! What is proved of the documents in `examples/`, as they are and in other readings.

use prover::{Answer, Proofs, Verdict};
use serde_json::{Value, json};

use crate::world::{annex_a, assert_all_proved, finding, june_12, property, proved, snapshot};

#[test]
fn the_order_of_june_12_and_the_list_of_june_26_are_proved() {
    let (ordered, listed) = (snapshot(&[june_12()], &[]), snapshot(&[june_12()], &[annex_a()]));
    let first = proved(None, &ordered);
    assert_all_proved(&first);
    assert!(first.solver.version.contains("cvc5"), "{:?}", first.solver);
    assert_eq!((first.solver.sha256.len(), first.canaries.len()), (64, 2));
    let second = proved(Some(&ordered), &listed);
    assert_all_proved(&second);
    assert_eq!(finding(&second, "I2", "fable-5"), "narrows");
    assert_eq!(finding(&second, "I2", "mythos-5"), "widens only through LTR-2026-06-26 version 1");
    let ids: Vec<&str> = second.properties.iter().map(|property| property.id.as_str()).collect();
    for id in ["V1", "V2", "I1", "I2", "I3", "I4", "I5"] {
        assert!(ids.contains(&id), "{id} is missing");
    }
    assert!(ids.is_sorted());
}

#[test]
fn whom_a_license_newly_lets_through_is_told_as_a_person_whom_both_rules_decide_alike() {
    let (ordered, listed) = (snapshot(&[june_12()], &[]), snapshot(&[june_12()], &[annex_a()]));
    let proofs = proved(Some(&ordered), &listed);
    let Verdict::Proved { example: Some(example), .. } = &property(&proofs, "I2", "mythos-5").verdict else {
        panic!("no example");
    };
    assert!(example.description.contains("under LTR-2026-06-26") || example.description.contains("grantee of"));
    assert_eq!(example.not_carried, Vec::<String>::new());
    assert!(example.confirmed, "{example:#?}");
    assert!(matches!(&example.before, Some(Answer::Refuses { .. })));
    let Some(Answer::Permits { by }) = &example.decide else { panic!("{example:#?}") };
    assert!(by.iter().any(|basis| basis.starts_with("LTR-2026-06-26.")), "{by:?}");
}

#[test]
fn a_license_that_is_withdrawn_only_narrows() {
    let (ordered, listed) = (snapshot(&[june_12()], &[]), snapshot(&[june_12()], &[annex_a()]));
    let proofs = proved(Some(&listed), &ordered);
    assert_all_proved(&proofs);
    assert_eq!(finding(&proofs, "I2", "mythos-5"), "narrows");
}

#[test]
fn every_reading_of_the_documents_is_proved() {
    for (directive, license) in readings() {
        let reading = format!("{directive}\n{license}");
        let after = snapshot(&[directive], &[license]);
        let proofs = proved(None, &after);
        assert!(proofs.passed(), "{reading}\n{:#?}", proofs.open().collect::<Vec<_>>());
    }
}

fn readings() -> Vec<(Value, Value)> {
    let mut readings = vec![(june_12(), annex_a()); 7];
    readings[0].0["person_scope"]["definition"] = json!("citizens_nationals_only");
    readings[0].0["destination_scope"] = json!({"deny": "all_foreign", "unsettled": true});
    readings[0].1["beneficiaries"]["employee_scope"] = json!("regular_120_64");
    readings[1].0["destination_scope"] = json!({"deny": "groups", "groups": ["D:5"], "unsettled": false});
    readings[1].0["entity_scope"] = json!({"deny": "none"});
    readings[1].1["beneficiaries"]["employee_scope"] = json!("employees_contractors_interns");
    readings[1].1["conditions"]["token_caps"] = json!([{"tokens": 1000, "per": "month"}]);
    readings[2].0["person_scope"] = json!({"deny": "none"});
    readings[2].1["territory"] = json!({"exclude_groups": [], "unsettled_groups": []});
    readings[2].1["grantees"]["own_staff"] = json!(false);
    readings[3].0["status"] = json!("stayed");
    readings[3].0["effective_at"] = json!("2030-01-01T00:00:00Z");
    readings[3].0["comply_by"] = json!("2030-01-01T01:30:00Z");
    readings[3].1["status"] = json!("pending");
    readings[3].1["beneficiaries"]["employee_scope"] = json!("direct");
    readings[4].0["person_scope"] =
        json!({"deny": "nationals_of", "groups": ["D:5", "E:1"], "rule": "itar", "unknown": "deny"});
    readings[4].1["nationality_exclude"] = json!({"groups": ["D:5"], "rule": "ear"});
    readings[4].1["end_uses"] = json!(["cyber_defence", "grid"]);
    readings[5].0["person_scope"] = json!({"deny": "everyone"});
    readings[5].0["models"]["include_derivatives"] = json!(true);
    readings[5].1["models"]["include_derivatives"] = json!(true);
    readings[6].0["entity_scope"] = json!({"deny": "foreign_organization", "headquartered_in": ["D:5", "E:1"]});
    readings[6].1["under"] = json!(["DIR-2026-06-12"]);
    readings
}

#[test]
fn a_directive_that_prohibits_is_proved_to_have_no_way_around_it() {
    let mut prohibition = june_12();
    prohibition["id"] = json!("DIR-2026-07-04");
    prohibition["effect"] = json!("prohibit");
    let proofs =
        proved(Some(&snapshot(&[june_12()], &[annex_a()])), &snapshot(&[june_12(), prohibition], &[annex_a()]));
    assert_all_proved(&proofs);
}

#[test]
fn a_new_version_of_a_license_narrows_or_widens_by_what_it_says_and_not_by_being_new() {
    let listed = snapshot(&[june_12()], &[annex_a()]);
    let mut second = annex_a();
    second["version"] = json!(2);
    second["status_since"] = json!("2026-07-01T00:00:00Z");
    second["territory"]["exclude_groups"] = json!(["D:1", "E:1", "E:2"]);
    let narrowed = proved(Some(&listed), &snapshot(&[june_12()], &[second.clone()]));
    assert_all_proved(&narrowed);
    assert_eq!(finding(&narrowed, "I2", "mythos-5"), "narrows");
    let mut more = second.clone();
    more["grantees"]["organizations"] = json!(["harbor-tools", "northgate-grid", "pinecrest-water"]);
    let widened = proved(Some(&listed), &snapshot(&[june_12()], &[more]));
    assert_eq!(finding(&widened, "I2", "mythos-5"), "widens only through LTR-2026-06-26 version 2");
    second["beneficiaries"]["employee_scope"] = json!("employees_contractors_interns");
    let widened = proved(Some(&listed), &snapshot(&[june_12()], &[annex_a(), second]));
    assert_all_proved(&widened);
    assert_eq!(finding(&widened, "I2", "mythos-5"), "widens only through LTR-2026-06-26 version 2");
}

#[test]
fn a_directive_that_supersedes_another_is_compared_with_it() {
    let mut later = june_12();
    later["id"] = json!("DIR-2026-07-01");
    later["supersedes"] = json!("DIR-2026-06-12");
    later["destination_scope"] = json!({"deny": "all_foreign", "unsettled": false});
    let (first, second) = (snapshot(&[june_12()], &[]), snapshot(&[later.clone()], &[]));
    let stricter = proved(Some(&first), &second);
    assert_all_proved(&stricter);
    assert_eq!(finding(&stricter, "I2", "mythos-5"), "narrows");
    let mut back = june_12();
    back["id"] = json!("DIR-2026-08-01");
    back["supersedes"] = json!("DIR-2026-07-01");
    let eased = proved(Some(&second), &snapshot(&[back], &[]));
    assert_eq!(finding(&eased, "I2", "mythos-5"), "eased by DIR-2026-08-01 version 1");
}

#[test]
fn two_directives_and_a_license_under_one_of_them_are_proved_gate_by_gate() {
    let mut other = june_12();
    other["id"] = json!("DIR-2026-07-01");
    other["models"]["families"] = json!(["mythos-5"]);
    other["destination_scope"] = json!({"deny": "groups", "groups": ["D:5", "E:1"], "unsettled": false});
    let proofs = proved(Some(&snapshot(&[june_12()], &[])), &snapshot(&[june_12(), other], &[annex_a()]));
    assert_all_proved(&proofs);
    let gates = proofs.properties.iter().filter(|property| property.id == "I1" && property.about.contains("DIR"));
    assert_eq!(gates.count(), 3);
    assert!(finding(&proofs, "I2", "DIR-2026-07-01").starts_with("narrows: no such directive was there"));
}

#[test]
fn a_new_version_of_a_directive_may_ease_and_it_is_said() {
    let mut strict = june_12();
    strict["destination_scope"] = json!({"deny": "all_foreign", "unsettled": false});
    let mut eased = june_12();
    eased["version"] = json!(2);
    let proofs = proved(Some(&snapshot(&[strict], &[])), &snapshot(&[eased.clone()], &[]));
    assert_all_proved(&proofs);
    assert_eq!(finding(&proofs, "I2", "mythos-5"), "eased by DIR-2026-06-12 version 2");
    let proofs = proved(Some(&snapshot(&[june_12()], &[])), &snapshot(&[eased], &[annex_a()]));
    assert_eq!(finding(&proofs, "I2", "mythos-5"), "widens only through LTR-2026-06-26 version 1");
}

#[test]
fn what_is_no_longer_there_is_said_to_have_ended() {
    let ordered = snapshot(&[june_12()], &[]);
    let proofs = proved(Some(&ordered), &snapshot(&[], &[]));
    assert_all_proved(&proofs);
    assert_eq!(finding(&proofs, "I2", "mythos-5"), "ended: the snapshot no longer has DIR-2026-06-12");
    let mut narrowed = june_12();
    narrowed["models"]["families"] = json!(["fable-5"]);
    let same_version = proved(Some(&ordered), &snapshot(&[narrowed.clone()], &[]));
    assert!(!same_version.passed());
    narrowed["version"] = json!(2);
    let next_version = proved(Some(&ordered), &snapshot(&[narrowed], &[]));
    assert_eq!(finding(&next_version, "I2", "mythos-5"), "eased: DIR-2026-06-12 version 2 no longer names it");
}

#[test]
fn proofs_are_the_same_after_they_were_written_and_read() {
    let proofs = proved(Some(&snapshot(&[june_12()], &[])), &snapshot(&[june_12()], &[annex_a()]));
    let written = serde_json::to_string(&proofs).unwrap();
    assert_eq!(serde_json::from_str::<Proofs>(&written).unwrap(), proofs);
}
