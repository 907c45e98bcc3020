//! The map of heads: a binary tree that parts its keys at the first bit in which they do not agree.
//!
//! Each fork keeps its hash until a head below it changes, so that a root after `k` changes takes `O(k log n)` hashes,
//! and looking up a head `O(log n)` steps for ids that are as good as random. No path is longer than a key has bits.

use super::{BadLink, Chain, Found, Head, HeadProof, KEY_BITS, Key, Step, node_hash};
use crate::{
    entry::{Entry, Link},
    tree::{EMPTY_ROOT, Hash},
};

/// The heads of all chains that have an entry.
///
/// A million chains take about 200 MB; hashing all of them takes a fraction of a second.
#[derive(Debug, Default)]
pub struct Heads {
    tree: Node,
    chains: u64,
}

#[derive(Debug, Default)]
enum Node {
    #[default]
    Empty,
    Leaf(Box<Leaf>),
    Fork(Box<Fork>),
}

#[derive(Debug)]
struct Leaf {
    chain: Chain,
    key: Key,
    head: Head,
}

#[derive(Debug)]
struct Fork {
    /// The first bit in which the keys below do not agree.
    bit: u8,
    /// Absent after a change below.
    hash: Option<Hash>,
    /// Where the bit is 0.
    left: Node,
    /// Where the bit is 1.
    right: Node,
}

impl Heads {
    /// Makes the map of a log without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many chains have an entry.
    #[must_use]
    pub fn chains(&self) -> u64 {
        self.chains
    }

    /// Returns the head of a chain; `None` if it has no entry.
    #[must_use]
    pub fn get(&self, chain: &Chain) -> Option<&Head> {
        let key = chain.key();
        let leaf = self.tree.nearest(&key)?;
        (leaf.key == key).then_some(&leaf.head)
    }

    /// Returns the link that an entry at `index` must have in `chain`.
    #[must_use]
    pub fn next(&self, index: u64, chain: Chain) -> Link {
        self.get(&chain).copied().unwrap_or_default().next(index, chain)
    }

    /// Sets where a chain stands, whatever came before.
    pub fn set(&mut self, chain: Chain, head: Head) {
        self.update(chain, |_| head);
    }

    /// Returns every chain with where it stands, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (Chain, Head)> {
        let mut left = vec![&self.tree];
        std::iter::from_fn(move || {
            while let Some(node) = left.pop() {
                match node {
                    Node::Empty => {}
                    Node::Leaf(leaf) => return Some((leaf.chain, leaf.head)),
                    Node::Fork(fork) => left.extend([&fork.left, &fork.right]),
                }
            }
            None
        })
    }

    /// Adds `entry`, which is at `index`, to every chain that it has a link in.
    ///
    /// # Errors
    ///
    /// [`BadLink`], the first of them, if a link does not go on from the head of its chain. The entry is added all the
    /// same, as if the link were right, so that one gap is one fault; but no root tells of such a log.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Result<(), BadLink> {
        let mut result = Ok(());
        for link in entry.links.iter().flatten() {
            let chain = link.chain();
            self.update(chain, |mut head| {
                let wanted = head.next(index, chain);
                if *link != wanted {
                    head.seq = link.seq;
                    result = result.and(Err(BadLink { found: *link, wanted }));
                }
                head.after(index, entry)
            });
        }
        result
    }

    /// Returns the root of the map.
    ///
    /// Takes about as many hashes as heads changed since the root was last asked for, times the logarithm of the number
    /// of chains, and never more than two for each chain.
    pub fn root(&mut self) -> Hash {
        self.tree.hash()
    }

    /// Proves where `chain` stands, or that it has no entry.
    pub fn prove(&mut self, chain: &Chain) -> HeadProof {
        let key = chain.key();
        let mut path = Vec::new();
        let mut node = &mut self.tree;
        while let Node::Fork(fork) = node {
            let bit = fork.bit;
            let (side, other) = fork.sides(&key);
            path.push(Step { bit, other: other.hash() });
            node = side;
        }
        path.reverse();
        let found = match node {
            Node::Leaf(leaf) if leaf.key == key => Found::Head(leaf.head),
            Node::Leaf(leaf) => Found::Other(leaf.chain, leaf.head),
            _ => Found::Empty,
        };
        HeadProof { found, path }
    }

    /// Changes the head of a chain, which is the default for a chain without entries.
    fn update(&mut self, chain: Chain, change: impl FnOnce(Head) -> Head) {
        let key = chain.key();
        let differs = match self.tree.slot(&key, KEY_BITS) {
            Node::Leaf(leaf) if leaf.key == key => {
                leaf.head = change(leaf.head);
                return;
            }
            Node::Leaf(leaf) => leaf.key.first_difference(&key),
            _ => None,
        };
        let leaf = Node::Leaf(Box::new(Leaf { chain, key, head: change(Head::default()) }));
        let slot = self.tree.slot(&key, differs.unwrap_or(KEY_BITS));
        let others = std::mem::take(slot);
        *slot = match differs {
            Some(bit) => Node::Fork(Box::new(Fork::new(bit, others, leaf, key.bit(bit)))),
            None => leaf,
        };
        self.chains += 1;
    }
}

