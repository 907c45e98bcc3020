//! From the entries that were written to what people are told of them.

use std::{collections::BTreeMap, fs::File, io::BufReader};

use ::produce::{Act, Show, Survey};
use anyhow::{Context, anyhow};
use policy::SnapshotDocument;
use proof::{
    bundle::{BundleEntry, EntriesReader},
    commit::{Field, Opening},
    entry::{Entry, Kind, Outcome},
    heads::Chain,
    hex,
    sums::{Side, Statement, Sums},
};
use terms::Moment;

use super::summary::{self, Hour, InForce, Shown, Span, Summary, Totals};
use crate::plan::words;

const HOUR_MS: u64 = 3_600_000;

/// What is known beside the entries.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    pub(super) origin: String,
    pub(super) key: String,
    /// Size and root of the checkpoint.
    pub(super) checkpoint: (u64, String),
    pub(super) chain: Chain,
    pub(super) act: &'a Act,
    pub(super) survey: &'a Survey,
    pub(super) stamps: Vec<tsp::Stamp>,
    pub(super) files: Vec<(String, String)>,
}

/// Reads the entries of a production and adds up what is in them.
///
/// # Errors
///
/// If they cannot be read back.
pub(super) fn summarize(entries: File, beside: Beside<'_>) -> anyhow::Result<Summary> {
    let said: control::Custody = serde_json::from_slice(&beside.act.json).context("the custody entry")?;
    let approvals = said.approvals.into_iter().map(|one| (one.approver, one.role, one.act.valid_until)).collect();
    let custody = summary::Custody { entry: beside.act.entry, at: beside.act.at, actor: said.actor, approvals };
    let mut sum = Sum::new(&beside);
    let mut reader = EntriesReader::new(BufReader::new(entries))?;
    while let Some(read) = reader.read()? {
        let show = sum.show.next().map_or(Show::Bare, |(_, show)| *show);
        sum.add(&read, show)?;
    }
    let Sum { numbers, totals, shown, in_force, hours, .. } = sum;
    Ok(Summary {
        origin: beside.origin,
        key: beside.key,
        checkpoint: beside.checkpoint,
        selection: said.selection,
        custody,
        chain: Span {
            id: hex(&beside.chain.id),
            heads: (beside.survey.from, beside.survey.to),
            numbers: numbers.unwrap_or_default(),
        },
        totals,
        shown,
        in_force,
        hours,
        unmetered: beside.survey.unmetered,
        open: beside.survey.open,
        stamps: beside.stamps,
        files: beside.files,
    })
}

/// What was added up so far.
struct Sum<'a> {
    show: std::slice::Iter<'a, (u64, Show)>,
    chain: Chain,
    /// The number of the first entry of the chain, and of the one after the last.
    numbers: Option<(u64, u64)>,
    /// Model version and day of each call that was asked for, by the entry that opened it.
    opened: BTreeMap<u64, (String, String)>,
    totals: BTreeMap<(String, String), Totals>,
    shown: Shown,
    in_force: Vec<InForce>,
    hours: Vec<Hour>,
}

impl<'a> Sum<'a> {
    fn new(beside: &Beside<'a>) -> Self {
        Self {
            show: beside.survey.entries.iter(),
            chain: beside.chain,
            numbers: None,
            opened: BTreeMap::new(),
            totals: BTreeMap::new(),
            shown: Shown::default(),
            in_force: Vec::new(),
            hours: Vec::new(),
        }
    }

