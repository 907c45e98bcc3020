//! The square: patterns that are always there, code words around them, and the mask that breaks up what is too even.

/// A pattern by which code words are inverted, from the column and the row.
type Mask = fn(usize, usize) -> bool;

/// The eight masks, by their number.
///
/// # Source
/// ISO/IEC 18004:2015, table 10.
const MASKS: [Mask; 8] = [
    |x, y| (x + y) % 2 == 0,
    |_, y| y % 2 == 0,
    |x, _| x % 3 == 0,
    |x, y| (x + y) % 3 == 0,
    |x, y| (x / 3 + y / 2) % 2 == 0,
    |x, y| x * y % 2 + x * y % 3 == 0,
    |x, y| (x * y % 2 + x * y % 3) % 2 == 0,
    |x, y| ((x + y) % 2 + x * y % 3) % 2 == 0,
];

/// A code, module by module.
#[derive(Clone)]
pub(super) struct Matrix {
    size: usize,
    dark: Vec<bool>,
    /// Modules that are not code words.
    fixed: Vec<bool>,
}

impl Matrix {
    /// Makes the code of these words, under the mask that leaves it least even.
    pub(super) fn of(version: usize, words: &[u8]) -> Self {
        let size = 17 + 4 * version;
        let mut plain = Self { size, dark: vec![false; size * size], fixed: vec![false; size * size] };
        plain.put_patterns(version);
        plain.put_words(words);
        let masked = (0..MASKS.len()).zip(MASKS).map(|(number, mask)| plain.masked(number, mask));
        masked.min_by_key(Self::evenness).unwrap_or(plain)
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.size && self.dark.get(y * self.size + x).copied().unwrap_or_default()
    }

    fn is_fixed(&self, x: usize, y: usize) -> bool {
        self.fixed.get(y * self.size + x).copied().unwrap_or_default()
    }

    fn set(&mut self, x: usize, y: usize, dark: bool) {
        if let Some(module) = self.dark.get_mut(y * self.size + x) {
            *module = dark;
        }
    }

    fn fix(&mut self, x: usize, y: usize, dark: bool) {
        self.set(x, y, dark);
        if let Some(module) = self.fixed.get_mut(y * self.size + x) {
            *module = true;
        }
    }

    fn put_patterns(&mut self, version: usize) {
        for at in 0..self.size {
            self.fix(6, at, at % 2 == 0);
            self.fix(at, 6, at % 2 == 0);
        }
        let far = self.size - 4;
        for (x, y) in [(3, 3), (far, 3), (3, far)] {
            self.put_finder(x, y);
        }
        let centers = centers(version, self.size);
        let last = self.size - 7;
        for (x, y) in centers.iter().flat_map(|x| centers.iter().map(move |y| (*x, *y))) {
            if ![(6, 6), (last, 6), (6, last)].contains(&(x, y)) {
                self.put_alignment(x, y);
            }
        }
        self.put_format(0);
        self.put_version(version);
    }

    /// Three squares within each other, and a light line around.
    fn put_finder(&mut self, x: usize, y: usize) {
        for (dx, dy) in around(4) {
            let at = (x.checked_add_signed(dx), y.checked_add_signed(dy));
            if let (Some(x), Some(y)) = at
                && x < self.size
                && y < self.size
            {
                let ring = dx.abs().max(dy.abs());
                self.fix(x, y, ring != 2 && ring != 4);
            }
        }
    }

    fn put_alignment(&mut self, x: usize, y: usize) {
        for (dx, dy) in around(2) {
            self.fix(x.saturating_add_signed(dx), y.saturating_add_signed(dy), dx.abs().max(dy.abs()) != 1);
        }
    }

    /// Writes the level and the mask, twice.
    fn put_format(&mut self, mask: usize) {
        let bits = format_bits(mask);
        let bit = |at: usize| bits >> at & 1 == 1;
        for at in 0..8 {
            let skipping = at + usize::from(at >= 6);
            self.fix(8, skipping, bit(at));
            self.fix(self.size - 1 - at, 8, bit(at));
        }
        for at in 8..15 {
            let skipping = 14 - at + usize::from(at == 8);
            self.fix(skipping, 8, bit(at));
            self.fix(8, self.size - 15 + at, bit(at));
        }
        self.fix(8, self.size - 8, true);
    }

