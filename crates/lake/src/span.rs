//! Which leaves one file of the lake holds.

use std::fmt;

/// Leaves in the smallest file, and in each row group: the subtree under one hash of a level-2 tile.
pub const SPAN_LEAVES: u64 = 1 << 16;
/// Leaves in the largest file, after compaction.
pub const SPAN_LEAVES_MAX: u64 = 1 << 20;

/// A range of leaves that is one subtree of the tree: a power of two of them, `2^16` to `2^20`, beginning at a multiple of
/// their number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span {
    first: u64,
    leaves: u64,
}

/// The range is not one subtree of a size that the lake has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("leaves {first} to {last} are not an aligned range: 65,536 to 1,048,576 of them, a power of two")]
pub struct BadSpan {
    first: u64,
    last: u64,
}

impl Span {
    /// Returns the smallest span that has the leaf at `index`.
    #[must_use]
    pub fn around(index: u64) -> Self {
        Self { first: index - index % SPAN_LEAVES, leaves: SPAN_LEAVES }
    }

    /// Returns the span of `leaves` leaves that has the one at `index`.
    ///
    /// # Errors
    ///
    /// [`BadSpan`] if the lake has no spans of that size.
    pub fn of(leaves: u64, index: u64) -> Result<Self, BadSpan> {
        let first = index - index.checked_rem(leaves).unwrap_or_default();
        Self::new(first, first.saturating_add(leaves).saturating_sub(1))
    }

    /// Returns every span that has the leaf at `index`, the widest first.
    pub(crate) fn every(index: u64) -> impl Iterator<Item = Self> {
        let sizes = (SPAN_LEAVES.trailing_zeros()..=SPAN_LEAVES_MAX.trailing_zeros()).rev();
        sizes.map(move |bits| Self { first: (index >> bits) << bits, leaves: 1 << bits })
    }

    /// Takes the range from `first` to `last`, both inclusive.
    ///
    /// # Errors
    ///
    /// [`BadSpan`] if it is not aligned or not of a size that the lake has.
    pub fn new(first: u64, last: u64) -> Result<Self, BadSpan> {
        let bad = BadSpan { first, last };
        let leaves = last.checked_sub(first).and_then(|less| less.checked_add(1)).ok_or(bad)?;
        let size = leaves.is_power_of_two() && (SPAN_LEAVES..=SPAN_LEAVES_MAX).contains(&leaves);
        let aligned = size && first.is_multiple_of(leaves);
        if aligned { Ok(Self { first, leaves }) } else { Err(bad) }
    }

    /// Returns the index of the first leaf.
    #[must_use]
    pub fn first(self) -> u64 {
        self.first
    }

    /// Returns the index of the last leaf.
    #[must_use]
    pub fn last(self) -> u64 {
        self.first.saturating_add(self.leaves - 1)
    }

    /// Returns how many leaves it has.
    #[must_use]
    pub fn leaves(self) -> u64 {
        self.leaves
    }

    /// Returns the index after the last leaf.
    #[must_use]
    pub fn end(self) -> u64 {
        self.first.saturating_add(self.leaves)
    }

    /// Returns the smallest spans that it consists of, in order.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let first = self.first;
        (0..self.leaves / SPAN_LEAVES).map(move |part| Self { first: first + part * SPAN_LEAVES, leaves: SPAN_LEAVES })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_subtrees_are_spans() {
        assert_eq!(Span::new(65_536, 131_071), Ok(Span::around(70_000)));
        assert_eq!(Span::new(1 << 20, (2 << 20) - 1), Span::of(1 << 20, (1 << 20) + 5));
        assert_eq!(Span::new(1 << 17, (2 << 17) - 1), Span::of(1 << 17, 1 << 17));
        for (first, last) in
            [(0, 0), (1, 65_536), (0, 196_607), (65_536, 65_536 + (1 << 20) - 1), (5, 4), (0, u64::MAX)]
        {
            assert_eq!(Span::new(first, last), Err(BadSpan { first, last }), "{first} {last}");
        }
    }

    #[test]
    fn a_leaf_is_in_one_span_of_each_size() {
        let spans: Vec<Span> = Span::every((1 << 20) + 70_000).collect();
        assert_eq!((spans.len(), spans[0].leaves(), spans[4]), (5, 1 << 20, Span::around((1 << 20) + 70_000)));
        assert!(Span::of(0, 5).is_err() && Span::of(3, 5).is_err());
    }

    #[test]
    fn a_wide_span_consists_of_sixteen() {
        let parts: Vec<Span> = Span::of(1 << 20, 1 << 20).unwrap().parts().collect();
        assert_eq!((parts.len(), parts[0].first(), parts[15].end()), (16, 1 << 20, 2 << 20));
        assert_eq!(Span::around(3).parts().collect::<Vec<_>>(), [Span::around(0)]);
    }
}