    fn add(&mut self, read: &BundleEntry, show: Show) -> anyhow::Result<()> {
        let bad = |why: &dyn std::fmt::Display| anyhow!("entry {} was not written as it should: {why}", read.index);
        let entry = Entry::decode(&read.leaf).map_err(|error| bad(&error))?;
        self.count(&entry, read, show);
        match entry.kind {
            Kind::Snapshot => self.in_force.push(in_force(&entry, read).map_err(|error| bad(&error))?),
            Kind::Reconciliation => self.hours.extend(hour(&entry, read)),
            _ if show == Show::Asked => self.call(&entry, read.index),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, entry: &Entry, read: &BundleEntry, show: Show) {
        let of_chain = entry.links.iter().flatten().find(|link| link.chain() == self.chain);
        if let Some(link) = of_chain {
            let (first, _) = self.numbers.unwrap_or((link.seq, link.seq));
            self.numbers = Some((first, link.seq + 1));
        }
        let shown = &mut self.shown;
        shown.entries += 1;
        shown.beside += u64::from(of_chain.is_some() && show == Show::Bare);
        let (open, withheld): (Vec<_>, Vec<_>) =
            read.fields.iter().partition(|(_, opening)| matches!(opening, Opening::Shown { .. }));
        shown.open += open.len() as u64;
        shown.withheld += withheld.len() as u64;
        let decides = matches!(entry.kind, Kind::Open | Kind::Refusal | Kind::Redecision | Kind::Close);
        let has_facts = read.fields.value(Field::Main).is_some() || entry.facts.is_some();
        shown.decisions += u64::from(show == Show::Asked && decides && has_facts);
        shown.destroyed += u64::from(show == Show::Asked && entry.private.is_some() && read.fields.is_empty());
    }

    fn call(&mut self, entry: &Entry, index: u64) {
        let key = match entry.opened {
            None => (entry.model.clone().unwrap_or_else(|| "none".to_owned()), words::day(moment(entry.at_ms))),
            Some(opened) => match self.opened.get(&opened) {
                Some(key) => key.clone(),
                None => return,
            },
        };
        let totals = self.totals.entry(key.clone()).or_default();
        match entry.kind {
            Kind::Open => {
                totals.calls += 1;
                self.opened.insert(index, key);
            }
            Kind::Refusal => totals.refusals += 1,
            Kind::Close => {
                let usage = entry.usage.unwrap_or_default();
                totals.cut += u64::from(entry.outcome == Some(Outcome::Cut));
                totals.input += usage.input_tokens.unwrap_or(0);
                totals.output += usage.output_tokens.unwrap_or(0);
                totals.events += usage.delivered_events;
            }
            _ => {}
        }
    }
}

fn in_force(entry: &Entry, read: &BundleEntry) -> Result<InForce, serde_json::Error> {
    let document = read.fields.value(Field::Main).map(AsRef::as_ref).unwrap_or_default();
    let document: SnapshotDocument = serde_json::from_slice(document)?;
    let status = |status: policy::Status| serde_json::to_value(status).ok();
    let named = |id: &str, version: u32, of: policy::Status| {
        let status = status(of).and_then(|status| status.as_str().map(words::spaced)).unwrap_or_default();
        format!("{id} version {version} ({status})")
    };
    let directives = document.directives.iter().map(|one| named(one.id().as_str(), one.version(), one.status()));
    let licenses = document.licenses.iter().map(|one| named(one.id().as_str(), one.version(), one.status()));
    Ok(InForce {
        entry: read.index,
        at: moment(entry.at_ms),
        digest: hex(&entry.snapshot.unwrap_or_default()),
        instruments: directives.chain(licenses).collect(),
    })
}

/// Reads what both sides counted; nothing if the statement is withheld.
fn hour(entry: &Entry, read: &BundleEntry) -> Option<Hour> {
    let statement = Statement::parse(read.fields.value(Field::Main)?).ok()?;
    let counted = |side: &Side| {
        let Sums { calls, input, output, .. } = side.trees.completed.sums;
        [calls, input, output]
    };
    Some(Hour {
        entry: read.index,
        model: entry.model.clone()?,
        at: moment(statement.about.hour.saturating_mul(HOUR_MS)),
        gateway: counted(&statement.gateway),
        meter: counted(&statement.meter),
        agree: statement.agrees(),
    })
}

fn moment(at_ms: u64) -> Moment {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}
