//! Tiles: how a log's tree is cut into files of at most 256 hashes, and its entries into bundles of at most 256.
//!
//! # Source
//!
//! C2SP tlog-tiles v0.1.0.

use std::{fmt, str::FromStr};

use crate::tree::{Hash, HashReader, node_hash};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;
/// The highest tile level that a path can name.
pub const TILE_LEVEL_MAX: u8 = 63;

/// What a tile holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TileKind {
    /// Hashes of the tree at level `8 * L`; `L` is at most [`TILE_LEVEL_MAX`].
    Hashes(u8),
    /// The entries themselves, each with its length.
    Entries,
}

/// Names one tile, complete or partial; written as its path, `tile/1/x001/x234/067.p/5` or `tile/entries/000`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// A tile cannot be named so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not the path of a tile: {why}")]
pub struct BadTilePath {
    /// What was given, at most 120 characters of it.
    pub text: String,
    /// What is wrong.
    pub why: &'static str,
}

impl TilePath {
    /// Names the tile at `index`, the leftmost being 0, with the first `width` of its hashes or entries (1 to 256).
    ///
    /// # Errors
    ///
    /// [`BadTilePath`] if the level or the width is out of range.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, BadTilePath> {
        let bad = |why| BadTilePath { text: format!("{kind:?} {index} of width {width}"), why };
        if matches!(kind, TileKind::Hashes(level) if level > TILE_LEVEL_MAX) {
            return Err(bad("the level is at most 63"));
        }
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(bad("the width is 1 to 256"));
        }
        Ok(Self { kind, index, width })
    }

    /// Returns what the tile holds.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Returns which tile of its level it is, the leftmost being 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns how many hashes or entries it holds, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Returns true if the tile is not full and a wider one replaces it once the log has grown.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Returns the tile of `kind` at `index` in a log of `size` entries; `None` if that log does not have it.
    #[must_use]
    pub fn in_log(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        let hashes = size.checked_shr(level * u32::from(TILE_HEIGHT))?;
        let first = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = hashes.saturating_sub(first).min(u64::from(TILE_WIDTH));
        Self::new(kind, index, u16::try_from(width).ok()?).ok()
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        write_index(f, self.index)?;
        if self.is_partial() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Writes groups of three digits, all but the last marked with `x`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let groups = index.checked_ilog(1_000).unwrap_or(0);
    for group in (1..=groups).rev() {
        write!(f, "x{:03}/", index / 1_000_u64.pow(group) % 1_000)?;
    }
    write!(f, "{:03}", index % 1_000)
}

impl FromStr for TilePath {
    type Err = BadTilePath;

    fn from_str(text: &str) -> Result<Self, BadTilePath> {
        parse_path(text)
            .and_then(|path| {
                if path.to_string() == text { Ok(path) } else { Err("numbers are written without needless digits") }
            })
            .map_err(|why| BadTilePath { text: text.chars().take(120).collect(), why })
    }
}

fn parse_path(text: &str) -> Result<TilePath, &'static str> {
    let rest = text.strip_prefix("tile/").ok_or("it begins with `tile/`")?;
    let (kind, rest) = rest.split_once('/').ok_or("a level or `entries` follows `tile/`")?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes(level.parse().map_err(|_| "the level is 0 to 63")?),
    };
    let (index, width) = match rest.split_once(".p/") {
        None => (rest, TILE_WIDTH),
        Some((_, "256")) => return Err("a full tile has no `.p/`"),
        Some((index, width)) => (index, width.parse().map_err(|_| "the width is 1 to 255")?),
    };
    TilePath::new(kind, parse_index(index)?, width).map_err(|bad| bad.why)
}

fn parse_index(text: &str) -> Result<u64, &'static str> {
    let mut index: u64 = 0;
    for group in text.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value: u64 =
            digits.parse().ok().filter(|value| *value < 1_000).ok_or("the index is groups of three digits")?;
        index = index.checked_mul(1_000).and_then(|index| index.checked_add(value)).ok_or("the index is below 2^64")?;
    }
    Ok(index)
}

/// Returns the hashes in the bytes of a tile.
///
/// # Errors
///
/// [`BadTile::Length`] if they are not `width` hashes of 32 bytes.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, BadTile> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() && hashes.len() == usize::from(width) { Ok(hashes.to_vec()) } else { Err(BadTile::Length) }
}

