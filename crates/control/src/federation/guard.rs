//! What nobody's word may do here, whatever the protocol made of it.
//!
//! Two laws: a signal only removes, and a source touches only what belongs to its own organization. A source of no
//! organization is the lab's own and touches only what belongs to none.

use terms::{Account, AccountState, Affiliation, Attestation, Channel, ChannelId, OrganizationId, PersonId};

use super::{Document, FederatedChange, Review, Source, View};
use crate::{Fault, FieldFault};

const COLLECTION_BYTES_MAX: usize = 64;
const TERM_BYTES_MAX: usize = 256;
const TERMS_MAX: usize = 16;
const BODY_BYTES_MAX: usize = 256 << 10;
const REASON_CHARS_MAX: usize = 256;
const REVIEW_ID_BYTES_MAX: usize = 64;
const REVIEW_CHARS_MAX: usize = 512;

/// The collections of what operators settle, which no source may touch on its own word.
const SETTINGS: [&str; 10] = [
    "page-link",
    "scim.tenant",
    "scim.token",
    "ssf.client",
    "ssf.receiver",
    "token.client",
    "token.issuer",
    "token.rule",
    "wallet.issuers",
    "wallet.links",
];

/// The collection whose document of its own id a source may touch: a directory's writes say when its roster was compared.
const OF_ITS_OWN: &str = "scim.tenant";

/// Checks every change against the registry as it is before any of them.
///
/// # Errors
///
/// [`Fault::Invalid`] naming each change that may not be.
pub(super) fn check(view: &View<'_>, source: &Source, changes: &[FederatedChange]) -> Result<(), Fault> {
    let guard = Guard { view, source, channel: own_channel(view, source)?, changes };
    let mut faults = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let refused = guard.refuses(change)?;
        faults.extend(refused.map(|why| FieldFault::new(&format!("changes[{at}]"), why)));
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::Invalid(faults)) }
}

/// A source that is not registered may only register itself, which it does in its own name.
fn own_channel(view: &View<'_>, source: &Source) -> Result<Option<Channel>, Fault> {
    let Some(id) = &source.channel else {
        return Ok(None);
    };
    let known = view.channel(id)?;
    known.map(Some).ok_or_else(|| Fault::not_found("channel", id))
}

struct Guard<'a> {
    view: &'a View<'a>,
    source: &'a Source,
    channel: Option<Channel>,
    changes: &'a [FederatedChange],
}

/// Why a change may not be; none if it may.
type Refused = Option<&'static str>;

const ONLY_REMOVES: &str = "a signal only removes: this would grant";
const NOT_ITS_OWN: &str = "this belongs to another organization than the source";
const NOT_KNOWN: &str = "this is about something that is not known";
const LOCKED: &str = "the account is suspended or over: restore it first";

