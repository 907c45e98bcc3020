//! Multiproofs: some entries of a log, joined to its root by the hashes of all that is not shown.
//!
//! The hashes stand in the order in which the tree is walked from the left, one for each largest subtree without an
//! entry that is shown; entries without a gap between them take two hashes for each level of the tree at most. Writer
//! and reader walk from left to right and keep one hash for each level, whatever is shown. `docs/log-format.md`
//! section 10.

use std::io::{self, Read, Write};

use crate::tree::{EMPTY_ROOT, Hash, HashReader, node_hash, range_root};

mod walk;

pub(crate) use walk::{Join, Unordered, Walk};

/// The hashes of a multiproof were not written; what was is of no use.
#[derive(Debug, thiserror::Error)]
pub enum MultiproofError<E> {
    /// The entries to be shown do not come in rising order, or the log does not have one of them.
    #[error("entry {0} is not in the log, or does not come after the entry before it")]
    Unordered(u64),
    /// The hash of a subtree cannot be had.
    #[error("cannot read a hash of the log: {0}")]
    Hash(E),
    /// It cannot be written.
    #[error("cannot write the hashes: {0}")]
    Io(#[source] io::Error),
}

/// Writes the hashes that join the entries `shown` to the root of the first `size` entries, 32 bytes each; returns how
/// many. Give a buffered writer.
///
/// # Errors
///
/// [`MultiproofError`].
pub fn write_multiproof<R: HashReader + ?Sized>(
    reader: &R,
    size: u64,
    shown: impl IntoIterator<Item = u64>,
    out: &mut impl Write,
) -> Result<u64, MultiproofError<R::Error>> {
    let mut walk = Walk::new(size);
    let mut written = 0;
    let mut put = |start, end| {
        let hash = range_root(reader, start, end).map_err(MultiproofError::Hash)?;
        out.write_all(&hash).map_err(MultiproofError::Io)?;
        written += 1;
        Ok(Unseen)
    };
    for index in shown {
        walk.fill(index, &mut put)?;
        walk.leaf(index, Unseen).map_err(|Unordered| MultiproofError::Unordered(index))?;
    }
    walk.fill(size, &mut put)?;
    Ok(written)
}

/// A node of which the writer need not know the hash.
struct Unseen;

impl Join for Unseen {
    fn join(&self, _right: &Self) -> Self {
        Self
    }
}

/// Computes the root of a log from the entries that are shown and the hashes that join them.
///
/// Give every entry to [`MultiproofReader::push`], in rising order; then ask for the root.
#[derive(Debug)]
pub struct MultiproofReader<R> {
    walk: Walk<Hash>,
    size: u64,
    hashes: R,
}

/// The hashes do not join what is shown to any root.
#[derive(Debug, thiserror::Error)]
pub enum BadMultiproof {
    /// An entry comes after one that it must come before, or is beyond the size of the log.
    #[error("entry {0} is not in the log, or does not come after the entry before it")]
    Unordered(u64),
    /// There are not as many hashes as it takes.
    #[error("the hashes end too early")]
    CutShort,
    /// There are more hashes than it takes.
    #[error("there are more hashes than it takes")]
    Surplus,
    /// They could not be read; they may be good.
    #[error("cannot read the hashes: {0}")]
    Io(#[source] io::Error),
}

impl<R: Read> MultiproofReader<R> {
    /// Begins before the first of `size` entries. Give a buffered reader: hashes are read one by one.
    #[must_use]
    pub fn new(size: u64, hashes: R) -> Self {
        Self { walk: Walk::new(size), size, hashes }
    }

    /// Takes the next entry that is shown, by the hash of its leaf.
    ///
    /// # Errors
    ///
    /// [`BadMultiproof`], except [`BadMultiproof::Surplus`]; going on makes no sense.
    pub fn push(&mut self, index: u64, leaf: Hash) -> Result<(), BadMultiproof> {
        if index >= self.size {
            return Err(BadMultiproof::Unordered(index));
        }
        self.fill(index)?;
        self.walk.leaf(index, leaf).map_err(|Unordered| BadMultiproof::Unordered(index))
    }

    /// Returns the root, once every entry was given, and the source, which has no byte left.
    ///
    /// # Errors
    ///
    /// [`BadMultiproof`], except [`BadMultiproof::Unordered`].
    pub fn root(mut self) -> Result<(Hash, R), BadMultiproof> {
        self.fill(self.size)?;
        match take(&mut self.hashes, &mut [0]) {
            Err(BadMultiproof::CutShort) => Ok((self.walk.root().unwrap_or(EMPTY_ROOT), self.hashes)),
            Err(bad) => Err(bad),
            Ok(()) => Err(BadMultiproof::Surplus),
        }
    }

    fn fill(&mut self, until: u64) -> Result<(), BadMultiproof> {
        let Self { walk, hashes, .. } = self;
        walk.fill(until, |_, _| {
            let mut hash = [0; 32];
            take(hashes, &mut hash).map(|()| hash)
        })
    }
}

fn take(source: &mut impl Read, bytes: &mut [u8]) -> Result<(), BadMultiproof> {
    source.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BadMultiproof::CutShort,
        _ => BadMultiproof::Io(error),
    })
}

impl Join for Hash {
    fn join(&self, right: &Self) -> Self {
        node_hash(self, right)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, convert::Infallible};

    use proptest::{collection::btree_set, prelude::*};

    use super::*;
    use crate::tree::{self, leaf_hash};

    /// A log of a few entries, and its hashes.
    struct Log(Vec<Hash>);