/// Returns the bytes of a bundle of entries, each after its length in two bytes, big endian.
///
/// # Errors
///
/// [`BadTile::TooMany`] beyond 256 entries, [`BadTile::TooLong`] for an entry beyond 65,535 bytes.
pub fn encode_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, BadTile> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return Err(BadTile::TooMany);
    }
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| BadTile::TooLong)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Returns the entries in the bytes of a bundle.
///
/// # Errors
///
/// [`BadTile::Length`] if an entry is cut short, [`BadTile::TooMany`] beyond 256 entries.
pub fn decode_entries(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BadTile> {
    let mut entries = Vec::with_capacity(TILE_WIDTH.into());
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk().ok_or(BadTile::Length)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BadTile::Length)?;
        entries.push(entry);
        bytes = rest;
        if entries.len() > usize::from(TILE_WIDTH) {
            return Err(BadTile::TooMany);
        }
    }
    Ok(entries)
}

/// The contents of a tile are not what its format says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTile {
    /// The bytes end early, or there are more than the width says.
    #[error("the tile is cut short or has bytes too many: read it again from its source")]
    Length,
    /// More than 256 hashes or entries.
    #[error("a tile holds at most 256 hashes or entries")]
    TooMany,
    /// An entry is longer than two bytes can say.
    #[error("an entry is at most 65,535 bytes long")]
    TooLong,
}

/// Reads whole tiles of hashes.
pub trait TileReader {
    /// Why a tile cannot be read.
    type Error;

    /// Returns the hashes of a tile: `path.width()` of them, or more if a wider one is at hand.
    ///
    /// # Errors
    ///
    /// Whatever reading answers.
    fn tile(&self, path: TilePath) -> Result<Vec<Hash>, Self::Error>;
}

/// The hashes of a log of known size, read from its tiles, so that proofs can be made from them.
#[derive(Clone, Debug)]
pub struct TileHashes<R> {
    tiles: R,
    size: u64,
}

/// A hash cannot be read from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileHashError<E> {
    /// The tile could not be read.
    #[error("cannot read the tile `{path}`")]
    Read {
        /// Which tile.
        path: TilePath,
        /// Why.
        source: E,
    },
    /// The tile, or the whole log, does not reach that far.
    #[error("the tiles of a log of {size} entries do not cover node {index} at level {level}")]
    Missing {
        /// The level of the node, 0 for leaves.
        level: u8,
        /// Which node of that level.
        index: u64,
        /// Entries in the log.
        size: u64,
    },
}

impl<R: TileReader> TileHashes<R> {
    /// Reads from the tiles of a log of `size` entries.
    #[must_use]
    pub fn new(tiles: R, size: u64) -> Self {
        Self { tiles, size }
    }

    /// Locates the hashes under a node: a tile, where they begin in it, how many.
    fn locate(&self, level: u8, index: u64) -> Option<(TilePath, usize, usize)> {
        let inside = level % TILE_HEIGHT;
        let first = index.checked_mul(1 << inside)?;
        let width = u64::from(TILE_WIDTH);
        let kind = TileKind::Hashes(level / TILE_HEIGHT);
        let path = TilePath::in_log(kind, first / width, self.size)?;
        Some((path, usize::try_from(first % width).ok()?, 1 << inside))
    }
}

impl<R: TileReader> HashReader for TileHashes<R> {
    type Error = TileHashError<R::Error>;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let missing = TileHashError::Missing { level, index, size: self.size };
        let Some((path, start, count)) = self.locate(level, index) else {
            return Err(missing);
        };
        let hashes = self.tiles.tile(path).map_err(|source| TileHashError::Read { path, source })?;
        hashes.get(start..start + count).and_then(perfect_root).ok_or(missing)
    }
}

