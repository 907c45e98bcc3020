//! Running other programs to their end, and keeping servers alive no longer than this process.

use std::{
    fs::File,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// Runs a command to its end, calling `tick` about eight times a second.
///
/// # Errors
///
/// If it cannot be started or fails, with the last of what it said.
pub(super) fn finish(command: &mut Command, mut tick: impl FnMut()) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
    // The output is read in a thread of its own, so that a full pipe never blocks the child.
    let reader = thread::spawn(move || child.wait_with_output());
    while !reader.is_finished() {
        tick();
        thread::sleep(Duration::from_millis(120));
    }
    let Ok(output) = reader.join() else { bail!("`{program}` was abandoned") };
    let output = output.with_context(|| format!("cannot wait for `{program}`"))?;
    if !output.status.success() {
        bail!("`{program}` failed: {}", last_lines(&String::from_utf8_lossy(&output.stderr), 6));
    }
    Ok(())
}

/// Returns the last lines of a text, on one line.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join(" | ")
}

/// A server that ends when its standard input closes: with this value, or with this process, however it dies.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    alive: Option<ChildStdin>,
}

impl Server {
    /// Starts the server; everything it says goes to `log`.
    ///
    /// # Errors
    ///
    /// If it cannot be started or the log cannot be written.
    pub(super) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let err = out.try_clone().with_context(|| format!("cannot write `{}`", log.display()))?;
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        let mut child = command.spawn().context("cannot start the model server")?;
        let alive = child.stdin.take();
        Ok(Self { child, alive })
    }

    /// Returns its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns true if it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.alive.take());
        let deadline = Instant::now() + Duration::from_secs(2);
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_told_with_the_last_of_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let error = finish(&mut command, || {}).unwrap_err().to_string();
        assert!(error.contains("one | two"), "{error}");
    }

    #[test]
    fn a_server_ends_when_its_value_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(&mut Command::new("cat"), &dir.path().join("log")).unwrap();
        let proc = format!("/proc/{}", server.pid());
        assert!(Path::new(&proc).exists());
        let began = Instant::now();
        drop(server);
        assert!(!Path::new(&proc).exists());
        assert!(began.elapsed() < Duration::from_secs(1), "it was killed and did not end by itself");
    }
}
