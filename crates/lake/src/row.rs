//! One leaf as a row: what the columns keep of it, and back to its exact bytes.

use std::borrow::Cow;

use proof::entry::{Class, Entry, Link, Usage};

use crate::chains::Chains;

/// One leaf of the log with its private part as the ledger keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The exact bytes of the leaf.
    pub leaf: Vec<u8>,
    /// The private part as the ledger sealed it; `None` for an entry without one.
    pub sealed: Option<Vec<u8>>,
}

/// What the columns keep of one leaf.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) index: u64,
    /// The entry; its links stand in `links`.
    pub(crate) entry: Entry,
    pub(crate) links: Option<Links<'a>>,
    /// The exact bytes, only of a leaf that does not follow from the other columns.
    pub(crate) leaf: Option<Vec<u8>>,
}

/// The links of an entry, without the numbers that follow from earlier rows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Links<'a> {
    /// Whether there is one in the chain of the entry's own subject.
    pub(crate) subject: bool,
    pub(crate) keys: Cow<'a, [[u8; 16]]>,
    pub(crate) organizations: Cow<'a, [[u8; 16]]>,
    pub(crate) models: Cow<'a, [[u8; 16]]>,
    /// Whether there is one in the chain of what was in force.
    pub(crate) in_force: bool,
    /// The places that do not follow from earlier rows.
    pub(crate) starts: Vec<Start>,
}

/// A place in a chain that does not follow from earlier rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Start {
    /// Which link of the entry, counted from 0.
    pub(crate) link: u32,
    pub(crate) seq: u64,
    pub(crate) back: u64,
}

/// A row that is no leaf.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadRow {
    #[error("a link neither follows from earlier rows nor is given")]
    Link,
    #[error("the row is no entry of this version")]
    Entry,
    #[error("the columns are not those of the leaf that stands beside them")]
    Columns,
}

impl Row<'_> {
    /// Takes the leaf at `index` apart; `None` if it is no entry of this version.
    pub(crate) fn of(index: u64, leaf: Vec<u8>, chains: &mut Chains) -> Option<Self> {
        let mut entry = Entry::decode(&leaf).ok()?;
        let fits = numbers(&entry).all(is_narrow);
        let given = entry.links.take();
        narrow(&mut entry);
        let links = given.as_deref().map(|links| Links::of(index, entry.subject, links, chains));
        let again = links.as_ref().and_then(|links| links.to_links(index, entry.subject, chains).ok());
        note(index, given.as_deref(), chains);
        // An entry has one encoding: what is the same entry is the same bytes.
        let follows = fits && again == given;
        let (links, leaf) = if follows { (links, None) } else { (None, Some(leaf)) };
        Some(Self { index, entry, links, leaf })
    }

    /// Returns the exact bytes of the leaf; rows come in order.
    pub(crate) fn into_leaf(self, chains: &mut Chains) -> Result<Vec<u8>, BadRow> {
        let Self { index, mut entry, links, leaf } = self;
        if let Some(leaf) = leaf {
            // What engines read beside it is what was written beside it, and it is not there without need.
            let again = Row::of(index, leaf, chains).ok_or(BadRow::Entry)?;
            let is_same = again.entry == entry && links.is_none();
            return again.leaf.filter(|_| is_same).ok_or(BadRow::Columns);
        }
        entry.links = links.map(|links| links.to_links(index, entry.subject, chains)).transpose()?;
        // What can be written reads back as it was: it need not be read here.
        entry.encode().map_err(|_| BadRow::Entry)
    }
}

fn note(index: u64, links: Option<&[Link]>, chains: &mut Chains) {
    links.unwrap_or_default().iter().for_each(|link| chains.note(index, link));
}

