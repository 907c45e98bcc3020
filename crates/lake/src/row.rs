//! One leaf as a row: what the columns keep of it, and back to its exact bytes.

use proof::entry::{Class, Entry, Link};

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
pub(crate) struct Row {
    pub(crate) index: u64,
    /// The entry; its links stand in `links`.
    pub(crate) entry: Entry,
    pub(crate) links: Option<Links>,
    pub(crate) sealed: Option<Vec<u8>>,
    /// The exact bytes, only of a leaf that does not follow from the other columns.
    pub(crate) leaf: Option<Vec<u8>>,
}

/// The links of an entry, without the numbers that follow from earlier rows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Links {
    /// Whether there is one in the chain of the entry's own subject.
    pub(crate) subject: bool,
    pub(crate) keys: Vec<[u8; 16]>,
    pub(crate) organizations: Vec<[u8; 16]>,
    pub(crate) models: Vec<[u8; 16]>,
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
}

impl Row {
    /// Takes the leaf at `index` apart; `None` if it is no entry of this version.
    pub(crate) fn of(index: u64, record: Record, chains: &mut Chains) -> Option<Self> {
        let Record { leaf, sealed } = record;
        let mut entry = Entry::decode(&leaf).ok()?;
        let fits = numbers(&entry).all(|number| i64::try_from(number).is_ok());
        let given = entry.links.take();
        let links = given.as_deref().map(|links| Links::of(index, entry.subject, links, chains));
        let mut row = Self { index, entry, links, sealed, leaf: None };
        let rebuilt = row.rebuilt(chains).ok();
        if !fits || rebuilt.as_ref() != Some(&leaf) {
            row.leaf = Some(leaf);
            row.links = None;
        }
        note(index, given.as_deref(), chains);
        Some(row)
    }

    /// Returns the exact bytes of the leaf; rows come in order.
    pub(crate) fn into_record(self, chains: &mut Chains) -> Result<Record, BadRow> {
        let leaf = match &self.leaf {
            Some(leaf) => leaf.clone(),
            None => self.rebuilt(chains)?,
        };
        let entry = Entry::decode(&leaf).map_err(|_| BadRow::Entry)?;
        note(self.index, entry.links.as_deref(), chains);
        Ok(Record { leaf, sealed: self.sealed })
    }

    fn rebuilt(&self, chains: &Chains) -> Result<Vec<u8>, BadRow> {
        let mut entry = self.entry.clone();
        entry.links = match &self.links {
            Some(links) => Some(links.to_links(self.index, entry.subject, chains)?),
            None => None,
        };
        entry.encode().map_err(|_| BadRow::Entry)
    }
}

fn note(index: u64, links: Option<&[Link]>, chains: &mut Chains) {
    links.unwrap_or_default().iter().for_each(|link| chains.note(index, link));
}

impl Links {
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

    fn to_links(&self, index: u64, subject: Option<[u8; 16]>, chains: &Chains) -> Result<Vec<Link>, BadRow> {
        let mut links = Vec::new();
        for (at, (class, id)) in (0..).zip(self.places(subject)?) {
            let start = self.starts.iter().find(|start| start.link == at);
            let link = match start {
                Some(start) => Some(Link { class, id, seq: start.seq, back: start.back }),
                None => chains.next(index, class, id),
            };
            links.push(link.ok_or(BadRow::Link)?);
        }
        Ok(links)
    }

    /// Returns class and id of every link, in order.
    fn places(&self, subject: Option<[u8; 16]>) -> Result<Vec<(Class, [u8; 16])>, BadRow> {
        let mut places = Vec::new();
        if self.subject {
            places.push((Class::Subject, subject.ok_or(BadRow::Link)?));
        }
        let listed =
            [(Class::Key, &self.keys), (Class::Organization, &self.organizations), (Class::Model, &self.models)];
        places.extend(listed.into_iter().flat_map(|(class, ids)| ids.iter().map(move |id| (class, *id))));
        places.extend(self.in_force.then_some((Class::InForce, [0; 16])));
        Ok(places)
    }
}

/// Returns every number of an entry that a column of signed numbers must hold.
fn numbers(entry: &Entry) -> impl Iterator<Item = u64> {
    let usage = entry.usage.map(|used| {
        let tokens = [used.input_tokens.unwrap_or_default(), used.output_tokens.unwrap_or_default()];
        [tokens, [used.delivered_events, used.delivered_bytes]].concat()
    });
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

    fn record(entry: &Entry) -> Record {
        Record { leaf: entry.encode().unwrap(), sealed: None }
    }

    fn link(class: Class, id: u8, seq: u64, back: u64) -> Link {
        Link { class, id: [id; 16], seq, back }
    }

    fn open(links: Vec<Link>) -> Entry {
        let mut entry = Entry::new(Kind::Open);
        entry.subject = Some([1; 16]);
        entry.links = Some(links);
        entry
    }

    fn there_and_back(entries: &[Entry]) -> Vec<Row> {
        let (mut writing, mut reading) = (Chains::default(), Chains::default());
        let rows = (7..).zip(entries).map(|(index, entry)| {
            let row = Row::of(index, record(entry), &mut writing).unwrap();
            assert_eq!(row.clone().into_record(&mut reading).unwrap(), record(entry), "{index}");
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
    fn what_is_no_entry_is_no_row() {
        let record = Record { leaf: vec![0xa0], sealed: None };
        assert!(Row::of(0, record, &mut Chains::default()).is_none());
    }
}
