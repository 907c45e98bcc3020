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

/// Writes everything that the latest signed checkpoint of `reader` covers as a bundle; returns how many entries.
///
/// The manifest is written last: a folder without one is not a bundle, whatever happened.
///
/// # Errors
///
/// If `out` is there already, no checkpoint was signed yet, or the files cannot be read or written.
pub(crate) fn export(reader: &Reader, out: &Path) -> anyhow::Result<u64> {
    let checkpoint = reader.checkpoint()?.context("the log has no signed checkpoint yet: try again in a second")?;
    let key = reader.verifier_key()?;
    let origin = key.parse::<VerifierKey>().context("the log's verifier key cannot be read")?.name().to_owned();
    let size = reader.checkpoint_size()?;
    fs::create_dir(out).with_context(|| format!("cannot make `{}`: name a folder that is not there yet", out.display()))?;
    let put = |name: &str, bytes: &[u8]| write(&out.join(name), bytes);
    put(CHECKPOINT_FILE, checkpoint.as_bytes())?;
    let key = format!("{key}\n");
    put(KEY_FILE, key.as_bytes())?;
    let manifest = Manifest {
        origin,
        first: 0,
        size,
        checkpoint: FileDigest::of(checkpoint.as_bytes()),
        key: FileDigest::of(key.as_bytes()),
        entries: entries(reader, size, &out.join(ENTRIES_FILE))?,
    };
    put(MANIFEST_FILE, manifest.to_json()?.as_bytes())?;
    Ok(size)
}

fn entries(reader: &Reader, size: u64, file: &Path) -> anyhow::Result<FileDigest> {
    let cannot = || format!("cannot write `{}`", file.display());
    let out = File::create_new(file).with_context(cannot)?;
    let mut writer = EntriesWriter::new(BufWriter::new(out)).with_context(cannot)?;
    for stored in reader.entries(0)? {
        let stored = stored?;
        if stored.index >= size {
            break;
        }
        writer.push(&stored.leaf, Some((&stored.salt, &stored.private))).with_context(cannot)?;
    }
    let (digest, out) = writer.finish().with_context(cannot)?;
    if digest.entries != size {
        bail!("the log has {} entries and its checkpoint says {size}", digest.entries);
    }
    out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).with_context(cannot)?;
    Ok(digest.file)
}

fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(file, bytes).with_context(|| format!("cannot write `{}`", file.display()))
}

/// Verifies a bundle offline, against a pinned key if one is given.
///
/// # Errors
///
/// If the bundle cannot be read at all.
pub(crate) fn verify(bundle: &Path, key: Option<&str>) -> anyhow::Result<Checked> {
    let _ = (bundle, key);
    bail!("XXX")
}

/// Copies the files of a folder that has no folders in it, in place of whatever `to` was.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn copy_flat(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = || -> io::Result<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    copy().with_context(|| format!("cannot copy `{}`", from.display()))
}
