//! What happens at the moment at which an answer ends.
//!
//! A determination says up to when time alone does not change it; this module says what that moment is. It looks at
//! every date in the facts and in the snapshot and names those that fall on it.

use std::time::Duration;

use serde::Serialize;
use terms::{Attestation, Claim, Moment, Person};

use super::people::everybody;
use crate::{Directive, Facts, License, Snapshot};

/// Something that happens at a moment.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Boundary {
    /// What happens, in words that follow the id of the thing.
    pub what: &'static str,
    /// The id of the thing: a key, an attestation, an affiliation, an instrument or a provision.
    pub about: String,
}

/// Returns what happens at `moment`, in order; empty for [`Moment::MAX`].
pub(super) fn at(snapshot: &Snapshot, facts: &Facts, moment: Moment) -> Vec<Boundary> {
    if moment == Moment::MAX {
        return Vec::new();
    }
    let mut found: Vec<Boundary> = Vec::new();
    let mut note = |when: Moment, what: &'static str, about: &str| {
        if when == moment {
            found.push(Boundary { what, about: about.to_owned() });
        }
    };
    let document = snapshot.document();
    note(facts.credential.expires_at, "expires", facts.credential.id.as_str());
    for person in everybody(&facts.caller) {
        evidence(person, &document.directives, &mut note);
        affiliations(person, &document.directives, &mut note);
    }
    for relied in &facts.channels {
        note(relied.until, "has not been heard for too long", relied.channel.as_str());
    }
    document.directives.iter().for_each(|directive| of_directive(directive, &mut note));
    document.licenses.iter().for_each(|license| of_license(license, facts.at, &mut note));
    for regime in &document.regimes {
        regime.boundaries().into_iter().for_each(|when| note(when, "changes what is in force", regime.id().as_str()));
    }
    found.sort();
    found.dedup();
    found
}

fn evidence(person: &Person, directives: &[Directive], note: &mut impl FnMut(Moment, &'static str, &str)) {
    for attestation in &person.attestations {
        let id = attestation.id.as_str();
        note(attestation.issued_at, "begins to count", id);
        note(attestation.expires_at, "expires", id);
        for directive in directives {
            let old = attestation.issued_at.plus(directive.max_age());
            note(old, "becomes older than a directive allows", id);
        }
        let (from, until) = span(attestation);
        from.into_iter().for_each(|from| note(from, "states something that begins", id));
        until.into_iter().for_each(|until| note(until, "states something that ends", id));
    }
}

fn span(attestation: &Attestation) -> (Option<Moment>, Option<Moment>) {
    match attestation.claim {
        Claim::Citizenship { from, until, .. } | Claim::PermanentResidency { from, until, .. } => (from, until),
        Claim::UsPerson { .. } | Claim::ForeignPerson | Claim::Stateless | Claim::Location { .. } => (None, None),
    }
}

fn affiliations(person: &Person, directives: &[Directive], note: &mut impl FnMut(Moment, &'static str, &str)) {
    let ages: Vec<Duration> = directives.iter().filter_map(Directive::employment_max_age).collect();
    for affiliation in &person.affiliations {
        let id = affiliation.id.as_str();
        note(affiliation.attested_at, "begins", id);
        note(affiliation.ends_at, "ends", id);
        for age in &ages {
            note(affiliation.attested_at.plus(*age), "becomes older than a directive allows", id);
        }
    }
}

fn of_directive(directive: &Directive, note: &mut impl FnMut(Moment, &'static str, &str)) {
    let id = directive.id().as_str();
    note(directive.status_since(), "has a version that begins to speak", id);
    note(directive.binds_at(), "begins to bind", id);
    directive.expires_at().into_iter().for_each(|end| note(end, "expires", id));
}

fn of_license(license: &License, now: Moment, note: &mut impl FnMut(Moment, &'static str, &str)) {
    let id = license.id().as_str();
    note(license.status_since(), "has a version that begins to speak", id);
    note(license.valid_from(), "begins to authorize", id);
    license.valid_until().into_iter().for_each(|end| note(end, "expires", id));
    license.token_caps().for_each(|(_, per)| note(per.end(now), "begins a new period of its cap", id));
}
