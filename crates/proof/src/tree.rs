//! The Merkle tree over a log's leaves: hashes, the compact frontier that appends keep, proofs and their checks.
//!
//! # Source
//!
//! RFC 9162 section 2.1 (the same tree as RFC 6962 section 2.1, with SHA-256).

use sha2::{Digest, Sha256};

mod prove;
mod subtree;
mod verify;

pub use prove::{HashReader, prove_consistency, prove_inclusion, range_root, root};
pub use subtree::prove_subtree_consistency;
pub(crate) use verify::root_of_inclusion;
pub use verify::{
    BadProof, verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};

/// A SHA-256 value: of a leaf, of a node, of a whole tree.
pub type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
///
/// # Source
///
/// RFC 9162 section 2.1.1.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Returns the hash of a leaf with these exact bytes.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// Returns the hash of the node above `left` and `right`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 65];
    let (_, children) = node.split_at_mut(1);
    let (first, second) = children.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    Sha256::digest(node).into()
}

/// The number of hashes does not fit the size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a frontier of {size} leaves has {wanted} hashes, not {given}: build it again from the leaves")]
pub struct BadFrontier {
    /// The size that was given, in leaves.
    pub size: u64,
    /// How many hashes that size has.
    pub wanted: u32,
    /// How many were given.
    pub given: usize,
}

/// The roots of the perfect subtrees that a tree of this size consists of: all that appending needs.
///
/// One hash for each bit set in the size, the largest subtree, which is leftmost, first; at most 64.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// Makes the frontier of the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a frontier that was kept.
    ///
    /// # Errors
    ///
    /// [`BadFrontier`] if `hashes` is not one for each bit set in `size`.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, BadFrontier> {
        let wanted = size.count_ones();
        if usize::try_from(wanted).is_ok_and(|wanted| wanted == hashes.len()) {
            return Ok(Self { size, hashes });
        }
        Err(BadFrontier { size, wanted, given: hashes.len() })
    }

    /// Appends one leaf, given by its hash; `O(1)` hashes on average.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// Returns the number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the roots of the perfect subtrees, largest and leftmost first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Returns the root of the tree; [`EMPTY_ROOT`] without leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.hashes).unwrap_or(EMPTY_ROOT)
    }
}

/// Joins adjacent subtrees from the right; `None` if there are none.
fn fold_right(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().copied().rev().reduce(|right, left| node_hash(&left, &right))
}

#[cfg(test)]
pub(crate) mod naive {
    //! The definitions of RFC 9162 as written, for tests to compare with.

    use super::{EMPTY_ROOT, Hash, node_hash};

    /// The largest power of two smaller than `n`, which is 2 or more.
    fn split(n: usize) -> usize {
        1 << (usize::BITS - 1 - (n - 1).leading_zeros())
    }

    pub(crate) fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&root(left), &root(right))
            }
        }
    }

    pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, last) = if index < left.len() {
            (path(index, left), root(right))
        } else {
            (path(index - left.len(), right), root(left))
        };
        path.push(last);
        path
    }

    pub(crate) fn consistency(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if from == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, last) = if from <= left.len() {
            (consistency(from, left, whole), root(right))
        } else {
            (consistency(from - left.len(), right, false), root(left))
        };
        proof.push(last);
        proof
    }

    pub(crate) fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| super::leaf_hash(&n.to_be_bytes())).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, <Hash>::from(Sha256::digest([])));
        assert_eq!(Frontier::new().root(), EMPTY_ROOT);
    }

    #[test]
    fn a_leaf_and_a_node_with_the_same_bytes_hash_differently() {
        let children = [[7; 32], [8; 32]];
        assert_ne!(leaf_hash(&children.concat()), node_hash(&children[0], &children[1]));
    }

    #[test]
    fn a_frontier_gives_the_root_of_the_definition_at_every_size() {
        let leaves = naive::leaves(300);
        let mut frontier = Frontier::new();
        for (count, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), naive::root(&leaves[..count]), "{count}");
            frontier.push(*leaf);
        }
    }

    #[test]
    fn a_frontier_with_a_hash_too_many_or_too_few_is_refused() {
        for given in [0, 1, 3] {
            let bad = Frontier::from_parts(5, vec![[0; 32]; given]).unwrap_err();
            assert_eq!((bad.wanted, bad.given), (2, given));
        }
    }

    proptest! {
        #[test]
        fn a_kept_frontier_goes_on_as_if_it_had_never_stopped(before in 0_usize..600, after in 0_usize..40) {
            let leaves = naive::leaves(before + after);
            let mut whole = Frontier::new();
            leaves[..before].iter().for_each(|leaf| whole.push(*leaf));
            let mut kept = Frontier::from_parts(whole.size(), whole.hashes().to_vec()).unwrap();
            leaves[before..].iter().for_each(|leaf| kept.push(*leaf));
            prop_assert_eq!(kept.size(), leaves.len() as u64);
            prop_assert_eq!(kept.root(), naive::root(&leaves));
        }
    }
}
