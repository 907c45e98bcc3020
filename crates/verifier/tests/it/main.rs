//! Bundles of a small world, true and tampered with.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cli;
mod dependencies;
mod desk;
mod honest;
mod leaves;
mod ledger;
mod lies;
mod mutation;
mod production;
mod views;
mod world;
