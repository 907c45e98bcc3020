//! Documents that do not parse, and instruments that do not compile together.

use policy::{CountryGroups, Directive, InstrumentFault, License, Regime};
use serde_json::{Value, json};

use super::{ANNEX, Desk, ORDER, edited, order};

const REGIME: &str = include_str!("../../../data/us-base.regime.json");
const GROUPS: &str = include_str!("../../../data/country-groups.json");

#[test]
fn what_an_order_cannot_mean_is_refused_with_its_place_and_the_reason() {
    let faults = [
        (json!({"supersedes": "DIR-2026-06-12"}), "supersedes", "itself"),
        (json!({"comply_by": "2026-06-12T22:50:00Z"}), "comply_by", "before it would be enforced"),
        (json!({"comply_by": "2026-06-12T21:00:00Z"}), "comply_by", "before"),
        (json!({"grace_minutes": 44_641}), "grace_minutes", "more than 31 days"),
        (json!({"grace_minutes": 1}), "comply_by", "shorten grace_minutes"),
        (json!({"actions": ["export"]}), "actions", "deemed_export"),
        (json!({"id": "x".repeat(45)}), "id", "longer than 44"),
        (json!({"addressee": "two\nlines"}), "addressee", "on one line"),
        (json!({"type": "directive/v2"}), "type", "this release reads `directive/v1`"),
        (json!({"effective_at": "2026-02-30T00:00:00Z"}), "", "`2026-02-30T00:00:00Z` is not a time"),
        (json!({"effective_at": "2026-06-12T25:00:00Z"}), "", "is not a time"),
        (json!({"effective_at": "1969-06-12T00:00:00Z"}), "", "is not a time"),
        (json!({"grace_period": 5}), "grace_period", "unknown field `grace_period`"),
        (json!({"effect": "forbid"}), "effect", "unknown variant `forbid`"),
        (json!({"person_scope": {"deny": "everyone", "but": "me"}}), "person_scope", "unknown field `but`"),
        (
            json!({"evidence": {"min_assurance": "ial2", "max_age_hours": 24, "employment_max_age_minutes": 0}}),
            "evidence.employment_max_age_minutes",
            "write 1 to 527040",
        ),
        (
            json!({"reporting": [{"what": "x", "to": "y", "within_hours": 0}]}),
            "reporting[0].within_hours",
            "at least 1",
        ),
    ];
    for (change, at, why) in faults {
        let fault = directive(&edited(ORDER, change.clone())).unwrap_err();
        assert!(fault.at.starts_with(at) && fault.why.contains(why), "{change}: {fault}");
        assert!(fault.line.is_some_and(|line| line > 1), "{fault}");
    }
}

#[test]
fn what_a_license_cannot_do_is_refused_with_its_place_and_the_reason() {
    let faults = [
        (json!({"never_waives": ["ofac"]}), "never_waives", "shorter than what no license waives"),
        (json!({"under": ["DIR-2026-06-12", "OFAC"]}), "under", "waives `OFAC`, which no license of this kind may"),
        (json!({"under": ["base.blocked-party"]}), "under", "waives `base.blocked-party`"),
        (json!({"under": ["ENTITY_LIST"]}), "under", "waives `ENTITY_LIST`"),
        (json!({"recordkeeping_years": 4}), "recordkeeping_years", "15 CFR 762.6"),
        (json!({"type": "license/v9"}), "type", "this release reads `license/v1`"),
        (json!({"nationality_exclude": {"groups": [], "rule": "ear"}}), "nationality_exclude.groups", "name a group"),
        (json!({"conditions": {"token_caps": [{"tokens": 0, "per": "day"}]}}), "conditions.token_caps[0].tokens", "0"),
        (
            json!({"conditions": {"token_caps": [{"tokens": 1, "per": "day"}, {"tokens": 2, "per": "day"}]}}),
            "conditions.token_caps",
            "two caps for the same period",
        ),
    ];
    for (change, at, why) in faults {
        let json = serde_json::to_vec_pretty(&edited(ANNEX, change.clone())).unwrap();
        let fault = License::parse(&json).unwrap_err();
        assert!(fault.at.starts_with(at) && fault.why.contains(why), "{change}: {fault}");
    }
}

#[test]
fn a_fault_names_the_line_on_which_its_place_stands() {
    let text = ORDER.replacen("\"max_age_hours\": 24", "\"max_age_hours\": 0", 1);
    let line = 1 + text.split("\"max_age_hours\"").next().unwrap().matches('\n').count();
    let fault = Directive::parse(text.as_bytes()).unwrap_err();
    assert_eq!(fault.to_string(), format!("line {line}, evidence.max_age_hours: write 1 to 8784"));
}

