//! What a run measured, and how it is shown: a table in Markdown, everything in JSON, bars in SVG.

mod claim;
mod machine;
mod markdown;
mod series;

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

pub(crate) use claim::{Target, figure};
pub(crate) use machine::describe;
pub(crate) use markdown::THREAD;
pub(crate) use series::{Series, Spread};

use claim::{Claim, Conditions};

use crate::{
    load::Failures,
    picture::{self, Bar, Chart},
    process::guard::BUSY,
};

/// Prints a line.
pub(crate) fn say(line: &str) {
    // A reader that went away is not a failure of the measurement.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One figure of every contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its name in JSON.
    pub(crate) key: &'static str,
    /// Its name for people, with the unit.
    pub(crate) title: &'static str,
    /// Its ratio to nginx is shown too.
    pub(crate) ratio: bool,
    /// It is drawn.
    pub(crate) drawn: bool,
}

impl Column {
    /// A column of the table alone.
    pub(crate) const fn new(key: &'static str, title: &'static str) -> Self {
        Self { key, title, ratio: false, drawn: false }
    }

    /// Shows its ratio to nginx beside it.
    pub(crate) const fn with_ratio(self) -> Self {
        Self { ratio: true, ..self }
    }

    /// Draws it.
    pub(crate) const fn drawn(self) -> Self {
        Self { drawn: true, ..self }
    }
}

/// Columns that belong together: a table of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// Under which load.
    pub(crate) title: &'static str,
    /// The figures.
    pub(crate) columns: &'static [Column],
}

/// What was measured of one contender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    figures: BTreeMap<String, Series>,
    foreign: Series,
    failures: Failures,
}

/// A run of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    name: &'static str,
    title: String,
    sections: &'static [Section],
    machine: Value,
    settings: Value,
    rows: Vec<Row>,
    notes: Vec<String>,
    claims: Vec<Claim>,
    busy_ok: bool,
}

/// The contender that ratios are to.
pub(crate) const BASE: &str = "nginx";

impl Report {
    /// Begins a run. `name` is that of its files.
    pub(crate) fn new(
        name: &'static str,
        title: String,
        sections: &'static [Section],
        machine: Value,
        busy_ok: bool,
    ) -> Self {
        Self {
            name,
            title,
            sections,
            machine,
            settings: Value::Null,
            rows: Vec::new(),
            notes: Vec::new(),
            claims: Vec::new(),
            busy_ok,
        }
    }

    /// Keeps what was set for this run.
    pub(crate) fn settings(&mut self, settings: Value) {
        self.settings = settings;
    }

    /// Adds a contender; rows are shown in this order.
    pub(crate) fn contender(&mut self, name: &str, version: &str) {
        self.rows.push(Row { name: name.to_owned(), version: version.to_owned(), ..Row::default() });
    }

    /// Adds one value of a contender.
    pub(crate) fn add(&mut self, name: &str, round: usize, key: &str, value: f64) {
        self.row(name).figures.entry(key.to_owned()).or_default().add(round, value);
    }

    /// Notes how much of the machine went elsewhere in a round; the most counts.
    pub(crate) fn foreign(&mut self, name: &str, round: usize, share: f64) {
        let row = self.row(name);
        let before = row.foreign.values().find(|(known, _)| *known == round).map_or(0.0, |(_, share)| share);
        row.foreign.add(round, share.max(before));
    }

    /// Notes answers that failed; a figure of that round is not to be added.
    pub(crate) fn failures(&mut self, name: &str, failures: Failures) {
        if failures.count > 0 {
            say(&format!("{name}: {failures}"));
        }
        self.row(name).failures.extend(failures);
    }

    /// Says something that a reader has to know, now and in the report.
    pub(crate) fn note(&mut self, text: String) {
        say(&format!("note: {text}"));
        self.notes.push(text);
    }

    /// Forgets contenders without a figure.
    pub(crate) fn leave_out_empty(&mut self) {
        self.rows.retain(|row| !row.figures.is_empty());
    }

    /// Makes a claim about a contender.
    pub(crate) fn claim(&mut self, who: &str, what: impl Into<String>, value: Option<Spread>, target: Target) {
        self.claims.push(Claim { who: who.to_owned(), what: what.into(), value, target });
    }

    /// Returns one figure of a contender; empty if there is none.
    pub(crate) fn series(&self, name: &str, key: &str) -> Series {
        let row = self.rows.iter().find(|row| row.name == name);
        row.and_then(|row| row.figures.get(key)).cloned().unwrap_or_default()
    }

