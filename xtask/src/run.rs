//! Runs a command, shows what it runs and what it says, and counts what passed.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    say,
    tally::{Runner, Tally},
};

/// Runs a test runner to its end, passing its output through, and counts its tests.
///
/// # Errors
///
/// The command could not be started; one that fails is a count, not an error.
pub(crate) fn counted(runner: Runner, command: &mut Command) -> Result<Tally> {
    say::line(&format!("    $ {}", shown(command)));
    let started = Instant::now();
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run `{}`", shown(command)))?;
    let mut sum = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("cannot read what the command says")?;
            let line = String::from_utf8_lossy(&line);
            say::line(&line);
            sum += runner.read(&line).unwrap_or_default();
        }
    }
    let status = child.wait().context("cannot wait for the command")?;
    let tally = Tally::of_run(sum, status.success());
    say::line(&format!("    {tally} ({:.1} s)", started.elapsed().as_secs_f64()));
    Ok(tally)
}

/// Runs a command that is one check: it passes if the command succeeds.
///
/// # Errors
///
/// The command could not be started; one that fails is a count, not an error.
pub(crate) fn check(command: &mut Command) -> Result<Tally> {
    say::line(&format!("    $ {}", shown(command)));
    quiet(command)
}

/// Like [`check`], without saying what is run: for a command whose output is read by a program.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn quiet(command: &mut Command) -> Result<Tally> {
    let status = command.status().with_context(|| format!("cannot run `{}`", shown(command)))?;
    Ok(Tally::one(status.success()))
}

/// Runs a command that must succeed.
///
/// # Errors
///
/// It could not be started, or it failed.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let tally = check(command)?;
    ensure!(tally.failed == 0, "`{}` failed", shown(command));
    Ok(())
}

/// Runs a command silently and returns the first line of its output; `None` if it is missing or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    output.status.success().then_some(line)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_counted_and_one_that_is_missing_is_an_error() {
        let tally = counted(Runner::Node, Command::new("sh").args(["-c", "echo '# pass 2'; exit 1"])).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
        assert!(counted(Runner::Node, &mut Command::new("no-such-program-here")).is_err());
        assert_eq!(check(&mut Command::new("false")).unwrap(), Tally::one(false));
        assert!(must(&mut Command::new("false")).is_err());
    }
}
