//! How figures are shown: ratios within one run, with their spread.

use std::{collections::BTreeMap, io::Write};

use serde_json::{Value, json};

/// One round of one contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Requests a second at 32 connections.
    pub(crate) per_second: f64,
    /// CPU time of the process for one request, in microseconds.
    pub(crate) cpu_micros: Option<f64>,
    /// Median latency on one connection, in microseconds.
    pub(crate) p50: f64,
    /// 99th percentile of the same.
    pub(crate) p99: f64,
}

/// Rounds of all contenders of one run.
#[derive(Debug)]
pub(crate) struct Table {
    load: f64,
    rounds: BTreeMap<String, Vec<Round>>,
}

impl Table {
    /// Begins a run on a machine with this load.
    pub(crate) fn new(load: f64) -> Self {
        Self { load, rounds: BTreeMap::new() }
    }

    /// Adds one round.
    pub(crate) fn add(&mut self, name: &str, round: Round) {
        self.rounds.entry(name.to_owned()).or_default().push(round);
    }

    /// Prints a table for people and one line of JSON for tools.
    pub(crate) fn print(&self, what: &str, about: &Value) {
        let mut rows = serde_json::Map::new();
        say("contender   req/s @32   CPU us/req   p50 us @1   p99 us @1   (median of rounds, min..max of CPU)");
        for (name, rounds) in &self.rounds {
            let of = |pick: fn(&Round) -> f64| spread(rounds.iter().map(pick).collect());
            let cpu = of(|round| round.cpu_micros.unwrap_or(f64::NAN));
            let (rate, p50, p99) = (of(|round| round.per_second).0, of(|round| round.p50).0, of(|round| round.p99).0);
            say(&format!(
                "{name:<10} {rate:>10.0} {:>12.1} {p50:>11.0} {p99:>11.0}   {:.1}..{:.1}",
                cpu.0, cpu.1, cpu.2
            ));
            rows.insert(name.clone(), json!({"per_second": rate, "cpu_us": cpu.0, "cpu_us_min": cpu.1, "cpu_us_max": cpu.2, "p50_us": p50, "p99_us": p99}));
        }
        let get = |name: &str, field: &str| {
            rows.get(name).and_then(|row| row.get(field)).and_then(Value::as_f64).unwrap_or(f64::NAN)
        };
        let added = |name: &str, field: &str| get(name, field) - get("direct", field);
        let ratios = json!({
            "cpu_exeat_over_nginx": get("exeat", "cpu_us") / get("nginx", "cpu_us"),
            "added_p50_exeat_over_nginx": added("exeat", "p50_us") / added("nginx", "p50_us"),
            "added_p99_exeat_over_nginx": added("exeat", "p99_us") / added("nginx", "p99_us"),
        });
        say(&format!("ratios: {ratios}"));
        say(&json!({"measurement": what, "load_before": self.load, "about": about, "rows": rows, "ratios": ratios})
            .to_string());
    }
}

/// Prints the figures of a recall.
pub(crate) fn recall(figures: &Value) {
    say(&json!({"measurement": "recall", "figures": figures}).to_string());
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    // A reader that went away is not a failure of the measurement.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Returns median, smallest and largest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}
