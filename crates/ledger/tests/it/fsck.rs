//! What stands on a log's disk, held against the checkpoint that is published there, before an opening can mend it:
//! the entries, every tile that the checkpoint covers, a receipt for every index. After the `fsck` of Tessera.

use std::{
    io,
    path::{Path, PathBuf},
};

use ledger::Reader;
use proof::{
    checkpoint::Checkpoint,
    note::VerifierKey,
    receipt::Receipt,
    tile::{TILE_WIDTH, TileKind, TilePath, encode_entries, perfect_root},
    tree::{Frontier, Hash, leaf_hash, verify_inclusion},
};

use crate::world::{ORIGIN, World, submit, until};

const WIDTH: usize = TILE_WIDTH as usize;

/// Checks, without opening the log, that whoever reads what it has published is served: every tile below the size of the
/// checkpoint is there and right, and every entry below it can be proved. Returns that size; 0 without a checkpoint.
pub(crate) fn fsck(dir: &Path) -> Result<u64, String> {
    let Some(published) = Published::read(dir)? else {
        return Ok(0);
    };
    let size = published.checkpoint.size;
    published.check_tiles(size)?;
    (0..size).try_for_each(|index| published.check_receipt(index))?;
    Ok(size)
}

/// Checks what must be there after the power went: the entries that the checkpoint covers, and their tiles up to the size
/// that `wal/tiled` names. Returns both sizes.
pub(crate) fn fsck_after_power_cut(dir: &Path) -> Result<(u64, u64), String> {
    let Some(published) = Published::read(dir)? else {
        return Ok((0, 0));
    };
    let tiled = std::fs::read_to_string(dir.join("wal/tiled")).map_or(Ok(0), |text| text.trim_end().parse());
    let (size, tiled) = (published.checkpoint.size, tiled.map_err(|_| "`wal/tiled` is no number")?);
    if tiled > size {
        return Err(format!("tiles of {tiled} entries were synced, and the checkpoint says {size}"));
    }
    published.check_tiles(tiled)?;
    Ok((size, tiled))
}

/// What a log has published, and the leaves that it is about, read from the segments.
struct Published {
    log: PathBuf,
    reader: Reader,
    /// Its signature was checked.
    text: String,
    checkpoint: Checkpoint,
    leaves: Vec<Vec<u8>>,
}

impl Published {
    /// Reads a log; `None` if it has published nothing. Its segments must have all entries of the checkpoint, with its root.
    fn read(dir: &Path) -> Result<Option<Self>, String> {
        let log = dir.join("log");
        let text = match std::fs::read_to_string(log.join("checkpoint")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("the checkpoint cannot be read: {error}"))?,
        };
        let reader = Reader::open(dir).map_err(|error| error.to_string())?;
        let key = reader.verifier_key().map_err(|error| format!("there is no key: {error}"))?;
        let key: VerifierKey = key.parse().map_err(|_| "the key is none".to_owned())?;
        let checkpoint = Checkpoint::open(text.as_bytes(), ORIGIN, std::slice::from_ref(&key));
        let checkpoint = checkpoint.map_err(|error| format!("the checkpoint: {error}"))?;
        let leaves = leaves(&reader)?;
        let mut tree = Frontier::new();
        let covered = usize::try_from(checkpoint.size).unwrap();
        let covered = leaves.get(..covered).ok_or_else(|| format!("only {} of {covered} entries", leaves.len()))?;
        covered.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        if tree.root() != checkpoint.root {
            return Err("the entries do not have the root of the checkpoint".to_owned());
        }
        Ok(Some(Self { log, reader, text, checkpoint, leaves }))
    }

    /// Makes every tile of the log of the first `size` entries anew, level by level, and compares.
    fn check_tiles(&self, size: u64) -> Result<(), String> {
        let leaves = &self.leaves[..usize::try_from(size).unwrap()];
        for (index, leaves) in (0..).zip(leaves.chunks(WIDTH)) {
            self.check_tile(TileKind::Entries, index, size, &encode_entries(leaves).unwrap())?;
        }
        let mut hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        for level in (0..).take_while(|level| size >> (8 * u32::from(*level)) > 0) {
            for (index, hashes) in (0..).zip(hashes.chunks(WIDTH)) {
                self.check_tile(TileKind::Hashes(level), index, size, &hashes.concat())?;
            }
            hashes = hashes.chunks_exact(WIDTH).map(|hashes| perfect_root(hashes).unwrap()).collect();
        }
        Ok(())
    }

    /// A partial tile may be gone once the full one is there.
    fn check_tile(&self, kind: TileKind, index: u64, size: u64, expected: &[u8]) -> Result<(), String> {
        let tile = TilePath::in_log(kind, index, size).unwrap();
        let read = |tile: TilePath| std::fs::read(self.log.join(tile.to_string()));
        let there = read(tile).or_else(|error: io::Error| {
            let full = read(TilePath::new(kind, index, TILE_WIDTH).unwrap()).map_err(|_| error)?;
            Ok::<_, io::Error>(full.get(..expected.len()).unwrap_or_default().to_vec())
        });
        match there {
            Ok(there) if there == expected => Ok(()),
            Ok(_) => Err(format!("`{tile}` is not what the entries give")),
            Err(error) => Err(format!("`{tile}`, which the checkpoint of size {size} covers: {error}")),
        }
    }

    fn check_receipt(&self, index: u64) -> Result<(), String> {
        let failed = |why: String| format!("the receipt of entry {index}: {why}");
        let receipt = self.reader.receipt(index).map_err(|error| failed(error.to_string()))?;
        let leaf = &self.leaves[usize::try_from(index).unwrap()];
        if receipt.leaf != *leaf {
            return Err(failed("it is for another entry".to_owned()));
        }
        let proof = Receipt::parse(&receipt.proof).map_err(|error| failed(error.to_string()))?;
        if proof.index != index || proof.checkpoint != self.text {
            return Err(failed("it is under another checkpoint".to_owned()));
        }
        let Checkpoint { size, root, .. } = &self.checkpoint;
        let verified = verify_inclusion(&leaf_hash(leaf), index, *size, &proof.hashes, root);
        verified.map_err(|error| failed(error.to_string()))
    }
}

