//! This driver's own figures beside those of `oha`, a load generator by others, for the same load.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Bench, guarded, warm_up, whole};
use crate::{
    args::Run,
    contender::{self, Contender, DIRECT},
    load::{Closed, Shot, closed},
    report::{BASE, Column, Report, Section, describe},
    stub::Pace,
};

/// Streams as in the measurement of streams.
const PACE: Pace = Pace { events: 64, gap: Duration::from_millis(20), delay: Duration::ZERO };
const CONNECTIONS: [u32; 2] = [1, 32];
const STREAMS: u32 = 16;

const SECTIONS: &[Section] = &[
    Section {
        title: "Requests, not streamed",
        columns: &[
            Column::new("c1_p50_us", "1 connection p50, us").drawn(),
            Column::new("c1_p99_us", "1 connection p99, us").drawn(),
            Column::new("c32_p50_us", "32 connections p50, us").drawn(),
            Column::new("c32_p99_us", "32 connections p99, us").drawn(),
            Column::new("c32_per_second", "32 connections, requests/s"),
        ],
    },
    Section {
        title: "Streams",
        columns: &[
            Column::new("first_p50_us", "16 streams, first byte p50, us").drawn(),
            Column::new("first_p99_us", "16 streams, first byte p99, us").drawn(),
        ],
    },
];

/// Runs the comparison, on the upstream itself and on nginx.
///
/// # Errors
///
/// `oha` is not installed (says how to install it) or failed, or something did not start.
pub(crate) fn measure(run: &Run) -> anyhow::Result<()> {
    let oha = run.tools.join("bin/oha");
    ensure!(
        oha.is_file(),
        "`{}` is missing: `cargo install oha --locked --root {}`",
        oha.display(),
        run.tools.display()
    );
    let bench = Bench::start()?;
    let title = "The driver beside oha, for the same load".to_owned();
    let mut report = Report::new("crosscheck", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64()}));
    let mut contenders = contender::start_all(run, bench.folder.path(), bench.stub.address(), &mut report)?;
    contenders.retain(|contender| [DIRECT, BASE].contains(&contender.name));
    warm_up(&contenders, &mut report)?;
    let mut both = Both { oha: &oha, length, report };
    for round in 0..run.rounds() {
        for contender in &contenders {
            both.compare(&bench, contender, round)?;
        }
    }
    both.report.leave_out_empty();
    both.report.write(&run.out)
}

struct Both<'a> {
    oha: &'a Path,
    length: Duration,
    report: Report,
}

impl Both<'_> {
    fn compare(&mut self, bench: &Bench, contender: &Contender, round: usize) -> anyhow::Result<()> {
        bench.stub.set(Pace::AT_ONCE)?;
        for connections in CONNECTIONS {
            self.both(contender.name, &contender.unary, connections, round)?;
        }
        bench.stub.set(PACE)?;
        contender.stream.iter().try_for_each(|shot| self.both(contender.name, shot, STREAMS, round))
    }

    fn both(&mut self, name: &str, shot: &Shot, connections: u32, round: usize) -> anyhow::Result<()> {
        let how = Closed { connections, length: self.length, stagger: Duration::ZERO };
        let (ours, theirs) = (format!("{name}, driver"), format!("{name}, oha"));
        let saw = guarded(&ours, round, &mut self.report, |_| closed(shot, how))?;
        let per_second = saw.seen.answered();
        if let Some(seen) = whole(&mut self.report, &ours, saw.seen) {
            let times = if shot.stream { &seen.first } else { &seen.full };
            let rate = super::count(per_second) / saw.took.as_secs_f64();
            self.add(&ours, round, how, shot.stream, [times.micros(0.5), times.micros(0.99), rate]);
        }
        let oha = self.oha;
        let said = guarded(&theirs, round, &mut self.report, |_| call(oha, shot, how))?;
        let figures = read(&said, shot.stream).context("the answer of oha is not understood")?;
        self.add(&theirs, round, how, shot.stream, figures);
        Ok(())
    }

    fn add(&mut self, name: &str, round: usize, how: Closed, stream: bool, [p50, p99, rate]: [f64; 3]) {
        let load = if stream { "first".to_owned() } else { format!("c{}", how.connections) };
        for (figure, value) in [("p50_us", p50), ("p99_us", p99), ("per_second", rate)] {
            self.report.add(name, round, &format!("{load}_{figure}"), value);
        }
    }
}

fn call(oha: &Path, shot: &Shot, how: Closed) -> anyhow::Result<Value> {
    let mut command = Command::new(oha);
    command.args(["--no-tui", "--output-format", "json", "--wait-ongoing-requests-after-deadline"]);
    command.args(["-c", &how.connections.to_string(), "-z", &format!("{}ms", how.length.as_millis())]);
    command.args(["-m", "POST", "-T", "application/json", "-d", std::str::from_utf8(&shot.body)?]);
    for (name, value) in &shot.headers {
        command.args(["-H", &format!("{name}: {}", value.to_str()?)]);
    }
    let output = command.arg(format!("http://{}{}", shot.address, shot.path)).output().context("cannot start oha")?;
    ensure!(output.status.success(), "oha failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("oha did not answer in JSON")
}

/// Returns p50 and p99 in microseconds, of the first byte for a stream, and requests a second; `None` if a figure is
/// missing or an answer was not a success.
fn read(said: &Value, stream: bool) -> Option<[f64; 3]> {
    let times = said.get(if stream { "firstBytePercentiles" } else { "latencyPercentiles" })?;
    let micros = |name: &str| Some(times.get(name)?.as_f64()? * 1e6);
    let statuses = said.get("statusCodeDistribution")?.as_object()?;
    let rate = said.get("summary")?.get("requestsPerSec")?.as_f64()?;
    let whole = statuses.len() == 1 && statuses.contains_key("200");
    whole.then_some([micros("p50")?, micros("p99")?, rate])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_the_other_are_read_unless_an_answer_failed() {
        let said = |status: &str| {
            json!({"summary": {"requestsPerSec": 10.0}, "latencyPercentiles": {"p50": 0.001, "p99": 0.002},
                "firstBytePercentiles": {"p50": 0.0005, "p99": 0.001}, "statusCodeDistribution": {status: 10}})
        };
        assert_eq!(read(&said("200"), false), Some([1_000.0, 2_000.0, 10.0]));
        assert_eq!(read(&said("200"), true), Some([500.0, 1_000.0, 10.0]));
        assert_eq!(read(&said("503"), false), None);
    }
}
