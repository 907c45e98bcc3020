//! `cargo xtask tidy`: what the compiler and clippy cannot check about this repository.

mod arrows;
mod clauses;
mod links;
mod named_tests;
mod shape;
mod sources;
mod tree;

use anyhow::Result;

use crate::{repo::Repo, say, tally::Tally};
use tree::Tree;

/// Something that is not as it should be: where, and what to do.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Fault {
    /// A path in the working tree, with a line where that helps.
    pub(crate) at: String,
    /// What is wrong and what to do.
    pub(crate) why: String,
}

impl Fault {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }
}

type Check = fn(&Tree) -> Vec<Fault>;

/// Every check, under the name that is printed.
const CHECKS: &[(&str, Check)] = &[
    ("arrows between crates", arrows::check),
    ("dependencies through the workspace", arrows::check_inherited),
    ("length and heading of files", sources::check),
    ("length of functions", shape::check_lengths),
    ("no test is switched off", shape::check_ignored),
    ("links in documents", links::check),
    ("tests that documents name", named_tests::check),
    ("clauses of the examples", clauses::check),
];

/// Runs every check and prints what is wrong.
///
/// # Errors
///
/// The working tree could not be read; a fault found is a count, not an error.
pub(crate) fn run(repo: &Repo) -> Result<Tally> {
    let tree = Tree::read(&repo.root)?;
    Ok(CHECKS.iter().map(|(name, check)| report(name, &check(&tree))).sum())
}

fn report(name: &str, faults: &[Fault]) -> Tally {
    let verdict = if faults.is_empty() { "ok" } else { "FAILED" };
    say::line(&format!("    tidy: {name} ... {verdict}"));
    for fault in faults {
        say::fault(&format!("      {}: {}", fault.at, fault.why));
    }
    Tally::one(faults.is_empty())
}