impl Links<'_> {
    fn of(index: u64, subject: Option<[u8; 16]>, links: &[Link], chains: &Chains) -> Self {
        let ids = |class| links.iter().filter(|link| link.class == class).map(|link| link.id).collect();
        let has = |class, id| links.iter().any(|link| link.class == class && Some(link.id) == id);
        let starts = (0..).zip(links).filter(|(_, link)| chains.next(index, link.class, link.id) != Some(**link));
        Self {
            subject: has(Class::Subject, subject),
            keys: ids(Class::Key),
            organizations: ids(Class::Organization),
            models: ids(Class::Model),
            in_force: has(Class::InForce, Some([0; 16])),
            starts: starts.map(|(at, link)| Start { link: at, seq: link.seq, back: link.back }).collect(),
        }
    }

    /// Returns the links as they were, and notes them.
    fn to_links(&self, index: u64, subject: Option<[u8; 16]>, chains: &mut Chains) -> Result<Vec<Link>, BadRow> {
        let subject = if self.subject { Some(subject.ok_or(BadRow::Link)?) } else { None };
        let in_force = self.in_force.then_some([0; 16]);
        let places: [(Class, &[[u8; 16]]); 5] = [
            (Class::Subject, subject.as_slice()),
            (Class::Key, &self.keys),
            (Class::Organization, &self.organizations),
            (Class::Model, &self.models),
            (Class::InForce, in_force.as_slice()),
        ];
        let mut starts = self.starts.iter().peekable();
        let mut links = Vec::with_capacity(places.iter().map(|(_, ids)| ids.len()).sum());
        for (class, ids) in places {
            for id in ids {
                let given = starts.next_if(|start| usize::try_from(start.link) == Ok(links.len()));
                links.push(continued(given, index, class, *id, chains).ok_or(BadRow::Link)?);
            }
        }
        // They rise, and none is of a link that there is not.
        if starts.next().is_none() { Ok(links) } else { Err(BadRow::Link) }
    }
}

/// Returns the link of the entry at `index` in a chain, which is given or follows, and notes it.
fn continued(given: Option<&Start>, index: u64, class: Class, id: [u8; 16], chains: &mut Chains) -> Option<Link> {
    let Some(start) = given else { return chains.follow(index, class, id) };
    let link = Link { class, id, seq: start.seq, back: start.back };
    chains.note(index, &link);
    Some(link)
}

fn is_narrow(number: u64) -> bool {
    i64::try_from(number).is_ok()
}

/// Takes away what does not fit its column: the whole leaf stands beside it then.
fn narrow(entry: &mut Entry) {
    let fits = |number: &u64| is_narrow(*number);
    for number in [&mut entry.opened, &mut entry.facts, &mut entry.lease, &mut entry.covered] {
        *number = number.filter(fits);
    }
    if !is_narrow(entry.at_ms) {
        entry.at_ms = 0;
    }
    entry.key_epoch = entry.key_epoch.filter(|epoch| i32::try_from(*epoch).is_ok());
    entry.usage = entry.usage.filter(|used| usage(used).iter().all(fits));
}

fn usage(used: &Usage) -> [u64; 4] {
    let (input, output) = (used.input_tokens.unwrap_or_default(), used.output_tokens.unwrap_or_default());
    [input, output, used.delivered_events, used.delivered_bytes]
}

/// Returns every number of an entry that a column of signed numbers must hold.
fn numbers(entry: &Entry) -> impl Iterator<Item = u64> {
    let usage = entry.usage.as_ref().map(usage);
    let links = entry.links.iter().flatten().flat_map(|link| [link.seq, link.back]);
    // An epoch stands in a column of half the width.
    let epoch = entry.key_epoch.map(|epoch| u64::from(epoch) << 32);
    let single = [Some(entry.at_ms), entry.opened, entry.facts, entry.lease, entry.covered, epoch];
    let links: Vec<u64> = links.collect();
    single.into_iter().flatten().chain(usage.into_iter().flatten()).chain(links)
}

#[cfg(test)]
mod tests {
    use proof::entry::Kind;

    use super::*;

    fn link(class: Class, id: u8, seq: u64, back: u64) -> Link {
        Link { class, id: [id; 16], seq, back }
    }

