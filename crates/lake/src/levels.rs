//! The levels of one page: which values there are, and where rows begin. Engines go by what the page's header counts of them.

use sha2::{Digest, Sha256};

/// The levels of a page: runs of equal ones, and groups of eight that are packed, as Parquet's RLE hybrid has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels<'a> {
    bytes: &'a [u8],
    /// The highest there may be: some readers take what is above it for another one.
    most: u64,
    /// Bits of a level: none, one or two, as the columns of the lake have them.
    width: u32,
}

/// Some levels, one after another.
enum Run<'a> {
    Same(u64),
    /// Groups of eight.
    Packed(&'a [u8]),
}

impl<'a> Levels<'a> {
    /// Takes the levels of a column whose highest one is `most`.
    pub(crate) fn new(bytes: &'a [u8], most: i16) -> Self {
        Self { bytes, most: u64::try_from(most).unwrap_or_default(), width: i16::BITS - most.leading_zeros() }
    }

    /// Counts how many of the `all` levels are `wanted`; `None` if these are not `all` levels, none too high, and nothing else.
    pub(crate) fn count(mut self, wanted: i16, all: u32) -> Option<u32> {
        let wanted = u64::try_from(wanted).ok().filter(|_| self.width <= 2)?;
        let (mut left, mut found) = (all, 0);
        while left > 0 && self.width > 0 {
            let (levels, run) = self.run()?;
            // Only the last group is filled up.
            let taken = levels.min(left);
            found += match run {
                Run::Same(level) if levels == taken => u32::from(level == wanted) * taken,
                Run::Packed(groups) if levels - taken < 8 && self.none_above(groups, taken) => {
                    self.packed(groups, wanted, taken)
                }
                _ => return None,
            };
            left -= taken;
        }
        let flat = if self.width == 0 { all } else { found };
        self.bytes.is_empty().then_some(flat)
    }

    /// Returns the first level.
    pub(crate) fn first(mut self) -> Option<u64> {
        match self.run()?.1 {
            Run::Same(level) => Some(level),
            Run::Packed(groups) => Some(u64::from(*groups.first()?) & ((1 << self.width) - 1)),
        }
    }

    /// Takes the next run, and how many levels it has.
    fn run(&mut self) -> Option<(u32, Run<'a>)> {
        let head = varint(&mut self.bytes)?;
        let count = head >> 1;
        if count == 0 {
            return None;
        }
        if head & 1 == 0 {
            let (level, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            let level = Some(u64::from(*level)).filter(|level| *level <= self.most)?;
            return Some((count, Run::Same(level)));
        }
        let bytes = count.checked_mul(self.width)?;
        let (groups, rest) = self.bytes.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.bytes = rest;
        Some((count.checked_mul(8)?, Run::Packed(groups)))
    }

    /// Gives `each` of the `all` levels in order, equal ones together as far as they are written so; they were counted before.
    pub(crate) fn each(mut self, all: u32, mut each: impl FnMut(u64, u32)) -> Option<()> {
        let mut left = all;
        while left > 0 {
            let (levels, run) = self.run()?;
            let taken = levels.min(left);
            match run {
                Run::Same(level) => each(level, taken),
                Run::Packed(groups) => {
                    let apart = (0..u8::BITS).step_by(usize::try_from(self.width).ok()?);
                    let levels = groups.iter().flat_map(|byte| apart.clone().map(move |at| byte >> at));
                    let within = (1 << self.width) - 1;
                    levels.take(usize::try_from(taken).ok()?).for_each(|level| each(u64::from(level & within), 1));
                }
            }
            left -= taken;
        }
        Some(())
    }

    fn none_above(self, groups: &[u8], taken: u32) -> bool {
        (self.most + 1..1 << self.width).all(|above| self.packed(groups, above, taken) == 0)
    }

    /// Counts how many of the first `taken` packed levels are `wanted`: 64 bits of them at a time.
    fn packed(self, groups: &[u8], wanted: u64, taken: u32) -> u32 {
        let lowest = u64::MAX / ((1 << self.width) - 1);
        let (mut left, mut found) = (taken, 0);
        let (words, rest) = groups.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for word in words.iter().chain((!rest.is_empty()).then_some(&last)) {
            let differ = u64::from_le_bytes(*word) ^ (lowest * wanted);
            let differ = differ | differ >> (self.width - 1);
            let counted = left.min(u64::BITS / self.width);
            let within = lowest & u64::MAX.checked_shr(u64::BITS - counted * self.width).unwrap_or_default();
            found += counted - (differ & within).count_ones();
            left -= counted;
        }
        found
    }
}

/// The levels of all pages of a column, one after another, however they are written.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    said: Sha256,
    level: u64,
    times: u32,
    /// How often a level other than 0 stands in a row at most.
    longest: u32,
}

