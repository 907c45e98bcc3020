//! Where a log keeps what, under its directory.
//!
//! ```text
//! wal/lock             held while a process has the log open
//! key                  signer key of the checkpoints (secret)
//! pseudonym.key        key of the pseudonyms (secret)
//! wal/NNN.seg          the truth: entries with salts and private parts, in segments (secret)
//! wal/epoch            how often the log was opened
//! wal/tiled            the size up to which everything under log/ is durable
//! log/checkpoint       latest signed checkpoint
//! log/log.vkey         verifier key
//! log/tile/...         tiles and entry bundles, derived from the segments
//! ```
//! Everything under `log/` may be published as it is (C2SP tlog-tiles).

use std::path::{Path, PathBuf};

/// The paths of a log.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.wal().join("lock")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    pub(crate) fn pseudonym_key(&self) -> PathBuf {
        self.dir.join("pseudonym.key")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.dir.join("wal")
    }

    pub(crate) fn epoch(&self) -> PathBuf {
        self.wal().join("epoch")
    }

    pub(crate) fn tiled(&self) -> PathBuf {
        self.wal().join("tiled")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.log().join("checkpoint")
    }

    pub(crate) fn verifier_key(&self) -> PathBuf {
        self.log().join("log.vkey")
    }
}
