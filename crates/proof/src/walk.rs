//! A walk over all leaves of a log: what they say of each other, without any private part.
//!
//! A production shows one chain and believes the root in a heads entry; whoever holds every leaf can tell whether that
//! root is true. `docs/log-format.md` section 11, points 3, 5, 8, 12 and 13.

use crate::{
    entry::{Class, DecodeError, Entry, Kind, Link},
    heads::{BadLink, Chain, Heads},
    tree::{Frontier, Hash, leaf_hash},
};

mod calls;

pub use calls::{BadCall, Calls, STEP_MS};

/// All leaves of a log up to some entry, each held against those before it.
///
/// Takes memory in proportion to the chains of the log, and to the calls that are open at once. The first leaf that is
/// refused ends the walk.
#[derive(Debug, Default)]
pub struct LeafWalk {
    tree: Frontier,
    heads: Heads,
    calls: Calls,
    last_at_ms: u64,
    /// The last heads entry, all before which is in the chains that it tells of.
    told: Option<u64>,
    refused: Option<BadLeaf>,
}

/// A leaf is not what the leaves before it ask for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("entry {index}: {why}")]
pub struct BadLeaf {
    /// Which leaf.
    pub index: u64,
    /// What is wrong with it.
    pub why: BadLeafReason,
}

