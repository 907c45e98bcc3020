//! The decision function from outside: the cases, and properties that no case can show.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod cases;
mod clauses;
mod examples;
mod explain;
mod instruments;
mod knobs;
mod plan;
mod plan_replay;
mod properties;
mod resolve;
mod schemas;
mod variants;
mod world;