#[test]
fn every_fault_of_a_document_is_named_at_once() {
    let wrong = edited(ORDER, json!({"version": 0, "authority": [], "expires_at": "2026-06-12T00:00:00Z"}));
    let fault = directive(&wrong).unwrap_err();
    let places: Vec<String> = fault.each().map(|one| one.at).collect();
    assert_eq!(places, ["version", "authority", "expires_at"]);
    assert_eq!(fault.to_string().matches("line ").count(), 3, "{fault}");
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    let twice = [
        ("\"version\": 1,", "\"version\": 1, \"version\": 2,", "version"),
        ("\"unknown\": \"hold\"", "\"unknown\": \"hold\", \"unkn\\u006fwn\": \"deny\"", "person_scope.unknown"),
        (
            "\"min_assurance\": \"ial2\"",
            "\"min_assurance\": \"ial3\", \"min_assurance\": \"ial2\"",
            "evidence.min_assurance",
        ),
    ];
    for (once, again, at) in twice {
        let fault = Directive::parse(ORDER.replacen(once, again, 1).as_bytes()).unwrap_err();
        assert_eq!((fault.at.as_str(), fault.why.as_str()), (at, "there twice: keep one"), "{fault}");
    }
    let fault = CountryGroups::parse(GROUPS.replacen("\"E:2\":", "\"E:2\": [], \"E:2\":", 1).as_bytes()).unwrap_err();
    assert_eq!((fault.at.as_str(), fault.why.as_str()), ("E:2", "there twice: keep one"));
}

#[test]
fn a_table_or_a_regime_of_another_format_or_of_no_day_is_refused() {
    let fault = CountryGroups::parse(edited(GROUPS, json!({"version": 2})).to_string().as_bytes()).unwrap_err();
    assert_eq!(fault.to_string(), "line 1, version: this release reads version 1, the table has 2");
    for day in ["2026-02-30", "2026-2-3", "yesterday"] {
        let table = edited(GROUPS, json!({"as_of": day})).to_string();
        assert_eq!(CountryGroups::parse(table.as_bytes()).unwrap_err().at, "as_of");
        let regime = edited(REGIME, json!({"as_of": day})).to_string();
        assert_eq!(Regime::parse(regime.as_bytes()).unwrap_err().at, "as_of");
    }
    let fault = Regime::parse(edited(REGIME, json!({"type": "regime/v2"})).to_string().as_bytes()).unwrap_err();
    assert!(fault.why.contains("this release reads `regime/v1`"), "{fault}");
}

#[test]
fn a_country_group_that_the_table_does_not_have_is_refused_by_its_name() {
    let order = Desk::ordered(json!({"destination_scope": {"deny": "groups", "groups": ["F:9"], "unsettled": false}}));
    assert!(order.faults().contains("names country group `F:9`"), "{}", order.faults());
    let seat = Desk::ordered(json!({"entity_scope": {"deny": "headquarters", "headquartered_in": ["F:8"]}}));
    assert!(seat.faults().contains("names country group `F:8`"), "{}", seat.faults());
    let license = Desk::licensed(json!({"nationality_exclude": {"groups": ["F:7"], "rule": "ear"}}));
    assert!(license.faults().contains("names country group `F:7`"), "{}", license.faults());
}

#[test]
fn a_license_that_names_no_family_of_its_order_does_not_compile() {
    let desk = Desk::licensed(json!({"models": {"families": ["other-1"]}}));
    assert!(desk.faults().contains("names none of its model families"), "{}", desk.faults());
}

#[test]
fn an_id_is_a_directives_or_a_licenses_and_a_version_is_there_once() {
    let both = Desk::ordered(json!({})).under(edited(ANNEX, json!({"id": "DIR-2026-06-12"})));
    assert!(both.faults().contains("is a directive and a license: rename one"), "{}", both.faults());
    let twice = Desk::ordered(json!({})).and(order(1, json!({"status": "lifted"})));
    assert!(twice.faults().contains("DIR-2026-06-12 version 1: there twice"), "{}", twice.faults());
}

#[test]
fn a_regime_that_dates_a_provision_nobody_knows_does_not_compile() {
    let text = REGIME.replace("base.entity-ownership", "base.entity-ownershop");
    let mut desk = Desk::empty();
    desk.document.regimes = vec![Regime::parse(text.as_bytes()).unwrap()];
    let faults = desk.faults();
    assert!(
        faults.starts_with("base.entity-ownershop: a regime gives it dates, and no base rule has this id"),
        "{faults}"
    );
}

fn directive(json: &Value) -> Result<Directive, InstrumentFault> {
    Directive::parse(&serde_json::to_vec_pretty(json).unwrap())
}
