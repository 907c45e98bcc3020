//! One step of writing a folder: which files it writes, and what they are when it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use crate::{Fault, files::failed};

/// A step that is being done.
#[derive(Debug)]
pub struct Step {
    part: PathBuf,
    wrote: BTreeSet<String>,
}

impl Step {
    pub(crate) fn new(part: PathBuf) -> Self {
        Self { part, wrote: BTreeSet::new() }
    }

    /// Writes a file whole; what was there under its name before is replaced.
    ///
    /// # Errors
    ///
    /// [`Fault::File`].
    pub fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.path(file)?;
        let write = || {
            let mut out = File::create(&path)?;
            out.write_all(bytes)?;
            out.sync_all()
        };
        write().map_err(failed("write", &path))
    }

    /// Begins a file that is written piece by piece.
    ///
    /// # Errors
    ///
    /// [`Fault::File`].
    pub fn create(&mut self, file: &str) -> Result<BufWriter<File>, Fault> {
        let path = self.path(file)?;
        let file = File::create(&path).map_err(failed("make", &path))?;
        Ok(BufWriter::with_capacity(1 << 20, file))
    }

    /// Copies a file into the folder.
    ///
    /// # Errors
    ///
    /// [`Fault::File`].
    pub fn copy(&mut self, from: &Path, file: &str) -> Result<(), Fault> {
        let path = self.path(file)?;
        fs::copy(from, &path).map(drop).map_err(failed("copy", from))
    }

    /// Removes a folder in this one with all that is in it, if it is there.
    ///
    /// # Errors
    ///
    /// [`Fault::File`].
    pub fn clear(&mut self, folder: &str) -> Result<(), Fault> {
        let path = self.part.join(folder);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Takes note of a file that is about to be written; returns where.
    fn path(&mut self, file: &str) -> Result<PathBuf, Fault> {
        let path = self.part.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("make", parent))?;
        }
        self.wrote.insert(file.to_owned());
        Ok(path)
    }

    /// Returns what the files are that were written.
    pub(crate) fn finish(self) -> Result<Digests, Fault> {
        let Self { part, wrote } = self;
        let digests = wrote.into_iter().map(|name| Ok((digest(&part.join(&name))?, name)));
        digests.map(|one| one.map(|(sha256, name)| (name, sha256))).collect::<Result<_, Fault>>().map(Digests)
    }
}

/// The SHA-256 of files, by their names in the folder.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Digests(pub(crate) BTreeMap<String, [u8; 32]>);

impl Serialize for Digests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, sha256)| (name, proof::hex(sha256))))
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = BTreeMap::<String, String>::deserialize(deserializer)?;
        let digests = read.into_iter().map(|(name, text)| Some((name, proof::unhex(&text)?)));
        digests.collect::<Option<_>>().map(Self).ok_or_else(|| D::Error::custom("a SHA-256 has 64 hexadecimal digits"))
    }
}

/// Returns the SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> Result<[u8; 32], Fault> {
    let read = || {
        let (mut input, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
        loop {
            let count = input.read(&mut piece)?;
            match piece.get(..count) {
                Some(read) if !read.is_empty() => hash.update(read),
                _ => return Ok(hash.finalize().into()),
            }
        }
    };
    read().map_err(failed("read", path))
}
