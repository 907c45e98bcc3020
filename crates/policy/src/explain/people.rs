//! Each person behind a call: what is established about them, by which evidence, and for how long.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Country, Engagement, IssuerId,
    ModelVersionId, Moment, OrganizationId, Person, PersonId, Screening, Standing, UsPersonLimb,
};

use crate::{
    CallerFacts, Directive, Facts, Snapshot,
    decide::Inquiry,
    evidence::{self, Bar, Horizon, Now},
    instrument::NationalityRule,
    nationality::{self, Nationality},
};

/// One person behind a call.
#[derive(Clone, Debug, Serialize)]
pub struct PersonState {
    /// Their id.
    pub id: PersonId,
    /// False once access was withdrawn by an operator.
    pub active: bool,
    /// The result of their screening.
    pub screening: Screening,
    /// What is established, once under the bar of each directive in effect; once under no bar if none is.
    pub readings: Vec<Reading>,
    /// For whom they act, ended and coming ones too; in order of id.
    pub affiliations: Vec<AffiliationState>,
}

/// What is established about a person under one bar.
#[derive(Clone, Debug, Serialize)]
pub struct Reading {
    /// The directive whose bar it is; absent if none is in effect.
    pub under: Option<String>,
    /// The least assurance that establishes anything.
    pub min_assurance: Assurance,
    /// The greatest age of evidence, in seconds, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// `us_person`, `foreign_person` or `unattested`, under 15 CFR 772.1.
    pub standing: &'static str,
    /// The limb by which they are a U.S. person.
    pub limb: Option<UsPersonLimb>,
    /// Where they are, if that is established.
    pub location: Option<Country>,
    /// The country that counts under 15 CFR 734.13(b), where an instrument asks; empty if not established.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nationality_ear: Option<BTreeSet<Country>>,
    /// The countries that count under 22 CFR 120.51(b), where an instrument asks; empty if not established.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nationality_itar: Option<BTreeSet<Country>>,
    /// Every attestation about them, in order of id.
    pub evidence: Vec<EvidenceState>,
}

/// One attestation under one bar.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceState {
    /// Its id.
    pub id: AttestationId,
    /// The kind of its claim.
    pub claims: &'static str,
    /// Who states it.
    pub issuer: IssuerId,
    /// How well it was proofed.
    pub assurance: Assurance,
    /// When it was issued.
    pub issued_at: Moment,
    /// How old it is, in seconds.
    pub age_seconds: u64,
    /// When it stops counting under this bar, whatever else happens.
    pub counts_until: Moment,
    /// True if it is heard and good enough to establish what it states.
    pub counts: bool,
    /// Why it establishes nothing, if so. What speaks against a person is heard all the same.
    pub why_not: Option<&'static str>,
}

/// One affiliation, now.
#[derive(Clone, Debug, Serialize)]
pub struct AffiliationState {
    /// Its id.
    pub id: AffiliationId,
    /// For whom.
    pub organization: OrganizationId,
    /// In what capacity.
    pub engagement: Engagement,
    /// Who attests it.
    pub issuer: IssuerId,
    /// When it was last attested.
    pub attested_at: Moment,
    /// When it ends.
    pub ends_at: Moment,
    /// True if it holds now.
    pub current: bool,
    /// True if it holds now and is older than a directive in effect allows.
    pub stale: bool,
}

/// Returns everybody behind a call; whoever is both owner and recipient of a workload once, in order of id.
pub(super) fn everybody(caller: &CallerFacts) -> Vec<&Person> {
    let mut people: Vec<&Arc<Person>> = match caller {
        CallerFacts::Person { person } => vec![person],
        CallerFacts::Workload { owners, recipients, .. } => owners.iter().chain(recipients).collect(),
        CallerFacts::Unbound => Vec::new(),
    };
    people.sort_by(|a, b| a.id.cmp(&b.id));
    people.dedup_by(|a, b| a.id == b.id);
    people.into_iter().map(Arc::as_ref).collect()
}

/// Returns the state of everybody behind a call, under the bars of the directives in effect on any of `models`.
pub(super) fn states(snapshot: &Snapshot, facts: &Facts, models: &[&ModelVersionId]) -> Vec<PersonState> {
    let mut inquiry = Inquiry::begin(snapshot, facts);
    let mut directives: Vec<&Directive> = Vec::new();
    for (_, directive) in models.iter().flat_map(|model| inquiry.gates(model)) {
        if !directives.iter().any(|known| known.id() == directive.id()) {
            directives.push(directive);
        }
    }
    let asks = snapshot.rules().asks().nationality;
    let state = |person: &Person| PersonState {
        id: person.id.clone(),
        active: person.active,
        screening: person.screening,
        readings: readings(person, &directives, asks, facts.now()),
        affiliations: person.affiliations.iter().map(|a| affiliation(a, person, &directives, facts.now())).collect(),
    };
    everybody(&facts.caller).into_iter().map(state).collect()
}

fn readings(person: &Person, directives: &[&Directive], asks: bool, now: Now<'_>) -> Vec<Reading> {
    if directives.is_empty() {
        return vec![reading(person, None, Bar::ANY, asks, now)];
    }
    let bar =
        |directive: &&&Directive| Bar { min_assurance: directive.min_assurance(), max_age: Some(directive.max_age()) };
    directives.iter().map(|directive| reading(person, Some(directive), bar(&directive), asks, now)).collect()
}