/// Returns the root over a power of two of hashes; `None` for none.
#[must_use]
pub fn perfect_root(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [hash] => Some(*hash),
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            Some(node_hash(&perfect_root(left)?, &perfect_root(right)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::{naive, prove_inclusion, root, verify_inclusion};

    #[test]
    fn paths_are_written_as_the_specification_shows_them() {
        let path = |kind, index, width| TilePath::new(kind, index, width).unwrap().to_string();
        assert_eq!(path(TileKind::Hashes(0), 0, 256), "tile/0/000");
        assert_eq!(path(TileKind::Hashes(3), 1_234_067, 256), "tile/3/x001/x234/067");
        assert_eq!(path(TileKind::Hashes(1), 5, 37), "tile/1/005.p/37");
        assert_eq!(path(TileKind::Entries, 1_000, 1), "tile/entries/x001/000.p/1");
    }

    #[test]
    fn a_path_with_a_second_spelling_is_refused() {
        for text in [
            "",
            "tile/",
            "tile/0",
            "tile/00/000",
            "tile/64/000",
            "tile/+1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/0/x001/x002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/000 ",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/entries/-01",
        ] {
            assert!(text.parse::<TilePath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_log_has_the_tiles_its_size_fills() {
        let width = |kind, index, size| TilePath::in_log(kind, index, size).map(|t| t.width());
        assert_eq!(width(TileKind::Hashes(0), 0, 0), None);
        assert_eq!(width(TileKind::Hashes(0), 1, 257), Some(1));
        assert_eq!(width(TileKind::Hashes(1), 0, 255), None);
        assert_eq!(width(TileKind::Hashes(1), 0, 70_000), Some(256));
        assert_eq!(width(TileKind::Hashes(2), 0, 70_000), Some(1));
        assert_eq!(width(TileKind::Entries, 273, 70_000), Some(112));
        assert_eq!(width(TileKind::Hashes(63), 0, u64::MAX), None);
    }

    #[test]
    fn a_bundle_that_is_cut_short_is_refused() {
        let bytes = encode_entries(&[b"first".as_slice(), b""]).unwrap();
        assert_eq!(bytes, b"\0\x05first\0\0");
        assert_eq!(decode_entries(&bytes).unwrap(), [b"first".as_slice(), b""]);
        for cut in [1, 2, 6, 8] {
            assert_eq!(decode_entries(&bytes[..cut]), Err(BadTile::Length));
        }
        assert_eq!(encode_entries(&[[0; 65_536]]), Err(BadTile::TooLong));
        assert_eq!(encode_entries(&[[0; 0]; 257]), Err(BadTile::TooMany));
        assert_eq!(decode_entries(&[0; 514]), Err(BadTile::TooMany));
    }

    /// The hashes of each tile level, as a log on disk keeps them.
    struct Tiles(Vec<Vec<Hash>>);

    impl Tiles {
        fn over(leaves: Vec<Hash>) -> Self {
            let mut levels = vec![leaves];
            while let Some(level) = levels.last().filter(|level| level.len() >= 256) {
                let above = level.chunks_exact(256).map(naive::root).collect();
                levels.push(above);
            }
            Self(levels)
        }
    }

    impl TileReader for Tiles {
        type Error = BadTile;
        fn tile(&self, path: TilePath) -> Result<Vec<Hash>, BadTile> {
            let TileKind::Hashes(level) = path.kind() else {
                return Err(BadTile::Length);
            };
            let first = usize::try_from(path.index()).unwrap() * 256;
            let hashes = &self.0[usize::from(level)][first..first + usize::from(path.width())];
            decode_hashes(&hashes.concat(), path.width())
        }
    }

    #[test]
    fn proofs_made_from_tiles_lead_to_the_root_of_the_leaves() {
        let leaves = naive::leaves(70_000);
        let whole = naive::root(&leaves);
        let log = TileHashes::new(Tiles::over(leaves.clone()), 70_000);
        assert_eq!(root(&log, 70_000).unwrap(), whole);
        for index in [0, 255, 256, 65_535, 65_536, 69_999] {
            let proof = prove_inclusion(&log, index, 70_000).unwrap();
            let leaf = &leaves[usize::try_from(index).unwrap()];
            verify_inclusion(leaf, index, 70_000, &proof, &whole).unwrap();
        }
        assert!(matches!(log.hash(0, 70_000), Err(TileHashError::Missing { .. })));
    }

    proptest! {
        #[test]
        fn a_path_reads_back(level in 0_u8..=63, entries: bool, index: u64, width in 1_u16..=256) {
            let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
            let path = TilePath::new(kind, index, width).unwrap();
            prop_assert_eq!(path.to_string().parse::<TilePath>().unwrap(), path);
        }

        #[test]
        fn any_text_that_is_a_path_is_the_path_that_prints_so(text in "tile/[0-9e]{1,2}/[x0-9/.p]{0,20}") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }

        #[test]
        fn a_bundle_reads_back(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..=256)) {
            let bytes = encode_entries(&entries).unwrap();
            prop_assert_eq!(decode_entries(&bytes).unwrap(), entries);
        }
    }
}
