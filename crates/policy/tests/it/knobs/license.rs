//! Whom a license covers, and on what conditions.

use serde_json::{Value, json};

use super::{Desk, edited, order};

const COVERED: &str = "permit LTR-2026-06-26.grantees";
const BARRED: &str = "deny foreign_person_barred";
const UNMET: &str = "deny license_condition_unmet";

#[test]
fn a_license_covers_the_capacities_that_it_names_and_holds_where_it_is_open() {
    let open = "hold license_condition_unmet [CounselRuling]";
    let table = [
        (Value::Null, [COVERED, open, open, open]),
        (json!("direct"), [COVERED, UNMET, UNMET, UNMET]),
        (json!("regular_120_64"), [COVERED, COVERED, UNMET, UNMET]),
        (json!("employees_contractors_interns"), [COVERED; 4]),
    ];
    for (scope, answers) in table {
        let capacities = ["employee", "regular_employee", "contractor", "intern"];
        for (capacity, expected) in capacities.into_iter().zip(answers) {
            let desk = Desk::licensed(json!({"beneficiaries": {"employee_scope": scope}}));
            let desk = desk.with("/caller/person/affiliations/0/engagement", json!(capacity));
            assert_eq!(desk.answer(), expected, "{scope} {capacity}");
        }
    }
}

#[test]
fn a_license_reaches_as_far_beyond_the_named_as_its_scope_and_the_ties_say() {
    let table = [
        ("named", [BARRED, BARRED, BARRED]),
        ("branches", [COVERED, BARRED, BARRED]),
        ("wholly_owned", [COVERED, COVERED, BARRED]),
        ("majority_owned", [COVERED, COVERED, COVERED]),
    ];
    for (scope, answers) in table {
        for (tie, expected) in ["branch", "wholly_owned", "majority_owned"].into_iter().zip(answers) {
            let ties = json!([{"to": "northgate-grid", "kind": tie}]);
            let desk = Desk::licensed(json!({"entity_scope": scope})).works_for("northgate-metering");
            let desk = desk.organization("northgate-metering", "ties", ties);
            assert_eq!(desk.answer(), expected, "{scope} {tie}");
        }
        let untied = Desk::licensed(json!({"entity_scope": scope})).works_for("northgate-metering");
        assert_eq!(untied.answer(), BARRED, "{scope}");
        assert_eq!(Desk::licensed(json!({"entity_scope": scope})).answer(), COVERED, "{scope}");
    }
}

#[test]
fn evidence_of_employment_that_is_too_old_holds() {
    let evidence = json!({"min_assurance": "ial2", "max_age_hours": 24, "employment_max_age_minutes": 60});
    let desk = Desk::ordered(json!({"evidence": evidence})).under(edited(super::ANNEX, json!({})));
    let early = desk.clone().at("14:59:59.999");
    assert_eq!((early.answer(), early.until()), (COVERED.to_owned(), "2026-06-29T15:00:00Z".to_owned()));
    assert_eq!(desk.at("15:00:00").answer(), "hold license_condition_unmet [AttestEmployment]");
}

#[test]
fn a_license_that_binds_the_tenant_is_good_under_the_grantees_tenant_only() {
    let elsewhere = |binding: bool| {
        let desk = Desk::licensed(json!({"tenant_binding": binding}));
        desk.with("/credential/organization", json!("harbor-tools")).answer()
    };
    assert_eq!(elsewhere(true), BARRED);
    assert_eq!(elsewhere(false), COVERED);
}

#[test]
fn a_license_leaves_out_nationals_of_the_groups_that_it_excludes() {
    let nationals = |rule: &str, claims: &[(&str, &str)]| {
        let desk = Desk::licensed(json!({"nationality_exclude": {"groups": ["D:5"], "rule": rule}}));
        let claim = |(country, from): &(&str, &str)| json!({"kind": "citizenship", "country": country, "from": format!("{from}T00:00:00Z"), "until": null});
        claims.iter().map(claim).fold(desk, Desk::said).answer()
    };
    assert_eq!(nationals("ear", &[("CN", "1990-01-01")]), BARRED);
    assert_eq!(nationals("ear", &[("CN", "1990-01-01"), ("CA", "2019-05-01")]), COVERED);
    assert_eq!(nationals("itar", &[("CN", "1990-01-01"), ("CA", "2019-05-01")]), BARRED);
    assert_eq!(nationals("ear", &[]), "hold nationality_unattested [AttestNationality]");
}

#[test]
fn a_license_for_an_end_use_is_good_for_keys_that_were_made_for_it() {
    let desk = Desk::licensed(json!({"end_uses": ["cyber_defense"]}));
    assert_eq!(desk.answer(), "hold license_condition_unmet [DeclareEndUse]");
    let declared = |end_use: &str| {
        let mut desk = desk.clone();
        desk.facts["credential"]["end_use"] = json!(end_use);
        desk.answer()
    };
    assert_eq!(declared("cyber_defense"), COVERED);
    assert_eq!(declared("marketing"), UNMET);
    let any = Desk::licensed(json!({}));
    assert_eq!(any.answer(), COVERED, "a license that names none is good for any");
}

