//! Two accounts of the same calls, held against each other. Pure.

use std::collections::{BTreeMap, BTreeSet};

use proof::{
    entry::Outcome,
    sums::{BadSums, Counted as Leaf, Differ, Sums, Trees, sum_root},
};
use sha2::{Digest, Sha256};
use terms::CallId;

use crate::tally::{Calls, Counted, Saw};

/// What comes of comparing what a gateway and a meter counted of one model version in one hour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Comparison {
    /// What the gateway counted of the calls that belong to the meter.
    pub gateway: Trees,
    /// What the meter counted.
    pub meter: Trees,
    /// The calls that stand in the other tree of the meter than the outcome in its own log says, in order.
    pub moved: BTreeSet<CallId>,
    /// How many calls have not ended on one of the sides: they stand nowhere.
    pub open: u64,
    /// What does not fit together, in order of calls.
    pub discrepancies: Vec<Discrepancy>,
}

/// One call of which gateway and meter do not agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discrepancy {
    /// The call.
    pub call: CallId,
    /// What is not the same.
    pub kinds: BTreeSet<DiscrepancyKind>,
    /// What the gateway saw of it, if it belongs to the meter in the gateway's log.
    pub gateway: Option<Saw>,
    /// What the meter saw of it, if it knows the call.
    pub meter: Option<Saw>,
}

/// What is not the same. Ordinals are hashed and never reused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DiscrepancyKind {
    /// The gateway's log does not have the call, or has it as none of this meter's.
    NotInGateway = 1,
    /// The meter does not know the call.
    NotInMeter = 2,
    /// Input tokens.
    Input = 4,
    /// Output tokens.
    Output = 8,
    /// Events with output.
    Events = 16,
    /// Of a call that ended early the gateway delivered more than the meter passed on.
    Bound = 32,
    /// The entry that the ticket names is not the one that opened the call, or there was more than one ticket.
    Ticket = 64,
}

impl DiscrepancyKind {
    /// Returns the word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInGateway => "not_in_gateway",
            Self::NotInMeter => "not_in_meter",
            Self::Input => "input",
            Self::Output => "output",
            Self::Events => "events",
            Self::Bound => "bound",
            Self::Ticket => "ticket",
        }
    }
}

impl Comparison {
    /// Compares what a gateway and a meter have of the same model version and hour. Of the gateway these are all calls,
    /// whichever meter they belong to; `meter_id` says which are this meter's.
    ///
    /// # Errors
    ///
    /// [`BadSums::Overflow`]: what one side counted does not fit 64 bits, which no model server ever reports in truth.
    pub fn of(gateway: &Calls, meter: &Calls, meter_id: [u8; 8]) -> Result<Self, BadSums> {
        let mut sorted = Sorted::default();
        let calls: BTreeSet<CallId> = gateway.keys().chain(meter.keys()).copied().collect();
        for call in calls {
            sorted.add(call, &Pair { ours: gateway.get(&call), theirs: meter.get(&call), meter_id });
        }
        Ok(Self {
            gateway: sorted.gateway.trees()?,
            meter: counted(meter, &sorted.moved)?,
            moved: sorted.moved,
            open: sorted.open,
            discrepancies: sorted.discrepancies,
        })
    }

    /// Says whether nothing contradicts.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.discrepancies.is_empty()
    }

    /// Says whether there is nothing to state: no call stands anywhere, and none contradicts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let trees = [&self.gateway, &self.meter].into_iter().flat_map(|trees| [trees.completed, trees.early]);
        self.discrepancies.is_empty() && trees.map(|tree| tree.sums.calls).sum::<u64>() == 0
    }

    /// Sums up what does not fit together.
    ///
    /// # Errors
    ///
    /// [`BadSums::Overflow`].
    pub fn differ(&self) -> Result<Differ, BadSums> {
        let (mut gateway, mut meter) = (Sums::default(), Sums::default());
        let mut hash = Sha256::new_with_prefix([3]);
        for one in &self.discrepancies {
            hash.update(one.call.0);
            hash.update([one.kinds.iter().map(|kind| *kind as u8).sum()]);
            for (saw, sums) in [(one.gateway, &mut gateway), (one.meter, &mut meter)] {
                hash.update(spelled(saw));
                *sums = sums.checked_add(&sums_of(saw)).ok_or(BadSums::Overflow)?;
            }
        }
        Ok(Differ { calls: self.discrepancies.len() as u64, gateway, meter, hash: hash.finalize().into() })
    }

    /// Counts how often each kind of discrepancy was found.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for kind in self.discrepancies.iter().flat_map(|one| &one.kinds) {
            *kinds.entry(kind.name()).or_insert(0) += 1;
        }
        kinds
    }
}

/// Makes the trees of a meter of its own calls, of which the `moved` ones stand in the other tree than the outcome in its
/// log says. Calls that have not ended stand nowhere.
///
/// # Errors
///
/// [`BadSums::Overflow`].
pub(crate) fn counted(calls: &Calls, moved: &BTreeSet<CallId>) -> Result<Trees, BadSums> {
    let mut leaves = Leaves::default();
    for (call, Counted { saw, .. }) in calls.iter().filter(|(_, counted)| counted.saw.outcome.is_some()) {
        leaves.put(completed(saw) != moved.contains(call), *call, saw);
    }
    leaves.trees()
}

/// The leaves of two trees, in order of calls.
#[derive(Debug, Default)]
struct Leaves {
    completed: Vec<Leaf>,
    early: Vec<Leaf>,
}

