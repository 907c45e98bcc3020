//! Sums of model-hours: which calls were counted together, and what shows that those of a production are among them.

use std::collections::{BTreeMap, BTreeSet};

use proof::{
    entry::{Entry, Kind, Outcome},
    production::{HourSums, SumsFile},
    sums::{Counted, SumProof, Trees, sum_root},
};

use crate::{
    Fault,
    survey::{About, Hour},
};

const HOUR_MS: u64 = 3_600_000;

/// Returns the hour in which a call counts that was opened at `at_ms`, in hours since the Unix epoch.
pub(crate) fn hour_of(at_ms: u64) -> u64 {
    at_ms / HOUR_MS
}

/// Returns when an hour begins, in milliseconds since the Unix epoch.
pub(crate) fn begin_of(hour: u64) -> u64 {
    hour.saturating_mul(HOUR_MS)
}

/// Gathers the calls of the model-hours that are needed: of one hour no longer than until its reconciliation.
pub(crate) struct Hours<'a> {
    needed: BTreeMap<About, &'a Hour>,
    /// Model versions and hours of which some calls are needed.
    hours: BTreeSet<(&'a str, u64)>,
    /// The hours of calls in these that have not ended, by the entry that opened each.
    open: BTreeMap<u64, u64>,
    counted: BTreeMap<About, Calls>,
    proofs: Vec<HourSums>,
}

/// Calls that are summed up together.
#[derive(Default)]
struct Calls {
    completed: Vec<Counted>,
    early: Vec<Counted>,
}

impl<'a> Hours<'a> {
    pub(crate) fn new(hours: &'a [Hour]) -> Self {
        let about = |hour: &Hour| (hour.model.clone(), hour.hour, hour.meter);
        Self {
            needed: hours.iter().map(|hour| (about(hour), hour)).collect(),
            hours: hours.iter().map(|hour| (hour.model.as_str(), hour.hour)).collect(),
            open: BTreeMap::new(),
            counted: BTreeMap::new(),
            proofs: Vec::new(),
        }
    }

    /// Takes note of a call that begins or ends.
    pub(crate) fn look(&mut self, index: u64, entry: &Entry) {
        match (entry.kind, entry.opened) {
            (Kind::Open, _) => self.opened(index, entry),
            (Kind::Close, Some(opened)) => self.closed(opened, entry),
            _ => {}
        }
    }

    fn opened(&mut self, index: u64, entry: &Entry) {
        let hour = hour_of(entry.at_ms);
        if self.hours.contains(&(entry.model.as_deref().unwrap_or_default(), hour)) {
            self.open.insert(index, hour);
        }
    }

    fn closed(&mut self, opened: u64, close: &Entry) {
        let Some(hour) = self.open.remove(&opened) else { return };
        let (Some(model), Some(call), Some(meter)) = (&close.model, close.call, close.meter) else { return };
        let about = (model.clone(), hour, meter);
        if !self.needed.contains_key(&about) {
            return;
        }
        let usage = close.usage.unwrap_or_default();
        let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
        let calls = self.counted.entry(about).or_default();
        let list = if close.outcome == Some(Outcome::Completed) { &mut calls.completed } else { &mut calls.early };
        list.push(Counted { call, input, output, events: usage.delivered_events });
    }

    /// Proves the calls that are shown in the sums that the entry at `index` commits to, if it is one that is shown.
    ///
    /// # Errors
    ///
    /// [`Fault::Contradiction`] if the calls are not those that it commits to.
    pub(crate) fn reconciled(&mut self, index: u64, entry: &Entry) -> Result<(), Fault> {
        let mut needed = self.needed.iter().filter(|(_, hour)| hour.entry == index);
        let Some((about, hour)) = needed.next() else { return Ok(()) };
        let Calls { mut completed, mut early } = self.counted.remove(about).unwrap_or_default();
        let differs = |_| Fault::Contradiction(index, "the calls do not add up to its sums");
        for calls in [&mut completed, &mut early] {
            calls.sort_by_key(|one| one.call);
        }
        let trees =
            Trees { completed: sum_root(&completed).map_err(differs)?, early: sum_root(&early).map_err(differs)? };
        if entry.root != Some(trees.commitment()) {
            return Err(Fault::Contradiction(index, "its sums are not those of the calls"));
        }
        let proof = |calls: &[Counted]| SumProof::new(calls, &positions(calls, &hour.calls)).map_err(differs);
        self.proofs.push(HourSums { entry: index, completed: proof(&completed)?, early: proof(&early)? });
        Ok(())
    }

    pub(crate) fn finish(self) -> SumsFile {
        SumsFile(self.proofs)
    }
}

/// Returns where the calls that are shown stand among all.
fn positions(counted: &[Counted], shown: &BTreeSet<[u8; 16]>) -> Vec<u64> {
    let places = (0..).zip(counted).filter(|(_, one)| shown.contains(&one.call));
    places.map(|(place, _)| place).collect()
}
