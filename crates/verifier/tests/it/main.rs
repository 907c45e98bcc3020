//! Bundles of a small world, true and tampered with.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, in its helpers too")]

mod cli;
mod honest;
mod ledger;
mod lies;
mod mutation;
mod world;
