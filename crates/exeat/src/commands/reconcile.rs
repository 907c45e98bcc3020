//! `exeat ledger reconcile`: a gateway's record and a meter's, held against each other hour by hour.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use jose::{
    Jwk,
    ticket::{self, Ticket},
};
use ledger::Reader;
use meter::{Comparison, Discrepancy, DiscrepancyKind, Hour, Peer, Saw};
use proof::{
    entry::meter_id,
    note::VerifierKey,
    sums::{Sums, Trees},
};
use serde_json::{Value, json};
use terms::{ModelVersionId, Moment};
use tokio::runtime::Builder;

use super::{Exit, lake, ledger::last_entry};
use crate::{
    config::meters,
    output::{self, Format},
};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;
/// The most hours that one run compares: a year and a bit.
const HOURS_MAX: u64 = 10_000;
/// Hours that are compared if none are named.
const HOURS_USUAL: u64 = 24;

/// What is held against what, and for which hours.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReconcileOptions {
    /// The meter's record: its folder `ledger`, or a copy of it.
    #[arg(long, value_name = "DIR", required_unless_present = "meter_url")]
    meter: Option<PathBuf>,
    /// The meter itself, asked over HTTP.
    #[arg(long, value_name = "URL", conflicts_with = "meter", requires_all = ["secret_file", "vkey"])]
    meter_url: Option<String>,
    /// The file of the secret that the meter shows its calls for.
    #[arg(long, value_name = "FILE", requires = "meter_url")]
    secret_file: Option<PathBuf>,
    /// The verifier key of the meter's log, or a file that holds it.
    #[arg(long, value_name = "KEY", requires = "meter_url")]
    vkey: Option<String>,
    /// Certificates to trust, in PEM form, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "meter_url")]
    ca_file: Option<PathBuf>,
    /// The gateway's public ticket key as a JWK; with it, a ticket that the gateway did not sign is found.
    #[arg(long, value_name = "FILE", conflicts_with = "meter_url")]
    ticket_key: Option<PathBuf>,
    /// One hour: milliseconds since 1970 divided by 3,600,000, or any time in it (RFC 3339).
    #[arg(long, value_parser = hour, conflicts_with_all = ["from", "to"])]
    hour: Option<u64>,
    /// From this hour on; the last 24 of the record unless given.
    #[arg(long, value_parser = hour, requires = "to")]
    from: Option<u64>,
    /// Up to this hour, itself not included.
    #[arg(long, value_parser = hour, requires = "from")]
    to: Option<u64>,
    /// Only this model version.
    #[arg(long)]
    model: Option<ModelVersionId>,
}

/// Compares, and prints a line for each model version and hour, and each discrepancy by name.
///
/// # Errors
///
/// If one side cannot be read.
pub(crate) fn run(ledger: &Path, options: &ReconcileOptions, format: Format) -> anyhow::Result<Exit> {
    let reader = Reader::open(ledger)?;
    let origin = reader.verifier_key()?.parse::<VerifierKey>()?.name().to_owned();
    let other = Other::of(options)?;
    let meter = meter_id(&other.origin()?);
    let mut rows = Vec::new();
    let hours = hours(options, ledger)?;
    for hour in hours.clone() {
        lake::told(format, &format!("{} of {} hours", hour - hours.start, hours.end - hours.start));
        let (ours, theirs) = (Hour::of_gateway(&reader, hour)?, other.hour(&origin, hour)?);
        for model in models(options, &ours, &theirs) {
            let compared = Comparison::of(ours.calls(&model), theirs.calls(&model), meter)?;
            rows.push(Row { hour, model, compared });
        }
    }
    lake::told(format, "");
    match format {
        Format::Json => output::answer(format, &rows.iter().map(Row::json).collect::<anyhow::Result<Value>>()?)?,
        Format::Text => output::line(&table(&rows))?,
    }
    Ok(if rows.iter().all(|row| row.compared.agrees()) { Exit::Done } else { Exit::Failed })
}

/// The meter's account: in its files, or at the meter.
enum Other {
    Files { reader: Reader, key: Option<Jwk> },
    Peer { peer: Peer, runtime: tokio::runtime::Runtime },
}

