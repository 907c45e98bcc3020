//! Walks the entries of a log in order and holds each against all before it.

use std::fmt::Write as _;

use proof::{
    bundle::{BundleEntry, Opening},
    commit,
    entry::{Entry, Kind},
    tree::{Frontier, Hash, leaf_hash},
};
use terms::Moment;

use crate::{bundle::Options, calls::Calls, replay::Replay, report::Report, runs::Runs};

/// How far apart things may lie that happen in one step, in milliseconds: a decision and its entry, a change of
/// snapshot and its last decision elsewhere in the process, the end of a call and a re-decision under way. The ledger
/// bridges a clock that is up to 5 seconds behind; the rest is for a process that waits for its turn.
pub(crate) const STEP_MS: u64 = 10_000;

/// The check of a log, up to some entry.
#[derive(Debug)]
pub(crate) struct Walk<'o> {
    options: &'o Options,
    tree: Frontier,
    last_at_ms: u64,
    runs: Runs,
    calls: Calls,
    replay: Replay,
    report: Report,
}

impl<'o> Walk<'o> {
    /// Begins before the first entry, adding to what was found so far.
    pub(crate) fn new(options: &'o Options, report: Report) -> Self {
        Self {
            options,
            tree: Frontier::new(),
            last_at_ms: 0,
            runs: Runs::default(),
            calls: Calls::default(),
            replay: Replay::default(),
            report,
        }
    }

    /// Returns how many entries were walked.
    pub(crate) fn entries(&self) -> u64 {
        self.tree.size()
    }

    /// Takes the next entry.
    pub(crate) fn entry(&mut self, stored: &BundleEntry) {
        let index = self.tree.size();
        self.tree.push(leaf_hash(&stored.leaf));
        match Entry::decode(&stored.leaf) {
            Err(bad) => self.report.fault(Some(index), bad.to_string()),
            Ok(entry) => self.decoded(index, &entry, stored.opening.as_ref()),
        }
    }

    /// Notes a fault that ends the walk.
    pub(crate) fn fault(&mut self, why: String) {
        self.report.fault(None, why);
    }

    /// Ends after the last entry; returns the root over all and what was found.
    pub(crate) fn finish(mut self) -> (Hash, Report) {
        let root = self.tree.root();
        self.report.entries = self.tree.size();
        self.report.open_calls = self.calls.open();
        self.report.unclean_starts = self.runs.unclean();
        for byte in root {
            // Writing to a string does not fail.
            let _ = write!(self.report.root, "{byte:02x}");
        }
        (root, self.report)
    }

    fn decoded(&mut self, index: u64, entry: &Entry, opening: Option<&Opening>) {
        self.report.count_kind(entry.kind);
        self.check_time(index, entry.at_ms);
        let private = self.check_commitment(index, entry, opening);
        let faults = [
            self.runs.take(index, entry, private, self.calls.open()),
            self.calls.take(index, entry),
            self.replay.take(entry, private, &mut self.report.replays),
        ];
        for why in faults.into_iter().filter_map(Result::err) {
            self.report.fault(Some(index), why);
        }
        if entry.kind == Kind::Close {
            self.report.tokens.add(entry.usage.unwrap_or_default());
            entry.outcome.into_iter().for_each(|outcome| self.report.count_outcome(outcome));
        }
    }

    fn check_time(&mut self, index: u64, at_ms: u64) {
        if at_ms < self.last_at_ms {
            self.report.fault(Some(index), "it is earlier than the entry before it");
        }
        self.last_at_ms = self.last_at_ms.max(at_ms);
        let at = Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX));
        self.report.first_at.get_or_insert(at);
        self.report.last_at = Some(at);
    }

    /// Returns the private part, if the bundle has it and it is what the entry commits to.
    fn check_commitment<'b>(&mut self, index: u64, entry: &Entry, opening: Option<&'b Opening>) -> Option<&'b [u8]> {
        match (&entry.private, opening) {
            (None, None) => None,
            (None, Some(_)) => {
                self.report.fault(Some(index), "it has a private part that it does not commit to");
                None
            }
            (Some(_), None) => {
                self.report.withheld += 1;
                if !self.options.allow_withheld {
                    self.report.fault(Some(index), "its private part is withheld");
                }
                None
            }
            (Some(commitment), Some(opening)) => {
                if commit::matches(commitment, &opening.salt, &opening.private) {
                    self.report.opened_commitments += 1;
                    return Some(&opening.private);
                }
                self.report.fault(Some(index), "its private part is not what it commits to");
                None
            }
        }
    }
}
