//! The measurements, one file each, and what they share.

pub(crate) mod crosscheck;
pub(crate) mod directive;
pub(crate) mod evidence;
pub(crate) mod gateway;
mod million;
pub(crate) mod recall;
pub(crate) mod reload;
mod repeating;
pub(crate) mod streams;

use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use testkit::server::Server;

use crate::{
    args::Run,
    contender::{Contender, DIRECT},
    load::{Closed, Seen},
    process::{
        Cpu, cpu,
        guard::{BUSY, Guard},
    },
    report::{Report, Series, Spread, THREAD},
    stub::Stub,
};

/// What every measurement needs: an upstream in a process of its own, and a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Bench {
    stub: Stub,
    folder: TempDir,
}

impl Bench {
    /// Raises the limit of open files and starts the upstream.
    ///
    /// # Errors
    ///
    /// There is no folder for temporary files, or the upstream does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        raise_open_files()?;
        let folder = TempDir::with_prefix("exeat-bench-").context("cannot make a folder for the run")?;
        Ok(Self { stub: Stub::start()?, folder })
    }
}

/// How often a turn is taken at most, should the machine have been busy.
const TURNS: usize = 3;

/// Calls each contender once in each round, beginning elsewhere each time, and watches the machine meanwhile. A turn
/// during which it was busy is taken again, and its figures are overwritten.
fn rounds(
    run: &Run,
    contenders: &[Contender],
    report: &mut Report,
    mut one: impl FnMut(&Contender, usize, &mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for round in 0..run.rounds() {
        let from = round % contenders.len().max(1);
        for contender in contenders.iter().cycle().skip(from).take(contenders.len()) {
            turn(contender.name, round, report, |report| one(contender, round, report))
                .with_context(|| format!("{} in round {round}", contender.name))?;
        }
    }
    Ok(())
}

fn turn(
    name: &str,
    round: usize,
    report: &mut Report,
    mut one: impl FnMut(&mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for taken in 1.. {
        let guard = Guard::begin()?;
        one(report)?;
        let foreign = guard.foreign()?;
        if foreign <= BUSY || taken == TURNS {
            report.foreign(name, round, foreign);
            return Ok(());
        }
        report.note(format!("{name}: its turn in round {round} was taken again, {:.0} % foreign CPU", foreign * 100.0));
    }
    Ok(())
}

/// Does something and notes how much of the machine went elsewhere meanwhile.
fn guarded<T>(
    name: &str,
    round: usize,
    report: &mut Report,
    what: impl FnOnce(&mut Report) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let guard = Guard::begin()?;
    let done = what(report)?;
    report.foreign(name, round, guard.foreign()?);
    Ok(done)
}

/// Runs a load and returns what it saw and the CPU time that a contender spent on it; `None` for the upstream.
fn costed<T>(contender: &Contender, load: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Option<Cpu>)> {
    let before = contender.pid().map(cpu).transpose()?;
    let saw = load()?;
    let after = contender.pid().map(cpu).transpose()?;
    Ok((saw, before.zip(after).map(|(before, after)| after.since(&before))))
}

/// Adds CPU time per unit, of the whole tree under `key` and of each thread; returns that of the tree in microseconds.
fn add_cpu(report: &mut Report, name: &str, round: usize, key: &str, cpu: &Cpu, units: f64) {
    report.add(name, round, key, micros(cpu.total) / units);
    for (thread, spent) in &cpu.threads {
        report.add(name, round, &format!("{THREAD}{thread}"), micros(*spent) / units);
    }
}

/// Adds what each contender adds to a figure of the upstream's own.
fn add_added(report: &mut Report, contenders: &[Contender], key: &str, added: &str) {
    let direct = report.series(DIRECT, key);
    for contender in contenders.iter().filter(|contender| contender.name != DIRECT) {
        for (round, value) in report.series(contender.name, key).minus(&direct).values() {
            report.add(contender.name, round, added, value);
        }
    }
}

/// Puts a directive in force that bars foreign persons from the model.
fn june_12(server: &Server) -> anyhow::Result<()> {
    let document = serde_json::from_str(include_str!("../../../examples/june-12.directive.json"))?;
    server.admin("POST", "/admin/v1/directives?apply=true", &document).map(drop)
}

/// Sends each contender some requests, so that nothing is done for the first time in the first round.
fn warm_up(contenders: &[Contender], report: &mut Report) -> anyhow::Result<()> {
    for contender in contenders {
        let how = Closed { connections: 32, length: Duration::from_millis(700), stagger: Duration::ZERO };
        let seen = crate::load::closed(&contender.unary, how)?.seen;
        report.failures(contender.name, seen.failures);
    }
    Ok(())
}

/// Notes failed answers; returns what was seen if there were none, since a round with failures has no figures.
fn whole(report: &mut Report, name: &str, mut seen: Seen) -> Option<Seen> {
    let failures = std::mem::take(&mut seen.failures);
    let whole = failures.count == 0 && seen.answered() > 0;
    report.failures(name, failures);
    whole.then_some(seen)
}

fn spread_of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    Series::from_iter(values).spread()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Counts are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Raises the limit of open files as far as it goes; children inherit it.
fn raise_open_files() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("cannot raise the limit of open files")
}

/// Returns how many streams a gateway can hold, which needs two files for each.
fn most_streams() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(600) / 2
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_round_with_a_failed_answer_has_no_figures() {
        let mut report = Report::new("gateway", String::new(), &[], Value::Null, false);
        let mut seen = Seen::default();
        assert!(whole(&mut report, "exeat", seen.clone()).is_none(), "no answer at all");
        seen.full.add(Duration::from_millis(1));
        assert!(whole(&mut report, "exeat", seen.clone()).is_some());
        seen.failures.add("status 500".to_owned());
        assert!(whole(&mut report, "exeat", seen).is_none());
    }

    #[test]
    fn a_gateway_holds_fewer_streams_than_half_of_the_files_it_may_open() {
        raise_open_files().unwrap();
        let limit = usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)).unwrap();
        assert!(most_streams() * 2 < limit && most_streams() > 0);
    }
}
