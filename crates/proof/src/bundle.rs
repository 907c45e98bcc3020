//! Bundles: a whole log in four files that an auditor takes away and checks offline.
//!
//! | file            | what it is                                                                  |
//! |-----------------|-----------------------------------------------------------------------------|
//! | `manifest.json` | the log's origin and size, and length and SHA-256 of the others, see [`Manifest`] |
//! | `checkpoint`    | a signed checkpoint of exactly that size, see [`crate::checkpoint`]         |
//! | `log.vkey`      | the log's verifier key and a newline; for convenience, it proves nothing    |
//! | `entries`       | the entries from the first on, see [`EntriesWriter`]                        |
//!
//! The layout is described for other implementations in `docs/log-format.md`. Readers and writers stream: a log of
//! any length needs the memory of one entry.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use crate::{entry::ENTRY_BYTES_MAX, tree::Hash};

mod manifest;

pub use manifest::{BadManifest, FileDigest, Manifest};

/// The name of the manifest in the bundle's directory.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the checkpoint in the bundle's directory.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The name of the verifier key in the bundle's directory.
pub const KEY_FILE: &str = "log.vkey";
/// The name of the entries in the bundle's directory.
pub const ENTRIES_FILE: &str = "entries";

/// What the file of entries begins with; its last digit is the version.
const MAGIC: &[u8; 16] = b"exeat-entries/v1";
/// The private part of an entry is at most this long, in bytes: 16 MiB, a snapshot with thousands of instruments.
pub const PRIVATE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// One entry of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BundleEntry {
    /// The exact bytes of the leaf.
    pub leaf: Vec<u8>,
    /// What opens its commitment; absent where it has none or its private part is withheld.
    pub opening: Option<Opening>,
}

/// What opens a commitment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// The salt.
    pub salt: [u8; 16],
    /// The private part.
    pub private: Vec<u8>,
}

