//! What can be changed about a case, under each law.

use std::{sync::Arc, time::Duration};

use policy::{CallerFacts, Directive, Facts, License, Status};
use serde_json::{Value, json};
use terms::{
    Affiliation, Assurance, Attestation, AttestationId, Claim, Control, Country, IssuerId, LocationMethod, ModelFamily,
    ModelVersion, ModelVersionId, Moment, Organization, OrganizationId, Person, PersonId, Screening,
};

use super::{Law, Situation, dice::Dice, names};
use crate::cases::Check;

const JUNE_12: &str = include_str!("../../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../../examples/annex-a.license.json");
/// The id of the directive that is added.
const SECOND: &str = "DIR-2026-06-20";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// One change to a case.
#[derive(Clone, Copy)]
pub(super) struct Change {
    /// What is changed, in words.
    pub(super) what: &'static str,
    /// Whether it changes anything about a check.
    pub(super) applies: fn(&Check) -> bool,
    /// Makes it; more than one step where the order of events is the point.
    pub(super) make: fn(&Situation, &mut Dice) -> anyhow::Result<Vec<Situation>>,
}

/// Returns what can be changed under a law.
pub(super) fn under(law: Law) -> &'static [Change] {
    match law {
        Law::ForbiddingFactsRefuse => FORBIDDING,
        Law::LessEvidencePermitsNothing => LESS,
        Law::WeakerEvidencePermitsNothing => WEAKER,
        Law::AnotherDirectivePermitsNothing => DIRECTIVES,
        Law::AnotherLicenseDeniesNothing => LICENSES,
        Law::StrangersChangeNothing => STRANGERS,
        Law::OrderChangesNothing => ORDER,
        Law::NamesChangeNothing => NAMES,
        Law::TimeAloneChangesNothing => TIME,
        Law::ALiftedStayLeavesNoTrace => STAYS,
    }
}

const FORBIDDING: &[Change] = &[
    Change { what: "the key is revoked", applies: always, make: |s, _| facts(s, |f| f.credential.revoked = true) },
    Change { what: "the key has expired", applies: always, make: |s, _| facts(s, |f| f.credential.expires_at = f.at) },
    Change { what: "the caller is inactive", applies: has_people, make: |s, _| facts(s, deactivate) },
    Change { what: "the people are blocked", applies: has_people, make: |s, _| screened(s, Screening::Blocked) },
    Change { what: "the people are denied", applies: is_exportable, make: |s, _| screened(s, Screening::DeniedPerson) },
    Change { what: "the people are listed", applies: is_exportable, make: |s, _| screened(s, Screening::EntityListed) },
    Change { what: "the tenant is blocked", applies: has_tenant, make: |s, _| facts(s, block_organizations) },
    Change { what: "somebody says they are in Iran", applies: has_people, make: |s, _| people_of(s, move_to_iran) },
];

const LESS: &[Change] = &[
    Change { what: "nobody says who they are", applies: has_people, make: |s, _| without(s, is_standing) },
    Change { what: "nobody says where they are", applies: has_people, make: |s, _| without(s, is_location) },
    Change { what: "nobody says anything about them", applies: has_people, make: |s, _| without(s, |_| true) },
    Change {
        what: "nobody says for whom they work",
        // What is wrong with an organization goes away with it: that is no evidence.
        applies: |c| {
            has_people(c) && !["ownership_undetermined", "screening_pending"].contains(&c.expected.reason.as_str())
        },
        make: |s, _| people_of(s, |person, _| person.affiliations.clear()),
    },
];

const WEAKER: &[Change] = &[
    Change { what: "all evidence is self-asserted", applies: has_people, make: |s, _| assured(s, Assurance::None) },
    Change { what: "all evidence is at IAL1", applies: has_people, make: |s, _| assured(s, Assurance::Ial1) },
    Change { what: "all evidence is 29 days older", applies: has_people, make: |s, _| people_of(s, age) },
];

const DIRECTIVES: &[Change] = &[
    Change { what: "a second directive like the first", applies: always, make: |s, _| directed(s, |_| {}) },
    Change {
        what: "a directive against all other countries",
        applies: always,
        make: |s, _| directed(s, |d| put(d, "destination_scope", json!({"deny": "all_foreign", "unsettled": true}))),
    },
    Change {
        what: "a directive that lets in citizens and nationals only",
        applies: always,
        make: |s, _| {
            let scope = json!({"deny": "foreign_person", "definition": "citizens_nationals_only", "unknown": "deny"});
            directed(s, |d| put(d, "person_scope", scope))
        },
    },
];

