//! Which changes of the menu are worth trying for one call.

use std::collections::BTreeSet;

use terms::{Affiliation, Coverage, ModelFamily, OrganizationId, Person, Screening, Standing, UsPersonLimb};

use super::{
    menu::Step,
    people::{everybody, is_stale},
};
use crate::{
    CallerFacts, Directive, Facts, License, Snapshot,
    caller::Caller,
    decide::Inquiry,
    evidence::{self, Bar, Horizon},
    instrument::Destination,
};

/// People of whom changes are tried; a workload can have more.
const PEOPLE_MAX: usize = 4;
/// Organizations that are tried in one place of the menu.
const ORGANIZATIONS_MAX: usize = 4;
/// Changes in all; the largest are left out first. 48 make 1,128 pairs.
const STEPS_MAX: usize = 48;

/// What is in effect on the model of a call, and who stands behind it.
pub(super) struct Scene<'a> {
    facts: &'a Facts,
    snapshot: &'a Snapshot,
    caller: Caller<'a>,
    directives: Vec<&'a Directive>,
    licenses: Vec<&'a License>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, facts: &'a Facts) -> Self {
        let mut inquiry = Inquiry::begin(snapshot, facts);
        let gates = inquiry.gates(&facts.model);
        let places: BTreeSet<usize> = gates.iter().flat_map(|(gate, _)| gate.licenses.iter().copied()).collect();
        let document = snapshot.document();
        let licenses = places.into_iter().filter_map(|at| Some((at, document.licenses.get(at)?)));
        let licenses = licenses.filter(|(at, license)| inquiry.is_valid(*at, license)).map(|(_, license)| license);
        let licenses = licenses.collect();
        let directives = gates.into_iter().map(|(_, directive)| directive).collect();
        Self { facts, snapshot, caller: inquiry.caller(), directives, licenses }
    }

    /// Returns what might permit, the smallest first.
    pub(super) fn permitting(&self) -> Vec<Step> {
        let mut steps = self.of_credential();
        for person in everybody(&self.facts.caller).into_iter().take(PEOPLE_MAX) {
            steps.extend(self.of_person(person));
        }
        steps.extend(self.of_organizations());
        steps.extend(self.of_instruments());
        steps.sort_by_key(Step::size);
        steps.truncate(STEPS_MAX);
        steps
    }

    /// Returns what might end a permit besides time, the smallest first.
    pub(super) fn ending(&self) -> Vec<Step> {
        let mut steps = vec![Step::RevokeKey { credential: self.facts.credential.id.clone() }];
        for person in everybody(&self.facts.caller).into_iter().take(PEOPLE_MAX) {
            let id = || person.id.clone();
            let words = person.attestations.iter().map(|word| word.id.clone());
            steps.extend(words.map(|attestation| Step::WithdrawAttestation { person: id(), attestation }));
            let held = person.affiliations.iter().map(|held| held.id.clone());
            steps.extend(held.map(|affiliation| Step::EndAffiliation { person: id(), affiliation }));
        }
        steps.extend(self.licenses.iter().map(|license| Step::RevokeLicense { license: license.id().clone() }));
        for directive in &self.directives {
            let id = || directive.id().clone();
            steps.push(Step::NarrowDefinition { directive: id() });
            steps.push(Step::BarDestinations { directive: id() });
            steps.push(Step::BarEverybody { directive: id() });
        }
        steps.extend(self.family().map(|family| Step::NewDirective { family }));
        steps.sort_by_key(Step::size);
        steps.truncate(STEPS_MAX);
        steps
    }

    fn family(&self) -> Option<ModelFamily> {
        let models = &self.snapshot.document().models;
        models.iter().find(|model| model.id == self.facts.model).map(|model| model.family.clone())
    }

    fn of_credential(&self) -> Vec<Step> {
        let credential = &self.facts.credential;
        let id = || credential.id.clone();
        let mut steps = Vec::new();
        if credential.revoked || self.facts.is_locked_out() || credential.expires_at <= self.facts.at {
            steps.push(Step::RenewCredential { credential: id() });
        }
        match &self.facts.caller {
            CallerFacts::Unbound => steps.push(Step::UsePersonalKey { credential: id() }),
            CallerFacts::Workload { workload, .. } => {
                if self.caller.gap.is_some() {
                    steps.push(Step::NameRecipients { workload: workload.id.clone() });
                }
                if !workload.active {
                    steps.push(Step::Reactivate { who: workload.id.to_string() });
                }
            }
            CallerFacts::Person { person } if !person.active => {
                steps.push(Step::Reactivate { who: person.id.to_string() });
            }
            CallerFacts::Person { .. } => {}
        }
        let end_uses: BTreeSet<_> = self.licenses.iter().flat_map(|license| license.end_uses()).collect();
        let others = end_uses.into_iter().filter(|end_use| credential.end_use.as_ref() != Some(end_use));
        steps.extend(others.cloned().map(|end_use| Step::DeclareEndUse { end_use }));
        let tenants = self.tenants().into_iter().map(|organization| Step::UseTenant { organization });
        steps.extend(tenants);
        steps
    }

    /// Returns tenants other than the call's: of whom somebody acts for, of grantees, and none.
    fn tenants(&self) -> Vec<Option<OrganizationId>> {
        let acted_for = self.caller.named().cloned();
        let mut tenants: Vec<Option<OrganizationId>> = Vec::new();
        for id in acted_for.chain(self.grantees()) {
            if self.caller.tenant != Some(&id) && !tenants.contains(&Some(id.clone())) {
                tenants.push(Some(id));
            }
        }
        let own = self.facts.credential.organization.is_some();
        tenants.extend(own.then_some(None));
        tenants
    }

    /// Returns grantees to try: those that the call or its facts know first, then in order of id.
    fn grantees(&self) -> Vec<OrganizationId> {
        let lab = self.snapshot.document().lab.as_ref();
        let own = lab.filter(|_| self.licenses.iter().any(|license| license.own_staff()));
        let named = self.licenses.iter().flat_map(|license| license.grantees());
        let all: BTreeSet<&OrganizationId> = named.chain(own).collect();
        let is_known = |id: &OrganizationId| self.facts.organizations.iter().any(|o| o.id == *id);
        let (known, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|id| is_known(id));
        known.into_iter().chain(others).take(ORGANIZATIONS_MAX).cloned().collect()
    }

    fn of_person(&self, person: &Person) -> Vec<Step> {
        let now = self.facts.now();
        let id = || person.id.clone();
        let mut steps = Vec::new();
        let bars = self.bars();
        let stale = person.attestations.iter().filter(|word| is_stale(word, person, &bars, now));
        steps.extend(stale.map(|word| Step::RenewEvidence { person: id(), attestation: word.id.clone() }));
        let unattested = |bar: &Bar| evidence::standing(person, *bar, &mut Horizon::of(now)) == Standing::Unattested;
        if bars.iter().any(unattested) {
            let standings = STANDINGS.iter().map(|(name, _)| BTreeSet::from([*name]));
            steps.extend(standings.map(|standings| Step::AttestStanding { person: id(), standings }));
        }
        steps.push(Step::AttestLocation { person: id() });
        if self.snapshot.rules().asks().nationality {
            steps.push(Step::AttestNationality { person: id() });
        }
        if person.screening == Screening::Review {
            steps.push(Step::AdjudicateScreening { party: person.id.to_string() });
        }
        steps.extend(self.of_affiliations(person));
        steps
    }

    fn of_affiliations(&self, person: &Person) -> Vec<Step> {
        let now = self.facts.now();
        let id = || person.id.clone();
        let held = evidence::affiliations(person, &mut Horizon::of(now));
        let is_old = |affiliation: &Affiliation| {
            let mut ages = self.directives.iter().filter_map(|directive| directive.employment_max_age());
            ages.any(|age| affiliation.attested_at.plus(age) <= now.at)
        };
        let stale = held.iter().filter(|affiliation| is_old(affiliation)).map(|affiliation| affiliation.id.clone());
        let renewed = stale.map(|affiliation| Step::RenewAffiliation { person: id(), affiliation });
        // Who acts for a grantee in some capacity has it on record: that the record is wrong is no change to suggest.
        let acts_for = |organization: &OrganizationId| held.iter().any(|held| held.organization == *organization);
        let grantees = self.grantees().into_iter().filter(|organization| !acts_for(organization));
        let employed = grantees.map(|organization| Step::AttestEmployment { person: id(), organization });
        renewed.chain(employed).collect()
    }

    /// Returns the bars that evidence is held to: of each directive in effect, and of a clearance.
    fn bars(&self) -> Vec<Bar> {
        let bar = |directive: &&Directive| Bar {
            min_assurance: directive.min_assurance(),
            max_age: Some(directive.max_age()),
        };
        self.directives.iter().map(bar).chain([Bar::IAL2]).collect()
    }

    fn of_organizations(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for id in self.caller.named().take(ORGANIZATIONS_MAX) {
            let found = self.facts.organizations.iter().find(|organization| organization.id == *id);
            if found.is_none_or(|organization| organization.screening == Screening::Review) {
                steps.push(Step::AdjudicateScreening { party: id.to_string() });
            }
            let open = |o: &terms::Organization| o.coverage == Coverage::Undetermined || o.headquarters.is_none();
            if found.is_some_and(|organization| open(organization)) {
                steps.push(Step::ResolveOwnership { organization: id.clone() });
            }
            if found.is_some_and(|organization| organization.resells) {
                steps.push(Step::IdentifyEndUsers { organization: id.clone() });
            }
        }
        steps
    }

    fn of_instruments(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for license in &self.licenses {
            let id = || license.id().clone();
            steps.extend(license.employee_scope().is_none().then(|| Step::RuleOnEmployees { license: id() }));
            let silent = !license.unsettled_groups().is_empty();
            steps.extend(silent.then(|| Step::RuleOnTerritory { license: id() }));
        }
        for directive in &self.directives {
            let id = || directive.id().clone();
            let unsettled = matches!(
                directive.destination(),
                Destination::AllForeign { unsettled: true } | Destination::Groups { unsettled: true, .. }
            );
            steps.extend(unsettled.then(|| Step::RuleOnDestination { directive: id() }));
            steps.push(Step::Stay { directive: id() });
        }
        if !self.directives.is_empty() {
            let organizations = self.caller.named().take(ORGANIZATIONS_MAX).cloned();
            steps.extend(organizations.map(|organization| Step::License { organization }));
        }
        steps
    }
}

/// Every standing that can be attested, by its name.
pub(super) const STANDINGS: [(&str, Option<UsPersonLimb>); 7] = [
    ("citizen", Some(UsPersonLimb::Citizen)),
    ("national", Some(UsPersonLimb::National)),
    ("lawful_permanent_resident", Some(UsPersonLimb::LawfulPermanentResident)),
    ("temporary_resident", Some(UsPersonLimb::TemporaryResident)),
    ("refugee", Some(UsPersonLimb::Refugee)),
    ("asylee", Some(UsPersonLimb::Asylee)),
    ("foreign_person", None),
];
