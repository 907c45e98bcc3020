//! Samples of durations, and their quantiles.

use std::time::Duration;

/// Durations in the order they were measured; any number of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Adds one.
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Adds all of another sample.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns all of them, in the order they were measured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().copied()
    }

    /// Returns a quantile by the nearest-rank method: the smallest value that at least the share `at` (0 to 1) of all
    /// values does not exceed. `None` if there is none.
    pub(crate) fn quantile(&self, at: f64) -> Option<Duration> {
        let mut values = self.0.clone();
        let rank = rank(values.len(), at)?;
        let (_, value, _) = values.select_nth_unstable(rank);
        Some(*value)
    }

    /// Returns a quantile in microseconds; not a number if there is no value.
    pub(crate) fn micros(&self, at: f64) -> f64 {
        self.quantile(at).map_or(f64::NAN, |value| value.as_secs_f64() * 1e6)
    }

    /// Returns a quantile in milliseconds; not a number if there is no value.
    pub(crate) fn millis(&self, at: f64) -> f64 {
        self.micros(at) / 1e3
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index below the length, which is far below 2^52"
)]
fn rank(len: usize, at: f64) -> Option<usize> {
    let last = len.checked_sub(1)?;
    let rank = (len as f64 * at.clamp(0.0, 1.0)).ceil() as usize;
    Some(rank.saturating_sub(1).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(all: impl IntoIterator<Item = u64>) -> Sample {
        all.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_quantile_is_the_smallest_value_that_the_share_does_not_exceed() {
        let sample = millis((1..=100).rev());
        for (at, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)] {
            assert_eq!(sample.quantile(at), Some(Duration::from_millis(expected)), "{at}");
        }
    }

    #[test]
    fn the_only_value_is_every_quantile_and_none_is_none() {
        let one = millis([7]);
        assert!([0.0, 0.5, 1.0].iter().all(|at| one.quantile(*at) == Some(Duration::from_millis(7))));
        assert_eq!(Sample::default().quantile(0.5), None);
        assert!(Sample::default().micros(0.5).is_nan());
    }

    #[test]
    fn few_slow_ones_show_in_the_tail_only() {
        let sample = millis(std::iter::repeat_n(1, 98).chain([500, 600]));
        assert_eq!(sample.quantile(0.98), Some(Duration::from_millis(1)));
        assert_eq!(sample.quantile(0.99), Some(Duration::from_millis(500)));
    }
}