impl Other {
    fn of(options: &ReconcileOptions) -> anyhow::Result<Self> {
        match (&options.meter, &options.meter_url, &options.secret_file, &options.vkey) {
            (Some(dir), ..) => {
                let key = options.ticket_key.as_deref().map(read_key).transpose()?;
                Ok(Self::Files { reader: Reader::open(dir)?, key })
            }
            (None, Some(url), Some(secret), Some(vkey)) => {
                let vkey = fs::read_to_string(vkey).unwrap_or_else(|_| vkey.clone());
                let peer = meters::peer(url, vkey.trim(), secret, options.ca_file.as_deref())?;
                let runtime = Builder::new_current_thread().enable_all().build()?;
                Ok(Self::Peer { peer, runtime })
            }
            _ => bail!("say where the meter's record is: `--meter DIR`, or `--meter-url URL` with its secret and key"),
        }
    }

    /// Returns the origin of the meter's log.
    fn origin(&self) -> anyhow::Result<String> {
        match self {
            Self::Files { reader, .. } => Ok(reader.verifier_key()?.parse::<VerifierKey>()?.name().to_owned()),
            Self::Peer { peer, .. } => Ok(peer.key().name().to_owned()),
        }
    }

    fn hour(&self, gateway: &str, hour: u64) -> anyhow::Result<Hour> {
        match self {
            Self::Files { reader, key } => {
                let read = |token: &str| match key {
                    Some(key) => ticket::reread(token, |_| Some(key)).ok(),
                    None => ticket::unverified(token).ok(),
                };
                Ok(Hour::of_meter(reader, hour, gateway, &read)?)
            }
            Self::Peer { peer, runtime } => Ok(runtime.block_on(peer.hour(gateway, hour))?),
        }
    }
}

fn read_key(file: &Path) -> anyhow::Result<Jwk> {
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Jwk::parse(&bytes).with_context(|| format!("`{}` is not a public key as a JWK", file.display()))
}

/// Reads an hour: its number, or a time in it.
fn hour(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => Moment::parse(text).map(Ticket::hour_of).map_err(|error| error.to_string()),
    }
}

fn hours(options: &ReconcileOptions, ledger: &Path) -> anyhow::Result<std::ops::Range<u64>> {
    let range = match (options.hour, options.from, options.to) {
        (Some(hour), ..) => hour..hour.saturating_add(1),
        (None, Some(from), Some(to)) => from..to,
        _ => {
            let last = last_entry(ledger)?.ok_or_else(|| anyhow!("the record is empty"))?;
            let end = Ticket::hour_of(last).saturating_add(1);
            end.saturating_sub(HOURS_USUAL)..end
        }
    };
    ensure!(range.end.saturating_sub(range.start) <= HOURS_MAX, "at most {HOURS_MAX} hours at a time");
    Ok(range)
}

fn models(options: &ReconcileOptions, ours: &Hour, theirs: &Hour) -> BTreeSet<ModelVersionId> {
    let all = ours.models().chain(theirs.models()).cloned();
    all.filter(|model| options.model.as_ref().is_none_or(|only| only == model)).collect()
}

/// What came of one model version and hour.
struct Row {
    hour: u64,
    model: ModelVersionId,
    compared: Comparison,
}

impl Row {
    fn at(&self) -> Moment {
        Moment::from_millis(i64::try_from(self.hour.saturating_mul(HOUR_MS)).unwrap_or(i64::MAX))
    }

    fn json(&self) -> anyhow::Result<Value> {
        let Comparison { gateway, meter, open, discrepancies, .. } = &self.compared;
        let hash: String = self.compared.differ()?.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(json!({
            "hour": self.hour, "at": self.at(), "model": self.model, "agree": self.compared.agrees(),
            "gateway": sums(&gateway.completed.sums), "meter": sums(&meter.completed.sums),
            "early": { "gateway": sums(&gateway.early.sums), "meter": sums(&meter.early.sums) },
            "open": open, "discrepancies": discrepancies.iter().map(named).collect::<Value>(), "hash": hash,
        }))
    }

