//! May this caller receive this model's output now? A pure function of a [`Snapshot`] and [`Facts`].
//!
//! No clock, no I/O, no order that depends on a hash: admission, re-decision of live calls, simulation and
//! the auditor's replay all call [`decide`] and get the same answer.
//!
//! Three steps. `evidence` and `caller` derive from the facts what holds at that moment; `rules` asks Cedar, which
//! alone can permit; `why` says for a refusal what stood in the way and what would clear it.

mod caller;
mod decide;
mod determination;
mod evidence;
pub mod explain;
mod facts;
mod freshness;
mod groups;
mod instrument;
mod nationality;
mod period;
pub mod plan;
mod rules;
mod snapshot;
mod standing;
mod why;

pub use decide::{Passed, Resolution, decide, resolve};
pub use determination::{Code, Determination, Flag, Obligation, Permit, Refusal, Remedy};
pub use explain::explain;
pub use facts::{CallerFacts, Consumed, CredentialFacts, Facts, Reliance};
pub use freshness::{FreshnessTable, Lease};
pub use groups::{BadCountryGroup, CountryGroup, CountryGroups};
pub use instrument::{Directive, DocumentKind, InstrumentFault, License, Regime, Status, UnknownKind, schema};
pub use period::Period;
pub use rules::{Formal, FormalEra, FormalGate, FormalLicense, FormalRole};
pub use snapshot::{Alias, CompileFault, Notice, Snapshot, SnapshotDocument};
pub use standing::standing_at;
