//! What a check of a production found.

use std::fmt;

use proof::production::{Approver, Engine, Selection};

use crate::report::Report;

/// What a check of a production found. It holds if there is no fault.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ProductionReport {
    /// What was found in its entries, as of a whole log.
    #[serde(flatten)]
    pub found: Report,
    /// What was asked for.
    pub selection: Option<Selection>,
    /// The custody entry.
    pub custody: u64,
    /// Who had it produced, as the log names actors.
    pub actor: String,
    /// Whose signatures approved it: two people at least, in different roles.
    pub approvers: Vec<Approver>,
    /// True if the auditor said whose signatures these may be; otherwise the log's word is taken for names and roles.
    pub approvers_pinned: bool,
    /// The releases of the program that wrote the chain, by their start entries.
    pub engine: Vec<Engine>,
    /// The heads entry as of which the chain is complete. That its root is true is shown by all leaves of the log only.
    pub as_of: u64,
    /// True if a policy that came from the auditor was satisfied by the checkpoint.
    pub policy_pinned: bool,
    /// The witnesses of the policy that cosigned the checkpoint.
    pub witnesses: Vec<String>,
    /// Entries of the chain between its two heads.
    pub chain_entries: u64,
    /// Calls that were asked for and opened.
    pub calls: u64,
    /// Calls that were asked for and refused.
    pub refused: u64,
    /// Calls that are in the signed sums of their hours.
    pub reconciled_calls: u64,
    /// Calls that are in no signed sums: of hours that gateway and meter did not compare, or completed without a meter.
    pub unreconciled_calls: u64,
    /// Time stamps that come with it; `openssl ts -verify` checks them.
    pub timestamps: u64,
}

impl ProductionReport {
    /// Returns true if everything that was checked holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found.holds()
    }

    fn write_chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(selection) = &self.selection {
            writeln!(
                f,
                "chain of `{}`, complete as of heads entry {}: {} entries",
                selection.name, self.as_of, self.chain_entries
            )?;
            writeln!(
                f,
                "that the root in that entry is true is not shown here: `exeat-verify leaves` shows it, where the log's \
                 tiles are; a mirror looks before it cosigns"
            )?;
        }
        writeln!(
            f,
            "asked for: {} calls that were opened, {} that were refused; {} not ended",
            self.calls, self.refused, self.found.open_calls
        )?;
        writeln!(
            f,
            "sums: {} calls in the signed sums of their hours, {} in none",
            self.reconciled_calls, self.unreconciled_calls
        )
    }

    fn write_custody(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "produced by {}, entry {}; approved by:", self.actor, self.custody)?;
        for Approver { name, role, key } in &self.approvers {
            writeln!(f, "  {name} ({role}), key {key}")?;
        }
        match self.approvers_pinned {
            true => writeln!(f, "  under the keys that were pinned"),
            false => writeln!(f, "  by the log's own word: no approver was pinned, compare the keys (--approver)"),
        }?;
        match self.policy_pinned {
            true => writeln!(f, "witnessed as the pinned policy asks, by: {}", Names(&self.witnesses)),
            false => writeln!(f, "witnessed by: {} (no policy was pinned)", Names(&self.witnesses)),
        }?;
        writeln!(f, "time stamps: {}, not checked here", self.timestamps)?;
        let engine = |engine: &Engine| format!("{} from entry {}", engine.version, engine.start);
        writeln!(f, "engine: {}", self.engine.iter().map(engine).collect::<Vec<_>>().join(", "))
    }
}

/// The report for people: a verdict, the counts, and every fault that was kept.
impl fmt::Display for ProductionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        let found = &self.found;
        writeln!(
            f,
            "{verdict}: a production of the log `{}`, {} of {} entries",
            found.origin, found.entries, found.size
        )?;
        found.write_key(f)?;
        self.write_chain(f)?;
        self.write_custody(f)?;
        found.write_work(f)?;
        found.write_faults(f)
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "nobody" } else { "" })?;
        f.write_str(&self.0.join(", "))
    }
}