const LICENSES: &[Change] = &[
    Change { what: "a license for strangers", applies: always, make: |s, _| licensed(s, "meridian-mills", |_| {}) },
    Change { what: "a license for the tenant", applies: has_tenant, make: |s, _| tenant_licensed(s, |_| {}) },
    Change {
        what: "a license for the tenant that excludes group D:5",
        applies: has_tenant,
        make: |s, _| {
            let territory = json!({"exclude_groups": ["D:5", "E:1", "E:2"], "unsettled_groups": []});
            tenant_licensed(s, |license| put(license, "territory", territory))
        },
    },
    Change {
        what: "a license for the tenant on whose staff counsel has not ruled",
        applies: has_tenant,
        make: |s, _| tenant_licensed(s, |license| put(license, "beneficiaries", json!({"employee_scope": null}))),
    },
];

const STRANGERS: &[Change] = &[
    Change { what: "a listed organization nobody works for", applies: always, make: |s, _| facts(s, add_stranger) },
    Change { what: "a word about somebody else", applies: has_people, make: |s, _| people_of(s, misfile) },
    Change { what: "a word dated tomorrow", applies: has_people, make: |s, _| people_of(s, predate) },
    Change { what: "a word that has expired", applies: has_people, make: |s, _| people_of(s, outdate) },
    Change { what: "a former employer", applies: has_employers, make: |s, _| people_of(s, leave) },
    Change { what: "a model of another family", applies: always, make: |s, _| add_model(s) },
    Change { what: "a directive about another model", applies: always, make: |s, _| directed(s, other_family) },
    Change { what: "a directive that is announced", applies: always, make: |s, _| directed(s, pending) },
    Change {
        what: "a license that is applied for",
        applies: |c| has_directives(c) && has_tenant(c),
        make: |s, _| tenant_licensed(s, pending),
    },
    Change {
        what: "a directive about another model and a license from it",
        applies: has_tenant,
        make: |s, _| {
            let directed = directed(s, other_family)?;
            let licensed = directed.iter().map(|s| tenant_licensed(s, license_of_other_family));
            Ok(licensed.collect::<anyhow::Result<Vec<_>>>()?.concat())
        },
    },
];

const ORDER: &[Change] = &[
    Change { what: "what is known is in another order", applies: always, make: |s, dice| shuffled(s, dice) },
    Change {
        what: "what is in force is in another order",
        applies: always,
        make: |s, dice| shuffled_documents(s, dice),
    },
];

const NAMES: &[Change] =
    &[Change { what: "everything has another name", applies: always, make: |s, _| Ok(vec![names::rename(s)?]) }];

const TIME: &[Change] = &[
    Change { what: "all of it seven hours later", applies: always, make: |s, _| Ok(vec![names::later(s, 7 * HOUR)?]) },
    Change { what: "all of it a day later", applies: always, make: |s, _| Ok(vec![names::later(s, DAY)?]) },
];

const STAYS: &[Change] = &[
    Change { what: "every directive stayed, then in force again", applies: always, make: |s, _| Ok(stayed(s)) },
    Change { what: "every license stayed, then in force again", applies: has_licenses, make: |s, _| Ok(suspended(s)) },
];

/// Goes through the people behind a call.
pub(super) fn people(caller: &CallerFacts) -> impl Iterator<Item = &Person> {
    let (one, owners, recipients) = match caller {
        CallerFacts::Person { person } => (Some(person), &[][..], &[][..]),
        CallerFacts::Workload { owners, recipients, .. } => (None, owners.as_slice(), recipients.as_slice()),
        CallerFacts::Unbound => (None, &[][..], &[][..]),
    };
    one.into_iter().chain(owners).chain(recipients).map(AsRef::as_ref)
}

fn always(_: &Check) -> bool {
    true
}

fn has_people(check: &Check) -> bool {
    people(&check.facts.caller).next().is_some()
}

/// Tells whether the regulations reach the model: a published one is not subject to them, whoever asks for it.
fn is_exportable(check: &Check) -> bool {
    let models = check.document.models.iter();
    let published = |model: &ModelVersion| model.control == Control::Published && model.id == check.facts.model;
    has_people(check) && !models.into_iter().any(published)
}

fn has_employers(check: &Check) -> bool {
    has_people(check) && people(&check.facts.caller).all(|person| !person.affiliations.is_empty())
}

fn has_tenant(check: &Check) -> bool {
    check.facts.credential.organization.is_some()
}

fn has_directives(check: &Check) -> bool {
    !check.document.directives.is_empty()
}

fn has_licenses(check: &Check) -> bool {
    !check.document.licenses.is_empty()
}

