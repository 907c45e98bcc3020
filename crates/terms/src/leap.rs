//! Tells a clock that leapt ahead from time that passed: one false glimpse of next year must not become the last entry of a
//! log, which then waits for that year.

use std::sync::atomic::{AtomicI64, Ordering};

/// How far a reading may be ahead of what elapsed since the one before, in milliseconds, to be taken at once.
const STEP_MS: i64 = 5_000;
/// How long a clock that leapt further must stay there before it is believed, in milliseconds.
const CONFIRMED_MS: i64 = 10_000;
/// No leap is under way.
const NONE: i64 = i64::MIN;

/// Holds readings of a clock against a monotonic count of milliseconds.
#[derive(Debug)]
pub(crate) struct Leap {
    /// What the clock is ahead of the count, as last believed.
    offset: AtomicI64,
    /// The count when the clock was first seen to have leapt.
    since: AtomicI64,
}

impl Leap {
    /// Begins with a reading that is believed, at count zero.
    pub(crate) fn new(wall: i64) -> Self {
        Self { offset: AtomicI64::new(wall), since: AtomicI64::new(NONE) }
    }

    /// Returns the time, given what the clock says at a count: that, or, if it leapt ahead and has not stayed there long
    /// enough, what elapsed.
    pub(crate) fn held(&self, wall: i64, count: i64) -> i64 {
        let expected = self.offset.load(Ordering::Relaxed).saturating_add(count);
        if wall.saturating_sub(expected) <= STEP_MS {
            self.believe(wall, count);
            return wall;
        }
        let since = self.since.compare_exchange(NONE, count, Ordering::Relaxed, Ordering::Relaxed);
        let since = since.err().unwrap_or(count);
        if count.saturating_sub(since) < CONFIRMED_MS {
            return expected;
        }
        self.believe(wall, count);
        wall
    }

    fn believe(&self, wall: i64, count: i64) {
        self.offset.store(wall.saturating_sub(count), Ordering::Relaxed);
        self.since.store(NONE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * 86_400_000;

    #[test]
    fn a_glimpse_of_next_year_is_not_believed() {
        let leap = Leap::new(1_000);
        assert_eq!(leap.held(1_500, 500), 1_500);
        assert_eq!(leap.held(YEAR, 600), 1_600);
        assert_eq!(leap.held(YEAR + 100, 700), 1_700);
        assert_eq!(leap.held(1_800, 800), 1_800);
        // The next one begins anew.
        assert_eq!(leap.held(YEAR, 900 + CONFIRMED_MS), 1_900 + CONFIRMED_MS);
    }

    #[test]
    fn a_clock_that_leapt_and_stays_there_is_believed_after_a_while() {
        let leap = Leap::new(0);
        assert_eq!(leap.held(YEAR, 0), 0);
        assert_eq!(leap.held(YEAR + CONFIRMED_MS - 1, CONFIRMED_MS - 1), CONFIRMED_MS - 1);
        assert_eq!(leap.held(YEAR + CONFIRMED_MS, CONFIRMED_MS), YEAR + CONFIRMED_MS);
        assert_eq!(leap.held(YEAR + CONFIRMED_MS + 5, CONFIRMED_MS + 5), YEAR + CONFIRMED_MS + 5);
    }

    #[test]
    fn small_steps_and_steps_back_are_taken_as_they_come() {
        let leap = Leap::new(0);
        assert_eq!(leap.held(STEP_MS, 0), STEP_MS);
        assert_eq!(leap.held(2 * STEP_MS, 0), 2 * STEP_MS);
        assert_eq!(leap.held(-YEAR, 10), -YEAR);
        assert_eq!(leap.held(-YEAR + 10, 20), -YEAR + 10);
    }
}
