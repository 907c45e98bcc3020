//! What the leaves of a log say of each other: looked at before the mirror cosigns, since nobody else who cosigns holds
//! them.
//!
//! What one upload brings is looked at in its request. Whatever is more, such as a whole log after a start, is walked by a
//! thread of its own, and uploads are told to come back: none waits for the walk, or keeps a place while it goes on.

use std::{
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use proof::walk::{BadLeaf, LeafWalk};

use super::{PACKAGE, tiles::LogTiles};
use crate::store::lock;

/// So many leaves are looked at within a request: those of 32 packages, the most that one of ours brings. It takes some
/// milliseconds.
const AT_ONCE: u64 = 32 * PACKAGE;

/// The leaves of one log, looked at one after another.
///
/// In memory only: after a start it begins again with the first leaf. When it is dropped, its thread ends after the bundle
/// that it reads.
#[derive(Debug)]
pub(super) struct Leaves {
    walk: Arc<Walk>,
    /// Tells the thread how far to walk; it ends once this is gone.
    wanted: Option<SyncSender<u64>>,
    thread: Option<JoinHandle<()>>,
}

/// A log is not found to be in order.
#[derive(Debug)]
pub(super) enum NotInOrder {
    /// It is not.
    Bad(BadLeaf),
    /// Nobody knows yet: so many of its leaves were looked at. Asked again, it is known at some time.
    Walking(u64),
    /// It could not be read.
    Io(io::Error),
}

/// What the thread and the requests share.
#[derive(Debug)]
struct Walk {
    origin: String,
    tiles: LogTiles,
    looked: Mutex<Looked>,
}

#[derive(Debug, Default)]
struct Looked {
    walk: LeafWalk,
    /// The first leaf that contradicts those before it; nothing that has it is cosigned.
    bad: Option<BadLeaf>,
    /// Why the thread did not come to its end, until somebody was told.
    failed: Option<io::Error>,
}

impl Leaves {
    /// Looks at the leaves of the log `origin`, which are in `tiles`, from the first one on.
    ///
    /// # Errors
    ///
    /// The operating system's, if it gives no thread.
    pub(super) fn new(origin: &str, tiles: LogTiles) -> io::Result<Self> {
        let walk = Arc::new(Walk { origin: origin.to_owned(), tiles, looked: Mutex::default() });
        let (wanted, hears) = sync_channel(1);
        let thread = std::thread::Builder::new().name("leaves".to_owned());
        let walking = Arc::clone(&walk);
        let thread = thread.spawn(move || walking.run(&hears))?;
        Ok(Self { walk, wanted: Some(wanted), thread: Some(thread) })
    }

    /// Looks at the first `size` leaves, all of which are in the tiles under a checkpoint that the log signed.
    pub(super) fn check(&self, size: u64) -> Result<(), NotInOrder> {
        let walked = {
            let mut looked = lock(&self.walk.looked);
            looked.refusal(size)?;
            looked.failed.take().map_or(Ok(()), |error| Err(NotInOrder::Io(error)))?;
            looked.walk.size()
        };
        if is_far(walked, size) {
            self.walk_to(size)?;
            return Err(NotInOrder::Walking(walked));
        }
        while !self.walk.is_done(size) {
            self.walk.step(size).map_err(NotInOrder::Io)?;
        }
        self.known(size)
    }

    /// Answers what is known already of a log of `size` leaves, without a look at any.
    pub(super) fn known(&self, size: u64) -> Result<(), NotInOrder> {
        lock(&self.walk.looked).refusal(size)
    }

    /// Has the first `size` leaves looked at, all of which are in the tiles, before anybody asks for a cosignature: so an
    /// upload of many parts need not wait at its end.
    pub(super) fn pursue(&self, size: u64) {
        let walked = lock(&self.walk.looked).walk.size();
        if is_far(walked, size) {
            // A thread that is gone is found by whoever wants to know more.
            let _asked = self.walk_to(size);
        }
    }

    fn walk_to(&self, size: u64) -> Result<(), NotInOrder> {
        match self.wanted.as_ref().map(|wanted| wanted.try_send(size)) {
            // It has been told something already; whoever comes back tells it again.
            Some(Ok(()) | Err(TrySendError::Full(_))) => Ok(()),
            Some(Err(TrySendError::Disconnected(_))) | None => {
                Err(NotInOrder::Io(io::Error::other("nobody looks at the leaves any more: restart the mirror")))
            }
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        drop(self.wanted.take());
        // It holds the mirror's folder, which somebody may open next.
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Walk {
    /// Walks as far as it is told, until nobody is left who tells it.
    fn run(&self, wanted: &Receiver<u64>) {
        let mut end = 0;
        loop {
            let is_done = self.is_done(end);
            let told = if is_done { wanted.recv().map_err(TryRecvError::from) } else { wanted.try_recv() };
            match told {
                Ok(size) => {
                    if is_done {
                        tracing::info!(log = self.origin, size, "looks at the leaves before anything more is cosigned");
                    }
                    end = end.max(size);
                }
                Err(TryRecvError::Empty) => end = self.go_on(end),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Takes one step towards `end`; returns where it goes on to, 0 if it cannot.
    fn go_on(&self, end: u64) -> u64 {
        match self.step(end) {
            Ok(()) => {
                if self.is_done(end) {
                    tracing::info!(log = self.origin, size = end, "looked at the leaves");
                }
                end
            }
            Err(error) => {
                tracing::error!(%error, log = self.origin, "cannot look at the leaves");
                lock(&self.looked).failed = Some(error);
                0
            }
        }
    }

    fn is_done(&self, end: u64) -> bool {
        let looked = lock(&self.looked);
        looked.bad.is_some() || looked.walk.size() >= end
    }

    /// Looks at what is left of one bundle. Takes no lock while it reads; whoever does the same at the same time reads twice
    /// and looks once.
    fn step(&self, end: u64) -> io::Result<()> {
        let bundle = lock(&self.looked).walk.size() / PACKAGE;
        let first = bundle * PACKAGE;
        let count = usize::try_from(end.min(first + PACKAGE).saturating_sub(first)).map_err(io::Error::other)?;
        let entries = self.tiles.checked_entries(bundle, count)?;
        let mut looked = lock(&self.looked);
        for (index, entry) in (first..).zip(&entries) {
            looked.take(index, entry);
        }
        Ok(())
    }
}

impl Looked {
    /// Takes the leaf at `index` if it is the next one.
    fn take(&mut self, index: u64, leaf: &[u8]) {
        if self.bad.is_none() && index == self.walk.size() {
            self.bad = self.walk.push(leaf).err();
        }
    }

    fn refusal(&self, size: u64) -> Result<(), NotInOrder> {
        let bad = self.bad.as_ref().filter(|bad| bad.index < size);
        bad.map_or(Ok(()), |bad| Err(NotInOrder::Bad(bad.clone())))
    }
}

/// Says whether there is more between the two than one upload brings.
fn is_far(walked: u64, size: u64) -> bool {
    size.saturating_sub(walked) > AT_ONCE
}