#[test]
fn a_cap_permits_below_it_and_refuses_at_it_until_the_period_ends() {
    let periods = [
        ("day", "2026-06-30T00:00:00Z"),
        ("month", "2026-07-01T00:00:00Z"),
        ("year", "2027-01-01T00:00:00Z"),
        ("total", "2027-06-01T00:00:00Z"),
    ];
    for (per, end) in periods {
        let used =
            |tokens: u64| capped(per).with("/consumed", json!([{"instrument": ID, "per": per, "tokens": tokens}]));
        assert_eq!((used(999).answer(), used(999).until()), (COVERED.to_owned(), end.to_owned()), "{per}");
        assert_eq!((used(1000).answer(), used(1000).until()), (UNMET.to_owned(), end.to_owned()), "{per}");
    }
}

#[test]
fn what_is_not_counted_or_counted_for_another_period_counts_as_used_up() {
    assert_eq!(capped("day").answer(), UNMET);
    let other = capped("day").with("/consumed", json!([{"instrument": ID, "per": "month", "tokens": 0}]));
    assert_eq!(other.answer(), UNMET);
}

#[test]
fn of_two_caps_each_must_leave_room() {
    let caps = json!({"token_caps": [{"tokens": 10, "per": "day"}, {"tokens": 100, "per": "month"}]});
    let used = |day: u64, month: u64| {
        let count = |per: &str, tokens: u64| json!({"instrument": ID, "per": per, "tokens": tokens});
        let desk = Desk::licensed(json!({"conditions": caps}));
        desk.with("/consumed", json!([count("day", day), count("month", month)])).answer()
    };
    assert_eq!([used(9, 99), used(10, 99), used(9, 100)], [COVERED, UNMET, UNMET]);
}

#[test]
fn a_license_is_good_where_its_territory_says() {
    let place = |country: &str| {
        let claim = json!({"kind": "location", "country": country, "method": "managed"});
        Desk::licensed(json!({})).with("/caller/person/attestations/1/claim", claim).answer()
    };
    assert_eq!(place("DE"), COVERED);
    assert_eq!(place("CN"), "hold license_condition_unmet [CounselRuling]");
    let narrower = json!({"territory": {"exclude_groups": ["D:5"], "unsettled_groups": []}});
    let claim = json!({"kind": "location", "country": "CN", "method": "managed"});
    let excluded = Desk::licensed(narrower).with("/caller/person/attestations/1/claim", claim);
    assert_eq!(excluded.answer(), UNMET);
}

#[test]
fn a_license_waives_the_orders_it_names_and_no_other() {
    let second = order(1, json!({"id": "DIR-2"}));
    let desk = Desk::licensed(json!({})).and(second);
    assert_eq!(desk.answer(), BARRED);
    let both = Desk::ordered(json!({})).and(order(1, json!({"id": "DIR-2"})));
    let both = both.under(edited(super::ANNEX, json!({"under": ["DIR-2026-06-12", "DIR-2"]})));
    assert_eq!(both.answer(), COVERED);
}

#[test]
fn what_a_license_and_its_order_demand_is_demanded_together() {
    let desk = Desk::ordered(json!({"obligations": ["strip_logprobs", {"max_output_tokens": 50}]}));
    let desk = desk.under(edited(super::ANNEX, json!({"obligations": ["strip_reasoning", {"max_output_tokens": 90}]})));
    let policy::Determination::Permit(permit) = desk.decide() else {
        panic!("refused");
    };
    let demanded = [
        policy::Obligation::StripLogprobs,
        policy::Obligation::StripReasoning,
        policy::Obligation::MaxOutputTokens(50),
    ];
    assert_eq!(permit.obligations(), demanded);
}

const ID: &str = "LTR-2026-06-26";

/// Caps the license, and lets nothing else end before June 2027.
fn capped(per: &str) -> Desk {
    let evidence = json!({"min_assurance": "ial2", "max_age_hours": 8784});
    let desk = Desk::ordered(json!({"evidence": evidence}));
    let desk = desk.under(edited(super::ANNEX, json!({"conditions": {"token_caps": [{"tokens": 1000, "per": per}]}})));
    let end = json!("2027-06-01T00:00:00Z");
    let ends = [
        "/credential/expires_at",
        "/caller/person/attestations/0/expires_at",
        "/caller/person/attestations/1/expires_at",
        "/caller/person/affiliations/0/ends_at",
    ];
    let mut desk = ends.into_iter().fold(desk, |desk, place| desk.with(place, end.clone()));
    // A regime changes in November 2026.
    desk.document.regimes.clear();
    desk
}
