//! The auditor's side: checks a bundle of a whole log, a production of a part, all leaves in the tiles of a log, or the
//! receipt of one entry, with nothing but the log's key.
//!
//! A bundle is checked from its bytes up: every file against the manifest, every entry against the root that the log
//! signed, every private part against its commitment, the order of entries against what a gateway can have done, and
//! every decision by making it again with [`policy::decide`] under the snapshot that was in force.
//!
//! What is not checked: that the facts a decision saw were true, and that the log holds every call that was made.

mod acts;
mod bundle;
mod chains;
mod consistent;
mod desk;
mod facts;
pub mod fuzzing;
mod json;
mod leaves;
mod options;
mod production;
mod receipt;
mod reconciled;
mod regular;
mod replay;
mod report;
mod runs;
mod walk;

pub use bundle::{BundleSource, VerifyError, WriteError, verify_bundle, write_bundle};
pub use consistent::{CompareError, Compared, compare};
pub use leaves::{LeavesReport, verify_leaves};
pub use options::{BadApprover, BadDifference, Difference, Meters, Options, PinnedApprover, ProductionOptions};
pub use production::{ProductionReport, verify_production};
pub use receipt::verify_receipt;
pub use reconciled::Reconciled;
pub use report::{Fault, Progress, Replays, Report, Tokens};