fn facts(before: &Situation, change: impl FnOnce(&mut Facts)) -> anyhow::Result<Vec<Situation>> {
    let mut after = before.clone();
    change(&mut after.facts);
    Ok(vec![after])
}

fn people_of(before: &Situation, change: fn(&mut Person, Moment)) -> anyhow::Result<Vec<Situation>> {
    facts(before, |facts| {
        let at = facts.at;
        each_person(&mut facts.caller, |person| change(person, at));
    })
}

fn each_person(caller: &mut CallerFacts, mut change: impl FnMut(&mut Person)) {
    match caller {
        CallerFacts::Person { person } => change(Arc::make_mut(person)),
        CallerFacts::Workload { owners, recipients, .. } => {
            owners.iter_mut().chain(recipients).for_each(|person| change(Arc::make_mut(person)));
        }
        CallerFacts::Unbound => {}
    }
}

fn deactivate(facts: &mut Facts) {
    match &mut facts.caller {
        CallerFacts::Person { person } => Arc::make_mut(person).active = false,
        CallerFacts::Workload { workload, .. } => Arc::make_mut(workload).active = false,
        CallerFacts::Unbound => {}
    }
}

fn screened(before: &Situation, screening: Screening) -> anyhow::Result<Vec<Situation>> {
    facts(before, |facts| each_person(&mut facts.caller, |person| person.screening = screening))
}

fn block_organizations(facts: &mut Facts) {
    for organization in &mut facts.organizations {
        Arc::make_mut(organization).screening = Screening::Blocked;
    }
}

fn move_to_iran(person: &mut Person, at: Moment) {
    let claim = Country::parse("IR").map(|country| Claim::Location { country, method: LocationMethod::Network });
    person.attestations.extend(claim.ok().and_then(|claim| word(person, "iran", claim, earlier(at, HOUR), 30 * DAY)));
}

fn without(before: &Situation, question: fn(&Claim) -> bool) -> anyhow::Result<Vec<Situation>> {
    facts(before, |facts| {
        each_person(&mut facts.caller, |person| person.attestations.retain(|word| !question(&word.claim)));
    })
}

fn is_standing(claim: &Claim) -> bool {
    matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson)
}

fn is_location(claim: &Claim) -> bool {
    matches!(claim, Claim::Location { .. })
}

fn assured(before: &Situation, assurance: Assurance) -> anyhow::Result<Vec<Situation>> {
    let weaken = |word: &mut Attestation| word.assurance = word.assurance.min(assurance);
    facts(before, |facts| each_person(&mut facts.caller, |person| person.attestations.iter_mut().for_each(weaken)))
}

/// Every word is as much older; it has not expired by itself.
fn age(person: &mut Person, at: Moment) {
    for word in person.attestations.iter_mut().filter(|word| word.issued_at <= at) {
        word.issued_at = earlier(word.issued_at, 29 * DAY);
    }
}

fn add_stranger(facts: &mut Facts) {
    let id = OrganizationId::parse("yarrow-holdings").ok();
    facts.organizations.extend(
        id.zip(facts.organizations.first().cloned()).map(|(id, like)| {
            Arc::new(Organization { id, screening: Screening::EntityListed, ..like.as_ref().clone() })
        }),
    );
}

fn misfile(person: &mut Person, at: Moment) {
    let other = PersonId::parse("somebody-else").ok();
    let word = word(person, "misfiled", Claim::ForeignPerson, earlier(at, HOUR), 30 * DAY);
    person.attestations.extend(word.zip(other).map(|(word, person)| Attestation { person, ..word }));
}

fn predate(person: &mut Person, at: Moment) {
    person.attestations.extend(word(person, "ahead", Claim::ForeignPerson, at.plus(DAY), 30 * DAY));
}

fn outdate(person: &mut Person, at: Moment) {
    person.attestations.extend(word(person, "expired", Claim::ForeignPerson, earlier(at, 60 * DAY), 30 * DAY));
}

fn leave(person: &mut Person, at: Moment) {
    let organization = OrganizationId::parse("northgate-grid").ok();
    let former = organization.zip(person.affiliations.first().cloned()).and_then(|(organization, like)| {
        let (attested_at, ends_at, id) = (earlier(at, 60 * DAY), earlier(at, DAY), "former".parse().ok()?);
        Some(Affiliation { id, organization, attested_at, ends_at, ..like })
    });
    person.affiliations.extend(former);
}