/// Writes the file of entries.
///
/// The file is the 16 bytes `exeat-entries/v1`, then each entry as: length of the leaf (2 bytes, big endian), the
/// leaf, and the byte 0; or in place of 0 the byte 1, the salt (16 bytes), the length of the private part (4 bytes,
/// big endian) and the private part. It ends after the last entry.
#[derive(Debug)]
pub struct EntriesWriter<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
    entries: u64,
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
        let mut writer = Self { out, hash: Sha256::new(), bytes: 0, entries: 0 };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Writes the next entry, with what opens its commitment or `None` to withhold it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the leaf is longer than [`ENTRY_BYTES_MAX`] or the private part than
    /// [`PRIVATE_BYTES_MAX`], before anything is written; else whatever writing answers.
    pub fn push(&mut self, leaf: &[u8], opening: Option<(&[u8; 16], &[u8])>) -> io::Result<()> {
        let private = opening.map_or(0, |(_, private)| private.len());
        if leaf.len() > ENTRY_BYTES_MAX || private > PRIVATE_BYTES_MAX {
            return Err(invalid("the entry or its private part is too long for a bundle"));
        }
        self.put(&length::<2>(leaf.len()))?;
        self.put(leaf)?;
        match opening {
            None => self.put(&[0])?,
            Some((salt, private)) => {
                self.put(&[1])?;
                self.put(salt)?;
                self.put(&length::<4>(private.len()))?;
                self.put(private)?;
            }
        }
        self.entries += 1;
        Ok(())
    }

    /// Flushes and says what was written; the caller makes the file durable.
    ///
    /// # Errors
    ///
    /// Whatever flushing answers.
    pub fn finish(mut self) -> io::Result<(EntriesDigest, W)> {
        self.out.flush()?;
        let digest = digest(self.entries, self.bytes, self.hash);
        Ok((digest, self.out))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Reads a file of entries from front to back, hashing what it reads.
#[derive(Debug)]
pub struct EntriesReader<R> {
    source: R,
    hash: Sha256,
    bytes: u64,
    entries: u64,
}

/// The file of entries is not one.
#[derive(Debug, thiserror::Error)]
pub enum BadEntries {
    /// It begins with something else.
    #[error("the file does not begin with `exeat-entries/v1`: it is no file of entries, or of another version")]
    Magic,
    /// It ends within an entry.
    #[error("the file ends within entry {0}")]
    CutShort(u64),
    /// A length or a marker that no writer writes.
    #[error("entry {index}: {why}")]
    Malformed {
        /// Which entry, the first being 0.
        index: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The file could not be read; it may be good.
    #[error("cannot read the entries: {0}")]
    Io(#[source] io::Error),
}

impl<R: Read> EntriesReader<R> {
    /// Begins to read. Give a buffered reader: each entry takes a few small reads.
    ///
    /// # Errors
    ///
    /// [`BadEntries::Magic`], [`BadEntries::Io`].
    pub fn new(source: R) -> Result<Self, BadEntries> {
        let mut reader = Self { source, hash: Sha256::new(), bytes: 0, entries: 0 };
        let mut magic = [0; MAGIC.len()];
        reader.take(&mut magic).map_err(|error| match error {
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
        let Some(length) = self.leaf_length()? else {
            return Ok(None);
        };
        let leaf = self.vec(length)?;
        let opening = match self.array::<1>()? {
            [0] => None,
            [1] => Some(self.opening()?),
            _ => return Err(self.malformed("the marker after the leaf is neither 0 nor 1")),
        };
        self.entries += 1;
        Ok(Some(BundleEntry { leaf, opening }))
    }

    /// Says what was read so far: of the whole file, once [`EntriesReader::read`] returned `None`.
    #[must_use]
    pub fn digest(self) -> EntriesDigest {
        digest(self.entries, self.bytes, self.hash)
    }

    /// Returns the length of the next leaf; `None` if the file ends here.
    fn leaf_length(&mut self) -> Result<Option<usize>, BadEntries> {
        let mut high = [0];
        if !self.take_or_end(&mut high)? {
            return Ok(None);
        }
        let [low] = self.array::<1>()?;
        let [high] = high;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > ENTRY_BYTES_MAX {
            return Err(self.malformed("the leaf is longer than an entry can be"));
        }
        Ok(Some(length))
    }

    fn opening(&mut self) -> Result<Opening, BadEntries> {
        let salt = self.array()?;
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length > PRIVATE_BYTES_MAX {
            return Err(self.malformed("the private part is longer than 16 MiB"));
        }
        let private = self.vec(length)?;
        Ok(Opening { salt, private })
    }

    /// Reads `length` bytes, taking memory only as they arrive.
    fn vec(&mut self, length: usize) -> Result<Vec<u8>, BadEntries> {
        let mut bytes = Vec::new();
        let mut source = (&mut self.source).take(length as u64);
        source.read_to_end(&mut bytes).map_err(BadEntries::Io)?;
        if bytes.len() < length {
            return Err(BadEntries::CutShort(self.entries));
        }
        self.count(&bytes);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadEntries> {
        let mut bytes = [0; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), BadEntries> {
        let read = self.source.read_exact(bytes);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BadEntries::CutShort(self.entries),
            _ => BadEntries::Io(error),
        })?;
        self.count(bytes);
        Ok(())
    }

    /// Reads one byte, or returns false if there is none.
    fn take_or_end(&mut self, byte: &mut [u8; 1]) -> Result<bool, BadEntries> {
        loop {
            match self.source.read(byte) {
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BadEntries::Io(error)),
            }
        }
        self.count(byte);
        Ok(true)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn malformed(&self, why: &'static str) -> BadEntries {
        BadEntries::Malformed { index: self.entries, why }
    }
}

fn digest(entries: u64, bytes: u64, hash: Sha256) -> EntriesDigest {
    let sha256: Hash = hash.finalize().into();
    EntriesDigest { entries, file: FileDigest { bytes, sha256 } }
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
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn written(entries: &[BundleEntry]) -> (EntriesDigest, Vec<u8>) {
        let mut writer = EntriesWriter::new(Vec::new()).unwrap();
        for entry in entries {
            let opening = entry.opening.as_ref();
            writer.push(&entry.leaf, opening.map(|o| (&o.salt, o.private.as_slice()))).unwrap();
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

    /// As long as version 1 is read, these bytes must be.
    #[test]
    fn the_file_of_entries_has_the_bytes_that_the_format_says() {
        let entries = [
            BundleEntry { leaf: b"leaf".to_vec(), opening: None },
            BundleEntry {
                leaf: b"l".to_vec(),
                opening: Some(Opening { salt: *b"0123456789abcdef", private: b"why".to_vec() }),
            },
        ];
        let bytes = b"exeat-entries/v1\0\x04leaf\0\0\x01l\x010123456789abcdef\0\0\0\x03why";
        assert_eq!(written(&entries).1, bytes);
        assert_eq!(read(bytes).unwrap().1, entries);
    }

    #[test]
    fn a_file_that_is_cut_short_anywhere_but_between_entries_is_refused() {
        let bytes = b"exeat-entries/v1\0\x01l\x010123456789abcdef\0\0\0\x03why";
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]).is_ok(), cut == 16, "cut at {cut}");
        }
    }

    #[test]
    fn lengths_that_no_writer_writes_are_refused_before_memory_is_taken() {
        let with = |rest: &[u8]| read(&[MAGIC.as_slice(), rest].concat()).unwrap_err();
        let malformed = |error| matches!(error, BadEntries::Malformed { index: 0, .. });
        assert!(malformed(with(&[0xff, 0xff])));
        assert!(malformed(with(&[0, 0, 2])));
        assert!(malformed(with(&[&[0, 0, 1][..], &[0; 16], &[0xff; 4]].concat())));
        assert!(matches!(read(b"exeat-entries/v2"), Err(BadEntries::Magic)));
    }

    #[test]
    fn an_entry_that_is_too_long_is_not_written() {
        let mut writer = EntriesWriter::new(Vec::new()).unwrap();
        let refused = writer.push(&[0; ENTRY_BYTES_MAX + 1], None).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(writer.finish().unwrap().0.entries, 0);
    }

    proptest! {
        #[test]
        fn entries_read_back_with_the_digest_they_were_written_with(
            entries in vec((vec(any::<u8>(), 0..200), option::of((any::<[u8; 16]>(), vec(any::<u8>(), 0..300)))), 0..20),
        ) {
            let entries: Vec<_> = entries.into_iter().map(|(leaf, opening)| BundleEntry {
                leaf,
                opening: opening.map(|(salt, private)| Opening { salt, private }),
            }).collect();
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
    }
}
