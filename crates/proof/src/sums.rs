//! Sums: what a model version served in an hour, as a Merkle tree over calls that commits to its totals.
//!
//! Every node binds the sums of both its sides, so that a few calls and a few nodes show the totals, and that these
//! calls are in them with what they used, and nothing of any other call. `docs/log-format.md` section 9.

use sha2::{Digest, Sha256};

use crate::{
    multi::{Join, Unordered, Walk},
    tree::{EMPTY_ROOT, Hash},
};

mod statement;

pub use statement::{About, BadStatement, Differ, STATEMENT_BYTES_MAX, Side, Statement};

/// What was counted: of one call, or of all below a node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sums {
    /// How many calls.
    pub calls: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Events with output that were delivered.
    pub events: u64,
}

impl Sums {
    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let numbers = [self.calls, self.input, self.output, self.events];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Adds the sums of `other`; `None` if one of them no longer fits.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            calls: self.calls.checked_add(other.calls)?,
            input: self.input.checked_add(other.input)?,
            output: self.output.checked_add(other.output)?,
            events: self.events.checked_add(other.events)?,
        })
    }
}

/// One call in a tree of sums.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counted {
    /// The call.
    pub call: [u8; 16],
    /// Its input tokens.
    pub input: u64,
    /// Its output tokens.
    pub output: u64,
    /// Its events with output that were delivered.
    pub events: u64,
}

impl Counted {
    fn node(&self) -> SumNode {
        let sums = Sums { calls: 1, input: self.input, output: self.output, events: self.events };
        let hash = Sha256::new_with_prefix([0]).chain_update(self.call).chain_update(sums.bytes()).finalize().into();
        SumNode { hash, sums }
    }
}

/// A node of a tree of sums, or its root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SumNode {
    /// Its hash, which binds the sums of its sides but not its own.
    pub hash: Hash,
    /// The sums of all calls below.
    pub sums: Sums,
}

impl SumNode {
    /// The root of the tree without calls.
    pub const EMPTY: Self = Self { hash: EMPTY_ROOT, sums: Sums { calls: 0, input: 0, output: 0, events: 0 } };
}

/// What one side counted of the calls of a model version, an hour and a meter: the roots of its two trees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trees {
    /// Of the calls that completed.
    pub completed: SumNode,
    /// Of the calls that ended in another way.
    pub early: SumNode,
}

impl Trees {
    /// Commits to both roots with their sums: what a reconciliation has under key 20.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        let mut hash = Sha256::new_with_prefix([2]);
        for node in [&self.completed, &self.early] {
            hash.update(node.hash);
            hash.update(node.sums.bytes());
        }
        hash.finalize().into()
    }
}

/// `None` stands for a node with sums that are too large.
impl Join for Option<SumNode> {
    fn join(&self, right: &Self) -> Self {
        let (left, right) = (self.as_ref()?, right.as_ref()?);
        let sums = left.sums.checked_add(&right.sums)?;
        let hash = Sha256::new_with_prefix([1]).chain_update(left.hash).chain_update(left.sums.bytes());
        let hash = hash.chain_update(right.hash).chain_update(right.sums.bytes()).finalize().into();
        Some(SumNode { hash, sums })
    }
}

/// There is no such tree of sums, or the proof does not lead to its root.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSums {
    /// The calls are not in rising order, each once.
    #[error("the calls of the sums do not come in rising order, each once")]
    Unordered,
    /// A sum does not fit 64 bits.
    #[error("the sums are too large")]
    Overflow,
    /// There are not as many positions as calls, or they do not rise below the size.
    #[error("the positions of the calls are not those of calls in the tree")]
    Positions,
    /// There are not exactly as many nodes as it takes.
    #[error("the proof has too few nodes or too many")]
    Nodes,
    /// It leads to another root, or to other sums.
    #[error("the proof does not lead to the sums that were signed")]
    Root,
}

/// Returns the root over these calls, with their sums.
///
/// # Errors
///
/// [`BadSums::Unordered`], [`BadSums::Overflow`].
pub fn sum_root(calls: &[Counted]) -> Result<SumNode, BadSums> {
    check_order(calls)?;
    range(calls).ok_or(BadSums::Overflow)
}

/// Shows that some calls are in the sums, with what they used: where they stand, and all nodes that are not theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SumProof {
    /// How many calls the tree has.
    pub size: u64,
    /// At which places the calls stand, the first being 0.
    pub positions: Vec<u64>,
    /// The largest subtrees without any of these calls, from left to right.
    pub nodes: Vec<SumNode>,
}

