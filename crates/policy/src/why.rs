//! Why a call was refused, and what would clear it.
//!
//! Cedar alone permits. This module only explains its silence: what stands in the way on each route to a legal
//! basis. A test holds the two together: nothing stands in the way exactly where Cedar permits.

use std::collections::BTreeSet;

use terms::{Country, ProvisionId, Standing};

use crate::{
    Code, CountryGroup, CountryGroups, Directive, License, Remedy,
    caller::{Gap, Headquarters, Subject},
    instrument::{Destination, EmployeeScope, PersonScope, Unknown},
    nationality::Nationality,
    rules::{Release, Role, Side, is_covered},
};

/// One reason for a refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    pub(crate) by: Option<ProvisionId>,
    /// What would clear it; empty if nothing the caller can show would.
    pub(crate) remedies: Vec<Remedy>,
}

impl Finding {
    pub(crate) fn deny(code: Code, by: Option<ProvisionId>) -> Self {
        Self { code, by, remedies: Vec::new() }
    }

    pub(crate) fn hold(code: Code, by: ProvisionId, remedy: Remedy) -> Self {
        Self { code, by: Some(by), remedies: vec![remedy] }
    }

    pub(crate) fn is_hold(&self) -> bool {
        !self.remedies.is_empty()
    }

    fn new(code: Code, by: Option<ProvisionId>, remedy: Option<Remedy>) -> Self {
        Self { code, by, remedies: remedy.into_iter().collect() }
    }
}

/// Codes from the most to the least specific: of several reasons the first is reported.
pub(crate) const PRECEDENCE: [Code; 24] = [
    Code::EvaluationFailed,
    Code::CredentialEnded,
    Code::CallerInactive,
    Code::ModelUnknown,
    Code::Blocked,
    Code::RestrictedParty,
    Code::Embargoed,
    Code::ModelUncertified,
    Code::ScreeningPending,
    Code::OwnershipUndetermined,
    Code::ClearanceRequired,
    Code::EndUserUnidentified,
    Code::PersonRequired,
    Code::EveryoneBarred,
    Code::ForeignOrganizationBarred,
    Code::HeadquartersBarred,
    Code::LicenseConditionUnmet,
    Code::ForeignPersonBarred,
    Code::NationalityBarred,
    Code::DestinationBarred,
    Code::StandingUnattested,
    Code::NationalityUnattested,
    Code::LocationUnknown,
    Code::NoLegalBasis,
];

/// Several reasons, summed up.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) code: Code,
    pub(crate) denied_by: Vec<ProvisionId>,
    pub(crate) remedies: Vec<Remedy>,
}

/// Sums up: any denial makes it a denial, for no evidence would help; else everything that is missing is named.
pub(crate) fn sum_up(findings: Vec<Finding>) -> Summary {
    let (holds, denials): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(Finding::is_hold);
    let decisive = if denials.is_empty() { holds } else { denials };
    let place = |code: &Code| PRECEDENCE.iter().position(|known| known == code);
    let code = decisive.iter().map(|f| f.code).min_by_key(place);
    let by: BTreeSet<ProvisionId> = decisive.iter().filter_map(|f| f.by.clone()).collect();
    let remedies: BTreeSet<Remedy> = decisive.iter().flat_map(|f| f.remedies.iter().copied()).collect();
    Summary {
        code: code.unwrap_or(Code::NoLegalBasis),
        denied_by: by.into_iter().collect(),
        remedies: remedies.into_iter().collect(),
    }
}

/// Of several routes to a legal basis, returns what stands in the way on the one that needs least: a route that
/// evidence can clear before one it cannot. Empty if some route is free.
pub(crate) fn shortest(routes: Vec<Vec<Finding>>) -> Vec<Finding> {
    let open = routes.iter().filter(|route| route.iter().all(Finding::is_hold));
    if let Some(route) = open.min_by_key(|route| route.len()) {
        return route.clone();
    }
    routes.into_iter().flatten().filter(|finding| !finding.is_hold()).collect()
}

/// Returns what keeps a caller without known people from a controlled model.
pub(crate) fn gap(gap: Gap) -> Finding {
    match gap {
        Gap::Unbound => Finding::deny(Code::PersonRequired, None),
        Gap::Recipients => Finding::new(Code::PersonRequired, None, Some(Remedy::NameRecipients)),
    }
}

