//! Places in chains that follow from the entries before, and so need not be kept.
//!
//! Most links of an entry continue a chain whose last link stands a little earlier: then `seq` and `back` are known.
//! The lake keeps the two numbers only where they do not follow within the row group.

use std::collections::BTreeMap;

use proof::entry::{Class, Link};

/// How many maps there are: a row group of many callers has a handful of chains in each.
const MAPS: usize = 1 << 12;

/// The last link of every chain seen so far, within one row group.
///
/// Chains are looked up several times for each row, so they are spread over small maps by their ids, which are as good as
/// random. Ids that somebody chose to be alike meet in one map, where a search is still short.
#[derive(Debug)]
pub(crate) struct Chains {
    last: Vec<Last>,
}

/// By id, as a number since those are quickly compared, and class: `seq` of the last link, and where it stands.
type Last = BTreeMap<(u128, Class), (u64, u64)>;

impl Default for Chains {
    fn default() -> Self {
        Self { last: vec![Last::new(); MAPS] }
    }
}

impl Chains {
    /// Returns the link that continues the chain in the entry at `index`; `None` for a chain not seen yet.
    pub(crate) fn next(&self, index: u64, class: Class, id: [u8; 16]) -> Option<Link> {
        let last = self.last.get(map_of(&id))?.get(&key(class, id))?;
        following(*last, index, class, id)
    }

    /// Notes a link of the entry at `index`.
    pub(crate) fn note(&mut self, index: u64, link: &Link) {
        if let Some(last) = self.last.get_mut(map_of(&link.id)) {
            last.insert(key(link.class, link.id), (link.seq, index));
        }
    }

    /// Returns what [`Chains::next`] does, and notes it, in one search.
    pub(crate) fn follow(&mut self, index: u64, class: Class, id: [u8; 16]) -> Option<Link> {
        let last = self.last.get_mut(map_of(&id))?.get_mut(&key(class, id))?;
        let link = following(*last, index, class, id)?;
        *last = (link.seq, index);
        Some(link)
    }
}

fn key(class: Class, id: [u8; 16]) -> (u128, Class) {
    (u128::from_be_bytes(id), class)
}

fn map_of(id: &[u8; 16]) -> usize {
    let [first, second, ..] = *id;
    usize::from(u16::from_le_bytes([first, second])) % MAPS
}

fn following((seq, at): (u64, u64), index: u64, class: Class, id: [u8; 16]) -> Option<Link> {
    Some(Link { class, id, seq: seq.checked_add(1)?, back: index.checked_sub(at)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ids of which many meet in one map, and the same ids in several classes.
    fn any_place() -> impl Strategy<Value = (Class, [u8; 16])> {
        let class = proptest::sample::select(&[Class::Subject, Class::Key, Class::Model]);
        (class, 0..3_u8, 0..6_u8).prop_map(|(class, map, id)| {
            let mut bytes = [id; 16];
            bytes[..2].copy_from_slice(&[map, 0]);
            (class, bytes)
        })
    }

    proptest! {
        /// Each step: a place, how far on the entry is, and what is given if the link is not to follow.
        #[test]
        fn a_link_follows_from_the_last_one_of_its_chain_and_of_no_other(
            steps in proptest::collection::vec((any_place(), 0..9_u64, proptest::option::of(any::<u64>())), 0..200),
        ) {
            let (mut chains, mut all, mut index) = (Chains::default(), BTreeMap::new(), 0);
            for ((class, id), further, seq) in steps {
                index += further;
                let expected = all.get(&(class, id)).and_then(|(seq, at): &(u64, u64)| {
                    Some(Link { class, id, seq: seq.checked_add(1)?, back: index - at })
                });
                prop_assert_eq!(chains.next(index, class, id), expected);
                let link = match seq {
                    Some(seq) => {
                        let link = Link { class, id, seq, back: 1 };
                        chains.note(index, &link);
                        Some(link)
                    }
                    None => chains.follow(index, class, id),
                };
                prop_assert!(seq.is_some() || link == expected);
                link.map(|link| all.insert((class, id), (link.seq, index)));
            }
        }
    }
}
