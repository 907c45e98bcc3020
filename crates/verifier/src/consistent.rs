//! Compares what two people were shown of one log.

use std::{
    io,
    path::{Path, PathBuf},
};

use proof::{
    bundle::{BadEntries, CHECKPOINT_FILE, ENTRIES_FILE, EntriesReader},
    checkpoint::{BadCheckpoint, Checkpoint},
    equivocation::Equivocation,
    note::{NOTE_BYTES_MAX, VerifierKey},
    tile::{TILE_WIDTH, TileHashes, TilePath, TileReader, decode_hashes},
    tree::{EMPTY_ROOT, Hash, HashReader, leaf_hash, node_hash, prove_consistency, root},
};

use crate::regular;

/// The longest tile of hashes, in bytes.
const TILE_BYTES_MAX: u64 = 32 * TILE_WIDTH as u64;

/// What two views of one log say about each other.
#[derive(Debug)]
pub enum Compared {
    /// The tree of one is a prefix of the tree of the other; with their sizes, the smaller first.
    Consistent(u64, u64),
    /// The log signed both and they contradict each other. The proof convinces others.
    Equivocation(Box<Equivocation>),
}

/// Two views cannot be compared; nothing is known about the log.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file could not be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// A checkpoint is not one that the log signed.
    #[error("`{0}` has no checkpoint of the log: {1}")]
    Checkpoint(String, BadCheckpoint),
    /// Only the checkpoint of the larger view is there.
    #[error("`{0}` is the checkpoint of the larger log alone: name the folder that has its tiles or its entries too")]
    Alone(String),
    /// What is beside a checkpoint is not what it signs.
    #[error("what is in `{0}` does not have the root of the checkpoint there: it is incomplete, or was changed")]
    Damaged(String),
}

/// Compares two views of the log of `key`: each is a file with a signed checkpoint, or a folder with the file `checkpoint`
/// and the tiles or the entries of the log, such as the `log` folder of a gateway, a copy of a mirror, or a bundle.
///
/// Reads of tiles as many as a consistency proof takes, of a bundle all entries.
///
/// # Errors
///
/// [`CompareError`].
pub fn compare(one: &Path, other: &Path, key: &VerifierKey) -> Result<Compared, CompareError> {
    let (one, other) = (View::open(one, key)?, View::open(other, key)?);
    let (smaller, larger) = if one.checkpoint.size <= other.checkpoint.size { (one, other) } else { (other, one) };
    let (size, whole) = (smaller.checkpoint.size, larger.checkpoint.size);
    let (root, hashes) = larger.prefix(size)?;
    if root == smaller.checkpoint.root {
        return Ok(Compared::Consistent(size, whole));
    }
    let proof = Equivocation { smaller: smaller.note, larger: larger.note, root, hashes };
    Ok(Compared::Equivocation(Box::new(proof)))
}

/// What somebody was shown.
struct View {
    path: PathBuf,
    note: String,
    checkpoint: Checkpoint,
}

impl View {
    fn open(path: &Path, key: &VerifierKey) -> Result<Self, CompareError> {
        let file = if path.is_dir() { path.join(CHECKPOINT_FILE) } else { path.to_owned() };
        let note = regular::read(&file, NOTE_BYTES_MAX as u64).map_err(|source| unreadable(&file, source))?;
        let note = String::from_utf8_lossy(&note).into_owned();
        let checkpoint = Checkpoint::open(note.as_bytes(), key.name(), std::slice::from_ref(key))
            .map_err(|bad| CompareError::Checkpoint(file.display().to_string(), bad))?;
        Ok(Self { path: path.to_owned(), note, checkpoint })
    }

    /// Returns the root of the first `size` entries, with the proof that they are a prefix.
    fn prefix(&self, size: u64) -> Result<(Hash, Vec<Hash>), CompareError> {
        if size == self.checkpoint.size {
            return Ok((self.checkpoint.root, Vec::new()));
        }
        if size == 0 {
            return Ok((EMPTY_ROOT, Vec::new()));
        }
        let entries = self.path.join(ENTRIES_FILE);
        if !self.path.is_dir() {
            return Err(CompareError::Alone(self.path.display().to_string()));
        }
        if entries.is_file() {
            let leaves = Leaves::read(&entries)?;
            return self.checked(&leaves, size);
        }
        self.checked(&TileHashes::new(Tiles(self.path.clone()), self.checkpoint.size), size)
    }

    fn checked<R: HashReader>(&self, reader: &R, size: u64) -> Result<(Hash, Vec<Hash>), CompareError> {
        let damaged = || CompareError::Damaged(self.path.display().to_string());
        let whole = root(reader, self.checkpoint.size).map_err(|_| damaged())?;
        if whole != self.checkpoint.root {
            return Err(damaged());
        }
        let first = root(reader, size).map_err(|_| damaged())?;
        let hashes = prove_consistency(reader, size, self.checkpoint.size).map_err(|_| damaged())?;
        Ok((first, hashes))
    }
}

/// The tiles in a folder.
struct Tiles(PathBuf);

impl TileReader for Tiles {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        let full = TilePath::new(path.kind(), path.index(), TILE_WIDTH).map_err(io::Error::other)?;
        let (bytes, width) = match regular::read(&self.0.join(path.to_string()), TILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (regular::read(&self.0.join(full.to_string()), TILE_BYTES_MAX)?, TILE_WIDTH)
            }
            read => (read?, path.width()),
        };
        decode_hashes(&bytes, width).map_err(io::Error::other)
    }
}

/// All leaves of a bundle, as the roots of its perfect subtrees by level.
struct Leaves(Vec<Vec<Hash>>);

impl Leaves {
    fn read(path: &Path) -> Result<Self, CompareError> {
        let invalid = |bad: BadEntries| unreadable(path, io::Error::other(bad));
        let file = regular::open(path, u64::MAX).map_err(|source| unreadable(path, source))?;
        let mut entries = EntriesReader::new(file).map_err(invalid)?;
        let mut leaves = Vec::new();
        while let Some(entry) = entries.read().map_err(invalid)? {
            leaves.push(leaf_hash(&entry.leaf));
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            levels.push(below.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Ok(Self(levels))
    }
}

/// The bundle ends before the checkpoint does.
struct TooShort;

impl HashReader for Leaves {
    type Error = TooShort;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, TooShort> {
        let level = self.0.get(usize::from(level)).ok_or(TooShort)?;
        usize::try_from(index).ok().and_then(|index| level.get(index)).copied().ok_or(TooShort)
    }
}

fn unreadable(path: &Path, source: io::Error) -> CompareError {
    CompareError::Read { path: path.display().to_string(), source }
}
