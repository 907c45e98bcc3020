//! Asking instrument by instrument gives what asking all rules at once gives; and the explanation fits the ruling.

use cedar_policy::{Context, Decision, PolicySet, Request};
use proptest::{collection::vec, option, prelude::*, sample::select};
use terms::{Country, EndUse, Engagement, Standing, UsPersonLimb};

use super::{Release, Role, Rules, Ruling};
use crate::{CountryGroups, Directive, License, SnapshotDocument, caller::Headquarters, nationality::Nationality, why};

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn asking_in_parts_gives_the_same_as_asking_everything_at_once(asked in questions(), reading in 0_usize..READINGS) {
        let document = document(reading);
        let rules = Rules::compile(&document).unwrap();
        let gate = gate(&rules);
        let whole = ask_whole(&rules, &asked);
        let parts = ask_parts(&rules, &asked);
        prop_assert_eq!(parts, whole);
        let silent = matches!(rules.release(gate, &asked).unwrap(), Ruling::Silent);
        let directive = &document.directives[0];
        let explained = !why::own_terms(directive, &asked, &document.country_groups).is_empty();
        prop_assert!(asked.resells || silent == explained, "the explanation of the directive");
        if !asked.roles.is_empty() {
            let license = &document.licenses[0];
            let spent = license.token_caps().next().is_some() && !asked.spent.is_empty();
            let findings = why::license_terms(license, &asked.roles, false, &asked, &document.country_groups, spent);
            let permits = matches!(rules.licensed(gate, 0, &asked).unwrap(), Ruling::Permit(_));
            prop_assert_eq!(findings.unwrap().is_empty(), permits, "the explanation of the license");
        }
    }

    #[test]
    fn an_answer_is_the_same_whatever_was_asked_before(asked in questions(), other in questions(), reading in 0_usize..READINGS) {
        let rules = Rules::compile(&document(reading)).unwrap();
        let gate = gate(&rules);
        // Questions that differ in one thing each from the first, which is asked again in between.
        for asked in varied(&asked, &other).iter().flat_map(|varied| [&asked, varied]) {
            let own = rules.release(gate, asked).unwrap();
            prop_assert_eq!(format!("{own:?}"), asked_anew(&rules, &gate.rules, asked));
            let licensed = rules.licensed(gate, 0, asked).unwrap();
            prop_assert_eq!(format!("{licensed:?}"), asked_anew(&rules, &rules.licenses[0].rules, asked));
        }
    }
}

/// Returns `asked` with each thing in turn as it is in `other`.
fn varied(asked: &Release, other: &Release) -> [Release; 10] {
    let (asked, other) = (|| asked.clone(), || other.clone());
    [
        Release { standing: other().standing, ..asked() },
        Release { location: other().location, ..asked() },
        Release { foreign_organization: other().foreign_organization, ..asked() },
        Release { resells: other().resells, ..asked() },
        Release { roles: other().roles, ..asked() },
        Release { spent: other().spent, ..asked() },
        Release { end_use: other().end_use, ..asked() },
        Release { headquarters: other().headquarters, ..asked() },
        Release { ear: other().ear, ..asked() },
        Release { itar: other().itar, ..asked() },
    ]
}

/// Asks Cedar itself, with nothing kept.
fn asked_anew(rules: &Rules, policies: &PolicySet, asked: &Release) -> String {
    let (action, context) = (rules.words.release.clone(), rules.release_context(asked));
    format!("{:?}", rules.ask(action, &gate(rules).uid, context, policies).unwrap())
}

const READINGS: usize = 7;

