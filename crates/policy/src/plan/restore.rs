//! Facts that have a given shape: what is decided in place of each key of that shape.

use std::{sync::Arc, time::Duration};

use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, ChannelId, Claim, EndUse, IssuerId, KeyId,
    LocationMethod, ModelVersionId, Moment, Organization, OrganizationId, Person, PersonId, Workload, WorkloadId,
};

use super::{
    lens::Lens,
    population::Organizations,
    seats::{Seat, Seats},
    shape::{CallerShape, EndUseShape, Live, PersonShape, RoleShape, Shape, StandingClaim, TieShape},
};
use crate::{CallerFacts, CredentialFacts, Facts};

/// Makes facts of shapes.
#[derive(Debug)]
pub(crate) struct Restorer<'a> {
    pub(crate) lens: &'a Lens,
    pub(crate) seats: &'a Seats,
    pub(crate) organizations: &'a Organizations,
    names: Names,
}

/// Names that stand for anybody's.
#[derive(Debug)]
struct Names {
    key: KeyId,
    workload: WorkloadId,
    affiliation: AffiliationId,
    silent: ChannelId,
}

impl<'a> Restorer<'a> {
    /// Makes a restorer; `None` only if a name of this module were no id.
    pub(crate) fn new(lens: &'a Lens, seats: &'a Seats, organizations: &'a Organizations) -> Option<Self> {
        let names = Names {
            key: KeyId::parse("key").ok()?,
            workload: WorkloadId::parse("workload").ok()?,
            affiliation: AffiliationId::parse("affiliation").ok()?,
            silent: ChannelId::parse("silent").ok()?,
        };
        Some(Self { lens, seats, organizations, names })
    }

    /// Returns facts that have `shape` at `at`, about one model version.
    pub(crate) fn facts(&self, shape: &Shape, model: ModelVersionId, at: Moment) -> Facts {
        let mut scene = Scene { restorer: self, at, organizations: Vec::new() };
        let (caller, tenant) = scene.caller(shape);
        Facts {
            at,
            model,
            credential: CredentialFacts {
                id: self.names.key.clone(),
                expires_at: Moment::MAX,
                revoked: *shape == Shape::Ended,
                organization: tenant,
                end_use: self.end_use(shape),
            },
            caller,
            organizations: scene.listed(),
            consumed: Vec::new(),
            channels: Vec::new(),
        }
    }

    fn end_use(&self, shape: &Shape) -> Option<EndUse> {
        let Shape::Live(live) = shape else {
            return None;
        };
        match live.end_use.as_ref()? {
            EndUseShape::Named(end_use) => Some(end_use.clone()),
            EndUseShape::Other => EndUse::parse(&self.lens.unmentioned()).ok(),
        }
    }
}

/// Facts being made.
struct Scene<'a> {
    restorer: &'a Restorer<'a>,
    at: Moment,
    organizations: Vec<u32>,
}

