//! Facts that are recorded once and that later decisions on them refer to.

use std::{cell::OnceCell, collections::VecDeque, rc::Rc};

use policy::Facts;
use proof::{
    entry::{Class, Entry, FACTS_BYTES_MAX, Kind, Outcome},
    heads::Chain,
};

use crate::{replay::Remembered, walk::Main};

/// How many entries back an entry may refer, see `docs/log-format.md` section 1: no more need be kept.
const REACH: u64 = 131_072;

/// The entries that later ones may point to, each after its index, in rising order: those with facts of their own, and
/// `None` for all others.
#[derive(Debug, Default)]
pub(crate) struct Earlier(VecDeque<(u64, Option<Recorded>)>);

/// What an entry has for field 1.
#[derive(Debug)]
struct Recorded {
    subject: Option<[u8; 16]>,
    /// Absent if it is withheld.
    facts: Option<Vec<u8>>,
    /// The same, read, once an entry referred to it.
    read: OnceCell<Rc<Read>>,
}

/// Facts, and what was decided on them so far.
#[derive(Debug)]
pub(crate) struct Read {
    /// The facts.
    pub(crate) facts: Facts,
    /// Decisions that entries referred to more than once.
    pub(crate) decisions: Remembered,
    /// The chains of an entry with these facts, once it is known of each whose it is.
    pub(crate) chains: OnceCell<Vec<Chain>>,
}

/// On what an entry was decided.
#[derive(Clone, Debug)]
pub(crate) enum Basis {
    /// It is no decision, or has no facts.
    Absent,
    /// It may have facts, which are not shown.
    Withheld,
    /// These facts.
    On(Rc<Read>),
}

impl Basis {
    /// Returns the facts, if they are shown.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        self.read().map(|read| &read.facts)
    }

    /// Returns the facts, if they are shown, with what was found of them so far.
    pub(crate) fn read(&self) -> Option<&Read> {
        match self {
            Self::On(read) => Some(read),
            Self::Absent | Self::Withheld => None,
        }
    }

    fn of(own: Main<'_>) -> Result<Self, String> {
        match own {
            Main::Absent => Ok(Self::Absent),
            Main::Untold | Main::Withheld => Ok(Self::Withheld),
            Main::Shown(text) => read(text).map(Self::On),
        }
    }
}

impl Earlier {
    /// Returns on what the entry at `index` was decided: its own field 1, or that of the entry that it names.
    ///
    /// # Errors
    ///
    /// What is wrong with the facts or the reference: the entry has both, or must not have it, or what it names has no
    /// such facts.
    pub(crate) fn basis(&self, index: u64, entry: &Entry, own: Main<'_>) -> Result<Basis, String> {
        own.shown().filter(|_| decides(entry.kind) || entry.kind == Kind::Close).map_or(Ok(()), short_enough)?;
        match (entry.facts, self.named(index, entry, own)?) {
            (None, _) if decides(entry.kind) || is_cut(entry) => Basis::of(own),
            (None, _) => Ok(Basis::Absent),
            (Some(_), Some(recorded)) => recorded.basis(),
            (Some(named), None) => Err(no_facts(named)),
        }
    }

    /// As [`Earlier::basis`], where facts are not asked for: what the entry names need not be known, nor is it read.
    ///
    /// # Errors
    ///
    /// As [`Earlier::basis`], of what is known.
    pub(crate) fn unread(&self, index: u64, entry: &Entry, own: Main<'_>) -> Result<Basis, String> {
        self.named(index, entry, own)?;
        let has_none = matches!(own, Main::Absent) && entry.facts.is_none();
        Ok(if has_none { Basis::Absent } else { Basis::Withheld })
    }

    /// Returns what has the facts of an entry that names another, if that is known.
    fn named(&self, index: u64, entry: &Entry, own: Main<'_>) -> Result<Option<&Recorded>, String> {
        let Some(named) = entry.facts else { return Ok(None) };
        if !decides(entry.kind) {
            return Err(format!("it refers to the facts of entry {named} and is no decision"));
        }
        // Where nothing is told of its fields, nothing tells whether the first is among them.
        if let Main::Shown(_) | Main::Withheld = own {
            return Err(format!("it has facts and refers to those of entry {named} too"));
        }
        let near = named < index && index - named <= REACH;
        let known = self.get(named);
        let is_fit = |known: Option<&Recorded>| known.is_some_and(|known| known.subject == subject(entry));
        if !near || known.is_some_and(|known| !is_fit(known)) {
            return Err(no_facts(named));
        }
        Ok(known.flatten())
    }

