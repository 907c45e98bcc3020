//! Making proofs from the hashes a log keeps.

use super::{EMPTY_ROOT, Hash, fold_right};

/// Reads the hashes of perfect subtrees, wherever a log keeps them.
///
/// [`crate::tile::TileHashes`] reads them from tiles.
pub trait HashReader {
    /// Why a hash cannot be read.
    type Error;

    /// Returns the root of the perfect subtree over the `2^level` leaves that begin at `index * 2^level`.
    ///
    /// Only subtrees that are complete in the tree at hand are asked for.
    ///
    /// # Errors
    ///
    /// Whatever reading answers; the proof is not made.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Returns the root of the tree of the first `size` leaves.
///
/// # Errors
///
/// Whatever `reader` answers.
pub fn root<R: HashReader + ?Sized>(reader: &R, size: u64) -> Result<Hash, R::Error> {
    range_root(reader, 0, size)
}

/// Returns the root of the subtree over leaves `start..end`.
///
/// `start` must be a multiple of the smallest power of two that is not less than `end - start`; a proof and a
/// tree only ever need such ranges. An empty range answers [`EMPTY_ROOT`].
///
/// # Errors
///
/// Whatever `reader` answers.
pub fn range_root<R: HashReader + ?Sized>(reader: &R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let mut parts = Vec::new();
    let mut at = start;
    while let Some(level) = end.saturating_sub(at).checked_ilog2() {
        parts.push(reader.hash(u8::try_from(level).unwrap_or(u8::MAX), at >> level)?);
        at += 1 << level;
    }
    Ok(fold_right(&parts).unwrap_or(EMPTY_ROOT))
}

/// Proves that the leaf at `index` is in the tree of the first `size` leaves.
///
/// The hashes run from the leaf's sibling up to the root's child. Empty if `index` is not below `size`.
///
/// # Errors
///
/// Whatever `reader` answers.
///
/// # Source
///
/// RFC 9162 section 2.1.3.1.
pub fn prove_inclusion<R: HashReader + ?Sized>(reader: &R, index: u64, size: u64) -> Result<Vec<Hash>, R::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while index < size && end - start > 1 {
        let middle = start + split(end - start);
        let sibling = if index < middle {
            range_root(reader, middle, std::mem::replace(&mut end, middle))?
        } else {
            range_root(reader, std::mem::replace(&mut start, middle), middle)?
        };
        path.push(sibling);
    }
    path.reverse();
    Ok(path)
}

