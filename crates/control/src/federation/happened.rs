//! What the record says happened to people, keys and sessions: the source of whatever is told to others.

use identity::{KeyRecord, SessionEnd};
use ledger::Stored;
use policy::{CallerFacts, Facts};
use proof::entry::{Entry, Kind, Outcome};
use terms::{Account, Affiliation, Attestation, AttestationId, ChannelId, Moment, OrganizationId, PersonId};

use super::Federation;
use crate::{
    Fault, FollowError,
    record::{Envelope, Record},
};

/// Entries that are looked up one by one; more are read as a whole, which begins at the start of a segment.
const LOOKED_UP_MAX: u64 = 256;

/// One durable entry that says something about what somebody may do.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Its index; happenings are in its order.
    pub index: u64,
    /// When it was recorded.
    pub at: Moment,
    /// On whose word.
    pub by: Cause,
    /// What happened, in order; never empty.
    pub what: Vec<Happened>,
}

/// On whose word something happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// An administrator's.
    Admin,
    /// The server's own.
    Server,
    /// That of a source.
    Channel(ChannelId),
    /// The rules in force.
    Policy,
}

/// What happened, as the record says; a state is given whole, whatever of it is new.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A person may use the service at all, or not any more.
    Person {
        /// Who.
        person: PersonId,
        /// False once access was withdrawn by an operator.
        active: bool,
    },
    /// What a source calls a person, and what that opens.
    Account {
        /// Who.
        person: PersonId,
        /// The account as it is now.
        account: Account,
    },
    /// A source's name for a person stands for them no longer.
    AccountGone {
        /// Who.
        person: PersonId,
        /// The account as it was.
        account: Account,
    },
    /// A new statement.
    Attestation(Attestation),
    /// A statement that no longer holds.
    Withdrawal {
        /// Which.
        attestation: AttestationId,
        /// About whom.
        person: PersonId,
    },
    /// For whom a person acts, and until when.
    Affiliation(Affiliation),
    /// A key was made or revoked.
    Key(KeyRecord),
    /// A session or a token is over.
    SessionEnd(SessionEnd),
    /// A live call was ended because nothing permitted it any more.
    Cut {
        /// Who received its output.
        people: Vec<PersonId>,
        /// The tenant of its credential.
        organization: Option<OrganizationId>,
        /// Why, by its stable code.
        code: String,
        /// The digest of the rules that decided.
        snapshot: [u8; 32],
    },
}

impl Federation {
    /// Returns what happened according to at most `most` durable entries from index `from` on, and the index to go on
    /// from. It is `from` if there is nothing newer.
    ///
    /// Whoever keeps that index durably misses nothing and sees everything in order. What a happening says is in the
    /// registry by the time [`Federation::read`] is called afterwards.
    ///
    /// # Errors
    ///
    /// [`Fault::Lookup`] or [`Fault::Follow`] if the record cannot be read there; a person must look.
    pub fn happened(&self, from: u64, most: u64) -> Result<(Vec<Happening>, u64), Fault> {
        let end = self.0.ledger.health().durable.min(from.saturating_add(most)).max(from);
        let mut found = Vec::new();
        if end - from > LOOKED_UP_MAX {
            for stored in self.0.ledger.reader().entries(from)?.take(usize::try_from(end - from).unwrap_or(usize::MAX))
            {
                found.extend(happening(&stored?)?);
            }
        } else {
            for index in from..end {
                found.extend(happening(&self.0.ledger.stored(index)?)?);
            }
        }
        Ok((found, end))
    }
}

fn happening(stored: &Stored) -> Result<Option<Happening>, Fault> {
    let index = stored.index;
    let unreadable = |why: String| Fault::Follow(FollowError::Entry { index, why });
    let entry = Entry::decode(&stored.leaf).map_err(|error| unreadable(error.to_string()))?;
    let (by, what) = match entry.kind {
        // What was destroyed with its subject's key is not told any more.
        Kind::Registry if stored.main().is_some() => {
            let envelope = Envelope::parse(stored.main().unwrap_or_default());
            let envelope = envelope.map_err(|error| unreadable(error.to_string()))?;
            let what = envelope.change.parts().iter().filter_map(happened).collect();
            (cause(&envelope.actor), what)
        }
        // A call that recovery or a full record closed has no facts, and nothing is known of who received its output.
        Kind::Close if entry.outcome == Some(Outcome::Cut) && stored.main().is_some() => {
            let facts = serde_json::from_slice(stored.main().unwrap_or_default());
            let facts = facts.map_err(|error| unreadable(error.to_string()))?;
            (Cause::Policy, cut(&entry, &facts).into_iter().collect())
        }
        _ => return Ok(None),
    };
    let at = Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX));
    Ok(Some(Happening { index, at, by, what }).filter(|happening| !happening.what.is_empty()))
}

/// The record names actors by what they are: see [`crate::Actor`].
fn cause(actor: &str) -> Cause {
    match actor.split_once(':') {
        Some(("channel", id)) => ChannelId::parse(id).map_or(Cause::Server, Cause::Channel),
        Some(("token", _)) => Cause::Admin,
        _ => Cause::Server,
    }
}

fn cut(entry: &Entry, facts: &Facts) -> Option<Happened> {
    let people = match &facts.caller {
        CallerFacts::Person { person } => std::slice::from_ref(person),
        CallerFacts::Workload { recipients, .. } => recipients.as_slice(),
        CallerFacts::Unbound => &[],
    };
    Some(Happened::Cut {
        people: people.iter().map(|person| person.id.clone()).collect(),
        organization: facts.credential.organization.clone(),
        code: entry.code.clone()?,
        snapshot: entry.snapshot?,
    })
}

fn happened(record: &Record) -> Option<Happened> {
    Some(match record {
        Record::Person(body) => Happened::Person { person: body.id.clone(), active: body.active },
        Record::Account(body) => Happened::Account { person: body.person.clone(), account: body.account.clone() },
        Record::AccountGone(body) => {
            Happened::AccountGone { person: body.person.clone(), account: body.account.clone() }
        }
        Record::Attestation(body) => Happened::Attestation(body.clone()),
        Record::Withdrawal(body) => {
            Happened::Withdrawal { attestation: body.attestation.clone(), person: body.person.clone() }
        }
        Record::Affiliation(body) => Happened::Affiliation(body.clone()),
        Record::Key(body) => Happened::Key(body.clone()),
        Record::SessionEnd(body) => Happened::SessionEnd(body.clone()),
        _ => return None,
    })
}
