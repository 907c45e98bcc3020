//! The file of entries, version 2: written and read from front to back.

use std::io::{self, BufRead, BufReader, Read, Write};

use sha2::{Digest, Sha256};

use super::{BundleEntry, FIELD_BYTES_MAX, FileDigest};
use crate::{
    commit::{Field, Opening, Openings, Unordered},
    entry::ENTRY_BYTES_MAX,
};

/// What the file begins with; its last digit is the version.
const MAGIC: &[u8; 16] = b"exeat-entries/v2";
/// Stands before a field's commitment.
const WITHHELD: u8 = 0;
/// Stands before a field's salt and value.
const SHOWN: u8 = 1;
/// A reader takes the file in blocks of this many bytes, which stay in a core's cache until they are walked.
const BLOCK_BYTES: usize = 1 << 16;

/// Writes a file of entries.
///
/// The file is the 16 bytes `exeat-entries/v2`, then each entry: its index (8 bytes, as all numbers big endian), the
/// length of the leaf (2 bytes), the leaf, the number of fields (1 byte), and each field: its id (1 byte), then the
/// byte 0 and its commitment (32 bytes), or the byte 1, its salt (16 bytes), the length of its value (4 bytes) and the
/// value. It ends after the last entry.
#[derive(Debug)]
pub struct EntriesWriter<W> {
    out: W,
    hashed: Hashed,
    done: Place,
}

/// What was written to, or read from, a file of entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntriesDigest {
    /// How many entries.
    pub entries: u64,
    /// Length and hash of the file.
    pub file: FileDigest,
}

impl<W: Write> EntriesWriter<W> {
    /// Begins the file. Give a buffered writer: each entry takes a few small writes.
    ///
    /// # Errors
    ///
    /// Whatever writing answers.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, hashed: Hashed::default(), done: Place::default() };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Writes the next entry, with what is told of its private part: empty to withhold all of it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the index is not above that of the entry before, the leaf longer than
    /// [`ENTRY_BYTES_MAX`] or a value than [`FIELD_BYTES_MAX`], before anything is written; else whatever writing
    /// answers.
    pub fn push(&mut self, index: u64, leaf: &[u8], fields: &Openings) -> io::Result<()> {
        let long = |opening: &Opening| opening.value().is_some_and(|value| value.len() > FIELD_BYTES_MAX);
        if leaf.len() > ENTRY_BYTES_MAX || fields.iter().any(|(_, opening)| long(opening)) {
            return Err(invalid("the entry or a field of it is too long for a file of entries"));
        }
        if !self.done.may_follow(index) {
            return Err(invalid("the entries do not come in rising order"));
        }
        self.put(&index.to_be_bytes())?;
        self.put(&length::<2>(leaf.len()))?;
        self.put(leaf)?;
        self.put(&length::<1>(fields.iter().len()))?;
        for (field, opening) in fields.iter() {
            self.field(field, opening)?;
        }
        self.done.entry(index);
        Ok(())
    }

    /// Flushes and says what was written; the caller makes the file durable.
    ///
    /// # Errors
    ///
    /// Whatever flushing answers.
    pub fn finish(mut self) -> io::Result<(EntriesDigest, W)> {
        self.out.flush()?;
        Ok((EntriesDigest { entries: self.done.entries, file: self.hashed.digest() }, self.out))
    }

