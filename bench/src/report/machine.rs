//! On what and from what a run was made.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

/// Describes machine, revision and command line. What cannot be found out is `null`.
pub(crate) fn describe(exeat: &Path) -> Value {
    let mut version = Command::new(exeat);
    version.arg("--version");
    json!({
        "date": jiff::Timestamp::now().to_string(),
        "command": std::env::args().collect::<Vec<_>>().join(" "),
        "revision": first_line(git(&["rev-parse", "HEAD"])),
        "uncommitted_changes": uncommitted(),
        "exeat": first_line(version),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "cpu": field("/proc/cpuinfo", "model name"),
        "cpus": std::thread::available_parallelism().ok().map(usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "load_before": read("/proc/loadavg"),
    })
}

fn uncommitted() -> Option<bool> {
    let output = git(&["status", "--porcelain"]).output().ok()?;
    output.status.success().then_some(!output.stdout.is_empty())
}

/// Asks about the tree that this program was built from, wherever it is called.
fn git(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments);
    command
}

fn first_line(mut command: Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}
