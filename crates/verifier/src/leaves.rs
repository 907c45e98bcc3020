//! Walks all leaves of a log, as a mirror or the log itself keeps them, without any private part.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use proof::{
    bundle::CHECKPOINT_FILE,
    checkpoint::Checkpoint,
    entry::ENTRY_BYTES_MAX,
    note::{NOTE_BYTES_MAX, VerifierKey},
    tile::{TILE_WIDTH, TileKind, TilePath, decode_entries},
    walk::LeafWalk,
};

use crate::{
    Progress, VerifyError,
    regular::{self, unreadable},
    report::Report,
    runs::Runs,
};

/// The longest tile of entries, in bytes: each with its length in two.
const TILE_BYTES_MAX: u64 = TILE_WIDTH as u64 * (ENTRY_BYTES_MAX as u64 + 2);

/// What a walk over all leaves found. It holds if there is no fault.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct LeavesReport {
    /// What was found in the entries, as far as no private part is needed for it.
    #[serde(flatten)]
    pub found: Report,
    /// The last heads entry; its root, and those of all before it, are true. Absent if there is none.
    pub heads: Option<u64>,
}

/// Walks the tiles of entries in `dir`, which has the signed checkpoint of the log of `key` too: the folder of a mirror,
/// or the `log` folder of a gateway.
///
/// Each entry is held against all before it: points 3, 5, 6, 7, 8, 12 and 13 of `docs/log-format.md` section 11, as far
/// as they need no private part. The walk ends at the first entry that is refused.
///
/// # Errors
///
/// [`VerifyError`] if a file cannot be read.
pub fn verify_leaves(dir: &Path, key: &VerifierKey, progress: &mut dyn Progress) -> Result<LeavesReport, VerifyError> {
    let path = dir.join(CHECKPOINT_FILE);
    let note = regular::read(&path, NOTE_BYTES_MAX as u64).map_err(|source| unreadable(&path, source))?;
    let mut report = LeavesReport::default();
    report.found.checked_with(key, true);
    key.name().clone_into(&mut report.found.origin);
    match Checkpoint::open(&note, key.name(), std::slice::from_ref(key)) {
        Ok(checkpoint) => walk(dir, &checkpoint, report, progress),
        Err(bad) => {
            report.found.fault(None, bad.to_string());
            Ok(report)
        }
    }
}

fn walk(
    dir: &Path,
    checkpoint: &Checkpoint,
    mut report: LeavesReport,
    progress: &mut dyn Progress,
) -> Result<LeavesReport, VerifyError> {
    report.found.size = checkpoint.size;
    let mut leaves = Leaves { walk: LeafWalk::new(), runs: Runs::default(), report };
    for index in 0..checkpoint.size.div_ceil(u64::from(TILE_WIDTH)) {
        let tile = Tile::read(dir, index, checkpoint.size)?;
        for leaf in tile.entries()? {
            if !leaves.take(leaf) {
                return Ok(leaves.finish());
            }
            progress.entries(leaves.walk.size(), checkpoint.size);
        }
    }
    if leaves.walk.root() != checkpoint.root {
        leaves.report.found.fault(None, "the entries do not have the root that the log signed");
    }
    Ok(leaves.finish())
}

/// A tile of entries of a log of some size.
struct Tile {
    file: PathBuf,
    bytes: Vec<u8>,
    width: u16,
}

impl Tile {
    /// Reads the tile with this number; a full one stands for its beginning.
    fn read(dir: &Path, index: u64, size: u64) -> Result<Self, VerifyError> {
        let full = TilePath::new(TileKind::Entries, index, TILE_WIDTH);
        let path = TilePath::in_log(TileKind::Entries, index, size);
        let (Ok(full), Some(path)) = (full, path) else {
            return Err(unreadable(dir, io::Error::other("it has more tiles than a log can have")));
        };
        let file = dir.join(path.to_string());
        let bytes = match regular::read(&file, TILE_BYTES_MAX) {
            Err(none) if none.kind() == io::ErrorKind::NotFound => {
                regular::read(&dir.join(full.to_string()), TILE_BYTES_MAX)
            }
            read => read,
        };
        let bytes = bytes.map_err(|source| unreadable(&file, source))?;
        Ok(Self { file, bytes, width: path.width() })
    }

    /// Returns the entries that the log has of it.
    fn entries(&self) -> Result<Vec<&[u8]>, VerifyError> {
        let invalid = |why: String| unreadable(&self.file, io::Error::new(io::ErrorKind::InvalidData, why));
        let mut entries = decode_entries(&self.bytes).map_err(|bad| invalid(bad.to_string()))?;
        if entries.len() < usize::from(self.width) {
            return Err(invalid(format!("it has fewer than {} entries", self.width)));
        }
        entries.truncate(self.width.into());
        Ok(entries)
    }
}

/// The walk, up to some entry.
struct Leaves {
    walk: LeafWalk,
    runs: Runs,
    report: LeavesReport,
}

impl Leaves {
    /// Takes the next leaf; false if it was refused, which is noted.
    fn take(&mut self, leaf: &[u8]) -> bool {
        let (index, open) = (self.walk.size(), self.walk.open_calls());
        let found = &mut self.report.found;
        match self.walk.push(leaf) {
            Err(bad) => {
                found.fault(Some(bad.index), bad.why.to_string());
                false
            }
            Ok(entry) => {
                found.count(&entry);
                found.check_time(index, entry.at_ms);
                found.count_close(&entry);
                let ran = self.runs.take(index, &entry, None, open);
                ran.err().into_iter().for_each(|why| found.fault(Some(index), why));
                true
            }
        }
    }

    fn finish(self) -> LeavesReport {
        let Self { walk, runs, mut report } = self;
        report.heads = walk.heads();
        let found = &mut report.found;
        (found.entries, found.chains, found.open_calls) = (walk.size(), walk.chains(), walk.open_calls());
        found.unclean_starts = runs.unclean();
        found.set_root(&walk.root());
        report
    }
}

impl LeavesReport {
    /// Returns true if everything that was checked holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found.holds()
    }
}

/// The report for people: a verdict, the counts, and what was not looked at.
impl fmt::Display for LeavesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        let found = &self.found;
        writeln!(f, "{verdict}: the leaves of the log `{}`, {} of {}", found.origin, found.entries, found.size)?;
        found.write_key(f)?;
        found.write_counts(f)?;
        match self.heads {
            Some(last) => writeln!(f, "heads: true in every heads entry, the last of them entry {last}"),
            None => writeln!(f, "heads: the log has not written down yet where its chains stand"),
        }?;
        writeln!(f, "not looked at: private parts, and so decisions, facts, and whose chain is whose")?;
        found.write_faults(f)
    }
}
