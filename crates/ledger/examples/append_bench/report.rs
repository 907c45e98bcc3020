//! What was measured, as text, JSON and Markdown.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    Failure,
    claims::{self, Claim, Target},
    disk, ours,
    postgres::Statement,
    run::Run,
    witness_log,
};

/// All rounds.
pub(crate) struct Report {
    /// Every measurement of every round.
    pub(crate) runs: Vec<Run>,
    /// What submitting one entry takes on the caller's thread.
    pub(crate) submit: Duration,
    /// The version of PostgreSQL, if it was measured.
    pub(crate) postgres: Option<String>,
    /// That of witness-log, if it was measured.
    pub(crate) witness_log: Option<String>,
    /// How long each measurement took.
    pub(crate) seconds: f64,
}

/// Median, smallest and largest over the rounds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// A figure of one contender over that of another in the same round.
struct Ratio {
    about: String,
    spread: Spread,
}

impl Report {
    /// Returns a table of medians and the ratios.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![format!(
            "{:38} {:>20} {:>8} {:>8} {:>10} {:>7}",
            "", "durable/s (min..max)", "p50 ms", "p99 ms", "per commit", "cpu us"
        )];
        for row in self.rows() {
            let rate = row.rate;
            let spread = format!("{:.0} ({:.0}..{:.0})", rate.median, rate.least, rate.most);
            lines.push(format!(
                "{:38} {spread:>20} {:>8.3} {:>8.3} {:>10} {:>7}",
                row.name,
                row.p50.median,
                row.p99.median,
                shown(row.per_commit, 1),
                shown(row.cpu, 2)
            ));
        }
        lines.push(format!("submit: {:.2} us on the caller's thread", self.submit.as_secs_f64() * 1e6));
        for Ratio { about, spread } in self.ratios() {
            lines.push(format!("{about}: {:.2} ({:.2}..{:.2})", spread.median, spread.least, spread.most));
        }
        lines.push(self.machine());
        lines.extend(self.claims());
        lines.join("\n")
    }

    /// Writes `ledger.json` and `ledger.md` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("ledger.json"), serde_json::to_string_pretty(&self.json())? + "\n")?;
        Ok(std::fs::write(folder.join("ledger.md"), self.markdown())?)
    }

    fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({
                "name": run.name, "round": run.round + 1, "appends": run.appends, "commits": run.commits,
                "appends_per_second": run.per_second(), "p50_ms": millis(run.p50), "p99_ms": millis(run.p99),
                "cpu_us_per_append": run.cpu_micros(),
                "bytes_per_record": run.stored,
            })
        };
        let ratio = |Ratio { about, spread }: Ratio| json!({"about": about, "median": spread.median, "min": spread.least, "max": spread.most});
        json!({
            "measurement": "ledger", "seconds": self.seconds, "postgres": self.postgres,
            "witness_log": self.witness_log,
            "submit_us": self.submit.as_secs_f64() * 1e6,
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "ratios": self.ratios().into_iter().map(ratio).collect::<Vec<_>>(),
            "machine": self.machine(), "claims": self.claims(),
        })
    }

    fn markdown(&self) -> String {
        let rounds = self.runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
        let mut text = format!(
            "# Durable records\n\nMedians over {rounds} rounds of {} s each, interleaved on one disk.\n\n\
             | | records/s (min..max) | p50 ms | p99 ms | records per sync | CPU µs |\n|---|--:|--:|--:|--:|--:|\n",
            self.seconds
        );
        for row in self.rows() {
            let rate = row.rate;
            text += &format!(
                "| {} | {:.0} ({:.0}..{:.0}) | {:.3} | {:.3} | {} | {} |\n",
                row.name,
                rate.median,
                rate.least,
                rate.most,
                row.p50.median,
                row.p99.median,
                shown(row.per_commit, 1),
                shown(row.cpu, 2)
            );
        }
        text += &format!("\nSubmitting takes {:.2} µs on the caller's thread.\n\n", self.submit.as_secs_f64() * 1e6);
        for Ratio { about, spread } in self.ratios() {
            text += &format!("- {about}: **{:.2}** ({:.2}..{:.2})\n", spread.median, spread.least, spread.most);
        }
        text += &match &self.postgres {
            Some(version) => format!("\nPostgreSQL {version}, `fsync` and `synchronous_commit` on.\n"),
            None => "\nPostgreSQL: not run.\n".to_owned(),
        };
        let stored = self.of(&witness_log::name(1)).first().and_then(|run| run.stored);
        text += &match (&self.witness_log, stored) {
            (Some(version), Some(bytes)) => {
                format!("\nwitness-log {version}: {bytes:.0} bytes on disk for each record.\n")
            }
            _ => "\nwitness-log: not run.\n".to_owned(),
        };
        let claims: String = self.claims().iter().map(|claim| format!("- {claim}\n")).collect();
        text + &format!("\n{}.\n\n### Claims\n\n{claims}", self.machine())
    }

    fn machine(&self) -> String {
        let ours = ours::OUTSTANDING.map(ours::name);
        claims::machine(spread(
            self.runs.iter().filter(|run| ours.contains(&run.name)).filter_map(|run| run.foreign).collect(),
        ))
    }

    /// Says of each goal whether it is met.
    fn claims(&self) -> Vec<String> {
        let many = Row::of("", self.of(&ours::name(256)));
        let on_schedule =
            |figure| self.ratio("", ours::ON_SCHEDULE, disk::FLOOR_ON_SCHEDULE, figure).map(|ratio| ratio.spread);
        let claim = |what, value, target| Claim { what, value, target }.line();
        vec![
            claim("appends/s at 256 outstanding (A1)", Some(many.rate), Target::AtLeast(200_000.0)),
            claim("CPU us per append at 256 outstanding (A2)", many.cpu, Target::AtMost(5.0)),
            claim("times the floor's p50 at 1,000/s (A3)", on_schedule(|run| millis(run.p50)), Target::AtMost(1.3)),
            claim("times the floor's p99 at 1,000/s (A3)", on_schedule(|run| millis(run.p99)), Target::AtMost(2.0)),
        ]
    }

    /// One row per contender, in the order of the first round.
    fn rows(&self) -> Vec<Row> {
        let first = self.runs.iter().filter(|run| run.round == 0);
        first.map(|run| Row::of(&run.name, self.of(&run.name))).collect()
    }

    fn of(&self, name: &str) -> Vec<&Run> {
        self.runs.iter().filter(|run| run.name == name).collect()
    }

    fn ratios(&self) -> Vec<Ratio> {
        let ours = ours::name;
        let rate = Run::per_second as fn(&Run) -> f64;
        let p50 = (|run: &Run| millis(run.p50)) as fn(&Run) -> f64;
        let [alone_there, many_there] = [1, 64].map(witness_log::name);
        let [alone, chain] = [Statement::ChainAlone, Statement::Chain].map(Statement::name);
        let all = [
            ("median latency of one entry alone, over the floor", ours(1), disk::FLOOR, p50),
            ("records per second with 64 outstanding, over one fsync per record", ours(64), disk::SYNC_EACH, rate),
            ("records per second with 64 outstanding, over PostgreSQL's hash chain", ours(64), chain, rate),
            ("records per second with 64 outstanding, over that chain with one client", ours(64), alone, rate),
            (
                "records per second with 64 outstanding, over PostgreSQL's plain insert",
                ours(64),
                Statement::Insert.name(),
                rate,
            ),
            ("records per second with 64 outstanding, over witness-log with a sync each", ours(64), &alone_there, rate),
            (
                "records per second with 64 outstanding, over witness-log with a sync per 64",
                ours(64),
                &many_there,
                rate,
            ),
        ];
        all.into_iter().filter_map(|(about, of, to, figure)| self.ratio(about, &of, to, figure)).collect()
    }

    /// Divides within each round, so that both saw the same neighbors.
    fn ratio(&self, about: &str, of: &str, to: &str, figure: fn(&Run) -> f64) -> Option<Ratio> {
        let pairs = self.of(of).into_iter().zip(self.of(to));
        let spread = spread(pairs.map(|(of, to)| figure(of) / figure(to)).collect())?;
        Some(Ratio { about: about.to_owned(), spread })
    }
}

/// One contender over all rounds.
struct Row {
    name: String,
    rate: Spread,
    p50: Spread,
    p99: Spread,
    per_commit: Option<Spread>,
    cpu: Option<Spread>,
}

impl Row {
    fn of(name: &str, runs: Vec<&Run>) -> Self {
        let of = |figure: fn(&Run) -> Option<f64>| spread(runs.iter().filter_map(|run| figure(run)).collect());
        let none = Spread { median: f64::NAN, least: f64::NAN, most: f64::NAN };
        Self {
            name: name.to_owned(),
            rate: of(|run| Some(run.per_second())).unwrap_or(none),
            p50: of(|run| Some(millis(run.p50))).unwrap_or(none),
            p99: of(|run| Some(millis(run.p99))).unwrap_or(none),
            per_commit: of(|run| run.commits.map(|commits| run.appends as f64 / commits.max(1) as f64)),
            cpu: of(Run::cpu_micros),
        }
    }
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    Some(Spread { median: *values.get(values.len() / 2)?, least: *values.first()?, most: *values.last()? })
}

fn shown(figure: Option<Spread>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{:.digits$}", figure.median))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
