//! Witness and mirror as their clients see them. The conditions are those of the witness and mirror suites of Sunlight.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod client;
mod headlog;
mod mirror;
mod mirror_leaves;
mod mirror_races;
mod mirror_restart;
mod mirror_tickets;
mod witness;
mod world;
