//! What an opening finds in the files, before it changes any.

use std::path::Path;

use proof::{
    entry::{Entry, Kind},
    tree::Hash,
};
use terms::Moment;

use crate::{
    calls::{Change, OpenCalls},
    handle::OpenError,
    queue::CLOCK_TOLERANCE_MS,
    segment::Start,
    wal::{Batch, Step, Wal, WalError, Walker},
};

/// The state of the log as its files tell it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The log after its last whole batch.
    pub(crate) start: Start,
    /// The segment that has the end of the log; `None` without segments.
    pub(crate) tail: Option<FoundTail>,
    /// True if the last entry is a `Stop`, or there is none.
    pub(crate) stopped: bool,
    /// The root at the size that was asked about.
    root: Option<Hash>,
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

/// Reads the log from the segment that has entry `from`, which must not be above `signed`, if that is given: the
/// size and root of the latest signed checkpoint, which the log must have reached.
///
/// # Errors
///
/// [`OpenError::Damaged`] if a batch is bad and others follow it, or the log is not the one that was signed.
pub(crate) fn find(dir: &Path, wal: &Wal, from: u64, signed: Option<(u64, Hash)>) -> Result<Found, OpenError> {
    let damaged = |why| OpenError::Damaged { dir: dir.display().to_string(), why };
    let asked = signed.map(|(size, _)| size);
    let found = match Walker::begin(wal, from).map_err(|error| open_error(dir, error))? {
        None => Found { stopped: true, ..Found::default() },
        Some(walker) => walk(dir, wal, walker, asked)?,
    };
    let size = found.start.chain.tree.size();
    match signed {
        Some((signed, _)) if size < signed => {
            Err(damaged(format!("it has {size} entries, and a signed checkpoint says {signed}")))
        }
        Some((signed, root)) if signed > 0 && found.root != Some(root) => {
            Err(damaged(format!("its first {signed} entries do not have the root of the signed checkpoint")))
        }
        _ => Ok(found),
    }
}

fn walk(dir: &Path, wal: &Wal, mut walker: Walker, asked: Option<u64>) -> Result<Found, OpenError> {
    let mut found = Found {
        start: walker.segment.start.clone(),
        // A process that stopped in good order left its `Stop` in the segment; an empty segment only follows a crash.
        stopped: walker.first == 0,
        ..Found::default()
    };
    found.note_root(&walker, asked);
    let mut fresh_before = walker.first;
    let mut fresh = true;
    loop {
        let step = walker.step(wal).map_err(|error| open_error(dir, error))?;
        let Step::Batch(batch) = step else { break };
        fresh = false;
        fresh_before = walker.first;
        found.apply(&batch).map_err(|why| OpenError::Damaged { dir: dir.display().to_string(), why })?;
        found.note_root(&walker, asked);
    }
    fresh = fresh || walker.first != fresh_before;
    found.tail = Some(tail(&walker, fresh).map_err(|error| open_error(dir, error))?);
    found.start.chain = walker.chain;
    Ok(found)
}

impl Found {
    fn note_root(&mut self, walker: &Walker, asked: Option<u64>) {
        if asked == Some(walker.chain.tree.size()) {
            self.root = Some(walker.chain.tree.root());
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
            let calls: &mut OpenCalls = &mut self.start.calls;
            Change::of(entry, index).into_iter().for_each(|change| calls.apply(change));
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
        let later = segment.batch_after(offset, walker.chain.seq)?;
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
