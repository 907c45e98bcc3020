//! Productions of small logs, checked with what an auditor has.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod selected;
mod sums;
mod world;
