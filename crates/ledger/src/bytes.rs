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