impl Shape {
    /// Takes some equal levels.
    pub(crate) fn take(&mut self, level: u64, times: u32) {
        if level != self.level {
            self.end();
            (self.level, self.times) = (level, 0);
        }
        self.times = self.times.saturating_add(times);
        if level > 0 {
            self.longest = self.longest.max(self.times);
        }
    }

    pub(crate) fn longest(&self) -> u32 {
        self.longest
    }

    /// Returns what is the same for the same levels only.
    pub(crate) fn digest(&mut self) -> [u8; 32] {
        self.end();
        self.said.finalize_reset().into()
    }

    fn end(&mut self) {
        self.said.update(self.level.to_be_bytes());
        self.said.update(self.times.to_be_bytes());
    }
}

/// Takes a number of at most 32 bits off the front: seven bits a byte, the lowest first, and no byte more than needed.
pub(crate) fn varint(bytes: &mut &[u8]) -> Option<u32> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        match byte {
            0 if shift > 0 => return None,
            0..=0x7f => return u32::try_from(number).ok(),
            _ if shift < 28 => shift += 7,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_levels_are_counted() {
        // Five of level 2, then the eight levels 0 to 3 and back.
        let bytes = [5 << 1, 2, 1 << 1 | 1, 0b1110_0100, 0b0001_1011];
        let levels = Levels::new(&bytes, 3);
        assert_eq!([0, 1, 2, 3].map(|level| levels.count(level, 13)), [2, 2, 7, 2].map(Some));
        assert_eq!(levels.first(), Some(2));
        // The last two are there to fill up the group.
        assert_eq!([0, 1, 2, 3].map(|level| levels.count(level, 11)), [1, 1, 7, 2].map(Some));
        let flags = [1 << 1 | 1, 0b1010_0011];
        assert_eq!([0, 1].map(|level| Levels::new(&flags, 1).count(level, 8)), [4, 4].map(Some));
        assert_eq!(Levels::new(&flags, 1).first(), Some(1));
    }

    #[test]
    fn a_column_without_levels_has_no_bytes_of_them() {
        assert_eq!(Levels::new(&[], 0).count(0, 9), Some(9));
        assert_eq!(Levels::new(&[2, 0], 0).count(0, 1), None);
    }

    #[test]
    fn levels_that_are_too_many_or_too_few_or_oddly_written_are_none() {
        for bytes in [
            &[][..],
            &[8 << 1],
            &[9 << 1, 1],
            &[7 << 1, 1],
            &[8 << 1, 1, 0],
            &[0, 1, 8 << 1, 1],
            &[2 << 1 | 1, 0, 0],
            &[1 << 1 | 1],
            &[0x90, 0x80, 0x00, 1],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[8 << 1, 2],
        ] {
            assert_eq!(Levels::new(bytes, 1).count(1, 8), None, "{bytes:?}");
        }
        assert_eq!(Levels::new(&[8 << 1, 1], 1).count(1, 8), Some(8));
        // Of two bits, with and without a level of 3 among those that count.
        let packed = [1 << 1 | 1, 0b0001_0010, 0b1110_0000];
        assert_eq!([6, 7, 8].map(|all| Levels::new(&packed, 2).count(2, all)), [Some(1), Some(2), None]);
    }

    #[test]
    fn the_same_levels_have_one_shape_however_they_are_written_and_others_have_others() {
        let shape = |runs: &[(&[u8], u32)]| {
            let mut shape = Shape::default();
            for (bytes, all) in runs {
                Levels::new(bytes, 1).each(*all, |level, times| shape.take(level, times)).unwrap();
            }
            (shape.longest(), shape.digest())
        };
        let packed = shape(&[(&[1 << 1 | 1, 0b0111_1110], 8), (&[1 << 1 | 1, 0b0000_0010], 2)]);
        let runs = shape(&[(&[1 << 1, 0, 6 << 1, 1], 7), (&[2 << 1, 0, 1 << 1, 1], 3)]);
        assert_eq!((packed.0, packed), (6, runs));
        let other = shape(&[(&[1 << 1, 0, 5 << 1, 1], 6), (&[3 << 1, 0, 1 << 1, 1], 4)]);
        assert_ne!(other.1, packed.1);
    }
}
