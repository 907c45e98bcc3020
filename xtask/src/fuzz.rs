//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{
    repo::Repo,
    run, say,
    tally::{Runner, Tally},
};

const MANIFEST: &str = "fuzz/Cargo.toml";
const TARGETS: &str = "fuzz/fuzz_targets";
const SECONDS: &str = "60";

/// Returns true once there are fuzz targets in the tree.
pub(crate) fn exists(repo: &Repo) -> bool {
    repo.has(MANIFEST)
}

/// Lists the targets, replays the corpora, or runs one target for a number of seconds.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    match arguments {
        [] => {
            targets(repo)?.iter().for_each(|name| say::line(name));
            Ok(Tally::default())
        }
        [word] if word == "replay" => replay(repo),
        [target] => fuzz(repo, target, SECONDS),
        [target, seconds, ..] => fuzz(repo, target, seconds),
    }
}

/// The package's tests feed each committed input to its target, on the stable compiler; `cargo xtask test` does so too.
fn replay(repo: &Repo) -> Result<Tally> {
    run::counted(Runner::Libtest, repo.cargo().args(["test", "--package", "exeat-fuzz"]))
}

fn fuzz(repo: &Repo, target: &str, seconds: &str) -> Result<Tally> {
    let known = targets(repo)?;
    ensure!(
        known.iter().any(|name| name == target),
        "there is no fuzz target `{target}`: use one of {}",
        known.join(", ")
    );
    let limit = format!("-max_total_time={seconds}");
    run::must(repo.command("cargo").args(["+nightly", "fuzz", "run", "--features", "libfuzzer", target, "--", &limit]))
        .context("fuzzing needs a nightly toolchain and `cargo install cargo-fuzz`")?;
    Ok(Tally::one(true))
}

fn targets(repo: &Repo) -> Result<Vec<String>> {
    let entries = fs::read_dir(repo.root.join(TARGETS)).with_context(|| format!("cannot list `{TARGETS}`"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut targets: Vec<_> = names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    targets.sort();
    Ok(targets)
}
