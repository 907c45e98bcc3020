//! Reading the write-ahead log: its segments, and the batches in them, each checked against what came before.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use bytes::Bytes;
use proof::tree::Hash;

use crate::{
    batch::{self, BadBatch, Header, Position},
    bytes::{BLOCK, length},
    frame::{self, Frame},
    queue::lock,
    segment::{self, PREFIX, Start},
};

/// The files of the log cannot be read, or contradict each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    #[error("cannot read `{path}`: {source}")]
    Io { path: String, source: io::Error },
    #[error("`{path}` at byte {offset}: {why}")]
    Batch { path: String, offset: u64, why: BadBatch },
    #[error("`{path}` has a bad batch at byte {offset} and a good one after it, at byte {later}")]
    Followed { path: String, offset: u64, later: u64 },
    #[error("`{path}` does not begin with a segment header that fits: {why}")]
    Start { path: String, why: &'static str },
}

/// The segments of a log, by the indices of their first entries, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wal {
    dir: PathBuf,
    firsts: Vec<u64>,
}

impl Wal {
    /// Lists the segments in `dir`.
    pub(crate) fn list(dir: &Path) -> Result<Self, WalError> {
        let failed = |source| io_error(dir, source);
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            firsts.extend(name.to_str().and_then(segment::first_of));
        }
        firsts.sort_unstable();
        let dir = dir.to_owned();
        Ok(Self { dir, firsts })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// Returns where the entry at `index` is, if the log has it.
    pub(crate) fn place(&self, index: u64) -> Option<(u64, PathBuf)> {
        self.containing(index).map(|first| (first, self.path(first)))
    }

    /// Adds the segment that begins at `first`, after all others.
    pub(crate) fn push(&mut self, first: u64) {
        self.firsts.push(first);
    }

    /// Returns the path of the segment that begins at `first`.
    pub(crate) fn path(&self, first: u64) -> PathBuf {
        self.dir.join(segment::name(first))
    }

    /// Returns the beginning of the segment that has, or would have, the entry at `index`; `None` without segments.
    pub(crate) fn containing(&self, index: u64) -> Option<u64> {
        let after = self.firsts.partition_point(|first| *first <= index);
        after.checked_sub(1).and_then(|at| self.firsts.get(at)).copied()
    }

    /// Returns how many segments begin after the entry at `index`.
    pub(crate) fn begun_after(&self, index: u64) -> usize {
        self.firsts.len() - self.firsts.partition_point(|first| *first <= index)
    }

    /// Returns the beginning of the segment after the one that begins at `first`.
    fn after(&self, first: u64) -> Option<u64> {
        let after = self.firsts.partition_point(|other| *other <= first);
        self.firsts.get(after).copied()
    }
}

/// Headers that a look-up passes before it leaves a hint for later ones.
const HINT_EVERY: usize = 128;
/// Hints that are kept: about 2 MB of them.
const HINTS_MAX: usize = 65_536;

/// Finds entries, and remembers where some batches begin, so that it need not pass all headers of a segment each time.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// Where batches begin in their segments, by the indices of their first entries.
    hints: Mutex<BTreeMap<u64, u64>>,
}

impl Finder {
    /// Returns the entry at `index`, which is in the segment at `place` if anywhere; `None` if there is none.
    pub(crate) fn find(&self, place: Option<(u64, PathBuf)>, index: u64) -> Result<Option<Raw>, WalError> {
        let Some((first, path)) = place else {
            return Ok(None);
        };
        let hint = lock(&self.hints).range(first..=index).next_back().map(|(_, offset)| *offset);
        let mut passed = Vec::new();
        let found = find_from(&Segment::open(&path)?, hint, index, &mut passed);
        self.remember(&passed);
        found
    }

    fn remember(&self, passed: &[(u64, u64)]) {
        let mut hints = lock(&self.hints);
        hints.extend(passed.iter().copied().skip(HINT_EVERY).step_by(HINT_EVERY));
        if hints.len() > HINTS_MAX {
            hints.clear();
        }
    }
}

/// Looks for the entry at `index` in a segment, from the batch at `hint` on; notes each batch on the way.
fn find_from(
    segment: &Segment,
    hint: Option<u64>,
    index: u64,
    passed: &mut Vec<(u64, u64)>,
) -> Result<Option<Raw>, WalError> {
    let mut offset = hint.unwrap_or(segment.batches);
    while let Some(header) = segment.header(offset)? {
        if index < header.first {
            return Ok(None);
        }
        if index < header.end() {
            return segment.raw(offset, &header, index).map(Some);
        }
        passed.push((header.first, offset));
        offset = offset.saturating_add(header.length());
    }
    Ok(None)
}

