//! Where a log keeps what, under its directory.
//!
//! ```text
//! wal/lock                 held while a process has the log open
//! key                      signer key of the checkpoints (secret)
//! pseudonym.key            key of the pseudonyms (secret)
//! vault/N.keys             keys of the private parts, sealed, and
//! vault/N.kek              the key they are sealed under (secret): whoever has both can read all private parts
//! vault/rekey              there while keys that were destroyed had been sealed under that key
//! wal/NNN.seg              the truth: entries with their private parts, sealed, in segments
//! wal/epoch                how often the log was opened
//! wal/heads                where every chain stood at the last heads entry, derived from the segments
//! wal/tiled                the size up to which everything under log/ is durable
//! wal/leader               who this directory is to followers, if it ever had any
//! wal/followed             the latest leader that was followed here, if any was
//! log/checkpoint           latest signed checkpoint
//! log/checkpoint.cosigned  latest checkpoint with cosignatures
//! log/log.vkey             verifier key
//! log/tile/...             tiles and entry bundles, derived from the segments
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

    pub(crate) fn vault(&self) -> PathBuf {
        self.dir.join("vault")
    }

    pub(crate) fn heads(&self) -> PathBuf {
        self.wal().join("heads")
    }

    pub(crate) fn leader(&self) -> PathBuf {
        self.wal().join("leader")
    }

    pub(crate) fn followed(&self) -> PathBuf {
        self.wal().join("followed")
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

    pub(crate) fn cosigned(&self) -> PathBuf {
        self.log().join("checkpoint.cosigned")
    }

    pub(crate) fn verifier_key(&self) -> PathBuf {
        self.log().join("log.vkey")
    }
}
