//! The head log: a log of the shards that make up a record, so that the set of shards is itself complete.

use std::{collections::BTreeMap, io, path::PathBuf};

use ledger::{Draft, Ledger, LookupError, Unavailable};
use proof::{
    checkpoint::Checkpoint,
    commit::{Field, Opening},
    entry::{Entry, Kind},
    note::{Note, VerifierKey},
    receipt::Receipt,
    shard::{ShardEvent, ShardProof},
    tile::{TILE_WIDTH, TileHashes, TilePath, TileReader, decode_hashes},
    tree::{Hash, root},
};

/// A shard as an operator names it.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its key; the name is the shard's origin.
    pub key: VerifierKey,
    /// The folder with its checkpoint and its tiles: the `log` folder of a ledger, or a copy that a mirror holds.
    pub dir: PathBuf,
}

/// Follows shards and records what they sign in a ledger of its own.
#[derive(Debug)]
pub struct HeadLog {
    ledger: Ledger,
    shards: BTreeMap<String, Shard>,
    /// The last checkpoint of each shard that is open in the head log.
    open: BTreeMap<String, String>,
}

/// The head log could not go on with a shard; the others are not touched.
#[derive(Debug, thiserror::Error)]
pub enum HeadLogError {
    /// Its files could not be read; tried again in the next round.
    #[error("the shard `{origin}` cannot be read: {source}")]
    Read {
        /// The shard.
        origin: String,
        /// The answer.
        source: io::Error,
    },
    /// What it shows does not follow from what it showed before, or is not signed by it: a person must look.
    #[error("the shard `{origin}` shows another history: {why}")]
    Contradicted {
        /// The shard.
        origin: String,
        /// What does not fit.
        why: String,
    },
    /// The head log could not be read.
    #[error("the head log cannot be read: {0}")]
    Lookup(#[from] LookupError),
    /// The head log took no entry.
    #[error("the head log takes no entry: {0}")]
    Unavailable(#[from] Unavailable),
    /// The head log has no such shard, or none with so many entries yet.
    #[error("the head log covers no checkpoint of `{0}` that has so many entries")]
    Unknown(String),
}

impl HeadLog {
    /// Takes up a head log where it was left: shards that are named no longer are closed, durably.
    ///
    /// # Errors
    ///
    /// [`HeadLogError::Lookup`], [`HeadLogError::Unavailable`].
    pub fn open(ledger: Ledger, shards: Vec<Shard>) -> Result<Self, HeadLogError> {
        let shards: BTreeMap<_, _> = shards.into_iter().map(|shard| (shard.key.name().to_owned(), shard)).collect();
        let mut open = BTreeMap::new();
        for stored in ledger.reader().entries(0)? {
            let stored = stored?;
            let Some((event, note)) =
                Entry::decode(&stored.leaf).ok().and_then(|entry| ShardEvent::of(&entry)).zip(text(stored.main()))
            else {
                continue;
            };
            let origin = origin(&note).to_owned();
            match event {
                ShardEvent::Open | ShardEvent::Checkpoint => open.insert(origin, note),
                ShardEvent::Close => open.remove(&origin),
            };
        }
        let gone: Vec<_> = open.extract_if(.., |origin, _| !shards.contains_key(origin)).collect();
        let head = Self { ledger, shards, open };
        gone.into_iter().try_for_each(|(_, note)| head.append(ShardEvent::Close, &note))?;
        Ok(head)
    }

    /// Records, durably, each checkpoint that is larger than the last of its shard; returns how many, and what went wrong.
    pub fn observe(&mut self) -> (usize, Vec<HeadLogError>) {
        let (mut recorded, mut faults) = (0, Vec::new());
        for (origin, shard) in &self.shards {
            let last = self.open.get(origin).map(String::as_str);
            let told = news(shard, last).and_then(|note| match note {
                Some(note) => {
                    self.append(if last.is_some() { ShardEvent::Checkpoint } else { ShardEvent::Open }, &note)?;
                    Ok(Some(note))
                }
                None => Ok(None),
            });
            match told {
                Ok(Some(note)) => {
                    recorded += 1;
                    self.open.insert(origin.clone(), note);
                }
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        (recorded, faults)
    }

    fn append(&self, event: ShardEvent, note: &str) -> Result<(), HeadLogError> {
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some(event.code().to_owned());
        let recorded = self.ledger.append(Draft::new(entry, note.as_bytes().to_vec()))?.wait()?;
        tracing::debug!(index = recorded.index(), code = event.code(), "recorded a shard");
        Ok(())
    }
}

/// Proves that a head log covers the first checkpoint of the shard `origin` that has at least `size` entries.
///
/// # Errors
///
/// [`HeadLogError::Unknown`] if it covers none yet; [`HeadLogError::Lookup`].
pub fn prove_shard(head: &ledger::Reader, origin_of_shard: &str, size: u64) -> Result<ShardProof, HeadLogError> {
    for stored in head.entries(0)? {
        let stored = stored?;
        let is_event = Entry::decode(&stored.leaf).is_ok_and(|entry| ShardEvent::of(&entry).is_some());
        let Some(note) = text(stored.main()).filter(|note| is_event && origin(note) == origin_of_shard) else {
            continue;
        };
        let large = Note::parse(note.as_bytes()).ok().and_then(|note| Checkpoint::parse_body(note.text()).ok());
        let shown =
            stored.private.openings().and_then(|openings| openings.iter().find(|(field, _)| *field == Field::Main));
        let Some((_, Opening::Shown { salt, .. })) = shown.filter(|_| large.is_some_and(|large| large.size >= size))
        else {
            continue;
        };
        let salt = *salt;
        let receipt = head.receipt(stored.index)?;
        let receipt = Receipt::parse(&receipt.proof).map_err(|bad| LookupError::Io(io::Error::other(bad)))?;
        return Ok(ShardProof { leaf: stored.leaf, salt, note, receipt });
    }
    Err(HeadLogError::Unknown(origin_of_shard.to_owned()))
}

/// Returns the checkpoint of a shard if it is larger than the last, of which it was found to be a continuation.
fn news(shard: &Shard, last: Option<&str>) -> Result<Option<String>, HeadLogError> {
    let name = || shard.key.name().to_owned();
    let read = std::fs::read_to_string(shard.dir.join("checkpoint"));
    let note = read.map_err(|source| HeadLogError::Read { origin: name(), source })?;
    let contradicted = |why: String| HeadLogError::Contradicted { origin: name(), why };
    let keys = std::slice::from_ref(&shard.key);
    let open = |note: &str| {
        Checkpoint::open(note.as_bytes(), shard.key.name(), keys).map_err(|bad| contradicted(bad.to_string()))
    };
    let now = open(&note)?;
    let Some(last) = last.map(open).transpose()? else {
        return Ok(Some(note));
    };
    if now.size < last.size || (now.size == last.size && now.root != last.root) {
        return Err(contradicted(format!("it had {} entries and has {}, or others", last.size, now.size)));
    }
    if now.size == last.size {
        return Ok(None);
    }
    let tiles = TileHashes::new(ShardTiles(&shard.dir), now.size);
    let root_at = |size| {
        root(&tiles, size)
            .map_err(|error| HeadLogError::Read { origin: name(), source: io::Error::other(error.to_string()) })
    };
    if root_at(now.size)? != now.root || root_at(last.size)? != last.root {
        return Err(contradicted(format!("its {} entries do not begin with the {} it had", now.size, last.size)));
    }
    Ok(Some(note))
}

/// The tiles of a shard.
struct ShardTiles<'d>(&'d PathBuf);

impl TileReader for ShardTiles<'_> {
    type Error = io::Error;

    fn tile(&self, path: TilePath) -> io::Result<Vec<Hash>> {
        let full = TilePath::new(path.kind(), path.index(), TILE_WIDTH).map_err(io::Error::other)?;
        let (bytes, width) = match std::fs::read(self.0.join(path.to_string())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (std::fs::read(self.0.join(full.to_string()))?, TILE_WIDTH)
            }
            read => (read?, path.width()),
        };
        decode_hashes(&bytes, width).map_err(io::Error::other)
    }
}

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
}

/// The first line of a checkpoint.
fn origin(note: &str) -> &str {
    note.split('\n').next().unwrap_or_default()
}