impl Guard<'_> {
    fn refuses(&self, change: &FederatedChange) -> Result<Refused, Fault> {
        match change {
            FederatedChange::NewPerson { person, display_name } => self.new_person(person, display_name),
            FederatedChange::Account { person, account } => self.account(person, account),
            FederatedChange::AccountGone { person, account } => self.account_gone(person, account),
            FederatedChange::Attestation(attestation) => self.attestation(attestation),
            FederatedChange::Withdrawal { attestation, reason } => {
                let held = self.view.attestation(attestation)?;
                let channel = held.map(|held| held.channel);
                match channel {
                    None => Ok(Some(NOT_KNOWN)),
                    Some(_) if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX => {
                        Ok(Some("a reason has 1 to 256 characters"))
                    }
                    Some(channel) => self.of_channel_if_any(channel.as_ref()),
                }
            }
            FederatedChange::Affiliation(affiliation) => self.affiliation(affiliation),
            FederatedChange::RevokeKey(key) => {
                let key = self.view.key(key)?;
                Ok(key.map_or(Some(NOT_KNOWN), |key| self.of(key.organization.as_ref())))
            }
            FederatedChange::Channel(channel) => self.channel(channel),
            FederatedChange::SessionEnd(end) => self.of_channel(&end.channel),
            FederatedChange::Document(document) => {
                Ok(self.settings(&document.collection, &document.id).or_else(|| document_fault(document)))
            }
            FederatedChange::Review(review) => self.review(review),
            FederatedChange::DocumentGone { collection, id } => Ok(self.settings(collection, id)),
        }
    }

    fn new_person(&self, person: &PersonId, name: &str) -> Result<Refused, Fault> {
        let taken = self.view.person(person)?.is_some();
        let named = (1..=REASON_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        Ok(match () {
            () if self.source.removes_only => Some(ONLY_REMOVES),
            () if taken => Some("there already is a person of this id"),
            () if !named => Some("a display name has 1 to 256 characters and no control character"),
            () => None,
        })
    }

    fn account(&self, person: &PersonId, new: &Account) -> Result<Refused, Fault> {
        if let Some(refused) = self.of(new.organization.as_ref()).or(self.of_channel(&new.channel)?) {
            return Ok(Some(refused));
        }
        let holder = self.view.account(&new.channel, &new.subject)?;
        if holder.as_ref().is_some_and(|holder| holder != person) {
            return Ok(Some("the source calls another person by this name: detach it first"));
        }
        if !self.knows(person)? {
            return Ok(Some(NOT_KNOWN));
        }
        let held = self.view.person(person)?.map_or_else(Vec::new, |person| person.accounts);
        let old = held.into_iter().find(|old| old.channel == new.channel && old.subject == new.subject);
        Ok(match old {
            Some(old) if old.state == AccountState::Ended && new.state != AccountState::Ended => {
                Some("an account that is over does not return: make a new one")
            }
            Some(old) if self.source.removes_only && grants(&old, new) => Some(ONLY_REMOVES),
            None if self.source.removes_only => Some(ONLY_REMOVES),
            _ => None,
        })
    }

    /// With the name of an account its state goes. That of one that is suspended or over is a lock, and stays.
    fn account_gone(&self, person: &PersonId, gone: &Account) -> Result<Refused, Fault> {
        if let Some(refused) = self.of_channel(&gone.channel)? {
            return Ok(Some(refused));
        }
        Ok(match self.view.held_account(&gone.channel, &gone.subject)? {
            Some((holder, held)) if holder == *person => (held.state != AccountState::Active).then_some(LOCKED),
            _ => Some(NOT_KNOWN),
        })
    }

    fn attestation(&self, new: &Attestation) -> Result<Refused, Fault> {
        if self.source.removes_only {
            return Ok(Some(ONLY_REMOVES));
        }
        if self.view.attestation(&new.id)?.is_some() {
            return Ok(Some("there already is an attestation of this id"));
        }
        if !self.knows(&new.person)? {
            return Ok(Some(NOT_KNOWN));
        }
        let ordered = new.issued_at < new.expires_at && new.fresh_until.is_none_or(|fresh| fresh <= new.expires_at);
        if !ordered || new.expires_at <= self.view.now() {
            return Ok(Some("an attestation ends after it was issued, and not in the past"));
        }
        let refused = self.superseded(new)?;
        if refused.is_some() { Ok(refused) } else { self.of_channel_if_any(new.channel.as_ref()) }
    }

    /// To supersede is to withdraw, so a source supersedes only what it could withdraw.
    fn superseded(&self, new: &Attestation) -> Result<Refused, Fault> {
        let Some(old) = &new.supersedes else { return Ok(None) };
        match self.view.attestation(old)? {
            Some(old) if old.person == new.person && old.issuer == new.issuer => {
                self.of_channel_if_any(old.channel.as_ref())
            }
            _ => Ok(Some("an attestation supersedes only one by the same issuer about the same person")),
        }
    }

    fn affiliation(&self, new: &Affiliation) -> Result<Refused, Fault> {
        if let Some(refused) = self.of(Some(&new.organization)) {
            return Ok(Some(refused));
        }
        if !self.knows(&new.person)? || self.view.organization(&new.organization)?.is_none() {
            return Ok(Some(NOT_KNOWN));
        }
        let old = self.view.affiliation(&new.id)?;
        let ends_earlier = |old: &Affiliation| {
            new.ends_at <= old.ends_at && Affiliation { ends_at: old.ends_at, ..new.clone() } == *old
        };
        Ok(match old {
            Some(old) if old.organization != new.organization => Some(NOT_ITS_OWN),
            Some(old) if old.person != new.person => Some("there already is another person's affiliation of this id"),
            old if self.source.removes_only && !old.as_ref().is_some_and(ends_earlier) => Some(ONLY_REMOVES),
            _ => None,
        })
    }

    /// What operators settle is settled in the server's own name.
    fn settings(&self, collection: &str, id: &str) -> Refused {
        let source = self.source.channel.as_ref()?;
        let own = collection == OF_ITS_OWN && source.as_str() == id;
        let settled = SETTINGS.contains(&collection) && !own;
        settled.then_some("this is a setting: an operator changes it")
    }

    /// A review that is open stays as it is, and one that was settled may be opened again, about the same person.
    fn review(&self, new: &Review) -> Result<Refused, Fault> {
        let kept = self.view.review(&new.id)?;
        let taken = kept.is_some_and(|kept| kept.person != new.person);
        Ok(review_fault(new).or_else(|| taken.then_some("there already is a review of this id about somebody else")))
    }

    fn channel(&self, new: &Channel) -> Result<Refused, Fault> {
        let Some(own) = &self.channel else {
            return Ok(None);
        };
        let turned_off = Channel { enabled: own.enabled, ..new.clone() } == *own && !new.enabled;
        Ok((!turned_off).then_some("a source may only turn itself off"))
    }

    /// Tells whether a person is known, or is made by this very commit.
    fn knows(&self, person: &PersonId) -> Result<bool, Fault> {
        let mut made = self.changes.iter();
        let made = made.any(|change| matches!(change, FederatedChange::NewPerson { person: new, .. } if new == person));
        Ok(made || self.view.person(person)?.is_some())
    }

    fn of_channel_if_any(&self, channel: Option<&ChannelId>) -> Result<Refused, Fault> {
        match (channel, &self.channel) {
            (Some(channel), _) => self.of_channel(channel),
            (None, None) => Ok(None),
            (None, Some(_)) => Ok(Some("this does not come from any source: a registrar changes it")),
        }
    }

    fn of_channel(&self, channel: &ChannelId) -> Result<Refused, Fault> {
        let known = self.view.channel(channel)?;
        Ok(known.map_or(Some(NOT_KNOWN), |known| self.of(known.organization.as_ref())))
    }

    fn of(&self, organization: Option<&OrganizationId>) -> Refused {
        let own = self.channel.as_ref();
        own.filter(|own| own.organization.as_ref() != organization).map(|_| NOT_ITS_OWN)
    }
}