    fn field(&mut self, field: Field, opening: &Opening) -> io::Result<()> {
        match opening {
            Opening::Withheld(commitment) => {
                self.put(&[field.id(), WITHHELD])?;
                self.put(commitment)
            }
            Opening::Shown { salt, value } => {
                self.put(&[field.id(), SHOWN])?;
                self.put(salt)?;
                self.put(&length::<4>(value.len()))?;
                self.put(value)
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hashed.take(bytes);
        Ok(())
    }
}

/// Reads a file of entries from front to back, hashing what it reads.
#[derive(Debug)]
pub struct EntriesReader<R> {
    source: BufReader<Hashing<R>>,
    done: Place,
}

/// The file of entries is not one.
#[derive(Debug, thiserror::Error)]
pub enum BadEntries {
    /// It begins with something else.
    #[error("the file does not begin with `exeat-entries/v2`: it is no file of entries, or of another version")]
    Magic,
    /// It ends within the entry at this place, the first being 0.
    #[error("the file ends within the entry at place {0}")]
    CutShort(u64),
    /// A number or an order that no writer writes.
    #[error("the entry at place {place}: {why}")]
    Malformed {
        /// Which entry of the file, the first being 0.
        place: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The file could not be read; it may be good.
    #[error("cannot read the entries: {0}")]
    Io(#[source] io::Error),
}

impl<R: Read> EntriesReader<R> {
    /// Begins to read, in large blocks: the source need not be buffered.
    ///
    /// # Errors
    ///
    /// [`BadEntries::Magic`], [`BadEntries::Io`].
    pub fn new(source: R) -> Result<Self, BadEntries> {
        let source = BufReader::with_capacity(BLOCK_BYTES, Hashing { source, done: Hashed::default() });
        let mut reader = Self { source, done: Place::default() };
        let magic = reader.array().map_err(|error| match error {
            BadEntries::CutShort(_) => BadEntries::Magic,
            other => other,
        })?;
        if &magic != MAGIC {
            return Err(BadEntries::Magic);
        }
        Ok(reader)
    }

    /// Returns the next entry, `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`BadEntries`]; reading on makes no sense.
    pub fn read(&mut self) -> Result<Option<BundleEntry>, BadEntries> {
        let Some(first) = self.byte_or_end()? else {
            return Ok(None);
        };
        let [a, b, c, d, e, f, g, high, low] = self.array()?;
        let index = u64::from_be_bytes([first, a, b, c, d, e, f, g]);
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !self.done.may_follow(index) {
            return Err(self.malformed("its index is not above that of the entry before"));
        }
        if length > ENTRY_BYTES_MAX {
            return Err(self.malformed("its leaf is longer than an entry can be"));
        }
        let leaf = self.vec(length)?;
        let fields = self.fields()?;
        self.done.entry(index);
        Ok(Some(BundleEntry { index, leaf, fields }))
    }

    /// Says what the whole file is, once [`EntriesReader::read`] returned `None`; before that, what was taken from the
    /// source, which is more than was returned.
    #[must_use]
    pub fn digest(self) -> EntriesDigest {
        EntriesDigest { entries: self.done.entries, file: self.source.into_inner().done.digest() }
    }

    fn fields(&mut self) -> Result<Openings, BadEntries> {
        let mut fields = Openings::default();
        let [count] = self.array()?;
        for _ in 0..count {
            let [id, marker] = self.array()?;
            let field = Field::from_id(id).ok_or_else(|| self.malformed("no field has the id of one of its fields"))?;
            let opening = self.opening(marker)?;
            let unordered = |Unordered(_)| self.malformed("its fields are not in rising order");
            fields.push(field, opening).map_err(unordered)?;
        }
        Ok(fields)
    }

    fn opening(&mut self, marker: u8) -> Result<Opening, BadEntries> {
        match marker {
            WITHHELD => self.array().map(Opening::Withheld),
            SHOWN => {
                let salt = self.array()?;
                let length = usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX);
                if length > FIELD_BYTES_MAX {
                    return Err(self.malformed("the value of a field is longer than 16 MiB"));
                }
                let value = self.vec(length)?.into();
                Ok(Opening::Shown { salt, value })
            }
            _ => Err(self.malformed("the marker of a field is neither 0 nor 1")),
        }
    }

    /// Reads `length` bytes, taking memory only as they arrive.
    fn vec(&mut self, length: usize) -> Result<Vec<u8>, BadEntries> {
        let mut bytes = Vec::with_capacity(length.min(2 * ENTRY_BYTES_MAX));
        while bytes.len() < length {
            let block = self.block()?;
            let block = block.get(..length - bytes.len()).unwrap_or(block);
            if block.is_empty() {
                return Err(BadEntries::CutShort(self.done.entries));
            }
            bytes.extend_from_slice(block);
            let taken = block.len();
            self.source.consume(taken);
        }
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadEntries> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BadEntries::CutShort(self.done.entries),
            _ => BadEntries::Io(error),
        })?;
        Ok(bytes)
    }

    /// Reads one byte; `None` if there is none.
    fn byte_or_end(&mut self) -> Result<Option<u8>, BadEntries> {
        let first = self.block()?.first().copied();
        self.source.consume(usize::from(first.is_some()));
        Ok(first)
    }

    /// Returns what of the source is at hand, which is nothing only at its end.
    fn block(&mut self) -> Result<&[u8], BadEntries> {
        while let Err(error) = self.source.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(BadEntries::Io(error));
            }
        }
        Ok(self.source.buffer())
    }

    fn malformed(&self, why: &'static str) -> BadEntries {
        BadEntries::Malformed { place: self.done.entries, why }
    }
}