/// One segment, open for reading.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) start: Start,
    /// Where the first batch begins.
    pub(crate) batches: u64,
    /// Bytes of the file when it was opened; a segment is made whole.
    bytes: u64,
}

impl Segment {
    /// Opens the segment at `path` and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, WalError> {
        let failed = |source| io_error(path, source);
        let bad = |why| WalError::Start { path: path.display().to_string(), why };
        let file = File::open(path).map_err(failed)?;
        let mut prefix = [0; PREFIX];
        if read(&file, &mut prefix, 0).map_err(failed)? < PREFIX {
            return Err(bad("the file is cut short"));
        }
        let count = Start::length(prefix).ok_or_else(|| bad("it is not of this format"))?;
        let present = file.metadata().map_err(failed)?.len();
        if count > present {
            return Err(bad("the file is cut short"));
        }
        let mut bytes = vec![0; length(count)];
        read(&file, &mut bytes, 0).map_err(failed)?;
        let start = Start::decode(&bytes).ok_or_else(|| bad("it does not match its checksum"))?;
        let path = path.to_owned();
        Ok(Self { file, path, start, batches: segment::first_batch(count), bytes: present })
    }

    /// Returns the header of the batch at `offset`; `None` where nothing was written or what was is no header.
    fn header(&self, offset: u64) -> Result<Option<Header>, WalError> {
        let mut bytes = [0; batch::HEADER];
        let count = read(&self.file, &mut bytes, offset).map_err(|source| io_error(&self.path, source))?;
        Ok(Some(bytes).filter(|bytes| count == bytes.len()).and_then(|bytes| Header::decode(&bytes)))
    }

    /// Returns the frames and padding of the batch at `offset`; fewer bytes if the file ends before.
    fn body(&self, offset: u64, header: &Header) -> Result<Vec<u8>, WalError> {
        let failed = |source| io_error(&self.path, source);
        let begin = offset + batch::HEADER as u64;
        let mut end = offset.saturating_add(header.length());
        if end > self.bytes {
            // The file was cut off when it was opened, and may have grown since.
            end = end.min(self.file.metadata().map_err(failed)?.len().max(begin));
        }
        let mut bytes = vec![0; length(end - begin)];
        let count = read(&self.file, &mut bytes, begin).map_err(failed)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn raw(&self, offset: u64, header: &Header, index: u64) -> Result<Raw, WalError> {
        let bytes = self.body(offset, header)?;
        let frames = batch::frames(header, &bytes).map_err(|why| self.bad(offset, why))?;
        let frame = frames.get(length(index - header.first)).ok_or_else(|| self.bad(offset, BadBatch::Count))?;
        Ok(Raw { index, leaf: Bytes::copy_from_slice(frame.leaf), sealed: Bytes::copy_from_slice(frame.sealed) })
    }

    /// Returns where, after `offset`, some batch of this segment begins that is not older than number `seq`.
    pub(crate) fn batch_after(&self, offset: u64, seq: u64) -> Result<Option<u64>, WalError> {
        let failed = |source| io_error(&self.path, source);
        let end = self.file.metadata().map_err(failed)?.len();
        let mut at = offset + BLOCK;
        while at < end {
            let belongs = |header: &Header| header.segment == self.start.position.segment && header.seq >= seq;
            if self.header(at)?.as_ref().is_some_and(belongs) {
                return Ok(Some(at));
            }
            at += BLOCK;
        }
        Ok(None)
    }

    /// Returns the first byte after which the file holds nothing but zeros, not before `from`.
    pub(crate) fn written_end(&self, from: u64) -> Result<u64, WalError> {
        let mut end = from;
        let mut at = from;
        let mut bytes = vec![0; 1 << 20];
        loop {
            let count = read(&self.file, &mut bytes, at).map_err(|source| io_error(&self.path, source))?;
            let chunk = bytes.get(..count).unwrap_or_default();
            if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
                end = at + last as u64 + 1;
            }
            if count < bytes.len() {
                return Ok(end);
            }
            at += count as u64;
        }
    }

    pub(crate) fn bad(&self, offset: u64, why: BadBatch) -> WalError {
        WalError::Batch { path: self.path.display().to_string(), offset, why }
    }
}

/// A batch that was read and checked.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) header: Header,
    body: Bytes,
    places: Vec<Place>,
}

/// Where an entry is in the body of its batch, and the hash of its leaf.
#[derive(Debug)]
struct Place {
    leaf: Range<usize>,
    /// Where the sealed private part ends, which follows the leaf.
    end: usize,
    hash: Hash,
}

