//! What the record adds to the first byte of a stream: on disk, in memory, and before the upstream is called at all.

use std::time::Duration;

use super::super::{Bench, rounds, warm_up, whole};
use crate::{
    args::Run,
    contender::{self, Contender, EXEAT, EXEAT_SHM, EXEAT_STRICT},
    load::{Closed, Open, Seen, closed, open},
    report::Report,
    stub::Pace,
};

/// An upstream that takes as long as a fast model to its first byte.
const THINKING: Duration = Duration::from_millis(5);
/// Calls a second: far from what loads the machine.
const RATE: u32 = 100;

/// Measures each contender in each round.
///
/// # Errors
///
/// A contender did not start.
pub(super) fn measure(run: &Run, bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut alone = run.clone();
    alone.peers.clear();
    let (folder, upstream) = (bench.folder.path().join("first-byte"), bench.stub.address());
    let mut contenders = contender::start_all(&alone, &folder, upstream, report)?;
    let strict = contender::start_strict(&alone, &folder, upstream)?;
    report.contender(strict.name, &strict.version);
    contenders.push(strict);
    warm_up(&contenders, report)?;
    let length = run.length()?;
    rounds(run, &contenders, report, |contender, round, report| {
        bench.stub.set(Pace { delay: THINKING, ..Pace::AT_ONCE })?;
        one(contender, round, "thinking", report, |shot| Ok(open(shot, Open { rate: RATE, length })?.seen))?;
        bench.stub.set(Pace::AT_ONCE)?;
        let how = Closed { connections: 1, length, stagger: Duration::ZERO };
        one(contender, round, "at_once", report, |shot| Ok(closed(shot, how)?.seen))
    })?;
    for load in ["thinking", "at_once"] {
        for share in ["p50_us", "p99_us"] {
            add_record(report, load, share);
        }
    }
    Ok(())
}

fn one(
    contender: &Contender,
    round: usize,
    load: &str,
    report: &mut Report,
    send: impl FnOnce(&crate::load::Shot) -> anyhow::Result<Seen>,
) -> anyhow::Result<()> {
    let Some(shot) = &contender.stream else { return Ok(()) };
    let Some(seen) = whole(report, contender.name, send(shot)?) else { return Ok(()) };
    report.add(contender.name, round, &format!("{load}_p50_us"), seen.first.micros(0.5));
    report.add(contender.name, round, &format!("{load}_p99_us"), seen.first.micros(0.99));
    Ok(())
}

/// Adds what a record on disk takes more than one in memory, round by round.
fn add_record(report: &mut Report, load: &str, share: &str) {
    let key = format!("{load}_{share}");
    let memory = report.series(EXEAT_SHM, &key);
    for name in [EXEAT, EXEAT_STRICT] {
        for (round, value) in report.series(name, &key).minus(&memory).values() {
            report.add(name, round, &format!("{load}_record_{share}"), value);
        }
    }
}
