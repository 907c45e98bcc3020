//! The tiles of a mirrored log on disk. What is written here was proved to be a part of a tree that the log signed, and
//! all such trees are consistent; so a file, once there, never changes.

use std::io;

use proof::{
    tile::{
        TILE_WIDTH, TileHashes, TileKind, TilePath, TileReader, decode_entries, decode_hashes, encode_entries,
        perfect_root,
    },
    tree::{Hash, leaf_hash, root},
};

use crate::store::Store;

const FULL: usize = TILE_WIDTH as usize;

/// The tiles in the folder of a log.
#[derive(Clone, Debug)]
pub(crate) struct LogTiles {
    store: Store,
    folder: String,
}

impl LogTiles {
    pub(crate) fn new(store: Store, folder: &str) -> Self {
        Self { store, folder: folder.to_owned() }
    }

    /// Reads a tile as it lies there; `None` if it does not.
    pub(crate) fn read(&self, path: TilePath) -> io::Result<Option<Vec<u8>>> {
        self.store.read(&self.name(path))
    }

    /// Writes a bundle of entries, the first of them at index `256 * bundle`, and the tiles above it; durable on return.
    ///
    /// All entries before the bundle must be there. Writing what is there changes nothing.
    pub(crate) fn put(&self, bundle: u64, entries: &[Vec<u8>]) -> io::Result<()> {
        let width = u16::try_from(entries.len()).map_err(io::Error::other)?;
        let bytes = encode_entries(entries).map_err(io::Error::other)?;
        self.write(tile(TileKind::Entries, bundle, width)?, &bytes)?;
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        self.write(tile(TileKind::Hashes(0), bundle, width)?, &hashes.concat())?;
        match perfect_root(&hashes).filter(|_| entries.len() == FULL) {
            Some(above) => self.put_above(bundle, above),
            None => Ok(()),
        }
    }

    /// Returns the first `count` entries of a bundle, from the narrowest file that has them.
    pub(crate) fn entries(&self, bundle: u64, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let bytes = self.at_least(TileKind::Entries, bundle, count)?;
        let entries = decode_entries(&bytes).map_err(io::Error::other)?;
        let first = entries.get(..count).ok_or_else(missing)?;
        Ok(first.iter().map(|entry| entry.to_vec()).collect())
    }

    /// Returns the first `count` entries of a bundle, which have the hashes that the tile above them says.
    pub(crate) fn checked_entries(&self, bundle: u64, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let entries = self.entries(bundle, count)?;
        let hashes = self.hashes(TileKind::Hashes(0), bundle, count)?;
        if entries.iter().zip(&hashes).any(|(entry, hash)| leaf_hash(entry) != *hash) {
            return Err(io::Error::other(format!(
                "bundle {bundle} has other entries than its tile: the mirror is damaged"
            )));
        }
        Ok(entries)
    }

    /// Makes sure that a log of `size` entries can be read under the names its tiles have, and returns its root.
    pub(crate) fn cut(&self, size: u64) -> io::Result<Hash> {
        let width = u64::from(TILE_WIDTH);
        let (bundle, rest) = (size / width, usize::try_from(size % width).map_err(io::Error::other)?);
        if rest > 0 {
            let narrow = tile(TileKind::Hashes(0), bundle, u16::try_from(rest).map_err(io::Error::other)?)?;
            if self.read(narrow)?.is_none() {
                self.put(bundle, &self.entries(bundle, rest)?)?;
            }
        }
        root(&TileHashes::new(self, size), size).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Removes the partial tiles whose full ones are within a log of `size` entries, from the bundle at `from` on.
    pub(crate) fn tidy(&self, from: u64, size: u64) {
        let (mut first, mut end) = (from / u64::from(TILE_WIDTH), size / u64::from(TILE_WIDTH));
        let mut kinds = vec![TileKind::Entries, TileKind::Hashes(0)];
        for level in 1.. {
            if first >= end {
                return;
            }
            for (kind, index) in kinds.iter().flat_map(|kind| (first..end).map(move |index| (*kind, index))) {
                if let Ok(full) = TilePath::new(kind, index, TILE_WIDTH) {
                    self.store.remove_dir(&format!("{}.p", self.name(full)));
                }
            }
            (first, end) = (first / u64::from(TILE_WIDTH), end / u64::from(TILE_WIDTH));
            kinds = vec![TileKind::Hashes(level)];
        }
    }

    /// Joins the hash of a full tile to the level above.
    fn put_above(&self, mut index: u64, mut hash: Hash) -> io::Result<()> {
        for level in 1.. {
            let (above, at) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
            let kind = TileKind::Hashes(level);
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let mut hashes = self.hashes(kind, above, at)?;
            hashes.push(hash);
            let width = u16::try_from(hashes.len()).map_err(io::Error::other)?;
            self.write(tile(kind, above, width)?, &hashes.concat())?;
            match perfect_root(&hashes).filter(|_| hashes.len() == FULL) {
                Some(next) => (index, hash) = (above, next),
                None => break,
            }
        }
        Ok(())
    }

    fn hashes(&self, kind: TileKind, index: u64, count: usize) -> io::Result<Vec<Hash>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.at_least(kind, index, count)?;
        let width = u16::try_from(bytes.len() / size_of::<Hash>()).map_err(io::Error::other)?;
        let mut hashes = decode_hashes(&bytes, width).map_err(io::Error::other)?;
        hashes.truncate(count);
        if hashes.len() == count { Ok(hashes) } else { Err(missing()) }
    }

    /// Reads the narrowest file of a tile that has `count` items.
    fn at_least(&self, kind: TileKind, index: u64, count: usize) -> io::Result<Vec<u8>> {
        let full = tile(kind, index, TILE_WIDTH)?;
        let folder = self.store.path(&format!("{}.p", self.name(full)));
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let widths = names.filter_map(|name| name.file_name().to_str()?.parse::<u16>().ok());
        let width = widths.filter(|width| usize::from(*width) >= count && *width < TILE_WIDTH).min();
        self.read(tile(kind, index, width.unwrap_or(TILE_WIDTH))?)?.ok_or_else(missing)
    }

    fn write(&self, path: TilePath, bytes: &[u8]) -> io::Result<()> {
        match self.read(path)? {
            Some(there) if there == bytes => Ok(()),
            Some(_) => Err(io::Error::other(format!("`{path}` has other contents: the mirror is damaged"))),
            None => self.store.write(&self.name(path), bytes),
        }
    }

    fn name(&self, path: TilePath) -> String {
        format!("{}/{path}", self.folder)
    }
}

impl TileReader for &LogTiles {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        self.hashes(path.kind(), path.index(), usize::from(path.width()))
    }
}

fn tile(kind: TileKind, index: u64, width: u16) -> io::Result<TilePath> {
    TilePath::new(kind, index, width).map_err(io::Error::other)
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "a tile that the mirror said it has is not there")
}