    /// Returns what is known of the entry at `index`, if anything is.
    fn get(&self, index: u64) -> Option<Option<&Recorded>> {
        let (first, _) = self.0.front()?;
        // Where none is left out, an entry is as many places from the first as its index says.
        let place = usize::try_from(index.checked_sub(*first)?).ok()?;
        let found = self.0.get(place).filter(|(found, _)| *found == index);
        let search = || self.0.binary_search_by_key(&index, |(index, _)| *index).ok().and_then(|at| self.0.get(at));
        found.or_else(search).map(|(_, recorded)| recorded.as_ref())
    }

    /// Keeps field 1 of the entry at `index`, which is above all before it, if it has one that others may refer to.
    pub(crate) fn keep(&mut self, index: u64, entry: &Entry, own: Main<'_>) {
        let has_own = decides(entry.kind) && entry.facts.is_none() && !matches!(own, Main::Absent);
        let recorded = has_own.then(|| {
            // What is too long is a fault where it stands, and where it is referred to.
            let facts = own.shown().map(|facts| facts.get(..=FACTS_BYTES_MAX).unwrap_or(facts).to_vec());
            Recorded { subject: subject(entry), facts, read: OnceCell::new() }
        });
        self.0.push_back((index, recorded));
        while self.0.pop_front_if(|(first, _)| index - *first > REACH).is_some() {}
    }
}

/// Whose decision it is: the subject, which a redecision tells by its chain alone.
fn subject(entry: &Entry) -> Option<[u8; 16]> {
    let chain = entry.links.iter().flatten().find(|link| link.class == Class::Subject);
    entry.subject.or_else(|| chain.map(|link| link.id))
}

impl Recorded {
    /// Returns the facts, which are read for the first entry that refers to them.
    fn basis(&self) -> Result<Basis, String> {
        if let Some(read) = self.read.get() {
            return Ok(Basis::On(read.clone()));
        }
        let Some(facts) = &self.facts else {
            return Ok(Basis::Withheld);
        };
        let read = read(facts)?;
        Ok(Basis::On(self.read.get_or_init(|| read).clone()))
    }
}

fn no_facts(named: u64) -> String {
    format!("it refers to entry {named}, which has no facts of its subject")
}