fn leaves(reader: &Reader) -> Result<Vec<Vec<u8>>, String> {
    let mut entries = reader.entries(0).map_err(|error| error.to_string())?;
    let mut leaves = Vec::new();
    while let Some(entry) = entries.next_unopened() {
        leaves.push(entry.map_err(|error| error.to_string())?.leaf().to_vec());
    }
    Ok(leaves)
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn fsck_makes_the_root_and_every_tile_of_three_levels_from_the_entries() {
    let world = World::new();
    let ledger = world.open();
    let mut last = 0;
    while last < 66_000 {
        last = submit(&ledger, "one of many").index();
    }
    ledger.stop().unwrap();
    let published = Published::read(world.dir()).unwrap().unwrap();
    assert!(world.dir().join("log/tile/2/000.p/1").exists());
    published.check_tiles(published.checkpoint.size).unwrap();
    (0..published.checkpoint.size).step_by(509).for_each(|index| published.check_receipt(index).unwrap());
}

#[test]
fn fsck_finds_every_file_that_is_missing_or_changed_under_a_checkpoint() {
    let world = World::new();
    let ledger = world.open();
    let mut last = 0;
    while last < 600 {
        last = submit(&ledger, "one of some").index();
    }
    until("all is signed", || ledger.health().checkpoint > last);
    ledger.stop().unwrap();
    let size = fsck(world.dir()).unwrap();
    assert_eq!(size, world.reader().checkpoint_size().unwrap());
    let tiles = [TileKind::Entries, TileKind::Hashes(0), TileKind::Hashes(1)].into_iter();
    let tiles: Vec<_> =
        tiles.flat_map(|kind| (0..).map_while(move |index| TilePath::in_log(kind, index, size))).collect();
    assert_eq!(tiles.len(), 7);
    for name in tiles.iter().map(ToString::to_string).chain(["checkpoint".to_owned(), "log.vkey".to_owned()]) {
        let path = world.dir().join("log").join(&name);
        let whole = std::fs::read(&path).unwrap();
        let changed = [whole.len() / 2, whole.len() - 2].map(|at| {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            changed
        });
        for changed in changed.iter().chain([&whole[..whole.len() / 2].to_vec()]) {
            std::fs::write(&path, changed).unwrap();
            assert!(fsck(world.dir()).is_err(), "{name} changed");
        }
        std::fs::remove_file(&path).unwrap();
        // Without a checkpoint nothing is promised.
        assert_eq!(fsck(world.dir()).ok(), (name == "checkpoint").then_some(0), "{name} removed");
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(fsck(world.dir()), Ok(size));
}
