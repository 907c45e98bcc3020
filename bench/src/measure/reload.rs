//! A new configuration and a shutdown, while streams run: neither may cost a stream.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::server::{Server, Setup};

use super::{Bench, count, guarded, millis, repeating::Repeating};
use crate::{
    args::Run,
    contender::{EXEAT, setup, shot},
    load::{Closed, Ending, Held, Life, Shot, closed, hold},
    report::{Column, Report, Section, Target, describe},
    sample::Sample,
    stub::Pace,
};

/// Streams at a time while the configuration is read again and again.
const STREAMS: u32 = 32;
const PACE: Pace = Pace { events: 64, gap: Duration::from_millis(20), delay: Duration::ZERO };
/// Between two reloads.
const EVERY: Duration = Duration::from_millis(100);
/// A stream of [`PACE`] is about in its middle this long after its beginning.
const MIDDLE: Duration = Duration::from_millis(500);

const SECTIONS: &[Section] = &[
    Section {
        title: "Reloads",
        columns: &[
            Column::new("reloads", "reloads"),
            Column::new("reload_p50_ms", "reload p50, ms"),
            Column::new("reload_max_ms", "reload max, ms"),
            Column::new("streams", "streams meanwhile"),
            Column::new("lost", "streams lost to reloads"),
            Column::new("gap_p99_before_ms", "gap p99 before, ms").drawn(),
            Column::new("gap_p99_during_ms", "gap p99 meanwhile, ms").drawn(),
            Column::new("first_p99_before_ms", "first byte p99 before, ms").drawn(),
            Column::new("first_p99_during_ms", "first byte p99 meanwhile, ms").drawn(),
            Column::new("broken_refused", "broken configurations refused"),
        ],
    },
    Section {
        title: "Shutdown",
        columns: &[
            Column::new("draining", "streams open at SIGTERM"),
            Column::new("lost_draining", "streams lost to SIGTERM"),
            Column::new("drain_ms", "SIGTERM to end of process, ms"),
        ],
    },
];

/// Runs the measurement with so many streams in flight at the shutdown.
///
/// # Errors
///
/// Something did not start, or a reload that must succeed did not. Lost streams are part of the results.
pub(crate) fn measure(run: &Run, streams: usize) -> anyhow::Result<()> {
    ensure!(streams <= super::most_streams(), "the limit of open files does not allow {streams} streams");
    let bench = Bench::start()?;
    bench.stub.set(PACE)?;
    let title = format!("Reloads every {} ms, and a shutdown, under streams", EVERY.as_millis());
    let mut report = Report::new("reload", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64(), "streams": STREAMS,
        "streams_at_shutdown": streams}));
    report.contender(EXEAT, env!("CARGO_PKG_VERSION"));
    for round in 0..run.rounds() {
        let folder = bench.folder.path().join(round.to_string());
        guarded(EXEAT, round, &mut report, |report| one(run, &folder, &bench, streams, round, report))?;
    }
    let mut zero = |key: &str, what: &str| {
        let lost =
            report.series(EXEAT, key).spread().map(|spread| crate::report::Spread { median: spread.high, ..spread });
        report.claim(EXEAT, what, lost, Target::AtMost(0.0));
    };
    zero("lost", "streams lost to reloads in the worst round");
    zero("lost_draining", "streams lost to SIGTERM in the worst round");
    report.write(&run.out)
}