fn reading(person: &Person, under: Option<&&Directive>, bar: Bar, asks: bool, now: Now<'_>) -> Reading {
    let horizon = &mut Horizon::of(now);
    let (standing, limb) = match evidence::standing(person, bar, horizon) {
        Standing::UsPerson(limb) => ("us_person", Some(limb)),
        Standing::ForeignPerson => ("foreign_person", None),
        Standing::Unattested => ("unattested", None),
    };
    let mut national = |rule| asks.then(|| countries(nationality::nationality(person, rule, bar, horizon)));
    Reading {
        under: under.map(|directive| directive.id().to_string()),
        min_assurance: bar.min_assurance,
        max_age_seconds: bar.max_age.map(|age| age.as_secs()),
        standing,
        limb,
        nationality_ear: national(NationalityRule::Ear),
        nationality_itar: national(NationalityRule::Itar),
        location: evidence::whereabouts(person, bar, horizon).established,
        evidence: person.attestations.iter().map(|word| heard(word, person, bar, now)).collect(),
    }
}

fn countries(nationality: Nationality) -> BTreeSet<Country> {
    match nationality {
        Nationality::Of(countries) => countries,
        Nationality::Stateless | Nationality::Unknown => BTreeSet::new(),
    }
}

fn heard(word: &Attestation, person: &Person, bar: Bar, now: Now<'_>) -> EvidenceState {
    let why_not = why_not(word, person, bar, now);
    let too_old = bar.max_age.map_or(Moment::MAX, |age| word.issued_at.plus(age));
    EvidenceState {
        id: word.id.clone(),
        claims: kind(&word.claim),
        issuer: word.issuer.clone(),
        assurance: word.assurance,
        issued_at: word.issued_at,
        age_seconds: now.at.since(word.issued_at).as_secs(),
        counts_until: word.expires_at.min(too_old),
        counts: why_not.is_none(),
        why_not,
    }
}

/// Says why an attestation establishes nothing, asking the functions that establish.
fn why_not(word: &Attestation, person: &Person, bar: Bar, now: Now<'_>) -> Option<&'static str> {
    let horizon = &mut Horizon::of(now);
    let is_heard = is_heard(word, person, horizon);
    if is_heard && bar.met_by(word, horizon) {
        return None;
    }
    Some(match () {
        () if word.person != person.id => "is about somebody else",
        () if !horizon.reached(word.issued_at) => "is not issued yet",
        () if horizon.reached(word.expires_at) => "has expired",
        () if !is_heard => "was replaced by a later statement",
        () if horizon.silent(word.channel.as_ref()) => "rests on a source that has not been heard for too long",
        () if word.assurance < bar.min_assurance => "is of less assurance than asked for",
        () => "is older than allowed",
    })
}

/// Tells whether an attestation would establish something under one of `bars` if it were issued once more now.
pub(super) fn is_stale(word: &Attestation, person: &Person, bars: &[Bar], now: Now<'_>) -> bool {
    let horizon = &mut Horizon::of(now);
    let expired = horizon.reached(word.expires_at);
    let begun = word.person == person.id && horizon.reached(word.issued_at);
    let old = |bar: &Bar| bar.max_age.is_some_and(|age| word.issued_at.plus(age) <= now.at);
    let silent = horizon.silent(word.channel.as_ref());
    begun && (expired || silent || bars.iter().any(old))
}

fn is_heard(word: &Attestation, person: &Person, horizon: &mut Horizon<'_>) -> bool {
    let is_same = |claim: &Claim| question(claim) == question(&word.claim);
    let heard = match question(&word.claim) {
        Question::Nationality => {
            let words = evidence::unsuperseded(person, is_same, horizon).into_iter();
            words.filter(|(_, current)| *current).map(|(word, _)| word).collect()
        }
        Question::Standing | Question::Location => evidence::latest_words(person, is_same, horizon),
    };
    heard.iter().any(|other| other.id == word.id)
}

/// What a claim is an answer to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Question {
    Standing,
    Nationality,
    Location,
}

pub(super) fn question(claim: &Claim) -> Question {
    match claim {
        Claim::UsPerson { .. } | Claim::ForeignPerson => Question::Standing,
        Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless => Question::Nationality,
        Claim::Location { .. } => Question::Location,
    }
}

fn kind(claim: &Claim) -> &'static str {
    match claim {
        Claim::UsPerson { .. } => "us_person",
        Claim::ForeignPerson => "foreign_person",
        Claim::Citizenship { .. } => "citizenship",
        Claim::PermanentResidency { .. } => "permanent_residency",
        Claim::Stateless => "stateless",
        Claim::Location { .. } => "location",
    }
}

fn affiliation(
    affiliation: &Affiliation,
    person: &Person,
    directives: &[&Directive],
    now: Now<'_>,
) -> AffiliationState {
    let horizon = &mut Horizon::of(now);
    let current = evidence::affiliations(person, horizon).iter().any(|held| held.id == affiliation.id);
    let ages = directives.iter().filter_map(|directive| directive.employment_max_age());
    let stale = ages.map(|age| affiliation.attested_at.plus(age)).any(|moment| horizon.reached(moment));
    AffiliationState {
        id: affiliation.id.clone(),
        organization: affiliation.organization.clone(),
        engagement: affiliation.engagement,
        issuer: affiliation.issuer.clone(),
        attested_at: affiliation.attested_at,
        ends_at: affiliation.ends_at,
        current,
        stale: current && stale,
    }
}