impl Leaves {
    fn put(&mut self, completed: bool, CallId(call): CallId, saw: &Saw) {
        let Saw { input, output, events, .. } = *saw;
        let leaves = if completed { &mut self.completed } else { &mut self.early };
        leaves.push(Leaf { call, input, output, events });
    }

    fn trees(&self) -> Result<Trees, BadSums> {
        Ok(Trees { completed: sum_root(&self.completed)?, early: sum_root(&self.early)? })
    }
}

/// Every call in its place.
#[derive(Debug, Default)]
struct Sorted {
    gateway: Leaves,
    moved: BTreeSet<CallId>,
    open: u64,
    discrepancies: Vec<Discrepancy>,
}

/// A call as each side has it.
struct Pair<'a> {
    ours: Option<&'a Counted>,
    theirs: Option<&'a Counted>,
    meter_id: [u8; 8],
}

impl Sorted {
    fn add(&mut self, call: CallId, pair: &Pair<'_>) {
        if pair.is_open() {
            self.open += 1;
        } else if let Some(saw) = pair.gateway() {
            self.gateway.put(completed(&saw), call, &saw);
        }
        if pair.is_moved() {
            self.moved.insert(call);
        }
        let kinds = pair.kinds();
        if !kinds.is_empty() {
            let (gateway, meter) = (pair.gateway(), pair.meter());
            self.discrepancies.push(Discrepancy { call, kinds, gateway, meter });
        }
    }
}

impl Pair<'_> {
    /// Returns what the gateway saw, if the call has ended there and belongs to the meter.
    fn gateway(&self) -> Option<Saw> {
        self.ours.filter(|ours| ours.meter == Some(self.meter_id)).map(|ours| ours.saw)
    }

    fn meter(&self) -> Option<Saw> {
        self.theirs.map(|theirs| theirs.saw)
    }

    fn is_open(&self) -> bool {
        [self.ours, self.theirs].into_iter().flatten().any(|counted| counted.saw.outcome.is_none())
    }

    /// Says whether the gateway's log puts the call into the other tree of the meter than the meter's own log does.
    fn is_moved(&self) -> bool {
        let in_order = self.gateway().as_ref().is_some_and(completed);
        match (self.ours, self.theirs) {
            (Some(_), Some(theirs)) if !self.is_open() => in_order != completed(&theirs.saw),
            _ => false,
        }
    }

    fn kinds(&self) -> BTreeSet<DiscrepancyKind> {
        let mut kinds = match (self.ours, self.gateway(), self.meter()) {
            (None, ..) => BTreeSet::from([DiscrepancyKind::NotInGateway]),
            _ if self.is_open() => BTreeSet::new(),
            (Some(ours), None, meter) => elsewhere(&ours.saw, meter),
            (Some(_), Some(gateway), None) => when(DiscrepancyKind::NotInMeter, was_served(&gateway)),
            (Some(_), Some(gateway), Some(meter)) if completed(&gateway) => differing(&gateway, &meter),
            (Some(_), Some(gateway), Some(meter)) => when(DiscrepancyKind::Bound, exceeds(&gateway, &meter)),
        };
        if self.ours.zip(self.theirs).is_some_and(|(ours, theirs)| ours.opened != theirs.opened) {
            kinds.insert(DiscrepancyKind::Ticket);
        }
        kinds
    }
}

fn when(kind: DiscrepancyKind, found: bool) -> BTreeSet<DiscrepancyKind> {
    found.then_some(kind).into_iter().collect()
}

fn completed(saw: &Saw) -> bool {
    saw.outcome == Some(Outcome::Completed)
}

/// Says whether a call that the gateway's log has as this meter's must be known to the meter.
fn was_served(gateway: &Saw) -> bool {
    completed(gateway) || gateway.events > 0
}

/// Judges a call that is not this meter's in the gateway's log: the meter may have been asked in vain. Of a call that was
/// interrupted the gateway does not know whom it asked.
fn elsewhere(ours: &Saw, meter: Option<Saw>) -> BTreeSet<DiscrepancyKind> {
    let served = meter.is_some_and(|meter| completed(&meter) || meter.events > 0 || meter.output > 0);
    when(DiscrepancyKind::NotInGateway, served && ours.outcome != Some(Outcome::Interrupted))
}

/// Says whether the gateway delivered more than the meter passed on. A meter that was interrupted does not know.
fn exceeds(gateway: &Saw, meter: &Saw) -> bool {
    gateway.events > meter.events && meter.outcome != Some(Outcome::Interrupted)
}

fn differing(gateway: &Saw, meter: &Saw) -> BTreeSet<DiscrepancyKind> {
    let counts = [
        (DiscrepancyKind::Input, gateway.input == meter.input),
        (DiscrepancyKind::Output, gateway.output == meter.output),
        (DiscrepancyKind::Events, gateway.events == meter.events),
    ];
    counts.into_iter().filter_map(|(kind, same)| (!same).then_some(kind)).collect()
}

fn sums_of(saw: Option<Saw>) -> Sums {
    saw.map_or_else(Sums::default, |Saw { input, output, events, .. }| Sums { calls: 1, input, output, events })
}

/// Spells what a side saw as `docs/log-format.md` section 9 says.
fn spelled(saw: Option<Saw>) -> Vec<u8> {
    let Some(Saw { outcome, input, output, events }) = saw else { return vec![0] };
    let mut bytes = vec![1, outcome.map_or(0, Outcome::ordinal)];
    [input, output, events].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests;