/// Hashes whatever is read from a source, in the blocks in which it is read.
#[derive(Debug)]
struct Hashing<R> {
    source: R,
    done: Hashed,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        self.done.take(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Length and hash of bytes.
#[derive(Debug, Default)]
struct Hashed {
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn digest(self) -> FileDigest {
        FileDigest { bytes: self.bytes, sha256: self.hash.finalize().into() }
    }
}

/// Which entries lie before the place in the file where the next byte is written or read.
#[derive(Debug, Default)]
struct Place {
    entries: u64,
    last: Option<u64>,
}

impl Place {
    fn entry(&mut self, index: u64) {
        self.entries += 1;
        self.last = Some(index);
    }

    fn may_follow(&self, index: u64) -> bool {
        self.last.is_none_or(|last| last < index)
    }
}

/// Writes a length that was checked to fit in the last `N` bytes of a big-endian number.
fn length<const N: usize>(length: usize) -> [u8; N] {
    let bytes = (length as u64).to_be_bytes();
    bytes.last_chunk().copied().unwrap_or([0xff; N])
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn written(entries: &[BundleEntry]) -> (EntriesDigest, Vec<u8>) {
        let mut writer = EntriesWriter::new(Vec::new()).unwrap();
        for entry in entries {
            writer.push(entry.index, &entry.leaf, &entry.fields).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<(EntriesDigest, Vec<BundleEntry>), BadEntries> {
        let mut reader = EntriesReader::new(bytes)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.read()? {
            entries.push(entry);
        }
        Ok((reader.digest(), entries))
    }

    fn shown(value: &'static [u8]) -> Opening {
        Opening::Shown { salt: *b"0123456789abcdef", value: Bytes::from_static(value) }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        digits.as_bytes().chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    /// Written by hand; as long as version 2 is read, these bytes must be.
    #[test]
    fn the_file_of_entries_has_the_bytes_that_the_format_says() {
        let fields = [(Field::Main, shown(b"why")), (Field::SealedRequest, Opening::Withheld([0xcc; 32]))];
        let entries = [
            BundleEntry { index: 7, leaf: b"leaf".to_vec(), fields: Openings::default() },
            BundleEntry { index: 258, leaf: b"l".to_vec(), fields: fields.into_iter().collect() },
        ];
        let bytes = hex(&format!(
            "65786561742d656e74726965732f7632 0000000000000007 0004 6c656166 00 0000000000000102 0001 6c 02 \
             01 01 30313233343536373839616263646566 00000003 776879 05 00 {}",
            "cc".repeat(32)
        ));
        assert_eq!(written(&entries).1, bytes);
        assert_eq!(read(&bytes).unwrap().1, entries);
    }

    #[test]
    fn a_file_that_is_cut_short_anywhere_but_between_entries_is_refused() {
        let fields = [(Field::Main, shown(b"why")), (Field::Request, Opening::Withheld([1; 32]))];
        let entry = |index| BundleEntry { index, leaf: vec![1], fields: fields.clone().into_iter().collect() };
        let bytes = written(&[entry(0), entry(9)]).1;
        let between = written(&[entry(0)]).1.len();
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]).is_ok(), cut == 16 || cut == between, "cut at {cut}");
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused_before_memory_is_taken() {
        let with = |rest: &str| read(&[MAGIC.as_slice(), &hex(rest)].concat()).unwrap_err();
        for (what, rest) in [
            ("a long leaf", "0000000000000000 0401"),
            ("a long value", "0000000000000000 0000 01 01 01 00000000000000000000000000000000 01000001"),
            ("an unknown marker", "0000000000000000 0000 01 01 02"),
            ("an unknown field", "0000000000000000 0000 01 07 00"),
        ] {
            assert!(matches!(with(rest), BadEntries::Malformed { place: 0, .. }), "{what}");
        }
        let twice = format!("0000000000000000 0000 02 {0} {0}", format_args!("0200{}", "00".repeat(32)));
        assert_eq!(with(&twice).to_string(), "the entry at place 0: its fields are not in rising order");
        let again = "0000000000000004 0000 00 0000000000000004 0000 00";
        assert_eq!(with(again).to_string(), "the entry at place 1: its index is not above that of the entry before");
        assert!(matches!(read(b"exeat-entries/v1"), Err(BadEntries::Magic)));
    }

    #[test]
    fn what_a_reader_would_refuse_is_not_written() {
        let mut writer = EntriesWriter::new(Vec::new()).unwrap();
        let none = Openings::default();
        writer.push(3, b"", &none).unwrap();
        for (index, leaf) in [(4, ENTRY_BYTES_MAX + 1), (3, 1), (2, 1)] {
            let refused = writer.push(index, &vec![0; leaf], &none).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        let long = Opening::Shown { salt: [0; 16], value: vec![0; FIELD_BYTES_MAX + 1].into() };
        let refused = writer.push(4, b"", &[(Field::Main, long)].into_iter().collect()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(writer.finish().unwrap().0.entries, 1);
    }

    fn any_opening() -> impl Strategy<Value = Opening> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(Opening::Withheld),
            (any::<[u8; 16]>(), vec(any::<u8>(), 0..300))
                .prop_map(|(salt, value)| Opening::Shown { salt, value: value.into() }),
        ]
    }

    prop_compose! {
        fn any_entries()(
            entries in vec((1_u64..1_000, vec(any::<u8>(), 0..200), vec((0_usize..6, any_opening()), 0..4)), 0..20),
        ) -> Vec<BundleEntry> {
            let mut index = 0;
            entries.into_iter().map(|(step, leaf, fields)| {
                index += step;
                let fields = fields.into_iter().map(|(at, opening)| (Field::ALL[at], opening)).collect();
                BundleEntry { index, leaf, fields }
            }).collect()
        }
    }

    /// Gives so many bytes at most at a time, and is interrupted before each.
    struct Dribble<'a>(&'a [u8], usize, bool);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    #[test]
    fn an_entry_of_many_blocks_is_read_whole_and_one_cut_short_is_not() {
        let value = vec![7; 3 * BLOCK_BYTES + 5];
        let long = Opening::Shown { salt: [1; 16], value: value.into() };
        let entry = |index, fields| BundleEntry { index, leaf: vec![2; ENTRY_BYTES_MAX], fields };
        let entries = [entry(0, [(Field::Main, long)].into_iter().collect()), entry(1, Openings::default())];
        let (digest, bytes) = written(&entries);
        assert_eq!(read(&bytes).unwrap(), (digest, entries.to_vec()));
        assert!(matches!(read(&bytes[..2 * BLOCK_BYTES]), Err(BadEntries::CutShort(0))));
        assert!(matches!(read(&bytes[..bytes.len() - 1]), Err(BadEntries::CutShort(1))));
    }

    proptest! {
        #[test]
        fn however_a_source_gives_its_bytes_they_are_read_the_same(entries in any_entries(), most in 1_usize..40) {
            let (digest, bytes) = written(&entries);
            let mut reader = EntriesReader::new(Dribble(&bytes, most, false)).unwrap();
            for entry in entries {
                prop_assert_eq!(reader.read().unwrap(), Some(entry));
            }
            prop_assert_eq!(reader.read().unwrap(), None);
            prop_assert_eq!(reader.digest(), digest);
        }

        #[test]
        fn entries_read_back_with_the_digest_they_were_written_with(entries in any_entries()) {
            let (digest, bytes) = written(&entries);
            prop_assert_eq!(digest.file, FileDigest::of(&bytes));
            prop_assert_eq!(read(&bytes).unwrap(), (digest, entries));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let bytes = [MAGIC.as_slice(), &bytes].concat();
            if let Ok((digest, entries)) = read(&bytes) {
                prop_assert_eq!(written(&entries), (digest, bytes));
            }
        }

        #[test]
        fn a_changed_byte_is_refused_or_reads_as_other_entries(
            entries in any_entries(), at: prop::sample::Index, byte: u8,
        ) {
            let mut bytes = written(&entries).1;
            let at = at.index(bytes.len());
            let before = std::mem::replace(&mut bytes[at], byte);
            if let Ok((_, read)) = read(&bytes) {
                prop_assert_eq!(read == entries, before == byte);
            }
        }
    }
}
