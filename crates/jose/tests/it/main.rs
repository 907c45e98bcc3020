//! Tests of the crate as its callers see it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, in its helpers too")]

mod bytes;
mod dpop;
mod hostile;
mod kinds;
mod tokens;
mod world;
