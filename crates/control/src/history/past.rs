//! Who was who, as the entries up to a moment say.

use std::{collections::BTreeMap, sync::Arc};

use identity::KeyRecord;
use proof::entry::Kind;
use terms::{
    Affiliation, AffiliationId, Attestation, AttestationId, KeyId, Moment, Organization, OrganizationId, Person,
    PersonId, Workload, WorkloadId,
};

use super::{History, Known, scan};
use crate::{
    Fault, FollowError,
    record::{Envelope, PersonRecord, Record, Withdrawal},
};

/// Everything that the entries up to a moment say of whoever can call.
#[derive(Debug, Default)]
pub(crate) struct Past {
    organizations: BTreeMap<OrganizationId, Dated<Organization>>,
    people: BTreeMap<PersonId, Dated<PersonRecord>>,
    workloads: BTreeMap<WorkloadId, Dated<Workload>>,
    attestations: BTreeMap<AttestationId, (Moment, Attestation)>,
    withdrawals: BTreeMap<AttestationId, Withdrawal>,
    affiliations: BTreeMap<AffiliationId, Affiliation>,
    keys: BTreeMap<KeyId, KeyRecord>,
}

/// Something without a date of its own: each state with the time of its entry, in order.
#[derive(Debug)]
struct Dated<T>(Vec<(Moment, T)>);

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Dated<T> {
    /// Returns the state at a moment: the last recorded by then, else the first.
    fn at(&self, at: Moment) -> Option<&T> {
        let by_then = self.0.iter().rev().find(|(recorded, _)| *recorded <= at);
        by_then.or_else(|| self.0.first()).map(|(_, state)| state)
    }
}

impl History<'_> {
    /// Goes through the log up to a moment.
    pub(crate) fn past(self, known_at: Moment) -> Result<Past, Fault> {
        self.check_known_at(known_at)?;
        let mut past = Past::default();
        scan::up_to(&self.inner.ledger, known_at, |found| {
            if found.entry.kind == Kind::Registry {
                let envelope = Envelope::parse(&found.private)
                    .map_err(|error| FollowError::Entry { index: found.index, why: error.to_string() })?;
                past.learn(found.at(), envelope.change);
            }
            Ok(())
        })?;
        Ok(past)
    }
}

impl Past {
    fn learn(&mut self, at: Moment, record: Record) {
        match record {
            Record::Organization(body) => self.organizations.entry(body.id.clone()).or_default().0.push((at, body)),
            Record::Person(body) => self.people.entry(body.id.clone()).or_default().0.push((at, body)),
            Record::Workload(body) => self.workloads.entry(body.id.clone()).or_default().0.push((at, body)),
            Record::Attestation(body) => {
                self.attestations.entry(body.id.clone()).or_insert((at, body));
            }
            Record::Withdrawal(body) => {
                self.withdrawals.entry(body.attestation.clone()).or_insert(body);
            }
            Record::Affiliation(body) => {
                self.affiliations.insert(body.id.clone(), body);
            }
            Record::Key(body) => {
                self.keys.insert(body.id.clone(), body);
            }
            Record::AdminToken(_)
            | Record::Directive(_)
            | Record::License(_)
            | Record::Approver(_)
            | Record::Approval(_)
            | Record::BreakGlass(_) => {}
        }
    }

    pub(crate) fn key(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.keys.get(id)
    }

    pub(crate) fn knows(&self, id: &PersonId) -> bool {
        self.people.contains_key(id)
    }

    /// Returns who was who at a moment, as far as the entries say.
    pub(crate) fn at(&self, at: Moment) -> PastAt<'_> {
        PastAt { past: self, at }
    }

    /// Tells whether an attestation was still held at a moment: not withdrawn by then, and not superseded by one that
    /// was issued or recorded by then.
    fn is_held(&self, attestation: &Attestation, at: Moment) -> bool {
        let withdrawn = self.withdrawals.get(&attestation.id).is_some_and(|withdrawal| withdrawal.at <= at);
        let supersedes = |(recorded, other): &(Moment, Attestation)| {
            other.supersedes.as_ref() == Some(&attestation.id) && (*recorded).min(other.issued_at) <= at
        };
        !withdrawn && !self.attestations.values().any(supersedes)
    }
}

/// Who was who at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PastAt<'a> {
    past: &'a Past,
    at: Moment,
}

impl Known for PastAt<'_> {
    fn person(&self, id: &PersonId) -> Option<Arc<Person>> {
        let record = self.past.people.get(id)?.at(self.at)?;
        let own = self.past.attestations.values().map(|(_, attestation)| attestation);
        let own = own.filter(|attestation| attestation.person == *id);
        let held = own.filter(|attestation| self.past.is_held(attestation, self.at));
        let affiliations = self.past.affiliations.values().filter(|affiliation| affiliation.person == *id);
        Some(Arc::new(Person {
            id: record.id.clone(),
            display_name: record.display_name.clone(),
            screening: record.screening,
            active: record.active,
            attestations: held.cloned().collect(),
            affiliations: affiliations.cloned().collect(),
        }))
    }

    fn organization(&self, id: &OrganizationId) -> Option<Arc<Organization>> {
        let found = self.past.organizations.get(id)?.at(self.at)?;
        Some(Arc::new(found.clone()))
    }

    fn workload(&self, id: &WorkloadId) -> Option<Arc<Workload>> {
        let found = self.past.workloads.get(id)?.at(self.at)?;
        Some(Arc::new(found.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_date_of_its_own_counts_from_its_entry_and_before_the_first_as_that_says() {
        let day = |day: i64| Moment::from_millis(day * 86_400_000);
        let dated = Dated(vec![(day(3), "review"), (day(5), "cleared")]);
        let said = [1, 3, 4, 5, 9].map(|at| *dated.at(day(at)).unwrap());
        assert_eq!(said, ["review", "review", "review", "cleared", "cleared"]);
        assert!(Dated::<u8>::default().at(day(1)).is_none());
    }
}
