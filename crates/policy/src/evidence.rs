//! What the attestations about one person establish at one moment.

use std::{collections::BTreeSet, time::Duration};

use terms::{Affiliation, Assurance, Attestation, Claim, Country, LocationMethod, Moment, Person, Standing};

/// The moment of a decision, and the earliest later moment at which some comparison with it turns out otherwise.
///
/// Every comparison of a decision with time goes through [`Horizon::reached`]. So at any moment before
/// [`Horizon::until`] each of them has the same outcome, and the decision is the same.
#[derive(Debug)]
pub(crate) struct Horizon {
    at: Moment,
    until: Moment,
}

impl Horizon {
    pub(crate) fn at(at: Moment) -> Self {
        Self {
            at,
            until: Moment::MAX,
        }
    }

    /// Returns true if `moment` is now or past.
    pub(crate) fn reached(&mut self, moment: Moment) -> bool {
        let reached = moment <= self.at;
        if !reached {
            self.until = self.until.min(moment);
        }
        reached
    }

    pub(crate) fn until(&self) -> Moment {
        self.until
    }
}

/// What evidence must be to establish anything in a caller's favor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    /// The least assurance.
    pub(crate) min_assurance: Assurance,
    /// The greatest age, if any.
    pub(crate) max_age: Option<Duration>,
}

impl Bar {
    /// Anything current.
    pub(crate) const ANY: Self = Self {
        min_assurance: Assurance::None,
        max_age: None,
    };
    /// Anything current at IAL2 or better.
    pub(crate) const IAL2: Self = Self {
        min_assurance: Assurance::Ial2,
        max_age: None,
    };

    fn met_by(self, attestation: &Attestation, horizon: &mut Horizon) -> bool {
        let stale = self
            .max_age
            .is_some_and(|age| horizon.reached(attestation.issued_at.plus(age)));
        attestation.assurance >= self.min_assurance && !stale
    }
}

/// Establishes where a person stands under 15 CFR 772.1.
///
/// Each issuer's latest word counts. A claim that the person is foreign counts against any other claim whatever
/// its assurance or age; a contradiction leaves the person unattested.
pub(crate) fn standing(person: &Person, bar: Bar, horizon: &mut Horizon) -> Standing {
    let is_standing = |claim: &Claim| matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson);
    let (mut foreign, mut foreign_met, mut limb) = (false, false, None);
    for word in latest_words(person, is_standing, horizon) {
        let met = bar.met_by(word, horizon);
        match word.claim {
            Claim::UsPerson { limb: stated } if met => {
                limb = Some(limb.map_or(stated, |known: terms::UsPersonLimb| known.min(stated)));
            }
            Claim::ForeignPerson => (foreign, foreign_met) = (true, foreign_met || met),
            _ => {}
        }
    }
    match (limb, foreign) {
        (Some(limb), false) => Standing::UsPerson(limb),
        (None, true) if foreign_met => Standing::ForeignPerson,
        _ => Standing::Unattested,
    }
}

/// What is claimed and what is established about a person's location.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    /// Every country that a current claim names: what speaks against the person.
    pub(crate) claimed: BTreeSet<Country>,
    /// The country that is established: all claims agree and one of them is good enough.
    pub(crate) established: Option<Country>,
}

/// Establishes where a person is. A network address can contradict a location and never establish one.
pub(crate) fn whereabouts(person: &Person, bar: Bar, horizon: &mut Horizon) -> Whereabouts {
    let mut found = Whereabouts::default();
    let mut good = false;
    for word in latest_words(person, |claim| matches!(claim, Claim::Location { .. }), horizon) {
        if let Claim::Location { country, method } = word.claim {
            found.claimed.insert(country);
            good |= method != LocationMethod::Network && bar.met_by(word, horizon);
        }
    }
    if good && found.claimed.len() == 1 {
        found.established = found.claimed.first().copied();
    }
    found
}

/// Returns the affiliations of a person that hold now.
pub(crate) fn affiliations<'a>(person: &'a Person, horizon: &mut Horizon) -> Vec<&'a Affiliation> {
    let own = person.affiliations.iter().filter(|a| a.person == person.id);
    own.filter(|a| horizon.reached(a.attested_at) && !horizon.reached(a.ends_at))
        .collect()
}

/// Returns each issuer's latest statements on one question that are neither superseded nor expired.
///
/// A later statement replaces an earlier one of the same issuer even after it expired: what an issuer has taken
/// back does not return by silence.
fn latest_words<'a>(
    person: &'a Person,
    question: impl Fn(&Claim) -> bool,
    horizon: &mut Horizon,
) -> Vec<&'a Attestation> {
    let own = person.attestations.iter().filter(|a| a.person == person.id);
    let heard: Vec<&Attestation> = own.filter(|a| horizon.reached(a.issued_at)).collect();
    let replaced = |word: &Attestation| {
        let later = |other: &&Attestation| {
            question(&other.claim) && other.issuer == word.issuer && other.issued_at > word.issued_at
        };
        let supersedes = |other: &&Attestation| {
            other.id != word.id && other.supersedes.as_ref() == Some(&word.id)
        };
        heard.iter().any(|other| later(other) || supersedes(other))
    };
    let words = heard.iter().filter(|word| question(&word.claim) && !replaced(word));
    words.filter(|word| !horizon.reached(word.expires_at)).copied().collect()
}
