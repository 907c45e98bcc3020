//! Makes a change of the menu: in the facts of a call, or in the snapshot.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Country, Coverage, Engagement,
    InstrumentId, IssuerId, LocationMethod, Moment, Organization, OrganizationId, OrganizationKind, Person, PersonId,
    Screening, Workload,
};

use super::{menu::Step, scene::STANDINGS};
use crate::{CallerFacts, Directive, Facts, License, SnapshotDocument, Status};

/// Names what a change adds; nothing in a registry has this id, since a registry makes its own.
const WHAT_IF: &str = "what-if";

impl Step {
    /// Returns true if the change is one of the snapshot and not of the facts.
    pub(super) fn is_of_document(&self) -> bool {
        matches!(
            self,
            Self::RuleOnEmployees { .. }
                | Self::RuleOnTerritory { .. }
                | Self::RuleOnDestination { .. }
                | Self::License { .. }
                | Self::Stay { .. }
                | Self::RevokeLicense { .. }
                | Self::NarrowDefinition { .. }
                | Self::BarDestinations { .. }
                | Self::BarEverybody { .. }
                | Self::NewDirective { .. }
        )
    }
}

/// Makes a change in what is known; `None` if it cannot be made there.
pub(super) fn to_facts(facts: &mut Facts, step: &Step) -> Option<()> {
    let at = facts.at;
    match step {
        Step::Time { at } => facts.at = *at,
        Step::DeclareEndUse { end_use } => facts.credential.end_use = Some(end_use.clone()),
        Step::UseTenant { organization } => {
            facts.credential.organization.clone_from(organization);
            organization.iter().for_each(|id| know(facts, id));
        }
        Step::RenewCredential { .. } => {
            facts.credential.revoked = false;
            facts.credential.expires_at = Moment::MAX;
        }
        Step::RevokeKey { .. } => facts.credential.revoked = true,
        Step::NameRecipients { .. } => name_recipients(&mut facts.caller)?,
        Step::UsePersonalKey { .. } => facts.caller = somebody(at)?,
        Step::Reactivate { .. } => reactivate(&mut facts.caller),
        Step::ResolveOwnership { organization } => with_organization(facts, organization, |found| {
            found.coverage = Coverage::None;
            found.headquarters.get_or_insert(Country::US);
        }),
        Step::IdentifyEndUsers { organization } => {
            with_organization(facts, organization, |found| found.resells = false);
        }
        Step::AdjudicateScreening { party } => adjudicate(facts, party),
        _ => return amend_person(facts, step),
    }
    Some(())
}

/// Makes a change in what is known about one person.
fn amend_person(facts: &mut Facts, step: &Step) -> Option<()> {
    let at = facts.at;
    match step {
        Step::RenewEvidence { person, attestation } => with_person(facts, person, |person| {
            let old = person.attestations.iter().find(|word| word.id == *attestation)?.clone();
            let id = AttestationId::parse("what-if-renewed").ok()?;
            let supersedes = Some(old.id.clone());
            person.attestations.push(Attestation { id, issued_at: at, expires_at: Moment::MAX, supersedes, ..old });
            Some(())
        }),
        Step::RenewAffiliation { person, affiliation } => with_person(facts, person, |person| {
            person.affiliations.iter_mut().find(|held| held.id == *affiliation)?.attested_at = at;
            Some(())
        }),
        Step::AttestStanding { person, standings } => {
            let (_, limb) = STANDINGS.iter().find(|(name, _)| standings.contains(name))?;
            attest(facts, person, limb.map_or(Claim::ForeignPerson, |limb| Claim::UsPerson { limb }))
        }
        Step::AttestLocation { person } => {
            attest(facts, person, Claim::Location { country: Country::US, method: LocationMethod::Managed })
        }
        Step::AttestNationality { person } => {
            // A country that no instrument here names; should one name it, deciding says so.
            attest(facts, person, Claim::Citizenship { country: Country::US, from: Some(at), until: None })
        }
        Step::AttestEmployment { person, organization } => {
            know(facts, organization);
            let affiliation = employment(person, organization, at)?;
            with_person(facts, person, |person| {
                person.affiliations.push(affiliation);
                Some(())
            })
        }
        Step::WithdrawAttestation { person, attestation } => with_person(facts, person, |person| {
            person.attestations.retain(|word| word.id != *attestation);
            Some(())
        }),
        Step::EndAffiliation { person, affiliation } => with_person(facts, person, |person| {
            person.affiliations.retain(|held| held.id != *affiliation);
            Some(())
        }),
        _ => None,
    }
}

