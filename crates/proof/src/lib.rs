//! The formats an auditor needs, and their checks. Depends on nothing else in this workspace; no I/O.

pub mod approval;
pub mod bundle;
pub mod checkpoint;
pub mod commit;
pub mod cose;
pub mod cosignature;
pub mod dsse;
pub mod entry;
pub mod equivocation;
pub mod heads;
pub mod jcs;
pub mod json;
pub mod multi;
pub mod note;
pub mod policy_file;
pub mod production;
pub mod pseudonym;
pub mod receipt;
pub mod shard;
pub mod sums;
pub mod tile;
pub mod tree;
pub mod walk;

pub use json::{hex, unhex};
