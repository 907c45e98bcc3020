//! A population as a lab may have it: invented, and different in everything that rules look at.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use policy::{
    CallerFacts, CountryGroups, CredentialFacts, Directive, License, Regime, SnapshotDocument,
    plan::{ModelTraffic, Principal},
};
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Clearance, Control, Country, Coverage,
    Engagement, IssuerId, KeyId, LocationMethod, ModelFamily, ModelVersion, ModelVersionId, Moment, Organization,
    OrganizationId, OrganizationKind, Person, PersonId, Screening, UsPersonLimb, Workload, WorkloadId,
};

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");
const ORGANIZATIONS: usize = 5_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Everything that principals are made of.
pub(crate) struct World {
    pub(crate) at: Moment,
    pub(crate) before: SnapshotDocument,
    pub(crate) after: SnapshotDocument,
    pub(crate) models: Vec<ModelVersionId>,
    organizations: Vec<Arc<Organization>>,
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn of(at: usize) -> Self {
        Self((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }

    /// Picks by weight.
    fn pick<T: Copy>(&mut self, choices: &[(usize, T)], other: T) -> T {
        let mut left = self.roll(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *choice,
            }
        }
        other
    }
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let models = ["fable-5-1", "mythos-5-1", "parable-3"];
        let models = models.map(ModelVersionId::parse).into_iter().collect::<Result<Vec<_>, _>>()?;
        let organizations = (0..ORGANIZATIONS).map(|at| organization(at).map(Arc::new)).collect::<Result<_, _>>()?;
        let before = document(&models)?;
        let mut after = before.clone();
        after.epoch = 2;
        after.directives.push(Directive::parse(JUNE_12.as_bytes())?);
        after.licenses.push(annex(1..=100, "LTR-2026-06-26")?);
        let at = Moment::parse("2026-06-29T15:00:00Z")?;
        Ok(Self { at, before, after, models, organizations })
    }

    /// Adds licenses, each for ten grantees of its own.
    pub(crate) fn with_instruments(&self, count: usize) -> anyhow::Result<SnapshotDocument> {
        let mut document = self.after.clone();
        for at in 2..count {
            let first = 100 + at * 10;
            document.licenses.push(annex(first..=first + 9, &format!("LTR-{at}"))?);
        }
        Ok(document)
    }

    /// Makes the key number `at`: of a person nine times in ten, else of a workload, now and then of nobody.
    pub(crate) fn principal(&self, at: usize) -> anyhow::Result<Principal> {
        let mut dice = Dice::of(at);
        let employer = self.employer(&mut dice)?;
        let caller = match dice.roll(100) {
            0..=89 => CallerFacts::Person { person: Arc::new(self.person(at, &employer, &mut dice)?) },
            90..=97 => self.workload(at, &employer, &mut dice)?,
            _ => CallerFacts::Unbound,
        };
        let tenant = (dice.roll(50) > 0).then(|| employer.id.clone());
        Ok(Principal {
            credential: CredentialFacts {
                id: KeyId::parse(&format!("key-{at}"))?,
                expires_at: self.later(HOUR_MS * i64::try_from(dice.roll(90 * 24))? - HOUR_MS * 5),
                revoked: dice.roll(500) == 0,
                organization: tenant,
                end_use: None,
            },
            caller,
            organizations: vec![employer],
            traffic: self.traffic(&mut dice),
        })
    }

    /// Half of all people work for one of the hundred largest organizations.
    fn employer(&self, dice: &mut Dice) -> anyhow::Result<Arc<Organization>> {
        let largest = if dice.roll(2) == 0 { 100 } else { ORGANIZATIONS };
        let employer = self.organizations.get(dice.roll(largest)).cloned();
        employer.ok_or_else(|| anyhow::anyhow!("the world has no organizations"))
    }

