//! The common questions to a record, over the lake and the log's own tail.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use lake::{Entries, Filter, Log, Query, Question, Source, Step, Table};
use ledger::{Pseudonyms, Reader, Stored};
use proof::entry::{Entry, Kind};
use serde::Deserialize;
use serde_json::{Value, json};
use terms::Moment;

use super::{
    Exit,
    lake::{Opened, open, told},
    ledger::Place,
};
use crate::output::{self, Format};

/// Leaves between two lines about progress.
const TOLD_EVERY: u64 = 100_000;

/// What to ask, about which calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct QueryArgs {
    /// The question.
    question: Asked,
    #[command(flatten)]
    pub(crate) place: Place,
    /// The lake to read from; what is not there is read from the log.
    #[arg(long, env = "EXEAT_LAKE", value_name = "URL")]
    lake: Option<String>,
    /// Calls opened or refused at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Calls opened or refused before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    to: Option<Moment>,
    /// Calls on this model version only.
    #[arg(long)]
    model: Option<String>,
    /// Calls of this organization only.
    #[arg(long)]
    organization: Option<String>,
    /// Calls of this person only.
    #[arg(long)]
    person: Option<String>,
    /// Rows of the answer at most.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Shows names instead of pseudonyms; reads every change of the registry in the log first.
    #[arg(long)]
    names: bool,
    /// Prints CSV (RFC 4180).
    #[arg(long)]
    csv: bool,
}

/// A question.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Asked {
    /// Calls by day, organization and model: how many, how they ended, tokens.
    Calls,
    /// Refusals by code and model.
    Refusals,
    /// Who used what: calls and tokens by subject and model.
    Who,
    /// Tokens by organization and model.
    Tokens,
    /// The longest calls, from opening to closing.
    Longest,
}

impl From<Asked> for Question {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Calls => Self::Calls,
            Asked::Refusals => Self::Refusals,
            Asked::Who => Self::Who,
            Asked::Tokens => Self::Tokens,
            Asked::Longest => Self::Longest,
        }
    }
}

/// Answers a question.
///
/// # Errors
///
/// If the log or the lake cannot be read, or something in the lake is not what it should be.
pub(crate) fn run(args: &QueryArgs, format: Format) -> anyhow::Result<Exit> {
    let reader = Reader::open(args.place.dir())?;
    let log = Log::new(reader.clone())?;
    let opened = args.lake.as_deref().map(|url| open(&args.place, url)).transpose()?;
    let table = ask(args, &reader, &log, opened.as_ref(), format)?;
    let names = if args.names { names(&reader, format)? } else { BTreeMap::new() };
    show(&table, &|id| names.get(id).cloned(), args.csv, format)?;
    Ok(Exit::Done)
}

fn ask(args: &QueryArgs, reader: &Reader, log: &Log, opened: Option<&Opened>, format: Format) -> anyhow::Result<Table> {
    let size = log.size()?;
    let filter = args.filter(reader)?;
    let first = filter.times.as_ref().map_or(Ok(0), |times| reader.first_since(times.start, size))?;
    let lake = opened.map(|opened| (opened.runtime.handle().clone(), opened.place.clone()));
    let mut query = Query::new(args.question.into(), filter, args.limit);
    for leaf in Entries::new(log, lake, first..size)? {
        let (index, record) = leaf?;
        if query.take(index, &record.leaf)? == Step::Done {
            break;
        }
        if index % TOLD_EVERY == 0 {
            told(format, &format!("{} of {} entries", index - first, size - first));
        }
    }
    told(format, "");
    Ok(query.answer())
}

impl QueryArgs {
    fn filter(&self, reader: &Reader) -> anyhow::Result<Filter> {
        let pseudonyms = reader.pseudonyms();
        let of = |kind: &str, id: &Option<String>| match (id, &pseudonyms) {
            (None, _) => Ok(None),
            (Some(id), Ok(pseudonyms)) => Ok(Some(pseudonyms.of(&format!("{kind}:{id}")))),
            (Some(_), Err(_)) => bail!("the log's secret is not at hand, and without it nobody can be found by name"),
        };
        Ok(Filter {
            times: self.times()?,
            model: self.model.clone(),
            organization: of("organization", &self.organization)?,
            subject: of("person", &self.person)?,
        })
    }

    fn times(&self) -> anyhow::Result<Option<std::ops::Range<u64>>> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let millis = |moment: Moment| u64::try_from(moment.as_millis()).unwrap_or_default();
        let times = self.from.map_or(0, millis)..self.to.map_or(u64::MAX, millis);
        if times.is_empty() {
            bail!("`--from` is not before `--to`");
        }
        Ok(Some(times))
    }
}

fn show(table: &Table, name: &dyn Fn(&[u8; 16]) -> Option<String>, csv: bool, format: Format) -> anyhow::Result<()> {
    if csv {
        output::line(table.to_csv(name).trim_end())?;
    } else {
        output::answer(format, &json!({ "items": table.to_json(name), "left_out": table.left_out }))?;
    }
    if table.left_out > 0 {
        output::note(&format!("{} more rows: --limit {}", table.left_out, table.rows.len() + table.left_out));
    }
    Ok(())
}

/// Returns the names of whom and what the registry ever had, by their pseudonyms.
fn names(reader: &Reader, format: Format) -> anyhow::Result<BTreeMap<[u8; 16], String>> {
    let pseudonyms = reader.pseudonyms().context("the log's secret is not at hand: leave `--names` out")?;
    let mut names = BTreeMap::new();
    for kept in reader.kept(0)? {
        let kept = kept?;
        if kept.index % TOLD_EVERY == 0 {
            told(format, &format!("{} entries read for names", kept.index));
        }
        let registry = Entry::decode(&kept.leaf).is_ok_and(|entry| entry.kind == Kind::Registry);
        if registry {
            note_names(&reader.show(kept)?, &pseudonyms, &mut names);
        }
    }
    told(format, "");
    Ok(names)
}

/// What a change of the registry says about whom it is.
#[derive(Deserialize)]
struct Envelope {
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    record: String,
    body: Value,
}

fn note_names(stored: &Stored, pseudonyms: &Pseudonyms, names: &mut BTreeMap<[u8; 16], String>) {
    let Some(envelope) = stored.main().and_then(|main| serde_json::from_slice::<Envelope>(main).ok()) else {
        return;
    };
    for Change { record, body } in changes(envelope.change) {
        if let Some(id) = body.get("id").and_then(Value::as_str) {
            let name = format!("{record}:{id}");
            names.insert(pseudonyms.of(&name), name);
        }
    }
}

/// Returns a change, and those that a signal brings.
fn changes(change: Change) -> Vec<Change> {
    let brought = change.body.get("changes").cloned().map(serde_json::from_value::<Vec<Change>>);
    let mut all = brought.and_then(Result::ok).unwrap_or_default();
    all.push(change);
    all
}
