//! From text to code words: data, then what corrects errors in it, interleaved by blocks.

/// Code words for error correction in each block, by version less one, at level L.
///
/// # Source
/// ISO/IEC 18004:2015, table 9.
const CORRECTION: [usize; 20] = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
/// Blocks, by version less one, at level L; from the same table.
const BLOCKS: [usize; 20] = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
/// The polynomial of the field of 256 elements.
const FIELD: u16 = 0x11d;

/// Returns how many bytes of text a version holds.
pub(super) fn capacity(version: usize) -> usize {
    data_words(version) - header_bits(version).div_ceil(8)
}

/// Returns the code words of `text`, which is no longer than the version's capacity.
pub(super) fn encode(version: usize, text: &[u8]) -> Vec<u8> {
    interleave(version, &data(version, text))
}

/// Bits of the mode and the length.
fn header_bits(version: usize) -> usize {
    if version < 10 { 12 } else { 20 }
}

fn of_table(table: &[usize; 20], version: usize) -> usize {
    table.get(version - 1).copied().unwrap_or_default()
}

/// Code words of either kind that a version has room for.
fn all_words(version: usize) -> usize {
    let alignment = if version < 2 { 0 } else { version / 7 + 2 };
    let patterns = if version < 2 { 0 } else { (25 * alignment - 10) * alignment - 55 };
    let versions = if version < 7 { 0 } else { 36 };
    ((16 * version + 128) * version + 64 - patterns - versions) / 8
}

fn data_words(version: usize) -> usize {
    all_words(version) - of_table(&CORRECTION, version) * of_table(&BLOCKS, version)
}

/// Writes mode, length and text, and fills up.
fn data(version: usize, text: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    push(&mut bits, 0b0100, 4);
    push(&mut bits, text.len(), header_bits(version) - 4);
    text.iter().for_each(|byte| push(&mut bits, usize::from(*byte), 8));
    push(&mut bits, 0, 4);
    let mut words: Vec<u8> = bits.chunks(8).map(word).collect();
    let filled = words.len();
    let filler = [0xec, 0x11].into_iter().cycle().take(data_words(version).saturating_sub(filled));
    words.extend(filler);
    words.truncate(data_words(version));
    words
}

fn push(bits: &mut Vec<bool>, value: usize, count: usize) {
    bits.extend((0..count).rev().map(|at| value >> at & 1 == 1));
}

fn word(bits: &[bool]) -> u8 {
    bits.iter().zip((0..8).rev()).fold(0, |word, (bit, at)| word | u8::from(*bit) << at)
}

fn interleave(version: usize, data: &[u8]) -> Vec<u8> {
    let (blocks, correction) = (of_table(&BLOCKS, version), of_table(&CORRECTION, version));
    let short = data.len() / blocks;
    let (mut rest, mut taken) = (data, Vec::with_capacity(blocks));
    for block in 0..blocks {
        let long = usize::from(block >= blocks - data.len() % blocks);
        let (own, after) = rest.split_at(short + long);
        taken.push((own, remainder(own, &divisor(correction))));
        rest = after;
    }
    let data = (0..=short).flat_map(|at| taken.iter().filter_map(move |(own, _)| own.get(at)));
    let correction = (0..correction).flat_map(|at| taken.iter().filter_map(move |(_, more)| more.get(at)));
    data.chain(correction).copied().collect()
}

fn multiply(one: u8, other: u8) -> u8 {
    let product = (0..8).rev().fold(0_u16, |product, at| {
        let doubled = (product << 1) ^ ((product >> 7) * FIELD);
        doubled ^ (u16::from(other >> at & 1) * u16::from(one))
    });
    product.to_le_bytes()[0]
}

/// The product of the first `degree` polynomials `x - 2^i`, without its leading one, highest power first.
fn divisor(degree: usize) -> Vec<u8> {
    let mut product = vec![0; degree];
    if let Some(last) = product.last_mut() {
        *last = 1;
    }
    let mut root = 1;
    for _ in 0..degree {
        let next: Vec<u8> = product.iter().skip(1).copied().chain([0]).collect();
        product = product.iter().zip(next).map(|(own, next)| multiply(*own, root) ^ next).collect();
        root = multiply(root, 2);
    }
    product
}

fn remainder(data: &[u8], divisor: &[u8]) -> Vec<u8> {
    let mut rest = vec![0; divisor.len()];
    for byte in data {
        let factor = byte ^ rest.first().copied().unwrap_or_default();
        let shifted: Vec<u8> = rest.iter().skip(1).copied().chain([0]).collect();
        rest = shifted.iter().zip(divisor).map(|(own, by)| own ^ multiply(*by, factor)).collect();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divisor_of_seven_words_is_that_of_the_standard() {
        // Annex A, as powers of two.
        let power = |exponent: usize| (0..exponent).fold(1, |product, _| multiply(product, 2));
        assert_eq!(divisor(7), [87, 229, 146, 149, 238, 102, 21].map(power));
    }

    #[test]
    fn a_block_with_its_correction_is_divisible() {
        for version in [1, 5, 14, 20] {
            let by = divisor(of_table(&CORRECTION, version));
            let text = vec![b'x'; 20];
            let whole = [text.clone(), remainder(&text, &by)].concat();
            assert!(remainder(&whole, &by).iter().all(|word| *word == 0));
        }
    }

    #[test]
    fn every_version_is_filled_to_its_last_word() {
        for version in 1..=20 {
            for len in [0, 1, capacity(version) - 1, capacity(version)] {
                assert_eq!(encode(version, &vec![b'x'; len]).len(), all_words(version), "{version} {len}");
            }
        }
    }
}
