//! Programs that are run to their end, and what they answer.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// What the record is measured with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs<'a> {
    pub(super) exeat: &'a Path,
    pub(super) verify: &'a Path,
    pub(super) calls_log: &'a Path,
}

impl Programs<'_> {
    /// Returns the command `exeat --json`.
    pub(super) fn exeat(&self) -> Command {
        let mut command = Command::new(self.exeat);
        command.arg("--json");
        command
    }

    /// Returns the example that makes logs.
    pub(super) fn calls_log(&self) -> Command {
        Command::new(self.calls_log)
    }

    /// Returns a program that runs on one core only.
    pub(super) fn on_one_core(program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0"]).arg(program);
        command
    }
}

/// Runs a program that must succeed; returns the JSON that it answers and how many seconds it took.
///
/// # Errors
///
/// It cannot be run, fails, or answers no JSON.
pub(super) fn answered(command: &mut Command) -> anyhow::Result<(Value, f64)> {
    let shown = format!("{command:?}");
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    let took = begun.elapsed().as_secs_f64();
    let said = || String::from_utf8_lossy(&output.stderr).chars().take(2_000).collect::<String>();
    let first = || String::from_utf8_lossy(&output.stdout).chars().take(500).collect::<String>();
    ensure!(output.status.success(), "{shown} failed: {}{}", said(), first());
    let answer = serde_json::from_slice(&output.stdout).with_context(|| format!("{shown} answered no JSON"))?;
    Ok((answer, took))
}

/// Returns a number in an answer.
///
/// # Errors
///
/// There is none.
pub(super) fn number(answer: &Value, at: &str) -> anyhow::Result<f64> {
    answer.pointer(at).and_then(Value::as_f64).with_context(|| format!("no number `{at}` in {answer}"))
}

/// Returns the bytes of all files in a folder and those below it, whose paths `counts`.
///
/// # Errors
///
/// The folder cannot be read.
pub(super) fn bytes_in(folder: &Path, counts: &dyn Fn(&Path) -> bool) -> anyhow::Result<f64> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += bytes_in(&path, counts)?;
        } else if counts(&path) {
            #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            let length = path.metadata()?.len() as f64;
            bytes += length;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_failure_is_told_with_what_was_said() {
        let sh = |script: &str| answered(Command::new("sh").args(["-c", script]));
        let (answer, _) = sh(r#"echo '{"a": {"b": 2}}'"#).unwrap();
        assert!((number(&answer, "/a/b").unwrap() - 2.0).abs() < 1e-9 && number(&answer, "/b").is_err());
        assert!(sh("echo why >&2; exit 1").unwrap_err().to_string().contains("why"));
        assert!(sh("echo no").is_err());
    }

    #[test]
    fn bytes_are_counted_below_a_folder_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("below/a.bin"), [0; 7]).unwrap();
        std::fs::write(dir.path().join("b.txt"), [0; 5]).unwrap();
        let all = bytes_in(dir.path(), &|_| true).unwrap();
        let some = bytes_in(dir.path(), &|path| path.extension().is_some_and(|ending| ending == "bin")).unwrap();
        assert!((all - 12.0).abs() < 1e-9 && (some - 7.0).abs() < 1e-9);
    }
}
