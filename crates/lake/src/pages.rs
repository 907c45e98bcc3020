//! The pages of a file, found by going from one to the next: whatever the footer says of them must follow from this.

use bytes::Bytes;
use parquet::{
    basic::{Encoding, EncodingMask, PageType, Type},
    file::metadata::PageEncodingStats,
    schema::types::ColumnDescriptor,
};

use crate::{
    file::BadFile,
    levels::{Levels, Shape, varint},
    span::SPAN_LEAVES,
};

/// Rows in each row group.
pub(crate) const GROUP_ROWS: i64 = SPAN_LEAVES.cast_signed();

/// Elements of a list in one row: an entry has not so many bytes.
const ELEMENTS_MAX: u32 = 1_024;

/// What every file begins with.
const MAGIC: &[u8] = b"PAR1";

/// A place in a file where the next page begins.
#[derive(Debug)]
pub(crate) struct Pages {
    bytes: Bytes,
    at: usize,
}

/// The pages of one column in one row group: at most one with a dictionary, and data pages behind it.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Where its dictionary begins.
    pub(crate) dictionary: Option<i64>,
    /// Where its first data page begins.
    pub(crate) data: i64,
    rows: i64,
    pub(crate) values: i64,
    /// Bytes in the file, with headers.
    pub(crate) packed: i64,
    /// Bytes once they are unpacked, with headers.
    pub(crate) unpacked: i64,
    /// What kinds of pages follow each other.
    pub(crate) kinds: Vec<PageEncodingStats>,
    repeated: Shape,
    defined: Shape,
    /// Of a column of a list, what is the same for the same levels only: where rows begin, and what is there.
    pub(crate) shape: [[u8; 32]; 2],
}

/// What the header of a page says.
#[derive(Clone, Copy, Debug)]
struct Header {
    unpacked: u32,
    packed: u32,
    encoding: Encoding,
    counts: Counted,
}

/// What a page has, as its header says.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// So many values.
    Dictionary(u32),
    Data(Counts),
}

/// What the header of a data page counts.
#[derive(Clone, Copy, Debug)]
struct Counts {
    values: u32,
    nulls: u32,
    rows: u32,
    /// Bytes of the levels that say which values are there.
    defined: u32,
    /// Bytes of the levels that say where rows begin.
    repeated: u32,
    is_packed: bool,
}

impl Pages {
    /// Begins at the first page of a file.
    pub(crate) fn of(bytes: &Bytes) -> Result<Self, BadFile> {
        let begins = bytes.starts_with(MAGIC);
        if begins { Ok(Self { bytes: bytes.clone(), at: MAGIC.len() }) } else { Err(BadFile::Page(0)) }
    }

    /// Returns where the next page begins.
    pub(crate) fn at(&self) -> i64 {
        i64::try_from(self.at).unwrap_or(i64::MAX)
    }

    /// Returns what stands behind the pages that were taken.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes the pages of a column in a row group.
    ///
    /// # Errors
    ///
    /// [`BadFile::Page`]: there is one that no file of the lake has.
    pub(crate) fn chunk(&mut self, column: &ColumnDescriptor) -> Result<Chunk, BadFile> {
        let mut chunk = Chunk::default();
        while chunk.rows < GROUP_ROWS {
            self.page(&mut chunk, column).ok_or(BadFile::Page(self.at as u64))?;
        }
        chunk.shape = [chunk.repeated.digest(), chunk.defined.digest()];
        if chunk.rows == GROUP_ROWS { Ok(chunk) } else { Err(BadFile::Page(self.at as u64)) }
    }

    /// Takes the next page; `None` if it is not one that may come here.
    fn page(&mut self, chunk: &mut Chunk, column: &ColumnDescriptor) -> Option<()> {
        let mut rest = self.rest();
        let whole = rest.len();
        let header = Header::read(&mut rest)?;
        let body = rest.get(..usize::try_from(header.packed).ok()?)?;
        match header.counts {
            Counted::Data(counts) if header.is_true_of(counts, body, column) => {
                chunk.data_page(self.at(), counts);
                chunk.list(counts, body, column)?;
            }
            Counted::Dictionary(values) if header.has(values, column) && chunk.kinds.is_empty() => {
                chunk.dictionary = Some(self.at());
            }
            _ => return None,
        }
        let header_bytes = whole - rest.len();
        let next = self.at + header_bytes + body.len();
        chunk.add(&header, i64::try_from(header_bytes).ok()?);
        self.at = next;
        Some(())
    }
}

impl Chunk {
    /// Returns every encoding in it; levels have theirs too.
    pub(crate) fn encodings(&self) -> EncodingMask {
        EncodingMask::new_from_encodings(self.kinds.iter().map(|kind| &kind.encoding).chain([&Encoding::RLE]))
    }

    fn data_page(&mut self, at: i64, counts: Counts) {
        if self.rows == 0 {
            self.data = at;
        }
        self.rows += i64::from(counts.rows);
        self.values += i64::from(counts.values);
    }

