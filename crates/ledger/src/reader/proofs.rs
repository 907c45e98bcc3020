//! Receipts from files, many of them: what was read and held for one serves the next.

use std::{cell::RefCell, collections::BTreeMap, io, path::Path, sync::Mutex};

use proof::{
    checkpoint::Checkpoint,
    note::VerifierKey,
    receipt,
    tile::{TILE_HEIGHT, TileHashError, TileHashes, TilePath, TileReader},
    tree::{Hash, HashReader, leaf_hash, prove_inclusion, verify_inclusion},
};

use super::invalid;
use crate::{
    handle::{LookupError, Receipt},
    queue::lock,
    shared::Signed,
    tiles::Tiles,
};

/// Hashes that are kept: about 4 MB of them.
const HASHES_MAX: usize = 65_536;
/// Checkpoints that are kept: the latest, and the latest with cosignatures.
const OPENED_MAX: usize = 2;

/// A hash of the tree: its level and its index there.
type Node = (u8, u64);

/// What is known of one log. Nothing in it is believed because it is in it: a proof holds under a signed checkpoint or is
/// made again from the files.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    /// Hashes that were part of proofs that held.
    hashes: Mutex<BTreeMap<Node, Hash>>,
    /// Checkpoints whose signatures were checked, each with the text of the key.
    opened: Mutex<Vec<(String, Signed)>>,
}

impl Proofs {
    /// Checks the signature on a checkpoint; one that it was checked on before has only its bytes compared.
    pub(super) fn opened(&self, text: &str, key: String) -> Result<Signed, LookupError> {
        let known = |(known, signed): &&(String, Signed)| *known == key && *signed.text == *text;
        if let Some((_, signed)) = lock(&self.opened).iter().find(known) {
            return Ok(signed.clone());
        }
        let verifier: VerifierKey = key.parse().map_err(invalid)?;
        let keys = std::slice::from_ref(&verifier);
        let checkpoint = Checkpoint::open(text.as_bytes(), verifier.name(), keys).map_err(invalid)?;
        let signed = Signed { size: checkpoint.size, root: checkpoint.root, text: text.into() };
        let mut opened = lock(&self.opened);
        opened.truncate(OPENED_MAX - 1);
        opened.insert(0, (key, signed.clone()));
        Ok(signed)
    }

    /// Proves from the tiles in `log` that `signed` covers the entry at `index`, which must be below its size.
    pub(crate) fn receipt(&self, log: &Path, signed: &Signed, index: u64) -> Result<Receipt, LookupError> {
        let leaf = Tiles::new(log).leaf(index, signed.size).map_err(LookupError::Io)?;
        let hash = leaf_hash(&leaf);
        let hashes = match self.prove(log, signed, index, &hash) {
            Err(LookupError::Damaged(_)) => {
                // What is known may be of a log that was here before.
                lock(&self.hashes).clear();
                self.prove(log, signed, index, &hash)?
            }
            proved => proved?,
        };
        let proof = receipt::Receipt { extra: None, index, hashes, checkpoint: signed.text.to_string() };
        Ok(Receipt { index, leaf, proof: proof.to_text() })
    }

    fn prove(&self, log: &Path, signed: &Signed, index: u64, leaf: &Hash) -> Result<Vec<Hash>, LookupError> {
        let tiles = TileHashes::new(Once { tiles: Tiles::new(log), read: RefCell::default() }, signed.size);
        let nodes = Nodes { proofs: self, tiles, read: RefCell::default() };
        let hashes = prove_inclusion(&nodes, index, signed.size)
            .map_err(|error| LookupError::Io(io::Error::other(error.to_string())))?;
        verify_inclusion(leaf, index, signed.size, &hashes, &signed.root).map_err(|_| LookupError::Damaged(index))?;
        // Those beside the leaf are of little use to any other; one read of their tile gives them all again.
        let far = |(level, at): &Node| (u128::from(*at) << level) >> TILE_HEIGHT != u128::from(index >> TILE_HEIGHT);
        self.keep(nodes.read.into_inner().into_iter().filter(|(node, _)| far(node)));
        Ok(hashes)
    }

    fn keep(&self, held: impl Iterator<Item = (Node, Hash)>) {
        let mut hashes = lock(&self.hashes);
        hashes.extend(held);
        if hashes.len() > HASHES_MAX {
            hashes.clear();
        }
    }
}

/// Reads hashes that are not known, and tells them apart from those that are.
struct Nodes<'a> {
    proofs: &'a Proofs,
    tiles: TileHashes<Once>,
    read: RefCell<Vec<(Node, Hash)>>,
}

impl HashReader for Nodes<'_> {
    type Error = TileHashError<io::Error>;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let node = (level, index);
        if let Some(hash) = lock(&self.proofs.hashes).get(&node) {
            return Ok(*hash);
        }
        let hash = self.tiles.hash(level, index)?;
        self.read.borrow_mut().push((node, hash));
        Ok(hash)
    }
}

/// Reads each tile once.
struct Once {
    tiles: Tiles,
    read: RefCell<BTreeMap<TilePath, Vec<Hash>>>,
}

impl TileReader for Once {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        if let Some(hashes) = self.read.borrow().get(&path) {
            return Ok(hashes.clone());
        }
        let hashes = self.tiles.tile(path)?;
        self.read.borrow_mut().insert(path, hashes.clone());
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proof::tree::Frontier;

    use super::*;
    use crate::{storage::Disk, tiles::Tiler};

    const SIZE: u64 = 1_000;

    /// Writes the tiles of a log; returns its checkpoint, as far as a proof needs one.
    fn log(dir: &Path, word: &str) -> Signed {
        let (mut tree, mut tiler) = (Frontier::new(), Tiler::new(Arc::new(Disk), Tiles::new(dir)));
        for index in 0..SIZE {
            let leaf = format!("{word} {index}").into_bytes();
            tree.push(leaf_hash(&leaf));
            tiler.push(&leaf, leaf_hash(&leaf)).unwrap();
        }
        tiler.flush().unwrap();
        Signed { size: SIZE, root: tree.root(), text: "a checkpoint\n".into() }
    }

    #[test]
    fn what_is_known_changes_no_proof() {
        let dir = tempfile::tempdir().unwrap();
        let (signed, proofs) = (log(dir.path(), "leaf"), Proofs::default());
        for index in (0..SIZE).step_by(13).chain([0, SIZE - 1]) {
            let again = [&proofs, &proofs, &Proofs::default()];
            let receipts = again.map(|proofs| proofs.receipt(dir.path(), &signed, index).unwrap().proof);
            assert!(receipts.iter().all(|receipt| *receipt == receipts[2]), "{index}");
        }
        // Four tiles have two nodes above each other and the piece at the edge; nothing beside a leaf is kept.
        assert!((3..64).contains(&lock(&proofs.hashes).len()));
    }

    #[test]
    fn another_log_in_the_same_place_is_proved_from_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let (before, proofs) = (log(dir.path(), "leaf"), Proofs::default());
        (0..SIZE).step_by(100).for_each(|index| drop(proofs.receipt(dir.path(), &before, index).unwrap()));
        let after = log(dir.path(), "other leaf");
        (0..SIZE).step_by(100).for_each(|index| drop(proofs.receipt(dir.path(), &after, index).unwrap()));
        assert!(matches!(proofs.receipt(dir.path(), &before, 500), Err(LookupError::Damaged(500))));
    }
}
