//! What a check found.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use proof::{
    entry::{Entry, Kind, Outcome, Usage},
    note::VerifierKey,
    tree::Hash,
};
use terms::Moment;

use crate::reconciled::Reconciled;

/// Faults beyond this many are counted but not kept.
const FAULTS_KEPT: usize = 1_000;

/// Is told how far a long check has come.
pub trait Progress {
    /// `done` of `total` entries are checked; called once for each entry.
    fn entries(&mut self, done: u64, total: u64);
}

/// Tells nobody.
impl Progress for () {
    fn entries(&mut self, _done: u64, _total: u64) {}
}

/// What a check of a bundle found. It holds if there is no fault.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// The log.
    pub origin: String,
    /// The key that the checkpoint was checked with, `name+hash+key`.
    pub key: String,
    /// True if that key came from the auditor; false if it came with the bundle and so proves nothing by itself.
    pub key_pinned: bool,
    /// Entries that the checkpoint says the log has.
    pub size: u64,
    /// Entries that were read.
    pub entries: u64,
    /// The root over them, in hexadecimal digits.
    pub root: String,
    /// Entries of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How calls ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Calls that were still open at the last entry.
    pub open_calls: u64,
    /// Chains that have an entry.
    pub chains: u64,
    /// Approvals that were signed as they must be. Whether those people might approve is not checked.
    pub approvals: u64,
    /// Times a process opened the log after another had ended without closing it.
    pub unclean_starts: u64,
    /// The time of the first entry.
    pub first_at: Option<Moment>,
    /// The time of the last entry.
    pub last_at: Option<Moment>,
    /// What closed calls used.
    pub tokens: Tokens,
    /// Private parts that open their commitments.
    pub opened_commitments: u64,
    /// Private parts that the bundle withholds.
    pub withheld: u64,
    /// Decisions that were made again.
    pub replays: Replays,
    /// What gateway and meters signed of its hours.
    pub reconciled: Reconciled,
    /// How many faults were found.
    pub fault_count: u64,
    /// The first 1,000 of them, in order.
    pub faults: Vec<Fault>,
}

/// What closed calls used, as far as it is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Tokens {
    /// Input tokens that upstreams reported.
    pub input: u64,
    /// Output tokens that upstreams reported.
    pub output: u64,
    /// Closed calls for which no output tokens were reported.
    pub unreported_calls: u64,
    /// Stream events with output that were delivered.
    pub delivered_events: u64,
}

/// Decisions that were made again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Replays {
    /// Permits that came out the same.
    pub permits: u64,
    /// Refusals that came out the same.
    pub refusals: u64,
    /// Re-decisions that came out the same: calls that went on, and cuts.
    pub redecisions: u64,
    /// Of all these, decisions recorded just after a change of snapshot, under the one before.
    pub during_change: u64,
    /// Cuts for a reason of the gateway's own, such as monitoring, which no policy decided.
    pub cuts_without_decision: u64,
    /// Decisions that could not be made again because their facts or snapshot are withheld.
    pub not_possible: u64,
}

/// Something that does not hold.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Fault {
    /// The entry; absent if it concerns the bundle as a whole.
    pub index: Option<u64>,
    /// What does not hold.
    pub why: String,
}

impl Report {
    /// Returns true if everything that was checked holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.fault_count == 0
    }

    pub(crate) fn fault(&mut self, index: Option<u64>, why: impl Into<String>) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            let why = why.into();
            self.faults.push(Fault { index, why });
        }
    }

    pub(crate) fn check_time(&mut self, index: u64, at_ms: u64) {
        let at = Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX));
        if self.last_at.is_some_and(|last| at < last) {
            self.fault(Some(index), "it is earlier than the entry before it");
        }
        self.first_at.get_or_insert(at);
        self.last_at = self.last_at.max(Some(at));
    }

    pub(crate) fn count(&mut self, entry: &Entry) {
        *self.kinds.entry(kind_name(entry.kind)).or_default() += 1;
    }

    pub(crate) fn count_close(&mut self, entry: &Entry) {
        if entry.kind == Kind::Close {
            self.tokens.add(entry.usage.unwrap_or_default());
            let outcome = entry.outcome.map(Outcome::name);
            outcome.into_iter().for_each(|outcome| *self.outcomes.entry(outcome).or_default() += 1);
        }
    }

    pub(crate) fn set_root(&mut self, root: &Hash) {
        for byte in root {
            // Writing to a string does not fail.
            let _ = write!(self.root, "{byte:02x}");
        }
    }

    pub(crate) fn checked_with(&mut self, key: &VerifierKey, pinned: bool) {
        self.key = key.to_string();
        self.key_pinned = pinned;
    }
}

