//! Heads entries: what they commit to, when they are written, and the file from which the next opening goes on.

mod saved;

use std::{
    io,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use proof::heads::Heads;

pub(crate) use self::saved::Saved;
use crate::{
    handle::Unavailable,
    queue::{Queue, Ticket, lock},
    storage::{Storage, put},
};

/// After so many bytes of segments a heads entry is due before its time: an opening reads not much more than that.
const BYTES: u64 = 128 << 20;
/// But only after so many entries for each chain, so that the map and its file are a small part of what is written.
const ENTRIES_A_CHAIN: u64 = 4;

/// Writes heads entries, and saves where the chains stood at the last one.
#[derive(Debug)]
pub(crate) struct HeadsKeeper {
    every: Duration,
    state: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The map as of the last heads entry of this process.
    heads: Heads,
    /// The index of that entry, until it is saved.
    unsaved: Option<u64>,
    /// When it was written, or the log was opened.
    at: Instant,
}

impl HeadsKeeper {
    /// Begins with the opening of a log; the first entry is due after `every`.
    pub(crate) fn new(every: Duration) -> Self {
        let kept = Kept { heads: Heads::new(), unsaved: None, at: Instant::now() };
        Self { every, state: Mutex::new(kept) }
    }

    /// Submits a heads entry.
    pub(crate) fn write(&self, queue: &Queue, now_ms: u64) -> Result<Ticket, Unavailable> {
        let mut kept = lock(&self.state);
        // Whatever comes of it, the map is no longer that of the entry before.
        kept.unsaved = None;
        let ticket = queue.submit_heads(&mut kept.heads, now_ms)?;
        kept.unsaved = Some(ticket.index);
        kept.at = Instant::now();
        Ok(ticket)
    }

    /// Returns true if something was recorded since the last, and the time has come for another or so much was recorded that
    /// an opening would take long to read it. `written` says how many bytes of segments were begun after an entry.
    pub(crate) fn is_due(&self, queue: &Queue, written: impl FnOnce(u64) -> u64) -> bool {
        let since = queue.since_heads();
        if since.is_empty() {
            return false;
        }
        let kept = lock(&self.state);
        let entries = since.end - since.start;
        let much = entries / ENTRIES_A_CHAIN >= kept.heads.chains() && written(since.start) >= BYTES;
        much || kept.at.elapsed() >= self.every
    }

    /// Saves where the chains stood at the last heads entry, once that is among the `durable` entries.
    pub(crate) fn save(&self, storage: &dyn Storage, path: &Path, durable: u64) -> io::Result<()> {
        let Some((index, bytes)) = self.encode(durable) else {
            return Ok(());
        };
        put(storage, path, &bytes)?;
        let mut kept = lock(&self.state);
        kept.unsaved = kept.unsaved.filter(|unsaved| *unsaved != index);
        Ok(())
    }

    /// Copies the map, which is held only so long: whoever wants a heads entry does not wait for the disk.
    fn encode(&self, durable: u64) -> Option<(u64, Vec<u8>)> {
        let kept = lock(&self.state);
        let index = kept.unsaved.filter(|index| *index < durable)?;
        Some((index, Saved::encode(index, &kept.heads)))
    }
}