impl Node {
    /// Returns the leaf to which `key` leads, which has another key if there is none of this.
    fn nearest(&self, key: &Key) -> Option<&Leaf> {
        let mut node = self;
        loop {
            match node {
                Self::Empty => return None,
                Self::Leaf(leaf) => return Some(leaf),
                Self::Fork(fork) => node = if key.bit(fork.bit) { &fork.right } else { &fork.left },
            }
        }
    }

    /// Returns the first node on the way to `key` that does not part keys before `bit`; all above it must be hashed
    /// again.
    fn slot(&mut self, key: &Key, bit: u8) -> &mut Self {
        let mut node = self;
        while node.parts_before(bit) {
            match node {
                Self::Fork(fork) => {
                    fork.hash = None;
                    node = fork.sides(key).0;
                }
                other => return other,
            }
        }
        node
    }

    fn parts_before(&self, bit: u8) -> bool {
        matches!(self, Self::Fork(fork) if fork.bit < bit)
    }

    /// Hashes what is below, as far as it changed; goes as deep as the map, which is at most as a key has bits.
    fn hash(&mut self) -> Hash {
        match self {
            Self::Empty => EMPTY_ROOT,
            Self::Leaf(leaf) => leaf.head.hash(&leaf.key),
            Self::Fork(fork) => fork.hash(),
        }
    }
}

impl Fork {
    /// Parts `leaf` from the other keys, which agree up to `bit`; it stands on the right if it has a 1 there.
    fn new(bit: u8, others: Node, leaf: Node, right: bool) -> Self {
        let (left, right) = if right { (others, leaf) } else { (leaf, others) };
        Self { bit, hash: None, left, right }
    }

    /// Returns the side on which `key` is, and the other.
    fn sides(&mut self, key: &Key) -> (&mut Node, &mut Node) {
        if key.bit(self.bit) { (&mut self.right, &mut self.left) } else { (&mut self.left, &mut self.right) }
    }