/// Tells whether the new state of an account opens anything that the old one did not.
fn grants(old: &Account, new: &Account) -> bool {
    let openness = |account: &Account| match account.state {
        AccountState::Active => 2,
        AccountState::Suspended => 1,
        AccountState::Ended => 0,
    };
    openness(new) > openness(old) || new.sessions_end < old.sessions_end || new.organization != old.organization
}

fn document_fault(document: &Document) -> Refused {
    let named = |text: &str, most: usize| (1..=most).contains(&text.len());
    let looked_up = document.terms.len() <= TERMS_MAX && document.terms.iter().all(|term| named(term, TERM_BYTES_MAX));
    match document {
        _ if !looked_up => Some("a document has at most 16 look-up words, each of 1 to 256 bytes"),
        _ if !named(&document.collection, COLLECTION_BYTES_MAX) => Some("a collection's name has 1 to 64 bytes"),
        _ if !named(&document.id, TERM_BYTES_MAX) => Some("a document's id has 1 to 256 bytes"),
        _ if document.body.len() > BODY_BYTES_MAX => Some("a document has at most 256 KiB"),
        _ => None,
    }
}

/// Whoever opened a review does not settle it: that takes a person.
fn review_fault(review: &Review) -> Refused {
    match review {
        _ if review.closed_at.is_some() => Some("a review is settled by a person, never by a source"),
        _ if !(1..=REVIEW_ID_BYTES_MAX).contains(&review.id.len()) => Some("a review's id has 1 to 64 bytes"),
        _ if !(1..=REVIEW_CHARS_MAX).contains(&review.what.chars().count()) => {
            Some("a review says in 1 to 512 characters what is to be settled")
        }
        _ => None,
    }
}
