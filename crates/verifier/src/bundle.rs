//! The bundle as a directory: reading and checking its files, and writing them.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use proof::{
    bundle::{
        BadEntries, BundleEntry, CHECKPOINT_FILE, ENTRIES_FILE, EntriesDigest, EntriesReader, EntriesWriter,
        FileDigest, KEY_FILE, MANIFEST_FILE, Manifest,
    },
    checkpoint::Checkpoint,
    note::NOTE_BYTES_MAX,
};

use crate::{
    options::Options,
    regular::{self, unreadable},
    report::{Progress, Report},
    walk::Walk,
};

/// The bundle could not be read; whether it holds is not known.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {source}")]
pub struct VerifyError {
    /// The file.
    pub path: String,
    /// The answer of the operating system.
    pub source: io::Error,
}

/// Checks the bundle in `dir`.
///
/// Takes time in proportion to the length of the log and memory in proportion to the calls that were open at once.
/// Whatever does not hold is in the report, which must be asked with [`Report::holds`].
///
/// # Errors
///
/// [`VerifyError`] if a file cannot be read; that it is no plain file is a fault.
pub fn verify_bundle(dir: &Path, options: &Options, progress: &mut dyn Progress) -> Result<Report, VerifyError> {
    regular::or_fault(verify(dir, options, progress), |why| {
        let mut report = Report::default();
        report.fault(None, why);
        report
    })
}

fn verify(dir: &Path, options: &Options, progress: &mut dyn Progress) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let manifest = read(dir, MANIFEST_FILE)?;
    let manifest = match parse_manifest(&manifest) {
        Ok(manifest) => manifest,
        Err(why) => {
            report.fault(None, why);
            return Ok(report);
        }
    };
    report.origin.clone_from(&manifest.origin);
    report.size = manifest.size;
    let note = read_checked(dir, CHECKPOINT_FILE, &manifest.checkpoint, &mut report)?;
    let key = read_checked(dir, KEY_FILE, &manifest.key, &mut report)?;
    let checkpoint = check_checkpoint(&manifest, &note, &key, options, &mut report);
    let mut walk = Walk::new(options, report);
    let digest = walk_entries(dir, &manifest, &mut walk, progress)?;
    let (root, mut report) = walk.finish();
    if let Some(digest) = digest {
        check_digest(&manifest, &digest, &mut report);
    }
    if checkpoint.is_some_and(|checkpoint| checkpoint.root != root) {
        report.fault(None, "the entries do not have the root that the log signed: one was changed, added or removed");
    }
    Ok(report)
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the manifest is not text".to_owned())?;
    let manifest = Manifest::parse(text).map_err(|bad| bad.to_string())?;
    if manifest.first != 0 {
        return Err("the bundle does not begin with the first entry: get one that does".to_owned());
    }
    Ok(manifest)
}

/// Reads a small file and holds it against the manifest.
fn read_checked(dir: &Path, name: &str, wanted: &FileDigest, report: &mut Report) -> Result<Vec<u8>, VerifyError> {
    let bytes = read(dir, name)?;
    if FileDigest::of(&bytes) != *wanted {
        report.fault(None, format!("the file `{name}` is not the one in the manifest"));
    }
    Ok(bytes)
}

/// Reads a small file, at most as long as a note.
fn read(dir: &Path, name: &str) -> Result<Vec<u8>, VerifyError> {
    let path = dir.join(name);
    regular::read(&path, NOTE_BYTES_MAX as u64).map_err(|source| unreadable(&path, source))
}

/// Checks the signature with the pinned key, or else with the bundle's own.
fn check_checkpoint(
    manifest: &Manifest,
    note: &[u8],
    own_key: &[u8],
    options: &Options,
    report: &mut Report,
) -> Option<Checkpoint> {
    let own = std::str::from_utf8(own_key).ok().and_then(|key| key.trim_end().parse().ok());
    let Some(key) = options.key.as_ref().or(own.as_ref()) else {
        report.fault(None, "the bundle's `log.vkey` is not a verifier key");
        return None;
    };
    report.checked_with(key, options.key.is_some());
    match Checkpoint::open(note, &manifest.origin, std::slice::from_ref(key)) {
        Ok(checkpoint) => {
            if own.as_ref() != Some(key) {
                report.fault(None, "the bundle's `log.vkey` is not the key that was pinned");
            }
            if checkpoint.size != manifest.size {
                report.fault(None, format!("the checkpoint is of {} entries", checkpoint.size));
            }
            Some(checkpoint)
        }
        Err(bad) => {
            report.fault(None, bad.to_string());
            None
        }
    }
}

