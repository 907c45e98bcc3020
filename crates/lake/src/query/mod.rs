//! The common questions to a record, answered without an engine, from the leaves alone.
//!
//! A call counts in the time in which it was opened or refused, once for each organization it is linked to; what its close
//! says counts there too, whenever that came. People, keys and organizations stand under their pseudonyms.

mod calls;
mod table;

use std::{collections::BTreeMap, ops::Range};

use proof::entry::{Entry, Kind};

use crate::entries::EntriesError;

use calls::{Call, Live};
pub use table::{Cell, Table};

/// A question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Question {
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

/// Which calls are asked about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// In milliseconds since 1970: the first moment, and the first one after.
    pub times: Option<Range<u64>>,
    /// On this model version only.
    pub model: Option<String>,
    /// Linked to this organization only: its pseudonym.
    pub organization: Option<[u8; 16]>,
    /// Of this subject only: its pseudonym.
    pub subject: Option<[u8; 16]>,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sums {
    calls: u64,
    completed: u64,
    cut: u64,
    other: u64,
    input: u64,
    output: u64,
    last_ms: u64,
}

/// Goes through leaves and answers one question.
#[derive(Debug)]
pub struct Query {
    question: Question,
    filter: Filter,
    /// At most this many rows in the answer.
    limit: usize,
    live: BTreeMap<u64, Live>,
    groups: BTreeMap<Vec<Cell>, Sums>,
    longest: Vec<(u64, Call)>,
    /// How many calls had ended, of which `longest` has some.
    ended: usize,
}

/// Whether more leaves can change the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// They can.
    More,
    /// They cannot: the time is over, and every call that began in it has ended.
    Done,
}

impl Query {
    /// Asks `question` about the calls that pass `filter`; the answer has at most `limit` rows.
    #[must_use]
    pub fn new(question: Question, filter: Filter, limit: usize) -> Self {
        let (live, groups) = (BTreeMap::new(), BTreeMap::new());
        Self { question, filter, limit, live, groups, longest: Vec::new(), ended: 0 }
    }

    /// Takes the next leaf. The first must not be later than the first call that is asked about.
    ///
    /// # Errors
    ///
    /// [`EntriesError::NotAnEntry`].
    pub fn take(&mut self, index: u64, leaf: &[u8]) -> Result<Step, EntriesError> {
        let entry = Entry::decode(leaf).map_err(|_| EntriesError::NotAnEntry(index))?;
        let over = self.filter.times.as_ref().is_some_and(|times| entry.at_ms >= times.end);
        match entry.kind {
            Kind::Open => self.open(index, &entry),
            Kind::Refusal => self.refuse(&entry),
            Kind::Close => self.close(&entry),
            _ => {}
        }
        Ok(if over && self.live.is_empty() { Step::Done } else { Step::More })
    }

    /// Returns the answer; calls that are still open count as such.
    #[must_use]
    pub fn answer(mut self) -> Table {
        let live = std::mem::take(&mut self.live);
        live.into_values().for_each(|live| self.count(&live, None));
        match self.question {
            Question::Longest => calls::longest(self.longest, self.ended),
            question => table::of(question, self.groups, self.limit),
        }
    }

    fn open(&mut self, index: u64, entry: &Entry) {
        if self.question != Question::Refusals && self.filter.passes(entry) {
            self.live.insert(index, Live::of(entry));
        }
    }

    fn refuse(&mut self, entry: &Entry) {
        if self.question == Question::Refusals && self.filter.passes(entry) {
            let key = vec![Cell::text(entry.code.as_deref()), Cell::text(entry.model.as_deref())];
            let sums = self.groups.entry(key).or_default();
            sums.calls += 1;
            sums.last_ms = entry.at_ms;
        }
    }

    fn close(&mut self, entry: &Entry) {
        if let Some(live) = entry.opened.and_then(|opened| self.live.remove(&opened)) {
            self.count(&live, Some(entry));
        }
    }

    fn count(&mut self, live: &Live, close: Option<&Entry>) {
        if self.question == Question::Longest {
            let longest = close.map(|close| (close.at_ms.saturating_sub(live.at_ms), Call::of(live, close)));
            self.ended += usize::from(longest.is_some());
            calls::keep_longest(&mut self.longest, longest, self.limit);
            return;
        }
        for key in live.keys(self.question, self.filter.organization) {
            self.groups.entry(key).or_default().add(live, close);
        }
    }
}

impl Filter {
    fn passes(&self, entry: &Entry) -> bool {
        let linked = |id| entry.links.iter().flatten().any(|link| link.id == id);
        self.times.as_ref().is_none_or(|times| times.contains(&entry.at_ms))
            && self.model.as_ref().is_none_or(|model| entry.model.as_ref() == Some(model))
            && self.organization.is_none_or(linked)
            && self.subject.is_none_or(|subject| entry.subject == Some(subject))
    }
}
