//! The calls that are shown, in the sums that gateway and meter signed for their hours.

use std::collections::BTreeMap;

use proof::{
    entry::Entry,
    production::{HourSums, SumsFile},
};

use crate::{
    options::Meters,
    reconciled::{Ended, Reconciled, about, checked},
};

/// Calls that were asked for and have ended, up to where their hours were reconciled.
#[derive(Debug)]
pub(super) struct Hours<'a> {
    meters: &'a Meters,
    proofs: BTreeMap<u64, HourSums>,
    ended: Ended,
    reconciled: u64,
}

impl<'a> Hours<'a> {
    pub(super) fn new(file: SumsFile, meters: &'a Meters) -> Self {
        let proofs = file.0.into_iter().map(|hour| (hour.entry, hour)).collect();
        Self { meters, proofs, ended: Ended::default(), reconciled: 0 }
    }

    /// Returns true if this entry is a reconciliation that is shown.
    pub(super) fn names(&self, index: u64) -> bool {
        self.proofs.contains_key(&index)
    }

    /// Takes the next entry that is selected.
    ///
    /// # Errors
    ///
    /// A call ends that a statement counts already, without it.
    pub(super) fn take(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        self.ended.take(index, entry)
    }

    /// Takes a reconciliation that is shown, with its statement: the calls are in the sums of the gateway, whose key is
    /// `log`.
    ///
    /// # Errors
    ///
    /// Something of this does not hold.
    pub(super) fn reconcile(
        &mut self,
        (index, entry): (u64, &Entry),
        statement: &[u8],
        log: &str,
        report: &mut Reconciled,
    ) -> Result<(), String> {
        let hour = self.proofs.remove(&index).ok_or("it is a reconciliation that `sums.json` does not name")?;
        let statement = checked(entry, statement, log, self.meters)?;
        if statement.gateway.key.to_string() != log {
            return Err("the gateway did not sign the sums with the key of this log".to_owned());
        }
        let trees = &statement.gateway.trees;
        let calls = self.ended.settle(&about(&statement), trees.commitment());
        let calls = calls.ok_or("`sums.json` names two reconciliations of the same model version, hour and meter")?;
        if calls.len() == 0 {
            return Err("it counts no call that was asked for".to_owned());
        }
        hour.completed.verify(&calls.completed, &trees.completed).map_err(|bad| bad.to_string())?;
        hour.early.verify(&calls.early, &trees.early).map_err(|bad| bad.to_string())?;
        self.reconciled += calls.len();
        report.note(index, &statement, self.meters)
    }

    /// Returns how many calls were reconciled and how many were not, and the first reconciliation that is not shown.
    pub(super) fn finish(self) -> (u64, u64, Option<u64>) {
        (self.reconciled, self.ended.left(), self.proofs.into_keys().next())
    }
}
