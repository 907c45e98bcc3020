//! The registry as a source's message finds it.

use identity::KeyRecord;
use terms::{
    Account, Affiliation, AffiliationId, Attestation, AttestationId, Channel, ChannelId, KeyId, Moment, Organization,
    OrganizationId, Person, PersonId, SubjectName, Workload, WorkloadId,
};

use super::{Document, Review};
use crate::{
    Fault,
    store::{Filter, Page, Store},
};

/// The registry at one moment.
#[derive(Debug)]
pub struct View<'a> {
    store: &'a Store,
    now: Moment,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a Store, now: Moment) -> Self {
        Self { store, now }
    }

    /// Returns when this is.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns a person with the attestations now held, every affiliation and every account.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`]: nothing was changed, try again; so for every method here.
    pub fn person(&self, id: &PersonId) -> Result<Option<Person>, Fault> {
        Ok(self.store.person(id)?)
    }

    /// Returns the person whom a source calls by this name.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn account(&self, channel: &ChannelId, subject: &SubjectName) -> Result<Option<PersonId>, Fault> {
        Ok(self.store.account(channel, subject)?.map(|record| record.person))
    }

    /// Returns what a source calls by this name: the person, and the account as it is.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub(super) fn held_account(
        &self,
        channel: &ChannelId,
        subject: &SubjectName,
    ) -> Result<Option<(PersonId, Account)>, Fault> {
        Ok(self.store.account(channel, subject)?.map(|record| (record.person, record.account)))
    }

    /// Returns whom a source calls by this name but for case, each with the account, in order of subject: for names that are
    /// never told apart by case alone, such as addresses.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn accounts_called(&self, channel: &ChannelId, subject: &str) -> Result<Vec<(PersonId, Account)>, Fault> {
        let records = self.store.accounts_called(channel, subject)?.into_iter();
        Ok(records.map(|record| (record.person, record.account)).collect())
    }

    /// Returns an affiliation, whoever's it is.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub(super) fn affiliation(&self, id: &AffiliationId) -> Result<Option<Affiliation>, Fault> {
        Ok(self.store.affiliation(id)?)
    }

    /// Returns at most `limit` accounts at a source after a subject, in order of subject.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn accounts(&self, channel: &ChannelId, after: &str, limit: u32) -> Result<Vec<(PersonId, Account)>, Fault> {
        let page = Page { after: after.to_owned(), limit };
        let records = self.store.accounts(channel, &page)?.into_iter();
        Ok(records.map(|record| (record.person, record.account)).collect())
    }

    /// Returns at most `limit` of those who act or acted for an organization, after `after`, in order of id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn people_of(&self, organization: &OrganizationId, after: &str, limit: u32) -> Result<Vec<PersonId>, Fault> {
        Ok(self.store.people_of(organization, &Page { after: after.to_owned(), limit })?)
    }

    /// Returns the keys of a person, revoked ones too.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn keys_of(&self, person: &PersonId) -> Result<Vec<KeyRecord>, Fault> {
        let filter = Filter { column: "person", value: person.as_str().to_owned() };
        Ok(self.store.keys(Some(filter), &Page::ALL)?)
    }

    /// Returns a key.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
        Ok(self.store.key(id)?)
    }

    /// Returns an attestation, also one that is superseded or withdrawn.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn attestation(&self, id: &AttestationId) -> Result<Option<Attestation>, Fault> {
        Ok(self.store.attestation(id)?)
    }

    /// Returns true if an attestation is neither superseded nor withdrawn.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn is_held(&self, id: &AttestationId) -> Result<bool, Fault> {
        Ok(self.store.is_held(id)?)
    }

    /// Returns an organization.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, Fault> {
        Ok(self.store.organization(id)?)
    }

    /// Returns a workload.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn workload(&self, id: &WorkloadId) -> Result<Option<Workload>, Fault> {
        Ok(self.store.workload(id)?)
    }

    /// Returns true if a source said that this session or token is over.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn session_ended(&self, channel: &ChannelId, session: &SubjectName) -> Result<bool, Fault> {
        Ok(self.store.has_session_end(channel, session)?)
    }

    /// Returns a channel.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, Fault> {
        Ok(self.store.channel(id)?)
    }

    /// Returns every channel, in order of id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn channels(&self) -> Result<Vec<Channel>, Fault> {
        Ok(self.store.channels(&Page::ALL)?)
    }

    /// Returns a document.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn document(&self, collection: &str, id: &str) -> Result<Option<Document>, Fault> {
        Ok(self.store.document(collection, id)?)
    }

    /// Returns at most `limit` documents of a collection after an id, in order of id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn documents(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<Document>, Fault> {
        Ok(self.store.documents(collection, &Page { after: after.to_owned(), limit })?)
    }

    /// Returns the documents about a person, in order of collection and id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn documents_of(&self, owner: &PersonId) -> Result<Vec<Document>, Fault> {
        Ok(self.store.documents_of(owner)?)
    }

    /// Returns the documents of a collection that have a look-up word, in order of id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn find(&self, collection: &str, term: &str) -> Result<Vec<Document>, Fault> {
        Ok(self.store.documents_with(collection, term)?)
    }

    /// Returns a review, also one that is settled.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn review(&self, id: &str) -> Result<Option<Review>, Fault> {
        Ok(self.store.review(id)?)
    }

    /// Returns how many documents of a collection have a look-up word.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn count(&self, collection: &str, term: &str) -> Result<u64, Fault> {
        Ok(self.store.count_documents_with(collection, term)?)
    }

    /// Returns at most `limit` reviews after an id, settled ones too, in order of id.
    ///
    /// # Errors
    ///
    /// As [`View::person`].
    pub fn reviews(&self, after: &str, limit: u32) -> Result<Vec<Review>, Fault> {
        Ok(self.store.reviews(&Page { after: after.to_owned(), limit })?)
    }
}
