//! What an opening finds in the files, before it changes any.
//!
//! One thread reads batches and checks their bytes against checksums and roots; another, meanwhile, does what their
//! entries say.

use std::{
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use proof::{
    entry::{Entry, Kind},
    tree::Hash,
};
use terms::Moment;

use crate::{
    calls::{Change, OpenCalls},
    chains::Places,
    handle::OpenError,
    heads::Saved,
    queue::CLOCK_TOLERANCE_MS,
    segment::Start,
    wal::{Batch, Step, Wal, WalError, Walker},
};

/// Bytes of batches that are handed from one thread to the other at once, at least.
const HANDED: usize = 1 << 20;
/// How often that may be done before the other thread is through with the first.
const AHEAD: usize = 4;

/// The state of the log as its files tell it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The log after its last whole batch.
    pub(crate) start: Start,
    /// The segment that has the end of the log; `None` without segments.
    pub(crate) tail: Option<FoundTail>,
    /// True if the last entry is a `Stop`, or there is none.
    pub(crate) stopped: bool,
    /// Where every chain stands.
    pub(crate) places: Places,
    /// The index of the last heads entry that was read.
    pub(crate) last_heads: Option<u64>,
    /// The size that was asked about: that of the signed checkpoint, if there is one.
    asked: Option<u64>,
    /// The root at that size.
    root: Option<Hash>,
    /// Where every chain stood at a heads entry that was not met yet: what comes before it is not counted.
    saved: Option<Saved>,
}

/// The end of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundTail {
    /// The index of the first entry of the last segment.
    pub(crate) first: u64,
    /// Where the next batch goes.
    pub(crate) offset: u64,
    /// Where the bytes of a torn batch end; `offset` without any.
    pub(crate) torn_end: u64,
    /// True if the segment has no batch.
    pub(crate) fresh: bool,
}

impl FoundTail {
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn_end - self.offset
    }
}

/// Reads the log: from the segment that has the entry at `saved.index`, or the latest signed checkpoint if that is
/// earlier, as far as where every chain stood there is what that entry says; otherwise from its beginning. `signed` is
/// the checkpoint's size and root, which the log must have reached.
///
/// # Errors
///
/// [`OpenError::Damaged`] if a batch is bad and others follow it, or the log is not the one that was signed.
pub(crate) fn find(
    dir: &Path,
    wal: &Wal,
    signed: Option<(u64, Hash)>,
    saved: Option<Saved>,
) -> Result<Found, OpenError> {
    let asked = signed.map(|(size, _)| size);
    let from = |saved: &Saved| saved.index.min(asked.unwrap_or(0));
    let mut found = walk(dir, wal, saved.as_ref().map_or(0, from), asked, saved)?;
    if found.saved.is_some() {
        tracing::warn!(dir = %dir.display(), "reads the whole log: where its chains stood was not saved in good order");
        found = walk(dir, wal, 0, asked, None)?;
    }
    check_signed(&found, signed).map_err(|why| OpenError::Damaged { dir: dir.display().to_string(), why })?;
    Ok(found)
}

fn check_signed(found: &Found, signed: Option<(u64, Hash)>) -> Result<(), String> {
    let size = found.start.position.tree.size();
    match signed {
        Some((signed, _)) if size < signed => {
            Err(format!("it has {size} entries, and a signed checkpoint says {signed}"))
        }
        Some((signed, root)) if signed > 0 && found.root != Some(root) => {
            Err(format!("its first {signed} entries do not have the root of the signed checkpoint"))
        }
        _ => Ok(()),
    }
}

/// Reads the log from the segment that has entry `from`, and notes the root at the size `asked`.
fn walk(dir: &Path, wal: &Wal, from: u64, asked: Option<u64>, saved: Option<Saved>) -> Result<Found, OpenError> {
    let Some(mut walker) = Walker::begin(wal, from).map_err(|error| open_error(dir, error))? else {
        return Ok(Found { stopped: true, ..Found::default() });
    };
    let mut found = Found {
        start: walker.segment.start.clone(),
        // A process that stopped in good order left its `Stop` in the segment; an empty segment only follows a crash.
        stopped: walker.first == 0,
        asked,
        saved,
        ..Found::default()
    };
    let tree = &walker.position.tree;
    found.note_root(tree.size(), tree.root());
    let last = thread::scope(|scope| {
        let (sender, handed) = sync_channel(AHEAD);
        let reader = &mut walker;
        let reading = thread::Builder::new()
            .spawn_scoped(scope, move || read(reader, wal, &sender))
            .map_err(|source| open_error(dir, WalError::Io { path: dir.display().to_string(), source }))?;
        let applied = handed.iter().flatten().try_for_each(|batch| found.apply(&batch));
        drop(handed);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        applied.map_err(|why| OpenError::Damaged { dir: dir.display().to_string(), why })?;
        read.map_err(|error| open_error(dir, error))
    })?;
    let fresh = last != Some(walker.first);
    found.tail = Some(tail(&walker, fresh).map_err(|error| open_error(dir, error))?);
    found.start.position = walker.position;
    Ok(found)
}

