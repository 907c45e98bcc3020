//! Goes through the log.

use ledger::{Ledger, LookupError, Stored};
use proof::entry::{Entry, Kind};
use terms::{CallId, Moment};

use crate::Fault;

/// Entries that are looked at in search of a call; a call further back is found by the index of its entry.
const SEARCH_MAX: u64 = 1 << 20;
/// Entries that are gone through at a time on the way back.
const STRIDE: u64 = 1 << 14;

/// One entry with its index and its private part.
pub(super) struct Found {
    pub(super) index: u64,
    pub(super) entry: Entry,
    pub(super) private: Vec<u8>,
}

impl Found {
    fn read(stored: Stored) -> Result<Self, Fault> {
        let entry = decode(&stored)?;
        Ok(Self { index: stored.index, entry, private: stored.main().unwrap_or_default().to_vec() })
    }

    pub(super) fn at(&self) -> Moment {
        moment(&self.entry)
    }
}

/// Returns the entry at an index.
pub(super) fn entry(ledger: &Ledger, index: u64) -> Result<Found, Fault> {
    Found::read(ledger.stored(index)?)
}

/// Returns when an entry was made.
pub(super) fn time_of(stored: Stored) -> Result<Moment, Fault> {
    Found::read(stored).map(|found| found.at())
}

/// Gives every entry up to a moment, in order, to `take`.
pub(super) fn up_to(
    ledger: &Ledger,
    until: Moment,
    mut take: impl FnMut(Found) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for stored in ledger.reader().entries(0)? {
        let found = Found::read(stored?)?;
        if found.at() > until {
            break;
        }
        take(found)?;
    }
    Ok(())
}

/// Finds the entry that opened or refused a call, looking back from the end.
pub(super) fn opening(ledger: &Ledger, call: CallId) -> Result<Option<Found>, Fault> {
    let end = ledger.health().durable;
    let stop = end.saturating_sub(SEARCH_MAX);
    let mut until = end;
    while until > stop {
        let from = until.saturating_sub(STRIDE).max(stop);
        let found = first(ledger, from, until, |entry| is_opening(entry) && entry.call == Some(call.0))?;
        if found.is_some() {
            return Ok(found);
        }
        until = from;
    }
    Ok(None)
}

/// Finds the entry that closed the call opened at an index, if it is closed.
pub(super) fn closing(ledger: &Ledger, opened: u64) -> Result<Option<Found>, Fault> {
    let until = ledger.health().durable.min(opened.saturating_add(SEARCH_MAX));
    first(ledger, opened, until, |entry| entry.kind == Kind::Close && entry.opened == Some(opened))
}

/// Tells whether an entry opened or refused a call.
pub(super) fn is_opening(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Open | Kind::Refusal)
}

fn first(ledger: &Ledger, from: u64, until: u64, is_it: impl Fn(&Entry) -> bool) -> Result<Option<Found>, Fault> {
    for stored in ledger.reader().entries(from)? {
        let stored = stored?;
        if stored.index >= until {
            break;
        }
        let entry = decode(&stored)?;
        if is_it(&entry) {
            return Ok(Some(Found { index: stored.index, entry, private: stored.main().unwrap_or_default().to_vec() }));
        }
    }
    Ok(None)
}

fn decode(stored: &Stored) -> Result<Entry, Fault> {
    Entry::decode(&stored.leaf).map_err(|_| Fault::Lookup(LookupError::Damaged(stored.index)))
}

fn moment(entry: &Entry) -> Moment {
    Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX))
}