    fn hash(&mut self) -> Hash {
        let Self { bit, hash, left, right } = self;
        *hash.get_or_insert_with(|| node_hash(*bit, &left.hash(), &right.hash()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::{super::tests::any_chain, *};
    use crate::entry::{Class, Kind, Usage};

    /// The definition of `docs/log-format.md` section 8 as written.
    fn naive(leaves: &[(Key, Head)]) -> Hash {
        let Some(((first, head), (last, _))) = leaves.first().zip(leaves.last()) else {
            return EMPTY_ROOT;
        };
        let Some(bit) = first.first_difference(last) else {
            return head.hash(first);
        };
        let (left, right): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| !key.bit(bit));
        node_hash(bit, &naive(&left), &naive(&right))
    }

    fn linked(heads: &Heads, index: u64, kind: Kind, mut chains: Vec<Chain>) -> Entry {
        chains.sort();
        chains.dedup();
        let links = chains.into_iter().map(|chain| heads.next(index, chain)).collect();
        let usage = Usage { output_tokens: Some(index), delivered_events: 1, ..Usage::default() };
        Entry { links: Some(links), usage: Some(usage), ..Entry::new(kind) }
    }

    #[test]
    fn a_map_of_no_chain_and_of_one_have_the_roots_that_the_format_says() {
        let mut heads = Heads::new();
        assert_eq!(heads.root(), EMPTY_ROOT);
        let entry = linked(&heads, 5, Kind::Snapshot, vec![Chain::IN_FORCE]);
        heads.apply(5, &entry).unwrap();
        let head = Head { seq: 1, last: 5, ..Head::default() };
        assert_eq!((heads.get(&Chain::IN_FORCE), heads.chains()), (Some(&head), 1));
        assert_eq!(heads.root(), head.hash(&Chain::IN_FORCE.key()));
    }

    #[test]
    fn a_link_that_does_not_go_on_is_found_once() {
        let mut heads = Heads::new();
        let chain = Chain { class: Class::Model, id: [3; 16] };
        let first = linked(&heads, 2, Kind::Open, vec![chain]);
        heads.apply(2, &first).unwrap();
        let skipped = Entry { links: Some(vec![Link { seq: 2, ..heads.next(5, chain) }]), ..Entry::new(Kind::Close) };
        let bad = heads.apply(5, &skipped).unwrap_err();
        assert_eq!((bad.found.seq, bad.wanted.seq, bad.wanted.back), (2, 1, 3));
        assert_eq!(
            bad.to_string(),
            "its link of class 4 says 2 before and 3 back, and the entries before it say 1 and 3"
        );
        let next = linked(&heads, 6, Kind::Open, vec![chain]);
        assert_eq!(next.links.as_ref().unwrap()[0].seq, 3);
        heads.apply(6, &next).unwrap();
    }

    proptest! {
        #[test]
        fn the_root_is_the_one_of_the_definition_whenever_it_is_asked_for(
            steps in vec((vec(any_chain(), 1..4), 0_usize..3, any::<bool>()), 0..60),
        ) {
            let (mut heads, mut model) = (Heads::new(), BTreeMap::<Chain, Head>::new());
            for (index, (chains, kind, ask)) in (0..).zip(steps) {
                let entry = linked(&heads, index, [Kind::Open, Kind::Close, Kind::Refusal][kind], chains);
                heads.apply(index, &entry).unwrap();
                for link in entry.links.iter().flatten() {
                    let head = model.entry(link.chain()).or_default();
                    *head = head.after(index, &entry);
                }
                if ask {
                    let leaves: Vec<_> = model.iter().map(|(chain, head)| (chain.key(), *head)).collect();
                    prop_assert_eq!(heads.root(), naive(&leaves));
                }
            }
            prop_assert_eq!(heads.chains(), model.len() as u64);
            prop_assert!(model.iter().all(|(chain, head)| heads.get(chain) == Some(head)));
            let told: BTreeMap<_, _> = heads.iter().collect();
            prop_assert_eq!(&told, &model);
            let mut again = Heads::new();
            told.into_iter().for_each(|(chain, head)| again.set(chain, head));
            prop_assert_eq!(again.root(), heads.root());
        }

        #[test]
        fn every_chain_is_proved_to_stand_where_it_does_or_to_have_no_entry(
            chains in vec(any_chain(), 0..30), asked in any_chain(),
        ) {
            let mut heads = Heads::new();
            for (index, chain) in (0..).zip(chains) {
                let entry = linked(&heads, index, Kind::Open, vec![chain]);
                heads.apply(index, &entry).unwrap();
            }
            let proof = heads.prove(&asked);
            prop_assert_eq!(proof.verify(&heads.root(), &asked).unwrap(), heads.get(&asked).copied());
        }
    }
}
