//! What a process tree costs.

use std::{fs, time::Duration};

use anyhow::Context;

/// Clock ticks a second in `/proc`; 100 on every Linux that this runs on.
const TICKS: u64 = 100;

/// Returns the CPU time that `pid` and its children have used so far.
///
/// # Errors
///
/// The process is gone.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let own = ticks(pid)?;
    let children: u64 = children(pid).into_iter().filter_map(|child| ticks(child).ok()).sum();
    Ok(Duration::from_millis((own + children) * 1_000 / TICKS))
}

/// Returns the resident memory of `pid`, in KiB.
///
/// # Errors
///
/// The process is gone.
pub(crate) fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Returns the load of the machine over the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; the fields after it count from 3.
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(field(14) + field(15))
}

fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