/// Changes a person wherever the facts have them.
fn with_person(facts: &mut Facts, id: &PersonId, change: impl FnOnce(&mut Person) -> Option<()>) -> Option<()> {
    let mut all: Vec<&mut Arc<Person>> = match &mut facts.caller {
        CallerFacts::Person { person } => vec![person],
        CallerFacts::Workload { owners, recipients, .. } => owners.iter_mut().chain(recipients).collect(),
        CallerFacts::Unbound => Vec::new(),
    };
    all.retain(|person| person.id == *id);
    let (first, others) = all.split_first_mut()?;
    change(Arc::make_mut(first))?;
    others.iter_mut().for_each(|other| **other = Arc::clone(first));
    Some(())
}

fn attest(facts: &mut Facts, person: &PersonId, claim: Claim) -> Option<()> {
    let statement = statement(person, claim, facts.at)?;
    with_person(facts, person, |person| {
        person.attestations.push(statement);
        Some(())
    })
}

fn statement(person: &PersonId, claim: Claim, at: Moment) -> Option<Attestation> {
    let id = match claim {
        Claim::UsPerson { .. } | Claim::ForeignPerson => "what-if-standing",
        Claim::Location { .. } => "what-if-location",
        Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless => "what-if-nationality",
    };
    Some(Attestation {
        id: AttestationId::parse(id).ok()?,
        person: person.clone(),
        claim,
        issuer: IssuerId::parse(WHAT_IF).ok()?,
        evidence: WHAT_IF.to_owned(),
        assurance: Assurance::Ial3,
        issued_at: at,
        expires_at: Moment::MAX,
        supersedes: None,
        channel: None,
        fresh_until: None,
        means: None,
    })
}

fn employment(person: &PersonId, organization: &OrganizationId, at: Moment) -> Option<Affiliation> {
    Some(Affiliation {
        id: AffiliationId::parse(WHAT_IF).ok()?,
        person: person.clone(),
        organization: organization.clone(),
        engagement: Engagement::Employee,
        issuer: IssuerId::parse(WHAT_IF).ok()?,
        evidence: WHAT_IF.to_owned(),
        attested_at: at,
        ends_at: Moment::MAX,
        channel: None,
    })
}

/// Makes a caller who is one U.S. person.
fn somebody(at: Moment) -> Option<CallerFacts> {
    let id = PersonId::parse(WHAT_IF).ok()?;
    let (_, limb) = STANDINGS.first()?;
    let claims =
        [Claim::UsPerson { limb: (*limb)? }, Claim::Location { country: Country::US, method: LocationMethod::Managed }];
    let attestations = claims.into_iter().map(|claim| statement(&id, claim, at)).collect::<Option<Vec<_>>>()?;
    let person = Person {
        id,
        display_name: WHAT_IF.to_owned(),
        screening: Screening::Cleared,
        active: true,
        attestations,
        affiliations: Vec::new(),
        accounts: Vec::new(),
    };
    Some(CallerFacts::Person { person: Arc::new(person) })
}

/// Makes those who answer for a workload its recipients.
fn name_recipients(caller: &mut CallerFacts) -> Option<()> {
    let CallerFacts::Workload { workload, owners, recipients } = caller else {
        return None;
    };
    let named: Workload = Workload { recipients: workload.owners.clone(), ..workload.as_ref().clone() };
    *workload = Arc::new(named);
    recipients.clone_from(owners);
    Some(())
}

fn reactivate(caller: &mut CallerFacts) {
    match caller {
        CallerFacts::Person { person } => Arc::make_mut(person).active = true,
        CallerFacts::Workload { workload, .. } => Arc::make_mut(workload).active = true,
        CallerFacts::Unbound => {}
    }
}

fn adjudicate(facts: &mut Facts, party: &str) {
    if let Ok(id) = PersonId::parse(party) {
        // An organization can have the same id: each is cleared where it waits.
        let _ = with_person(facts, &id, |person| {
            person.screening = Screening::Cleared;
            Some(())
        });
    }
    if let Ok(id) = OrganizationId::parse(party)
        && crate::caller::is_named(facts, &id)
    {
        know(facts, &id);
        with_organization(facts, &id, |found| found.screening = Screening::Cleared);
    }
}

fn with_organization(facts: &mut Facts, id: &OrganizationId, change: impl FnOnce(&mut Organization)) {
    if let Some(found) = facts.organizations.iter_mut().find(|organization| organization.id == *id) {
        change(Arc::make_mut(found));
    }
}

/// Adds an organization that the facts do not have, as one of the United States that screening cleared.
fn know(facts: &mut Facts, id: &OrganizationId) {
    if facts.organizations.iter().any(|organization| organization.id == *id) {
        return;
    }
    facts.organizations.push(Arc::new(Organization {
        id: id.clone(),
        legal_name: WHAT_IF.to_owned(),
        country: Country::US,
        kind: OrganizationKind::Us,
        screening: Screening::Cleared,
        coverage: Coverage::None,
        resells: false,
        headquarters: Some(Country::US),
        ties: Vec::new(),
    }));
}

