//! The files that followers keep, as they are at one moment, for a follower that is brought up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    Channel,
    feed::send,
    message::{Message, Name},
};

/// Bytes that are read and sent at once; of a new file, those that are all zeros are not sent.
const CHUNK: usize = 64 << 10;

/// The files, of which those that may still change are open: so it matters no more what they are called.
pub(super) struct Files {
    dir: PathBuf,
    lengths: BTreeMap<Name, u64>,
    open: BTreeMap<Name, File>,
}

impl Files {
    /// Opens the files of the log in `dir`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let lengths = followed(dir)?;
        let finished = finished(lengths.keys());
        let changing = lengths.keys().filter(|name| !finished.contains(name));
        let open = |name: &Name| Ok((name.clone(), File::open(dir.join(name.as_str()))?));
        let open = changing.map(open).collect::<io::Result<_>>()?;
        Ok(Self { dir: dir.to_owned(), lengths, open })
    }

    /// Sends what a follower lacks that `has` these, and what may have changed since it followed.
    pub(super) fn send(&self, has: &BTreeMap<Name, u64>, channel: &mut dyn Channel) -> io::Result<()> {
        send(channel, [&Message::Keep(self.lengths.keys().cloned().collect())])?;
        let there = finished(has.keys());
        for (name, length) in &self.lengths {
            match self.open.get(name) {
                Some(file) => send_file(name, file, has.contains_key(name), channel)?,
                None if there.contains(name) && has.get(name) == Some(length) => {}
                None => {
                    let file = File::open(self.dir.join(name.as_str()))?;
                    send_file(name, &file, has.contains_key(name), channel)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the files that followers keep, with their lengths.
pub(super) fn followed(dir: &Path) -> io::Result<BTreeMap<Name, u64>> {
    let mut files = BTreeMap::new();
    for part in ["wal", "vault"] {
        let entries = match std::fs::read_dir(dir.join(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if let Some(name) = Name::of(dir, &entry.path()) {
                files.insert(name, entry.metadata()?.len());
            }
        }
    }
    Ok(files)
}

/// Returns the segments that are the same in every copy that has them finished: all but the last two. A follower syncs
/// in the order of the log, so what precedes its last segment is whole; and where one leader ended and the next began,
/// at most the last batch and the segment after it differ.
fn finished<'a>(names: impl Iterator<Item = &'a Name>) -> BTreeSet<&'a Name> {
    let mut segments: BTreeSet<_> = names.filter(|name| name.is_segment()).collect();
    segments.pop_last();
    segments.pop_last();
    segments
}

/// Sends a file whole. One that is there is written over in place, so that wherever this breaks off the follower still has
/// what it said it has.
fn send_file(name: &Name, file: &File, is_there: bool, channel: &mut dyn Channel) -> io::Result<()> {
    let length = file.metadata()?.len();
    send(channel, [&Message::Length(name.clone(), length)])?;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < length {
        let count = file.read_at(&mut chunk, offset)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if count == 0 {
            break;
        }
        if is_there || bytes.iter().any(|byte| *byte != 0) {
            send(channel, [&Message::Write(name.clone(), offset, bytes.to_vec())])?;
        }
        offset += count as u64;
    }
    send(channel, [&Message::Sync(name.clone())])
}
