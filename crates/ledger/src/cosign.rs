//! Cosignatures on checkpoints: what it takes to ask for them, and how they are published.
//!
//! The checkpoint that the most parties cosigned lately is kept as `log/checkpoint.cosigned`, and receipts carry it wherever
//! it covers their entry. A checkpoint shows its cosignatures as `log/checkpoint` too, as long as no larger one was signed.
//! What a crash leaves between the two writes: the cosignatures in one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    sync::Arc,
};

use proof::{
    note::{Note, NoteSignature},
    tile::{TILE_WIDTH, TileKind, TilePath, decode_entries},
    tree::{Hash, prove_consistency, prove_subtree_consistency},
};

use crate::{
    handle::{Ledger, LookupError},
    keys::LogKey,
    layout::Layout,
    reader::Reader,
    shared::{Shared, Signed},
    storage::replace,
    tiles::Tiles,
};

impl Ledger {
    /// Returns the latest signed checkpoint, with the cosignatures it has; `None` before the first.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Arc<str>> {
        self.inner.shared.status.signed().map(|signed| signed.text)
    }

    /// Publishes signatures on `note`, a checkpoint that this log signed; they replace earlier ones of the same keys.
    ///
    /// The caller has checked the signatures. Those under the log's own name count as its own, all others as cosignatures.
    /// Blocks; call it off the data path.
    ///
    /// # Errors
    ///
    /// The operating system's answer; [`io::ErrorKind::InvalidInput`] if the note is not a checkpoint of this log. The
    /// checkpoints are as before, or have the signatures.
    pub fn cosign(&self, note: &str, signatures: &[NoteSignature]) -> io::Result<()> {
        cosign(&self.inner.shared, note, signatures)
    }
}

fn cosign(shared: &Shared, note: &str, signatures: &[NoteSignature]) -> io::Result<()> {
    let (size, root) = shared.key.verify(note).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    // No other checkpoint is published meanwhile.
    let _publishing = shared.status.publishing();
    let mut candidates = shared.status.candidates();
    let known = candidates.get(size).filter(|known| known.root == root);
    let text: Arc<str> = merged(known.map_or(note, |known| known.text.as_ref()), signatures)?.into();
    let cosigned = Signed { size, root, text };
    if let Some(kept) = candidates.offer(cosigned.clone(), cosigners(&cosigned.text, shared.key.origin())) {
        replace(shared.storage.as_ref(), &shared.layout.cosigned(), kept.text.as_bytes())?;
        shared.status.set_cosigned(kept.clone());
    }
    if shared.status.signed().is_some_and(|latest| latest.size == size && latest.root == root) {
        replace(shared.storage.as_ref(), &shared.layout.checkpoint(), cosigned.text.as_bytes())?;
        shared.status.sign(cosigned);
    }
    Ok(())
}

/// Returns how many others than the log itself signed.
fn cosigners(note: &str, origin: &str) -> usize {
    let signatures = Note::parse(note.as_bytes()).map(|note| note.signatures().to_vec()).unwrap_or_default();
    let names: BTreeSet<&str> = signatures.iter().map(|signature| signature.name.as_str()).collect();
    names.iter().filter(|name| **name != origin).count()
}

/// Checkpoints that were cosigned lately.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The one that is shown, and by how many it was cosigned.
    kept: Option<(Signed, usize)>,
    /// Larger ones that fewer cosigned so far, by size.
    larger: BTreeMap<u64, (Signed, usize)>,
}

/// A checkpoint that more cosigned is shown until so many larger ones were cosigned by fewer: then somebody is gone.
const LARGER_MAX: usize = 8;

impl Candidates {
    /// Begins with the checkpoint that was shown last.
    pub(crate) fn new(kept: Option<Signed>, origin: &str) -> Self {
        let kept = kept.map(|kept| {
            let count = cosigners(&kept.text, origin);
            (kept, count)
        });
        Self { kept, larger: BTreeMap::new() }
    }

    /// Returns what is known of the checkpoint of this size.
    fn get(&self, size: u64) -> Option<&Signed> {
        let kept = self.kept.as_ref().filter(|(kept, _)| kept.size == size);
        kept.or_else(|| self.larger.get(&size)).map(|(signed, _)| signed)
    }

    /// Takes up a checkpoint with all its signatures, `count` of them of others; returns the one to show, if that is another
    /// than before.
    fn offer(&mut self, signed: Signed, count: usize) -> Option<&Signed> {
        let (size, least) = self.kept.as_ref().map_or((0, 1), |(kept, count)| (kept.size, *count));
        if count == 0 || signed.size < size {
            return None;
        }
        if signed.size == size || count >= least {
            return Some(self.keep((signed, count)));
        }
        self.larger.insert(signed.size, (signed, count));
        if self.larger.len() <= LARGER_MAX {
            return None;
        }
        let most = self.larger.values().max_by_key(|(signed, count)| (*count, signed.size))?.clone();
        Some(self.keep(most))
    }

