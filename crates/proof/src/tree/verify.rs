//! Checking proofs against a root that is already trusted.

use super::{EMPTY_ROOT, Hash, node_hash};

/// A proof does not prove what it was given for; what it came with must not be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadProof {
    /// The index is not below the size, or the sizes are out of order.
    #[error("the proof is for positions outside the tree")]
    OutOfRange,
    /// The range is not one that a single subtree covers.
    #[error("the range does not begin at a multiple of the power of two that holds it")]
    NotASubtree,
    /// The proof has too many or too few hashes for its positions.
    #[error("the proof has the wrong number of hashes for its positions")]
    Length,
    /// The hashes lead to another root.
    #[error("the hashes of the proof do not lead to the root")]
    Mismatch,
}

/// Checks that `leaf` is the hash of the leaf at `index` in the tree of `size` leaves with this `root`.
///
/// # Errors
///
/// [`BadProof`]: nothing is proved.
///
/// # Source
///
/// RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), BadProof> {
    finish(0, root_of_inclusion(leaf, index, size, proof)? == *root)
}

/// Returns the root to which a proof leads for the leaf at `index` in a tree of `size` leaves.
///
/// # Errors
///
/// [`BadProof`], except [`BadProof::Mismatch`]: there is nothing to compare with.
pub(crate) fn root_of_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Result<Hash, BadProof> {
    if index >= size {
        return Err(BadProof::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(BadProof::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            let skip = node.trailing_zeros();
            (node, last) = (shift(node, skip), shift(last, skip));
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    finish(last, true).map(|()| hash)
}

/// Checks that the tree of `from` leaves with root `from_root` is a prefix of the tree of `to` leaves with root
/// `to_root`.
///
/// Nothing proves that the empty tree is a prefix, or needs to: whoever knows a log of size 0 takes any checkpoint.
///
/// # Errors
///
/// [`BadProof::OutOfRange`] if `from` is zero or more than `to`. [`BadProof`]: nothing is proved; if both roots are signed, a [`BadProof::Mismatch`] of a proof by the log
/// itself may mean that it shows different histories to different people.
///
/// # Source
///
/// RFC 9162 section 2.1.4.2.
pub fn verify_consistency(
    from: u64,
    to: u64,
    proof: &[Hash],
    from_root: &Hash,
    to_root: &Hash,
) -> Result<(), BadProof> {
    if from == 0 {
        return Err(BadProof::OutOfRange);
    }
    verify_subtree_consistency(0, from, to, proof, from_root, to_root)
}

/// Checks that `leaf` is the hash of the leaf at `index` in the subtree over leaves `start..end` with this root.
///
/// # Errors
///
/// [`BadProof`]: nothing is proved.
pub fn verify_subtree_inclusion(
    leaf: &Hash,
    index: u64,
    start: u64,
    end: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), BadProof> {
    check_subtree(start, end)?;
    let inside = index.checked_sub(start).ok_or(BadProof::OutOfRange)?;
    verify_inclusion(leaf, inside, end - start, proof, root)
}

/// Checks that `subroot` is the root of the subtree over leaves `start..end` of the tree of `size` leaves with
/// this `root`. An empty range is consistent with every tree; its proof is empty and its root [`EMPTY_ROOT`].
///
/// # Errors
///
/// [`BadProof`]: nothing is proved.
///
/// # Source
///
/// The generalization of RFC 9162 section 2.1.4.2 in draft-ietf-plants-merkle-tree-certs; with `start` zero it is
/// that section.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    proof: &[Hash],
    subroot: &Hash,
    root: &Hash,
) -> Result<(), BadProof> {
    check_subtree(start, end)?;
    if end > size {
        return Err(BadProof::OutOfRange);
    }
    if start == end {
        return empty_range(proof, subroot);
    }
    let mut climb = Climb::to_first_hash(start, end, size);
    let mut hashes = proof.iter();
    let seed = if climb.first == climb.last { subroot } else { hashes.next().ok_or(BadProof::Length)? };
    let (mut sub, mut whole) = (*seed, *seed);
    for hash in hashes {
        match climb.step()? {
            Side::Left { inside } => {
                if inside {
                    sub = node_hash(hash, &sub);
                }
                whole = node_hash(hash, &whole);
            }
            Side::Right => whole = node_hash(&whole, hash),
        }
    }
    finish(climb.end, sub == *subroot && whole == *root)
}

/// Positions at one level of the tree: of the range's first leaf, of its last leaf, and of the tree's last leaf.
struct Climb {
    first: u64,
    last: u64,
    end: u64,
}

/// On which side of the path the next hash lies.
enum Side {
    /// To the left; `inside` the range if the path has not yet reached its first leaf.
    Left { inside: bool },
    /// To the right, outside the range.
    Right,
}

impl Climb {
    /// Climbs to where the first hash of a proof belongs: the root of the largest perfect subtree that ends where
    /// the range ends, or the whole range.
    fn to_first_hash(start: u64, end: u64, size: u64) -> Self {
        let (first, last, end) = (start, end - 1, size - 1);
        let whole = u64::BITS - (first ^ last).leading_zeros();
        let skip = if last == end { whole } else { whole.min(last.trailing_ones()) };
        Self { first: shift(first, skip), last: shift(last, skip), end: shift(end, skip) }
    }

    /// Takes one hash of the proof and climbs above it.
    fn step(&mut self) -> Result<Side, BadProof> {
        if self.end == 0 {
            return Err(BadProof::Length);
        }
        let side = if self.last & 1 == 1 || self.last == self.end {
            let inside = self.first < self.last;
            self.rise(self.last.trailing_zeros());
            Side::Left { inside }
        } else {
            Side::Right
        };
        self.rise(1);
        Ok(side)
    }

    fn rise(&mut self, levels: u32) {
        self.first = shift(self.first, levels);
        self.last = shift(self.last, levels);
        self.end = shift(self.end, levels);
    }
}

/// Shifts right; by 64 or more gives zero.
fn shift(value: u64, by: u32) -> u64 {
    value.checked_shr(by).unwrap_or(0)
}

fn check_subtree(start: u64, end: u64) -> Result<(), BadProof> {
    let width = end.checked_sub(start).ok_or(BadProof::OutOfRange)?;
    match width.checked_next_power_of_two() {
        Some(unit) if start.is_multiple_of(unit) => Ok(()),
        None if start == 0 => Ok(()),
        _ => Err(BadProof::NotASubtree),
    }
}

fn empty_range(proof: &[Hash], subroot: &Hash) -> Result<(), BadProof> {
    if !proof.is_empty() {
        return Err(BadProof::Length);
    }
    finish(0, *subroot == EMPTY_ROOT)
}

/// A proof holds if it climbed all the way and the roots are the ones given.
fn finish(levels_left: u64, roots_match: bool) -> Result<(), BadProof> {
    if levels_left != 0 {
        return Err(BadProof::Length);
    }
    if roots_match { Ok(()) } else { Err(BadProof::Mismatch) }
}
