//! Attestations, which are only ever superseded or withdrawn, and affiliations, which end.

use terms::{Affiliation, AffiliationId, Attestation, AttestationId, Claim, Moment, Person, PersonId};

use super::{
    AffiliationEnd, Changed, NewAffiliation, NewAttestation, Registrar, WithdrawalReason, checks::Checks,
    parties::free, random_id,
};
use crate::{
    Fault,
    record::{Record, Withdrawal},
    store::Store,
};

/// The most attestations, and the most affiliations, that one person may hold at a time: each is weighed in every decision.
const HELD_MAX: usize = 64;

impl Registrar<'_> {
    /// Adds an attestation, in place of the one it supersedes if it names one.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming each fault, [`Fault::Conflict`] if the id is taken, [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn add_attestation(&self, new: NewAttestation) -> Result<Changed<Attestation>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let attestation = Attestation {
            id: match new.id {
                Some(id) => id,
                None => made(AttestationId::parse(&random_id("att")?))?,
            },
            person: new.person,
            claim: new.claim,
            issuer: new.issuer,
            evidence: new.evidence,
            assurance: new.assurance,
            issued_at: new.issued_at,
            expires_at: new.expires_at,
            supersedes: new.supersedes,
            channel: None,
            fresh_until: None,
            means: None,
        };
        let taken = registry.store.attestation(&attestation.id)?.is_some();
        free(taken, "attestation", &attestation.id)?;
        check_attestation(&registry.store, &attestation, self.0.now())?;
        let code = match attestation.supersedes {
            Some(_) => "attestation.supersede",
            None => "attestation.add",
        };
        let record = Record::Attestation(attestation.clone());
        self.0.commit(&mut registry, code, record, attestation)
    }

    /// Withdraws an attestation that no longer holds and that no other replaces; returns the person without it.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it is no longer held, [`Fault::Invalid`], [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn withdraw_attestation(&self, id: &AttestationId, why: WithdrawalReason) -> Result<Changed<Person>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let attestation = registry.store.attestation(id)?;
        let attestation = attestation.ok_or_else(|| Fault::not_found("attestation", id))?;
        if !registry.store.is_held(id)? {
            let detail = format!("attestation `{id}` is already superseded or withdrawn");
            return Err(Fault::Conflict(detail));
        }
        let mut checks = Checks::default();
        checks.text(&why.reason, "reason");
        checks.finish()?;
        let record = Record::Withdrawal(Withdrawal {
            attestation: attestation.id,
            person: attestation.person.clone(),
            reason: why.reason,
            at: self.0.now(),
        });
        let code = "attestation.withdraw";
        let changed = self.0.commit(&mut registry, code, record, ())?;
        self.with_person(&registry, changed, &attestation.person)
    }

    /// Adds an affiliation.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming each fault, [`Fault::Conflict`] if the id is taken, [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn add_affiliation(&self, new: NewAffiliation) -> Result<Changed<Affiliation>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let affiliation = Affiliation {
            id: match new.id {
                Some(id) => id,
                None => made(AffiliationId::parse(&random_id("aff")?))?,
            },
            person: new.person,
            organization: new.organization,
            engagement: new.engagement,
            issuer: new.issuer,
            evidence: new.evidence,
            attested_at: new.attested_at,
            ends_at: new.ends_at,
            channel: None,
        };
        let taken = registry.store.affiliation(&affiliation.id)?.is_some();
        free(taken, "affiliation", &affiliation.id)?;
        check_affiliation(&registry.store, &affiliation, self.0.now())?;
        let record = Record::Affiliation(affiliation.clone());
        let code = "affiliation.add";
        self.0.commit(&mut registry, code, record, affiliation)
    }

    /// Ends an affiliation, now or earlier than it would have ended.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it has ended, [`Fault::Invalid`], [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn end_affiliation(&self, id: &AffiliationId, end: &AffiliationEnd) -> Result<Changed<Affiliation>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let old = registry.store.affiliation(id)?;
        let old = old.ok_or_else(|| Fault::not_found("affiliation", id))?;
        let now = self.0.now();
        if old.ends_at <= now {
            let detail = format!("affiliation `{id}` ended at {}", old.ends_at);
            return Err(Fault::Conflict(detail));
        }
        let ends_at = end.ends_at.unwrap_or(now);
        if ends_at > old.ends_at {
            let detail = format!(
                "must not be later than its present end, {}: add an affiliation with new evidence instead",
                old.ends_at
            );
            return Err(Fault::invalid("ends_at", detail));
        }
        let new = Affiliation { ends_at, ..old };
        let record = Record::Affiliation(new.clone());
        self.0.commit(&mut registry, "affiliation.end", record, new)
    }
}