    /// Takes the levels of a page of a column of a list; `None` if a row has more elements than an entry can have.
    fn list(&mut self, counts: Counts, body: &[u8], column: &ColumnDescriptor) -> Option<()> {
        if column.max_rep_level() == 0 {
            return Some(());
        }
        let Self { repeated: shape, defined: there, .. } = self;
        let (repeated, defined) = counts.levels(body, column)?;
        repeated.each(counts.values, |level, times| shape.take(level, times))?;
        (shape.longest() < ELEMENTS_MAX).then_some(())?;
        defined.each(counts.values, |level, times| there.take(level, times))
    }

    fn add(&mut self, header: &Header, header_bytes: i64) {
        self.packed += header_bytes + i64::from(header.packed);
        self.unpacked += header_bytes + i64::from(header.unpacked);
        let (page_type, encoding) = (header.page_type(), header.encoding);
        match self.kinds.last_mut() {
            Some(kind) if kind.page_type == page_type && kind.encoding == encoding => kind.count += 1,
            _ => self.kinds.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }
}

impl Header {
    /// Takes a header off the front: the fields that our writer writes, in its order and form, and no others.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (kind, unpacked, packed) = (number(bytes)?, number(bytes)?, number(bytes)?);
        let (encoding, counts) = match (kind, byte(bytes)?) {
            (2, 0x4c) => Self::dictionary(bytes)?,
            (3, 0x5c) => Self::data(bytes)?,
            _ => return None,
        };
        // The end of the inner struct and of the outer one.
        let ends = [byte(bytes)?, byte(bytes)?] == [0, 0];
        ends.then_some(Self { unpacked, packed, encoding, counts })
    }

    fn dictionary(bytes: &mut &[u8]) -> Option<(Encoding, Counted)> {
        let (values, encoding) = (number(bytes)?, number(bytes)?);
        // It does not say that it is sorted.
        (encoding == 0 && !flag(bytes)?).then_some((Encoding::PLAIN, Counted::Dictionary(values)))
    }

    fn data(bytes: &mut &[u8]) -> Option<(Encoding, Counted)> {
        let (values, nulls, rows) = (number(bytes)?, number(bytes)?, number(bytes)?);
        let encoding = match number(bytes)? {
            3 => Encoding::RLE,
            5 => Encoding::DELTA_BINARY_PACKED,
            7 => Encoding::DELTA_BYTE_ARRAY,
            8 => Encoding::RLE_DICTIONARY,
            _ => return None,
        };
        let (defined, repeated, is_packed) = (number(bytes)?, number(bytes)?, flag(bytes)?);
        Some((encoding, Counted::Data(Counts { values, nulls, rows, defined, repeated, is_packed })))
    }

    fn page_type(&self) -> PageType {
        match self.counts {
            Counted::Dictionary(_) => PageType::DICTIONARY_PAGE,
            Counted::Data(_) => PageType::DATA_PAGE_V2,
        }
    }

    /// Returns true if a dictionary is as long as so many values of the column; those of no fixed length are counted when read.
    fn has(&self, values: u32, column: &ColumnDescriptor) -> bool {
        let length = match column.physical_type() {
            Type::BYTE_ARRAY => return true,
            Type::INT32 => Some(4),
            Type::INT64 => Some(8),
            Type::FIXED_LEN_BYTE_ARRAY => u32::try_from(column.type_length()).ok(),
            _ => None,
        };
        length.and_then(|length| values.checked_mul(length)) == Some(self.unpacked)
    }

    /// Returns true if the body has these levels; a page of no rows is none.
    fn is_true_of(&self, counts: Counts, body: &[u8], column: &ColumnDescriptor) -> bool {
        let sized = counts.is_packed || self.packed == self.unpacked;
        sized && counts.rows > 0 && counts.are_of(body, column).unwrap_or_default()
    }
}

impl Counts {
    fn are_of(self, body: &[u8], column: &ColumnDescriptor) -> Option<bool> {
        let (repeated, defined) = self.levels(body, column)?;
        let begins = column.max_rep_level() == 0 || repeated.first()? == 0;
        let there = defined.count(column.max_def_level(), self.values)?;
        Some(begins && repeated.count(0, self.values)? == self.rows && self.nulls.checked_add(there)? == self.values)
    }

    /// Returns the levels in a page that say where rows begin, and those that say what is there.
    fn levels<'a>(&self, body: &'a [u8], column: &ColumnDescriptor) -> Option<(Levels<'a>, Levels<'a>)> {
        let (repeated, rest) = body.split_at_checked(usize::try_from(self.repeated).ok()?)?;
        let (defined, _) = rest.split_at_checked(usize::try_from(self.defined).ok()?)?;
        Some((Levels::new(repeated, column.max_rep_level()), Levels::new(defined, column.max_def_level())))
    }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// Takes the next field, a number that is not negative.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let number = if byte(bytes)? == 0x15 { varint(bytes)? } else { return None };
    number.is_multiple_of(2).then_some(number / 2)
}

/// Takes the next field, which is true or false.
fn flag(bytes: &mut &[u8]) -> Option<bool> {
    match byte(bytes)? {
        0x11 => Some(true),
        0x12 => Some(false),
        _ => None,
    }
}
