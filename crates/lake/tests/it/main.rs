//! The lake from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod checkpoints;
mod files;
mod footers;
mod late;
mod memory;
mod query;
mod thrift;
mod traffic;
mod upload;
mod world;
