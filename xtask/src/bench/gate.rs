//! `cargo xtask bench gate`: instructions of the hot operations, counted by valgrind, against `bench/gate.json`.
//!
//! Time depends on the machine and its neighbors; the number of instructions on neither. What is counted is not what
//! a processor runs: valgrind has no SHA instructions, so hashing is done in software and weighs more than it costs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::compare::{Counts, Gate, per_repetition};
use crate::{repo::Repo, run, say, tally::Tally};

const RECORD: &str = "bench/gate.json";
/// Cargo's profile, which the suite builds anyway.
const PROFILE: &str = "release";
/// How often an operation is counted; where threads take turns, the smallest count is the one least disturbed.
const RUNS: usize = 3;

/// Counts every operation and compares with the record, or writes it with `--record`.
///
/// # Errors
///
/// valgrind is missing, an operation fails, or there is no record to compare with.
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<Tally> {
    let record = match options {
        [] => false,
        ["--record"] => true,
        _ => bail!("use `cargo xtask bench gate [--record]`"),
    };
    let now = count(repo)?;
    let path = repo.root.join(RECORD);
    if record {
        fs::write(&path, now.text()?).with_context(|| format!("cannot write `{RECORD}`"))?;
        say::line(&format!("{}recorded in {RECORD}", now.text()?));
        return Ok(Tally::one(true));
    }
    let text = fs::read_to_string(&path)
        .with_context(|| format!("`{RECORD}` is missing: write it with `cargo xtask bench gate --record`"))?;
    let recorded = Gate::parse(&text).with_context(|| format!("`{RECORD}`"))?;
    let comparison = now.against(&recorded);
    say::line(&comparison.table());
    let (passed, failed) = comparison.passed_and_failed();
    Ok(Tally { passed, failed })
}

fn count(repo: &Repo) -> Result<Gate> {
    let valgrind = run::answer(repo.command("valgrind").arg("--version"))
        .context("valgrind is missing, which counts the instructions: install it (`apt-get install valgrind`)")?;
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let rustc = run::answer(repo.command(rustc).arg("--version")).context("the compiler does not tell its version")?;
    run::must(repo.cargo().args(["build", "--profile", PROFILE, "--package", "exeat-gate"]))?;
    let program = repo.binary(PROFILE, "exeat-gate");
    let mut counts = Counts::new();
    for (name, repetitions) in operations(repo, &program)? {
        let instructions = smallest(repo, &program, &name, repetitions)?;
        say::line(&format!("    {name}: {instructions} instructions"));
        counts.insert(name, instructions);
    }
    Ok(Gate { rustc, valgrind, profile: PROFILE.to_owned(), counts })
}

/// Asks the program what it can repeat, and how often it wants to in the shorter run.
fn operations(repo: &Repo, program: &Path) -> Result<Vec<(String, u32)>> {
    let output = repo.command(program).arg("list").output().context("cannot run what was built")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let operation = |line: &str| {
        let (name, repetitions) = line.split_once(' ').context("no repetitions")?;
        Ok((name.to_owned(), repetitions.parse()?))
    };
    text.lines().map(operation).collect::<Result<_>>().with_context(|| format!("`{text}` is no list of operations"))
}

fn smallest(repo: &Repo, program: &Path, name: &str, repetitions: u32) -> Result<u64> {
    let once = || {
        let short = Counting::start(repo, program, name, repetitions)?;
        let long = Counting::start(repo, program, name, 2 * repetitions)?;
        per_repetition(short.finish()?, long.finish()?, repetitions)
    };
    let counts = (0..RUNS).map(|_| once()).collect::<Result<Vec<_>>>().with_context(|| format!("counting `{name}`"))?;
    counts.into_iter().min().context("nothing was counted")
}

/// A run whose instructions are counted, of the whole process, all threads together.
struct Counting {
    child: Child,
    out: PathBuf,
}

impl Counting {
    fn start(repo: &Repo, program: &Path, name: &str, repetitions: u32) -> Result<Self> {
        let folder = repo.target.join("bench");
        fs::create_dir_all(&folder)?;
        let out = folder.join(format!("callgrind-{}-{repetitions}.out", std::process::id()));
        let mut valgrind = repo.command("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet", "--fair-sched=yes"]);
        valgrind.arg(format!("--callgrind-out-file={}", out.display()));
        valgrind.arg(program).args([name, &repetitions.to_string()]).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(Self { child: valgrind.spawn().context("cannot run valgrind")?, out })
    }

    fn finish(self) -> Result<u64> {
        let output = self.child.wait_with_output().context("cannot wait for valgrind")?;
        ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        let text = fs::read_to_string(&self.out).with_context(|| format!("cannot read `{}`", self.out.display()))?;
        fs::remove_file(&self.out)?;
        total(&text)
    }
}

/// Reads the sum at the end of what callgrind writes.
fn total(text: &str) -> Result<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    line.and_then(|line| line.trim().parse().ok()).context("callgrind wrote no totals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_what_callgrind_writes() {
        assert_eq!(total("# callgrind format\nevents: Ir\n\nfn=(1)\n1 200\n\ntotals: 7654321\n").unwrap(), 7_654_321);
        assert!(total("events: Ir\nsummary: 1\n").is_err());
    }
}
