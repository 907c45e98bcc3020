//! Instruction counts now against those on record.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How far a count may move, in parts of the one on record.
const TOLERANCE: f64 = 0.03;

/// Instructions of one repetition, by operation.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What was counted and with what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Gate {
    /// The compiler's `--version`.
    pub(crate) rustc: String,
    /// Valgrind's `--version`.
    pub(crate) valgrind: String,
    /// Cargo's profile.
    pub(crate) profile: String,
    /// The counts.
    pub(crate) counts: Counts,
}

impl Gate {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// It is not one; says what is missing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("is not JSON")?;
        let word = |name: &str| {
            value.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("has no `{name}`"))
        };
        let counts = value.get("instructions").and_then(Value::as_object).context("has no `instructions`")?;
        let count = |(name, value): (&String, &Value)| {
            let count = value.as_u64().filter(|count| *count > 0);
            Ok((name.clone(), count.with_context(|| format!("`{name}` is not a number of instructions"))?))
        };
        Ok(Self {
            rustc: word("rustc")?,
            valgrind: word("valgrind")?,
            profile: word("profile")?,
            counts: counts.iter().map(count).collect::<Result<_>>()?,
        })
    }

    /// Writes the record, one operation a line.
    ///
    /// # Errors
    ///
    /// It cannot be put as JSON.
    pub(crate) fn text(&self) -> Result<String> {
        let Self { rustc, valgrind, profile, counts } = self;
        let value = json!({"rustc": rustc, "valgrind": valgrind, "profile": profile, "instructions": counts});
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }

    /// Compares this with what is on record.
    pub(crate) fn against(&self, recorded: &Self) -> Comparison {
        let names: std::collections::BTreeSet<_> = self.counts.keys().chain(recorded.counts.keys()).collect();
        let row = |name: &String| Row {
            name: name.clone(),
            before: recorded.counts.get(name).copied(),
            now: self.counts.get(name).copied(),
        };
        let tool = |what: &str, before: &str, now: &str| {
            (before != now).then(|| format!("{what} differs: recorded with `{before}`, counted with `{now}`"))
        };
        let notes = [
            tool("the compiler", &recorded.rustc, &self.rustc),
            tool("valgrind", &recorded.valgrind, &self.valgrind),
            tool("the profile", &recorded.profile, &self.profile),
        ];
        Comparison { rows: names.into_iter().map(row).collect(), notes: notes.into_iter().flatten().collect() }
    }
}

/// One operation, before and now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    name: String,
    before: Option<u64>,
    now: Option<u64>,
}

/// What a row amounts to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Same,
    /// Takes more than it may.
    Regressed,
    /// Takes so much less that the record is out of date.
    Improved,
    /// Is not on record.
    New,
    /// Is on record and was not counted.
    Gone,
}

impl Row {
    /// Returns what it amounts to.
    pub(crate) fn verdict(&self) -> Verdict {
        match (self.before, self.now, self.change()) {
            (None, _, _) => Verdict::New,
            (_, None, _) => Verdict::Gone,
            (_, _, change) if change > TOLERANCE => Verdict::Regressed,
            (_, _, change) if change < -TOLERANCE => Verdict::Improved,
            _ => Verdict::Same,
        }
    }

    /// Returns by which part of the record it moved.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn change(&self) -> f64 {
        let (before, now) = (self.before.unwrap_or(0) as f64, self.now.unwrap_or(0) as f64);
        (now - before) / before.max(1.0)
    }

    fn shown(&self) -> String {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let says = match self.verdict() {
            Verdict::Same => "",
            Verdict::Regressed => "REGRESSED",
            Verdict::Improved => "improved: record it",
            Verdict::New => "not on record: record it",
            Verdict::Gone => "NOT COUNTED",
        };
        let change = format!("{:+.1} %", self.change() * 100.0);
        let change = if self.before.and(self.now).is_some() { change.as_str() } else { "-" };
        format!("{:<20} {:>12} {:>12} {change:>9}  {says}", self.name, count(self.before), count(self.now))
            .trim_end()
            .to_owned()
    }
}

/// All operations, before and now.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    rows: Vec<Row>,
    /// What else differs between the two.
    notes: Vec<String>,
}

impl Comparison {
    /// Returns how many operations are within the tolerance or better, and how many are not.
    pub(crate) fn passed_and_failed(&self) -> (u64, u64) {
        let fails = |row: &&Row| !matches!(row.verdict(), Verdict::Same | Verdict::Improved);
        let failed = self.rows.iter().filter(fails).count() as u64;
        (self.rows.len() as u64 - failed, failed)
    }

