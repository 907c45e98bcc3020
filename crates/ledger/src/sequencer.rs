//! Derives tiles from the write-ahead log and signs checkpoints.
//!
//! The entries are read back from the segments, hashed again, and cut into tiles; the root is computed from the
//! tiles as they were written and compared with the writer's, which comes from what submitters hashed. A bit that
//! flipped on either way fences the log instead of being signed.
//!
//! What a crash leaves at each step:
//! - while tiles are written: tiles beyond the published checkpoint, written again with the same bytes;
//! - before the checkpoint is renamed: the old checkpoint, and perhaps `checkpoint.tmp`;
//! - after it: a checkpoint whose tiles may be missing or torn, since tiles are synced once per segment at most;
//!   the next opening derives them again from the size in `wal/tiled`, up to which they were synced.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use proof::{
    tile::TileHashes,
    tree::{Hash, root},
};

use crate::{
    queue::lock,
    shared::{Shared, Signed},
    storage::replace,
    tiles::{Tiler, Tiles},
    wal::{Step, Wal, WalError, Walker},
};

/// Tiles could not be derived.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Worth another try: nothing was signed.
    #[error("cannot {action}: {source}")]
    Io { action: &'static str, source: io::Error },
    /// Two ways to compute the same thing disagree, or a durable batch no longer reads back: nothing may be signed.
    #[error("the log contradicts itself: {0}")]
    Damaged(String),
}

/// How far tiles were derived.
#[derive(Debug)]
struct Progress {
    walker: Walker,
    tiler: Tiler,
    /// The beginning of the segment that had been reached when tiles were last synced.
    synced: u64,
    /// When that was, if it was this process that did it.
    synced_at: Option<Instant>,
}

/// Tiles are synced when a segment was filled, but not more often than this. By then the system has written most of
/// them by itself, which costs far less than to sync files that were just made, one by one.
const SYNC_EVERY: Duration = Duration::from_secs(60);

impl Progress {
    fn is_sync_due(&self) -> bool {
        self.walker.first != self.synced && self.synced_at.is_none_or(|at| at.elapsed() >= SYNC_EVERY)
    }
}

/// Derives tiles and signs checkpoints, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    progress: Option<Progress>,
}

impl Sequencer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, progress: None }
    }

    /// Signs a checkpoint at each interval that brought entries, and a last one when the log closes.
    pub(crate) fn run(mut self) {
        loop {
            let closing = self.shared.closing.wait(self.shared.checkpoint_every);
            self.keep_heads(closing);
            let done = self.advance(closing);
            if let Err(fault) = &done {
                self.report(fault);
            }
            if closing || matches!(done, Err(Fault::Damaged(_))) {
                return;
            }
        }
    }

    /// Writes a heads entry where one is due, and saves the last.
    fn keep_heads(&self, closing: bool) {
        let Shared { heads, queue, storage, layout, status, wal, segment_bytes, .. } = self.shared.as_ref();
        let (durable, _) = status.durable();
        // First, for the next entry takes the place of one that is not saved.
        if let Err(error) = heads.save(storage.as_ref(), &layout.heads(), durable) {
            tracing::warn!(%error, "cannot save where every chain stands: the next opening will take longer");
        }
        let written = |index| lock(wal).begun_after(index) as u64 * segment_bytes;
        if !closing && heads.is_due(queue, written) {
            let written = self.shared.now().and_then(|now| heads.write(queue, now));
            if let Err(why) = written {
                tracing::warn!(%why, "cannot say in the log where every chain stands; tries again");
            }
        }
    }

    fn report(&self, fault: &Fault) {
        tracing::error!(%fault, dir = %self.shared.layout.dir().display(), "cannot sign a checkpoint");
        if matches!(fault, Fault::Damaged(_)) {
            self.shared.queue.fence();
        }
    }

    /// Brings tiles and checkpoint up to what is durable; with `sync`, makes the tiles durable too.
    pub(crate) fn advance(&mut self, sync: bool) -> Result<(), Fault> {
        let (size, root) = self.shared.status.durable();
        let signed = self.shared.status.signed();
        if signed.is_some_and(|signed| signed.size == size) && self.progress.is_some() && !sync {
            return Ok(());
        }
        self.bring_up((size, root), |progress| sync || progress.is_sync_due())
    }

    /// Brings tiles and checkpoint up to what an opening found, and does not wait until they are on the disk: the next interval
    /// sees to that.
    pub(crate) fn catch_up(&mut self) -> Result<(), Fault> {
        self.bring_up(self.shared.status.durable(), |_| false)
    }

    fn bring_up(&mut self, (size, root): (u64, Hash), syncs: impl FnOnce(&Progress) -> bool) -> Result<(), Fault> {
        // After an error the tiler is in no known state, so it is put back only after success.
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => resume(&self.shared)?,
        };
        self.derive(&mut progress, size, root)?;
        self.publish(size, root)?;
        progress.tiler.tidy();
        if syncs(&progress) {
            self.sync(&mut progress, size)?;
        }
        self.progress = Some(progress);
        Ok(())
    }

    /// Derives the tiles of the first `size` entries and checks that they have `expected` as their root.
    fn derive(&self, progress: &mut Progress, size: u64, expected: Hash) -> Result<(), Fault> {
        let wal = lock(&self.shared.wal).clone();
        let Progress { walker, tiler, .. } = progress;
        while walker.position.tree.size() < size {
            walk(walker, &wal, |leaf, hash| tiler.push(leaf, hash))?;
        }
        tiler.flush().map_err(tile_fault)?;
        let tiles = tiles_root(&self.shared, size)?;
        if walker.position.tree.root() != expected || tiles != expected {
            let why =
                format!("the first {size} entries have different roots in memory, in the segments and in the tiles");
            return Err(Fault::Damaged(why));
        }
        Ok(())
    }

    fn publish(&self, size: u64, root: Hash) -> Result<(), Fault> {
        self.shared.guard.pass(size, root, |size| tiles_root(&self.shared, size))?;
        let signed = self.shared.status.signed();
        if signed.is_some_and(|signed| signed.size == size && signed.root == root) {
            return Ok(());
        }
        let failed = |source| io_fault("write the checkpoint", source);
        let text = self.shared.key.sign(size, root).map_err(failed)?;
        let path = self.shared.layout.checkpoint();
        let _publishing = self.shared.status.publishing();
        replace(self.shared.storage.as_ref(), &path, text.as_bytes()).map_err(failed)?;
        let text = Arc::from(text);
        self.shared.status.sign(Signed { size, root, text });
        Ok(())
    }

    /// Makes the tiles of the first `size` entries durable and remembers that they are.
    fn sync(&self, progress: &mut Progress, size: u64) -> Result<(), Fault> {
        let failed = |source| io_fault("sync tiles", source);
        progress.tiler.sync().map_err(failed)?;
        let text = format!("{size}\n");
        let path = self.shared.layout.tiled();
        replace(self.shared.storage.as_ref(), &path, text.as_bytes()).map_err(failed)?;
        progress.synced = progress.walker.first;
        progress.synced_at = Some(Instant::now());
        Ok(())
    }
}

