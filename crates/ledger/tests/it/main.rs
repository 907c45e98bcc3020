//! The ledger from outside: what it keeps through crashes, faults and other processes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod append;
mod faults;
mod kill;
mod power;
mod world;