fn check_attestation(store: &Store, new: &Attestation, now: Moment) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.text(&new.evidence, "evidence");
    let (issued, expires) = (new.issued_at, new.expires_at);
    checks.span(now, (issued, "issued_at"), (expires, "expires_at"));
    check_claim(&mut checks, &new.claim);
    check_person(&mut checks, store, &new.person, |person| {
        // What is superseded makes room for its successor.
        person.attestations.len() < HELD_MAX + usize::from(new.supersedes.is_some())
    })?;
    if let Some(old) = &new.supersedes {
        check_superseded(&mut checks, store, new, old)?;
    }
    checks.finish()
}

fn check_claim(checks: &mut Checks, claim: &Claim) {
    if let Claim::Citizenship { from, until, .. } | Claim::PermanentResidency { from, until, .. } = claim {
        let ordered = from.zip(*until).is_none_or(|(from, until)| from < until);
        checks.require(ordered, "claim.until", "must be after `claim.from`");
    }
}

/// An attestation may replace only one that is held, about the same person and by the same issuer: nobody's evidence is
/// removed by another's word.
fn check_superseded(checks: &mut Checks, store: &Store, new: &Attestation, old: &AttestationId) -> Result<(), Fault> {
    let Some(old) = store.attestation(old)? else {
        checks.require(false, "supersedes", "must be a registered attestation");
        return Ok(());
    };
    let same = old.person == new.person;
    let detail = "must be an attestation about the same person";
    checks.require(same, "supersedes", detail);
    let detail = "must be an attestation by the same issuer: withdraw the other one instead";
    checks.require(old.issuer == new.issuer, "supersedes", detail);
    let detail = "must still be held: it is already superseded or withdrawn";
    checks.require(store.is_held(&old.id)?, "supersedes", detail);
    Ok(())
}

fn check_affiliation(store: &Store, new: &Affiliation, now: Moment) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.text(&new.evidence, "evidence");
    let (attested, ends) = (new.attested_at, new.ends_at);
    checks.span(now, (attested, "attested_at"), (ends, "ends_at"));
    let known = store.organization(&new.organization)?.is_some();
    let detail = "must be a registered organization: add it first";
    checks.require(known, "organization", detail);
    check_person(&mut checks, store, &new.person, |person| {
        let held = person.affiliations.iter().filter(|held| held.ends_at > now);
        held.count() < HELD_MAX
    })?;
    checks.finish()
}

fn check_person(
    checks: &mut Checks,
    store: &Store,
    id: &PersonId,
    has_room: impl Fn(&Person) -> bool,
) -> Result<(), Fault> {
    let person = store.person(id)?;
    let detail = "must be a registered person: add them first";
    checks.require(person.is_some(), "person", detail);
    let room = person.as_ref().is_none_or(has_room);
    checks.require(room, "person", "already holds 64, the most allowed");
    Ok(())
}

/// An id that we made ourselves fits the grammar; should it not, nothing is done.
fn made<T>(id: Result<T, terms::BadId>) -> Result<T, Fault> {
    id.map_err(|error| Fault::invalid("id", error.to_string()))
}