fn short_enough(facts: &[u8]) -> Result<(), String> {
    if facts.len() > FACTS_BYTES_MAX {
        return Err(format!("its facts are longer than {FACTS_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Reads facts as a private part has them.
pub(crate) fn read(facts: &[u8]) -> Result<Rc<Read>, String> {
    short_enough(facts)?;
    let facts = Facts::from_json(facts);
    let facts = facts.map_err(|e| format!("its private part is not the facts of a decision: {e}"))?;
    Ok(Rc::new(Read { facts, decisions: Remembered::default(), chains: OnceCell::new() }))
}

fn decides(kind: Kind) -> bool {
    matches!(kind, Kind::Open | Kind::Refusal | Kind::Redecision)
}

fn is_cut(entry: &Entry) -> bool {
    entry.kind == Kind::Close && entry.outcome == Some(Outcome::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, facts: Option<u64>) -> Entry {
        Entry { subject: Some([1; 16]), facts, ..Entry::new(kind) }
    }

    /// Facts of a shared credential.
    fn text(key: &str) -> Vec<u8> {
        let credential =
            format!(r#"{{"id":"{key}","expires_at":"2026-06-27T00:00:00Z","revoked":false,"organization":null}}"#);
        let facts = r#""caller":{"kind":"unbound"},"organizations":[],"consumed":[]"#;
        format!(r#"{{"at":"2026-06-26T00:00:00Z","model":"ember-2","credential":{credential},{facts}}}"#).into_bytes()
    }

    fn earlier() -> Earlier {
        let mut earlier = Earlier::default();
        earlier.keep(3, &entry(Kind::Open, None), Main::Shown(&text("key-3")));
        earlier
    }

    /// Returns the key in the facts that an entry was decided on.
    fn key(earlier: &Earlier, index: u64, entry: &Entry, own: Main<'_>) -> Result<Option<String>, String> {
        let basis = earlier.basis(index, entry, own)?;
        Ok(basis.facts().map(|facts| facts.credential.id.to_string()))
    }

    #[test]
    fn a_decision_has_the_facts_of_the_entry_it_names() {
        let earlier = earlier();
        for kind in [Kind::Open, Kind::Refusal, Kind::Redecision] {
            assert_eq!(key(&earlier, 9, &entry(kind, Some(3)), Main::Absent), Ok(Some("key-3".to_owned())));
        }
        let own = text("key-9");
        assert_eq!(key(&earlier, 9, &entry(Kind::Open, None), Main::Shown(&own)), Ok(Some("key-9".to_owned())));
    }

    #[test]
    fn facts_that_are_referred_to_are_read_once() {
        let earlier = earlier();
        let read = || match earlier.basis(9, &entry(Kind::Open, Some(3)), Main::Absent) {
            Ok(Basis::On(read)) => read,
            other => panic!("{other:?}"),
        };
        assert!(Rc::ptr_eq(&read(), &read()));
    }

    #[test]
    fn a_reference_to_nothing_to_anothers_facts_or_beside_ones_own_is_a_fault() {
        let earlier = earlier();
        let other = Entry { subject: Some([2; 16]), ..entry(Kind::Open, Some(3)) };
        for (index, bad, own) in [
            (9, entry(Kind::Open, Some(4)), Main::Absent),
            (2, entry(Kind::Open, Some(3)), Main::Absent),
            (9, other, Main::Absent),
            (9, entry(Kind::Open, Some(3)), Main::Shown(b"own")),
            (9, entry(Kind::Open, Some(3)), Main::Withheld),
            (9, entry(Kind::Close, Some(3)), Main::Absent),
            (3 + REACH + 1, entry(Kind::Open, Some(3)), Main::Absent),
        ] {
            assert!(key(&earlier, index, &bad, own).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn where_facts_are_not_read_a_reference_may_be_to_what_is_not_known_and_to_nothing_that_has_none() {
        let mut earlier = earlier();
        earlier.keep(5, &entry(Kind::Close, None), Main::Untold);
        let unread = |entry: &Entry, own| earlier.unread(9, entry, own);
        for named in [3, 4] {
            assert!(matches!(unread(&entry(Kind::Open, Some(named)), Main::Absent), Ok(Basis::Withheld)));
        }
        let other = Entry { subject: Some([2; 16]), ..entry(Kind::Open, Some(3)) };
        for bad in [other, entry(Kind::Open, Some(5)), entry(Kind::Open, Some(9)), entry(Kind::Close, Some(3))] {
            assert!(unread(&bad, Main::Absent).is_err(), "{bad:?}");
        }
        assert!(matches!(unread(&entry(Kind::Open, None), Main::Absent), Ok(Basis::Absent)));
        assert!(matches!(unread(&entry(Kind::Open, None), Main::Untold), Ok(Basis::Withheld)));
    }

    #[test]
    fn an_entry_is_found_by_its_index_whether_or_not_others_are_left_out() {
        for step in [1, 2, 7] {
            let mut earlier = Earlier::default();
            let kept: Vec<u64> = (40..140).step_by(step).filter(|index| index % 10 != 3).collect();
            for index in &kept {
                earlier.keep(*index, &entry(Kind::Open, None), Main::Shown(index.to_string().as_bytes()));
            }
            for index in 0..200 {
                let found = earlier.get(index).flatten().and_then(|recorded| recorded.facts.clone());
                let wanted = kept.contains(&index).then(|| index.to_string().into_bytes());
                assert_eq!(found, wanted, "{index} by {step}");
            }
        }
    }

    #[test]
    fn what_is_withheld_is_not_possible_and_what_is_too_far_back_is_not_kept() {
        let mut earlier = Earlier::default();
        earlier.keep(0, &entry(Kind::Open, None), Main::Withheld);
        assert!(matches!(earlier.basis(1, &entry(Kind::Open, Some(0)), Main::Absent), Ok(Basis::Withheld)));
        earlier.keep(REACH + 1, &entry(Kind::Open, None), Main::Shown(b"facts"));
        assert_eq!(earlier.0.len(), 1);
    }
}
