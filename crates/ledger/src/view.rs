//! From what segments hold to what is shown: opens private parts, checks them, and looks up the facts that an entry
//! refers to.

use std::{collections::BTreeMap, path::PathBuf, sync::Mutex};

use bytes::Bytes;
use proof::{
    commit::{Field, Openings},
    entry::Entry,
};

use crate::{
    handle::LookupError,
    queue::lock,
    reader::lookup_error,
    seal,
    stored::{Private, Stored},
    vault::{KeySource, NOBODY, NoKey, Owner},
    wal::{Finder, Raw},
};

/// Facts that are kept in memory for entries that refer to them; some kilobytes each.
const FACTS_MAX: usize = 1_024;

/// Where the segment is that has an entry, if there is one: the index of its first entry, and its path.
pub(crate) type Place = Option<(u64, PathBuf)>;

/// What looking at entries needs beside the segments.
#[derive(Debug)]
pub(crate) struct View {
    keys: KeySource,
    finder: Finder,
    facts: Mutex<Facts>,
}

/// Field 1 of entries that others referred to.
#[derive(Debug, Default)]
struct Facts {
    known: BTreeMap<u64, Fact>,
    /// How often all was forgotten: what was read before may not be remembered after.
    forgotten: u64,
}

impl View {
    pub(crate) fn new(keys: KeySource) -> Self {
        Self { keys, finder: Finder::default(), facts: Mutex::default() }
    }

    /// Returns the entry at `index`, which `place` finds the segment of; `None` if there is none.
    pub(crate) fn stored(&self, index: u64, place: &dyn Fn(u64) -> Place) -> Result<Option<Stored>, LookupError> {
        let found = self.finder.find(place(index), index).map_err(|error| lookup_error(index, error))?;
        found.map(|raw| self.show(raw, place)).transpose()
    }

    /// Shows what is kept, if it is an entry and its private part is what it commits to.
    pub(crate) fn show(&self, raw: Raw, place: &dyn Fn(u64) -> Place) -> Result<Stored, LookupError> {
        let Raw { index, leaf, sealed } = raw;
        let entry = Entry::decode(&leaf).map_err(|_| LookupError::Damaged(index))?;
        let private = self.open(index, &entry, &sealed)?;
        let facts = match entry.facts {
            Some(earlier) => self.facts(index, &entry, earlier, place)?,
            None => None,
        };
        Ok(Stored { index, leaf: leaf.to_vec(), private, facts })
    }

    fn open(&self, index: u64, entry: &Entry, sealed: &[u8]) -> Result<Private, LookupError> {
        let damaged = LookupError::Damaged(index);
        let Some((_, epoch)) = entry.private.zip(entry.key_epoch) else {
            let nothing = sealed.is_empty();
            return if nothing { Ok(Private::Open(Openings::default())) } else { Err(damaged) };
        };
        let key = match self.keys.find(Owner { subject: entry.subject.unwrap_or(NOBODY), epoch }) {
            Ok(key) => key,
            Err(NoKey::Destroyed) => return Ok(Private::Withheld),
            Err(NoKey::Unknown) => return Err(damaged),
        };
        seal::open(&key.begin(), entry, sealed).map(Private::Open).ok_or(damaged)
    }

    /// Returns field 1 of the entry at `earlier`, which must be one of the same subject.
    fn facts(
        &self,
        index: u64,
        entry: &Entry,
        earlier: u64,
        place: &dyn Fn(u64) -> Place,
    ) -> Result<Option<Bytes>, LookupError> {
        let (known, forgotten) = {
            let facts = lock(&self.facts);
            (facts.known.get(&earlier).cloned(), facts.forgotten)
        };
        let fact = match known {
            Some(fact) => Some(fact),
            None => self.look_up(earlier, forgotten, place)?,
        };
        let own = fact.filter(|fact| earlier < index && fact.subject == entry.subject);
        own.map(|fact| fact.main).ok_or(LookupError::Damaged(index))
    }

    /// Reads what the entry at `index` decided on, and remembers it unless all was `forgotten` once more meanwhile; `None`
    /// if it has no facts of its own.
    fn look_up(&self, index: u64, forgotten: u64, place: &dyn Fn(u64) -> Place) -> Result<Option<Fact>, LookupError> {
        let found = self.finder.find(place(index), index).map_err(|error| lookup_error(index, error))?;
        let Some(raw) = found else { return Ok(None) };
        let entry = Entry::decode(&raw.leaf).map_err(|_| LookupError::Damaged(index))?;
        let main = match self.open(index, &entry, &raw.sealed)? {
            Private::Withheld => None,
            Private::Open(openings) => match openings.value(Field::Main) {
                None => return Ok(None),
                Some(main) => Some(main.clone()),
            },
        };
        let fact = Fact { subject: entry.subject, main };
        lock(&self.facts).remember(index, fact.clone(), forgotten);
        Ok(Some(fact))
    }

    /// Forgets what was remembered: a key was destroyed.
    pub(crate) fn forget(&self) {
        let mut facts = lock(&self.facts);
        facts.known.clear();
        facts.forgotten += 1;
    }
}

impl Facts {
    fn remember(&mut self, index: u64, fact: Fact, forgotten: u64) {
        if self.forgotten != forgotten {
            return;
        }
        self.known.insert(index, fact);
        if self.known.len() > FACTS_MAX {
            self.known.pop_first();
        }
    }
}

/// What an entry decided on, for others that refer to it.
#[derive(Clone, Debug)]
struct Fact {
    subject: Option<[u8; 16]>,
    /// `None` if it is withheld.
    main: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::vault::Copy;

    #[test]
    fn what_was_read_before_a_key_was_destroyed_is_not_remembered_after() {
        let view = View::new(KeySource::Copy(Arc::new(Copy::new(PathBuf::new()))));
        let fact = || Fact { subject: None, main: Some(Bytes::from_static(b"{}")) };
        let before = lock(&view.facts).forgotten;
        lock(&view.facts).remember(7, fact(), before);
        view.forget();
        lock(&view.facts).remember(8, fact(), before);
        assert!(lock(&view.facts).known.is_empty());
        let after = lock(&view.facts).forgotten;
        lock(&view.facts).remember(8, fact(), after);
        assert_eq!(lock(&view.facts).known.len(), 1);
    }
}
