//! The latest checkpoint of a log as an object that only its last reader can replace (`If-Match`).

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ledger::{CheckpointStore, Mark};
use object_store::{UpdateVersion, path::Path};
use proof::{hex, unhex};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::{
    names::escaped,
    store::{Store, StoreError},
};

/// How long a load or a swap may take, with all its tries.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// A longer object is none of ours.
const BYTES_MAX: u64 = 4_096;

/// The object `checkpoint/ORIGIN` in a store. Blocks: not to be used within an asynchronous task.
#[derive(Debug)]
pub struct CheckpointObject {
    runtime: Handle,
    store: Store,
    path: Path,
    /// The version of the object that was loaded or put last; `None` if there was none.
    version: Mutex<Option<UpdateVersion>>,
}

/// The object.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: String,
    size: u64,
    root: String,
    epoch: u64,
    holder: String,
}

/// What `format` says.
const FORMAT: &str = "exeat-checkpoint/v1";

impl CheckpointObject {
    /// Keeps the checkpoints of the log `origin` in `store`, which must be able to swap: a bucket, not a folder. `runtime`
    /// must have a thread of its own.
    #[must_use]
    pub fn new(runtime: Handle, store: Store, origin: &str) -> Self {
        let path = store.path(&format!("checkpoint/{}", escaped(origin)));
        Self { runtime, store, path, version: Mutex::default() }
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> io::Result<T> {
        let done = self.runtime.block_on(async { tokio::time::timeout(WAIT_MAX, work).await });
        done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)
    }

    fn remember(&self, version: Option<UpdateVersion>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

impl CheckpointStore for CheckpointObject {
    fn load(&self) -> io::Result<Option<Mark>> {
        let found = self.wait(self.store.get(&self.path, BYTES_MAX))?;
        let mark = found.as_ref().map(|found| parse(&found.bytes)).transpose()?;
        self.remember(found.map(|found| found.version));
        Ok(mark)
    }

    fn swap(&self, next: &Mark) -> io::Result<bool> {
        let before = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(after) = self.wait(self.store.swap(&self.path, before, print(next)?.into()))? else {
            return Ok(false);
        };
        self.remember(Some(after));
        Ok(true)
    }
}

/// Writes the object.
pub(crate) fn print(mark: &Mark) -> io::Result<Vec<u8>> {
    let Mark { size, root, epoch, holder } = mark;
    let text = Text { format: FORMAT.to_owned(), size: *size, root: hex(root), epoch: *epoch, holder: hex(holder) };
    serde_json::to_vec(&text).map_err(io::Error::other)
}

/// Reads the object.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] if it is not one of this format.
pub(crate) fn parse(bytes: &[u8]) -> io::Result<Mark> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the object with the checkpoint is not one of this format");
    let text: Text = serde_json::from_slice(bytes).map_err(|_| bad())?;
    if text.format != FORMAT {
        return Err(bad());
    }
    let (root, holder) = unhex(&text.root).zip(unhex(&text.holder)).ok_or_else(bad)?;
    Ok(Mark { size: text.size, root, epoch: text.epoch, holder })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_reads_back(size: u64, root: [u8; 32], epoch: u64, holder: [u8; 16]) {
            let mark = Mark { size, root, epoch, holder };
            prop_assert_eq!(parse(&print(&mark).unwrap()).unwrap(), mark);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _read = parse(&bytes);
        }
    }
}
