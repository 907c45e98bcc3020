//! One figure over the rounds of a run.

use std::collections::BTreeMap;

/// Values of one figure of one contender, by round. What is not a number is not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series(BTreeMap<usize, f64>);

/// Median, smallest and largest value over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The median; of an even number of values the mean of the two in the middle.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) low: f64,
    /// The largest.
    pub(crate) high: f64,
}

impl Series {
    /// Adds the value of a round, replacing an earlier one.
    pub(crate) fn add(&mut self, round: usize, value: f64) {
        if value.is_finite() {
            self.0.insert(round, value);
        }
    }

    /// Returns the values in order of rounds.
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, f64)> {
        self.0.iter().map(|(round, value)| (*round, *value))
    }

    /// Returns median and extremes; `None` without a value.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let mut sorted: Vec<f64> = self.0.values().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied();
        let last = sorted.len().checked_sub(1)?;
        let median = f64::midpoint(at(last / 2)?, at(last.div_ceil(2))?);
        Some(Spread { median, low: at(0)?, high: at(last)? })
    }

    /// Divides round by round; rounds that only one of the two has, or where `by` is not positive, are left out.
    pub(crate) fn divided(&self, by: &Self) -> Self {
        self.with(by, |value, by| if by > 0.0 { value / by } else { f64::NAN })
    }

    /// Subtracts round by round; rounds that only one of the two has are left out.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.with(other, |value, other| value - other)
    }

    fn with(&self, other: &Self, apply: impl Fn(f64, f64) -> f64) -> Self {
        let mut made = Self::default();
        for (round, value) in self.values() {
            if let Some(other) = other.0.get(&round) {
                made.add(round, apply(value, *other));
            }
        }
        made
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut series = Self::default();
        values.into_iter().enumerate().for_each(|(round, value)| series.add(round, value));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_spread_from_end_to_end() {
        let odd = Series::from_iter([5.0, 1.0, 3.0]).spread();
        assert_eq!(odd, Some(Spread { median: 3.0, low: 1.0, high: 5.0 }));
        let even = Series::from_iter([4.0, 1.0, 2.0, 9.0]).spread();
        assert_eq!(even, Some(Spread { median: 3.0, low: 1.0, high: 9.0 }));
        assert_eq!(Series::default().spread(), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round_so_that_drift_of_the_machine_cancels() {
        let ours = Series::from_iter([20.0, 40.0, 80.0]);
        let base = Series::from_iter([10.0, 20.0, 40.0]);
        assert_eq!(ours.divided(&base).spread(), Some(Spread { median: 2.0, low: 2.0, high: 2.0 }));
        assert_eq!(ours.minus(&base), base);
    }

    #[test]
    fn a_round_without_a_value_is_left_out_of_what_is_made_of_it() {
        let ours = Series::from_iter([20.0, f64::NAN, 80.0]);
        let base = Series::from_iter([10.0, 20.0, 0.0]);
        assert_eq!(ours.divided(&base).values().collect::<Vec<_>>(), [(0, 2.0)]);
    }
}
