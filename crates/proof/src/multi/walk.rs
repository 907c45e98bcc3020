//! The walk over a tree from left to right: what is not shown is given as whole subtrees, the largest there are.

/// A node that can be joined with the one to its right.
pub(crate) trait Join: Sized {
    /// Returns the node above this and `right`.
    fn join(&self, right: &Self) -> Self;
}

/// A leaf does not come after those before it, or is not in the tree.
#[derive(Debug)]
pub(crate) struct Unordered;

/// A tree of `size` leaves, walked up to some leaf. It splits as in RFC 9162 section 2.1.1: at the largest power of
/// two below the number of leaves.
#[derive(Debug)]
pub(crate) struct Walk<N> {
    size: u64,
    /// How many leaves were walked.
    at: u64,
    /// The perfect subtrees over them, the largest first, and at the end the last, which need not be perfect.
    parts: Vec<N>,
}

impl<N: Join> Walk<N> {
    /// Begins before the first leaf.
    pub(crate) fn new(size: u64) -> Self {
        Self { size, at: 0, parts: Vec::new() }
    }

    /// Walks to the leaf `until`, or to the end if there is no such leaf, by nodes that `node` makes for the range of
    /// leaves it is given.
    pub(crate) fn fill<E>(&mut self, until: u64, mut node: impl FnMut(u64, u64) -> Result<N, E>) -> Result<(), E> {
        let until = until.min(self.size);
        while self.at < until {
            let end = self.largest(until);
            let node = node(self.at, end)?;
            self.add(end, node);
        }
        Ok(())
    }

    /// Walks over one leaf, which must be the next.
    pub(crate) fn leaf(&mut self, index: u64, node: N) -> Result<(), Unordered> {
        if index != self.at || index >= self.size {
            return Err(Unordered);
        }
        self.add(index + 1, node);
        Ok(())
    }

    /// Returns the root, once the walk came to the end; `None` without leaves.
    pub(crate) fn root(self) -> Option<N> {
        self.parts.into_iter().rev().reduce(|right, left| left.join(&right))
    }

    /// Returns the end of the largest node that begins here and does not go beyond `until`.
    ///
    /// A node has as many leaves as the power of two that its first is a multiple of, or all up to the last of the tree.
    fn largest(&self, until: u64) -> u64 {
        let room = until - self.at;
        let level =
            if until == self.size { self.at.trailing_zeros() } else { self.at.trailing_zeros().min(room.ilog2()) };
        self.at.saturating_add(1_u64.checked_shl(level).unwrap_or(u64::MAX)).min(until)
    }

    fn add(&mut self, end: u64, mut node: N) {
        let leaves = end - self.at;
        if leaves.is_power_of_two() {
            for _ in 0..(self.at >> leaves.trailing_zeros()).trailing_ones() {
                if let Some(left) = self.parts.pop() {
                    node = left.join(&node);
                }
            }
        }
        self.parts.push(node);
        self.at = end;
    }
}