impl SumProof {
    /// Proves the calls at `positions`, which must rise, among `calls`.
    ///
    /// # Errors
    ///
    /// [`BadSums`], except [`BadSums::Nodes`] and [`BadSums::Root`].
    pub fn new(calls: &[Counted], positions: &[u64]) -> Result<Self, BadSums> {
        check_order(calls)?;
        let size = calls.len() as u64;
        let (mut walk, mut nodes) = (Walk::new(size), Vec::new());
        let mut take = |start, end| {
            let node = part(calls, start, end).and_then(range).ok_or(BadSums::Overflow)?;
            nodes.push(node);
            Ok(Some(node))
        };
        for position in positions {
            walk.fill(*position, &mut take)?;
            let call = part(calls, *position, position.saturating_add(1)).and_then(range);
            walk.leaf(*position, call).map_err(|Unordered| BadSums::Positions)?;
        }
        walk.fill(size, &mut take)?;
        Ok(Self { size, positions: positions.to_vec(), nodes })
    }

    /// Returns the root, with the sums, that `calls` and the nodes lead to.
    ///
    /// # Errors
    ///
    /// [`BadSums`], except [`BadSums::Root`].
    pub fn root(&self, calls: &[Counted]) -> Result<SumNode, BadSums> {
        check_order(calls)?;
        if calls.len() != self.positions.len() {
            return Err(BadSums::Positions);
        }
        let mut nodes = self.nodes.iter();
        let mut take = |_, _| nodes.next().map(|node| Some(*node)).ok_or(BadSums::Nodes);
        let mut walk = Walk::new(self.size);
        for (position, call) in self.positions.iter().zip(calls) {
            walk.fill(*position, &mut take)?;
            walk.leaf(*position, Some(call.node())).map_err(|Unordered| BadSums::Positions)?;
        }
        walk.fill(self.size, &mut take)?;
        if nodes.next().is_some() {
            return Err(BadSums::Nodes);
        }
        walk.root().map_or(Ok(SumNode::EMPTY), |root| root.ok_or(BadSums::Overflow))
    }

    /// Checks that `calls` are in the sums of which `root` is the root.
    ///
    /// # Errors
    ///
    /// [`BadSums`]: nothing is shown.
    pub fn verify(&self, calls: &[Counted], root: &SumNode) -> Result<(), BadSums> {
        if self.size != root.sums.calls || self.root(calls)? != *root {
            return Err(BadSums::Root);
        }
        Ok(())
    }
}

fn check_order(calls: &[Counted]) -> Result<(), BadSums> {
    calls.is_sorted_by(|a, b| a.call < b.call).then_some(()).ok_or(BadSums::Unordered)
}