fn document(reading: usize) -> SnapshotDocument {
    let (mut directive, mut license) = (json(JUNE_12), json(ANNEX_A));
    match reading {
        1 => directive["destination_scope"] = serde_json::json!({"deny": "all_foreign", "unsettled": true}),
        2 => directive["person_scope"]["definition"] = "citizens_nationals_only".into(),
        3 => {
            license["conditions"]["token_caps"] = serde_json::json!([{"tokens": 10, "per": "month"}]);
            license["beneficiaries"]["employee_scope"] = "regular_120_64".into();
            let groups = serde_json::json!({"deny": "groups", "groups": ["D:5"], "unsettled": false});
            directive["destination_scope"] = groups;
        }
        4 => {
            directive["entity_scope"] = serde_json::json!({"deny": "headquarters", "headquartered_in": ["D:5", "A:6"]});
            license["end_uses"] = serde_json::json!(["cyber_defence", "grid"]);
            license["nationality_exclude"] = serde_json::json!({"groups": ["D:5"], "rule": "itar"});
        }
        5 => {
            directive["person_scope"] =
                serde_json::json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "ear", "unknown": "hold"});
        }
        6 => directive["person_scope"] = serde_json::json!({"deny": "everyone"}),
        _ => {}
    }
    let model = serde_json::json!({
        "id": "mythos-5.0", "family": "mythos-5", "control": "subject", "clearance": "open",
    });
    SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: terms::OrganizationId::parse("larkspur-labs").ok(),
        country_groups: CountryGroups::bundled(),
        regimes: Vec::new(),
        models: vec![serde_json::from_value(model).unwrap()],
        aliases: Vec::new(),
        directives: vec![Directive::parse(directive.to_string().as_bytes()).unwrap()],
        licenses: vec![License::parse(license.to_string().as_bytes()).unwrap()],
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn questions() -> impl Strategy<Value = Release> {
    let standing = select(vec![
        Standing::UsPerson(UsPersonLimb::Citizen),
        Standing::UsPerson(UsPersonLimb::Refugee),
        Standing::ForeignPerson,
        Standing::Unattested,
    ]);
    let country = select(vec!["US", "PR", "DE", "CN", "IR"]).prop_map(|code| Country::parse(code).unwrap());
    let resells = prop::bool::weighted(0.1);
    let spent = select(vec![vec![], vec![0]]);
    let countries = (option::of(country.clone()), any::<[bool; 2]>(), option::of(country.clone()));
    let end_use = option::of(select(vec!["cyber_defence", "marketing"]));
    (standing, option::of(country), any::<bool>(), resells, vec(roles(), 0..3), spent, countries, end_use).prop_map(
        |(standing, location, foreign_organization, resells, roles, spent, (seat, [none, stateless], of), end_use)| {
            Release {
                end_use: end_use.map(|end_use| EndUse::parse(end_use).unwrap()),
                headquarters: match seat {
                    _ if none => Headquarters::Nobody,
                    Some(country) => Headquarters::In(country),
                    None => Headquarters::Unknown,
                },
                ear: nationality(of, stateless),
                itar: nationality(of, false),
                standing,
                location,
                foreign_organization,
                resells,
                roles,
                spent,
            }
        },
    )
}

fn nationality(of: Option<Country>, stateless: bool) -> Nationality {
    match of {
        Some(country) => Nationality::Of([country, Country::parse("CA").unwrap()].into()),
        None if stateless => Nationality::Stateless,
        None => Nationality::Unknown,
    }
}

fn roles() -> impl Strategy<Value = Role> {
    let capacities = [Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor];
    let role = |(own_staff, engagement)| Role { license: 0, own_staff, engagement };
    (any::<bool>(), select(capacities.to_vec())).prop_map(role)
}

fn gate(rules: &Rules) -> &super::Gate {
    let model = rules.models.values().next().unwrap();
    model.gates.first().unwrap()
}

/// Asks all policies of the snapshot in one set, as a reader of its text would.
fn ask_whole(rules: &Rules, asked: &Release) -> Decision {
    let all: PolicySet = rules.text().parse().unwrap();
    let context = Context::from_pairs(rules.release_context(asked)).unwrap();
    let (caller, action) = (rules.words.caller.clone(), rules.words.release.clone());
    let request = Request::new(caller, action, gate(rules).uid.clone(), context, None).unwrap();
    let response = rules.authorizer.is_authorized(&request, &all, &rules.entities);
    assert_eq!(response.diagnostics().errors().count(), 0);
    response.decision()
}

/// Asks as a decision does.
fn ask_parts(rules: &Rules, asked: &Release) -> Decision {
    let permitted = match rules.release(gate(rules), asked).unwrap() {
        Ruling::Permit(_) => true,
        Ruling::Forbid(_) => false,
        Ruling::Silent => matches!(rules.licensed(gate(rules), 0, asked).unwrap(), Ruling::Permit(_)),
    };
    if permitted { Decision::Allow } else { Decision::Deny }
}
