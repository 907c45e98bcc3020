//! What a log says about the calls of an hour, read from the log itself: the same for a gateway's and for a meter's.

use std::collections::BTreeMap;

use jose::ticket::Ticket;
use ledger::{Entries, LookupError, Reader, Unopened};
use proof::{
    entry::{Entry, Kind, Outcome, Usage},
    tree::leaf_hash,
};
use terms::{CallId, ModelVersionId, Moment};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// How late a meter may take a ticket of an hour, in milliseconds: the life of tickets, and clocks that differ.
pub(crate) const LATE_MS: u64 = 720_000;

/// Returns from when on no ticket of an hour can be taken any more.
pub(crate) fn settles_at(hour: u64) -> Moment {
    let end = hour.saturating_add(1).saturating_mul(HOUR_MS).saturating_add(LATE_MS);
    Moment::from_millis(i64::try_from(end).unwrap_or(i64::MAX))
}

/// What one log says of how a call ended and what it used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Saw {
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Input tokens; 0 if unknown.
    pub input: u64,
    /// Output tokens; 0 if unknown.
    pub output: u64,
    /// Events with output that were delivered.
    pub events: u64,
}

impl Saw {
    /// A call of which nothing is known but that it began.
    pub(crate) const OPEN: Self = Self { outcome: None, input: 0, output: 0, events: 0 };

    /// Adds what came of one more attempt.
    fn add(&mut self, usage: &Usage) {
        let sum = |before: u64, more: Option<u64>| before.saturating_add(more.unwrap_or(0));
        self.input = sum(self.input, usage.input_tokens);
        self.output = sum(self.output, usage.output_tokens);
        self.events = sum(self.events, Some(usage.delivered_events));
    }
}

/// A call as one log has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counted {
    /// What that side saw; of a call that was opened more than once, together.
    pub saw: Saw,
    /// Index and leaf hash of the entry by which the gateway opened it; in a meter's log, as the ticket says. None where
    /// the ticket cannot be read, or is not signed by the gateway, or is not the only one of the call.
    pub opened: Option<(u64, [u8; 32])>,
    /// The meter that the call belongs to, in a gateway's log, see [`proof::entry::meter_id`].
    pub meter: Option<[u8; 8]>,
}

/// The calls of one model version in one hour.
pub type Calls = BTreeMap<CallId, Counted>;

/// The calls of an hour, by model version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hour(BTreeMap<ModelVersionId, Calls>);

/// What opens a call: index and leaf hash of the gateway's entry, as far as they can be told.
type Opening = Option<(u64, [u8; 32])>;

impl Hour {
    /// Reads from a gateway's log the calls whose opening entries are of `hour` (milliseconds / 3,600,000).
    ///
    /// # Errors
    ///
    /// [`LookupError`]: the log cannot be read, or is damaged.
    pub fn of_gateway(reader: &Reader, hour: u64) -> Result<Self, LookupError> {
        Self::with_open(reader, hour).map(|(hour, _)| hour)
    }

    /// As [`Hour::of_gateway`], with the calls of which the end was not found.
    pub(crate) fn with_open(reader: &Reader, hour: u64) -> Result<(Self, Open), LookupError> {
        let end = hour.saturating_add(1).saturating_mul(HOUR_MS);
        let opening = |_: &Entries, unopened: Unopened, entry: &Entry| {
            let within = entry.kind == Kind::Open && entry.at_ms / HOUR_MS == hour;
            Ok(within.then(|| Some((unopened.index(), leaf_hash(unopened.leaf())))))
        };
        Self::read(reader, hour, end, opening)
    }

    /// Reads from a meter's log the calls of the gateway with the log `gateway` that count in `hour` by their tickets, as
    /// far as `ticket` can read them. A call whose ticket it cannot is anybody's.
    ///
    /// # Errors
    ///
    /// As [`Hour::of_gateway`].
    pub fn of_meter(
        reader: &Reader,
        hour: u64,
        gateway: &str,
        ticket: &dyn Fn(&str) -> Option<Ticket>,
    ) -> Result<Self, LookupError> {
        let end = hour.saturating_add(1).saturating_mul(HOUR_MS).saturating_add(LATE_MS);
        let opening = |entries: &Entries, unopened: Unopened, entry: &Entry| {
            if entry.kind != Kind::Metered || entry.outcome.is_some() {
                return Ok(None);
            }
            let stored = entries.open(unopened)?;
            Ok(match stored.main().and_then(|main| std::str::from_utf8(main).ok()).and_then(ticket) {
                Some(ticket) => {
                    (ticket.hour == hour && ticket.issuer == gateway).then_some(Some((ticket.index, ticket.leaf)))
                }
                None => (entry.at_ms / HOUR_MS == hour).then_some(None),
            })
        };
        Self::read(reader, hour, end, opening).map(|(hour, _)| hour)
    }