    fn text(&self) -> Vec<String> {
        let Comparison { gateway, meter, open, .. } = &self.compared;
        let pair = |of: fn(&Sums) -> u64| either(of(&gateway.completed.sums), " != ", of(&meter.completed.sums));
        let early = |trees: &Trees| trees.early.sums.calls;
        let result = match (self.compared.agrees(), open) {
            (false, _) => "DIFFER",
            (true, 0) => "agree",
            (true, _) => "agree so far",
        };
        vec![
            self.at().to_string(),
            self.model.to_string(),
            pair(|sums| sums.calls),
            pair(|sums| sums.input),
            pair(|sums| sums.output),
            pair(|sums| sums.events),
            either(early(gateway), ", ", early(meter)),
            open.to_string(),
            result.to_owned(),
        ]
    }
}

/// Writes what the gateway and the meter counted, once if it is the same.
fn either(ours: u64, between: &str, theirs: u64) -> String {
    if ours == theirs { ours.to_string() } else { format!("{ours}{between}{theirs}") }
}

fn sums(sums: &Sums) -> Value {
    let Sums { calls, input, output, events } = sums;
    json!({ "calls": calls, "input": input, "output": output, "events": events })
}

fn named(one: &Discrepancy) -> Value {
    let saw = |saw: Option<Saw>| {
        saw.map(|saw| {
            let outcome = saw.outcome.map(|outcome| format!("{outcome:?}").to_lowercase());
            json!({ "outcome": outcome, "input": saw.input, "output": saw.output, "events": saw.events })
        })
    };
    let kinds: Vec<&str> = one.kinds.iter().map(|kind| kind.name()).collect();
    json!({ "call": one.call.to_string(), "kinds": kinds, "gateway": saw(one.gateway), "meter": saw(one.meter) })
}

const HEADINGS: [&str; 9] = ["HOUR", "MODEL", "CALLS", "INPUT", "OUTPUT", "EVENTS", "EARLY", "OPEN", "RESULT"];

/// Writes a line for each row, in columns, and below it what does not fit.
fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no calls in these hours".to_owned();
    }
    let mut lines: Vec<Vec<String>> = vec![HEADINGS.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(Row::text));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text: Vec<String> = lines.iter().map(padded).collect();
    for row in rows {
        text.extend(row.compared.discrepancies.iter().map(|one| {
            let kinds: Vec<&str> = one.kinds.iter().copied().map(DiscrepancyKind::name).collect();
            let (kinds, gateway, meter) = (kinds.join(", "), told(one.gateway), told(one.meter));
            format!("{} {}: {kinds}: gateway {gateway}, meter {meter}", row.at(), one.call)
        }));
    }
    text.join("\n")
}

fn told(saw: Option<Saw>) -> String {
    match saw {
        None => "does not have it".to_owned(),
        Some(Saw { outcome: None, .. }) => "has it open".to_owned(),
        Some(Saw { outcome: Some(outcome), input, output, events }) => {
            let outcome = format!("{outcome:?}").to_lowercase();
            format!("{outcome} with {input} in, {output} out, {events} events")
        }
    }
}

#[cfg(test)]
mod tests {
    use terms::CallId;

    use super::*;

    #[test]
    fn an_hour_is_a_number_or_a_time_in_it() {
        assert_eq!(hour("495912"), Ok(495_912));
        assert_eq!(hour("1970-01-01T02:59:59Z"), Ok(2));
        assert!(hour("yesterday").is_err());
    }

    #[test]
    fn what_does_not_fit_is_named_below_the_table() {
        let saw = Saw { outcome: Some(proof::entry::Outcome::Completed), input: 3, output: 4, events: 5 };
        let counted = meter::Counted { saw, opened: None, meter: None };
        let calls = meter::Calls::from([(CallId([0xab; 16]), counted)]);
        let compared = Comparison::of(&meter::Calls::new(), &calls, [1; 8]).unwrap();
        let rows = [Row { hour: 2, model: ModelVersionId::parse("mythos-5").unwrap(), compared }];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("0 != 1") && lines[1].ends_with("DIFFER"), "{text}");
        assert!(lines[2].contains("not_in_gateway: gateway does not have it, meter completed with 3 in"), "{text}");
        assert_eq!(rows[0].json().unwrap()["discrepancies"][0]["call"], "ab".repeat(16));
    }
}
