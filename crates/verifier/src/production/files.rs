//! The directory of a production: every file is listed, and is what the manifest says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirEntry, File, FileType},
    io::{self, BufReader, Read},
    path::Path,
};

use proof::{production::MANIFEST_FILE, tree::Hash};
use sha2::{Digest, Sha256};

use crate::{
    VerifyError,
    regular::{self, unreadable},
    report::Report,
};

/// The directory of the time stamps.
const TIMESTAMPS: &str = "timestamps";
/// A file that is read as a whole is at most this long, in bytes: proofs and sums of some millions of calls.
const WHOLE_BYTES_MAX: u64 = 1 << 30;

/// The directory, held against the files that its manifest lists.
pub(super) struct Folder<'d> {
    dir: &'d Path,
    listed: &'d BTreeMap<String, Hash>,
}

impl<'d> Folder<'d> {
    /// Notes every file that is there and not listed, or listed and not there, and every document that is another. `None`
    /// if a file that is needed is not there as a plain file.
    pub(super) fn check(
        dir: &'d Path,
        listed: &'d BTreeMap<String, Hash>,
        parsed: &[&str],
        report: &mut Report,
    ) -> Result<Option<Self>, VerifyError> {
        let found = list(dir, report)?;
        for name in found.iter().filter(|name| !listed.contains_key(*name) && *name != MANIFEST_FILE) {
            report.fault(None, format!("the file `{name}` is not in the manifest"));
        }
        let folder = Self { dir, listed };
        for name in listed.keys() {
            if !found.contains(name) {
                report.fault(None, format!("the file `{name}` is in the manifest and is not there"));
            } else if !parsed.contains(&name.as_str()) {
                let mut file = Digesting::new(folder.open(name)?);
                io::copy(&mut file, &mut io::sink()).map_err(|source| unreadable(&dir.join(name), source))?;
                folder.check_digest(name, file.digest(), report);
            }
        }
        Ok(parsed.iter().all(|name| found.contains(*name)).then_some(folder))
    }

    /// Reads a small file whole.
    pub(super) fn read(&self, name: &str, report: &mut Report) -> Result<Vec<u8>, VerifyError> {
        let path = self.dir.join(name);
        let bytes = regular::read(&path, WHOLE_BYTES_MAX).map_err(|source| unreadable(&path, source))?;
        self.check_digest(name, Sha256::digest(&bytes).into(), report);
        Ok(bytes)
    }

    /// Opens a file that is read piece by piece.
    pub(super) fn open(&self, name: &str) -> Result<BufReader<File>, VerifyError> {
        let path = self.dir.join(name);
        let file = regular::open(&path, u64::MAX).map_err(|source| unreadable(&path, source))?;
        Ok(BufReader::with_capacity(1 << 18, file))
    }

    /// Returns true if the manifest lists the file with this hash.
    pub(super) fn lists(&self, name: &str, digest: Hash) -> bool {
        self.listed.get(name) == Some(&digest)
    }

    /// Holds the hash of a file against the manifest.
    pub(super) fn check_digest(&self, name: &str, digest: Hash, report: &mut Report) {
        if !self.lists(name, digest) {
            report.fault(None, format!("the file `{name}` is not the one in the manifest"));
        }
    }
}

/// Lists the plain files of the directory, and those in `timestamps`; notes whatever else there is.
fn list(dir: &Path, report: &mut Report) -> Result<BTreeSet<String>, VerifyError> {
    let mut found = BTreeSet::new();
    for (name, kind) in names(dir)? {
        if name != TIMESTAMPS || !kind.is_dir() {
            found.extend(plain(name, kind, report));
            continue;
        }
        for (stamp, kind) in names(&dir.join(TIMESTAMPS))? {
            let name = format!("{TIMESTAMPS}/{stamp}");
            if !name.ends_with(".tsr") {
                report.fault(None, format!("`{name}` is no time stamp by its name"));
            }
            found.extend(plain(name, kind, report));
        }
    }
    Ok(found)
}

/// Returns the name of a plain file; anything else is a fault.
fn plain(name: String, kind: FileType, report: &mut Report) -> Option<String> {
    if kind.is_file() {
        return Some(name);
    }
    report.fault(None, format!("`{name}` is no plain file: links are not followed"));
    None
}

/// Lists what is in a directory, without following links.
fn names(dir: &Path) -> Result<Vec<(String, FileType)>, VerifyError> {
    let entry = |entry: io::Result<DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?))
    };
    let listed = fs::read_dir(dir).and_then(|entries| entries.map(entry).collect());
    listed.map_err(|source| unreadable(dir, source))
}

/// Hashes a file as it is read.
#[derive(Debug)]
pub(super) struct Digesting {
    source: BufReader<File>,
    hash: Sha256,
}

impl Digesting {
    /// Begins before the first byte.
    pub(super) fn new(source: BufReader<File>) -> Self {
        Self { source, hash: Sha256::new() }
    }

    /// Returns the hash of what was read.
    pub(super) fn digest(self) -> Hash {
        self.hash.finalize().into()
    }
}

impl Read for Digesting {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }
}
