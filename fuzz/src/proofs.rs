//! The files of bundles and productions.

use proof::{
    approval::Approval,
    bundle::{self, EntriesReader, EntriesWriter},
    dsse::Envelope,
    production::{HeadsFile, Manifest, NamesFile, SumsFile},
    sums::Statement,
    tile::decode_entries,
    tree::{Frontier, leaf_hash},
    walk::LeafWalk,
};

/// A file of entries that reads to its end is written as the same bytes.
pub(crate) fn entries(bytes: &[u8]) {
    if let Some(written) = read_entries(bytes) {
        assert_eq!(written, bytes);
    }
}

/// Reads a file of entries to its end, and writes it again.
pub(crate) fn read_entries(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = EntriesReader::new(bytes).ok()?;
    let mut writer = EntriesWriter::new(Vec::new()).ok()?;
    while let Some(entry) = reader.read().ok()? {
        writer.push(entry.index, &entry.leaf, &entry.fields).ok()?;
    }
    Some(writer.finish().ok()?.1)
}

/// Leaves that are walked to their end have the root of the tree over them, and no leaf is taken after one that was refused.
pub(crate) fn leaves(bytes: &[u8]) {
    let (Some(walk), Ok(leaves)) = (walk_leaves(bytes), decode_entries(bytes)) else {
        return;
    };
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
    assert_eq!((walk.size(), walk.root()), (tree.size(), tree.root()));
}

/// Walks the leaves in a tile of entries; `None` if one is refused.
pub(crate) fn walk_leaves(bytes: &[u8]) -> Option<LeafWalk> {
    let mut walk = LeafWalk::new();
    for leaf in decode_entries(bytes).ok()? {
        if let Err(refused) = walk.push(leaf) {
            assert_eq!(walk.push(leaf), Err(refused), "a walk that ended goes on");
            return None;
        }
    }
    Some(walk)
}

/// A statement that parses is written as a statement that parses to the same.
pub(crate) fn sums_statement(bytes: &[u8]) {
    if let Ok(statement) = Statement::parse(bytes) {
        assert_eq!(Statement::parse(&statement.to_json()).as_ref(), Ok(&statement));
    }
}

/// A manifest of a whole log that parses is written as the same bytes.
pub(crate) fn bundle_manifest(bytes: &[u8]) {
    if let Some(manifest) = read_bundle_manifest(bytes) {
        assert_eq!(manifest.to_json().unwrap_or_default().as_bytes(), bytes);
    }
}

/// Reads the manifest of a whole log.
pub(crate) fn read_bundle_manifest(bytes: &[u8]) -> Option<bundle::Manifest> {
    bundle::Manifest::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// An envelope that parses is written as one that parses to the same.
pub(crate) fn dsse(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(Envelope::parse(&envelope.to_json()).as_ref(), Ok(&envelope));
    }
}

/// The manifest of a production that parses is written as one that parses to the same.
pub(crate) fn production_manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(Manifest::parse(&manifest.to_json()).as_ref(), Ok(&manifest));
    }
}

/// Heads that parse are written as heads that parse to the same.
pub(crate) fn production_heads(bytes: &[u8]) {
    if let Ok(file) = HeadsFile::parse(bytes) {
        assert_eq!(HeadsFile::parse(&file.to_json()).as_ref(), Ok(&file));
    }
}

/// Sums that parse are written as sums that parse to the same; without calls they lead to a root or to none, not to a
/// panic.
pub(crate) fn production_sums(bytes: &[u8]) {
    if let Ok(file) = SumsFile::parse(bytes) {
        assert_eq!(SumsFile::parse(&file.to_json()).as_ref(), Ok(&file));
        let proofs = file.0.iter().flat_map(|hour| [&hour.completed, &hour.early]);
        proofs.for_each(|proof| assert!(proof.positions.is_empty() || proof.root(&[]).is_err()));
    }
}

/// Names that parse are written as names that parse to the same.
pub(crate) fn production_names(bytes: &[u8]) {
    if let Ok(file) = NamesFile::parse(bytes) {
        assert_eq!(NamesFile::parse(&file.to_json()).as_ref(), Ok(&file));
    }
}

/// An approval that verifies still does after it was written and read.
pub(crate) fn approval(bytes: &[u8]) {
    if let Some(approval) = read_approval(bytes) {
        let again = serde_json::to_vec(&approval).unwrap_or_default();
        assert_eq!(read_approval(&again).map(|again| again.verify()), Some(approval.verify()));
    }
}

/// Reads an approval, which is not checked.
pub(crate) fn read_approval(bytes: &[u8]) -> Option<Approval> {
    serde_json::from_slice(bytes).ok()
}
