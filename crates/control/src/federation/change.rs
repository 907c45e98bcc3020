//! What may change, and on whose word.

use identity::{KeyRecord, SessionEnd};
use terms::{Account, Affiliation, Attestation, AttestationId, Channel, ChannelId, KeyId, Moment, PersonId, Screening};

use super::View;
use crate::{
    Fault,
    record::{AccountRecord, PersonRecord, Record, Withdrawal},
};

/// On whose word something changes.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) channel: Option<ChannelId>,
    pub(super) code: &'static str,
    pub(super) caused_by: Option<String>,
    pub(super) removes_only: bool,
}

impl Source {
    /// A signal: an event, a status list, a revocation. It may only take away. `code` is the stable verb that the record
    /// shows, such as `signal.session_revoked`; `caused_by` names the message.
    #[must_use]
    pub fn signal(channel: ChannelId, code: &'static str, caused_by: impl Into<String>) -> Self {
        Self { channel: Some(channel), code, caused_by: Some(caused_by.into()), removes_only: true }
    }

    /// Evidence: what a source states about people in its own name.
    #[must_use]
    pub fn evidence(channel: ChannelId, code: &'static str, caused_by: impl Into<String>) -> Self {
        Self { channel: Some(channel), code, caused_by: Some(caused_by.into()), removes_only: false }
    }

    /// The server itself, for what no source says: its own settings and books.
    #[must_use]
    pub fn own(code: &'static str) -> Self {
        Self { channel: None, code, caused_by: None, removes_only: false }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub enum FederatedChange {
    /// A person who was not known; their screening awaits review.
    NewPerson {
        /// Their id.
        person: PersonId,
        /// What to call them, for operators only; 1 to 256 characters.
        display_name: String,
    },
    /// What a source calls a person, and what that account opens; in place of what was known of it.
    Account {
        /// The person.
        person: PersonId,
        /// The account.
        account: Account,
    },
    /// A source's name for a person no longer stands for them.
    AccountGone {
        /// The person.
        person: PersonId,
        /// The account as it was.
        account: Account,
    },
    /// A new statement, in place of the one it supersedes if it names one.
    Attestation(Attestation),
    /// A statement that no longer holds.
    Withdrawal {
        /// Which.
        attestation: AttestationId,
        /// Why; 1 to 256 characters.
        reason: String,
    },
    /// An affiliation; in place of the one of the same id.
    Affiliation(Affiliation),
    /// A key that opens nothing any more, for good.
    RevokeKey(KeyId),
    /// A channel; in place of the one of the same id.
    Channel(Channel),
    /// A session or a token that is over.
    SessionEnd(SessionEnd),
    /// A document; in place of the one of the same collection and id.
    Document(Document),
    /// A document that is no longer kept.
    DocumentGone {
        /// The collection.
        collection: String,
        /// Its id.
        id: String,
    },
    /// Something that a person must look at; in place of a settled one of the same id. One that is open stays as it is.
    Review(Review),
}

/// Something that a protocol keeps: a stream, a resource, a presentation.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What kind of thing; at most 64 bytes.
    pub collection: String,
    /// Its id within the collection; at most 256 bytes.
    pub id: String,
    /// Whose it is, if it is about one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// Words by which it is looked up; at most 16, each of at most 256 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<String>,
    /// What is kept; at most 256 KiB. Personal values are sealed before they come here.
    pub body: String,
}

/// Something that a person must look at.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Its id; at most 64 bytes.
    pub id: String,
    /// Whom it is about, if one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// What is to be settled, without personal values; at most 512 characters.
    pub what: String,
    /// Since when.
    pub opened_at: Moment,
    /// When it was settled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
}

impl FederatedChange {
    /// Returns what it records; nothing if it is so already.
    pub(super) fn record(self, view: &View<'_>) -> Result<Option<Record>, Fault> {
        Ok(Some(match self {
            Self::NewPerson { person, display_name } => {
                Record::Person(PersonRecord { id: person, display_name, screening: Screening::Review, active: true })
            }
            Self::Account { person, account } => Record::Account(AccountRecord { person, account }),
            Self::AccountGone { person, account } => Record::AccountGone(AccountRecord { person, account }),
            Self::Attestation(attestation) => Record::Attestation(attestation),
            Self::Withdrawal { attestation, reason } => return withdrawal(view, &attestation, reason),
            Self::Affiliation(affiliation) => Record::Affiliation(affiliation),
            Self::RevokeKey(key) => return revoked(view, &key),
            Self::Channel(channel) => Record::Channel(channel),
            Self::SessionEnd(end) => Record::SessionEnd(end),
            Self::Document(document) => Record::Document(document),
            Self::DocumentGone { collection, id } => Record::DocumentGone { collection, id },
            Self::Review(review) => return opened(view, review),
        }))
    }
}

fn withdrawal(view: &View<'_>, id: &AttestationId, reason: String) -> Result<Option<Record>, Fault> {
    let held = view.attestation(id)?.filter(|_| view.is_held(id).unwrap_or(false));
    let withdrawal =
        |held: Attestation| Withdrawal { attestation: held.id, person: held.person, reason, at: view.now() };
    Ok(held.map(withdrawal).map(Record::Withdrawal))
}

fn opened(view: &View<'_>, new: Review) -> Result<Option<Record>, Fault> {
    let is_open = view.review(&new.id)?.is_some_and(|kept| kept.closed_at.is_none());
    Ok((!is_open).then_some(Record::Review(new)))
}

fn revoked(view: &View<'_>, id: &KeyId) -> Result<Option<Record>, Fault> {
    let live = view.key(id)?.filter(|key| key.revoked_at.is_none());
    Ok(live.map(|key| Record::Key(KeyRecord { revoked_at: Some(view.now()), ..key })))
}
