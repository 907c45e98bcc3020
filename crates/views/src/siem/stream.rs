//! Follows the log and sends what is new, for as long as the process runs.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ledger::Reader;
use terms::Clock;
use tokio::{task::spawn_blocking, time::sleep};

use super::{Limits, Sink, batch::Batch, cursor::Cursor};
use crate::event::Format;

/// How long to wait for new entries.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait after a failure: twice as long after each, up to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// One stream of events to one sink.
#[derive(Clone)]
pub struct Stream {
    /// Its name, in log lines and in the name of its cursor's file.
    pub name: String,
    /// In which words.
    pub format: Format,
    /// To whom.
    pub sink: Sink,
    /// How much at a time.
    pub limits: Limits,
}

/// How far a stream has come, for whoever watches it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    next: AtomicU64,
    failed: AtomicBool,
    skipped: AtomicU64,
}

impl Progress {
    /// Returns the index of the first entry that was not sent; 0 until that is known.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.next.load(Ordering::Relaxed)
    }

    /// Returns true if the last batch was not sent.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Returns how many entries were left out, too long for the sink or none of this version, since the process started.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Ordering::Relaxed)
    }

    fn reached(&self, next: u64) {
        self.0.next.store(next, Ordering::Relaxed);
    }

    fn note(&self, failed: bool) {
        self.0.failed.store(failed, Ordering::Relaxed);
    }

    fn skip(&self, entries: u64) {
        self.0.skipped.fetch_add(entries, Ordering::Relaxed);
    }
}

/// A stream that runs: where it reads, and where it keeps how far it has come.
struct Running {
    stream: Stream,
    ledger: PathBuf,
    cursor: Cursor,
    clock: Arc<dyn Clock>,
    progress: Progress,
}

/// Sends every signed entry of the log in `ledger` to the stream's sink, in order, each at least once; never returns.
///
/// `cursors` is a folder in which it keeps how far it has come. A batch that was not taken is sent again, the same or
/// with more behind it, after a while; nothing is ever left out but events that are longer than the sink may take, and
/// leaves that are no entries of this version: `progress` and a warning count them. Entries that no checkpoint covers yet wait.
pub async fn follow(stream: Stream, ledger: PathBuf, cursors: &Path, clock: Arc<dyn Clock>, progress: Progress) {
    let cursor = Cursor::new(cursors, &stream.name);
    let running = Running { stream, ledger, cursor, clock, progress };
    let mut failures = 0;
    loop {
        let step = running.step().await;
        running.progress.note(step.is_err());
        match step {
            Ok(true) => failures = 0,
            Ok(false) => {
                failures = 0;
                sleep(IDLE).await;
            }
            Err(why) => {
                let wait = back_off(failures);
                failures += 1;
                tracing::warn!(siem = running.stream.name, %why, again_in_s = wait.as_secs(), "events were not sent");
                sleep(wait).await;
            }
        }
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF.0.saturating_mul(1 << failures.min(16)).min(BACK_OFF.1)
}

impl Running {
    /// Sends one batch, if there is anything new; says whether there was.
    async fn step(&self) -> Result<bool, String> {
        let (origin, batch) = self.next().await?;
        self.progress.reached(batch.from);
        if batch.next == batch.from {
            return Ok(false);
        }
        if !batch.bytes.is_empty() {
            let at = self.clock.now().as_millis() / 1_000;
            let id = format!("{origin}#{}-{}", batch.from, batch.next);
            self.stream.sink.send(&id, at, batch.bytes).await?;
        }
        if batch.skipped > 0 {
            self.progress.skip(batch.skipped);
            tracing::warn!(
                siem = self.stream.name,
                events = batch.skipped,
                "events were left out: too long, or no entries"
            );
        }
        let cursor = self.cursor.clone();
        let written = spawn_blocking(move || cursor.write(batch.next)).await.map_err(|error| error.to_string())?;
        written.map_err(|error| format!("the cursor could not be kept: {error}"))?;
        self.progress.reached(batch.next);
        Ok(true)
    }

    async fn next(&self) -> Result<(String, Batch), String> {
        let (cursor, ledger) = (self.cursor.clone(), self.ledger.clone());
        let Stream { format, sink, limits, .. } = self.stream.clone();
        let read = move || {
            let from = cursor.read().map_err(|error| error.to_string())?;
            let reader = Reader::open(&ledger).map_err(|error| error.to_string())?;
            let vkey = reader.verifier_key().map_err(|error| error.to_string())?;
            let origin = vkey.split('+').next().unwrap_or_default().to_owned();
            let batch = Batch::read(&reader, &origin, from, format, &sink, limits);
            batch.map(|batch| (origin, batch)).map_err(|error| error.to_string())
        };
        spawn_blocking(read).await.map_err(|error| error.to_string())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_a_minute() {
        let waits: Vec<_> = [0, 1, 2, 5, 6, 40].into_iter().map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 32, 60, 60]);
    }
}
