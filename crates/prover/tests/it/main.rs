//! The prover before a real solver, and before solvers that lie, hang, break off or are not there.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod sloppy;
mod solvers;
mod story;
mod world;
