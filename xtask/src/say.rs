//! The one place that prints.

use std::io::Write;

/// Writes one line to standard output.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away is no reason to stop checking.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes the heading of a step.
pub(crate) fn step(text: &str) {
    line(&format!("\n==> {text}"));
}

/// Writes one line to standard error.
pub(crate) fn fault(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
