//! Making proofs that a subtree is a part of a tree.

use super::{Hash, HashReader, prove::split, range_root};

/// Proves that the subtree over leaves `start..end` is that of the tree of the first `size` leaves.
///
/// `start` must be a multiple of the smallest power of two that is not less than `end - start`, as
/// [`verify_subtree_consistency`](super::verify_subtree_consistency) asks. Empty if the range is empty or reaches
/// beyond `size`.
///
/// # Errors
///
/// Whatever `reader` answers.
///
/// # Source
///
/// draft-ietf-plants-merkle-tree-certs section 4.4; with `start` zero it is RFC 9162 section 2.1.4.1.
pub fn prove_subtree_consistency<R: HashReader + ?Sized>(
    reader: &R,
    start: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if start >= end || end > size {
        return Ok(proof);
    }
    // The range that is left, and whether the verifier knows its root once the two are the same.
    let (mut low, mut high, mut from, mut known) = (0, size, start, true);
    while (from, end) != (low, high) {
        let middle = low + split(high - low);
        if end <= middle {
            proof.push(range_root(reader, middle, std::mem::replace(&mut high, middle))?);
        } else {
            // Either the range lies on the right, or it takes up all of the left and some of the right.
            known &= from >= middle;
            from = from.max(middle);
            proof.push(range_root(reader, std::mem::replace(&mut low, middle), middle)?);
        }
    }
    if !known {
        proof.push(range_root(reader, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::tree::{naive, prove_consistency, verify_subtree_consistency};

    /// Leaf hashes in memory.
    struct Leaves(Vec<Hash>);

    impl HashReader for Leaves {
        type Error = Infallible;
        fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let start = usize::try_from(index << level).unwrap();
            Ok(naive::root(&self.0[start..start + (1 << level)]))
        }
    }

    fn root(log: &Leaves, start: u64, end: u64) -> Hash {
        naive::root(&log.0[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()])
    }

    /// Every range that is a subtree, of every tree of up to `most` leaves.
    fn subtrees(most: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        let fits = |start: u64, end: u64| start.is_multiple_of((end - start).next_power_of_two());
        (1..=most)
            .flat_map(|size| (0..size).flat_map(move |start| (start + 1..=size).map(move |end| (start, end, size))))
            .filter(move |(start, end, _)| fits(*start, *end))
    }

    #[test]
    fn every_subtree_of_every_tree_up_to_40_leaves_is_proved_and_no_other_root_is() {
        let log = Leaves(naive::leaves(40));
        let mut count = 0;
        for (start, end, size) in subtrees(40) {
            let proof = prove_subtree_consistency(&log, start, end, size).unwrap();
            let (sub, whole) = (root(&log, start, end), root(&log, 0, size));
            let verify = |sub: &Hash| verify_subtree_consistency(start, end, size, &proof, sub, &whole);
            assert_eq!(verify(&sub), Ok(()), "{start}..{end} of {size}");
            assert!(verify(&[7; 32]).is_err(), "{start}..{end} of {size}");
            count += 1;
        }
        assert_eq!(count, 2_608);
    }

    #[test]
    fn from_the_first_leaf_on_it_is_the_consistency_proof() {
        let log = Leaves(naive::leaves(70));
        for (end, size) in (1..=70_u64).flat_map(|size| (1..=size).map(move |end| (end, size))) {
            let wanted = prove_consistency(&log, end, size).unwrap();
            assert_eq!(prove_subtree_consistency(&log, 0, end, size).unwrap(), wanted, "{end} of {size}");
        }
    }

    #[test]
    fn what_is_empty_or_reaches_beyond_the_tree_has_no_proof() {
        let log = Leaves(naive::leaves(8));
        assert!(prove_subtree_consistency(&log, 4, 4, 8).unwrap().is_empty());
        assert!(prove_subtree_consistency(&log, 4, 9, 8).unwrap().is_empty());
    }
}
