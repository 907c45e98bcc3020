//! Who was who, as the entries up to a moment say.

use std::{collections::BTreeMap, sync::Arc};

use identity::KeyRecord;
use policy::Reliance;
use proof::entry::Kind;
use terms::{
    Account, Affiliation, AffiliationId, Attestation, AttestationId, Channel, ChannelId, KeyId, Moment, Organization,
    OrganizationId, Person, PersonId, SubjectName, Workload, WorkloadId,
};

use super::{History, Known, scan};
use crate::{
    Fault, FollowError,
    record::{AccountRecord, Envelope, PersonRecord, Record, Withdrawal},
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
    /// Whom each name at a source stood for; none from when on it stood for nobody.
    accounts: BTreeMap<(ChannelId, SubjectName), Dated<Option<AccountRecord>>>,
    channels: BTreeMap<ChannelId, Dated<Channel>>,
    heard: BTreeMap<ChannelId, Vec<Moment>>,
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
        self.by(at).or_else(|| self.0.first().map(|(_, state)| state))
    }

    /// Returns the last state recorded by a moment.
    fn by(&self, at: Moment) -> Option<&T> {
        self.0.iter().rev().find(|(recorded, _)| *recorded <= at).map(|(_, state)| state)
    }
}

impl History<'_> {
    /// Goes through the log up to a moment.
    pub(crate) fn past(self, known_at: Moment) -> Result<Past, Fault> {
        self.check_known_at(known_at)?;
        let mut past = Past::default();
        scan::up_to(&self.inner.ledger, known_at, |found| {
            // What was destroyed with its subject's key is as if it had never been registered.
            if found.entry.kind == Kind::Registry && !found.private.is_empty() {
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
            Record::Account(body) => self.learn_account(at, body, true),
            Record::AccountGone(body) => self.learn_account(at, body, false),
            Record::Channel(body) => self.channels.entry(body.id.clone()).or_default().0.push((at, body)),
            Record::Heard(body) => self.heard.entry(body.channel).or_default().push(body.at),
            Record::Signal(signal) => signal.changes.into_iter().for_each(|change| self.learn(at, change)),
            Record::SessionEnd(_)
            | Record::Document(_)
            | Record::DocumentGone { .. }
            | Record::Review(_)
            | Record::AdminToken(_)
            | Record::Directive(_)
            | Record::License(_)
            | Record::Approver(_)
            | Record::Approval(_)
            | Record::BreakGlass(_)
            | Record::Production(_)
            | Record::Hold(_) => {}
        }
    }

    fn learn_account(&mut self, at: Moment, body: AccountRecord, stands: bool) {
        let named = (body.account.channel.clone(), body.account.subject.clone());
        self.accounts.entry(named).or_default().0.push((at, stands.then_some(body)));
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

impl<'a> PastAt<'a> {
    fn accounts(self, person: &'a PersonId) -> impl Iterator<Item = Account> {
        let stood = self.past.accounts.values().filter_map(move |account| account.by(self.at)?.as_ref());
        stood.filter(move |record| record.person == *person).map(|record| record.account.clone())
    }
}

impl Known for PastAt<'_> {
    fn reliance(&self, id: &ChannelId) -> Option<Reliance> {
        let known = self.past.channels.get(id)?.by(self.at)?;
        let heard = self.past.heard.get(id).into_iter().flatten().filter(|heard| **heard <= self.at).max();
        let heard_at = heard.copied().unwrap_or(known.heard_at).max(known.heard_at);
        Some(Reliance { channel: id.clone(), until: Channel { heard_at, ..known.clone() }.stale_at() })
    }

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
            accounts: self.accounts(id).collect(),
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
