//! May this caller receive this model's output now? A pure function of a [`Snapshot`] and [`Facts`].
//!
//! No clock, no I/O, no order that depends on a hash: admission, re-decision of live calls, simulation and
//! the auditor's replay all call [`decide`] and get the same answer.

mod decide;
mod determination;
mod facts;
mod instrument;
mod snapshot;

pub use decide::{Passed, Resolution, decide, resolve};
pub use determination::{Code, Determination, Flag, Obligation, Permit, Refusal, Remedy};
pub use facts::{CallerFacts, Consumed, CredentialFacts, Facts};
pub use instrument::{Directive, InstrumentFault, License};
pub use snapshot::{Alias, CompileFault, Snapshot, SnapshotDocument};
