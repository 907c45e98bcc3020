//! One measurement.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::Failure;

/// One measurement of one round.
pub(crate) struct Run {
    /// What was measured.
    pub(crate) name: String,
    /// In which round, from 0.
    pub(crate) round: usize,
    /// Records that became durable.
    pub(crate) appends: usize,
    /// Syncs of the disk, where they are known.
    pub(crate) commits: Option<u64>,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Processor time of this process, where it does the work.
    pub(crate) cpu: Option<Duration>,
    /// Median time from a record's submission until it is durable.
    pub(crate) p50: Duration,
    /// 99th percentile of the same.
    pub(crate) p99: Duration,
    /// Bytes on disk of one record, where they were looked at.
    pub(crate) stored: Option<f64>,
    /// What share of the processors was busy with anything else than this process, where it was looked at.
    pub(crate) foreign: Option<f64>,
}

impl Run {
    /// Returns records per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.appends as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns processor time of one record, in microseconds.
    pub(crate) fn cpu_micros(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / self.appends.max(1) as f64)
    }
}

/// A measurement that goes on.
pub(crate) struct Stopwatch {
    begin: Instant,
    cpu: Duration,
    busy: Duration,
}

impl Stopwatch {
    /// Begins now.
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self { begin: Instant::now(), cpu: process_cpu()?, busy: all_cpu()? })
    }

    /// Returns how long it has gone on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Ends it.
    pub(crate) fn stop(self, name: &str, latencies: Vec<Duration>, commits: Option<u64>) -> Result<Run, Failure> {
        let cpu = process_cpu()?.saturating_sub(self.cpu);
        let others = all_cpu()?.saturating_sub(self.busy).saturating_sub(cpu);
        let there = self.begin.elapsed() * u32::try_from(thread::available_parallelism()?.get())?;
        let run = of_latencies(name, latencies, commits, self.begin.elapsed());
        Ok(Run { cpu: Some(cpu), foreign: Some(others.as_secs_f64() / there.as_secs_f64()), ..run })
    }
}

/// Makes a measurement of which only the latencies are known.
pub(crate) fn of_latencies(name: &str, mut latencies: Vec<Duration>, commits: Option<u64>, elapsed: Duration) -> Run {
    latencies.sort_unstable();
    let at = |share: usize| {
        let place = latencies.len().saturating_sub(1) * share / 100;
        latencies.get(place).copied().unwrap_or_default()
    };
    let (p50, p99) = (at(50), at(99));
    Run {
        name: name.to_owned(),
        round: 0,
        appends: latencies.len(),
        commits,
        elapsed,
        cpu: None,
        p50,
        p99,
        stored: None,
        foreign: None,
    }
}

/// Returns the processor time of this process, from `/proc` in ticks of 10 ms.
fn process_cpu() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no `/proc/self/stat`")?;
    ticks(fields.split_whitespace().skip(11).take(2))
}

/// Returns the processor time of everything on this machine but rest, and what the hypervisor gave to others.
fn all_cpu() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let fields = text.split_whitespace().skip(1).take(8).enumerate();
    // The fourth is idle time, the fifth that of waiting for a disk.
    ticks(fields.filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, field)| field))
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Duration, Failure> {
    let mut ticks = 0;
    for field in fields {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}
