//! Tiles and entry bundles on disk: written as the log grows, read for proofs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use proof::{
    tile::{
        BadTile, TILE_WIDTH, TileKind, TilePath, TileReader, decode_entries, decode_hashes, encode_entries,
        perfect_root,
    },
    tree::Hash,
};

use crate::storage::{Storage, parent, put};

const FULL: usize = TILE_WIDTH as usize;

/// Reads the tiles under one directory.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    dir: PathBuf,
}

impl Tiles {
    pub(crate) fn new(dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self { dir }
    }

    pub(crate) fn path(&self, tile: TilePath) -> PathBuf {
        self.dir.join(tile.to_string())
    }

    /// Returns the bytes of a tile, or of the full one that took its place, and how wide that is.
    pub(crate) fn read(&self, tile: TilePath) -> io::Result<(Vec<u8>, u16)> {
        match std::fs::read(self.path(tile)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tile.is_partial() => {
                let full = TilePath::new(tile.kind(), tile.index(), TILE_WIDTH).map_err(io::Error::other)?;
                Ok((std::fs::read(self.path(full))?, TILE_WIDTH))
            }
            read => Ok((read?, tile.width())),
        }
    }

    /// Returns the leaf at `index` of a log of `size` entries, from its bundle.
    pub(crate) fn leaf(&self, index: u64, size: u64) -> io::Result<Vec<u8>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let width = u64::from(TILE_WIDTH);
        let path = TilePath::in_log(TileKind::Entries, index / width, size).ok_or_else(missing)?;
        let (bytes, _) = self.read(path)?;
        let entries = decode_entries(&bytes).map_err(invalid)?;
        let at = usize::try_from(index % width).map_err(io::Error::other)?;
        entries.get(at).map(|leaf| leaf.to_vec()).ok_or_else(missing)
    }
}

impl TileReader for Tiles {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        let (bytes, width) = self.read(path)?;
        decode_hashes(&bytes, width).map_err(invalid)
    }
}

/// Reads tiles and keeps the last of each kind, for whoever goes through a tree in order.
#[derive(Debug)]
pub(crate) struct Recent {
    tiles: Tiles,
    last: RefCell<BTreeMap<TileKind, (TilePath, Vec<Hash>)>>,
}

impl Recent {
    pub(crate) fn new(tiles: Tiles) -> Self {
        Self { tiles, last: RefCell::default() }
    }
}

impl TileReader for Recent {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        let mut last = self.last.borrow_mut();
        if let Some((_, hashes)) = last.get(&path.kind()).filter(|(known, _)| *known == path) {
            return Ok(hashes.clone());
        }
        let hashes = self.tiles.tile(path)?;
        last.insert(path.kind(), (path, hashes.clone()));
        Ok(hashes)
    }
}

fn invalid(error: BadTile) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The right edge of one level of tiles.
#[derive(Clone, Debug, Default)]
struct Edge<T> {
    /// The index of the tile that is being filled.
    index: u64,
    items: Vec<T>,
    /// How many of the items the partial tile on disk has.
    put: usize,
}

impl<T> Edge<T> {
    fn next(&mut self) {
        self.index += 1;
        self.items.clear();
        self.put = 0;
    }
}

/// Writes tiles as entries are pushed. After an error it is in no known state: resume another one.
#[derive(Debug)]
pub(crate) struct Tiler {
    storage: Arc<dyn Storage>,
    tiles: Tiles,
    entries: Edge<Vec<u8>>,
    levels: Vec<Edge<Hash>>,
    /// Full tiles that were written and not synced.
    unsynced: Vec<PathBuf>,
    /// Directories of partial tiles whose full tile is there.
    obsolete: Vec<PathBuf>,
    /// Directories of the partial tiles at the right edge when everything was last synced: should the power go, the
    /// next opening goes on from them.
    resumable: BTreeSet<PathBuf>,
}

impl Tiler {
    /// Begins with an empty log.
    pub(crate) fn new(storage: Arc<dyn Storage>, tiles: Tiles) -> Self {
        Self {
            storage,
            tiles,
            entries: Edge::default(),
            levels: Vec::new(),
            unsynced: Vec::new(),
            obsolete: Vec::new(),
            resumable: BTreeSet::new(),
        }
    }

    /// Goes on after `size` entries whose tiles are on disk.
    pub(crate) fn resume(storage: Arc<dyn Storage>, tiles: Tiles, size: u64) -> io::Result<Self> {
        let mut tiler = Self::new(storage, tiles);
        tiler.entries = tiler.resume_entries(size)?;
        let mut hashes = size;
        while hashes > 0 {
            let level = tiler.levels.len();
            let edge = tiler.resume_level(level, hashes, size)?;
            tiler.levels.push(edge);
            hashes /= u64::from(TILE_WIDTH);
        }
        tiler.resumable = dirs_of(&tiler.partials()?);
        Ok(tiler)
    }

