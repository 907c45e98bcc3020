//! A directive is put in force over a large directory while calls go on.

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use testkit::server::{Server, Setup};

use super::{Bench, count, guarded, million, millis, repeating::Repeating, spread_of};
use crate::{
    args::Run,
    contender::{EXEAT, setup, shot},
    load::{Open, Shot, hold, open},
    process::memory,
    report::{Column, Report, Section, Target, describe},
    sample::Sample,
    stub::Pace,
};

/// Between two changes of what is in force: short, so that most of the time one is being made.
const EVERY: Duration = Duration::from_millis(50);
/// A server that reads a large directory may take so long to start.
const TO_START: Duration = Duration::from_secs(900);
/// As a fast model answers; a stream says something now and then, and does not end.
const PACE: Pace = Pace { events: 1_000_000, gap: Duration::from_secs(5), delay: Duration::from_millis(5) };

const SECTIONS: &[Section] = &[
    Section {
        title: "The directory",
        columns: &[
            Column::new("people", "people"),
            Column::new("start_s", "start, s"),
            Column::new("memory_mib", "memory, MiB"),
        ],
    },
    Section {
        title: "Changes",
        columns: &[
            Column::new("changes", "changes of what is in force"),
            Column::new("first_ms", "first change, ms").drawn(),
            Column::new("change_p50_ms", "change p50, ms").drawn(),
            Column::new("change_max_ms", "change max, ms").drawn(),
        ],
    },
    Section {
        title: "Calls",
        columns: &[
            Column::new("p50_before_us", "calls before p50, us"),
            Column::new("p50_during_us", "calls meanwhile p50, us"),
            Column::new("p99_before_us", "calls before p99, us").drawn(),
            Column::new("p99_during_us", "calls meanwhile p99, us").drawn(),
        ],
    },
];

/// What is done over and over: the size of the directory, the streams held meanwhile, and the calls a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// People in the directory.
    pub(crate) people: u32,
    /// Live streams, each decided again at every change.
    pub(crate) streams: usize,
    /// Calls a second.
    pub(crate) rate: u32,
}

/// Runs the measurement.
///
/// # Errors
///
/// Something did not start, or a change was refused.
pub(crate) fn measure(run: &Run, Scale { people, streams, rate }: Scale) -> anyhow::Result<()> {
    let bench = Bench::start()?;
    bench.stub.set(PACE)?;
    let title = format!("A directive is put in force over {people} people");
    let mut report = Report::new("directive", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64(), "calls_per_second": rate,
        "live_streams": streams}));
    report.note(
        "the registry was filled in SQL, by copying the rows of one person that the admin API had made; the ledger has \
         no entries of the copies"
            .to_owned(),
    );
    report.contender(EXEAT, env!("CARGO_PKG_VERSION"));
    let (server, key) = start(run, bench.folder.path(), &bench, people, &mut report)?;
    let (unary, stream) = (shot(server.address, &key, false)?, shot(server.address, &key, true)?);
    let (rounds, how) = (run.rounds(), Open { rate, length });
    let changes = move || all(Desk { server: Arc::new(server), version: 0 }, &unary, how, rounds, report);
    let held = hold(vec![stream; streams], changes, |_| false, Duration::ZERO)?;
    let ended = held.lives.iter().filter(|life| life.ended.is_some()).count();
    ensure!(ended == 0, "{ended} streams of a U.S. person ended, which the directive does not touch");
    let (mut report, _desk) = held.change;
    claim(&mut report);
    report.write(&run.out)
}

fn all(mut desk: Desk, shot: &Shot, how: Open, rounds: usize, mut report: Report) -> anyhow::Result<(Report, Desk)> {
    for round in 0..rounds {
        guarded(EXEAT, round, &mut report, |report| one(&mut desk, shot, how, round, report))?;
    }
    // The server goes with the desk, and the streams are to be looked at before.
    Ok((report, desk))
}

