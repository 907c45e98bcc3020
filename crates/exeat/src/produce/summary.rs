//! What a production shows, in numbers and names: what report and certificate speak of.

use std::collections::BTreeMap;

use control::ApproverRole;
use proof::production::Selection;
use terms::{Moment, PersonId};

/// Everything that people are told of a production.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// The log's origin.
    pub(crate) origin: String,
    /// The log's verifier key, to be compared with one got elsewhere.
    pub(crate) key: String,
    /// The checkpoint's size and root, the root in hexadecimal.
    pub(crate) checkpoint: (u64, String),
    /// What was asked for.
    pub(crate) selection: Selection,
    /// The entry that says by whose signatures it was made.
    pub(crate) custody: Custody,
    /// The chain that is shown, and that it is whole.
    pub(crate) chain: Span,
    /// Calls by model version and day.
    pub(crate) totals: BTreeMap<(String, String), Totals>,
    /// What is shown and what is not.
    pub(crate) shown: Shown,
    /// What was in force, in order.
    pub(crate) in_force: Vec<InForce>,
    /// Hours in which gateway and meter compared what they counted.
    pub(crate) hours: Vec<Hour>,
    /// Calls of hours in which nobody compared, or that completed without a meter.
    pub(crate) unmetered: u64,
    /// Calls that had not ended.
    pub(crate) open: u64,
    /// Who else says when the checkpoint was there.
    pub(crate) stamps: Vec<tsp::Stamp>,
    /// The files and their digests, in hexadecimal.
    pub(crate) files: Vec<(String, String)>,
}

/// Who had it made and who signed for it.
#[derive(Clone, Debug)]
pub(crate) struct Custody {
    /// The index of the entry.
    pub(crate) entry: u64,
    /// When it was recorded.
    pub(crate) at: Moment,
    /// Who had it made, as the record names actors.
    pub(crate) actor: String,
    /// Who signed, as what, and until when the signature counted.
    pub(crate) approvals: Vec<(PersonId, ApproverRole, Moment)>,
}

/// A chain between two heads entries.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The pseudonym, in hexadecimal.
    pub(crate) id: String,
    /// The heads entries; from the beginning of the log without the first.
    pub(crate) heads: (Option<u64>, u64),
    /// The number of the first entry that is shown, and of the one after the last.
    pub(crate) numbers: (u64, u64),
}

/// Calls that were counted together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Totals {
    /// Opened.
    pub(crate) calls: u64,
    /// Refused.
    pub(crate) refusals: u64,
    /// Opened, and cut before their end.
    pub(crate) cut: u64,
    /// Input tokens that were reported.
    pub(crate) input: u64,
    /// Output tokens that were reported.
    pub(crate) output: u64,
    /// Events with output that were delivered.
    pub(crate) events: u64,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shown {
    /// Entries that are shown, of whatever kind.
    pub(crate) entries: u64,
    /// Entries of the chain that were not asked for: shown without their private fields, so that nothing is missing.
    pub(crate) beside: u64,
    /// Decisions whose facts are shown, so that they can be made again.
    pub(crate) decisions: u64,
    /// Private fields that are shown.
    pub(crate) open: u64,
    /// Private fields that are withheld.
    pub(crate) withheld: u64,
    /// Asked-for entries whose private fields nobody has any more.
    pub(crate) destroyed: u64,
}

/// A snapshot that was in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    /// The entry.
    pub(crate) entry: u64,
    /// From when on.
    pub(crate) at: Moment,
    /// Its digest, in hexadecimal.
    pub(crate) digest: String,
    /// Directives and licenses in it with version and status.
    pub(crate) instruments: Vec<String>,
}

/// A model version in one hour, as both sides counted it.
#[derive(Clone, Debug)]
pub(crate) struct Hour {
    /// The reconciliation.
    pub(crate) entry: u64,
    /// The model version.
    pub(crate) model: String,
    /// Its beginning.
    pub(crate) at: Moment,
    /// Completed calls, their input and output tokens by the gateway.
    pub(crate) gateway: [u64; 3],
    /// The same by the meter.
    pub(crate) meter: [u64; 3],
    /// True if both agree in all.
    pub(crate) agree: bool,
}

impl Summary {
    /// Returns the totals of all days and model versions.
    pub(crate) fn all(&self) -> Totals {
        self.totals.values().copied().fold(Totals::default(), Totals::and)
    }
}

impl Totals {
    /// Returns what this and another are together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            refusals: self.refusals + other.refusals,
            cut: self.cut + other.cut,
            input: self.input + other.input,
            output: self.output + other.output,
            events: self.events + other.events,
        }
    }
}
