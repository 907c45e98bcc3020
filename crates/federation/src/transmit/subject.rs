//! Whom a stream is about, and what they are called on it.
//!
//! A receiver names people as it knows them: by what the sources of its organization call them. What it names is kept
//! sealed under the key of the person whom it names; a name that nobody here is known by is kept as a keyed digest only,
//! in case somebody will be.

use std::collections::BTreeSet;

use control::{Document, Fault, FederatedChange, View};
use secevent::{Complex, Identifier, Member, Subject, stream::DefaultSubjects};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use terms::{Account, Channel, Person, PersonId, SubjectName};

use super::{client::SsfClient, refusal::Refusal, stream::Stream};
use crate::{Vault, receive::tenant, token::book};

/// Where named subjects are kept: by stream and keyed digest, found by stream, and by stream and person.
const COLLECTION: &str = "ssf.transmitted.subject";
/// To what purpose subjects are sealed and digested.
const PURPOSE: &str = "ssf.transmitted.subject";

/// What is kept of a subject that a receiver named.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// False if it is to be left out of a stream that is about everybody.
    added: bool,
    /// The subject as it was named, sealed; absent if nobody here is known by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// Where subjects of one stream are looked up.
#[derive(Clone, Copy)]
pub(super) struct Roll<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) vault: &'a Vault,
    pub(super) client: &'a SsfClient,
    pub(super) stream: &'a Stream,
}

/// Checks that a subject is one that a stream can be about: a user, named simply or within a tenant.
///
/// # Errors
///
/// [`Refusal::Invalid`].
pub(super) fn check(subject: &Subject) -> Result<(), Refusal> {
    match user(subject) {
        Some(_) => Ok(()),
        None => Err(Refusal::invalid("a stream is about users: the subject must be one, or a complex one with `user`")),
    }
}

/// Returns the user that a subject names, and no narrower thing such as a device.
fn user(subject: &Subject) -> Option<&Identifier> {
    let narrower = [Member::Device, Member::Session, Member::Application, Member::OrgUnit, Member::Group];
    let is_narrow = |complex: &Complex| narrower.into_iter().any(|member| complex.get(member).is_some());
    match subject {
        Subject::Simple(identifier) => Some(identifier),
        Subject::Complex(complex) if is_narrow(complex) => None,
        Subject::Complex(complex) => complex.get(Member::User),
    }
}

/// Says whether a receiver may hear of a person: one of its organization, or anybody if it is nobody's.
pub(super) fn is_visible(client: &SsfClient, person: &Person) -> bool {
    let Some(own) = &client.organization else { return true };
    let mut acts_for = person.affiliations.iter().map(|held| &held.organization);
    let mut called_by = person.accounts.iter().filter_map(|held| held.organization.as_ref());
    acts_for.any(|organization| organization == own) || called_by.any(|organization| organization == own)
}

