//! Was the machine ours? The share of all processors that went to neither driver, stub nor contender.

use std::{fs, time::Duration};

use anyhow::Context;

use super::{cpu, difference};

/// A round is busy from this share of foreign CPU time on.
pub(crate) const BUSY: f64 = 0.05;

/// Watches from its making until [`Guard::foreign`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    machine: Machine,
    ours: Duration,
}

impl Guard {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        Ok(Self { machine: Machine::read()?, ours: ours()? })
    }

    /// Returns the share of all processors, 0 to 1, that went elsewhere since the beginning.
    ///
    /// Ours is this process and all its descendants. What a hypervisor took away counts as foreign, and so does work
    /// of the kernel's own threads, such as writing back what we wrote.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read.
    pub(crate) fn foreign(&self) -> anyhow::Result<f64> {
        let ours = difference(ours()?, self.ours);
        Ok(Machine::read()?.share(&self.machine, ticks(ours)))
    }
}

fn ours() -> anyhow::Result<Duration> {
    Ok(cpu(std::process::id())?.total)
}

/// The processors' time since boot, in ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Machine {
    busy: f64,
    all: f64,
}

impl Machine {
    fn read() -> anyhow::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/stat")?).context("the first line of /proc/stat is not understood")
    }

    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let fields: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are within user and nice.
        let &[user, nice, system, idle, wait, irq, softirq, steal, ..] = fields.as_slice() else { return None };
        let busy = user + nice + system + irq + softirq + steal;
        Some(Self { busy, all: busy + idle + wait })
    }

    fn share(&self, before: &Self, ours: f64) -> f64 {
        let all = difference(self.all, before.all);
        let foreign = difference(difference(self.busy, before.busy), ours);
        if all > 0.0 { foreign / all } else { 0.0 }
    }
}

fn ticks(spent: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "ticks a second are about 100")]
    let a_second = rustix::param::clock_ticks_per_second() as f64;
    spent.as_secs_f64() * a_second
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn machine(line: &str) -> Machine {
        Machine::parse(line).unwrap()
    }

    #[test]
    fn what_is_busy_and_not_ours_is_foreign_and_so_is_stolen_time() {
        let before = machine("cpu  1000 0 500 8000 100 0 50 10 0 0\ncpu0 1 2");
        let after = machine("cpu  1060 0 520 8080 110 0 60 30 0 0\ncpu0 1 2");
        // 60 user, 20 system, 10 softirq, 20 stolen of 200; 80 of the busy ones are ours.
        assert!((after.share(&before, 80.0) - 30.0 / 200.0).abs() < 1e-9);
        assert!((after.share(&before, 0.0) - 110.0 / 200.0).abs() < 1e-9);
    }

    #[test]
    fn rounding_never_makes_a_negative_share_and_no_time_is_no_share() {
        let before = machine("cpu  0 0 0 0 0 0 0 0");
        let after = machine("cpu  10 0 0 90 0 0 0 0");
        assert!(after.share(&before, 11.0).abs() < 1e-9);
        assert!(before.share(&before, 0.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_that_is_too_short_is_not_understood() {
        assert!(Machine::parse("cpu  1 2 3 4 5 6 7").is_none());
        assert!(Machine::parse("intr 1 2 3").is_none());
    }

    #[test]
    fn our_own_work_is_not_foreign() {
        let guard = Guard::begin().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            std::hint::black_box(guard.machine.all);
        }
        let busy = difference(Machine::read().unwrap().busy, guard.machine.busy);
        let all = difference(Machine::read().unwrap().all, guard.machine.all);
        let foreign = guard.foreign().unwrap();
        assert!(foreign < busy / all, "{foreign} of {busy} in {all}");
    }
}
