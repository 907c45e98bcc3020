//! Files of entries, and bundles of a whole log: four files that an auditor takes away and checks offline.
//!
//! | file            | what it is                                                                  |
//! |-----------------|-----------------------------------------------------------------------------|
//! | `manifest.json` | the log's origin and size, and length and SHA-256 of the others, see [`Manifest`] |
//! | `checkpoint`    | a signed checkpoint of exactly that size, see [`crate::checkpoint`]         |
//! | `log.vkey`      | the log's verifier key and a newline; for convenience, it proves nothing    |
//! | `entries`       | the entries from the first on, see [`EntriesWriter`]                        |
//!
//! The layout is described for other implementations in `docs/log-format.md` section 7. Readers and writers stream: a
//! log of any length needs the memory of one entry.

use crate::commit::Openings;

mod entries;
mod manifest;

pub use entries::{BadEntries, EntriesDigest, EntriesReader, EntriesWriter};
pub use manifest::{BadManifest, FileDigest, Manifest};

/// The name of the manifest in the bundle's directory.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the checkpoint in the bundle's directory.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The name of the verifier key in the bundle's directory.
pub const KEY_FILE: &str = "log.vkey";
/// The name of the entries in the bundle's directory.
pub const ENTRIES_FILE: &str = "entries";

/// A field of a private part is at most this long, in bytes: 16 MiB, a snapshot with thousands of instruments.
pub const FIELD_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// One entry of a file of entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BundleEntry {
    /// Its index in the log.
    pub index: u64,
    /// The exact bytes of the leaf.
    pub leaf: Vec<u8>,
    /// What is told of its private part; empty where it has none or all of it is withheld.
    pub fields: Openings,
}
