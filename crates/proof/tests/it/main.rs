//! The tree against vectors that others made, and how large proofs are.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, in its helpers too")]

mod merkle;
mod sizes;