fn part(calls: &[Counted], start: u64, end: u64) -> Option<&[Counted]> {
    calls.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// Returns the node over these calls; `None` if their sums are too large.
fn range(calls: &[Counted]) -> Option<SumNode> {
    let mut walk = Walk::new(calls.len() as u64);
    for (position, call) in (0..).zip(calls) {
        walk.leaf(position, Some(call.node())).ok()?;
    }
    walk.root().unwrap_or(Some(SumNode::EMPTY))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{collection::btree_map, prelude::*, sample::Index};

    use super::*;

    prop_compose! {
        pub(crate) fn any_calls()(
            calls in btree_map(any::<[u8; 16]>(), (0_u64..1_000, 0_u64..1_000, 0_u64..1_000), 0..40),
        ) -> Vec<Counted> {
            calls.into_iter().map(|(call, (input, output, events))| Counted { call, input, output, events }).collect()
        }
    }

    fn calls(count: u8) -> Vec<Counted> {
        let call = |n: u8| Counted { call: [n; 16], input: n.into(), output: 2 * u64::from(n), events: 1 };
        (1..=count).map(call).collect()
    }

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Made with the `hashlib` of Python, after `docs/log-format.md` section 9.
    #[test]
    fn the_root_and_its_commitment_are_those_another_implementation_makes() {
        let root = sum_root(&calls(3)).unwrap();
        assert_eq!(root.sums, Sums { calls: 3, input: 6, output: 12, events: 3 });
        assert_eq!(hex(&root.hash), "eb36bd97b68ac0dff21f9f7c97995a4179f7ca043e70bbac2124baaa8bb33345");
        assert_eq!(sum_root(&[]).unwrap(), SumNode::EMPTY);
        let trees = Trees { completed: root, early: SumNode::EMPTY };
        assert_eq!(hex(&trees.commitment()), "324fe30f468d4a12ad0376fe2f9fdf417e5913c51a4453c36f445b6fac06c960");
        let trees = Trees { completed: SumNode::EMPTY, early: root };
        assert_eq!(hex(&trees.commitment()), "8e21afb350a9c8b15f0fc085d5a2180a481beeba911de7293518e92c161cf47c");
    }

    #[test]
    fn calls_out_of_order_and_sums_that_are_too_large_are_refused() {
        let mut twice = calls(2);
        twice[1].call = twice[0].call;
        assert_eq!(sum_root(&twice), Err(BadSums::Unordered));
        twice[1].call = [0; 16];
        assert_eq!(sum_root(&twice), Err(BadSums::Unordered));
        let mut large = calls(3);
        large[2].output = u64::MAX;
        assert_eq!(sum_root(&large), Err(BadSums::Overflow));
        assert_eq!(SumProof::new(&large, &[]), Err(BadSums::Overflow));
        let proof = SumProof::new(&large[2..], &[0]).unwrap();
        let forged = SumProof { size: 2, nodes: vec![large[2].node()], ..proof };
        assert_eq!(forged.root(&large[2..]), Err(BadSums::Overflow));
    }

    #[test]
    fn positions_that_are_not_those_of_the_calls_are_refused() {
        let calls = calls(5);
        for positions in [&[5][..], &[2, 2], &[2, 1], &[u64::MAX]] {
            assert_eq!(SumProof::new(&calls, positions), Err(BadSums::Positions), "{positions:?}");
        }
        let good = SumProof::new(&calls, &[1, 3]).unwrap();
        let shown = [calls[1], calls[3]];
        let root = sum_root(&calls).unwrap();
        assert_eq!(good.verify(&shown, &root), Ok(()));
        assert_eq!(good.verify(&shown[..1], &root), Err(BadSums::Positions));
        let with = |positions: &[u64]| SumProof { positions: positions.to_vec(), ..good.clone() }.verify(&shown, &root);
        assert_eq!(with(&[3, 1]), Err(BadSums::Positions));
        assert_eq!(with(&[0, 3]), Err(BadSums::Root));
        assert_eq!(with(&[1, 5]), Err(BadSums::Positions));
        let fewer = SumProof { nodes: good.nodes[1..].to_vec(), ..good.clone() };
        assert_eq!(fewer.verify(&shown, &root), Err(BadSums::Nodes));
    }

    /// A node that bound only the sum of its sides would let one side lend to the other.
    #[test]
    fn sums_cannot_be_moved_from_one_side_to_the_other() {
        let calls = calls(4);
        let root = sum_root(&calls).unwrap();
        let mut proof = SumProof::new(&calls, &[0]).unwrap();
        assert_eq!(proof.nodes.len(), 2);
        proof.nodes[0].sums.output += 1;
        proof.nodes[1].sums.output -= 1;
        assert_eq!(proof.root(&calls[..1]).unwrap().sums, root.sums);
        assert_eq!(proof.verify(&calls[..1], &root), Err(BadSums::Root));
    }

    proptest! {
        #[test]
        fn whatever_is_shown_leads_to_the_root(calls in any_calls(), shown: u64) {
            let shown = |position: &u64| shown & (1 << position) != 0;
            let positions: Vec<u64> = (0..calls.len() as u64).filter(shown).collect();
            let proof = SumProof::new(&calls, &positions).unwrap();
            let some: Vec<Counted> = (0..).zip(&calls).filter(|(n, _)| shown(n)).map(|(_, call)| *call).collect();
            prop_assert_eq!(proof.verify(&some, &sum_root(&calls).unwrap()), Ok(()));
        }

        #[test]
        fn a_call_a_node_or_a_total_that_is_changed_is_found(
            calls in any_calls(), shown: u64, at: Index, which in 0_usize..3, bit in 0_u32..64,
        ) {
            prop_assume!(!calls.is_empty());
            let positions: Vec<u64> = (0..calls.len() as u64).filter(|n| shown & (1 << n) != 0).collect();
            let mut proof = SumProof::new(&calls, &positions).unwrap();
            let mut some: Vec<Counted> = positions.iter().map(|n| calls[usize::try_from(*n).unwrap()]).collect();
            let root = sum_root(&calls).unwrap();
            let mut other = root;
            let sums = &mut other.sums;
            *[&mut sums.input, &mut sums.output, &mut sums.events][which] ^= 1 << bit;
            prop_assert_eq!(proof.verify(&some, &other), Err(BadSums::Root));
            if let Some(call) = some.get_mut(at.index(positions.len().max(1))) {
                *[&mut call.input, &mut call.output, &mut call.events][which] ^= 1 << bit;
                prop_assert!(proof.verify(&some, &root).is_err());
            } else if let Some(node) = proof.nodes.first_mut() {
                node.hash[bit as usize / 8] ^= 1 << (bit % 8);
                prop_assert!(proof.verify(&some, &root).is_err());
            }
        }
    }
}
