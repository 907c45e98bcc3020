//! The proof gate: what must be proved about a snapshot before it goes live.

use ledger::Draft;
use policy::Snapshot;
use proof::entry::{Entry, Kind};
use prover::{Proofs, Property, Verdict};
use serde_json::{Value, json};

use crate::{
    Fault, FieldFault,
    commit::Act,
    control::{Inner, lock},
};

/// Whether the invariants must be proved before the directive desk puts a snapshot in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProofPolicy {
    /// They must be, by this solver and within these limits; else only a recorded override goes on.
    Required(prover::Settings),
    /// They need not be. For trying things out.
    Off,
}

/// What was found about one change from one snapshot to another.
#[derive(Debug)]
pub(crate) struct Proved {
    before: [u8; 32],
    after: [u8; 32],
    found: Value,
    faults: Vec<FieldFault>,
}

impl Proved {
    fn of(before: &Snapshot, after: &Snapshot, settings: &prover::Settings) -> Result<Self, Fault> {
        let (found, faults) = match prover::prove(Some(before), after, settings) {
            Ok(proofs) => (serde_json::to_value(&proofs).map_err(Fault::Unwritable)?, open(&proofs)),
            Err(fault) => (Value::Null, vec![FieldFault::new("proofs", fault.to_string())]),
        };
        Ok(Self { before: *before.digest(), after: *after.digest(), found, faults })
    }

    fn is_of(&self, before: &Snapshot, after: &Snapshot) -> bool {
        self.before == *before.digest() && self.after == *after.digest()
    }
}

impl ProofPolicy {
    /// Returns the solver and the limits, for whoever wants to know although nothing requires it.
    pub(crate) fn settings(&self) -> prover::Settings {
        match self {
            Self::Required(settings) => settings.clone(),
            Self::Off => prover::Settings::default(),
        }
    }
}

impl Inner {
    /// Lets a snapshot pass if its invariants are proved, or if `unproved` says why it goes live without that.
    ///
    /// What was found, or overridden, is in the ledger when this returns `Ok`.
    pub(crate) fn gate(
        &self,
        act: Act<'_>,
        before: &Snapshot,
        after: &Snapshot,
        unproved: Option<&str>,
    ) -> Result<(), Fault> {
        let ProofPolicy::Required(settings) = &self.proofs else {
            return Ok(());
        };
        let ahead = lock(&self.proved).take().filter(|proved| proved.is_of(before, after));
        let Proved { found, faults, .. } = ahead.map_or_else(|| Proved::of(before, after, settings), Ok)?;
        if faults.is_empty() {
            return self.record_gate(act, "proofs.passed", after, &json!({ "proofs": found }));
        }
        let Some(reason) = unproved else {
            return Err(Fault::Unproved(faults));
        };
        tracing::error!(actor = act.actor.name(), reason, "a snapshot goes live without its proofs");
        let open: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
        self.record_gate(act, "proofs.overridden", after, &json!({ "reason": reason, "open": open, "proofs": found }))
    }

    /// Proves what a change would put in force before the change holds anything up; [`Inner::gate`] finds it, if nothing
    /// else has changed meanwhile.
    pub(crate) fn prove_ahead(&self, before: &Snapshot, after: &Snapshot) -> Result<(), Fault> {
        if let ProofPolicy::Required(settings) = &self.proofs {
            let proved = Proved::of(before, after, settings)?;
            *lock(&self.proved) = Some(proved);
        }
        Ok(())
    }

    fn record_gate(&self, act: Act<'_>, code: &str, after: &Snapshot, found: &Value) -> Result<(), Fault> {
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some(code.to_owned());
        entry.snapshot = Some(*after.digest());
        let said = json!({ "actor": act.actor.name(), "act": act.code, "found": found });
        let _ = self.ledger.append(Draft::new(entry, said.to_string()))?.wait()?;
        Ok(())
    }
}

/// Says of each property that was not proved why not, with the person for whom it does not hold.
fn open(proofs: &Proofs) -> Vec<FieldFault> {
    proofs.open().map(|property| FieldFault::new(&property.about, why(property))).collect()
}

fn why(property: &Property) -> String {
    let Property { id, title, verdict, .. } = property;
    match verdict {
        Verdict::Proved { finding, .. } => format!("{id}: {finding}"),
        Verdict::Refuted { counterexample } => format!("{id} does not hold ({title}): {}", counterexample.description),
        Verdict::Failed { why } => format!("{id} was not proved ({title}): {why}"),
    }
}