    fn workload(&self, at: usize, employer: &Organization, dice: &mut Dice) -> anyhow::Result<CallerFacts> {
        let owner = Arc::new(self.person(at, employer, dice)?);
        let others = (0..dice.roll(3)).map(|more| self.person(at * 8 + more + 2_000_000, employer, dice).map(Arc::new));
        let recipients = others.collect::<anyhow::Result<Vec<_>>>()?;
        let workload = Workload {
            id: WorkloadId::parse(&format!("workload-{at}"))?,
            purpose: "builds and tests".to_owned(),
            organization: employer.id.clone(),
            owners: vec![owner.id.clone()],
            recipients: recipients.iter().map(|person| person.id.clone()).collect(),
            active: dice.roll(200) > 0,
        };
        Ok(CallerFacts::Workload { workload: Arc::new(workload), owners: vec![owner], recipients })
    }

    fn person(&self, at: usize, employer: &Organization, dice: &mut Dice) -> anyhow::Result<Person> {
        let id = PersonId::parse(&format!("person-{at}"))?;
        let mut attestations = Vec::new();
        for claim in claims(dice)? {
            attestations.push(self.attestation(&id, attestations.len(), claim, dice)?);
        }
        let hired = dice.roll(25) > 0;
        let affiliations = if hired { vec![self.affiliation(&id, employer, dice)?] } else { Vec::new() };
        Ok(Person {
            display_name: format!("Person {at}"),
            screening: dice.pick(&[(995, Screening::Cleared), (4, Screening::Review)], Screening::EntityListed),
            active: dice.roll(200) > 0,
            attestations,
            affiliations,
            id,
            accounts: Vec::new(),
        })
    }

    fn attestation(&self, person: &PersonId, at: usize, claim: Claim, dice: &mut Dice) -> anyhow::Result<Attestation> {
        let hours = dice.pick(&[(85, 23), (10, 72)], 30 * 24);
        let issued_at = self.later(-MINUTE_MS * i64::try_from(dice.roll(hours * 60))?);
        Ok(Attestation {
            id: AttestationId::parse(&format!("{person}-{at}"))?,
            person: person.clone(),
            claim,
            issuer: IssuerId::parse(dice.pick(&[(5, "civic-id"), (4, "roster")], "proofing-desk"))?,
            evidence: format!("file-{at}"),
            assurance: dice.pick(&[(90, Assurance::Ial2), (5, Assurance::Ial3), (4, Assurance::Ial1)], Assurance::None),
            issued_at,
            expires_at: issued_at.plus(Duration::from_secs(30 * 86_400)),
            supersedes: None,
            channel: None,
            fresh_until: None,
            means: None,
        })
    }

    fn affiliation(&self, person: &PersonId, employer: &Organization, dice: &mut Dice) -> anyhow::Result<Affiliation> {
        let capacities = [(80, Engagement::Employee), (5, Engagement::RegularEmployee), (10, Engagement::Contractor)];
        Ok(Affiliation {
            id: AffiliationId::parse(&format!("{person}-1"))?,
            person: person.clone(),
            organization: employer.id.clone(),
            engagement: dice.pick(&capacities, Engagement::Intern),
            issuer: IssuerId::parse("roster")?,
            evidence: "roster".to_owned(),
            attested_at: self.later(-MINUTE_MS * i64::try_from(dice.roll(600))?),
            ends_at: self.later(HOUR_MS * i64::try_from(dice.roll(2_000))? - HOUR_MS),
            channel: None,
        })
    }

    fn traffic(&self, dice: &mut Dice) -> Vec<ModelTraffic> {
        let used = self.models.iter().filter(|_| dice.roll(2) == 0);
        let used: Vec<&ModelVersionId> = used.collect();
        let carried = used.into_iter().map(|model| {
            let tokens_per_minute = u64::try_from(dice.roll(5_000)).unwrap_or(0);
            let open_streams = u64::from(dice.roll(200) == 0);
            ModelTraffic { model: model.clone(), tokens_per_minute, calls: tokens_per_minute / 10, open_streams }
        });
        carried.collect()
    }

    fn later(&self, millis: i64) -> Moment {
        Moment::from_millis(self.at.as_millis() + millis)
    }
}