    /// Writes the version, twice, where it is too large to be counted.
    fn put_version(&mut self, version: usize) {
        if version < 7 {
            return;
        }
        let bits = version_bits(version);
        for at in 0..18 {
            let (near, far) = (at / 3, self.size - 11 + at % 3);
            self.fix(near, far, bits >> at & 1 == 1);
            self.fix(far, near, bits >> at & 1 == 1);
        }
    }

    /// Lays the bits in columns of two, up and down by turns, from the right.
    fn put_words(&mut self, words: &[u8]) {
        let mut bits = words.iter().flat_map(|word| (0..8).rev().map(move |at| word >> at & 1 == 1));
        let columns = (0..self.size).rev().filter(|x| *x != 6).collect::<Vec<_>>();
        for (turn, pair) in columns.chunks(2).enumerate() {
            for step in 0..self.size {
                let y = if turn % 2 == 0 { self.size - 1 - step } else { step };
                for x in pair.iter().filter(|x| !self.is_fixed(**x, y)).copied().collect::<Vec<_>>() {
                    self.set(x, y, bits.next().unwrap_or_default());
                }
            }
        }
    }

    fn masked(&self, number: usize, mask: Mask) -> Self {
        let mut masked = self.clone();
        for (x, y) in (0..self.size).flat_map(|y| (0..self.size).map(move |x| (x, y))) {
            if mask(x, y) && !self.is_fixed(x, y) {
                masked.set(x, y, !self.is_dark(x, y));
            }
        }
        masked.put_format(number);
        masked
    }

    /// How hard it is to read: long runs of one color, and squares of it.
    fn evenness(&self) -> usize {
        let lines = (0..self.size).flat_map(|line| [self.runs(|at| (at, line)), self.runs(|at| (line, at))]);
        let squares = (1..self.size).flat_map(|y| (1..self.size).map(move |x| (x, y)));
        let even = |(x, y): &(usize, usize)| {
            let own = self.is_dark(*x, *y);
            [(x - 1, *y), (*x, y - 1), (x - 1, y - 1)].iter().all(|(x, y)| self.is_dark(*x, *y) == own)
        };
        lines.sum::<usize>() + 3 * squares.filter(even).count()
    }

    fn runs(&self, place: impl Fn(usize) -> (usize, usize)) -> usize {
        let colors = (0..self.size).map(|at| {
            let (x, y) = place(at);
            self.is_dark(x, y)
        });
        let colors: Vec<bool> = colors.collect();
        let runs = colors.chunk_by(|one, next| one == next).map(<[bool]>::len);
        runs.filter(|run| *run >= 5).map(|run| run - 2).sum()
    }
}

fn around(reach: isize) -> impl Iterator<Item = (isize, isize)> {
    (-reach..=reach).flat_map(move |dy| (-reach..=reach).map(move |dx| (dx, dy)))
}

/// Returns the columns, and rows, in which alignment patterns have their centers.
fn centers(version: usize, size: usize) -> Vec<usize> {
    if version < 2 {
        return Vec::new();
    }
    let count = version / 7 + 2;
    let step = (4 * version + 2 * count + 1) / (2 * count - 2) * 2;
    [6].into_iter().chain((0..count - 1).rev().map(|at| size - 7 - at * step)).collect()
}

/// Level L and the mask, with ten bits that correct errors.
fn format_bits(mask: usize) -> usize {
    let data = 0b01 << 3 | mask;
    let rest = (0..10).fold(data, |rest, _| (rest << 1) ^ ((rest >> 9) * 0x537));
    (data << 10 | rest) ^ 0x5412
}

/// The version, with twelve bits that correct errors.
fn version_bits(version: usize) -> usize {
    let rest = (0..12).fold(version, |rest, _| (rest << 1) ^ ((rest >> 11) * 0x1f25));
    version << 12 | rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_version_and_centers_are_those_of_the_standard() {
        // Annexes C, D and E.
        assert_eq!(format_bits(0), 0b111_0111_1100_0100);
        assert_eq!(format_bits(4), 0b110_0110_0010_1111);
        assert_eq!(version_bits(7), 0x07c94);
        assert_eq!(version_bits(20), 0x149a6);
        assert_eq!(centers(2, 25), [6, 18]);
        assert_eq!(centers(7, 45), [6, 22, 38]);
        assert_eq!(centers(20, 97), [6, 34, 62, 90]);
    }
}