/// Returns what keeps one person from a model by a directive's own terms; empty if the directive does not bar them.
pub(crate) fn own_terms(directive: &Directive, asked: &Release, groups: &CountryGroups) -> Vec<Finding> {
    let by = |clause: &str| ProvisionId::parse(&format!("{}.{clause}", directive.id())).ok();
    let mut findings = Vec::new();
    if let Some((code, remedy)) = person_bar(directive.person_scope(), asked, groups) {
        findings.push(Finding::new(code, by("person-scope"), remedy));
    }
    if directive.entity_scope().bars_foreign() && asked.foreign_organization {
        findings.push(Finding::deny(Code::ForeignOrganizationBarred, by("entity-scope")));
    }
    if let Some((code, remedy)) = headquarters_bar(directive, asked.headquarters, groups) {
        findings.push(Finding::new(code, by("entity-scope"), remedy));
    }
    if let Some((code, remedy)) = destination_bar(directive.destination(), asked.location, groups) {
        findings.push(Finding::new(code, by("destination-scope"), remedy));
    }
    findings
}

fn person_bar(scope: &PersonScope, asked: &Release, groups: &CountryGroups) -> Option<(Code, Option<Remedy>)> {
    let unattested = |unknown: &Unknown| {
        let remedy = (*unknown == Unknown::Hold).then_some(Remedy::AttestStanding);
        Some((Code::StandingUnattested, remedy))
    };
    match (scope, asked.standing) {
        (PersonScope::None {}, _) | (PersonScope::NationalsOf { .. }, Standing::UsPerson(_)) => None,
        (PersonScope::Everyone {}, _) => Some((Code::EveryoneBarred, None)),
        (PersonScope::ForeignPerson { definition, .. }, Standing::UsPerson(limb)) if is_covered(*definition, limb) => {
            None
        }
        (
            PersonScope::ForeignPerson { unknown, .. } | PersonScope::NationalsOf { unknown, .. },
            Standing::Unattested,
        ) => unattested(unknown),
        (PersonScope::ForeignPerson { .. }, _) => Some((Code::ForeignPersonBarred, None)),
        (PersonScope::NationalsOf { groups: named, rule, unknown }, Standing::ForeignPerson) => {
            let bar = nationality_bar(named, asked.nationality(*rule), groups)?;
            let denied = bar.1.is_some() && *unknown == Unknown::Deny;
            Some(if denied { (bar.0, None) } else { bar })
        }
    }
}

/// Returns what is wrong with the nationality of a foreign person where nationals of some groups are left out.
fn nationality_bar(
    named: &BTreeSet<CountryGroup>,
    nationality: &Nationality,
    groups: &CountryGroups,
) -> Option<(Code, Option<Remedy>)> {
    match nationality {
        Nationality::Of(countries) => {
            let within = |country: &Country| named.iter().any(|group| groups.members(*group).contains(country));
            countries.iter().any(within).then_some((Code::NationalityBarred, None))
        }
        Nationality::Stateless => Some((Code::NationalityUnattested, Some(Remedy::CounselRuling))),
        Nationality::Unknown => Some((Code::NationalityUnattested, Some(Remedy::AttestNationality))),
    }
}

fn headquarters_bar(
    directive: &Directive,
    headquarters: Headquarters,
    groups: &CountryGroups,
) -> Option<(Code, Option<Remedy>)> {
    let named = directive.entity_scope().headquartered_in();
    match headquarters {
        Headquarters::Nobody => None,
        _ if named.is_empty() => None,
        Headquarters::Unknown => Some((Code::OwnershipUndetermined, Some(Remedy::ResolveOwnership))),
        Headquarters::In(country) => {
            let within = named.iter().any(|group| groups.members(*group).contains(&country));
            within.then_some((Code::HeadquartersBarred, None))
        }
    }
}

fn destination_bar(
    destination: &Destination,
    location: Option<Country>,
    groups: &CountryGroups,
) -> Option<(Code, Option<Remedy>)> {
    let barred = |country: Country| match destination {
        Destination::None {} => (false, false),
        Destination::AllForeign { unsettled } => (!Side::UnitedStates.has(groups, country), *unsettled),
        Destination::Groups { groups: named, unsettled } => {
            (named.iter().any(|group| groups.members(*group).contains(&country)), *unsettled)
        }
    };
    if *destination == (Destination::None {}) {
        return None;
    }
    let Some(country) = location else {
        return Some((Code::LocationUnknown, Some(Remedy::AttestLocation)));
    };
    let (is_barred, unsettled) = barred(country);
    is_barred.then_some((Code::DestinationBarred, unsettled.then_some(Remedy::CounselRuling)))
}

