//! `cargo xtask cases`: the case files against the decision function.

use anyhow::Result;

use crate::{repo::Repo, run, tally::Tally};

/// Returns true once the runner is in the tree.
pub(crate) fn exists(repo: &Repo) -> bool {
    repo.has("crates/testkit/examples/cases.rs")
}

/// Decides every case and prints a table, or JSON with `--json`.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let mut command = repo.cargo();
    command.args(["run", "--quiet", "--package", "testkit", "--example", "cases", "--"]);
    run::quiet(command.args(arguments))
}
