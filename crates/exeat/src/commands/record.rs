//! Bundles: written from a log, and verified.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::Path,
};

use anyhow::{Context, bail};
use ledger::Reader;
use proof::{
    bundle::{CHECKPOINT_FILE, ENTRIES_FILE, EntriesWriter, FileDigest, KEY_FILE, MANIFEST_FILE, Manifest},
    note::VerifierKey,
};

/// What verifying a bundle showed.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// True only if everything held.
    pub(crate) holds: bool,
    /// The same for people, in one line.
    pub(crate) text: String,
}