    /// Returns the ratio of one figure of two contenders, taken round by round.
    pub(crate) fn ratio(&self, name: &str, to: &str, key: &str) -> Option<Spread> {
        self.series(name, key).divided(&self.series(to, key)).spread()
    }

    /// Writes `<name>.json`, `.md` and `.svg` into a folder and prints the table.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub(crate) fn write(&self, out: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
        let markdown = markdown::render(self);
        let json = serde_json::to_string_pretty(&self.to_json())? + "\n";
        let picture = picture::render(&self.title, &self.how_made(), &self.charts());
        for (ending, text) in [("json", &json), ("md", &markdown), ("svg", &picture)] {
            let path = out.join(format!("{}.{ending}", self.name));
            fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        say(&markdown);
        say(&format!("written: {}", out.join(format!("{}.{{json,md,svg}}", self.name)).display()));
        Ok(())
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.contender(name, "");
            self.rows.len() - 1
        });
        let Some(row) = self.rows.get_mut(at) else { unreachable!("the position of a row") };
        row
    }

    fn conditions(&self) -> Conditions {
        let shares = self.rows.iter().flat_map(|row| row.foreign.values()).map(|(_, share)| share);
        let failures = self.rows.iter().map(|row| row.failures.count).sum();
        Conditions { foreign: shares.fold(0.0, f64::max), failures, busy_ok: self.busy_ok }
    }

    fn claim_lines(&self) -> Vec<String> {
        let under = self.conditions();
        self.claims.iter().map(|claim| claim.line(under)).collect()
    }

    /// Says what a bar and its whisker are, and whether the machine was busy.
    fn how_made(&self) -> String {
        let Conditions { foreign, .. } = self.conditions();
        let state = if foreign > BUSY { "BUSY" } else { "quiet" };
        let rounds = self.rows.iter().map(|row| row.foreign.values().count()).max().unwrap_or(0);
        let foreign = foreign * 100.0;
        format!(
            "median of {rounds} rounds, whiskers from smallest to largest; machine {state} ({foreign:.0} % foreign CPU)"
        )
    }

    /// A chart for each figure with a bar for each contender; of a single contender, one for each section with a bar for
    /// each figure.
    fn charts(&self) -> Vec<Chart> {
        if let [only] = self.rows.as_slice() {
            return self.sections.iter().map(|section| section.chart(only)).collect();
        }
        let drawn = self.columns().filter(|column| column.drawn);
        let chart = |column: &Column| {
            let bars = self.rows.iter().filter_map(|row| row.bar(column.key, &row.name)).collect();
            Chart { title: column.title.to_owned(), bars }
        };
        drawn.map(chart).collect()
    }

    fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.sections.iter().flat_map(|section| section.columns)
    }

    fn to_json(&self) -> Value {
        json!({
            "measurement": self.name,
            "title": self.title,
            "machine": self.machine,
            "settings": self.settings,
            "columns": self.columns().map(|column| (column.key, column.title)).collect::<BTreeMap<_, _>>(),
            "contenders": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "notes": self.notes,
            "foreign_cpu_share_max": self.conditions().foreign,
            "claims": self.claim_lines(),
        })
    }
}

impl Section {
    fn chart(&self, row: &Row) -> Chart {
        let drawn = self.columns.iter().filter(|column| column.drawn);
        let bars = drawn.filter_map(|column| row.bar(column.key, column.title)).collect();
        Chart { title: self.title.to_owned(), bars }
    }
}

impl Row {
    fn bar(&self, key: &str, name: &str) -> Option<Bar> {
        let spread = self.figures.get(key)?.spread()?;
        Some(Bar { name: name.to_owned(), spread, ours: self.name.starts_with("exeat") })
    }

    fn to_json(&self) -> Value {
        let figures: BTreeMap<_, _> = self.figures.iter().map(|(key, series)| (key, series_json(series))).collect();
        json!({
            "name": self.name,
            "version": self.version,
            "figures": figures,
            "foreign_cpu_share": series_json(&self.foreign),
            "failed_answers": self.failures.count,
            "first_failure": self.failures.first,
        })
    }
}

fn series_json(series: &Series) -> Value {
    let spread = series.spread();
    json!({
        "median": spread.map(|spread| spread.median),
        "min": spread.map(|spread| spread.low),
        "max": spread.map(|spread| spread.high),
        "rounds": series.values().map(|(round, value)| json!([round, value])).collect::<Vec<_>>(),
    })
}
