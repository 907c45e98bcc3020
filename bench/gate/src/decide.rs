//! One decision.

use std::hint::black_box;

use anyhow::ensure;
use policy::{Determination, decide};

use crate::world;

/// Decides on a United States citizen.
///
/// # Errors
///
/// The case cannot be set up, or is not permitted.
pub(crate) fn us_person(count: u32) -> anyhow::Result<()> {
    repeat("P01", count)
}

/// Decides on a foreign engineer whom an approval list covers.
///
/// # Errors
///
/// As [`us_person`].
pub(crate) fn licensed(count: u32) -> anyhow::Result<()> {
    repeat("E02", count)
}

fn repeat(case: &str, count: u32) -> anyhow::Result<()> {
    let check = world::check(case)?;
    let snapshot = world::snapshot(&check)?;
    for _ in 0..count {
        let determination = black_box(decide(&snapshot, black_box(&check.facts)));
        ensure!(matches!(determination, Determination::Permit(_)), "case {case} is not permitted");
    }
    Ok(())
}