    impl Log {
        fn new(size: u64) -> Self {
            Self((0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect())
        }

        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn leaf(&self, index: u64) -> Hash {
            self.0[usize::try_from(index).unwrap()]
        }

        fn hashes(&self, shown: &BTreeSet<u64>) -> Vec<u8> {
            let mut bytes = Vec::new();
            let count = write_multiproof(self, self.size(), shown.iter().copied(), &mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, 32 * count);
            bytes
        }

        fn read(&self, shown: &BTreeSet<u64>, hashes: &[u8]) -> Result<Hash, BadMultiproof> {
            let mut reader = MultiproofReader::new(self.size(), hashes);
            for index in shown {
                reader.push(*index, self.leaf(*index))?;
            }
            reader.root().map(|(root, _)| root)
        }
    }

    impl HashReader for Log {
        type Error = Infallible;
        fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let start = usize::try_from(index << level).unwrap();
            Ok(tree::naive::root(&self.0[start..start + (1 << level)]))
        }
    }

    /// The rule of `docs/log-format.md` section 10 as written.
    fn rule(log: &Log, shown: &BTreeSet<u64>, start: u64, end: u64, taken: &mut Vec<u8>) {
        if shown.range(start..end).next().is_none() {
            taken.extend(range_root(log, start, end).unwrap());
        } else if end - start > 1 {
            let split = start + ((end - start).next_power_of_two() >> 1);
            rule(log, shown, start, split, taken);
            rule(log, shown, split, end, taken);
        }
    }

    /// Of six entries, 2 and 5 are shown: the hashes are those of 0 to 1, of 3, and of 4.
    #[test]
    fn the_hashes_are_those_that_the_format_says() {
        let (log, shown) = (Log::new(6), BTreeSet::from([2, 5]));
        let wanted = [node_hash(&log.leaf(0), &log.leaf(1)), log.leaf(3), log.leaf(4)].concat();
        assert_eq!(log.hashes(&shown), wanted);
        assert_eq!(log.read(&shown, &wanted).unwrap(), tree::root(&log, 6).unwrap());
    }

    #[test]
    fn a_log_of_which_nothing_or_all_is_shown_takes_one_hash_or_none() {
        for size in 0..9 {
            let log = Log::new(size);
            let root = tree::root(&log, size).unwrap();
            let (none, all) = (BTreeSet::new(), (0..size).collect());
            assert_eq!(log.hashes(&none), if size == 0 { Vec::new() } else { root.to_vec() });
            assert_eq!(log.read(&none, &log.hashes(&none)).unwrap(), root);
            assert!(log.hashes(&all).is_empty());
            assert_eq!(log.read(&all, &[]).unwrap(), root);
        }
    }

    #[test]
    fn entries_without_a_gap_take_two_hashes_a_level_at_most() {
        let log = Log::new(1_000);
        for (start, end) in [(1, 2), (499, 501), (1, 999), (333, 777), (999, 1_000)] {
            let hashes = log.hashes(&(start..end).collect()).len() / 32;
            assert!(hashes <= 2 * 10, "{start}..{end} takes {hashes}");
        }
    }

    #[test]
    fn entries_that_are_not_in_order_or_not_in_the_log_are_refused() {
        let log = Log::new(4);
        let refused = |shown: &[u64]| {
            let written = write_multiproof(&log, 4, shown.iter().copied(), &mut Vec::new());
            let mut reader = MultiproofReader::new(4, io::repeat(7));
            let read = shown.iter().try_for_each(|index| reader.push(*index, [0; 32]));
            matches!((written, read), (Err(MultiproofError::Unordered(a)), Err(BadMultiproof::Unordered(b))) if a == b)
        };
        for bad in [&[4][..], &[2, 2], &[2, 1], &[u64::MAX], &[3, 4]] {
            assert!(refused(bad), "{bad:?}");
        }
        assert!(!refused(&[0, 2, 3]));
    }

    #[test]
    fn hashes_that_are_too_few_or_too_many_are_refused() {
        let (log, shown) = (Log::new(11), BTreeSet::from([3, 4, 9]));
        let good = log.hashes(&shown);
        for length in 0..good.len() {
            assert!(matches!(log.read(&shown, &good[..length]), Err(BadMultiproof::CutShort)), "{length}");
        }
        let more = [&good[..], &[0]].concat();
        assert!(matches!(log.read(&shown, &more), Err(BadMultiproof::Surplus)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_rule_says_and_leads_to_the_root(
            size in 1_u64..200, shown in btree_set(0_u64..200, 0..40),
        ) {
            let log = Log::new(size);
            let shown: BTreeSet<u64> = shown.into_iter().filter(|index| *index < size).collect();
            let mut taken = Vec::new();
            rule(&log, &shown, 0, size, &mut taken);
            let hashes = log.hashes(&shown);
            prop_assert_eq!(&hashes, &taken);
            prop_assert_eq!(log.read(&shown, &hashes).unwrap(), tree::root(&log, size).unwrap());
        }

        #[test]
        fn other_entries_or_hashes_lead_to_another_root(
            size in 2_u64..100, shown in btree_set(0_u64..100, 1..20), at: prop::sample::Index, bit in 0_usize..8,
        ) {
            let log = Log::new(size);
            let shown: BTreeSet<u64> = shown.into_iter().map(|index| index % size).collect();
            let mut hashes = log.hashes(&shown);
            let root = tree::root(&log, size).unwrap();
            let mut fewer = shown.clone();
            fewer.pop_first();
            prop_assert_ne!(log.read(&fewer, &hashes).ok(), Some(root));
            if !hashes.is_empty() {
                let at = at.index(hashes.len());
                hashes[at] ^= 1 << bit;
                prop_assert_ne!(log.read(&shown, &hashes).unwrap(), root);
            }
        }
    }
}
