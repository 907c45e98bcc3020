//! The array of statuses, and its compressed form.

use std::io::{Read as _, Write as _};

use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};
use jose::base64url;

/// Entries of the largest list: every resident of a country of 16 million.
pub const MAX_ENTRIES: usize = 1 << 24;
/// Bytes of the largest list once inflated: 16 million entries of 2 bits, or 4 million of 8.
pub const MAX_LIST_BYTES: usize = 4 << 20;

/// How many bits each entry takes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Bits {
    /// One: valid or invalid.
    One = 1,
    /// Two.
    Two = 2,
    /// Four.
    Four = 4,
    /// Eight.
    Eight = 8,
}

impl Bits {
    fn per_byte(self) -> usize {
        8 / usize::from(self as u8)
    }

    fn mask(self) -> u8 {
        u8::MAX >> (8 - self as u8)
    }

    /// Returns the most bytes that a list of these entries may have.
    fn max_bytes(self) -> usize {
        (MAX_ENTRIES / self.per_byte()).min(MAX_LIST_BYTES)
    }
}

impl TryFrom<u8> for Bits {
    type Error = &'static str;
    fn try_from(bits: u8) -> Result<Self, &'static str> {
        match bits {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            8 => Ok(Self::Eight),
            _ => Err("the entries of a status list have 1, 2, 4 or 8 bits"),
        }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> Self {
        bits as Self
    }
}

/// The state of a credential.
///
/// # Source
/// Token Status List, section 7.1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// In force.
    Valid,
    /// Revoked for good.
    Invalid,
    /// Not in force for now.
    Suspended,
    /// Another value, which only its issuer understands: never taken for valid.
    Other(u8),
}

impl From<u8> for Status {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Valid,
            1 => Self::Invalid,
            2 => Self::Suspended,
            other => Self::Other(other),
        }
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        match status {
            Status::Valid => 0,
            Status::Invalid => 1,
            Status::Suspended => 2,
            Status::Other(value) => value,
        }
    }
}

/// What is wrong with a list, or with an index into one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ListFault {
    /// The text is not base64url.
    #[error("the list is not base64url without padding")]
    Encoding,
    /// The bytes are not one zlib stream.
    #[error("the list is not one whole zlib stream (RFC 1950)")]
    Zlib,
    /// It inflates to more than is taken.
    #[error("the list inflates to more than {0} bytes")]
    TooLong(usize),
    /// An index beyond its end.
    #[error("index {idx} is beyond the end of the list, which has {entries} entries")]
    Beyond {
        /// The index.
        idx: usize,
        /// How many entries there are.
        entries: usize,
    },
    /// A status that does not fit the bits of an entry.
    #[error("status {status} does not fit entries of {bits} bits")]
    Status {
        /// The status.
        status: u8,
        /// The bits.
        bits: u8,
    },
}

/// An array of statuses of some bits each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusList {
    bits: Bits,
    bytes: Vec<u8>,
}

impl StatusList {
    /// Makes a list of at least `entries` valid entries, filled up to whole bytes.
    ///
    /// # Errors
    ///
    /// [`ListFault::TooLong`] if the list would be longer than any reader here takes.
    pub fn new(bits: Bits, entries: usize) -> Result<Self, ListFault> {
        let length = entries.div_ceil(bits.per_byte());
        if length > bits.max_bytes() {
            return Err(ListFault::TooLong(bits.max_bytes()));
        }
        Ok(Self { bits, bytes: vec![0; length] })
    }

    /// Inflates a list, and never to more than 2^24 entries nor 4 MiB.
    ///
    /// # Errors
    ///
    /// [`ListFault`] if `lst` is not base64url of one zlib stream, or holds too much: nothing is known of any entry.
    ///
    /// # Source
    /// Token Status List, section 4.1.
    pub fn inflate(bits: Bits, lst: &str) -> Result<Self, ListFault> {
        let packed = base64url::decode(lst).map_err(|_| ListFault::Encoding)?;
        let limit = bits.max_bytes();
        let mut decoder = ZlibDecoder::new(packed.as_slice());
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        decoder.by_ref().take(most).read_to_end(&mut bytes).map_err(|_| ListFault::Zlib)?;
        if bytes.len() > limit {
            return Err(ListFault::TooLong(limit));
        }
        // What follows the stream would be read by one program and not by another.
        if decoder.into_inner().is_empty() { Ok(Self { bits, bytes }) } else { Err(ListFault::Zlib) }
    }

    /// Returns the list compressed, in base64url.
    #[must_use]
    pub fn deflate(&self) -> String {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let packed = encoder.write_all(&self.bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        base64url::encode(packed)
    }

    /// Returns how many bits each entry takes.
    #[must_use]
    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.bytes.len() * self.bits.per_byte()
    }

