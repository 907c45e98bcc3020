//! How often a peer is asked.

use std::time::Duration;

/// Doubles the wait after each failure.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    failures: u32,
}

impl Pace {
    /// Nobody is asked more often than this.
    pub(super) const LEAST: Duration = Duration::from_secs(1);
    /// However often a peer failed, it is asked again after this.
    pub(super) const MOST: Duration = Duration::from_secs(60);

    pub(super) fn new(every: Duration) -> Self {
        Self { every: every.max(Self::LEAST), failures: 0 }
    }

    /// Returns how long to wait before the next request.
    pub(super) fn wait(&self) -> Duration {
        let doubled = self.every.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        doubled.min(Self::MOST.max(self.every))
    }

    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }

    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_fails_is_asked_less_often_and_at_least_once_a_minute() {
        let mut pace = Pace::new(Duration::from_millis(1));
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(pace.wait().as_secs());
            pace.failed();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        pace.worked();
        assert_eq!(pace.wait(), Duration::from_secs(1));
    }

    #[test]
    fn an_interval_longer_than_a_minute_is_kept() {
        let mut pace = Pace::new(Duration::from_secs(300));
        pace.failed();
        assert_eq!(pace.wait(), Duration::from_secs(300));
    }
}
