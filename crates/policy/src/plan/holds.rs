//! Who is held for want of evidence, and what becomes of them once it is there: tried, not guessed.

use std::{collections::BTreeMap, sync::Arc};

use terms::{
    Affiliation, Assurance, Attestation, Claim, Country, Coverage, Engagement, LocationMethod, Moment, Person,
    PersonId, Screening, UsPersonLimb,
};

use super::{
    Study,
    answers::{Column, Verdict},
    census::{NONE, rank},
    classes::index,
    models::split,
    report::{Answer, Evidence, Hold, Supplied},
    restore,
};
use crate::{CallerFacts, Facts, Remedy, decide};

impl Study<'_> {
    pub(super) fn holds(&mut self, place: usize, before: &Column, after: &Column) -> Vec<Hold> {
        let groups: Vec<(Vec<Remedy>, Vec<u32>)> = self.held(after).into_iter().collect();
        let traffic = self.traffic.get(place).copied();
        let mut labels = vec![NONE; after.len()];
        for (group, (_, classes)) in (0..).zip(&groups) {
            label(&mut labels, classes, |_| group);
        }
        let mut reaches = self.census.reaches(traffic, &labels);
        for (class, label) in (0..).zip(&mut labels) {
            if self.verdict(before, class) != Some(Verdict::Permit) {
                *label = NONE;
            }
        }
        let mut lost = self.census.reaches(traffic, &labels);
        let mut supplied = self.supplied(place, &groups);
        let hold = |(group, (remedies, _)): (u32, (Vec<Remedy>, Vec<u32>))| Hold {
            reach: reaches.remove(&group).unwrap_or_default(),
            lost: lost.remove(&group).unwrap_or_default(),
            supplied: supplied.remove(&group).unwrap_or_default(),
            not_simulated: remedies.iter().copied().filter(|remedy| variants(*remedy).is_empty()).collect(),
            remedies,
        };
        let mut holds: Vec<Hold> = (0..).zip(groups).map(hold).collect();
        holds.sort_by(|one, other| {
            rank(&other.reach).cmp(&rank(&one.reach)).then_with(|| one.remedies.cmp(&other.remedies))
        });
        holds
    }

    /// Sorts the classes that are held by what they are held for.
    fn held(&self, after: &Column) -> BTreeMap<Vec<Remedy>, Vec<u32>> {
        let mut groups: BTreeMap<Vec<Remedy>, Vec<u32>> = BTreeMap::new();
        for (class, answer) in (0..).zip(after) {
            if let Some(Answer::Hold { remedies, .. }) = self.answers.get(*answer) {
                groups.entry(remedies.clone()).or_default().push(class);
            }
        }
        groups
    }

    /// Decides each group of classes with each combination of evidence for what it is held for; all groups' first
    /// combinations are counted at once, then all second ones, and so on.
    fn supplied(&self, place: usize, groups: &[(Vec<Remedy>, Vec<u32>)]) -> BTreeMap<u32, Vec<Supplied>> {
        let all: Vec<Vec<Vec<Evidence>>> = groups.iter().map(|(remedies, _)| scenarios(remedies)).collect();
        let rounds = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut supplied: BTreeMap<u32, Vec<Supplied>> = BTreeMap::new();
        for round in 0..rounds {
            let mut labels = vec![NONE; self.classes.shapes.len()];
            for (group, ((_, classes), scenarios)) in (0..).zip(groups.iter().zip(&all)) {
                if let Some(evidence) = scenarios.get(round) {
                    label(&mut labels, classes, |class| {
                        group * VERDICTS + self.verdict_with(place, class, evidence) as u32
                    });
                }
            }
            let mut reaches = self.census.reaches(self.traffic.get(place).copied(), &labels);
            for (group, scenarios) in (0..).zip(&all) {
                if let Some(evidence) = scenarios.get(round) {
                    let verdicts = (0..VERDICTS).filter_map(|v| Some((v, reaches.remove(&(group * VERDICTS + v))?)));
                    let result = split(verdicts.collect());
                    supplied.entry(group).or_default().push(Supplied { evidence: evidence.clone(), result });
                }
            }
        }
        supplied
    }

    fn verdict_with(&self, place: usize, class: u32, evidence: &[Evidence]) -> Verdict {
        let (Some(model), Some(facts)) = (self.models.get(place), self.docket.facts(class)) else {
            return Verdict::Deny;
        };
        let mut facts = Facts { model: model.clone(), ..facts.clone() };
        evidence.iter().for_each(|evidence| self.supply(&mut facts, *evidence));
        Answer::of(&decide(self.plan.after, &facts)).verdict()
    }

    /// Changes facts as if evidence had come in just now.
    fn supply(&self, facts: &mut Facts, evidence: Evidence) {
        let at = facts.at;
        let tenant = facts.credential.organization.clone();
        match evidence {
            Evidence::StandingRenewed => people(facts, |person| renew(person, at, is_standing)),
            Evidence::StandingCitizen => {
                people(facts, |person| attest(person, at, Claim::UsPerson { limb: UsPersonLimb::Citizen }));
            }
            Evidence::StandingForeign => people(facts, |person| attest(person, at, Claim::ForeignPerson)),
            Evidence::LocationRenewed => people(facts, |person| renew(person, at, is_location)),
            Evidence::LocationUnitedStates => {
                let here = Claim::Location { country: Country::US, method: LocationMethod::Managed };
                people(facts, |person| attest(person, at, here.clone()));
            }
            Evidence::NationalityRenewed => people(facts, |person| renew(person, at, is_tie)),
            Evidence::NationalityOrdinary => {
                if let Some(country) = self.shaper.lens.ordinary() {
                    let claim = Claim::Citizenship { country, from: Some(at), until: None };
                    people(facts, |person| attest(person, at, claim.clone()));
                }
            }
            Evidence::Employed => people(facts, |person| employ(person, at, tenant.as_ref())),
            Evidence::ScreeningCleared => clear_screening(facts),
            Evidence::OwnershipCleared => clear_ownership(facts),
            Evidence::RecipientsNamed => name_recipients(facts),
            Evidence::EndUseDeclared => {
                let licenses = self.plan.after.document().licenses.iter();
                facts.credential.end_use = licenses.flat_map(crate::License::end_uses).next().cloned();
            }
        }
    }
}