/// Reads batches and hands them on, as far as the log goes or anybody takes them. Returns the segment of the last.
fn read(walker: &mut Walker, wal: &Wal, sender: &SyncSender<Vec<Batch>>) -> Result<Option<u64>, WalError> {
    let (mut batches, mut bytes, mut last) = (Vec::new(), 0, None);
    loop {
        let step = walker.step(wal);
        if let Ok(Step::Batch(batch)) = step {
            last = Some(walker.first);
            bytes += batch.bytes();
            batches.push(batch);
            if bytes < HANDED {
                continue;
            }
            bytes = 0;
            if sender.send(std::mem::take(&mut batches)).is_err() {
                return Ok(last);
            }
        } else {
            // Whoever no longer takes them has met what ends the walk before this.
            let _taken = sender.send(batches);
            return step.map(|_| last);
        }
    }
}

impl Found {
    fn note_root(&mut self, size: u64, root: Hash) {
        if self.asked == Some(size) {
            self.root = Some(root);
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), String> {
        for (index, (leaf, _)) in (batch.header.first..).zip(batch.leaves()) {
            let entry = Entry::decode(leaf).map_err(|why| format!("entry {index}: {why}"))?;
            if entry.at_ms < self.start.last_at_ms {
                return Err(format!("entry {index} is earlier than the one before it"));
            }
            self.start.last_at_ms = entry.at_ms;
            self.stopped = entry.kind == Kind::Stop;
            self.apply_heads(&entry, index).map_err(|why| format!("entry {index}: {why}"))?;
            let calls: &mut OpenCalls = &mut self.start.calls;
            Change::of(entry, index).into_iter().for_each(|change| calls.apply(change));
        }
        self.note_root(batch.header.end(), batch.header.root);
        Ok(())
    }

    /// Counts an entry into its chains, unless it comes before the heads entry at which they are known.
    fn apply_heads(&mut self, entry: &Entry, index: u64) -> Result<(), String> {
        if entry.kind == Kind::Heads {
            self.last_heads = Some(index);
        }
        match self.saved.take() {
            None => return self.places.replay(entry, index),
            Some(saved) if saved.index == index => match saved.restore(entry.root) {
                Ok(places) => self.places = places,
                Err(other) => self.saved = Some(other),
            },
            Some(saved) => self.saved = Some(saved),
        }
        Ok(())
    }

    /// Returns an error if the clock is too far behind the last entry.
    pub(crate) fn check_clock(&self, now: Moment) -> Result<(), OpenError> {
        let last = i64::try_from(self.start.last_at_ms).unwrap_or(i64::MAX);
        let last = Moment::from_millis(last);
        let behind = last.since(now).as_millis();
        if behind > u128::from(CLOCK_TOLERANCE_MS) {
            return Err(OpenError::ClockBehind { now, last });
        }
        Ok(())
    }
}

/// Looks at what follows the last whole batch: nothing, or one torn batch, or else damage.
fn tail(walker: &Walker, fresh: bool) -> Result<FoundTail, WalError> {
    let (segment, offset) = (&walker.segment, walker.offset);
    let torn_end = segment.written_end(offset)?;
    if torn_end > offset {
        let later = segment.batch_after(offset, walker.position.seq)?;
        if let Some(later) = later {
            let path = segment.path.display().to_string();
            return Err(WalError::Followed { path, offset, later });
        }
    }
    Ok(FoundTail { first: walker.first, offset, torn_end, fresh })
}

/// Says in the words of an opening what reading the log answered.
pub(crate) fn open_error(dir: &Path, error: WalError) -> OpenError {
    match error {
        WalError::Io { path, source } => OpenError::Io { action: "read", path, source },
        other => OpenError::Damaged { dir: dir.display().to_string(), why: other.to_string() },
    }
}