/// Walks all entries; returns what was read unless the file is malformed, which is then a fault.
fn walk_entries(
    dir: &Path,
    manifest: &Manifest,
    walk: &mut Walk<'_>,
    progress: &mut dyn Progress,
) -> Result<Option<EntriesDigest>, VerifyError> {
    let path = dir.join(ENTRIES_FILE);
    let file = regular::open(&path, u64::MAX).map_err(|source| unreadable(&path, source))?;
    match walk_file(file, manifest.size, walk, progress) {
        Ok(digest) => Ok(Some(digest)),
        Err(BadEntries::Io(source)) => Err(unreadable(&path, source)),
        Err(bad) => {
            walk.fault(bad.to_string());
            Ok(None)
        }
    }
}

fn walk_file(
    source: impl Read,
    size: u64,
    walk: &mut Walk<'_>,
    progress: &mut dyn Progress,
) -> Result<EntriesDigest, BadEntries> {
    let mut reader = EntriesReader::new(source)?;
    while let Some(entry) = reader.read()? {
        walk.entry(&entry);
        progress.entries(walk.entries(), size);
    }
    Ok(reader.digest())
}

fn check_digest(manifest: &Manifest, digest: &EntriesDigest, report: &mut Report) {
    if digest.file != manifest.entries {
        report.fault(None, "the file `entries` is not the one in the manifest");
    }
    if digest.entries != manifest.size {
        report.fault(None, format!("the bundle has {} entries and should have {}", digest.entries, manifest.size));
    }
}

/// What a bundle is made of.
#[derive(Clone, Debug)]
pub struct BundleSource<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// The log's verifier key, `name+hash+key`.
    pub key: &'a str,
    /// The signed checkpoint, as the log published it.
    pub checkpoint: &'a str,
}

/// The bundle could not be written; what is in the directory is of no use.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An entry could not be had.
    #[error("cannot read the entry to export: {0}")]
    Source(#[source] io::Error),
    /// The operating system refused.
    #[error("cannot write `{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// The answer.
        source: io::Error,
    },
    /// The origin cannot stand in a manifest.
    #[error("cannot write the manifest: {0}")]
    Manifest(#[source] proof::bundle::BadManifest),
}

/// Writes a bundle into `dir`, which must be there and should be empty; `entries` are all that the checkpoint covers,
/// from the first on. The manifest is written last, and everything is synced: a directory with a manifest is whole.
///
/// # Errors
///
/// [`WriteError`]: remove the directory and start again.
pub fn write_bundle(
    dir: &Path,
    source: &BundleSource<'_>,
    entries: impl IntoIterator<Item = io::Result<BundleEntry>>,
) -> Result<Manifest, WriteError> {
    let key = format!("{}\n", source.key);
    write(dir, CHECKPOINT_FILE, source.checkpoint.as_bytes())?;
    write(dir, KEY_FILE, key.as_bytes())?;
    let written = write_entries(dir, entries)?;
    let manifest = Manifest {
        origin: source.origin.to_owned(),
        first: 0,
        size: written.entries,
        checkpoint: FileDigest::of(source.checkpoint.as_bytes()),
        key: FileDigest::of(key.as_bytes()),
        entries: written.file,
    };
    let json = manifest.to_json().map_err(WriteError::Manifest)?;
    write(dir, MANIFEST_FILE, json.as_bytes())?;
    Ok(manifest)
}

fn write_entries(
    dir: &Path,
    entries: impl IntoIterator<Item = io::Result<BundleEntry>>,
) -> Result<EntriesDigest, WriteError> {
    let path = dir.join(ENTRIES_FILE);
    let failed = |source| unwritable(&path, source);
    let file = File::create_new(&path).map_err(failed)?;
    let mut writer = EntriesWriter::new(BufWriter::with_capacity(1 << 18, file)).map_err(failed)?;
    for entry in entries {
        let entry = entry.map_err(WriteError::Source)?;
        writer.push(entry.index, &entry.leaf, &entry.fields).map_err(failed)?;
    }
    let (digest, out) = writer.finish().map_err(failed)?;
    out.get_ref().sync_all().map_err(failed)?;
    Ok(digest)
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
    let path = dir.join(name);
    File::create_new(&path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| unwritable(&path, source))
}

fn unwritable(path: &Path, source: io::Error) -> WriteError {
    WriteError::Io { path: path.display().to_string(), source }
}