/// How many verdicts there are.
const VERDICTS: u32 = 3;

fn label(labels: &mut [u32], classes: &[u32], of: impl Fn(u32) -> u32) {
    for class in classes {
        labels.get_mut(index(*class)).into_iter().for_each(|label| *label = of(*class));
    }
}

/// Returns the ways in which a remedy can be supposed; none if it is no evidence about the caller.
fn variants(remedy: Remedy) -> &'static [Evidence] {
    match remedy {
        Remedy::AttestStanding => &[Evidence::StandingRenewed, Evidence::StandingCitizen, Evidence::StandingForeign],
        Remedy::AttestLocation => &[Evidence::LocationRenewed, Evidence::LocationUnitedStates],
        Remedy::AttestNationality => &[Evidence::NationalityRenewed, Evidence::NationalityOrdinary],
        Remedy::DeclareEndUse => &[Evidence::EndUseDeclared],
        Remedy::AttestEmployment => &[Evidence::Employed],
        Remedy::AdjudicateScreening => &[Evidence::ScreeningCleared],
        Remedy::ResolveOwnership => &[Evidence::OwnershipCleared],
        Remedy::NameRecipients => &[Evidence::RecipientsNamed],
        Remedy::CounselRuling | Remedy::IdentifyEndUsers => &[],
    }
}

/// Returns every combination of one way for each remedy that can be supposed.
fn scenarios(remedies: &[Remedy]) -> Vec<Vec<Evidence>> {
    let mut scenarios = vec![Vec::new()];
    for remedy in remedies {
        let ways = variants(*remedy);
        if !ways.is_empty() {
            let with = |scenario: &Vec<Evidence>, way: &Evidence| scenario.iter().chain([way]).copied().collect();
            scenarios = scenarios.iter().flat_map(|s| ways.iter().map(move |way| with(s, way))).collect();
        }
    }
    scenarios.retain(|scenario: &Vec<Evidence>| !scenario.is_empty());
    scenarios
}

fn people(facts: &mut Facts, change: impl Fn(&mut Person)) {
    let changed = |person: &mut Arc<Person>| change(Arc::make_mut(person));
    match &mut facts.caller {
        CallerFacts::Person { person } => changed(person),
        CallerFacts::Workload { owners, recipients, .. } => owners.iter_mut().chain(recipients).for_each(changed),
        CallerFacts::Unbound => {}
    }
}

fn renew(person: &mut Person, at: Moment, question: fn(&Claim) -> bool) {
    for attestation in person.attestations.iter_mut().filter(|attestation| question(&attestation.claim)) {
        *attestation = Attestation { issued_at: at, assurance: Assurance::Ial3, ..attestation.clone() };
    }
}

fn attest(person: &mut Person, at: Moment, claim: Claim) {
    let number = person.attestations.len();
    person.attestations.extend(restore::attestation(&person.id, number, claim, Assurance::Ial3, at));
}

fn employ(person: &mut Person, at: Moment, tenant: Option<&terms::OrganizationId>) {
    let names = (terms::AffiliationId::parse("supplied").ok(), terms::IssuerId::parse("supplied").ok());
    if let (Some(organization), (Some(id), Some(issuer))) = (tenant, names) {
        person.affiliations.push(Affiliation {
            id,
            person: person.id.clone(),
            organization: organization.clone(),
            engagement: Engagement::Employee,
            issuer,
            evidence: String::new(),
            attested_at: at,
            ends_at: Moment::MAX,
            channel: None,
        });
    }
}

fn clear_screening(facts: &mut Facts) {
    people(facts, |person| cleared(&mut person.screening));
    facts.organizations.iter_mut().for_each(|o| cleared(&mut Arc::make_mut(o).screening));
}

fn cleared(screening: &mut Screening) {
    if *screening == Screening::Review {
        *screening = Screening::Cleared;
    }
}

fn clear_ownership(facts: &mut Facts) {
    for organization in &mut facts.organizations {
        if organization.coverage == Coverage::Undetermined {
            Arc::make_mut(organization).coverage = Coverage::None;
        }
    }
}

fn name_recipients(facts: &mut Facts) {
    if let CallerFacts::Workload { workload, owners, recipients } = &mut facts.caller {
        let everyone: Vec<PersonId> = owners.iter().chain(recipients.iter()).map(|person| person.id.clone()).collect();
        let all: Vec<Arc<Person>> = owners.iter().chain(recipients.iter()).cloned().collect();
        let workload = Arc::make_mut(workload);
        (workload.owners, workload.recipients) = (everyone.clone(), everyone);
        (*owners, *recipients) = (all.clone(), all);
    }
}

fn is_standing(claim: &Claim) -> bool {
    matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson)
}

fn is_location(claim: &Claim) -> bool {
    matches!(claim, Claim::Location { .. })
}

fn is_tie(claim: &Claim) -> bool {
    matches!(claim, Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless)
}
