//! The one thread that writes: takes all that waits, writes it as one batch, syncs, tells the waiters, again.
//!
//! What a crash leaves at each step of a commit:
//! - while the keys are written that the batch is the first to use: slots that no whole batch counts, overwritten by the
//!   next opening;
//! - before or during the write of the batch: a torn tail, cut by recovery; nobody was told;
//! - after the sync, before the waiters are told: a whole batch; recovery keeps it;
//! - while a new segment is made: a file that is not named a segment yet, removed by recovery. A segment gets its
//!   name only when its header is durable, and its first batch is written only when the name is.
//!
//! Any error fences the log for good: after a failed sync nobody knows what the disk has.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    batch::{self, Header, Position},
    bytes::{pad, size},
    calls::OpenCalls,
    queue::{Work, lock},
    segment::Start,
    shared::Shared,
    spare::{Spare, Spares},
    storage::{Storage, StorageFile, parent},
    wal::Wal,
};

/// The place in the log where the next batch goes.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) file: Box<dyn StorageFile>,
    pub(crate) offset: u64,
    /// True if the segment has no batch yet.
    pub(crate) fresh: bool,
    pub(crate) start: Start,
}

impl Tail {
    /// Makes `spare` the segment that `start` begins, durably.
    pub(crate) fn begin(storage: &dyn Storage, wal: &mut Wal, spare: Spare, start: Start) -> io::Result<Self> {
        let header = start.encode();
        spare.file.write_at(&header, 0)?;
        spare.file.sync()?;
        let first = start.position.tree.size();
        let path = wal.path(first);
        storage.rename(&spare.path, &path)?;
        storage.sync_dir(parent(&path))?;
        wal.push(first);
        Ok(Self { file: spare.file, offset: size(&header), fresh: true, start })
    }
}

/// The writer's own state; `tail.start` moves along with the log.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spares: Arc<Spares>,
    pub(crate) tail: Tail,
}

impl Writer {
    /// Writes until the queue ends; fences the log when it returns, however that comes about.
    pub(crate) fn run(mut self) {
        let _fence = FenceOnExit(Arc::clone(&self.shared));
        let mut work = Work::default();
        while self.shared.queue.take(&mut work) {
            let started = Instant::now();
            match self.commit(&mut work) {
                Ok(batch) => self.publish(&batch, &mut work, started.elapsed()),
                Err(error) => {
                    tracing::error!(%error, "cannot write the log: it takes nothing more until the process starts anew");
                    self.shared.queue.fence();
                    work.slots.iter().for_each(|slot| slot.fenced());
                    return;
                }
            }
        }
    }

    /// Writes one batch and returns once it is durable.
    fn commit(&mut self, work: &mut Work) -> io::Result<Header> {
        let frames = size(&work.bytes) - batch::HEADER as u64;
        pad(&mut work.bytes);
        let length = size(&work.bytes);
        if !self.fits(length) {
            self.roll(length)?;
        }
        self.position().slots = self.shared.vault.flush()?;
        let header = self.position().append(&work.leaves, frames);
        if let Some(place) = work.bytes.get_mut(..batch::HEADER) {
            place.copy_from_slice(&header.encode());
        }
        self.tail.file.write_at(&work.bytes, self.tail.offset)?;
        self.tail.file.sync()?;
        self.tail.offset += length;
        self.tail.fresh = false;
        self.tail.start.last_at_ms = work.last_at_ms;
        let calls: &mut OpenCalls = &mut self.tail.start.calls;
        work.changes.drain(..).for_each(|change| calls.apply(change));
        Ok(header)
    }

    fn position(&mut self) -> &mut Position {
        &mut self.tail.start.position
    }

    /// A segment takes at least one batch, however long its header is.
    fn fits(&self, length: u64) -> bool {
        self.tail.fresh || self.tail.offset + length <= self.shared.segment_bytes
    }

    /// Goes on to the next segment, whose first batch will take `length` bytes.
    fn roll(&mut self, length: u64) -> io::Result<()> {
        let spare = self.spares.take().ok_or_else(|| io::Error::other("the log was closed before there was room"))?;
        let mut start = std::mem::take(&mut self.tail.start);
        start.position.segment += 1;
        let storage = self.shared.storage.as_ref();
        // Readers list the segments under this lock, so it is held only to add the new one.
        let mut wal = lock(&self.shared.wal).clone();
        self.tail = Tail::begin(storage, &mut wal, spare, start)?;
        *lock(&self.shared.wal) = wal;
        let used = self.tail.offset + length;
        self.shared.queue.rolled(self.shared.segment_bytes.saturating_sub(used));
        Ok(())
    }

    fn publish(&self, batch: &Header, work: &mut Work, took: Duration) {
        let size = batch.end();
        self.shared.status.committed(size, batch.root, took);
        self.shared.told.durable(size, &mut work.slots, |told| self.shared.queue.committed(told));
        work.clear();
    }
}

/// Whatever ends the writer, nobody waits for it for ever.
struct FenceOnExit(Arc<Shared>);

impl Drop for FenceOnExit {
    fn drop(&mut self) {
        self.0.queue.fence();
        self.0.told.fence();
    }
}
