//! Reading and writing little-endian fields of the files.

/// Takes fields off the front of some bytes; `None` once they run out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes a number in its one spelling of [`put_leb128`].
    pub(crate) fn leb128(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            value |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
            if byte < 0x80 {
                return (byte != 0 || shift == 0).then_some(value);
            }
        }
        None
    }
}

/// Writes a number in as few bytes as it takes: seven bits in each, the lowest first, and the top bit where another follows.
///
/// # Source
///
/// DWARF 5, section 7.6: unsigned LEB128.
pub(crate) fn put_leb128(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// The unit in which segments are written: batches and headers begin at multiples of it.
pub(crate) const BLOCK: u64 = 4_096;

/// Returns `length` rounded up to whole blocks.
pub(crate) fn padded(length: u64) -> u64 {
    length.next_multiple_of(BLOCK)
}

/// Returns a length of bytes in memory as the files write it.
pub(crate) fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Returns a length from a file as memory counts; beyond the machine it is more than any buffer has.
pub(crate) fn length(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Fills `bytes` with zeros up to whole blocks.
pub(crate) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(length(padded(size(bytes))), 0);
}

/// Returns the CRC-32C of several pieces as if they were one.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u32 {
    pieces.iter().fold(0, |crc, piece| crc32c::crc32c_append(crc, piece))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_number_reads_back_and_has_one_spelling(shift in 0_u32..64, bits: u64, bytes in vec(any::<u8>(), 0..12)) {
            let mut written = Vec::new();
            put_leb128(&mut written, bits >> shift);
            prop_assert_eq!(Fields(&written).leb128(), Some(bits >> shift));
            let mut read = Fields(&bytes);
            if let Some(value) = read.leb128() {
                let mut again = Vec::new();
                put_leb128(&mut again, value);
                prop_assert_eq!(&bytes[..bytes.len() - read.0.len()], again);
            }
        }
    }
}