impl Roll<'_> {
    /// Returns the changes that put a subject on the stream.
    pub(super) fn add(&self, subject: &Subject) -> Result<Vec<FederatedChange>, Fault> {
        let people = self.people(subject)?;
        let mut changes = self.left_out(&people)?;
        changes.push(self.document(subject, &people, true)?);
        Ok(changes)
    }

    /// Returns the changes that take a subject off the stream.
    pub(super) fn remove(&self, subject: &Subject) -> Result<Vec<FederatedChange>, Fault> {
        if self.client.subjects == DefaultSubjects::All {
            return Ok(vec![self.document(subject, &self.people(subject)?, false)?]);
        }
        let id = self.id(subject);
        let known = self.view.document(COLLECTION, &id)?;
        Ok(known.map(|_| FederatedChange::DocumentGone { collection: COLLECTION.to_owned(), id }).into_iter().collect())
    }

    /// Returns what a person is called on the stream; nothing if the stream is not about them.
    ///
    /// `account` is what an event is about more exactly, if it is about an account.
    pub(super) fn name(&self, person: &Person, account: Option<&Account>) -> Result<Option<Subject>, Fault> {
        let mut named = None;
        for document in self.view.find(COLLECTION, &self.of_person(&person.id))? {
            let kept: Kept = book::read(&document)?;
            if !kept.added {
                return Ok(None);
            }
            named = named.or(self.opened(&person.id, &kept)?);
        }
        let candidates = self.candidates(person, account)?;
        for candidate in &candidates {
            let kept: Option<Kept> = book::kept(self.view, COLLECTION, &self.id(candidate))?;
            match kept.map(|kept| kept.added) {
                Some(false) => return Ok(None),
                Some(true) if named.is_none() => named = Some(candidate.clone()),
                _ => {}
            }
        }
        let everybody = self.client.subjects == DefaultSubjects::All;
        Ok(named.or_else(|| candidates.into_iter().next().filter(|_| everybody)))
    }

    /// Returns whom a subject names, of those that the receiver may hear of.
    fn people(&self, subject: &Subject) -> Result<BTreeSet<PersonId>, Fault> {
        let mut found = BTreeSet::new();
        for one in user(subject).into_iter().flat_map(Identifier::flat) {
            for name in tenant::names(one).into_iter().filter_map(|name| SubjectName::parse(name).ok()) {
                for channel in self.channels()?.iter().filter(|channel| is_of(channel, one)) {
                    found.extend(self.view.account(&channel.id, &name)?);
                }
            }
            if let Identifier::Opaque { id } = one {
                found.extend(PersonId::parse(id).ok());
            }
        }
        let mut visible = BTreeSet::new();
        for id in found {
            let person = self.view.person(&id)?;
            visible.extend(person.filter(|person| is_visible(self.client, person)).map(|person| person.id));
        }
        Ok(visible)
    }

    /// Returns the channels whose names for people the receiver knows.
    fn channels(&self) -> Result<Vec<Channel>, Fault> {
        let mut channels = self.view.channels()?;
        if let Some(own) = &self.client.organization {
            channels.retain(|channel| channel.organization.as_ref() == Some(own));
        }
        Ok(channels)
    }

    /// Returns the ways in which a person may be named on the stream, the best first; never empty.
    fn candidates(&self, person: &Person, account: Option<&Account>) -> Result<Vec<Subject>, Fault> {
        let channels = self.channels()?;
        let own = person.accounts.iter().filter(|held| account.is_none_or(|account| *held != account));
        let mut found = Vec::new();
        for held in account.into_iter().chain(own) {
            let channel = channels.iter().find(|channel| channel.id == held.channel);
            let is_its = self.client.organization.is_none() || held.organization == self.client.organization;
            found.extend(channel.filter(|_| is_its).into_iter().flat_map(|channel| names_of(channel, held)));
        }
        found.extend(Subject::read(&json!({"format": "opaque", "id": person.id.as_str()})));
        Ok(found)
    }

    /// Returns the changes that undo that somebody was left out.
    fn left_out(&self, people: &BTreeSet<PersonId>) -> Result<Vec<FederatedChange>, Fault> {
        let mut changes = Vec::new();
        for person in people {
            for document in self.view.find(COLLECTION, &self.of_person(person))? {
                if !book::read::<Kept>(&document)?.added {
                    changes.push(FederatedChange::DocumentGone { collection: document.collection, id: document.id });
                }
            }
        }
        Ok(changes)
    }

    fn document(&self, subject: &Subject, people: &BTreeSet<PersonId>, added: bool) -> Result<FederatedChange, Fault> {
        let owner = people.iter().next().filter(|_| people.len() == 1);
        let text = subject.to_value().to_string();
        let sealed = owner.map(|owner| self.vault.seal(owner, PURPOSE, &text)).transpose()?;
        let body = serde_json::to_string(&Kept { added, sealed }).map_err(Fault::Unwritable)?;
        let terms = std::iter::once(self.stream.id.clone()).chain(owner.map(|owner| self.of_person(owner)));
        Ok(FederatedChange::Document(Document {
            collection: COLLECTION.to_owned(),
            id: self.id(subject),
            owner: owner.cloned(),
            terms: terms.collect(),
            body,
        }))
    }

    /// Opens a subject as it was named; nothing if the person was forgotten.
    fn opened(&self, person: &PersonId, kept: &Kept) -> Result<Option<Subject>, Fault> {
        let Some(sealed) = &kept.sealed else { return Ok(None) };
        let Ok(text) = self.vault.open_sealed(person, PURPOSE, sealed) else { return Ok(None) };
        let value: Value = serde_json::from_str(&text).map_err(Fault::Unwritable)?;
        Ok(Subject::read(&value).ok())
    }

    fn id(&self, subject: &Subject) -> String {
        format!("{}/{}", self.stream.id, self.vault.term(PURPOSE, &subject.to_value().to_string()))
    }

    fn of_person(&self, person: &PersonId) -> String {
        format!("{}/{person}", self.stream.id)
    }
}

/// Returns how many subjects a stream names.
pub(super) fn count(view: &View<'_>, stream: &str) -> Result<u64, Fault> {
    view.count(COLLECTION, stream)
}

/// Returns the changes that forget every subject of a stream.
pub(super) fn forget(view: &View<'_>, stream: &str) -> Result<Vec<FederatedChange>, Fault> {
    let gone = |document: Document| FederatedChange::DocumentGone { collection: document.collection, id: document.id };
    Ok(view.find(COLLECTION, stream)?.into_iter().map(gone).collect())
}

/// A subject at an issuer is looked for where that issuer's accounts are; any other identifier at every channel.
fn is_of(channel: &Channel, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::IssSub { iss, .. } => channel.issuer.as_ref() == Some(iss),
        _ => true,
    }
}

/// Returns how an account may be named: by its issuer's subject if there is one, as an address if it is one, else as it is.
fn names_of(channel: &Channel, account: &Account) -> Vec<Subject> {
    let name = account.subject.as_str();
    let of_issuer = channel.issuer.as_ref().map(|iss| json!({"format": "iss_sub", "iss": iss, "sub": name}));
    let address = name.contains('@').then(|| json!({"format": "email", "email": name}));
    let plain = json!({"format": "opaque", "id": name});
    let all = of_issuer.into_iter().chain(address).chain([plain]);
    all.filter_map(|value| Subject::read(&value).ok()).collect()
}
