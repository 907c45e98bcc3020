//! Who stands behind one call: the people who would receive the output, and the organizations they act for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use terms::{
    Affiliation, Country, Coverage, Organization, OrganizationId, OrganizationKind, Person, PersonId, Screening, Tie,
};

use crate::{
    CallerFacts, Facts, Flag,
    evidence::{self, Bar, Horizon},
};

/// Who stands behind one call, derived once from the facts.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// The people who would receive the output, in order of id.
    pub(crate) people: Vec<Subject<'a>>,
    /// What is missing of them.
    pub(crate) gap: Option<Gap>,
    /// True if a person, or an active owner of the workload, answers for the call.
    pub(crate) identified: bool,
    /// The organization whose tenant the call uses.
    pub(crate) tenant: Option<&'a OrganizationId>,
    organizations: BTreeMap<&'a OrganizationId, &'a Organization>,
    named: BTreeSet<&'a OrganizationId>,
}

/// One person who would receive the output.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// The person.
    pub(crate) person: &'a Person,
    /// Their affiliations that hold now.
    pub(crate) affiliations: Vec<&'a Affiliation>,
    /// Every country that a current claim names.
    claimed: BTreeSet<Country>,
}

/// Where the tenant's ultimate parent is headquartered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Headquarters {
    /// There is no tenant.
    Nobody,
    /// In this country.
    In(Country),
    /// Not known.
    Unknown,
}

/// What is not known about who receives the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gap {
    /// A shared credential: nobody is bound to the call.
    Unbound,
    /// A workload whose accountable owners or recipients are not established.
    Recipients,
}

impl<'a> Caller<'a> {
    pub(crate) fn gather(facts: &'a Facts, horizon: &mut Horizon<'_>) -> Self {
        let (people, gap) = people(&facts.caller);
        let mut acted_for = Vec::new();
        let subject = |person: &'a Person| {
            let acting = evidence::acting_for(person, horizon);
            acted_for.extend(acting.iter().map(|a| &a.organization));
            let claimed = evidence::whereabouts(person, Bar::ANY, horizon).claimed;
            Subject { person, affiliations: evidence::holding(person, acting, horizon), claimed }
        };
        let people: Vec<Subject<'a>> = people.into_values().map(subject).collect();
        let employer = match &facts.caller {
            CallerFacts::Workload { workload, .. } => Some(&workload.organization),
            CallerFacts::Person { .. } | CallerFacts::Unbound => None,
        };
        let tenant = facts.credential.organization.as_ref().or(employer);
        Self {
            named: tenant.into_iter().chain(employer).chain(acted_for).collect(),
            organizations: facts.organizations.iter().map(|o| (&o.id, o.as_ref())).collect(),
            tenant,
            gap,
            people,
            identified: is_identified(&facts.caller),
        }
    }

    /// Returns every organization that the call names, known or not, in order of id.
    pub(crate) fn named(&self) -> impl Iterator<Item = &'a OrganizationId> {
        self.named.iter().copied()
    }

    /// Returns what screening and ownership say of every person and organization involved, as the rules spell it.
    ///
    /// Every organization that a recipient acts for counts, not only the tenant: for whom they ask cannot be told.
    pub(crate) fn parties(&self) -> BTreeSet<&'static str> {
        let people = self.people.iter().filter_map(|s| screened(s.person.screening));
        let organizations = self.named.iter().flat_map(|id| match self.organizations.get(id) {
            Some(organization) => [screened(organization.screening), covered(organization.coverage)],
            None => [Some("review"), None],
        });
        people.chain(organizations.flatten()).collect()
    }

    /// Returns every country that the call may touch: claimed locations, and seats of the organizations.
    pub(crate) fn countries(&self) -> BTreeSet<Country> {
        let claimed = self.people.iter().flat_map(|subject| &subject.claimed);
        self.known().map(|o| o.country).chain(claimed.copied()).collect()
    }

    /// Returns what an operator should look at.
    pub(crate) fn flags(&self, red_flagged: &BTreeSet<Country>) -> Vec<Flag> {
        // What the rules would forbid if they were in force, they flag while they are not.
        let flagged = |o: &Organization| matches!(o.coverage, Coverage::RedFlag | Coverage::EntityList);
        let ownership = self.known().any(flagged);
        let location = self.people.iter().any(|subject| !subject.claimed.is_disjoint(red_flagged));
        let flags = [(ownership, Flag::OwnershipRedFlag), (location, Flag::LocationRedFlag)];
        flags.into_iter().filter(|(raised, _)| *raised).map(|(_, flag)| flag).collect()
    }

    /// Returns true if the call is made under the tenant of a foreign organization, or of one that is not known.
    pub(crate) fn acts_for_foreign_organization(&self) -> bool {
        let foreign = |id| {
            let found = self.organizations.get(id);
            found.is_none_or(|o| o.kind == OrganizationKind::Foreign)
        };
        self.tenant.is_some_and(foreign)
    }

    /// Returns where the tenant's ultimate parent is headquartered.
    pub(crate) fn headquarters(&self) -> Headquarters {
        let Some(tenant) = self.tenant else {
            return Headquarters::Nobody;
        };
        let found = self.organizations.get(tenant).and_then(|organization| organization.headquarters);
        found.map_or(Headquarters::Unknown, Headquarters::In)
    }

    /// Returns an organization's ties to others; none if it is not known.
    pub(crate) fn ties(&self, id: &OrganizationId) -> &[Tie] {
        self.organizations.get(id).map_or(&[], |organization| organization.ties.as_slice())
    }

    /// Returns true if the tenant passes output on to end users it does not identify.
    pub(crate) fn resells(&self) -> bool {
        let found = self.tenant.and_then(|id| self.organizations.get(id));
        found.is_some_and(|o| o.resells)
    }

    fn known(&self) -> impl Iterator<Item = &Organization> {
        self.named.iter().filter_map(|id| self.organizations.get(id).copied())
    }
}

