//! `cargo xtask deny`: licenses, advisories, sources and duplicates of what we depend on (see `deny.toml`).

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{repo::Repo, run, tally::Tally};

/// Separately, so that one that needs the network does not hide the others.
const CHECKS: &[&str] = &["bans", "licenses", "sources", "advisories"];
const VERSION: &str = "0.20.2";

/// Runs cargo-deny; with `--install`, builds it into the cache first where it is missing.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let install = match arguments {
        [] => false,
        [option] if option == "--install" => true,
        _ => bail!("use `cargo xtask deny [--install]`"),
    };
    let deny = match find(repo) {
        Some(deny) => deny,
        None if install => install_into_cache(repo)?,
        None => bail!("cargo-deny is not installed: run `cargo xtask deny --install` (takes some minutes)"),
    };
    CHECKS.iter().map(|check| run::check(repo.command(&deny).args(["--workspace", "check", check]))).sum()
}

fn find(repo: &Repo) -> Option<PathBuf> {
    let candidates = [PathBuf::from("cargo-deny"), in_cache(repo)];
    let mut found = candidates.into_iter().filter(|path| run::answer(repo.command(path).arg("--version")).is_some());
    found.next()
}

fn in_cache(repo: &Repo) -> PathBuf {
    repo.cache.join("bin/cargo-deny")
}

fn install_into_cache(repo: &Repo) -> Result<PathBuf> {
    let mut command = repo.cargo();
    command.args(["install", "--locked", "cargo-deny", "--version", VERSION, "--root"]);
    run::must(command.arg(&repo.cache))?;
    Ok(in_cache(repo))
}