fn one(
    run: &Run,
    folder: &Path,
    bench: &Bench,
    streams: usize,
    round: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let length = run.length()?;
    let setup = setup(run, folder, bench.stub.address())?;
    let server = setup.start()?;
    server.lab()?;
    let shot = shot(server.address, &server.person("ada", true)?, true)?;
    let how = Closed { connections: STREAMS, length, stagger: PACE.gap / STREAMS };
    let before = closed(&shot, how)?.seen;
    ensure!(before.failures.count == 0, "before any reload: {}", before.failures);
    let reloading = Reloads::start(setup.clone(), server);
    let during = closed(&shot, how)?.seen;
    let (server, reloads) = reloading.stop()?;
    let drained = drain(server, vec![shot; streams])?;
    for (key, value) in [
        ("reloads", count(reloads.took.len())),
        ("reload_p50_ms", reloads.took.millis(0.5)),
        ("reload_max_ms", reloads.took.millis(1.0)),
        ("streams", count(during.answered())),
        ("gap_p99_before_ms", before.gaps.millis(0.99)),
        ("gap_p99_during_ms", during.gaps.millis(0.99)),
        ("first_p99_before_ms", before.first.millis(0.99)),
        ("first_p99_during_ms", during.first.millis(0.99)),
        ("broken_refused", count(reloads.refused)),
        ("draining", count(streams)),
        ("lost_draining", count(lost(&drained.lives))),
        ("drain_ms", millis(drained.change)),
    ] {
        report.add(EXEAT, round, key, value);
    }
    #[expect(clippy::cast_precision_loss, reason = "failures are far below 2^52")]
    report.add(EXEAT, round, "lost", during.failures.count as f64);
    Ok(())
}

/// What became of the reloads.
#[derive(Clone, Debug, Default)]
struct Reloads {
    took: Sample,
    refused: usize,
}

impl Reloads {
    /// Reads the configuration again and again: one that is right, then one that is broken.
    fn start(setup: Setup, server: Server) -> Repeating<(Server, Self)> {
        Repeating::start(move |is_to_stop| {
            let mut reloads = Self::default();
            while !is_to_stop() {
                reloads.once(&setup, &server)?;
                thread::sleep(EVERY);
            }
            Ok((server, reloads))
        })
    }

    fn once(&mut self, setup: &Setup, server: &Server) -> anyhow::Result<()> {
        setup.write(&changed(&setup.config(), self.took.len()))?;
        let begun = Instant::now();
        reload(server).context("a reload that must succeed")?;
        self.took.add(begun.elapsed());
        setup.write(&format!("{}\nbroken = [", setup.config()))?;
        ensure!(reload(server).is_err(), "a broken configuration was put in force");
        self.refused += 1;
        setup.write(&setup.config())
    }
}

/// Returns another configuration each time: another limit for each caller.
fn changed(config: &str, turn: usize) -> String {
    let line = |line: &str| match line.strip_prefix("in_flight_per_caller = ").and_then(|n| n.parse::<usize>().ok()) {
        Some(limit) => format!("in_flight_per_caller = {}\n", limit.saturating_sub(1 + turn % 2)),
        None => format!("{line}\n"),
    };
    config.lines().map(line).collect()
}

fn reload(server: &Server) -> anyhow::Result<()> {
    server.admin("POST", "/admin/v1/reload", &Value::Null).map(drop)
}

/// Sends SIGTERM in the middle of all streams and waits until the process is gone; returns how long that took.
fn drain(server: Server, shots: Vec<Shot>) -> anyhow::Result<Held<Duration>> {
    let change = move || {
        thread::sleep(MIDDLE);
        let begun = Instant::now();
        let status = server.terminate()?;
        ensure!(status.success(), "after SIGTERM the server ended with {status}");
        Ok(begun.elapsed())
    };
    hold(shots, change, |_| true, Duration::ZERO)
}

fn lost(lives: &[Life]) -> usize {
    lives.iter().filter(|life| !matches!(life.ended, Some((_, Ending::Whole)))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reload_reads_another_configuration() {
        let config = "[server.limits]\nin_flight = 50\nin_flight_per_caller = 50\n";
        assert_eq!(changed(config, 0), "[server.limits]\nin_flight = 50\nin_flight_per_caller = 49\n");
        assert_ne!(changed(config, 0), changed(config, 1));
        assert_ne!(changed(config, 1), config);
    }

    #[test]
    fn a_stream_is_lost_unless_it_ended_whole() {
        let life = |ending| Life { arrivals: Vec::new(), ended: Some((Instant::now(), ending)) };
        let lives = [life(Ending::Whole), life(Ending::Cut), life(Ending::Failed("reset".to_owned())), Life::default()];
        assert_eq!(lost(&lives), 3);
    }
}
