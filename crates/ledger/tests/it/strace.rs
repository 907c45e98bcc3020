//! `strace`, which shows the system calls of a process or tampers with them.

use std::process::{Command, Stdio};

/// Returns the program, to be given its arguments.
pub(crate) fn strace() -> Command {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    assert!(there.is_ok_and(|status| status.success()), "this test needs strace: `apt-get install strace`");
    Command::new("strace")
}