    fn resume_entries(&self, size: u64) -> io::Result<Edge<Vec<u8>>> {
        let (index, width) = edge(size);
        let mut items = Vec::new();
        if let Some(path) = TilePath::in_log(TileKind::Entries, index, size) {
            let (bytes, _) = self.tiles.read(path)?;
            let entries = decode_entries(&bytes).map_err(invalid)?;
            items.extend(entries.iter().take(width).map(|leaf| leaf.to_vec()));
        }
        resumed(index, items, width)
    }

    fn resume_level(&self, level: usize, hashes: u64, size: u64) -> io::Result<Edge<Hash>> {
        let (index, width) = edge(hashes);
        let kind = TileKind::Hashes(u8::try_from(level).map_err(io::Error::other)?);
        let mut items = Vec::new();
        if let Some(path) = TilePath::in_log(kind, index, size) {
            items = self.tiles.tile(path)?;
            items.truncate(width);
        }
        resumed(index, items, width)
    }

    /// Appends one leaf, whose hash is `hash`, writing each tile that it fills.
    pub(crate) fn push(&mut self, leaf: &[u8], mut hash: Hash) -> io::Result<()> {
        self.entries.items.push(leaf.to_vec());
        if self.entries.items.len() == FULL {
            self.put_entries()?;
            self.entries.next();
        }
        for level in 0.. {
            match self.push_hash(level, hash)? {
                Some(above) => hash = above,
                None => break,
            }
        }
        Ok(())
    }

    /// Appends one hash; returns the hash above the tile that it fills, if it fills one.
    fn push_hash(&mut self, level: usize, hash: Hash) -> io::Result<Option<Hash>> {
        if self.levels.len() == level {
            self.levels.push(Edge::default());
        }
        let Some(edge) = self.levels.get_mut(level) else {
            return Ok(None);
        };
        edge.items.push(hash);
        if edge.items.len() < FULL {
            return Ok(None);
        }
        let above = perfect_root(&edge.items);
        self.put_hashes(level)?;
        if let Some(edge) = self.levels.get_mut(level) {
            edge.next();
        }
        Ok(above)
    }

    /// Writes the partial tiles at the right edge, so that the tree of all that was pushed can be read.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.entries.items.len() > self.entries.put {
            self.put_entries()?;
            self.entries.put = self.entries.items.len();
        }
        for level in 0..self.levels.len() {
            let stale = |edge: &&mut Edge<Hash>| edge.items.len() > edge.put;
            if self.levels.get_mut(level).filter(stale).is_some() {
                self.put_hashes(level)?;
            }
        }
        for edge in &mut self.levels {
            edge.put = edge.items.len();
        }
        Ok(())
    }

    fn put_entries(&mut self) -> io::Result<()> {
        let bytes = encode_entries(&self.entries.items).map_err(invalid)?;
        let width = self.entries.items.len();
        self.put(TileKind::Entries, self.entries.index, width, &bytes)
    }

    fn put_hashes(&mut self, level: usize) -> io::Result<()> {
        let Some(edge) = self.levels.get(level) else {
            return Ok(());
        };
        let (index, width, bytes) = (edge.index, edge.items.len(), edge.items.concat());
        let kind = TileKind::Hashes(u8::try_from(level).map_err(io::Error::other)?);
        self.put(kind, index, width, &bytes)
    }

    /// Writes a tile and reads it back: a bit that flipped on the way is met before anything above it is signed.
    fn put(&mut self, kind: TileKind, index: u64, width: usize, bytes: &[u8]) -> io::Result<()> {
        let tile = name(kind, index, width)?;
        let path = self.tiles.path(tile);
        put(self.storage.as_ref(), &path, bytes)?;
        if std::fs::read(&path)? != bytes {
            let why = format!("`{}` does not read back as it was written", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if !tile.is_partial() {
            self.obsolete.push(path.with_added_extension("p"));
            self.unsynced.push(path);
        }
        Ok(())
    }

    /// Removes partial tiles whose full tile is there; call it once a checkpoint that covers the full one is published.
    pub(crate) fn tidy(&mut self) {
        for dir in self.obsolete.extract_if(.., |dir| !self.resumable.contains(dir)) {
            // Whatever stays is only in the way, not wrong.
            let _removed = self.storage.remove_dir(&dir);
        }
    }

    /// Makes everything that was written so far durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let partials = self.partials()?;
        let paths = [self.unsynced.as_slice(), &partials].concat();
        let mut dirs = BTreeSet::new();
        for path in &paths {
            self.storage.open(path)?.sync()?;
            dirs.extend(ancestors(&self.tiles.dir, path));
        }
        for dir in &dirs {
            self.storage.sync_dir(dir)?;
        }
        self.unsynced.clear();
        self.resumable = dirs_of(&partials);
        Ok(())
    }

    /// Returns the paths of the partial tiles that [`Tiler::flush`] wrote last.
    fn partials(&self) -> io::Result<Vec<PathBuf>> {
        let mut tiles = vec![(TileKind::Entries, self.entries.index, self.entries.put)];
        for (level, edge) in (0..).zip(&self.levels) {
            tiles.push((TileKind::Hashes(level), edge.index, edge.put));
        }
        tiles
            .into_iter()
            .filter(|(_, _, width)| *width > 0)
            .map(|(kind, index, width)| Ok(self.tiles.path(name(kind, index, width)?)))
            .collect()
    }
}

