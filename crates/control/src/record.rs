//! What the control plane writes into the ledger, and reads back when the registry is behind it.

use identity::{Holder, KeyRecord, SessionEnd};
use policy::{Directive, License};
use proof::entry::Kind;
use terms::{
    Account, Affiliation, Attestation, AttestationId, Channel, ChannelId, KeyId, Moment, Organization, Person,
    PersonId, Screening, Workload,
};

use crate::{
    approval::{Approval, Approver},
    federation::{Document, Review},
    glass::BreakGlass,
    hold::Hold,
    production::Production,
    token::TokenRecord,
};

/// The version of [`Envelope`] that this crate writes; readers refuse later ones. Version 2 added approvers, approvals,
/// breaks of the glass, and the person behind a token; version 3 what sources of word about people say; version 4
/// productions and their approvals. Earlier versions are read as before.
const ENVELOPE_VERSION: u32 = 4;

/// A person's own fields; attestations and affiliations are records of their own.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonRecord {
    pub(crate) id: PersonId,
    pub(crate) display_name: String,
    pub(crate) screening: Screening,
    pub(crate) active: bool,
}

impl PersonRecord {
    /// Returns the person with these fields of their own and whatever else is held about them.
    fn over(&self, held: Option<Person>) -> Person {
        let held = held.map(|held| (held.attestations, held.affiliations, held.accounts));
        let (attestations, affiliations, accounts) = held.unwrap_or_default();
        let (id, display_name) = (self.id.clone(), self.display_name.clone());
        Person {
            id,
            display_name,
            screening: self.screening,
            active: self.active,
            attestations,
            affiliations,
            accounts,
        }
    }
}

/// That an attestation no longer holds, without another in its place.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdrawal {
    pub(crate) attestation: AttestationId,
    pub(crate) person: PersonId,
    pub(crate) reason: String,
    pub(crate) at: Moment,
}

/// What a source calls a person.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountRecord {
    pub(crate) person: PersonId,
    pub(crate) account: Account,
}

impl AccountRecord {
    fn detach(&self, person: &mut Person) {
        person.accounts.retain(|old| (&old.channel, &old.subject) != (&self.account.channel, &self.account.subject));
    }
}

/// That a channel proved to be alive.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heard {
    pub(crate) channel: ChannelId,
    pub(crate) at: Moment,
}

/// What a source said, whole: every change that it brings, in order.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalRecord {
    /// Through which channel it came; none if from an operator.
    pub(crate) channel: Option<ChannelId>,
    /// Under which name it is remembered as taken in, at which channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<(ChannelId, String)>,
    /// What brought it about, such as the `jti` of an event or the id of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caused_by: Option<String>,
    /// When it was received.
    pub(crate) received_at: Moment,
    /// What it brings.
    pub(crate) changes: Vec<Record>,
}

/// The state of one row of the registry after a change. Names are stored and never reused.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(tag = "record", content = "body", rename_all = "snake_case")]
pub(crate) enum Record {
    Organization(Organization),
    Person(PersonRecord),
    Workload(Workload),
    Attestation(Attestation),
    Withdrawal(Withdrawal),
    Affiliation(Affiliation),
    Key(KeyRecord),
    AdminToken(TokenRecord),
    Directive(Directive),
    License(License),
    Approver(Approver),
    Approval(Approval),
    BreakGlass(BreakGlass),
    Production(Production),
    Hold(Hold),
    Channel(Channel),
    Heard(Heard),
    Account(AccountRecord),
    AccountGone(AccountRecord),
    SessionEnd(SessionEnd),
    Document(Document),
    DocumentGone { collection: String, id: String },
    Review(Review),
    Signal(SignalRecord),
}

