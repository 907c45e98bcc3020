//! What gateway and meters signed of an hour, held against the calls of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use proof::{
    entry::{Entry, Kind, Outcome, meter_id},
    sums::{Counted, Statement, Trees, sum_root},
    tree::Hash,
};

use crate::options::Meters;

const HOUR_MS: u64 = 3_600_000;

/// What the reconciliations of a record say.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Reconciled {
    /// Statements in which gateway and meter agree.
    pub agree: u64,
    /// Statements in which they do not.
    pub differ: u64,
    /// Calls of which they do not agree.
    pub differing_calls: u64,
    /// The keys of the meters, `name+hash+key`.
    pub meters: BTreeSet<String>,
    /// True if the auditor said which meters these may be; otherwise their keys came with the record.
    pub meters_pinned: bool,
}

impl Reconciled {
    /// Notes a statement that holds.
    ///
    /// # Errors
    ///
    /// The two sides do not agree, and in the entry at this index they have to.
    pub(crate) fn note(&mut self, index: u64, statement: &Statement, meters: &Meters) -> Result<(), String> {
        self.meters_pinned = !meters.keys.is_empty();
        self.meters.insert(statement.meter.key.to_string());
        if statement.agrees() {
            self.agree += 1;
            return Ok(());
        }
        let calls = statement.differ.calls;
        self.differ += 1;
        self.differing_calls = self.differing_calls.saturating_add(calls);
        if meters.allow_difference(index) {
            return Ok(());
        }
        Err(format!("gateway and meter do not agree, about {calls} calls"))
    }
}

/// The lines of a report; nothing where nothing was reconciled.
impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agree, differ, differing_calls, meters, meters_pinned } = self;
        if meters.is_empty() {
            return writeln!(f, "reconciled with no meter");
        }
        writeln!(f, "reconciled: {agree} statements agree, {differ} do not, about {differing_calls} calls")?;
        let source = if *meters_pinned { "pinned" } else { "NOT PINNED: compare it, or pass it with --meter" };
        meters.iter().try_for_each(|meter| writeln!(f, "  signed by the meter {meter} ({source})"))
    }
}

/// Whose calls are summed up together: of a model version, in an hour, at a meter.
pub(crate) type About = (String, u64, [u8; 8]);

/// Returns what a statement is about.
pub(crate) fn about(statement: &Statement) -> About {
    (statement.about.model.clone(), statement.about.hour, meter_id(&statement.about.meter))
}

/// The calls that are summed up together, each list in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) completed: Vec<Counted>,
    pub(crate) early: Vec<Counted>,
}

impl Calls {
    pub(crate) fn len(&self) -> u64 {
        (self.completed.len() + self.early.len()) as u64
    }

    fn sorted(mut self) -> Self {
        self.completed.sort_by_key(|counted| counted.call);
        self.early.sort_by_key(|counted| counted.call);
        self
    }
}

/// Calls that have ended and belong to a meter, until there is a statement about them.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// The hour of each call that is open, by the index of its opening entry.
    open: BTreeMap<u64, u64>,
    calls: BTreeMap<About, Calls>,
    /// What the gateway committed to, of what is summed up.
    settled: BTreeMap<About, Hash>,
    /// Completed calls that belong to no meter.
    unmetered: u64,
}

impl Ended {
    /// Takes the next entry about a call.
    ///
    /// # Errors
    ///
    /// A call ends that a statement counts already, without it.
    pub(crate) fn take(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        match (entry.kind, entry.opened) {
            (Kind::Open, _) => drop(self.open.insert(index, entry.at_ms / HOUR_MS)),
            (Kind::Close, Some(opened)) => {
                if let Some(hour) = self.open.remove(&opened) {
                    return self.ends(hour, entry);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ends(&mut self, hour: u64, close: &Entry) -> Result<(), String> {
        let completed = close.outcome == Some(Outcome::Completed);
        let (Some(model), Some(call), Some(meter)) = (&close.model, close.call, close.meter) else {
            self.unmetered += u64::from(completed);
            return Ok(());
        };
        let about = (model.clone(), hour, meter);
        if self.settled.contains_key(&about) {
            return Err("the call ends after the statement over its hour".to_owned());
        }
        let usage = close.usage.unwrap_or_default();
        let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
        let calls = self.calls.entry(about).or_default();
        let list = if completed { &mut calls.completed } else { &mut calls.early };
        list.push(Counted { call, input, output, events: usage.delivered_events });
        Ok(())
    }

    /// Takes out the calls that a statement counts; `None` if an earlier one took them already.
    pub(crate) fn settle(&mut self, about: &About, commitment: Hash) -> Option<Calls> {
        if self.settled.contains_key(about) {
            return None;
        }
        self.settled.insert(about.clone(), commitment);
        Some(self.calls.remove(about).unwrap_or_default().sorted())
    }

    /// Returns how many calls no statement counted: those that belong to a meter, and completed ones that belong to none.
    pub(crate) fn left(&self) -> u64 {
        self.unmetered + self.calls.values().map(Calls::len).sum::<u64>()
    }

    /// Takes the next entry of a whole log of the key `log`, with field 1 if it is at hand: the sums of a reconciliation are
    /// those of its calls. A second statement over the same says the same.
    ///
    /// # Errors
    ///
    /// Something of this does not hold.
    pub(crate) fn reconcile(
        &mut self,
        (index, entry): (u64, &Entry),
        main: Option<&[u8]>,
        log: &str,
        meters: &Meters,
        report: &mut Reconciled,
    ) -> Result<(), String> {
        self.take(index, entry)?;
        let Some(statement) = main.filter(|_| entry.kind == Kind::Reconciliation) else {
            return Ok(());
        };
        let statement = checked(entry, statement, log, meters)?;
        // A meter's log has no calls that belong to a meter: its sums are of what the tickets say.
        if statement.gateway.key.to_string() == log {
            self.check_sums(&statement)?;
        }
        report.note(index, &statement, meters)
    }

    fn check_sums(&mut self, statement: &Statement) -> Result<(), String> {
        let (about, wanted) = (about(statement), statement.gateway.trees.commitment());
        if let Some(calls) = self.settle(&about, wanted) {
            let tree = |calls: &[Counted]| sum_root(calls).map_err(|bad| bad.to_string());
            let trees = Trees { completed: tree(&calls.completed)?, early: tree(&calls.early)? };
            if trees == statement.gateway.trees {
                return Ok(());
            }
        } else if self.settled.get(&about) == Some(&wanted) {
            return Ok(());
        }
        Err("the sums that the gateway signed are not those of its calls".to_owned())
    }
}

/// Reads a statement that both sides signed, one of them with the key of this log, `name+hash+key`, and the meter with one
/// of those that are pinned.
pub(crate) fn checked(entry: &Entry, statement: &[u8], log: &str, meters: &Meters) -> Result<Statement, String> {
    let statement = Statement::parse(statement).map_err(|bad| bad.to_string())?;
    statement.verify().map_err(|bad| bad.to_string())?;
    statement.belongs_to(entry, log).map_err(|bad| bad.to_string())?;
    if meters.keys.is_empty() || meters.keys.contains(&statement.meter.key) {
        return Ok(statement);
    }
    Err(format!("the meter's key {} is none that was pinned", statement.meter.key))
}