fn claims(dice: &mut Dice) -> anyhow::Result<Vec<Claim>> {
    let us = |limb| Some(Claim::UsPerson { limb });
    let standing = match dice.roll(100) {
        0..=59 => us(UsPersonLimb::Citizen),
        60 => us(UsPersonLimb::National),
        61..=68 => us(UsPersonLimb::LawfulPermanentResident),
        69 => us(UsPersonLimb::Refugee),
        70 => us(UsPersonLimb::Asylee),
        71..=94 => Some(Claim::ForeignPerson),
        _ => None,
    };
    let nations = ["US", "CA", "GB", "IN", "CN", "DE", "KR", "IR", "BR", "NG", "FR", "RU"];
    let other = nations.get(dice.roll(nations.len())).copied().unwrap_or("US");
    let nation = if standing == us(UsPersonLimb::Citizen) { "US" } else { other };
    let citizenship = Claim::Citizenship { country: Country::parse(nation)?, from: None, until: None };
    let places = [(80, "US"), (5, "CA"), (5, "DE"), (4, "GB"), (2, "IN"), (1, "CN"), (1, "KR"), (1, "AE")];
    let country = Country::parse(dice.pick(&places, "IR"))?;
    let methods = [(60, LocationMethod::Managed), (30, LocationMethod::Declared)];
    let location = Claim::Location { country, method: dice.pick(&methods, LocationMethod::Network) };
    let place = (dice.roll(20) > 0).then_some(location);
    Ok(standing.into_iter().chain([citizenship]).chain(place).collect())
}

fn organization(at: usize) -> anyhow::Result<Organization> {
    let mut dice = Dice::of(at + 77_777);
    let seats = [(75, "US"), (5, "CA"), (5, "GB"), (4, "DE"), (4, "KR"), (3, "IN"), (1, "CN")];
    let country = dice.pick(&seats, "AE");
    let kind = if country == "US" { OrganizationKind::Us } else { OrganizationKind::Foreign };
    let coverage = [(970, Coverage::None), (15, Coverage::RedFlag), (10, Coverage::Undetermined)];
    let country = Country::parse(country)?;
    Ok(Organization {
        id: OrganizationId::parse(&format!("org-{at}"))?,
        legal_name: format!("Organization {at}"),
        headquarters: Some(country),
        country,
        kind,
        screening: dice.pick(&[(990, Screening::Cleared), (8, Screening::Review)], Screening::EntityListed),
        coverage: dice.pick(&coverage, Coverage::EntityList),
        resells: dice.roll(50) == 0,
        ties: Vec::new(),
    })
}

fn document(models: &[ModelVersionId]) -> anyhow::Result<SnapshotDocument> {
    let families = ["fable-5", "mythos-5", "parable-3"];
    let controls = [Control::Subject, Control::Subject, Control::Published];
    let version = |((id, family), control): ((&ModelVersionId, &str), Control)| {
        Ok(ModelVersion {
            id: id.clone(),
            family: ModelFamily::parse(family)?,
            derived_from: None,
            control,
            clearance: Clearance::Open,
            certificate_required: false,
        })
    };
    Ok(SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: Some(OrganizationId::parse("org-0")?),
        country_groups: CountryGroups::bundled(),
        models: models.iter().zip(families).zip(controls).map(version).collect::<anyhow::Result<_>>()?,
        aliases: Vec::new(),
        regimes: vec![Regime::bundled()],
        directives: Vec::new(),
        licenses: Vec::new(),
    })
}

/// Makes a list of these organizations.
fn annex(grantees: RangeInclusive<usize>, id: &str) -> anyhow::Result<License> {
    let mut list: serde_json::Value = serde_json::from_str(ANNEX_A)?;
    let named: Vec<String> = grantees.map(|at| format!("org-{at}")).collect();
    for (pointer, value) in [("/id", id.into()), ("/grantees/organizations", named.into())] {
        list.pointer_mut(pointer).into_iter().for_each(|slot| *slot = serde_json::Value::clone(&value));
    }
    Ok(License::parse(list.to_string().as_bytes())?)
}