fn name(kind: TileKind, index: u64, width: usize) -> io::Result<TilePath> {
    let width = u16::try_from(width).map_err(io::Error::other)?;
    TilePath::new(kind, index, width).map_err(io::Error::other)
}

/// Returns the tile that is being filled once a level has `count` items, and how many of them it has.
fn edge(count: u64) -> (u64, usize) {
    let width = u64::from(TILE_WIDTH);
    let rest = usize::try_from(count % width).unwrap_or_default();
    (count / width, rest)
}

fn resumed<T>(index: u64, items: Vec<T>, width: usize) -> io::Result<Edge<T>> {
    if items.len() != width {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(Edge { index, items, put: width })
}

/// Returns the directories that files are in.
fn dirs_of(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    paths.iter().map(|path| parent(path).to_owned()).collect()
}

/// Returns the directories from `top` down to the one that `path` is in, with `top`.
fn ancestors(top: &Path, path: &Path) -> Vec<PathBuf> {
    parent(path).ancestors().take_while(|dir| dir.starts_with(top)).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proof::{
        tile::TileHashes,
        tree::{Frontier, leaf_hash, root},
    };

    use super::*;
    use crate::storage::Disk;

    fn leaf(index: u64) -> Vec<u8> {
        format!("leaf {index}").into_bytes()
    }

    #[test]
    fn tiles_have_the_root_of_the_leaves_wherever_they_were_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = Tiles::new(dir.path());
        let mut tree = Frontier::new();
        let mut tiler = Tiler::new(Arc::new(Disk), tiles.clone());
        for stop in [1_u64, 2, 255, 256, 257, 600, 65_536, 66_000] {
            while tree.size() < stop {
                let leaf = leaf(tree.size());
                tree.push(leaf_hash(&leaf));
                tiler.push(&leaf, leaf_hash(&leaf)).unwrap();
            }
            tiler.flush().unwrap();
            tiler.sync().unwrap();
            tiler.tidy();
            let log = TileHashes::new(tiles.clone(), stop);
            assert_eq!(root(&log, stop).unwrap(), tree.root(), "{stop}");
            assert_eq!(tiles.leaf(stop - 1, stop).unwrap(), leaf(stop - 1));
            tiler = Tiler::resume(Arc::new(Disk), tiles.clone(), stop).unwrap();
        }
        assert!(!dir.path().join("tile/0/000.p").exists());
        assert!(dir.path().join("tile/1/001.p/1").exists());
    }

    #[test]
    fn a_missing_partial_tile_is_read_from_the_full_one() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = Tiles::new(dir.path());
        let mut tiler = Tiler::new(Arc::new(Disk), tiles.clone());
        (0..256).for_each(|index| tiler.push(&leaf(index), leaf_hash(&leaf(index))).unwrap());
        let mut tree = Frontier::new();
        (0..100).for_each(|index| tree.push(leaf_hash(&leaf(index))));
        let log = TileHashes::new(tiles.clone(), 100);
        assert_eq!(root(&log, 100).unwrap(), tree.root());
        assert_eq!(tiles.leaf(99, 100).unwrap(), leaf(99));
    }

    #[test]
    fn the_partial_tiles_of_the_last_sync_stay_until_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = Tiles::new(dir.path());
        let mut tiler = Tiler::new(Arc::new(Disk), tiles.clone());
        let grow = |tiler: &mut Tiler, from: u64, to: u64| {
            (from..to).for_each(|index| tiler.push(&leaf(index), leaf_hash(&leaf(index))).unwrap());
            tiler.flush().unwrap();
        };
        grow(&mut tiler, 0, 100);
        tiler.sync().unwrap();
        grow(&mut tiler, 100, 300);
        tiler.tidy();
        assert!(Tiler::resume(Arc::new(Disk), tiles.clone(), 100).is_ok());
        tiler.sync().unwrap();
        tiler.tidy();
        assert!(!dir.path().join("tile/entries/000.p").exists());
        assert!(Tiler::resume(Arc::new(Disk), tiles, 300).is_ok());
    }

    #[test]
    fn tiles_that_are_not_there_cannot_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = Tiles::new(dir.path());
        assert!(Tiler::resume(Arc::new(Disk), tiles, 5).is_err());
    }
}