impl Batch {
    /// Returns the leaves with their hashes.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (&[u8], Hash)> {
        self.places.iter().map(|place| (self.body.get(place.leaf.clone()).unwrap_or_default(), place.hash))
    }

    /// Returns how many bytes it has after its header.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Returns the entries; each keeps the whole batch in memory.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Raw> {
        let raw = |(index, place): (u64, &Place)| Raw {
            index,
            leaf: self.body.slice(place.leaf.clone()),
            sealed: self.body.slice(place.leaf.end..place.end),
        };
        (self.header.first..).zip(&self.places).map(raw)
    }
}

/// An entry in the bytes that a segment has.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) index: u64,
    pub(crate) leaf: Bytes,
    pub(crate) sealed: Bytes,
}

/// What comes next in the log.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole batch, in its place.
    Batch(Batch),
    /// Nothing: from here on, nothing was written.
    End,
    /// Bytes that are not the next batch, in the last segment.
    Bad(BadBatch),
}

/// Reads the log batch by batch, from the beginning of a segment.
#[derive(Debug)]
pub(crate) struct Walker {
    pub(crate) segment: Segment,
    pub(crate) first: u64,
    pub(crate) offset: u64,
    pub(crate) position: Position,
}

impl Walker {
    /// Begins at the segment of `wal` that has, or would have, the entry at `index`; `None` without segments.
    pub(crate) fn begin(wal: &Wal, index: u64) -> Result<Option<Self>, WalError> {
        let Some(first) = wal.containing(index) else {
            return Ok(None);
        };
        let segment = Segment::open(&wal.path(first))?;
        if segment.start.position.tree.size() != first {
            return Err(start_error(&segment, "its name tells another first entry"));
        }
        let (offset, position) = (segment.batches, segment.start.position.clone());
        Ok(Some(Self { segment, first, offset, position }))
    }

    /// Reads the next batch. After [`Step::End`] or [`Step::Bad`] it can be asked again, should there be more by then.
    pub(crate) fn step(&mut self, wal: &Wal) -> Result<Step, WalError> {
        match self.read()? {
            Step::Batch(batch) => Ok(Step::Batch(batch)),
            other => match (wal.after(self.first), other) {
                (None, other) => Ok(other),
                (Some(_), Step::Bad(why)) => Err(self.segment.bad(self.offset, why)),
                (Some(next), _) => {
                    self.enter(wal, next)?;
                    self.step(wal)
                }
            },
        }
    }

    fn read(&mut self) -> Result<Step, WalError> {
        let Some(header) = self.segment.header(self.offset)? else {
            let end = self.segment.written_end_of_block(self.offset)?;
            return Ok(if end { Step::End } else { Step::Bad(BadBatch::Header) });
        };
        if let Err(why) = self.position.place(&header) {
            return Ok(Step::Bad(why));
        }
        let body = self.segment.body(self.offset, &header)?;
        let places = match self.position.check(&header, &body) {
            Err(why) => return Ok(Step::Bad(why)),
            Ok(frames) => places(&frames),
        };
        self.offset += header.length();
        Ok(Step::Batch(Batch { header, body: body.into(), places }))
    }

    /// Goes on to the segment that begins at `first`, which must begin where this one ends.
    fn enter(&mut self, wal: &Wal, first: u64) -> Result<(), WalError> {
        let segment = Segment::open(&wal.path(first))?;
        let mut expected = self.position.clone();
        expected.segment += 1;
        let found = &segment.start.position;
        expected.epoch = found.epoch.max(expected.epoch);
        if *found != expected {
            return Err(start_error(&segment, "it does not continue the segment before"));
        }
        self.position = expected;
        self.offset = segment.batches;
        self.first = first;
        self.segment = segment;
        Ok(())
    }
}

/// Returns where frames are that follow one another.
fn places(frames: &[(Frame<'_>, Hash)]) -> Vec<Place> {
    let mut end = 0;
    let place = |(frame, hash): &(Frame<'_>, Hash)| {
        let begin = end + frame::HEAD;
        end += frame.length();
        Place { leaf: begin..begin + frame.leaf.len(), end, hash: *hash }
    };
    frames.iter().map(place).collect()
}

impl Segment {
    /// Returns true if nothing was written in the block at `offset`, or the file ends there.
    fn written_end_of_block(&self, offset: u64) -> Result<bool, WalError> {
        let mut block = [0; 4_096];
        let count = read(&self.file, &mut block, offset).map_err(|source| io_error(&self.path, source))?;
        Ok(block.iter().take(count).all(|byte| *byte == 0))
    }
}

/// Reads into `bytes` from `offset` until they are full or the file ends; returns how many were read.
fn read(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn io_error(path: &Path, source: io::Error) -> WalError {
    WalError::Io { path: path.display().to_string(), source }
}

fn start_error(segment: &Segment, why: &'static str) -> WalError {
    WalError::Start { path: segment.path.display().to_string(), why }
}