/// Tells whether a call names an organization: as its tenant, as a workload's, or as somebody's who receives the output.
pub(crate) fn is_named(facts: &Facts, id: &OrganizationId) -> bool {
    Caller::gather(facts, &mut Horizon::of(facts.now())).named.contains(id)
}

fn people(caller: &CallerFacts) -> (BTreeMap<&PersonId, &Person>, Option<Gap>) {
    match caller {
        CallerFacts::Person { person } => (by_id([person]), None),
        CallerFacts::Unbound => (BTreeMap::new(), Some(Gap::Unbound)),
        CallerFacts::Workload { workload, owners, recipients } => {
            let people = by_id(owners.iter().chain(recipients));
            let present = |wanted: &[PersonId], known: &[Arc<Person>]| {
                let is_there = |id: &PersonId| known.iter().any(|person| person.id == *id && person.active);
                !wanted.is_empty() && wanted.iter().all(is_there)
            };
            let complete = present(&workload.owners, owners) && present(&workload.recipients, recipients);
            (people, (!complete).then_some(Gap::Recipients))
        }
    }
}

fn is_identified(caller: &CallerFacts) -> bool {
    match caller {
        CallerFacts::Person { .. } => true,
        CallerFacts::Unbound => false,
        CallerFacts::Workload { workload, owners, .. } => {
            owners.iter().any(|owner| owner.active && workload.owners.contains(&owner.id))
        }
    }
}

fn by_id<'a>(people: impl IntoIterator<Item = &'a Arc<Person>>) -> BTreeMap<&'a PersonId, &'a Person> {
    people.into_iter().map(|person| (&person.id, person.as_ref())).collect()
}

fn screened(screening: Screening) -> Option<&'static str> {
    match screening {
        Screening::Cleared => None,
        Screening::Review => Some("review"),
        Screening::EntityListed => Some("entity_listed"),
        Screening::DeniedPerson => Some("denied_person"),
        Screening::Blocked => Some("blocked"),
    }
}

fn covered(coverage: Coverage) -> Option<&'static str> {
    match coverage {
        Coverage::None | Coverage::RedFlag => None,
        Coverage::Undetermined => Some("undetermined"),
        Coverage::EntityList => Some("covered_entity_list"),
        Coverage::Blocked => Some("covered_blocked"),
    }
}