/// What is wrong with a leaf.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadLeafReason {
    /// It is no entry.
    #[error(transparent)]
    Entry(#[from] DecodeError),
    /// Point 5.
    #[error("it is of earlier than the entry before it")]
    Time,
    /// It is in chains that an entry of its kind is not in, or is not in those that it must be in.
    #[error("it is not in the chains that an entry of its kind belongs to")]
    Belongs,
    /// It is not the next of a chain.
    #[error(transparent)]
    Link(#[from] BadLink),
    /// Points 8 and 13.
    #[error(transparent)]
    Call(#[from] BadCall),
    /// A heads entry is not about the entries before it.
    #[error("it does not say where the chains stand before it")]
    Covered,
    /// A heads entry has another root than the chains: numbers, places or sums of one are not those of its entries.
    #[error("the chains do not stand where it says")]
    Heads,
}

impl LeafWalk {
    /// Begins before the first leaf.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many leaves were taken.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Returns the root of the tree over them: that of a checkpoint of this size, if they are the log's.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Returns how many chains have an entry.
    #[must_use]
    pub fn chains(&self) -> u64 {
        self.heads.chains()
    }

    /// Returns how many calls are open.
    #[must_use]
    pub fn open_calls(&self) -> u64 {
        self.calls.open()
    }

    /// Returns the index of the last heads entry; its root, and those of all before it, are true.
    #[must_use]
    pub fn heads(&self) -> Option<u64> {
        self.told
    }

    /// Takes the next leaf; returns the entry in it.
    ///
    /// # Errors
    ///
    /// [`BadLeaf`]: the leaf is not counted in, and no further leaf is taken; the same answer is given again.
    pub fn push(&mut self, leaf: &[u8]) -> Result<Entry, BadLeaf> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let index = self.tree.size();
        let taken = self.take(index, leaf).map_err(|why| BadLeaf { index, why });
        match &taken {
            Ok(entry) => {
                self.tree.push(leaf_hash(leaf));
                self.last_at_ms = entry.at_ms;
            }
            Err(bad) => self.refused = Some(bad.clone()),
        }
        taken
    }

    fn take(&mut self, index: u64, leaf: &[u8]) -> Result<Entry, BadLeafReason> {
        let entry = Entry::decode(leaf)?;
        if entry.at_ms < self.last_at_ms {
            return Err(BadLeafReason::Time);
        }
        if !entry.belongs() {
            return Err(BadLeafReason::Belongs);
        }
        if entry.kind == Kind::Heads {
            self.told(index, &entry)?;
        }
        self.calls.take(index, &entry)?;
        self.heads.apply(index, &entry)?;
        Ok(entry)
    }

    /// A heads entry says truly where the chains stand before it.
    fn told(&mut self, index: u64, entry: &Entry) -> Result<(), BadLeafReason> {
        if entry.covered != Some(index) {
            return Err(BadLeafReason::Covered);
        }
        if entry.root != Some(self.heads.root()) {
            return Err(BadLeafReason::Heads);
        }
        self.told = Some(index);
        Ok(())
    }
}

impl Entry {
    /// Returns the chains that the entry has a place in, in order.
    #[must_use]
    pub fn chains(&self) -> Vec<Chain> {
        self.links.as_deref().unwrap_or_default().iter().map(Link::chain).collect()
    }

    /// Returns true if the entry is in chains of the classes that its kind wants, as section 8 of `docs/log-format.md` has
    /// them. Entries about a call that was opened must be held against its opening entry besides, see [`Calls`].
    #[must_use]
    pub fn belongs(&self) -> bool {
        let links = self.links.as_deref().unwrap_or_default();
        match self.kind {
            Kind::Open | Kind::Refusal => is_about(self, links),
            Kind::Close | Kind::Redecision | Kind::Lease => true,
            Kind::Snapshot => matches!(links, [one] if one.chain() == Chain::IN_FORCE),
            Kind::Reconciliation => matches!(links, [one] if one.class == Class::Model),
            Kind::Metered => links.iter().all(|link| link.chain() != Chain::IN_FORCE),
            _ => links.is_empty(),
        }
    }
}

/// A call is in the chain of its subject, at most one key, its model version, and any number of organizations.
fn is_about(entry: &Entry, links: &[Link]) -> bool {
    let count = |class| links.iter().filter(|link| link.class == class).count();
    entry.subject.is_some_and(|id| entry.link(Class::Subject, &id).is_some())
        && count(Class::Subject) == 1
        && count(Class::Key) <= 1
        && count(Class::Model) == 1
        && count(Class::InForce) == 0
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::entry::{Outcome, Usage};

    const SUBJECT: Chain = Chain { class: Class::Subject, id: [1; 16] };
    const ACME: Chain = Chain { class: Class::Organization, id: [3; 16] };
    const MODEL: Chain = Chain { class: Class::Model, id: [4; 16] };

    /// Three calls of one organization between heads entries, truly told: at 0, 1 to 6, and 7.
    fn told() -> Vec<Entry> {
        let mut log = vec![Entry::new(Kind::Heads)];
        for call in 1..=3 {
            let about = Entry {
                call: Some([call; 16]),
                subject: Some(SUBJECT.id),
                model: Some("ember-2".to_owned()),
                ..Entry::new(Kind::Open)
            };
            let usage = Usage { output_tokens: Some(20), delivered_events: 21, ..Usage::default() };
            let opened = Some(log.len() as u64);
            let outcome = Some(Outcome::Completed);
            let close = Entry { kind: Kind::Close, opened, outcome, usage: Some(usage), ..about.clone() };
            log.extend([about, close]);
        }
        log.push(Entry::new(Kind::Heads));
        number(log)
    }

    /// Gives each entry its time, its links, and the root of the chains before it.
    fn number(mut log: Vec<Entry>) -> Vec<Entry> {
        let mut heads = Heads::new();
        for (index, entry) in (0..).zip(&mut log) {
            entry.at_ms = 1_000 + index;
            if entry.kind == Kind::Heads {
                (entry.root, entry.covered) = (Some(heads.root()), Some(index));
            } else {
                entry.links = Some([SUBJECT, ACME, MODEL].map(|chain| heads.next(index, chain)).to_vec());
            }
            heads.apply(index, entry).unwrap();
        }
        log
    }

    /// Walks the leaves; returns the walk, or why and where it ended.
    fn walk(log: &[Entry]) -> Result<LeafWalk, BadLeaf> {
        let mut walk = LeafWalk::new();
        for entry in log {
            walk.push(&entry.encode().unwrap())?;
        }
        Ok(walk)
    }

    #[test]
    fn a_log_that_is_truly_told_is_walked_to_its_root() {
        let walk = walk(&told()).unwrap();
        assert_eq!((walk.size(), walk.chains(), walk.open_calls(), walk.heads()), (8, 3, 0, Some(7)));
        let mut tree = Frontier::new();
        told().iter().for_each(|entry| tree.push(leaf_hash(&entry.encode().unwrap())));
        assert_eq!(walk.root(), tree.root());
    }

    #[test]
    fn a_heads_entry_that_leaves_out_the_tail_of_a_chain_is_found() {
        let mut log = told();
        let mut before = Heads::new();
        (0..).zip(&log[..5]).for_each(|(index, entry)| before.apply(index, entry).unwrap());
        log[7].root = Some(before.root());
        assert_eq!(walk(&log).unwrap_err(), BadLeaf { index: 7, why: BadLeafReason::Heads });
    }

    #[test]
    fn a_chain_that_forks_is_found_where_it_does() {
        let mut log = told();
        // The second call has the place of the first, so that a later root may tell of either.
        let first = log[1].links.as_ref().unwrap()[1];
        log[3].links.as_mut().unwrap()[1] = first;
        assert!(matches!(walk(&log), Err(BadLeaf { index: 3, why: BadLeafReason::Link(_) })));
    }

    #[test]
    fn each_other_way_to_hide_an_entry_is_found() {
        type Tamper = fn(&mut Entry);
        let cases: [(usize, Tamper, BadLeafReason); 6] = [
            (4, |entry| entry.at_ms = 1, BadLeafReason::Time),
            (4, |entry| entry.links.as_mut().unwrap().truncate(1), BadLeafReason::Call(BadCall::Chains)),
            (4, |entry| entry.call = Some([9; 16]), BadLeafReason::Call(BadCall::Other)),
            (3, |entry| entry.links = None, BadLeafReason::Belongs),
            (7, |entry| entry.covered = Some(6), BadLeafReason::Covered),
            (7, |entry| entry.root = None, BadLeafReason::Heads),
        ];
        for (at, tamper, why) in cases {
            let mut log = told();
            tamper(&mut log[at]);
            assert_eq!(walk(&log).unwrap_err(), BadLeaf { index: at as u64, why });
        }
    }

    #[test]
    fn nothing_is_taken_after_a_leaf_that_was_refused() {
        let leaves: Vec<_> = told().iter().map(|entry| entry.encode().unwrap()).collect();
        let mut walk = LeafWalk::new();
        walk.push(&leaves[0]).unwrap();
        let refused = walk.push(b"no entry").unwrap_err();
        assert!(matches!(refused, BadLeaf { index: 1, why: BadLeafReason::Entry(_) }));
        assert_eq!((walk.push(&leaves[1]), walk.size()), (Err(refused), 1));
    }

    proptest! {
        #[test]
        fn any_leaves_are_taken_or_refused_without_a_panic(leaves in vec(vec(any::<u8>(), 0..80), 0..4)) {
            let mut walk = LeafWalk::new();
            for leaf in leaves {
                let before = walk.size();
                prop_assert_eq!(walk.push(&leaf).is_ok(), walk.size() == before + 1);
            }
        }
    }
}