/// Proves that the tree of the first `from` leaves is a prefix of the tree of the first `to` leaves.
///
/// Empty if `from` is zero or not below `to`: then there is nothing to prove beyond the roots themselves.
///
/// # Errors
///
/// Whatever `reader` answers.
///
/// # Source
///
/// RFC 9162 section 2.1.4.1.
pub fn prove_consistency<R: HashReader + ?Sized>(reader: &R, from: u64, to: u64) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if from == 0 || from >= to {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, to);
    while from < end {
        let middle = start + split(end - start);
        let other = if from <= middle {
            range_root(reader, middle, std::mem::replace(&mut end, middle))?
        } else {
            range_root(reader, std::mem::replace(&mut start, middle), middle)?
        };
        proof.push(other);
    }
    if start > 0 {
        proof.push(range_root(reader, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the largest power of two smaller than `count`, which must be 2 or more.
pub(super) fn split(count: u64) -> u64 {
    count.saturating_sub(1).checked_ilog2().map_or(0, |level| 1 << level)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::tree::{
        naive, verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
    };

    /// Leaf hashes in memory.
    struct Leaves(Vec<Hash>);

    impl HashReader for Leaves {
        type Error = Infallible;
        fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let start = usize::try_from(index << level).unwrap();
            Ok(naive::root(&self.0[start..start + (1 << level)]))
        }
    }

    #[test]
    fn every_inclusion_proof_up_to_70_leaves_is_the_one_of_the_definition() {
        let log = Leaves(naive::leaves(70));
        for size in 1..=70_usize {
            let leaves = &log.0[..size];
            for index in 0..size {
                let proof = prove_inclusion(&log, index as u64, size as u64).unwrap();
                assert_eq!(proof, naive::path(index, leaves), "{index} of {size}");
                verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &naive::root(leaves)).unwrap();
            }
        }
    }

    #[test]
    fn every_consistency_proof_up_to_70_leaves_is_the_one_of_the_definition() {
        let log = Leaves(naive::leaves(70));
        for to in 1..=70_usize {
            for from in 1..=to {
                let proof = prove_consistency(&log, from as u64, to as u64).unwrap();
                let wanted = naive::consistency(from, &log.0[..to], true);
                assert_eq!(proof, wanted, "{from} to {to}");
                let roots = (naive::root(&log.0[..from]), naive::root(&log.0[..to]));
                verify_consistency(from as u64, to as u64, &proof, &roots.0, &roots.1).unwrap();
            }
        }
    }

    #[test]
    fn an_index_outside_the_tree_has_no_proof() {
        let log = Leaves(naive::leaves(4));
        assert!(prove_inclusion(&log, 4, 4).unwrap().is_empty());
        assert!(prove_inclusion(&log, 0, 0).unwrap().is_empty());
        assert!(prove_consistency(&log, 5, 4).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_proof_that_lost_or_gained_or_changed_a_hash_is_refused(
            size in 2_u64..300, pick in any::<u64>(), bit in 0_usize..256,
        ) {
            let log = Leaves(naive::leaves(300));
            let index = pick % size;
            let whole = root(&log, size).unwrap();
            let leaf = log.0[usize::try_from(index).unwrap()];
            let proof = prove_inclusion(&log, index, size).unwrap();
            let verify = |proof: &[Hash]| verify_inclusion(&leaf, index, size, proof, &whole);
            prop_assert!(verify(&proof).is_ok());
            prop_assert!(verify(&proof[1..]).is_err());
            prop_assert!(verify(&[&proof[..], &[whole]].concat()).is_err());
            let mut flipped = proof.clone();
            let at = usize::try_from(pick).unwrap() % flipped.len();
            flipped[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify(&flipped).is_err());
        }

        #[test]
        fn a_consistency_proof_holds_for_no_other_pair_of_roots(
            to in 2_u64..300, pick in any::<u64>(),
        ) {
            let log = Leaves(naive::leaves(300));
            let from = 1 + pick % (to - 1);
            let proof = prove_consistency(&log, from, to).unwrap();
            let (old, new) = (root(&log, from).unwrap(), root(&log, to).unwrap());
            prop_assert!(verify_consistency(from, to, &proof, &old, &new).is_ok());
            prop_assert!(verify_consistency(from, to, &proof, &new, &new).is_err());
            prop_assert!(verify_consistency(from, to, &proof, &old, &old).is_err());
            prop_assert!(verify_subtree_consistency(0, from, to, &proof, &old, &new).is_ok());
        }

        #[test]
        fn a_leaf_is_proved_within_an_aligned_subtree(
            block in 0_u64..30, level in 0_u32..6, pick in any::<u64>(),
        ) {
            let log = Leaves(naive::leaves(1_000));
            let (start, end) = (block << level, (block + 1) << level);
            let index = start + pick % (end - start);
            let inside = Leaves(log.0[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec());
            let proof = prove_inclusion(&inside, index - start, end - start).unwrap();
            let subroot = range_root(&log, start, end).unwrap();
            let leaf = log.0[usize::try_from(index).unwrap()];
            prop_assert!(verify_subtree_inclusion(&leaf, index, start, end, &proof, &subroot).is_ok());
            prop_assert!(verify_subtree_inclusion(&leaf, end, start, end, &proof, &subroot).is_err());
        }
    }
}