    /// Returns how many bytes the list takes, inflated.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the status at `idx`.
    ///
    /// # Errors
    ///
    /// [`ListFault::Beyond`] if there is no such entry: the credential must be taken for not valid.
    pub fn get(&self, idx: usize) -> Result<Status, ListFault> {
        let byte = self.bytes.get(idx / self.bits.per_byte()).ok_or_else(|| self.beyond(idx))?;
        Ok(Status::from((byte >> self.shift(idx)) & self.bits.mask()))
    }

    /// Sets the status at `idx`.
    ///
    /// # Errors
    ///
    /// [`ListFault`] if there is no such entry, or the status does not fit its bits; nothing was changed.
    pub fn set(&mut self, idx: usize, status: Status) -> Result<(), ListFault> {
        let (value, mask, shift) = (u8::from(status), self.bits.mask(), self.shift(idx));
        if value > mask {
            return Err(ListFault::Status { status: value, bits: self.bits.into() });
        }
        let beyond = self.beyond(idx);
        let byte = self.bytes.get_mut(idx / self.bits.per_byte()).ok_or(beyond)?;
        *byte = (*byte & !(mask << shift)) | (value << shift);
        Ok(())
    }

    fn shift(&self, idx: usize) -> usize {
        (idx % self.bits.per_byte()) * usize::from(self.bits as u8)
    }

    fn beyond(&self, idx: usize) -> ListFault {
        ListFault::Beyond { idx, entries: self.entries() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Bits; 4] = [Bits::One, Bits::Two, Bits::Four, Bits::Eight];

    fn packed(bytes: &[u8]) -> String {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        base64url::encode(encoder.finish().unwrap())
    }

    #[test]
    fn the_examples_of_the_specification_are_read_as_it_says() {
        // Token Status List, sections 4.1 and 4.2: the arrays 0xB9A3 of one bit and 0xC9 44 F9 of two.
        let one = StatusList::inflate(Bits::One, "eNrbuRgAAhcBXQ").unwrap();
        let bits: Vec<u8> = (0..16).map(|idx| one.get(idx).unwrap().into()).collect();
        assert_eq!(bits, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
        let two = StatusList::inflate(Bits::Two, "eNo76fITAAPfAgc").unwrap();
        let pairs: Vec<u8> = (0..12).map(|idx| two.get(idx).unwrap().into()).collect();
        assert_eq!(pairs, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn a_list_that_inflates_beyond_its_bound_is_refused() {
        let bomb = packed(&vec![0; 16 << 20]);
        assert!(bomb.len() < 100_000);
        for bits in ALL {
            let full = vec![0; bits.max_bytes()];
            assert_eq!(
                StatusList::inflate(bits, &packed(&full)).unwrap().entries(),
                bits.max_bytes() * bits.per_byte()
            );
            assert_eq!(StatusList::inflate(bits, &bomb), Err(ListFault::TooLong(bits.max_bytes())));
            assert!(StatusList::new(bits, MAX_ENTRIES + 8).is_err());
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_corrupt_or_followed_by_more_is_refused() {
        let whole = base64url::decode(packed(&[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
        let mut corrupt = whole.clone();
        *corrupt.last_mut().unwrap() ^= 1;
        let more = [whole.as_slice(), b"\0"].concat();
        for bytes in [&whole[..whole.len() - 1], &corrupt, &more, b"", b"{}"] {
            assert_eq!(StatusList::inflate(Bits::One, &base64url::encode(bytes)), Err(ListFault::Zlib));
        }
        assert_eq!(StatusList::inflate(Bits::One, "eNo="), Err(ListFault::Encoding));
    }

    #[test]
    fn an_index_beyond_the_end_has_no_status() {
        let mut list = StatusList::new(Bits::Two, 5).unwrap();
        assert_eq!(list.entries(), 8);
        assert_eq!(list.get(8), Err(ListFault::Beyond { idx: 8, entries: 8 }));
        assert_eq!(list.set(8, Status::Invalid), Err(ListFault::Beyond { idx: 8, entries: 8 }));
        assert_eq!(list.get(usize::MAX), Err(ListFault::Beyond { idx: usize::MAX, entries: 8 }));
    }

    #[test]
    fn a_status_that_does_not_fit_is_refused() {
        let mut list = StatusList::new(Bits::One, 8).unwrap();
        assert_eq!(list.set(0, Status::Suspended), Err(ListFault::Status { status: 2, bits: 1 }));
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_is_read_and_nothing_else_moves(
            which in 0..4_usize,
            sets in prop::collection::vec((0..40_usize, any::<u8>()), 0..30),
        ) {
            let bits = ALL[which];
            let mut list = StatusList::new(bits, 40).unwrap();
            let mut model = [0_u8; 40];
            for (idx, value) in sets {
                let value = value & bits.mask();
                list.set(idx, Status::from(value)).unwrap();
                model[idx] = value;
            }
            let again = StatusList::inflate(bits, &list.deflate()).unwrap();
            prop_assert_eq!(&again, &list);
            for (idx, value) in model.iter().enumerate() {
                prop_assert_eq!(u8::from(again.get(idx).unwrap()), *value);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = StatusList::inflate(Bits::One, &base64url::encode(bytes));
        }
    }
}
