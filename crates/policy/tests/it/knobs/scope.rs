//! Whom an order bars: persons, nationals, organizations, derived models.

use serde_json::{Value, json};

use super::{Desk, KILL_SWITCH, edited};

#[test]
fn everyone_bars_a_citizen_too() {
    let desk = Desk::ordered(json!({"person_scope": {"deny": "everyone"}}));
    assert_eq!(desk.answer(), "deny everyone_barred");
    assert_eq!(desk.citizen().answer(), "deny everyone_barred");
}

#[test]
fn the_kill_switch_of_the_examples_stops_everybody_and_no_license_may_name_it() {
    let switched = Desk::empty().citizen().and(edited(KILL_SWITCH, json!({})));
    assert_eq!(switched.answer(), "deny everyone_barred");
    let waived = switched.under(edited(super::ANNEX, json!({"under": ["KILL-MYTHOS-5"]})));
    assert!(waived.faults().contains("which prohibits: no license waives it"), "{}", waived.faults());
}

#[test]
fn no_license_waives_a_prohibition_and_one_that_says_so_does_not_compile() {
    let prohibited = json!({"effect": "prohibit"});
    assert_eq!(Desk::ordered(prohibited.clone()).answer(), "deny foreign_person_barred");
    let waived = Desk::ordered(prohibited).under(edited(super::ANNEX, json!({})));
    assert_eq!(waived.faults(), "LTR-2026-06-26: waives `DIR-2026-06-12`, which prohibits: no license waives it");
}

#[test]
fn an_order_about_destinations_asks_where_somebody_is_and_not_who() {
    let abroad = json!({"kind": "location", "country": "DE", "method": "managed"});
    let place = |scope: Value| {
        let desk = Desk::ordered(json!({"person_scope": {"deny": "none"}, "destination_scope": scope}));
        desk.with("/caller/person/attestations/1/claim", abroad.clone()).answer()
    };
    assert_eq!(place(json!({"deny": "all_foreign", "unsettled": false})), "deny destination_barred");
    assert_eq!(place(json!({"deny": "all_foreign", "unsettled": true})), "hold destination_barred [CounselRuling]");
    assert!(place(json!({"deny": "groups", "groups": ["D:5"], "unsettled": false})).starts_with("permit"));
    assert_eq!(place(json!({"deny": "groups", "groups": ["A:5"], "unsettled": false})), "deny destination_barred");
}

#[test]
fn nationals_are_told_by_the_rule_that_the_order_names() {
    let (canada, china) = (citizenship("CA", "2019-05-01", None), citizenship("CN", "1990-01-01", None));
    let left_china = citizenship("CN", "1990-01-01", Some("2019-05-01"));
    let stateless = json!({"kind": "stateless"});
    let table: [(&str, Vec<Value>, &str, &str); 7] = [
        ("one country of the group", vec![china.clone()], DENIED, DENIED),
        ("one country of another", vec![canada.clone()], FREE, FREE),
        ("two, the later of another", vec![canada.clone(), china], FREE, DENIED),
        ("one given up", vec![canada.clone(), left_china], FREE, DENIED),
        ("stateless", vec![stateless.clone()], STATELESS, STATELESS),
        ("nothing said", vec![], UNSAID, UNSAID),
        ("stateless and a citizen", vec![stateless, canada], UNSAID, UNSAID),
    ];
    for (who, claims, ear, itar) in table {
        for (rule, expected) in [("ear", ear), ("itar", itar)] {
            let desk = claims.iter().cloned().fold(nationals_of(rule, "hold"), Desk::said);
            assert_eq!(desk.answer(), expected, "{who}, {rule}");
        }
    }
}

const DENIED: &str = "deny nationality_barred";
const FREE: &str = "permit DIR-2026-06-12.outside-scope";
const STATELESS: &str = "hold nationality_unattested [CounselRuling]";
const UNSAID: &str = "hold nationality_unattested [AttestNationality]";

#[test]
fn a_nationality_that_is_not_attested_is_denied_where_the_order_says_so() {
    assert_eq!(nationals_of("ear", "deny").answer(), "deny nationality_unattested");
    assert_eq!(nationals_of("itar", "deny").said(json!({"kind": "stateless"})).answer(), "deny nationality_unattested");
}

#[test]
fn a_us_person_is_asked_for_no_nationality() {
    let desk = nationals_of("itar", "deny").citizen().said(citizenship("CN", "1990-01-01", None));
    assert_eq!(desk.answer(), FREE);
}

#[test]
fn headquarters_are_those_of_the_tenants_ultimate_parent() {
    let seated = |country: Value| {
        let scope = json!({"deny": "headquarters", "headquartered_in": ["D:5"]});
        let desk = Desk::ordered(json!({"person_scope": {"deny": "none"}, "entity_scope": scope}));
        desk.organization("northgate-grid", "headquarters", country)
    };
    assert_eq!(seated(json!("CN")).answer(), "deny headquarters_barred");
    assert!(seated(json!("KR")).answer().starts_with("permit"));
    assert_eq!(seated(Value::Null).answer(), "hold ownership_undetermined [ResolveOwnership]");
    let alone = seated(json!("CN")).with("/credential/organization", Value::Null);
    assert!(alone.answer().starts_with("permit"), "{}", alone.answer());
}

#[test]
fn a_foreign_organization_is_barred_whoever_calls_under_its_tenant() {
    let desk = Desk::ordered(json!({})).citizen().works_for("hanbit-telecom");
    assert_eq!(desk.answer(), "deny foreign_organization_barred");
}

#[test]
fn an_order_reaches_what_was_derived_from_a_family_where_it_says_so() {
    let derived = |reached: bool| {
        let models = json!({"families": ["mythos-5"], "include_derivatives": reached});
        let mut desk = Desk::ordered(json!({"models": models}));
        let mut model = desk.document.models[2].clone();
        (model.id, model.family) = ("lark-tuned-1".parse().unwrap(), "lark-tuned".parse().unwrap());
        model.derived_from = Some("mythos-5".parse().unwrap());
        desk.document.models.push(model);
        desk.with("/model", json!("lark-tuned-1")).answer()
    };
    assert_eq!(derived(true), "deny foreign_person_barred");
    assert_eq!(derived(false), "permit base.no-license-required");
}

#[test]
fn evidence_must_be_as_good_and_as_fresh_as_the_order_asks() {
    let asked = |evidence: Value| Desk::ordered(json!({"evidence": evidence})).citizen().answer();
    assert!(asked(json!({"min_assurance": "ial2", "max_age_hours": 7})).starts_with("permit"));
    let held = "hold standing_unattested [AttestStanding]";
    assert_eq!(asked(json!({"min_assurance": "ial3", "max_age_hours": 7})), held);
    assert_eq!(asked(json!({"min_assurance": "ial2", "max_age_hours": 6})), held);
}

fn nationals_of(rule: &str, unknown: &str) -> Desk {
    let scope = json!({"deny": "nationals_of", "groups": ["D:5"], "rule": rule, "unknown": unknown});
    Desk::ordered(json!({"person_scope": scope}))
}

fn citizenship(country: &str, from: &str, until: Option<&str>) -> Value {
    let day = |day: &str| format!("{day}T00:00:00Z");
    json!({"kind": "citizenship", "country": country, "from": day(from), "until": until.map(day)})
}
