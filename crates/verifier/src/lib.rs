//! The auditor's side: checks a bundle of a whole log, or the receipt of one entry, with nothing but the log's key.
//!
//! A bundle is checked from its bytes up: every file against the manifest, every entry against the root that the log
//! signed, every private part against its commitment, the order of entries against what a gateway can have done, and
//! every decision by making it again with [`policy::decide`] under the snapshot that was in force.
//!
//! What is not checked: that the facts a decision saw were true, and that the log holds every call that was made.

mod bundle;
mod calls;
mod receipt;
mod replay;
mod report;
mod runs;
mod walk;

pub use bundle::{BundleSource, Options, VerifyError, WriteError, verify_bundle, write_bundle};
pub use receipt::verify_receipt;
pub use report::{Fault, Progress, Replays, Report, Tokens};
