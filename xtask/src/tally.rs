//! Counts of what passed and failed, read from what the test runners print.

use std::{fmt, iter::Sum, ops::AddAssign};

/// How many checks or tests passed and failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// One check, by its result.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Returns what a command amounts to: what it counted, and at least one failure if it failed.
    pub(crate) fn of_run(counted: Self, success: bool) -> Self {
        let silent = !success && counted.failed == 0;
        Self { failed: counted.failed + u64::from(silent), ..counted }
    }
}

/// A test runner, by the form of its summary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Runner {
    /// Rust's.
    Libtest,
    /// Python's.
    Pytest,
    /// Node's.
    Node,
}

impl Runner {
    /// Reads a line of the runner's summary; `None` for any other line.
    pub(crate) fn read(self, line: &str) -> Option<Tally> {
        match self {
            Self::Libtest => libtest(line),
            Self::Pytest => pytest(line),
            Self::Node => node(line),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        for tally in all {
            sum += tally;
        }
        sum
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `test result: ok. 12 passed; 0 failed; 0 ignored; ...`
fn libtest(line: &str) -> Option<Tally> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let rest = rest.split_once(". ").map(|(_, counts)| counts)?;
    counted(rest.split("; "))
}

/// `=== 12 passed, 1 failed, 2 warnings in 3.21s ===`
fn pytest(line: &str) -> Option<Tally> {
    let line = line.trim_matches(['=', ' ']);
    let (counts, time) = line.rsplit_once(" in ")?;
    let timed = time.starts_with(|c: char| c.is_ascii_digit()) && time.contains('s');
    if timed { counted(counts.split(", ")) } else { None }
}

/// `# pass 12` and `# fail 0`, one line each; the sign in front depends on the reporter.
fn node(line: &str) -> Option<Tally> {
    let line = line.strip_prefix(['#', 'ℹ'])?.trim();
    let (word, count) = line.split_once(' ')?;
    let count = count.parse().ok()?;
    match word {
        "pass" => Some(Tally { passed: count, failed: 0 }),
        "fail" | "cancelled" => Some(Tally { passed: 0, failed: count }),
        _ => None,
    }
}

fn counted<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Tally> {
    let mut tally = None;
    for part in parts {
        let Some((count, word)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(count) = count.parse::<u64>() else {
            continue;
        };
        let sum: &mut Tally = tally.get_or_insert_default();
        match word {
            "passed" => sum.passed += count,
            "failed" | "error" | "errors" => sum.failed += count,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNERS: [Runner; 3] = [Runner::Libtest, Runner::Pytest, Runner::Node];

    #[test]
    fn the_summary_of_each_runner_is_read_and_no_other() {
        let cases = [
            (Runner::Libtest, "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured", 12, 0),
            (Runner::Libtest, "test result: FAILED. 3 passed; 2 failed; 0 ignored", 3, 2),
            (Runner::Pytest, "==== 1 failed, 11 passed, 2 warnings in 3.21s ====", 11, 1),
            (Runner::Pytest, "2 errors in 0.10s", 0, 2),
            (Runner::Node, "# pass 7", 7, 0),
            (Runner::Node, "ℹ fail 1", 0, 1),
        ];
        for (runner, line, passed, failed) in cases {
            assert_eq!(runner.read(line), Some(Tally { passed, failed }), "{line}");
            for other in RUNNERS.into_iter().filter(|other| *other != runner) {
                assert_eq!(other.read(line), None, "{line}");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_summary_counts_nothing() {
        for line in ["", "test a ... ok", "running 4 tests", "# tests", "made in 2 steps", "ℹ duration_ms 3"] {
            assert!(RUNNERS.iter().all(|runner| runner.read(line).is_none()), "{line}");
        }
    }

    #[test]
    fn a_command_that_fails_without_counting_is_one_failure() {
        assert_eq!(Tally::of_run(Tally::default(), false), Tally::one(false));
        assert_eq!(Tally::of_run(Tally { passed: 3, failed: 0 }, false).failed, 1);
        assert_eq!(Tally::of_run(Tally::default(), true), Tally::default());
    }
}