impl Scene<'_> {
    fn caller(&mut self, shape: &Shape) -> (CallerFacts, Option<OrganizationId>) {
        match shape {
            Shape::Ended => (CallerFacts::Unbound, None),
            Shape::Inactive => {
                let nobody = PersonShape::default();
                let person = self.person(&nobody, 0).map(|person| Person { active: false, ..person });
                (person.map_or(CallerFacts::Unbound, |person| CallerFacts::Person { person: Arc::new(person) }), None)
            }
            Shape::Live(Live { caller, tenant, employer, people, .. }) => {
                let tenant = tenant.and_then(|seat| self.organization(seat));
                let employer = employer.and_then(|seat| self.organization(seat));
                let people = people.iter().enumerate().filter_map(|(at, shape)| self.person(shape, at));
                let people: Vec<Arc<Person>> = people.map(Arc::new).collect();
                (self.live(*caller, employer, people), tenant)
            }
        }
    }

    fn live(&self, caller: CallerShape, employer: Option<OrganizationId>, people: Vec<Arc<Person>>) -> CallerFacts {
        match (caller, employer, people.first()) {
            (CallerShape::Person, _, Some(person)) => CallerFacts::Person { person: Arc::clone(person) },
            (CallerShape::Workload { complete, identified }, Some(organization), _) => {
                let answers = people.first().filter(|_| identified).cloned();
                let owners: Vec<Arc<Person>> = answers.into_iter().collect();
                let named = people.iter().filter(|_| complete).map(|person| person.id.clone());
                let workload = Workload {
                    id: self.restorer.names.workload.clone(),
                    purpose: String::new(),
                    organization,
                    owners: owners.iter().map(|person| person.id.clone()).collect(),
                    recipients: named.collect(),
                    active: true,
                };
                CallerFacts::Workload { workload: Arc::new(workload), owners, recipients: people }
            }
            _ => CallerFacts::Unbound,
        }
    }

    fn organization(&mut self, seat: Seat) -> Option<OrganizationId> {
        let (place, id) = self.restorer.seats.sitting(self.restorer.organizations, seat)?;
        self.organizations.extend(place);
        Some(id.clone())
    }

    fn listed(mut self) -> Vec<Arc<Organization>> {
        self.organizations.sort_unstable();
        self.organizations.dedup();
        let known = self.organizations.iter().filter_map(|place| self.restorer.organizations.get(*place));
        let mut known: Vec<Arc<Organization>> = known.cloned().collect();
        known.sort_by(|one, other| one.id.cmp(&other.id));
        known
    }

    fn person(&mut self, shape: &PersonShape, at: usize) -> Option<Person> {
        let id = PersonId::parse(&format!("person-{at}")).ok()?;
        let roles = shape.roles.iter().filter_map(|role| self.affiliation(&id, role));
        let mut affiliations: Vec<Affiliation> = roles.collect();
        if affiliations.is_empty() && shape.affiliated {
            affiliations.extend(self.ended(&id));
        }
        Some(Person {
            display_name: String::new(),
            screening: shape.screening,
            active: true,
            attestations: self.attestations(&id, shape),
            affiliations,
            id,
            accounts: Vec::new(),
        })
    }

    fn attestations(&self, person: &PersonId, shape: &PersonShape) -> Vec<Attestation> {
        let standings = shape.standings.iter().map(|word| {
            let claim = match word.claim {
                StandingClaim::UsPerson(limb) => Claim::UsPerson { limb },
                StandingClaim::ForeignPerson => Claim::ForeignPerson,
            };
            (claim, word.assurance, word.age, word.silent)
        });
        let places = shape.places.iter().map(|word| {
            let method = if word.claim.network { LocationMethod::Network } else { LocationMethod::Managed };
            let age = if word.claim.network { 0 } else { word.age };
            (Claim::Location { country: word.claim.country, method }, word.assurance, age, word.silent)
        });
        let ties = shape.ties.iter().map(|word| (tie(word.claim), word.assurance, word.age, word.silent));
        let all = standings.chain(places).chain(ties).enumerate();
        all.filter_map(|(at, (claim, levels, age, silent))| {
            let assurance = self.restorer.lens.assurance_of(levels);
            let made = attestation(person, at, claim, assurance, aged(self.restorer.lens.ages(), age, self.at))?;
            Some(Attestation { channel: self.channel(silent), ..made })
        })
        .collect()
    }

    fn affiliation(&mut self, person: &PersonId, role: &RoleShape) -> Option<Affiliation> {
        Some(Affiliation {
            id: self.restorer.names.affiliation.clone(),
            person: person.clone(),
            organization: self.organization(role.seat)?,
            engagement: role.engagement,
            issuer: IssuerId::parse("issuer").ok()?,
            evidence: String::new(),
            attested_at: aged(self.restorer.lens.employment_ages(), role.age, self.at),
            ends_at: Moment::MAX,
            channel: self.channel(role.silent),
        })
    }

    /// Returns a channel that no facts made here rely on, for what is silent.
    fn channel(&self, silent: bool) -> Option<ChannelId> {
        silent.then(|| self.restorer.names.silent.clone())
    }

    /// Makes an affiliation that is on file and has ended.
    fn ended(&self, person: &PersonId) -> Option<Affiliation> {
        Some(Affiliation {
            id: self.restorer.names.affiliation.clone(),
            person: person.clone(),
            organization: OrganizationId::parse("former").ok()?,
            engagement: terms::Engagement::Employee,
            issuer: IssuerId::parse("issuer").ok()?,
            evidence: String::new(),
            attested_at: Moment::from_millis(0),
            ends_at: self.at,
            channel: None,
        })
    }
}

fn tie(shape: TieShape) -> Claim {
    let TieShape::To { country, citizenship, ended, began } = shape else {
        return Claim::Stateless;
    };
    let from = began.map(|rank| Moment::from_millis(i64::from(rank)));
    let until = ended.then(|| Moment::from_millis(0));
    if citizenship {
        return Claim::Citizenship { country, from, until };
    }
    Claim::PermanentResidency { country, from, until }
}

/// Makes the only statement of an issuer of its own.
pub(crate) fn attestation(
    person: &PersonId,
    at: usize,
    claim: Claim,
    assurance: Assurance,
    issued_at: Moment,
) -> Option<Attestation> {
    Some(Attestation {
        id: AttestationId::parse(&format!("attestation-{at}")).ok()?,
        person: person.clone(),
        claim,
        issuer: IssuerId::parse(&format!("issuer-{at}")).ok()?,
        evidence: String::new(),
        assurance,
        issued_at,
        expires_at: Moment::MAX,
        supersedes: None,
        channel: None,
        fresh_until: None,
        means: None,
    })
}

/// Returns a moment that lies just as long back as the last of the `passed` ages.
fn aged(ages: &[Duration], passed: u8, at: Moment) -> Moment {
    let last = usize::from(passed).checked_sub(1).and_then(|place| ages.get(place));
    let age = last.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    Moment::from_millis(at.as_millis().saturating_sub(age))
}