/// Goes on from the size up to which tiles are durable, or from nothing if they do not have the root they should.
fn resume(shared: &Shared) -> Result<Progress, Fault> {
    let mark = tiled(shared);
    if mark > 0 {
        match resume_at(shared, mark) {
            Ok(progress) => return Ok(progress),
            Err(fault) => {
                tracing::warn!(%fault, mark, "derives all tiles again");
            }
        }
    }
    resume_at(shared, 0)
}

fn resume_at(shared: &Shared, mark: u64) -> Result<Progress, Fault> {
    let wal = lock(&shared.wal).clone();
    let mut walker =
        Walker::begin(&wal, mark).map_err(fault)?.ok_or_else(|| Fault::Damaged("there are no segments".to_owned()))?;
    let synced = walker.first;
    while walker.position.tree.size() < mark {
        walk(&mut walker, &wal, |_, _| Ok(()))?;
    }
    let tiles = Tiles::new(&shared.layout.log());
    let tiler =
        Tiler::resume(Arc::clone(&shared.storage), tiles, mark).map_err(|source| io_fault("read tiles", source))?;
    let tree = &walker.position.tree;
    if tree.size() != mark || tiles_root(shared, mark)? != tree.root() {
        return Err(Fault::Damaged("the tiles have another root".to_owned()));
    }
    Ok(Progress { walker, tiler, synced, synced_at: None })
}

/// Returns the size up to which tiles were made durable; 0 if that is not known.
pub(crate) fn tiled(shared: &Shared) -> u64 {
    read_number(&shared.layout.tiled()).unwrap_or_default()
}

/// Returns the decimal number in a file of one line; `None` if there is none.
pub(crate) fn read_number(path: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

fn tiles_root(shared: &Shared, size: u64) -> Result<Hash, Fault> {
    let tiles = Tiles::new(&shared.layout.log());
    root(&TileHashes::new(tiles, size), size)
        .map_err(|error| io_fault("read tiles", io::Error::other(error.to_string())))
}

/// Reads one batch that is known to be durable.
fn walk(walker: &mut Walker, wal: &Wal, mut each: impl FnMut(&[u8], Hash) -> io::Result<()>) -> Result<(), Fault> {
    let why = match walker.step(wal).map_err(fault)? {
        Step::Batch(batch) => {
            let told = batch.leaves().try_for_each(|(leaf, hash)| each(leaf, hash));
            return told.map_err(tile_fault);
        }
        Step::Bad(why) => why.to_string(),
        Step::End => "a durable batch is not there".to_owned(),
    };
    let path = walker.segment.path.display();
    let offset = walker.offset;
    Err(Fault::Damaged(format!("`{path}` at byte {offset}: {why}")))
}

fn fault(error: WalError) -> Fault {
    match error {
        WalError::Io { source, .. } => io_fault("read the log", source),
        other => Fault::Damaged(other.to_string()),
    }
}

/// A tile that is not what was written is damage; that it could not be written may pass.
fn tile_fault(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::InvalidData => Fault::Damaged(error.to_string()),
        _ => io_fault("write tiles", error),
    }
}

fn io_fault(action: &'static str, source: io::Error) -> Fault {
    Fault::Io { action, source }
}