    /// Returns the versions that had calls, in order.
    pub fn models(&self) -> impl Iterator<Item = &ModelVersionId> {
        self.0.keys()
    }

    /// Returns the calls of a version; none if it had none.
    #[must_use]
    pub fn calls(&self, model: &ModelVersionId) -> &Calls {
        const NONE: &Calls = &Calls::new();
        self.0.get(model).unwrap_or(NONE)
    }

    /// Puts a call in, in the place of what was known of it before.
    pub(crate) fn insert(&mut self, model: ModelVersionId, call: CallId, counted: Counted) {
        self.0.entry(model).or_default().insert(call, counted);
    }

    /// Goes through the log from the beginning of the hour until every call that `opening` finds has ended.
    fn read(
        reader: &Reader,
        hour: u64,
        end: u64,
        opening: impl Fn(&Entries, Unopened, &Entry) -> Result<Option<Opening>, LookupError>,
    ) -> Result<(Self, Open), LookupError> {
        let size = reader.checkpoint_size()?;
        let from = reader.first_since(hour.saturating_mul(HOUR_MS).saturating_sub(LATE_MS), size)?;
        let (mut found, mut open) = (Self::default(), Open { next: from, calls: BTreeMap::new() });
        let mut entries = reader.entries(from)?;
        while let Some(unopened) = entries.next_unopened() {
            let unopened = unopened?;
            let (index, entry) = (unopened.index(), decode(&unopened)?);
            open.next = index.saturating_add(1);
            if entry.at_ms >= end && open.is_empty() {
                break;
            }
            if entry.kind == Kind::Close {
                found.close(&entry, &mut open);
            } else if let Some(opened) = opening(&entries, unopened, &entry)? {
                found.open(index, &entry, opened, &mut open)?;
            }
        }
        Ok((found, open))
    }

    fn open(&mut self, index: u64, entry: &Entry, opened: Opening, open: &mut Open) -> Result<(), LookupError> {
        let damaged = || LookupError::Damaged(index);
        let call = CallId(entry.call.ok_or_else(damaged)?);
        let model = ModelVersionId::parse(entry.model.as_deref().unwrap_or_default()).map_err(|_| damaged())?;
        open.calls.insert(index, (model.clone(), call));
        let calls = self.0.entry(model).or_default();
        let is_again = calls.contains_key(&call);
        let counted = calls.entry(call).or_insert(Counted { saw: Saw::OPEN, opened, meter: None });
        if is_again {
            counted.opened = None;
            counted.saw.outcome = None;
        }
        Ok(())
    }

    fn close(&mut self, entry: &Entry, open: &mut Open) {
        let Some(ended) = entry.opened.and_then(|opened| open.calls.remove(&opened)) else { return };
        let Some(counted) = self.0.get_mut(&ended.0).and_then(|calls| calls.get_mut(&ended.1)) else { return };
        counted.saw.add(&entry.usage.unwrap_or_default());
        counted.meter = entry.meter;
        // Only a call without `opened` can have been opened twice.
        if counted.opened.is_some() || !open.calls.values().any(|other| *other == ended) {
            counted.saw.outcome = entry.outcome;
        }
    }
}

/// Calls of an hour of which the end was not found in a log, up to some entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Open {
    /// The first entry that was not looked at.
    next: u64,
    /// Whose they are, by the indices of their opening entries.
    calls: BTreeMap<u64, (ModelVersionId, CallId)>,
}

impl Open {
    /// Looks for their ends in what was written since.
    pub(crate) fn look(&mut self, reader: &Reader) -> Result<(), LookupError> {
        let mut entries = reader.entries(self.next)?;
        while let Some(unopened) = entries.next_unopened().filter(|_| !self.is_empty()) {
            let unopened = unopened?;
            let entry = decode(&unopened)?;
            if let (Kind::Close, Some(opened)) = (entry.kind, entry.opened) {
                self.calls.remove(&opened);
            }
            self.next = unopened.index().saturating_add(1);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

fn decode(unopened: &Unopened) -> Result<Entry, LookupError> {
    Entry::decode(unopened.leaf()).map_err(|_| LookupError::Damaged(unopened.index()))
}