    fn keep(&mut self, kept: (Signed, usize)) -> &Signed {
        self.larger.retain(|size, _| *size > kept.0.size);
        let (signed, _) = self.kept.insert(kept);
        signed
    }
}

/// Adds signatures to a note, each in place of an earlier one of the same key.
fn merged(note: &str, signatures: &[NoteSignature]) -> io::Result<String> {
    let old = Note::parse(note.as_bytes()).map_err(io::Error::other)?;
    let mut new = Note::new(old.text().to_owned()).map_err(io::Error::other)?;
    let is_replaced = |there: &NoteSignature| signatures.iter().any(|one| one.id == there.id && one.name == there.name);
    let kept = old.signatures().iter().filter(|there| !is_replaced(there));
    kept.chain(signatures).cloned().for_each(|signature| new.attach(signature));
    Ok(new.to_string())
}

/// Returns the last checkpoint that was cosigned; `None` if there is none, or none that `key` signed.
pub(crate) fn read(layout: &Layout, key: &LogKey) -> Option<Signed> {
    let text = std::fs::read_to_string(layout.cosigned()).ok()?;
    match key.verify(&text) {
        Ok((size, root)) => Some(Signed { size, root, text: text.into() }),
        Err(why) => {
            tracing::warn!(%why, "the cosigned checkpoint is not of this log and is not used");
            None
        }
    }
}

impl Reader {
    /// Proves that the tree of the first `from` entries is a prefix of that of the first `to`, which a checkpoint covers.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, LookupError> {
        prove_consistency(&self.hashes(to), from, to).map_err(|error| unreadable(error.to_string()))
    }

    /// Returns entries of one bundle of 256 with the proof that the bundle, up to the last of them, is a part of the tree of
    /// the first `size` entries, which a checkpoint covers.
    ///
    /// # Errors
    ///
    /// [`LookupError::Io`].
    ///
    /// # Source
    ///
    /// C2SP tlog-mirror, the packages of `add-entries`.
    pub fn package(&self, entries: Range<u64>, size: u64) -> Result<(Vec<Vec<u8>>, Vec<Hash>), LookupError> {
        let width = u64::from(TILE_WIDTH);
        let Range { start, end } = entries;
        let aligned = start - start % width;
        let path = TilePath::in_log(TileKind::Entries, start / width, size)
            .ok_or_else(|| unreadable("the log has no such entries".to_owned()))?;
        let (bytes, _) = Tiles::new(&self.layout.log()).read(path).map_err(LookupError::Io)?;
        let bundle = decode_entries(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let wanted = bundle.iter().zip(aligned..end).filter(|(_, index)| *index >= start);
        let found: Vec<Vec<u8>> = wanted.map(|(entry, _)| entry.to_vec()).collect();
        if found.len() as u64 != end.saturating_sub(start) {
            return Err(unreadable("a bundle of entries is shorter than it should be".to_owned()));
        }
        let proof = prove_subtree_consistency(&self.hashes(size), aligned, end, size);
        Ok((found, proof.map_err(|error| unreadable(error.to_string()))?))
    }
}

fn unreadable(why: String) -> LookupError {
    LookupError::Io(io::Error::other(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(size: u64) -> Signed {
        Signed { size, root: [0; 32], text: Arc::from(format!("{size}")) }
    }

    fn shown(candidates: &mut Candidates, size: u64, count: usize) -> Option<u64> {
        candidates.offer(signed(size), count).map(|kept| kept.size)
    }

    #[test]
    fn the_largest_checkpoint_that_as_many_cosigned_is_shown() {
        let mut candidates = Candidates::default();
        assert_eq!(shown(&mut candidates, 5, 0), None);
        assert_eq!(shown(&mut candidates, 5, 1), Some(5));
        assert_eq!(shown(&mut candidates, 5, 2), Some(5));
        assert_eq!(shown(&mut candidates, 6, 1), None);
        assert_eq!(shown(&mut candidates, 7, 1), None);
        assert_eq!(candidates.get(6), Some(&signed(6)));
        assert_eq!(shown(&mut candidates, 6, 2), Some(6));
        assert_eq!(shown(&mut candidates, 5, 3), None);
        assert_eq!(shown(&mut candidates, 7, 2), Some(7));
    }

    #[test]
    fn who_is_gone_for_good_does_not_hold_back_the_others_for_ever() {
        let mut candidates = Candidates::default();
        assert_eq!(shown(&mut candidates, 10, 3), Some(10));
        for size in 11..19 {
            assert_eq!(shown(&mut candidates, size, 1 + usize::from(size == 13)), None);
        }
        assert_eq!(shown(&mut candidates, 19, 1), Some(13));
        assert_eq!(shown(&mut candidates, 20, 2), Some(20));
    }
}