impl Record {
    /// Returns the kind of entry that records it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::AdminToken(_)
            | Self::Approver(_)
            | Self::Approval(_)
            | Self::BreakGlass(_)
            | Self::Production(_)
            | Self::Hold(_) => Kind::Admin,
            _ => Kind::Registry,
        }
    }

    /// Returns the changes it consists of: itself, or those that a signal brings.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::Signal(signal) => &signal.changes,
            one => std::slice::from_ref(one),
        }
    }

    /// Returns the person whose state it is part of.
    pub(crate) fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person(body) => Some(&body.id),
            Self::Attestation(body) => Some(&body.person),
            Self::Withdrawal(body) => Some(&body.person),
            Self::Affiliation(body) => Some(&body.person),
            Self::Account(body) | Self::AccountGone(body) => Some(&body.person),
            _ => None,
        }
    }

    /// Returns a person as this leaves them; `None` if it is about nobody or about somebody who is not known.
    pub(crate) fn applied_to(&self, held: Option<Person>) -> Option<Person> {
        if let Self::Person(body) = self {
            return Some(body.over(held));
        }
        let mut person = held?;
        match self {
            Self::Attestation(body) => {
                person.attestations.retain(|old| Some(&old.id) != body.supersedes.as_ref() && old.id != body.id);
                person.attestations.push(body.clone());
                person.attestations.sort_by(|a, b| a.id.cmp(&b.id));
            }
            Self::Withdrawal(body) => person.attestations.retain(|old| old.id != body.attestation),
            Self::Affiliation(body) => {
                person.affiliations.retain(|old| old.id != body.id);
                person.affiliations.push(body.clone());
                person.affiliations.sort_by(|a, b| a.id.cmp(&b.id));
            }
            Self::Account(body) => {
                body.detach(&mut person);
                person.accounts.push(body.account.clone());
                person.accounts.sort_by(|a, b| (&a.channel, &a.subject).cmp(&(&b.channel, &b.subject)));
            }
            Self::AccountGone(body) => body.detach(&mut person),
            _ => return None,
        }
        Some(person)
    }

    /// Returns whom it is about, as the gateway names callers to the ledger; `None` if about nobody who calls.
    pub(crate) fn subject(&self) -> Option<String> {
        match self {
            Self::Person(person) => Some(person_subject(&person.id)),
            Self::Attestation(attestation) => Some(person_subject(&attestation.person)),
            Self::Withdrawal(withdrawal) => Some(person_subject(&withdrawal.person)),
            Self::Affiliation(affiliation) => Some(person_subject(&affiliation.person)),
            Self::Workload(workload) => Some(format!("workload:{}", workload.id)),
            Self::Key(key) => Some(holder_subject(&key.holder, &key.id)),
            Self::Account(record) | Self::AccountGone(record) => Some(person_subject(&record.person)),
            Self::Review(review) => review.person.as_ref().map(person_subject),
            Self::Signal(signal) => only(signal.changes.iter().filter_map(Self::subject)),
            _ => None,
        }
    }
}

/// Returns the one that all are; of several nobody's key is destroyed with what was said of the others.
fn only(mut subjects: impl Iterator<Item = String>) -> Option<String> {
    let first = subjects.next()?;
    subjects.all(|other| other == first).then_some(first)
}

fn person_subject(id: &PersonId) -> String {
    format!("person:{id}")
}

fn holder_subject(holder: &Holder, key: &KeyId) -> String {
    match holder {
        Holder::Person { person } => person_subject(person),
        Holder::Workload { workload } => format!("workload:{workload}"),
        Holder::Shared => format!("key:{key}"),
    }
}

/// A record with who made it; the private part of a registry entry, as JSON.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope {
    version: u32,
    pub(crate) actor: String,
    pub(crate) change: Record,
}

/// The private part of an entry is not an envelope that this version reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeFault {
    #[error("it is not a registry record: {0}")]
    Malformed(#[source] serde_json::Error),
    #[error("it has format version {0}, later than this program reads: install the later version")]
    Later(u32),
}

impl Envelope {
    pub(crate) fn new(actor: String, change: Record) -> Self {
        Self { version: ENVELOPE_VERSION, actor, change }
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, EnvelopeFault> {
        let probe: Probe = serde_json::from_slice(json).map_err(EnvelopeFault::Malformed)?;
        if probe.version > ENVELOPE_VERSION {
            return Err(EnvelopeFault::Later(probe.version));
        }
        serde_json::from_slice(json).map_err(EnvelopeFault::Malformed)
    }
}

#[derive(serde::Deserialize)]
struct Probe {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_of_a_later_version_is_refused_by_its_version_and_not_by_its_fields() {
        let later = br#"{"version":5,"actor":"a","something":"new"}"#;
        assert!(matches!(Envelope::parse(later), Err(EnvelopeFault::Later(5))));
    }

    #[test]
    fn a_token_of_the_first_version_is_read_as_one_behind_which_nobody_is_named() {
        let digest = vec!["0"; 32].join(",");
        let first = format!(
            r#"{{"version":1,"actor":"a","change":{{"record":"admin_token","body":{{"id":"0123456789abcdef","role":
            "officer","label":"desk","digest":[{digest}],"created_at":"2026-06-12T12:00:00Z","expires_at":
            "2026-07-12T12:00:00Z","revoked_at":null}}}}}}"#
        );
        let Record::AdminToken(token) = Envelope::parse(first.as_bytes()).unwrap().change else { panic!("no token") };
        assert_eq!(token.person, None);
    }

    #[test]
    fn an_envelope_reads_back_what_it_wrote() {
        let person = PersonRecord {
            id: PersonId::parse("ada").unwrap(),
            display_name: "Ada".to_owned(),
            screening: Screening::Cleared,
            active: true,
        };
        let envelope = Envelope::new("root".to_owned(), Record::Person(person));
        let bytes = serde_json::to_vec(&envelope).unwrap();
        let back = Envelope::parse(&bytes).unwrap();
        assert_eq!(back.actor, "root");
        assert_eq!(back.change.subject().as_deref(), Some("person:ada"));
        assert_eq!(serde_json::to_vec(&back).unwrap(), bytes);
    }
}
