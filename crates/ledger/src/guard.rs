//! The latest checkpoint, kept outside of the log's own disk too, so that no copy of the log goes on unnoticed.
//!
//! Before a checkpoint is signed, its size and root are swapped into the store, under the epoch and the holder of this
//! opening. Whoever opens the log later takes over, and the swap of the one before fails: it is fenced. Whoever opens a
//! log that is behind the store has lost entries that were signed, and is refused.
//!
//! What a crash leaves: after the swap and before the checkpoint is published, a store that is ahead of the published
//! checkpoint but never of the log, since only what is durable is signed.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
};

use proof::tree::Hash;

use crate::{queue::lock, sequencer::Fault};

/// What a store keeps of the latest checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Entries of the log.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// How often the log had been opened, with the opening that signed this.
    pub epoch: u64,
    /// Which process that was: 16 random bytes.
    pub holder: [u8; 16],
}

/// Keeps the latest checkpoint of one log, so that only one process at a time can put the next in its place.
///
/// Both functions may block; neither tries again by itself. After an error of [`CheckpointStore::swap`] it is not known
/// which of the two marks is kept.
pub trait CheckpointStore: fmt::Debug + Send + Sync {
    /// Returns what is kept, durably; `None` if nothing ever was.
    ///
    /// # Errors
    ///
    /// The operating system's, or the network's.
    fn load(&self) -> io::Result<Option<Mark>>;

    /// Puts `next` in the place of what this store object loaded or put last, durably; false if something else is there by
    /// now, and then nothing was changed.
    ///
    /// # Errors
    ///
    /// The operating system's, or the network's.
    fn swap(&self, next: &Mark) -> io::Result<bool>;
}

/// Lets only checkpoints pass that the store took.
#[derive(Debug)]
pub(crate) struct Guard {
    store: Option<Arc<dyn CheckpointStore>>,
    epoch: u64,
    holder: [u8; 16],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the store keeps, once this opening put something there.
    kept: Option<Mark>,
    /// True if a swap was not answered, so that what is kept is not known.
    unknown: bool,
}

impl Guard {
    /// Guards the checkpoints of the opening `epoch` with `store`; without one, lets everything pass.
    pub(crate) fn new(store: Option<Arc<dyn CheckpointStore>>, epoch: u64) -> io::Result<Self> {
        let mut holder = [0; 16];
        getrandom::fill(&mut holder).map_err(io::Error::other)?;
        Ok(Self { store, epoch, holder, state: Mutex::default() })
    }

    /// Returns true if this opening holds the log, or nobody needs to.
    pub(crate) fn holds(&self) -> bool {
        self.store.is_none() || lock(&self.state).kept.is_some()
    }

    /// Returns once the store keeps a checkpoint of `size` entries with `root`; `root_at` gives the root of fewer.
    ///
    /// # Errors
    ///
    /// [`Fault::Io`] if the store does not answer: nothing may be signed, and it can be tried again. [`Fault::Damaged`] if
    /// another process holds the log, or the store keeps what is not in it.
    pub(crate) fn pass(
        &self,
        size: u64,
        root: Hash,
        root_at: impl Fn(u64) -> Result<Hash, Fault>,
    ) -> Result<(), Fault> {
        let Some(store) = self.store.as_deref() else {
            return Ok(());
        };
        let mut state = lock(&self.state);
        let next = Mark { size, root, epoch: self.epoch, holder: self.holder };
        if state.kept.is_none() && !state.unknown {
            self.check(store.load().map_err(unanswered)?, size, root_at)?;
        }
        if state.kept == Some(next) && !state.unknown {
            return Ok(());
        }
        if !state.put(store, next)? {
            self.find_own(store)?;
            if !state.put(store, next)? {
                return Err(taken());
            }
        }
        Ok(())
    }

    /// Checks what the store keeps from before this opening.
    fn check(&self, kept: Option<Mark>, size: u64, root_at: impl Fn(u64) -> Result<Hash, Fault>) -> Result<(), Fault> {
        let Some(kept) = kept else { return Ok(()) };
        if kept.epoch >= self.epoch {
            let why = format!(
                "opening {} of the log has signed, and this is opening {}: it is a copy, or another process has it",
                kept.epoch, self.epoch
            );
            return Err(Fault::Damaged(why));
        }
        if kept.size > size {
            let why = format!("a checkpoint of {} entries was signed, and the log has {size}", kept.size);
            return Err(Fault::Damaged(why));
        }
        if root_at(kept.size)? != kept.root {
            let why = format!("the first {} entries have another root than the checkpoint in the store", kept.size);
            return Err(Fault::Damaged(why));
        }
        Ok(())
    }

    /// Looks whether what is there is what this opening put there without an answer.
    fn find_own(&self, store: &dyn CheckpointStore) -> Result<(), Fault> {
        let found = store.load().map_err(unanswered)?;
        if found.is_some_and(|found| found.holder == self.holder) { Ok(()) } else { Err(taken()) }
    }
}

impl State {
    /// Swaps `next` in; false if something else than expected is there.
    fn put(&mut self, store: &dyn CheckpointStore, next: Mark) -> Result<bool, Fault> {
        match store.swap(&next) {
            Ok(true) => {
                *self = Self { kept: Some(next), unknown: false };
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                self.unknown = true;
                Err(unanswered(error))
            }
        }
    }
}

fn taken() -> Fault {
    Fault::Damaged("another process has signed a checkpoint of this log: this one is fenced".to_owned())
}

fn unanswered(source: io::Error) -> Fault {
    Fault::Io { action: "reach the store of checkpoints", source }
}

#[cfg(test)]
mod tests;
