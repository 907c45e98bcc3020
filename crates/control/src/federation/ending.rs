//! What ended part of a person's access, each with the entry that says so.

use proof::entry::Entry;
use terms::{Account, Attestation, ChannelId, KeyId, Moment, PersonId};

use super::Federation;
use crate::{Fault, FollowError, record::Envelope};

/// Something that ended part of a person's access.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The index of the ledger entry.
    pub index: u64,
    /// When it was recorded.
    pub at: Moment,
    /// The stable verb of the entry, such as `signal.account_disabled`.
    pub code: String,
    /// Which source said so; none if an administrator did, or the server itself.
    pub source: Option<ChannelId>,
    /// What ended.
    pub what: Ended,
}

/// What ended.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Everything: an administrator withdrew the person's access.
    Person,
    /// An account is suspended or over.
    Account(Account),
    /// An attestation was withdrawn, without another in its place.
    Attestation {
        /// The attestation.
        attestation: Attestation,
        /// Why.
        reason: String,
    },
    /// A key was revoked.
    Key(KeyId),
}

impl Federation {
    /// Returns what ended of a person's access and has not returned, latest first; of withdrawn attestations at most 32.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`], [`Fault::Lookup`], [`Fault::Follow`]: nothing was changed, try again.
    pub fn endings(&self, person: &PersonId) -> Result<Vec<Ending>, Fault> {
        let mut found = self.0.peek().store.ended(person)?;
        found.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        found.into_iter().map(|(index, what)| self.ending(index, what)).collect()
    }

    fn ending(&self, index: u64, what: Ended) -> Result<Ending, Fault> {
        let stored = self.0.ledger.stored(index)?;
        let unreadable = |why: String| Fault::Follow(FollowError::Entry { index, why });
        let entry = Entry::decode(&stored.leaf).map_err(|error| unreadable(error.to_string()))?;
        let envelope =
            Envelope::parse(stored.main().unwrap_or_default()).map_err(|error| unreadable(error.to_string()))?;
        let source = envelope.actor.strip_prefix("channel:").and_then(|id| ChannelId::parse(id).ok());
        let at = Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX));
        Ok(Ending { index, at, code: entry.code.unwrap_or_default(), source, what })
    }
}