    /// Returns the table, and what has to be done.
    pub(crate) fn table(&self) -> String {
        let head = format!("{:<20} {:>12} {:>12} {:>9}", "operation", "before", "now", "change");
        let has = |verdict| self.rows.iter().any(|row| row.verdict() == verdict);
        let mut lines = vec![head];
        lines.extend(self.rows.iter().map(Row::shown));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}; the comparison is across both")));
        if has(Verdict::Regressed) || has(Verdict::Gone) {
            lines.push(
                "Undo what made it slower; or, if it is worth that, say why in the commit that records it:".to_owned(),
            );
        }
        if self.rows.iter().any(|row| row.verdict() != Verdict::Same) {
            lines.push("    cargo xtask bench gate --record".to_owned());
        }
        lines.join("\n")
    }
}

/// Returns what one repetition takes, from two runs of `count` and twice `count` repetitions.
///
/// # Errors
///
/// The longer run did not take longer: nothing was repeated.
pub(crate) fn per_repetition(short: u64, long: u64, count: u32) -> Result<u64> {
    ensure!(count > 0, "there is nothing to divide by");
    let Some(more) = long.checked_sub(short).filter(|more| *more > 0) else {
        bail!("twice the repetitions took {long} instructions after {short}: nothing was repeated");
    };
    Ok(more / u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(counts: &[(&str, u64)]) -> Gate {
        Gate {
            rustc: "rustc 1.95.0".to_owned(),
            valgrind: "valgrind-3.19.0".to_owned(),
            profile: "release".to_owned(),
            counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn more_than_three_percent_more_fails_and_no_less_does() {
        let recorded = gate(&[("decide", 100_000)]);
        for (now, verdict) in [
            (103_100, Verdict::Regressed),
            (103_001, Verdict::Regressed),
            (103_000, Verdict::Same),
            (100_000, Verdict::Same),
            (97_000, Verdict::Same),
            (96_900, Verdict::Improved),
        ] {
            let comparison = gate(&[("decide", now)]).against(&recorded);
            assert_eq!(comparison.rows[0].verdict(), verdict, "{now}");
            let failed = u64::from(verdict == Verdict::Regressed);
            assert_eq!(comparison.passed_and_failed(), (1 - failed, failed), "{now}");
        }
    }

    #[test]
    fn an_operation_that_only_one_side_has_fails() {
        let comparison = gate(&[("new", 1), ("kept", 1)]).against(&gate(&[("gone", 1), ("kept", 1)]));
        assert_eq!(comparison.passed_and_failed(), (1, 2));
        let table = comparison.table();
        assert!(table.contains("not on record") && table.contains("NOT COUNTED"), "{table}");
    }

    #[test]
    fn the_table_says_what_moved_and_what_to_do() {
        let recorded = gate(&[("append", 500), ("decide", 1_000), ("frame", 100)]);
        let table = gate(&[("append", 500), ("decide", 1_031), ("frame", 90)]).against(&recorded).table();
        let expected = [
            "operation                  before          now    change",
            "append                        500          500    +0.0 %",
            "decide                       1000         1031    +3.1 %  REGRESSED",
            "frame                         100           90   -10.0 %  improved: record it",
        ];
        assert_eq!(table.lines().take(4).collect::<Vec<_>>(), expected);
        assert!(table.ends_with("cargo xtask bench gate --record"), "{table}");
    }

    #[test]
    fn another_compiler_is_said_and_does_not_fail_by_itself() {
        let recorded = Gate { rustc: "rustc 1.94.0".to_owned(), ..gate(&[("decide", 1)]) };
        let comparison = gate(&[("decide", 1)]).against(&recorded);
        assert!(comparison.table().contains("recorded with `rustc 1.94.0`"), "{}", comparison.table());
        assert_eq!(comparison.passed_and_failed(), (1, 0));
    }

    #[test]
    fn a_record_reads_back_and_a_broken_one_is_an_error() {
        let gate = gate(&[("decide", 123)]);
        assert_eq!(Gate::parse(&gate.text().unwrap()).unwrap(), gate);
        for text in ["", "{}", r#"{"rustc":"r","valgrind":"v","profile":"p","instructions":{"decide":0}}"#] {
            assert!(Gate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn start_and_end_drop_out_of_one_repetition() {
        assert_eq!(per_repetition(1_000_500, 1_001_000, 10).unwrap(), 50);
        assert!(per_repetition(1_000, 1_000, 10).is_err());
    }
}