/// Makes a word of an issuer of whom nothing else is known.
fn word(person: &Person, id: &str, claim: Claim, issued_at: Moment, good_for: Duration) -> Option<Attestation> {
    Some(Attestation {
        id: AttestationId::parse(&format!("{id}-{}", person.id)).ok()?,
        person: person.id.clone(),
        claim,
        issuer: IssuerId::parse("passer-by").ok()?,
        evidence: "note".to_owned(),
        assurance: Assurance::Ial2,
        issued_at,
        expires_at: issued_at.plus(good_for),
        supersedes: None,
        channel: None,
        fresh_until: None,
        means: None,
    })
}

fn earlier(at: Moment, by: Duration) -> Moment {
    Moment::from_millis(at.as_millis().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

fn add_model(before: &Situation) -> anyhow::Result<Vec<Situation>> {
    let mut after = before.clone();
    after.document.models.push(ModelVersion {
        id: ModelVersionId::parse("aster-1.0")?,
        family: ModelFamily::parse("aster-1")?,
        control: Control::Subject,
        clearance: terms::Clearance::Attested,
        certificate_required: true,
        derived_from: None,
    });
    Ok(vec![after])
}

/// Adds a directive like the one of June 12, edited.
fn directed(before: &Situation, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Vec<Situation>> {
    let mut json: Value = serde_json::from_str(JUNE_12)?;
    put(&mut json, "id", json!(SECOND));
    edit(&mut json);
    let mut after = before.clone();
    after.document.directives.push(Directive::parse(json.to_string().as_bytes())?);
    Ok(vec![after])
}

fn tenant_licensed(before: &Situation, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Vec<Situation>> {
    let tenant = before.facts.credential.organization.as_ref().map_or("", OrganizationId::as_str);
    licensed(before, tenant, edit)
}

/// Adds a license like Annex A for another grantee, edited.
fn licensed(before: &Situation, grantee: &str, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Vec<Situation>> {
    let mut json: Value = serde_json::from_str(ANNEX_A)?;
    put(&mut json, "id", json!("LTR-2026-06-27"));
    put(&mut json, "grantees", json!({"organizations": [grantee], "own_staff": false}));
    put(&mut json, "beneficiaries", json!({"employee_scope": "employees_contractors_interns"}));
    edit(&mut json);
    let mut after = before.clone();
    after.document.licenses.push(License::parse(json.to_string().as_bytes())?);
    Ok(vec![after])
}

fn other_family(json: &mut Value) {
    put(json, "models", json!({"families": ["aster-1"]}));
}

fn license_of_other_family(json: &mut Value) {
    other_family(json);
    put(json, "under", json!([SECOND]));
}

fn pending(json: &mut Value) {
    put(json, "status", json!("pending"));
}

fn put(json: &mut Value, field: &str, value: Value) {
    if let Some(fields) = json.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn shuffled(before: &Situation, dice: &mut Dice) -> anyhow::Result<Vec<Situation>> {
    facts(before, |facts| {
        dice.shuffle(&mut facts.organizations);
        each_person(&mut facts.caller, |person| {
            dice.shuffle(&mut person.attestations);
            dice.shuffle(&mut person.affiliations);
        });
        if let CallerFacts::Workload { workload, owners, recipients } = &mut facts.caller {
            let workload = Arc::make_mut(workload);
            dice.shuffle(&mut workload.owners);
            dice.shuffle(&mut workload.recipients);
            dice.shuffle(owners);
            dice.shuffle(recipients);
        }
    })
}

fn shuffled_documents(before: &Situation, dice: &mut Dice) -> anyhow::Result<Vec<Situation>> {
    let mut after = before.clone();
    dice.shuffle(&mut after.document.models);
    dice.shuffle(&mut after.document.directives);
    dice.shuffle(&mut after.document.licenses);
    Ok(vec![after])
}

/// Stays every directive and lifts the stay: what is decided meanwhile, and then.
fn stayed(before: &Situation) -> Vec<Situation> {
    let with = |before: &Situation, status| {
        let mut after = before.clone();
        let at = after.facts.at;
        after.document.directives.iter_mut().for_each(|directive| *directive = directive.with_status(status, at));
        after
    };
    let meanwhile = with(before, Status::Stayed);
    let then = with(&meanwhile, Status::InForce);
    vec![meanwhile, then]
}

/// Stays every license that is in force and lifts the stay.
fn suspended(before: &Situation) -> Vec<Situation> {
    let with = |before: &Situation, from, to| {
        let mut after = before.clone();
        let at = after.facts.at;
        let licenses = after.document.licenses.iter_mut().filter(|license| license.status() == from);
        licenses.for_each(|license| *license = license.with_status(to, at));
        after
    };
    let meanwhile = with(before, Status::InForce, Status::Stayed);
    let then = with(&meanwhile, Status::Stayed, Status::InForce);
    vec![meanwhile, then]
}
