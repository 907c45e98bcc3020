//! What the leaves of a log say of each other: looked at before the mirror cosigns, since nobody else who cosigns holds
//! them.

use std::{
    io,
    sync::{Mutex, TryLockError},
};

use proof::{
    tile::TILE_WIDTH,
    walk::{BadLeaf, LeafWalk},
};

use super::tiles::LogTiles;
use crate::store::lock;

/// The leaves of one log, looked at one after another.
///
/// In memory only: after a start it begins again with the first leaf, at the first cosignature that is asked for.
#[derive(Debug, Default)]
pub(super) struct Leaves(Mutex<Looked>);

#[derive(Debug, Default)]
struct Looked {
    walk: LeafWalk,
    /// The first leaf that contradicts those before it; nothing that has it is cosigned.
    bad: Option<BadLeaf>,
}

/// A log is not found to be in order.
#[derive(Debug)]
pub(super) enum NotInOrder {
    /// It is not.
    Bad(BadLeaf),
    /// It could not be read.
    Io(io::Error),
}

impl Leaves {
    /// Looks at the first `size` leaves, all of which are in `tiles` under a checkpoint that the log signed.
    pub(super) fn check(&self, tiles: &LogTiles, size: u64) -> Result<(), NotInOrder> {
        let mut looked = lock(&self.0);
        while looked.bad.is_none() && looked.walk.size() < size {
            looked.advance(tiles, size).map_err(NotInOrder::Io)?;
        }
        looked.refusal(size)
    }

    /// Answers what is known already of a log of `size` leaves, without a look at any; while somebody looks, nothing is.
    pub(super) fn known(&self, size: u64) -> Result<(), NotInOrder> {
        match self.0.try_lock() {
            Ok(looked) => looked.refusal(size),
            Err(TryLockError::Poisoned(looked)) => looked.into_inner().refusal(size),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }
}

impl Looked {
    /// Looks at what is left of one bundle.
    fn advance(&mut self, tiles: &LogTiles, size: u64) -> io::Result<()> {
        let width = u64::from(TILE_WIDTH);
        let (bundle, seen) = (self.walk.size() / width, self.walk.size() % width);
        let end = size.min((bundle + 1) * width) - bundle * width;
        let number = |count: u64| usize::try_from(count).map_err(io::Error::other);
        let entries = tiles.checked_entries(bundle, number(end)?)?;
        for entry in entries.iter().skip(number(seen)?) {
            if let Err(bad) = self.walk.push(entry) {
                self.bad = Some(bad);
                break;
            }
        }
        Ok(())
    }

    fn refusal(&self, size: u64) -> Result<(), NotInOrder> {
        let bad = self.bad.as_ref().filter(|bad| bad.index < size);
        bad.map_or(Ok(()), |bad| Err(NotInOrder::Bad(bad.clone())))
    }
}
