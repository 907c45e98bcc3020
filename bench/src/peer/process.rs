//! A process tree that does not outlive the driver.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::Context;

/// A child process in a process group of its own. The group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Tree {
    child: Child,
}

impl Tree {
    /// Starts a command with its output in a log.
    ///
    /// If the driver dies without dropping this, the root of the tree gets SIGTERM.
    ///
    /// # Errors
    ///
    /// The log cannot be written, or the command not be started.
    pub(super) fn spawn(command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = File::create(log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let shown = command.get_program().to_string_lossy().into_owned();
        let mut command = dies_with_us(&command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        Ok(Self { child: command.spawn().with_context(|| format!("cannot start `{shown}` through `setpriv`"))? })
    }

    /// Returns the process id of the root.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how the root ended, if it did.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // It may be gone already. The group is ours as long as the root is not waited for.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts `setpriv` in front, which becomes the program and keeps its process id.
fn dies_with_us(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use super::*;

    #[test]
    fn dropping_a_tree_kills_its_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("grandchild");
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("sleep 300 & echo $! > {}; wait", file.display()));
        let tree = Tree::spawn(command, &folder.path().join("log")).unwrap();
        let grandchild = read_when_there(&file);
        assert!(is_alive(&grandchild), "{grandchild}");
        drop(tree);
        let mut waits = 0..200;
        while is_alive(&grandchild) && waits.next().is_some() {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_alive(&grandchild), "{grandchild} outlived its tree");
    }

    fn read_when_there(file: &Path) -> String {
        for _ in 0..500 {
            match fs::read_to_string(file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("`{}` was not written", file.display());
    }

    /// True if the process exists and is not a zombie that its new parent has yet to collect.
    fn is_alive(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }
}
