//! What a process and all its descendants cost: CPU time, memory, threads; read from `/proc`.

pub(crate) mod guard;
mod memory;

use std::{
    collections::BTreeMap,
    fs,
    ops::{Add, Sub},
    time::Duration,
};

use anyhow::Context;

pub(crate) use memory::memory;

/// CPU time of a process tree so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    /// All of it, with that of descendants that ended and were waited for.
    pub(crate) total: Duration,
    /// By the name of the thread, for threads that still run.
    pub(crate) threads: BTreeMap<String, Duration>,
}

impl Cpu {
    /// Returns what was spent since `before`; never negative.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let spent = |(name, now): (&String, &Duration)| {
            let then = before.threads.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(then))
        };
        Self { total: self.total.saturating_sub(before.total), threads: self.threads.iter().map(spent).collect() }
    }
}

/// Returns the CPU time that `pid` and all its descendants have used so far.
///
/// Exact to the nanosecond while threads live; a thread that ended is counted in whole ticks of its process, and a
/// process that ended and was waited for in those of its parent.
///
/// # Errors
///
/// The process is gone, or this is not Linux.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Cpu> {
    let mut all = Cpu::default();
    let own = process_cpu(pid, &mut all.threads).with_context(|| format!("process {pid} is gone"))?;
    all.total = own;
    for descendant in descendants(pid) {
        // One that ended since it was listed is counted by its parent next time.
        all.total += process_cpu(descendant, &mut all.threads).unwrap_or_default();
    }
    Ok(all)
}

/// Returns all descendants of `pid`, without itself, parents before their children.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut at = 0;
    while let Some(next) = found.get(at).copied() {
        found.extend(children(next));
        at += 1;
    }
    found
}

/// Returns true while a process runs; one that ended and only waits to be waited for does not.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn process_cpu(pid: u32, threads: &mut BTreeMap<String, Duration>) -> anyhow::Result<Duration> {
    let ticks = Ticks::read(pid)?;
    let mut exact = Duration::ZERO;
    for thread in tasks(pid) {
        let Some((name, spent)) = thread_cpu(pid, thread) else { continue };
        exact += spent;
        *threads.entry(name).or_default() += spent;
    }
    // Whole ticks are cut off, so that they are more only if threads have ended.
    Ok(exact.max(duration_of(ticks.own)) + duration_of(ticks.waited))
}

/// Fields of `/proc/PID/stat`, in clock ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ticks {
    own: u64,
    waited: u64,
}

impl Ticks {
    fn read(pid: u32) -> anyhow::Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
    }

    fn parse(stat: &str) -> anyhow::Result<Self> {
        // The name in parentheses may hold anything; the fields after it count from 3.
        let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field =
            |at: usize| fields.get(at - 3).and_then(|text| text.parse::<u64>().ok()).context("stat is too short");
        Ok(Self { own: field(14)?.add(field(15)?), waited: field(16)?.add(field(17)?) })
    }
}

fn duration_of(ticks: u64) -> Duration {
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1_000) / a_second)
}

/// Name and time on a processor of one thread; `None` if it is gone.
fn thread_cpu(pid: u32, thread: u32) -> Option<(String, Duration)> {
    let folder = format!("/proc/{pid}/task/{thread}");
    let name = fs::read_to_string(format!("{folder}/comm")).ok()?;
    let schedule = fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    let nanos = schedule.split_whitespace().next()?.parse().ok()?;
    Some((name.trim().to_owned(), Duration::from_nanos(nanos)))
}

fn children(pid: u32) -> Vec<u32> {
    tasks(pid).into_iter().flat_map(|task| numbers(&format!("/proc/{pid}/task/{task}/children"))).collect()
}

fn numbers(path: &str) -> Vec<u32> {
    let listed = fs::read_to_string(path).unwrap_or_default();
    listed.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn tasks(pid: u32) -> Vec<u32> {
    let listed = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns `later - earlier`, or zero.
fn difference<T: PartialOrd + Sub<Output = T> + Default>(later: T, earlier: T) -> T {
    if later > earlier { later - earlier } else { T::default() }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const BUSY: &str = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn wait_for_a_line(child: &mut Child) {
        use std::io::{BufRead, BufReader};
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    }

    #[test]
    fn the_cpu_of_a_grandchild_is_counted_while_it_runs_and_after_it_was_waited_for() {
        let mut running = shell(&format!("sh -c '{BUSY}; echo; read x'; true"));
        wait_for_a_line(&mut running);
        let mut waited = shell(&format!("(sh -c '{BUSY}'; true); echo; read x"));
        wait_for_a_line(&mut waited);
        for child in [&running, &waited] {
            let spent = cpu(child.id()).unwrap().total;
            assert!(spent >= Duration::from_millis(20), "{spent:?}");
        }
        // Their input ends with these, and so do they.
        drop(running.stdin.take());
        drop(waited.stdin.take());
        running.wait().unwrap();
        waited.wait().unwrap();
    }

    #[test]
    fn descendants_are_listed_to_any_depth() {
        let mut child = shell("sh -c 'sh -c \"echo; read x\"; true'; true");
        wait_for_a_line(&mut child);
        assert_eq!(descendants(child.id()).len(), 2);
        assert!(is_running(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }

    #[test]
    fn the_fields_of_stat_are_found_behind_any_name() {
        let stat = "7 (a) b ) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 700 800 20 0 1 0 5 6 7";
        assert_eq!(Ticks::parse(stat).unwrap(), Ticks { own: 110, waited: 1_500 });
        assert!(Ticks::parse("7 (a) S 1 2").is_err());
    }

    #[test]
    fn what_was_spent_is_told_by_thread_and_never_negative() {
        let named = |millis| BTreeMap::from([("worker-0".to_owned(), Duration::from_millis(millis))]);
        let before = Cpu { total: Duration::from_millis(30), threads: named(20) };
        let after = Cpu { total: Duration::from_millis(50), threads: named(35) };
        assert_eq!(after.since(&before).total, Duration::from_millis(20));
        assert_eq!(after.since(&before).threads, named(15));
        assert_eq!(before.since(&after).total, Duration::ZERO);
    }
}
