//! Chains: the entries about one subject, credential, organization or model version, numbered without a gap.

use std::collections::BTreeMap;

use proof::{
    entry::{Class, Entry, Kind, Link},
    heads::{Chain, Head},
};

use crate::bytes::Fields;

/// The most chains that an entry may have places in.
const CHAINS_MAX: usize = 16;

/// Writes a chain in 17 bytes: class, id.
pub(crate) fn encode(chain: &Chain, bytes: &mut Vec<u8>) {
    bytes.push(chain.class.ordinal());
    bytes.extend_from_slice(&chain.id);
}

/// Reads what [`encode`] wrote; `None` if it is cut short or no class has the ordinal.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Chain> {
    let [ordinal] = fields.array()?;
    let class = Class::ALL.into_iter().find(|class| class.ordinal() == ordinal)?;
    Some(Chain { class, id: fields.array()? })
}

/// Returns the links of an entry in `chains` and, if it is a snapshot, in that of what was in force, in order; their
/// numbers are not known yet and as long as any can be. `None` if there are more than an entry takes, or one of them is
/// no chain that there can be.
pub(crate) fn unnumbered(kind: Kind, chains: &[Chain]) -> Option<Vec<Link>> {
    let in_force = (kind == Kind::Snapshot).then_some(Chain::IN_FORCE);
    let all = chains.iter().copied().chain(in_force);
    let mut links: Vec<_> = all.map(|Chain { class, id }| Link { class, id, seq: u64::MAX, back: u64::MAX }).collect();
    links.sort_unstable_by_key(Link::chain);
    links.dedup_by_key(|link| link.chain());
    let can_be = |link: &Link| link.class != Class::InForce || link.chain() == Chain::IN_FORCE;
    (links.len() <= CHAINS_MAX && links.iter().all(can_be)).then_some(links)
}

/// Where every chain stands.
///
/// Beside [`proof::heads::Heads`], which hashes, this is what an entry in the queue waits for: it only counts.
#[derive(Debug, Default)]
pub(crate) struct Places {
    heads: BTreeMap<Chain, Tracked>,
    /// The chains that grew since they were last asked for, each once.
    grown: Vec<Chain>,
}

#[derive(Debug, Default)]
struct Tracked {
    head: Head,
    /// True if the chain is among those that grew.
    grown: bool,
}

impl Places {
    /// Numbers the links of `entry`, which will be at `index`, and counts it in.
    pub(crate) fn link(&mut self, entry: &mut Entry, index: u64) {
        let mut links = entry.links.take().unwrap_or_default();
        for link in &mut links {
            *link = self.count(link.chain(), entry, index);
        }
        entry.links = Some(links).filter(|links| !links.is_empty());
    }

    /// Counts in an entry that is in the log; an error says that one of its links is not the next of its chain.
    pub(crate) fn replay(&mut self, entry: &Entry, index: u64) -> Result<(), String> {
        for link in entry.links.iter().flatten() {
            if *link != self.count(link.chain(), entry, index) {
                return Err(format!("it is not the next of its chain of class {}", link.class.ordinal()));
            }
        }
        Ok(())
    }

    /// Counts an entry into a chain; returns its link.
    fn count(&mut self, chain: Chain, entry: &Entry, index: u64) -> Link {
        let tracked = self.heads.entry(chain).or_default();
        let link = tracked.head.next(index, chain);
        tracked.head = tracked.head.after(index, entry);
        if !std::mem::replace(&mut tracked.grown, true) {
            self.grown.push(chain);
        }
        link
    }

    /// Sets where a chain stands, as a heads entry told it.
    pub(crate) fn restore(&mut self, chain: Chain, head: Head) {
        self.heads.insert(chain, Tracked { head, grown: true });
        self.grown.push(chain);
    }

    /// Returns the chains that grew since this was last called, with where they stand now.
    pub(crate) fn take_grown(&mut self) -> Vec<(Chain, Head)> {
        let grown = std::mem::take(&mut self.grown);
        let mut taken = Vec::with_capacity(grown.len());
        for chain in grown {
            if let Some(tracked) = self.heads.get_mut(&chain) {
                tracked.grown = false;
                taken.push((chain, tracked.head));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: Chain = Chain { class: Class::Key, id: [4; 16] };

    fn open(places: &mut Places, index: u64) -> Entry {
        let mut entry = Entry { links: unnumbered(Kind::Open, &[CHAIN]), ..Entry::new(Kind::Open) };
        places.link(&mut entry, index);
        entry
    }

    #[test]
    fn a_chain_that_grew_is_told_once_with_where_it_stands_by_then() {
        let mut places = Places::default();
        for index in [3, 5, 9] {
            open(&mut places, index);
        }
        assert_eq!(places.take_grown(), [(CHAIN, Head { seq: 3, last: 9, calls: 3, ..Head::default() })]);
        assert_eq!(places.take_grown(), []);
        open(&mut places, 11);
        assert_eq!(places.take_grown().len(), 1);
    }

    #[test]
    fn there_is_one_chain_of_what_was_in_force() {
        assert!(unnumbered(Kind::Snapshot, &[CHAIN]).is_some());
        assert!(unnumbered(Kind::Open, &[Chain { class: Class::InForce, ..CHAIN }]).is_none());
    }

    #[test]
    fn an_entry_out_of_its_place_is_noticed() {
        let (mut writing, mut reading) = (Places::default(), Places::default());
        let [first, second, third] = [3, 5, 9].map(|index| open(&mut writing, index));
        assert_eq!(reading.replay(&first, 3), Ok(()));
        assert!(reading.replay(&third, 9).is_err());
        let mut reading = Places::default();
        assert_eq!(reading.replay(&first, 3), Ok(()));
        assert!(reading.replay(&second, 6).is_err());
    }
}