/// Starts a server, makes a caller and a person to copy, stops it, copies, and starts it again.
fn start(
    run: &Run,
    folder: &Path,
    bench: &Bench,
    people: u32,
    report: &mut Report,
) -> anyhow::Result<(Server, String)> {
    let setup = setup(run, folder, bench.stub.address())?;
    let server = setup.start()?;
    server.lab()?;
    million::add_model(&server)?;
    let key = server.person("ada", true)?;
    let data = server.data();
    ensure!(server.terminate()?.success(), "the server did not stop in good order");
    million::fill(&data, people)?;
    let begun = Instant::now();
    let server = start_slowly(&setup)?;
    report.add(EXEAT, 0, "start_s", begun.elapsed().as_secs_f64());
    report.add(EXEAT, 0, "people", f64::from(people));
    #[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^52")]
    report.add(EXEAT, 0, "memory_mib", memory(server.pid())?.pss_kib as f64 / 1_024.0);
    ensure!(people_known(&server, people)?, "the server does not know the last of the people it was given");
    Ok((server, key))
}

fn start_slowly(setup: &Setup) -> anyhow::Result<Server> {
    let server = setup.spawn()?;
    let until = Instant::now() + TO_START;
    while Instant::now() < until {
        let ready = testkit::http::send(server.admin, "GET", "/readyz", &[("connection", "close")], b"");
        if ready.is_ok_and(|answer| answer.head.status == 200) {
            return Ok(server);
        }
        ensure!(crate::process::is_running(server.pid()), "the server ended: {}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
    bail!("the server was not ready within {} s", TO_START.as_secs())
}

fn people_known(server: &Server, people: u32) -> anyhow::Result<bool> {
    let last = server.admin("GET", &format!("/admin/v1/people/{}", million::id(people)), &Value::Null)?;
    Ok(last.to_string().contains("us_person"))
}

/// Calls without changes, then calls while one change follows another.
fn one(desk: &mut Desk, shot: &Shot, how: Open, round: usize, report: &mut Report) -> anyhow::Result<()> {
    let before = open(shot, how)?.seen;
    let changing = desk.start();
    let during = open(shot, how)?.seen;
    let took = desk.stop(changing)?;
    ensure!(before.failures.count == 0, "without a change: {}", before.failures);
    ensure!(during.failures.count == 0, "while the directive changed: {}", during.failures);
    for (key, value) in [
        ("changes", count(took.len())),
        ("first_ms", took.iter().next().map_or(f64::NAN, millis)),
        ("change_p50_ms", took.millis(0.5)),
        ("change_max_ms", took.millis(1.0)),
        ("p50_before_us", before.full.micros(0.5)),
        ("p50_during_us", during.full.micros(0.5)),
        ("p99_before_us", before.full.micros(0.99)),
        ("p99_during_us", during.full.micros(0.99)),
    ] {
        report.add(EXEAT, round, key, value);
    }
    Ok(())
}

/// Puts the directive in force and lifts it, again and again, each time as its next version.
struct Desk {
    server: Arc<Server>,
    version: u64,
}

impl Desk {
    fn start(&self) -> Repeating<(u64, Sample)> {
        let (server, mut version) = (Arc::clone(&self.server), self.version);
        Repeating::start(move |is_to_stop| {
            let mut took = Sample::default();
            // The last leaves the directive lifted.
            while !is_to_stop() || version % 2 == 1 {
                version += 1;
                let document = document(version)?;
                let begun = Instant::now();
                server.admin("POST", "/admin/v1/directives?apply=true", &document)?;
                took.add(begun.elapsed());
                thread::sleep(EVERY);
            }
            Ok((version, took))
        })
    }

    fn stop(&mut self, changing: Repeating<(u64, Sample)>) -> anyhow::Result<Sample> {
        let (version, took) = changing.stop()?;
        self.version = version;
        Ok(took)
    }
}

/// Odd versions are in force, even ones lifted.
fn document(version: u64) -> anyhow::Result<Value> {
    let mut document: Value = serde_json::from_str(include_str!("../../../examples/june-12.directive.json"))?;
    let status = if version.is_multiple_of(2) { "lifted" } else { "in_force" };
    let fields = document.as_object_mut().context("the directive is no object")?;
    fields.insert("version".to_owned(), version.into());
    fields.insert("status".to_owned(), status.into());
    Ok(document)
}

fn claim(report: &mut Report) {
    let slowest = spread_of(report.series(EXEAT, "change_max_ms").values().map(|(_, value)| value));
    report.claim(EXEAT, "ms to put a directive in force, the slowest of a round", slowest, Target::AtMost(1_000.0));
    let before = report.series(EXEAT, "p99_before_us");
    let ratio = report.series(EXEAT, "p99_during_us").divided(&before).spread();
    report.claim(EXEAT, "times the p99 of calls meanwhile", ratio, Target::AtMost(2.0));
}
