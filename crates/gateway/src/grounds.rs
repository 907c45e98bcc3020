//! The facts of a decision, and where the log has them: recorded once, and referred to by what follows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ledger::{Draft, Ledger, Pending, Unavailable, key_epoch};
use proof::entry::Entry;
use terms::Moment;

use crate::party::Party;

/// How long facts are referred to before they are recorded anew, so that readers need not go far back.
const REFER_WITHIN: Duration = Duration::from_secs(3_600);
/// How many entries back facts are referred to, for the same reason: half of what `docs/log-format.md` allows, since
/// others may append between the look and the entry.
const REFER_ENTRIES: u64 = 65_536;

/// The facts of one decision as they are recorded.
#[derive(Debug)]
pub(crate) struct Grounds {
    facts: Bytes,
    recorded: Mutex<Option<Place>>,
}

/// Where facts were recorded by this process.
#[derive(Clone, Copy, Debug)]
struct Place {
    index: u64,
    at: Moment,
    subject: [u8; 16],
}

impl Grounds {
    /// Takes facts, serialized.
    pub(crate) fn new(facts: Bytes) -> Self {
        Self { facts, recorded: Mutex::new(None) }
    }

    /// Returns the facts, for an entry that has them itself.
    pub(crate) fn facts(&self) -> &Bytes {
        &self.facts
    }

    /// Submits to `ledger` an entry of `party` that rests on these facts at `now`. It has them in its private part, unless an
    /// earlier one of the same subject has them that is not far back and under the same key: then it names that one.
    ///
    /// # Errors
    ///
    /// As `submit`, which gets the draft.
    pub(crate) fn submit<T>(
        &self,
        entry: Entry,
        party: &Party,
        (ledger, now): (&Ledger, Moment),
        submit: impl FnOnce(Draft) -> Result<Pending<T>, Unavailable>,
    ) -> Result<Pending<T>, Unavailable> {
        let near = |place: &Place| ledger.submitted().saturating_sub(place.index) < REFER_ENTRIES;
        let known = self.place().filter(|place| place.serves(party, now) && near(place));
        let facts = if known.is_some() { Bytes::new() } else { self.facts.clone() };
        let entry = Entry { subject: Some(party.subject), facts: known.map(|place| place.index), ..entry };
        let pending = submit(Draft::new(entry, facts).on(party.chains.clone()))?;
        if known.is_none() {
            self.set(Place { index: pending.index(), at: now, subject: party.subject });
        }
        Ok(pending)
    }

    fn place(&self) -> Option<Place> {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, place: Place) {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }
}

impl Place {
    fn serves(&self, party: &Party, now: Moment) -> bool {
        let same_key = self.subject == party.subject && epoch(self.at) == epoch(now);
        same_key && self.at <= now && now.since(self.at) < REFER_WITHIN
    }
}

fn epoch(at: Moment) -> u32 {
    key_epoch(u64::try_from(at.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(subject: u8) -> Party {
        Party { subject: [subject; 16], chains: [].into() }
    }

    #[test]
    fn facts_are_referred_to_for_an_hour_within_a_quarter_and_for_the_same_subject() {
        let at = |text| Moment::parse(text).unwrap();
        let place = Place { index: 7, at: at("2026-06-30T23:30:00Z"), subject: [1; 16] };
        assert!(place.serves(&party(1), at("2026-06-30T23:59:59Z")));
        assert!(!place.serves(&party(2), at("2026-06-30T23:59:59Z")), "another subject");
        assert!(!place.serves(&party(1), at("2026-07-01T00:00:00Z")), "another quarter, another key");
        assert!(!place.serves(&party(1), at("2026-06-30T23:29:59Z")), "the clock stepped back");
        let noon = Place { at: at("2026-06-12T12:00:00Z"), ..place };
        assert!(noon.serves(&party(1), at("2026-06-12T12:59:59Z")));
        assert!(!noon.serves(&party(1), at("2026-06-12T13:00:00Z")));
    }
}