    fn open(links: Vec<Link>) -> Entry {
        let mut entry = Entry::new(Kind::Open);
        entry.subject = Some([1; 16]);
        entry.links = Some(links);
        entry
    }

    fn there_and_back(entries: &[Entry]) -> Vec<Row<'static>> {
        let (mut writing, mut reading) = (Chains::default(), Chains::default());
        let rows = (7..).zip(entries).map(|(index, entry)| {
            let leaf = entry.encode().unwrap();
            let row = Row::of(index, leaf.clone(), &mut writing).unwrap();
            assert_eq!(row.clone().into_leaf(&mut reading).unwrap(), leaf, "{index}");
            row
        });
        rows.collect()
    }

    #[test]
    fn a_link_that_continues_its_chain_is_not_kept() {
        let first = open(vec![link(Class::Subject, 1, 40, 3), link(Class::Key, 2, 0, 0), link(Class::Model, 9, 5, 1)]);
        let second = open(vec![link(Class::Subject, 1, 41, 1), link(Class::Key, 2, 1, 1), link(Class::Model, 8, 0, 0)]);
        let rows = there_and_back(&[first, second]);
        assert_eq!(rows[0].links.as_ref().unwrap().starts.len(), 3);
        assert_eq!(rows[1].links.as_ref().unwrap().starts, [Start { link: 2, seq: 0, back: 0 }]);
        assert!(rows.iter().all(|row| row.leaf.is_none()));
    }

    #[test]
    fn an_entry_in_no_chain_has_no_links() {
        let rows = there_and_back(&[Entry::new(Kind::Stop)]);
        assert_eq!((&rows[0].links, &rows[0].leaf), (&None, &None));
    }

    #[test]
    fn a_leaf_that_the_columns_cannot_hold_is_kept_as_it_is() {
        let mut far = Entry::new(Kind::Stop);
        far.at_ms = u64::MAX;
        let strange = open(vec![link(Class::Subject, 77, 0, 0)]);
        let rows = there_and_back(&[far, strange]);
        assert!(rows.iter().all(|row| row.leaf.is_some()));
    }

    #[test]
    fn a_chain_goes_on_after_a_leaf_that_is_kept_as_it_is() {
        let whole = Entry { lease: Some(u64::MAX), ..open(vec![link(Class::Subject, 1, 9, 4)]) };
        let rows = there_and_back(&[whole, open(vec![link(Class::Subject, 1, 10, 1)])]);
        assert_eq!(rows[1].links.as_ref().unwrap().starts, []);
    }

    #[test]
    fn a_row_of_no_entry_and_one_whose_links_do_not_follow_are_refused() {
        let starts = |seq: &[u64]| {
            (0..).zip(seq).map(|(link, seq)| Start { link, seq: *seq, back: u64::from(*seq > 0) }).collect()
        };
        let links = |seq| Links { keys: vec![[2; 16], [1; 16]].into(), starts: starts(seq), ..Links::default() };
        let row = |entry, links| Row { index: 7, entry, links: Some(links), leaf: None };
        let read = |row: Row<'_>| row.into_leaf(&mut Chains::default());
        let call = || open(vec![]);
        assert_eq!(read(row(call(), links(&[3, 4]))), Err(BadRow::Entry), "ids out of order");
        assert_eq!(read(row(call(), links(&[3]))), Err(BadRow::Link), "one follows from nothing");
        let of_nobody = Links { subject: true, starts: starts(&[0]), ..Links::default() };
        assert_eq!(read(row(Entry::new(Kind::Open), of_nobody)), Err(BadRow::Link));
        assert_eq!(read(row(Entry { version: 1, ..call() }, links(&[3, 4]))), Err(BadRow::Entry));
        let leaf = Some(vec![0xa0]);
        assert_eq!(read(Row { index: 7, entry: call(), links: None, leaf }), Err(BadRow::Entry));
    }

    #[test]
    fn what_is_no_entry_is_no_row() {
        assert!(Row::of(0, vec![0xa0], &mut Chains::default()).is_none());
    }
}
