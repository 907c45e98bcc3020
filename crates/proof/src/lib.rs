//! The formats an auditor needs, and their checks. Depends on nothing else in this workspace; no I/O.

pub mod bundle;
pub mod checkpoint;
pub mod commit;
pub mod entry;
pub mod note;
pub mod receipt;
pub mod tile;
pub mod tree;
