//! What the agency does: two verifiers of different hands, no network, and one changed byte.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail, ensure};
use proof::{
    bundle::ENTRIES_FILE,
    production::{CALLS_FILE, HEADS_FILE, SUMS_FILE},
};
use verifier::{Meters, ProductionOptions, verify_production};

use super::{
    super::{process, show::seconds},
    Drill,
    produced::Production,
};
use crate::commands::record;

/// The verifier in Rust, as it lies in a production, and the one in Python.
const PROGRAM: &str = "exeat-verify";
const SCRIPT: &str = "verify.py";
/// Files of which a copy gets one changed byte each.
const TOUCHED: [&str; 4] = [ENTRIES_FILE, HEADS_FILE, SUMS_FILE, CALLS_FILE];

/// Who checks a production.
#[derive(Clone, Copy, Debug)]
enum Verifier {
    /// `exeat-verify` as it lies in the folder.
    Program,
    /// The same code, where the program was not built beside this one.
    Here,
    /// `verify.py`, written by another hand from the description of the formats alone.
    Python,
}

impl Drill<'_> {
    /// Has both verifiers check the folder with the pinned key.
    pub(super) fn verifies(&self, production: &Production) -> anyhow::Result<()> {
        self.show.heading(7, "The agency verifies it, offline")?;
        for verifier in self.verifiers(production)? {
            let began = Instant::now();
            let (holds, said) = verifier.judge(production, &production.dir)?;
            ensure!(holds, "{} refuses the production: {said}", verifier.name());
            let first: Vec<&str> = said.lines().take(3).map(str::trim).collect();
            self.show.held(&format!("{}, in {}: {}", verifier.name(), seconds(began.elapsed()), first.join("; ")))?;
        }
        Ok(())
    }

    /// Changes one byte in copies of the folder; both verifiers must refuse each.
    pub(super) fn finds_lies(&self, production: &Production) -> anyhow::Result<()> {
        self.show.heading(8, "One byte is changed")?;
        for file in TOUCHED {
            let copy = tampered(&production.dir, file)?;
            for verifier in self.verifiers(production)? {
                let (holds, said) = verifier.judge(production, &copy)?;
                ensure!(!holds, "{} accepts a production with a changed byte in `{file}`", verifier.name());
                let why = said.lines().find(|line| line.contains(file)).or_else(|| said.lines().next());
                self.show.held(&format!("`{file}`, {}: {}", verifier.name(), why.unwrap_or_default().trim()))?;
            }
        }
        Ok(())
    }

    /// Returns the verifiers there are; says so if one is missing.
    fn verifiers(&self, production: &Production) -> anyhow::Result<Vec<Verifier>> {
        let program = production.dir.join(PROGRAM).is_file();
        let mut there = vec![if program { Verifier::Program } else { Verifier::Here }];
        let python = Command::new("python3").arg("--version").stdin(Stdio::null()).output();
        match python.is_ok_and(|answered| answered.status.success()) {
            true => there.push(Verifier::Python),
            false => self.show.say("python3 is not installed: the second verifier is left out")?,
        }
        Ok(there)
    }
}

impl Verifier {
    fn name(self) -> &'static str {
        match self {
            Self::Program => "exeat-verify",
            Self::Here => "the code of exeat-verify",
            Self::Python => "verify.py",
        }
    }

    /// Checks the production in `dir`; returns whether it holds, and what was said.
    fn judge(self, production: &Production, dir: &Path) -> anyhow::Result<(bool, String)> {
        match self {
            Self::Program => run(Command::new(dir.join(PROGRAM)).args(["production", "."]), production, dir),
            Self::Here => here(production, dir),
            Self::Python => run(Command::new("python3").args(["-B", SCRIPT, "production", "."]), production, dir),
        }
    }
}

/// Verifies in this process.
fn here(production: &Production, dir: &Path) -> anyhow::Result<(bool, String)> {
    let key = production.key.parse().context("the log has no verifier key")?;
    let options = ProductionOptions {
        key,
        policy: None,
        approvers: Vec::new(),
        meters: Meters::default(),
        allow_withheld: false,
    };
    let report = verify_production(dir, &options, &mut ())?;
    Ok((report.holds(), report.to_string()))
}

/// Runs a verifier in the folder; returns whether it holds, and what it said.
fn run(command: &mut Command, production: &Production, dir: &Path) -> anyhow::Result<(bool, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.args(["--key", &production.key_file]).stdin(Stdio::null()).current_dir(dir).output();
    let output = output.with_context(|| format!("cannot run `{program}`"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        // Whoever breaks has judged nothing.
        Some(0..=2) if !said.contains("Traceback") => Ok((output.status.success(), said)),
        _ => bail!("`{program}` broke: {}", process::last_lines(&said, 4)),
    }
}

/// Returns a copy of the production in which one bit of `file` is another.
fn tampered(production: &Path, file: &str) -> anyhow::Result<PathBuf> {
    let copy = production.with_file_name(format!("changed-{file}"));
    record::copy_flat(production, &copy)?;
    let path = copy.join(file);
    let mut bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).with_context(|| format!("`{file}` is empty"))? ^= 1;
    fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(copy)
}