impl Tokens {
    pub(crate) fn add(&mut self, usage: Usage) {
        self.input = self.input.saturating_add(usage.input_tokens.unwrap_or(0));
        self.output = self.output.saturating_add(usage.output_tokens.unwrap_or(0));
        self.unreported_calls += u64::from(usage.output_tokens.is_none());
        self.delivered_events = self.delivered_events.saturating_add(usage.delivered_events);
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// The report for people: a verdict, the counts, and every fault that was kept.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        writeln!(f, "{verdict}: the log `{}`, {} entries", self.origin, self.size)?;
        self.write_key(f)?;
        self.write_counts(f)?;
        writeln!(f, "signed approvals: {}", self.approvals)?;
        self.write_work(f)?;
        self.write_faults(f)
    }
}

impl Report {
    pub(crate) fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "fault: {fault}")?;
        }
        let more = self.fault_count.saturating_sub(self.faults.len() as u64);
        if more > 0 {
            writeln!(f, "and {more} faults more")?;
        }
        Ok(())
    }

    pub(crate) fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "root {}", self.root)?;
        if let (Some(first), Some(last)) = (self.first_at, self.last_at) {
            writeln!(f, "from {first} to {last}, {} unclean starts", self.unclean_starts)?;
        }
        writeln!(f, "entries: {}", Counts(&self.kinds))?;
        writeln!(f, "calls ended: {}; still open: {}", Counts(&self.outcomes), self.open_calls)?;
        writeln!(f, "chains: {}", self.chains)
    }

    pub(crate) fn write_key(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key_pinned {
            return writeln!(f, "signed by the pinned key {}", self.key);
        }
        writeln!(
            f,
            "WARNING: THE KEY WAS NOT PINNED. It came with the bundle, so whoever made the bundle may have made the \
             key.\nGet the log's key from another source and pass it with --key. Used: {}",
            self.key
        )
    }

    pub(crate) fn write_work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, replays) = (&self.tokens, &self.replays);
        writeln!(
            f,
            "tokens: {} in, {} out as reported; {} calls without a report; {} events delivered",
            tokens.input, tokens.output, tokens.unreported_calls, tokens.delivered_events
        )?;
        write!(f, "{}", self.reconciled)?;
        writeln!(f, "commitments: {} opened, {} withheld", self.opened_commitments, self.withheld)?;
        writeln!(
            f,
            "decisions made again: {} permits, {} refusals, {} re-decisions ({} during a change of snapshot); {} not \
             possible; {} cuts that no policy decided",
            replays.permits,
            replays.refusals,
            replays.redecisions,
            replays.during_change,
            replays.not_possible,
            replays.cuts_without_decision
        )
    }
}

/// Counts by name, as `3 open, 2 close`.
struct Counts<'a>(&'a BTreeMap<&'static str, u64>);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(if counts.is_empty() { "none" } else { "" })?;
        f.write_str(&counts.join(", "))
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Genesis => "genesis",
        Kind::Start => "start",
        Kind::Open => "open",
        Kind::Close => "close",
        Kind::Refusal => "refusal",
        Kind::Snapshot => "snapshot",
        Kind::Registry => "registry",
        Kind::Admin => "admin",
        Kind::Redecision => "redecision",
        Kind::Stop => "stop",
        Kind::Heads => "heads",
        Kind::Lease => "lease",
        Kind::Metered => "metered",
        Kind::Reconciliation => "reconciliation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_a_pinned_key_says_so_loudly() {
        let unpinned = Report::default().to_string();
        assert!(unpinned.contains("WARNING: THE KEY WAS NOT PINNED"), "{unpinned}");
        let pinned = Report { key_pinned: true, ..Report::default() };
        assert!(!pinned.to_string().contains("WARNING"));
    }

    #[test]
    fn faults_beyond_the_limit_are_counted_and_mentioned() {
        let mut report = Report::default();
        (0..1_005).for_each(|index| report.fault(Some(index), "wrong"));
        assert!(!report.holds());
        assert_eq!((report.fault_count, report.faults.len()), (1_005, FAULTS_KEPT));
        let text = report.to_string();
        assert!(text.starts_with("DOES NOT HOLD") && text.contains("fault: entry 7: wrong"));
        assert!(text.ends_with("and 5 faults more\n"));
    }
}
