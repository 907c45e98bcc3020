//! The next segment, made ready before it is needed: a file whose every block is written and synced, so that a
//! commit into it changes no metadata of the file system.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    queue::lock,
    storage::{Storage, StorageFile},
};

/// How long to wait before another try to make a segment, after one failed.
const RETRY: Duration = Duration::from_secs(1);
const CHUNK: usize = 1 << 20;
/// Memory that begins at a multiple of this can be written to any disk directly.
const ALIGNED: usize = 4_096;
const EXTENSION: &str = "pre";

/// A segment that is ready, under a name of its own.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: Box<dyn StorageFile>,
    pub(crate) path: PathBuf,
}

/// Makes spares, one ahead.
#[derive(Debug)]
pub(crate) struct Spares {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    bytes: u64,
    starved: Arc<AtomicBool>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: Option<Spare>,
    made: u64,
    /// Nobody waits any more for a spare that cannot be made.
    hurried: bool,
    closed: bool,
}

impl Spares {
    /// Makes spares of `bytes` in `dir`; `starved` is set while that fails.
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path, bytes: u64, starved: Arc<AtomicBool>) -> Self {
        Self { storage, dir: dir.to_owned(), bytes, starved, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Makes spares until closed; runs on a thread of its own.
    pub(crate) fn run(&self) {
        while self.wait_until_wanted() {
            match self.make() {
                Ok(spare) => self.offer(spare),
                Err(error) => self.pause(&error),
            }
        }
    }

    /// Makes one spare on this thread.
    pub(crate) fn make(&self) -> io::Result<Spare> {
        let number = {
            let mut state = lock(&self.state);
            state.made += 1;
            state.made
        };
        let path = self.dir.join(format!("{number}.{EXTENSION}"));
        self.write(&path).inspect_err(|_| {
            // Gives back what room it took; if even this fails, the next opening removes it.
            let _removed = self.storage.remove(&path);
        })
    }

    fn write(&self, path: &Path) -> io::Result<Spare> {
        let filling = self.storage.create_to_fill(path)?;
        let zeros = vec![0; CHUNK + ALIGNED];
        let zeros = zeros.get(zeros.as_ptr().align_offset(ALIGNED)..).unwrap_or_default();
        let mut at = 0;
        while at < self.bytes && !lock(&self.state).closed {
            let count = usize::try_from(self.bytes - at).map_or(CHUNK, |left| left.min(CHUNK));
            filling.write_at(zeros.get(..count).unwrap_or_default(), at)?;
            at += count as u64;
        }
        filling.sync()?;
        let (file, path) = (self.storage.open(path)?, path.to_owned());
        Ok(Spare { file, path })
    }

    /// Takes the spare, waiting until there is one; `None` if there will be none before the log closes.
    pub(crate) fn take(&self) -> Option<Spare> {
        let mut state = lock(&self.state);
        while state.ready.is_none() && !state.closed && !self.hopeless(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let spare = state.ready.take();
        drop(state);
        self.changed.notify_all();
        spare
    }

    fn hopeless(&self, state: &State) -> bool {
        state.hurried && self.starved.load(Ordering::Relaxed)
    }

    /// From now on nobody waits for a spare that cannot be made.
    pub(crate) fn hurry(&self) {
        lock(&self.state).hurried = true;
        self.changed.notify_all();
    }

    /// Ends [`Spares::run`] and all waiting.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    fn wait_until_wanted(&self) -> bool {
        let mut state = lock(&self.state);
        while state.ready.is_some() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closed
    }

    fn offer(&self, spare: Spare) {
        self.starved.store(false, Ordering::Relaxed);
        lock(&self.state).ready = Some(spare);
        self.changed.notify_all();
    }

    fn pause(&self, error: &io::Error) {
        tracing::warn!(%error, dir = %self.dir.display(), "cannot make the next segment of the log: free some room");
        self.starved.store(true, Ordering::Relaxed);
        let state = lock(&self.state);
        self.changed.notify_all();
        let _woken = self.changed.wait_timeout_while(state, RETRY, |state| !state.closed);
    }
}

/// Removes spares that an earlier process left in `dir`; they may be in any state.
pub(crate) fn remove_left(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            storage.remove(&path)?;
        }
    }
    Ok(())
}
