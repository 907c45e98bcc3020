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
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        }
    }

    /// Reads the summary line of a test runner (libtest, pytest, node:test); `None` for any other line.
    pub(crate) fn read(line: &str) -> Option<Self> {
        libtest(line)
            .or_else(|| pytest(line))
            .or_else(|| node(line))
    }

    /// Returns what a command amounts to: what it counted, and at least one failure if it failed.
    pub(crate) fn of_run(counted: Self, success: bool) -> Self {
        let silent = !success && counted.failed == 0;
        Self {
            failed: counted.failed + u64::from(silent),
            ..counted
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
    if timed {
        counted(counts.split(", "))
    } else {
        None
    }
}

/// `# pass 12` and `# fail 0`, one line each; the sign in front depends on the reporter.
fn node(line: &str) -> Option<Tally> {
    let line = line.strip_prefix(['#', 'ℹ'])?.trim();
    let (word, count) = line.split_once(' ')?;
    let count = count.parse().ok()?;
    match word {
        "pass" => Some(Tally {
            passed: count,
            failed: 0,
        }),
        "fail" | "cancelled" => Some(Tally {
            passed: 0,
            failed: count,
        }),
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

    #[test]
    fn the_summary_of_each_runner_is_read() {
        let cases = [
            (
                "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                12,
                0,
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
                3,
                2,
            ),
            ("==== 1 failed, 11 passed, 2 warnings in 3.21s ====", 11, 1),
            ("2 errors in 0.10s", 0, 2),
            ("# pass 7", 7, 0),
            ("ℹ fail 1", 0, 1),
        ];
        for (line, passed, failed) in cases {
            assert_eq!(Tally::read(line), Some(Tally { passed, failed }), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_summary_counts_nothing() {
        for line in [
            "",
            "test a ... ok",
            "running 4 tests",
            "# tests",
            "made in 2 steps",
            "ℹ duration_ms 3",
        ] {
            assert_eq!(Tally::read(line), None, "{line}");
        }
    }

    #[test]
    fn a_command_that_fails_without_counting_is_one_failure() {
        assert_eq!(Tally::of_run(Tally::default(), false), Tally::one(false));
        assert_eq!(
            Tally::of_run(
                Tally {
                    passed: 3,
                    failed: 0
                },
                false
            )
            .failed,
            1
        );
        assert_eq!(Tally::of_run(Tally::default(), true), Tally::default());
    }
}
