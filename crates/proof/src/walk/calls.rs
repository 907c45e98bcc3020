//! Every call is opened once and closed at most once, by entries that agree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    entry::{Entry, Kind, Link, Outcome},
    heads::Chain,
};

/// How far apart things may lie that happen in one step, in milliseconds: a decision and its entry, a change of
/// snapshot and its last decision elsewhere in the process, the end of a call and a re-decision under way. The ledger
/// bridges a clock that is up to 5 seconds behind; the rest is for a process that waits for its turn.
pub const STEP_MS: u64 = 10_000;

/// The calls that are open, and those that ended so lately that a re-decision may still have been under way.
///
/// Takes memory in proportion to these.
#[derive(Debug, Default)]
pub struct Calls {
    open: BTreeMap<u64, Call>,
    ids: BTreeSet<[u8; 16]>,
    ended: BTreeMap<u64, Call>,
    /// When calls ended, and where they were opened, in order of their ends.
    ends: VecDeque<(u64, u64)>,
}

/// What every entry about a call must agree with.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Call {
    id: Option<[u8; 16]>,
    subject: Option<[u8; 16]>,
    model: Option<String>,
    /// How many events with output it may deliver by now; no bound if absent.
    lease: Option<u64>,
    /// The chains that all its entries are in.
    chains: Vec<Chain>,
}

/// An entry about a call does not agree with those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCall {
    /// An opening entry or a refusal names no subject.
    #[error("it opens or refuses a call without saying for whom")]
    Nobody,
    /// An opening entry or a refusal names no call or no model.
    #[error("it opens or refuses a call without saying which or on what model")]
    Unnamed,
    /// A call of the same id is open.
    #[error("it opens a call that is open already")]
    Twice,
    /// It follows an opening entry and does not name it.
    #[error("it is about a call without saying where that was opened")]
    Unplaced,
    /// The entry that it names opened no call, or the call was closed.
    #[error("it is about a call that is not open: entry {0} opened none, or it was closed")]
    NotOpen(u64),
    /// A close lacks its outcome or its usage.
    #[error("it closes a call without saying how it ended or what it used")]
    Unended,
    /// A lease is not above the one before.
    #[error("it does not raise the lease of its call")]
    Unraised,
    /// Call, subject or model are not those of the opening entry.
    #[error("it is about another call, person or model than the entry that opened the call")]
    Other,
    /// The chains are not those of the opening entry.
    #[error("it is in other chains than the entry that opened the call")]
    Chains,
    /// The close of an interrupted call does not repeat the lease.
    #[error("it does not say that the lease of its call was {0}")]
    Lease(u64),
    /// More events were delivered than the lease allowed.
    #[error("its call delivered {delivered} events and might deliver {lease}")]
    Beyond {
        /// How many events.
        delivered: u64,
        /// How many it might.
        lease: u64,
    },
}

impl Calls {
    /// Returns how many calls are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// Takes the next entry, at `index`; those that are not about calls change nothing.
    ///
    /// # Errors
    ///
    /// [`BadCall`]: what does not agree. The walk may go on: the entry is taken as far as it can be.
    pub fn take(&mut self, index: u64, entry: &Entry) -> Result<(), BadCall> {
        match entry.kind {
            Kind::Open => self.opens(index, entry),
            Kind::Refusal => refuses(entry),
            // In the log of a meter, which has no subjects; one with an outcome is a refusal.
            Kind::Metered if entry.outcome.is_none() => self.meters(index, entry),
            Kind::Close => self.closes(entry),
            Kind::Redecision => self.goes_on(entry),
            Kind::Lease => self.extends(entry),
            _ => Ok(()),
        }
    }

    fn opens(&mut self, index: u64, entry: &Entry) -> Result<(), BadCall> {
        let again = entry.call.is_some_and(|id| !self.ids.insert(id));
        self.meters(index, entry)?;
        entry.subject.ok_or(BadCall::Nobody)?;
        if again { Err(BadCall::Twice) } else { Ok(()) }
    }

    /// A gateway may sign several tickets for a call: a meter takes each, and cannot help it.
    fn meters(&mut self, index: u64, entry: &Entry) -> Result<(), BadCall> {
        let (id, subject, model) = (entry.call, entry.subject, entry.model.clone());
        let is_named = id.is_some() && model.is_some();
        self.open.insert(index, Call { id, subject, model, lease: entry.lease, chains: entry.chains() });
        if is_named { Ok(()) } else { Err(BadCall::Unnamed) }
    }

    fn closes(&mut self, entry: &Entry) -> Result<(), BadCall> {
        let opened = entry.opened.ok_or(BadCall::Unplaced)?;
        let call = self.open.remove(&opened).ok_or(BadCall::NotOpen(opened))?;
        if let Some(id) = &call.id {
            self.ids.remove(id);
        }
        let agrees = call.agrees(entry).and_then(|()| call.kept_to_its_lease(entry));
        self.ends.push_back((entry.at_ms, opened));
        self.ended.insert(opened, call);
        self.forget(entry.at_ms);
        if entry.outcome.is_none() || entry.usage.is_none() && !is_recovered(entry) {
            return Err(BadCall::Unended);
        }
        agrees
    }

    fn extends(&mut self, entry: &Entry) -> Result<(), BadCall> {
        let opened = entry.opened.ok_or(BadCall::Unplaced)?;
        let call = self.open.get_mut(&opened).ok_or(BadCall::NotOpen(opened))?;
        if call.lease.is_none() || entry.lease <= call.lease {
            return Err(BadCall::Unraised);
        }
        call.lease = entry.lease;
        call.agrees(entry)
    }