/// Makes a change in what is in force; `None` if it cannot be made there.
pub(super) fn to_document(document: &mut SnapshotDocument, facts: &Facts, step: &Step) -> Option<()> {
    let (licenses, directives) = (&mut document.licenses, &mut document.directives);
    match step {
        Step::RuleOnEmployees { license } => {
            let scope = json!("employees_contractors_interns");
            edit(licenses, License::id, license, "/beneficiaries/employee_scope", &scope)
        }
        Step::RuleOnTerritory { license } => {
            edit(licenses, License::id, license, "/territory/unsettled_groups", &json!([]))
        }
        Step::RuleOnDestination { directive } => {
            edit(directives, Directive::id, directive, "/destination_scope", &json!({"deny": "none"}))
        }
        Step::NarrowDefinition { directive } => {
            let scope = json!({"deny": "foreign_person", "definition": "citizens_nationals_only", "unknown": "hold"});
            edit(directives, Directive::id, directive, "/person_scope", &scope)
        }
        Step::BarDestinations { directive } => {
            let scope = json!({"deny": "all_foreign", "unsettled": false});
            edit(directives, Directive::id, directive, "/destination_scope", &scope)
        }
        Step::BarEverybody { directive } => {
            edit(directives, Directive::id, directive, "/person_scope", &json!({"deny": "everyone"}))
        }
        Step::Stay { directive } => {
            let versions = document.directives.iter().filter(|found| found.id() == directive);
            let stayed = versions.max_by_key(|found| found.version())?.with_status(Status::Stayed, facts.at);
            document.directives.push(stayed);
            Some(())
        }
        Step::RevokeLicense { license } => {
            let versions = document.licenses.iter().filter(|found| found.id() == license);
            let revoked = versions.max_by_key(|found| found.version())?.with_status(Status::Lifted, facts.at);
            document.licenses.push(revoked);
            Some(())
        }
        Step::License { organization } => {
            document.licenses.push(granted(document, facts, organization)?);
            Some(())
        }
        Step::NewDirective { family } => {
            document.directives.push(ordered(facts.at, family.as_str())?);
            Some(())
        }
        _ => None,
    }
}

/// Writes a field, by its JSON pointer, of every version of an instrument; `None` if one no longer parses then.
fn edit<T: Serialize + DeserializeOwned>(
    list: &mut [T],
    id: impl Fn(&T) -> &InstrumentId,
    wanted: &InstrumentId,
    field: &str,
    value: &Value,
) -> Option<()> {
    for item in list.iter_mut().filter(|item| id(item) == wanted) {
        let mut json = serde_json::to_value(&*item).ok()?;
        json.pointer_mut(field)?.clone_from(value);
        *item = serde_json::from_value(json).ok()?;
    }
    Some(())
}

/// Writes a license for one organization under every directive that a license can waive.
fn granted(document: &SnapshotDocument, facts: &Facts, organization: &OrganizationId) -> Option<License> {
    let family = document.models.iter().find(|model| model.id == facts.model)?.family.clone();
    let of_family = document.directives.iter().filter(|directive| directive.families().contains(&family));
    let under: BTreeSet<&InstrumentId> = of_family.filter(|d| !d.is_prohibition()).map(Directive::id).collect();
    let json = json!({
        "type": "license/v1", "id": WHAT_IF, "version": 1, "kind": "individual", "issuer": issuer(), "under": under,
        "models": {"families": [family]}, "grantees": {"organizations": [organization], "own_staff": false},
        "beneficiaries": {"employee_scope": "employees_contractors_interns"}, "tenant_binding": false,
        "territory": {"exclude_groups": [], "unsettled_groups": []}, "conditions": {"token_caps": []},
        "valid": {"from": facts.at, "to": null}, "status": "in_force", "status_since": facts.at, "obligations": [],
        "source": {"sha256": "0".repeat(64)},
    });
    License::parse(json.to_string().as_bytes()).ok()
}

/// Writes a directive that bars foreign persons from a family.
fn ordered(at: Moment, family: &str) -> Option<Directive> {
    let json = json!({
        "type": "directive/v1", "id": WHAT_IF, "version": 1, "issuer": issuer(), "authority": [{"cite": WHAT_IF}],
        "received_at": at, "effective_at": at, "expires_at": null, "status": "in_force", "status_since": at,
        "models": {"families": [family]},
        "person_scope": {"deny": "foreign_person", "definition": "ear_772", "unknown": "hold"},
        "destination_scope": {"deny": "none"}, "entity_scope": {"deny": "foreign_organization"},
        "evidence": {"min_assurance": "ial2", "max_age_hours": 24}, "obligations": [],
        "source": {"sha256": "0".repeat(64)},
    });
    Directive::parse(json.to_string().as_bytes()).ok()
}

fn issuer() -> Value {
    json!({"agency": WHAT_IF, "official": WHAT_IF})
}
