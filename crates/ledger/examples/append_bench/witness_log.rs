//! A log for audit trails by others, from the Python package index: hash chain, Merkle tree and salted records in a journal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    Failure, hex, ours,
    run::{self, Run},
};

/// What drives it.
const SCRIPT: &str = include_str!("witness_log.py");

/// How many records it appends before each sync; 0 never syncs, as it does unless told otherwise.
pub(crate) const PER_SYNC: [usize; 3] = [1, 64, 0];

/// An environment with the package.
pub(crate) struct WitnessLog {
    python: PathBuf,
    /// Its version.
    pub(crate) version: String,
}

impl WitnessLog {
    /// Finds the package that was installed into `root`.
    pub(crate) fn find(root: &Path) -> Result<Self, Failure> {
        let python = root.join("bin/python");
        let asked = "from importlib.metadata import version; print(version('witness-log'))";
        let output = Command::new(&python).args(["-c", asked]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(format!("there is no witness-log in `{}`", root.display()).into());
        }
        Ok(Self { python, version: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }

    /// Appends records for a while, syncing after each `per_sync`.
    pub(crate) fn run(&self, place: &Path, per_sync: usize, time: Duration) -> Result<Run, Failure> {
        let dir = place.join("witness-log");
        fs::create_dir_all(&dir)?;
        let script = dir.join("script.py");
        fs::write(&script, SCRIPT)?;
        let mut command = Command::new(&self.python);
        command.arg(&script).arg(dir.join("journal")).arg(time.as_secs_f64().to_string());
        command.arg(per_sync.to_string()).arg(hex(&ours::record(0)?));
        let output = command.stdin(Stdio::null()).output()?;
        fs::remove_dir_all(&dir)?;
        if !output.status.success() {
            return Err(format!("witness-log failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        of_answer(&serde_json::from_slice(&output.stdout)?, per_sync)
            .ok_or_else(|| "its driver answered otherwise".into())
    }
}

/// Reads what the driver answers.
fn of_answer(answer: &Value, per_sync: usize) -> Option<Run> {
    let number = |at: &str| answer.get(at)?.as_f64();
    let took = answer.get("micros")?.as_array()?.iter();
    let latencies = took.map(|one| one.as_u64().map(Duration::from_micros)).collect::<Option<Vec<_>>>()?;
    let commits = (per_sync > 0).then_some(answer.get("syncs")?.as_u64()?);
    let elapsed = Duration::from_secs_f64(number("seconds")?);
    let run = run::of_latencies(&name(per_sync), latencies, commits, elapsed);
    let cpu = Some(Duration::from_secs_f64(number("cpu_seconds")?));
    Some(Run { cpu, stored: number("bytes_per_record"), ..run })
}

/// Returns the name of a measurement.
pub(crate) fn name(per_sync: usize) -> String {
    match per_sync {
        0 => "witness-log, never synced".to_owned(),
        1 => "witness-log, a sync each".to_owned(),
        many => format!("witness-log, a sync per {many}"),
    }
}
