//! Every call is opened once and closed at most once, by entries that agree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proof::entry::{Entry, Kind, Outcome};

use crate::walk::STEP_MS;

/// The calls that are open, and those that ended so lately that a re-decision may still have been under way.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<u64, Call>,
    ids: BTreeSet<[u8; 16]>,
    ended: VecDeque<(u64, u64, Call)>,
}

/// What every entry about a call must agree with.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Call {
    id: Option<[u8; 16]>,
    subject: Option<[u8; 16]>,
    model: Option<String>,
}

impl Calls {
    /// Returns how many calls are open.
    pub(crate) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// Takes the next entry.
    pub(crate) fn take(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        match entry.kind {
            Kind::Open => self.opens(index, entry),
            Kind::Close => self.closes(entry),
            Kind::Redecision => self.goes_on(entry),
            _ => Ok(()),
        }
    }

    fn opens(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        let call = Call { id: entry.call, subject: entry.subject, model: entry.model.clone() };
        let whole = call.id.is_some() && call.subject.is_some() && call.model.is_some();
        let again = call.id.is_some_and(|id| !self.ids.insert(id));
        self.open.insert(index, call);
        match (whole, again) {
            (false, _) => Err("it opens a call without saying which, for whom or on what model".to_owned()),
            (_, true) => Err("it opens a call that is open already".to_owned()),
            _ => Ok(()),
        }
    }

    fn closes(&mut self, entry: &Entry) -> Result<(), String> {
        let opened = entry.opened.ok_or("it closes a call without saying where that was opened")?;
        let call = self.open.remove(&opened).ok_or_else(|| {
            format!("it closes a call that is not open: entry {opened} opened none, or it was closed")
        })?;
        if let Some(id) = &call.id {
            self.ids.remove(id);
        }
        let agrees = call.agrees(entry);
        self.ended.push_back((entry.at_ms, opened, call));
        self.forget(entry.at_ms);
        if entry.outcome.is_none() || entry.usage.is_none() && !is_recovered(entry) {
            return Err("it closes a call without saying how it ended or what it used".to_owned());
        }
        agrees
    }

    fn goes_on(&mut self, entry: &Entry) -> Result<(), String> {
        self.forget(entry.at_ms);
        let opened = entry.opened.ok_or("it decides a call again without saying where that was opened")?;
        let ended = self.ended.iter().find(|(_, index, _)| *index == opened);
        let ended = ended.map(|(_, _, call)| call);
        let call = self.open.get(&opened).or(ended);
        call.ok_or_else(|| {
            format!("it decides a call again that is not open: entry {opened} opened none, or it was closed")
        })?
        .agrees(entry)
    }

    fn forget(&mut self, now_ms: u64) {
        let old = |(at_ms, _, _): &(u64, u64, Call)| at_ms.saturating_add(STEP_MS) < now_ms;
        while self.ended.front().is_some_and(old) {
            self.ended.pop_front();
        }
    }
}

impl Call {
    /// Holds what a later entry says of the call against its opening; the subject may be left out.
    fn agrees(&self, entry: &Entry) -> Result<(), String> {
        let same = entry.call == self.id && entry.model == self.model;
        if same && entry.subject.is_none_or(|_| entry.subject == self.subject) {
            return Ok(());
        }
        Err("it is about another call, person or model than the entry that opened the call".to_owned())
    }
}

fn is_recovered(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::Interrupted)
}
