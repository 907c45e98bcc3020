//! Where on the page a value is.

use crate::report::Spread;

/// From this ratio of the largest to the smallest value on, a linear axis would hide the small ones.
const LOG_FROM: f64 = 12.0;
/// Values beyond these are drawn at the end of the axis, so that no value makes an axis without end.
const SMALLEST: f64 = 1e-9;
const LARGEST: f64 = 1e15;
/// At most so many intervals on a linear axis.
const INTERVALS: f64 = 6.0;

/// A horizontal axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    scale: Scale,
    left: f64,
    right: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// From 0 to `last`, with a tick at each multiple of `step`.
    Linear { last: f64, step: f64 },
    /// From one power of ten to another.
    Log { first: f64, last: f64 },
}

impl Axis {
    /// Fits an axis between two places on the page to all values.
    pub(super) fn fit(spreads: impl Iterator<Item = Spread>, left: f64, right: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for spread in spreads {
            low = low.min(spread.median);
            high = high.max(spread.high);
        }
        let high = high.min(LARGEST);
        let is_log = (SMALLEST..LARGEST).contains(&low) && high / low >= LOG_FROM;
        let scale = if is_log { log(low, high) } else { linear(high) };
        Self { scale, left, right }
    }

    /// Returns true if equal distances are equal ratios.
    pub(super) fn is_log(&self) -> bool {
        matches!(self.scale, Scale::Log { .. })
    }

    /// Returns where a value is; what is off the axis is at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear { last, .. } => value / last,
            Scale::Log { .. } if value <= 0.0 => 0.0,
            Scale::Log { first, last } => (value.log10() - first) / (last - first),
        };
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Returns places and labels of the ticks.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let (mut at, step, last) = match self.scale {
            Scale::Linear { last, step } => (0.0, step, last),
            Scale::Log { first, last } => (first, 1.0, last),
        };
        let mut ticks = Vec::new();
        while at <= last + step / 2.0 {
            let value = if self.is_log() { 10_f64.powf(at) } else { at };
            ticks.push((self.place(value), label(value)));
            at += step;
        }
        ticks
    }
}

/// Begins a little below the smallest value, so that its bar can be seen.
fn log(low: f64, high: f64) -> Scale {
    let first = (low / 1.5).log10().floor();
    Scale::Log { first, last: high.log10().ceil().max(first + 1.0) }
}

fn linear(high: f64) -> Scale {
    let high = if high > 0.0 { high } else { 1.0 };
    let rough = high / INTERVALS;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = power * steps.into_iter().find(|step| step * power >= rough).unwrap_or(10.0);
    Scale::Linear { last: (high / step).ceil() * step, step }
}

/// Writes a round number: `0.5`, `20`, `3k`, `10M`.
fn label(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{scaled:.4}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64]) -> Axis {
        let spread = |value: &f64| Spread { median: *value, low: *value, high: *value };
        Axis::fit(values.iter().map(spread), 100.0, 200.0)
    }

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_round_number() {
        let axis = axis(&[13.0, 57.0]);
        assert_eq!(labels(&axis), ["0", "10", "20", "30", "40", "50", "60"]);
        assert!((axis.place(30.0) - 150.0).abs() < 1e-9);
        assert!((axis.place(-4.0) - 100.0).abs() < 1e-9 && (axis.place(99.0) - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_log_axis_goes_from_power_to_power() {
        let axis = axis(&[30.0, 24_000.0]);
        assert_eq!(labels(&axis), ["10", "100", "1k", "10k", "100k"]);
        assert!((axis.place(1_000.0) - 150.0).abs() < 1e-9);
        assert!((axis.place(0.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        assert_eq!(labels(&axis(&[0.05, 0.12])), ["0", "0.02", "0.04", "0.06", "0.08", "0.1", "0.12"]);
        assert_eq!(label(2_500_000.0), "2.5M");
    }
}