/// Returns what keeps one person from the benefit of a license; `None` if the license is not about them at all.
pub(crate) fn license_terms(
    license: &License,
    roles: &[Role],
    is_unplaced: bool,
    asked: &Release,
    groups: &CountryGroups,
    is_spent: bool,
) -> Option<Vec<Finding>> {
    if roles.is_empty() && !is_unplaced {
        return None;
    }
    let by = |clause: &str| ProvisionId::parse(&format!("{}.{clause}", license.id())).ok();
    let unmet = |clause: &str, remedy| Finding::new(Code::LicenseConditionUnmet, by(clause), remedy);
    let mut findings = Vec::new();
    if let Some(remedy) = capacity_bar(license, roles) {
        findings.push(unmet("beneficiaries", remedy));
    }
    if asked.standing == Standing::Unattested {
        let hold = Some(Remedy::AttestStanding);
        findings.push(Finding::new(Code::StandingUnattested, by("beneficiaries"), hold));
    }
    findings.extend(
        territory_bar(license, asked.location, groups)
            .map(|(code, remedy)| Finding::new(code, by("territory"), remedy)),
    );
    if let Some((code, remedy)) = excluded_national(license, asked, groups) {
        findings.push(Finding::new(code, by("nationality-exclude"), remedy));
    }
    if let Some(remedy) = end_use_bar(license, asked) {
        findings.push(unmet("end-uses", remedy));
    }
    if is_spent {
        findings.push(unmet("conditions", None));
    }
    Some(findings)
}

/// Returns what is wrong with the capacities in which a person acts for grantees; the inner `None` is a denial.
fn capacity_bar(license: &License, roles: &[Role]) -> Option<Option<Remedy>> {
    let covers = |role: &Role| {
        let scope = license.employee_scope().unwrap_or(EmployeeScope::Direct);
        scope.covers(role.engagement)
    };
    if roles.iter().any(covers) {
        return None;
    }
    if roles.is_empty() {
        return Some(Some(Remedy::AttestEmployment));
    }
    Some(license.employee_scope().is_none().then_some(Remedy::CounselRuling))
}

fn excluded_national(license: &License, asked: &Release, groups: &CountryGroups) -> Option<(Code, Option<Remedy>)> {
    let exclude = license.nationality_exclude().filter(|_| asked.standing == Standing::ForeignPerson)?;
    nationality_bar(&exclude.groups, asked.nationality(exclude.rule), groups)
}

/// Returns what is wrong with the declared end use; the inner `None` is a denial.
fn end_use_bar(license: &License, asked: &Release) -> Option<Option<Remedy>> {
    if license.end_uses().is_empty() {
        return None;
    }
    match &asked.end_use {
        None => Some(Some(Remedy::DeclareEndUse)),
        Some(end_use) => (!license.end_uses().contains(end_use)).then_some(None),
    }
}

fn territory_bar(
    license: &License,
    location: Option<Country>,
    groups: &CountryGroups,
) -> Option<(Code, Option<Remedy>)> {
    if license.excluded_groups().is_empty() && license.unsettled_groups().is_empty() {
        return None;
    }
    let Some(country) = location else {
        return Some((Code::LocationUnknown, Some(Remedy::AttestLocation)));
    };
    let within = |named: &BTreeSet<_>| named.iter().any(|group| groups.members(*group).contains(&country));
    if within(license.excluded_groups()) {
        return Some((Code::LicenseConditionUnmet, None));
    }
    let doubtful = within(license.unsettled_groups());
    doubtful.then_some((Code::LicenseConditionUnmet, Some(Remedy::CounselRuling)))
}

/// Tells whether a person calls under a grantee's tenant while nobody has said for whom they work, or not lately enough.
pub(crate) fn is_unplaced(subject: &Subject<'_>, tenant_is_grantee: bool, is_stale: bool) -> bool {
    tenant_is_grantee && (is_stale || subject.person.affiliations.is_empty())
}
