//! Calls while they are open, and what they add up to.

use proof::entry::{Class, Entry, Outcome};
use terms::Moment;

use super::{
    Question, Sums,
    table::{Cell, Table},
};

/// A call that was opened.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) at_ms: u64,
    call: Option<[u8; 16]>,
    subject: Option<[u8; 16]>,
    model: Option<String>,
    organizations: Vec<[u8; 16]>,
}

/// A call that ended.
#[derive(Clone, Debug)]
pub(super) struct Call {
    live: Live,
    outcome: Option<Outcome>,
    output: u64,
}

impl Live {
    pub(super) fn of(entry: &Entry) -> Self {
        let links = entry.links.iter().flatten();
        let organizations = links.filter(|link| link.class == Class::Organization).map(|link| link.id).collect();
        Self { at_ms: entry.at_ms, call: entry.call, subject: entry.subject, model: entry.model.clone(), organizations }
    }

    /// Returns the groups in which the call counts; where one organization was asked for, only with that.
    pub(super) fn keys(&self, question: Question, only: Option<[u8; 16]>) -> Vec<Vec<Cell>> {
        let model = Cell::text(self.model.as_deref());
        if question == Question::Who {
            return vec![vec![Cell::id(self.subject), model]];
        }
        let mut organizations: Vec<Option<[u8; 16]>> = self.organizations.iter().copied().map(Some).collect();
        organizations.retain(|id| only.is_none() || *id == only);
        if organizations.is_empty() {
            organizations.push(None);
        }
        let key = |id| match question {
            Question::Calls => vec![Cell::Text(day(self.at_ms)), Cell::id(id), model.clone()],
            _ => vec![Cell::id(id), model.clone()],
        };
        organizations.into_iter().map(key).collect()
    }
}

impl Call {
    pub(super) fn of(live: &Live, close: &Entry) -> Self {
        let output = close.usage.and_then(|used| used.output_tokens).unwrap_or_default();
        Self { live: live.clone(), outcome: close.outcome, output }
    }
}

impl Sums {
    /// Adds a call; without its close it is still open.
    pub(super) fn add(&mut self, live: &Live, close: Option<&Entry>) {
        self.calls += 1;
        self.last_ms = self.last_ms.max(live.at_ms);
        let Some(close) = close else { return };
        match close.outcome {
            Some(Outcome::Completed) => self.completed += 1,
            Some(Outcome::Cut) => self.cut += 1,
            _ => self.other += 1,
        }
        let used = close.usage.unwrap_or_default();
        self.input = self.input.saturating_add(used.input_tokens.unwrap_or_default());
        self.output = self.output.saturating_add(used.output_tokens.unwrap_or_default());
    }
}

/// Adds a call to the longest ones so far.
pub(super) fn keep_longest(longest: &mut Vec<(u64, Call)>, call: Option<(u64, Call)>, limit: usize) {
    let Some(call) = call else { return };
    let at = longest.partition_point(|(longer, _)| *longer >= call.0);
    if at < limit {
        longest.insert(at, call);
        longest.truncate(limit);
    }
}

pub(super) fn longest(calls: Vec<(u64, Call)>, ended: usize) -> Table {
    let left_out = ended.saturating_sub(calls.len());
    let row = |(took, call): (u64, Call)| {
        let Call { live, outcome, output } = call;
        let outcome = outcome.and_then(crate::words::of_outcome);
        vec![
            Cell::id(live.call),
            Cell::Text(moment(live.at_ms)),
            Cell::Number(took),
            Cell::id(live.subject),
            Cell::text(live.model.as_deref()),
            Cell::text(outcome),
            Cell::Number(output),
        ]
    };
    let columns = vec!["call", "opened", "milliseconds", "subject", "model", "outcome", "output_tokens"];
    Table { columns, rows: calls.into_iter().map(row).collect(), left_out }
}

pub(super) fn moment(at_ms: u64) -> String {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX)).to_string()
}

fn day(at_ms: u64) -> String {
    moment(at_ms).chars().take(10).collect()
}