    fn goes_on(&mut self, entry: &Entry) -> Result<(), BadCall> {
        self.forget(entry.at_ms);
        let opened = entry.opened.ok_or(BadCall::Unplaced)?;
        let call = self.open.get(&opened).or_else(|| self.ended.get(&opened));
        call.ok_or(BadCall::NotOpen(opened))?.agrees(entry)
    }

    /// Forgets calls that ended longer ago than a step before `now_ms`.
    fn forget(&mut self, now_ms: u64) {
        let old = |(at_ms, _): &(u64, u64)| at_ms.saturating_add(STEP_MS) < now_ms;
        while let Some((_, opened)) = self.ends.pop_front_if(|end| old(end)) {
            self.ended.remove(&opened);
        }
    }
}

impl Call {
    /// Holds what a later entry says of the call against its opening; the subject may be left out.
    fn agrees(&self, entry: &Entry) -> Result<(), BadCall> {
        let same = entry.call == self.id && entry.model == self.model;
        if !same || entry.subject.is_some_and(|_| entry.subject != self.subject) {
            return Err(BadCall::Other);
        }
        let chains = entry.links.iter().flatten().map(Link::chain);
        chains.eq(self.chains.iter().copied()).then_some(()).ok_or(BadCall::Chains)
    }

    /// Holds what a call delivered against what its entries allowed. Nobody knows what an interrupted call delivered: its
    /// close repeats the lease.
    fn kept_to_its_lease(&self, close: &Entry) -> Result<(), BadCall> {
        let Some(lease) = self.lease else { return Ok(()) };
        if is_recovered(close) && close.lease != self.lease {
            return Err(BadCall::Lease(lease));
        }
        let delivered = close.usage.unwrap_or_default().delivered_events;
        if delivered > lease {
            return Err(BadCall::Beyond { delivered, lease });
        }
        Ok(())
    }
}

/// A call that was refused is named as one that was opened.
fn refuses(entry: &Entry) -> Result<(), BadCall> {
    entry.subject.ok_or(BadCall::Nobody)?;
    entry.call.and(entry.model.as_ref()).map(drop).ok_or(BadCall::Unnamed)
}

fn is_recovered(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::Interrupted)
}
#[cfg(test)]
mod tests {
    use crate::entry::Usage;

    use super::*;

    fn entry(kind: Kind, lease: Option<u64>) -> Entry {
        let (call, subject, model) = (Some([7; 16]), Some([1; 16]), Some("mythos-5".to_owned()));
        let opened = (kind != Kind::Open).then_some(3);
        Entry { call, subject, model, opened, lease, ..Entry::new(kind) }
    }

    fn close(delivered_events: u64) -> Entry {
        let usage = Some(Usage { delivered_events, ..Usage::default() });
        Entry { outcome: Some(Outcome::Completed), usage, ..entry(Kind::Close, None) }
    }

    fn opened(lease: Option<u64>) -> Calls {
        let mut calls = Calls::default();
        calls.take(3, &entry(Kind::Open, lease)).unwrap();
        calls
    }

    #[test]
    fn a_call_delivers_no_more_than_its_entries_allow() {
        assert_eq!(opened(Some(8)).take(4, &close(8)), Ok(()));
        assert!(opened(Some(8)).take(4, &close(9)).is_err());
        assert_eq!(opened(None).take(4, &close(9)), Ok(()), "a log may set no bound");
        let mut extended = opened(Some(8));
        assert_eq!(extended.take(4, &entry(Kind::Lease, Some(16))), Ok(()));
        assert_eq!(extended.take(5, &close(16)), Ok(()));
    }

    #[test]
    fn a_call_is_named_when_it_is_opened_and_when_it_is_refused() {
        for kind in [Kind::Open, Kind::Refusal] {
            let whole = entry(kind, None);
            assert_eq!(Calls::default().take(3, &whole), Ok(()));
            let take = |entry| Calls::default().take(3, &entry).unwrap_err();
            assert_eq!(take(Entry { subject: None, ..whole.clone() }), BadCall::Nobody);
            assert_eq!(take(Entry { call: None, ..whole.clone() }), BadCall::Unnamed);
            assert_eq!(take(Entry { model: None, ..whole }), BadCall::Unnamed);
        }
    }

    #[test]
    fn a_lease_rises_and_is_of_an_open_call() {
        for lease in [Some(8), Some(7), None] {
            assert!(opened(Some(8)).take(4, &entry(Kind::Lease, lease)).is_err(), "{lease:?}");
        }
        assert!(opened(None).take(4, &entry(Kind::Lease, Some(8))).is_err());
        assert!(Calls::default().take(4, &entry(Kind::Lease, Some(8))).is_err());
        let other = Entry { call: Some([8; 16]), ..entry(Kind::Lease, Some(16)) };
        assert!(opened(Some(8)).take(4, &other).is_err());
    }

    #[test]
    fn the_close_of_an_interrupted_call_repeats_its_lease() {
        let interrupted = |lease| Entry { outcome: Some(Outcome::Interrupted), ..entry(Kind::Close, lease) };
        assert_eq!(opened(Some(8)).take(4, &interrupted(Some(8))), Ok(()));
        for lease in [None, Some(9)] {
            assert!(opened(Some(8)).take(4, &interrupted(lease)).is_err(), "{lease:?}");
        }
    }
}
