//! The lake from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod checkpoints;
mod files;
mod late;
mod memory;
mod query;
mod traffic;
mod upload;
mod world;
