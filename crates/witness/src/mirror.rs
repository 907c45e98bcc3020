//! A mirror: holds a copy of logs, and says so by its cosignature.
//!
//! Entries come in packages, each proved to be a part of a tree that the log signed and that was found consistent with all
//! before it. What is written is never taken back: not by a slower upload, not by a crash, not by a log that forks. Before
//! a checkpoint is cosigned, the leaves before it are held against each other, unless the log is of other software; nobody
//! waits for that to be done for a whole log.

mod info;
mod leaves;
mod request;
mod server;
mod ticket;
mod tiles;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ledger::storage::Storage;
use proof::{
    checkpoint::Checkpoint,
    cosignature::CosignerSecret,
    note::NoteSignature,
    policy_file::Policy,
    tile::TilePath,
    tree::{Frontier, leaf_hash, verify_subtree_consistency},
};
use terms::Moment;

pub(crate) use info::MEDIA_TYPE;
pub use info::MirrorInfo;
pub(crate) use request::{Header, PACKAGE, Package};
pub use server::mirror_router;

use crate::{
    OpenError, Refusal, Witness, origin_hash,
    store::{Store, lock},
    watch::{cosign, lines, written},
};
use leaves::{Leaves, NotInOrder};
use request::{BadBody, Span};
use ticket::TicketKey;
use tiles::LogTiles;

/// Uploads of one log at a time: half of what is served at once, so that another log always finds a place.
const UPLOADS_OF_ONE: usize = 8;
/// How many entries that the mirror has already may be sent again.
const EXCESS_MAX: u64 = 8 * PACKAGE;

/// Holds copies of the logs of its policy.
///
/// Whatever it cosigned is durable and served: [`Mirror::checkpoint`], [`Mirror::tile`]. It blocks, so call it off an async
/// runtime.
#[derive(Debug)]
pub struct Mirror {
    pending: Witness,
    signers: Vec<CosignerSecret>,
    tickets: TicketKey,
    store: Store,
    logs: BTreeMap<String, Mirrored>,
}

#[derive(Debug)]
struct Mirrored {
    folder: String,
    tiles: LogTiles,
    /// `None` for a log of other software.
    leaves: Option<Leaves>,
    /// How many uploads of it are under way.
    uploads: AtomicUsize,
    /// `None` if it is not known whether the last checkpoint was written: it is read again.
    state: Mutex<Option<State>>,
}

/// How far a log was mirrored.
#[derive(Clone, Debug)]
struct State {
    /// The checkpoint that the mirror cosigned last, with the log's signatures.
    cosigned: Option<Target>,
    /// The index of the first entry that is not on disk; never below the size of `cosigned`.
    next: u64,
}

impl Mirrored {
    /// Has the leaves looked at, unless those are few enough for a request, or the log is of other software.
    fn pursue(&self, size: u64) {
        if let Some(leaves) = &self.leaves {
            leaves.pursue(size);
        }
    }
}

impl State {
    fn size(&self) -> u64 {
        self.cosigned.as_ref().map_or(0, |target| target.checkpoint.size)
    }
}

/// A checkpoint that an upload leads to: it was pending once, so it is consistent with all others.
#[derive(Clone, Debug)]
struct Target {
    checkpoint: Checkpoint,
    /// The log's signatures.
    own: Vec<NoteSignature>,
}

/// One of the places that uploads of a log have; given back when it is dropped.
struct Place<'l>(&'l AtomicUsize);

impl<'l> Place<'l> {
    fn take(log: &'l Mirrored) -> Option<Self> {
        let place = Self(&log.uploads);
        let before = log.uploads.fetch_add(1, Ordering::Relaxed);
        (before < UPLOADS_OF_ONE).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An upload that did not end with a cosignature.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// Some packages were saved; go on from there (202).
    #[error("the upload goes on at entry {}", .0.next)]
    Accepted(MirrorInfo),
    /// Nothing was saved: the mirror stands elsewhere (409).
    #[error("the mirror has the entries before {}", .0.next)]
    Conflict(MirrorInfo),
    /// As for a checkpoint.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Mirror {
    /// Opens the folder of a mirror for the logs of `policy`; its quorum does not matter here. The logs whose origins are
    /// `unchecked` are of other software: nothing is asked of what their leaves say.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        policy: Policy,
        signers: Vec<CosignerSecret>,
        unchecked: &BTreeSet<String>,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { dir: dir.display().to_string(), source };
        let store = Store::open(storage, dir).map_err(failed)?;
        let pending = Witness::open_in(store.clone(), "pending", policy, Vec::new())?;
        let tickets = TicketKey::random().map_err(|error| failed(io::Error::other(error)))?;
        let mirrored = |origin: &str| -> io::Result<_> {
            let folder = origin_hash(origin);
            let tiles = LogTiles::new(store.clone(), &folder);
            let is_checked = !unchecked.contains(origin);
            let leaves = is_checked.then(|| Leaves::new(origin, tiles.clone())).transpose()?;
            let mirrored = Mirrored { folder, tiles, leaves, uploads: AtomicUsize::new(0), state: Mutex::new(None) };
            Ok((origin.to_owned(), mirrored))
        };
        let logs = pending.origins().map(mirrored).collect::<Result<_, _>>().map_err(failed)?;
        let mirror = Self { pending, signers, tickets, store, logs };
        for mirrored in mirror.logs.values() {
            let path = mirror.store.path(&mirrored.folder).join("checkpoint");
            let state = mirror.load(mirrored).map_err(|_| OpenError::Damaged(path.display().to_string()))?;
            mirrored.pursue(state.next);
        }
        Ok(mirror)
    }

    /// Returns the keys that check its cosignatures, as text.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.signers.iter().map(|signer| signer.public().to_string()).collect()
    }

    /// Answers the body of an `add-checkpoint` request: the checkpoint is pending then, and nothing is cosigned.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing is pending that was not before.
    pub fn add_checkpoint(&self, body: &[u8], now: Moment) -> Result<String, Refusal> {
        self.pending.add_checkpoint(body, now)
    }

    /// Reads the body of an `add-entries` request, saves what it proves, and answers with the mirror's cosignatures once
    /// everything up to the end of the upload is durable and served.
    ///
    /// A body that ends early, or cannot be read further, counts up to its last whole package.
    ///
    /// # Errors
    ///
    /// [`Unfinished`].
    ///
    /// # Source
    ///
    /// C2SP tlog-mirror, `add-entries`.
    pub fn add_entries(&self, body: &mut dyn Read, now: Moment) -> Result<String, Unfinished> {
        let header = Header::read(body).map_err(malformed)?;
        let log = self.logs.get(&header.origin).ok_or(Refusal::UnknownLog)?;
        let _place = Place::take(log).ok_or(Refusal::Busy)?;
        let target = self.resolve(log, &header)?;
        for (n, span) in header.packages().enumerate() {
            let package = match Package::read(body, span.end - span.start) {
                Err(BadBody::Truncated) if n > 0 => return Err(self.interrupted(log, &target)),
                read => read.map_err(malformed)?,
            };
            self.save(log, &target, span, package)?;
        }
        self.look(log, &target)?;
        self.commit(log, &target, now)
    }

    /// Returns the checkpoint that the mirror cosigned last of the log whose origin has this hash; `None` if there is none.
    #[must_use]
    pub fn checkpoint(&self, origin_hash: &str) -> Option<String> {
        let log = self.logs.values().find(|log| log.folder == origin_hash)?;
        // While it is not known whether a checkpoint was written, none is told.
        let state = lock(&log.state);
        state.as_ref()?.cosigned.as_ref()?;
        let bytes = self.store.read(&format!("{}/checkpoint", log.folder)).ok()??;
        String::from_utf8(bytes).ok()
    }

    /// Returns a tile of the log whose origin has this hash; `None` if it is not there under this name.
    ///
    /// # Errors
    ///
    /// The operating system's answer.
    pub fn tile(&self, origin_hash: &str, path: TilePath) -> io::Result<Option<Vec<u8>>> {
        let log = self.logs.values().find(|log| log.folder == origin_hash);
        log.map_or(Ok(None), |log| log.tiles.read(path))
    }

    /// Finds the checkpoint that an upload leads to, and whether the upload fits to what is there.
    fn resolve(&self, log: &Mirrored, header: &Header) -> Result<Target, Unfinished> {
        let pending = self.pending(&header.origin)?.ok_or(Refusal::Inconsistent("no checkpoint is pending"))?;
        let state = self.state(log)?;
        if header.end < state.size() {
            return Err(self.conflict(&pending, state.next));
        }
        let known = [Some(pending.clone()), state.cosigned.clone(), self.ticket(header)];
        let Some(target) = known.into_iter().flatten().find(|known| known.checkpoint.size == header.end) else {
            return Err(self.conflict(&pending, state.next));
        };
        // What can never be cosigned is not stored either.
        log.leaves.as_ref().map_or(Ok(()), |leaves| leaves.known(header.end)).map_err(|why| contradicts(log, why))?;
        let excess = header.end.min(state.next).saturating_sub(header.start);
        if header.start <= state.next && excess <= EXCESS_MAX {
            return Ok(target);
        }
        // What was computed for this end still serves, unless there is nothing left to upload.
        Err(self.conflict(if state.next <= header.end { &target } else { &pending }, state.next))
    }

    /// Checks a package and saves what of it is not there yet.
    fn save(&self, log: &Mirrored, target: &Target, span: Span, package: Package) -> Result<(), Unfinished> {
        let failed = |error| Unfinished::Refused(Refusal::Io(error));
        // One package of a log at a time; what takes long, the client, was waited for before.
        let mut held = lock(&log.state);
        let mut state = match held.take() {
            Some(state) => state,
            None => self.load_state(log).map_err(failed)?,
        };
        let saved = if span.start > state.next {
            // Another upload's cosignature could not be written, and what lies beyond the last one was forgotten.
            Err(self.conflict(target, state.next))
        } else {
            save(log, &mut state, target, span, package)
        };
        let next = state.next;
        *held = Some(state);
        drop(held);
        log.pursue(next);
        saved
    }

    /// Holds the leaves before the checkpoint against each other, if they are no more than those of an upload; else that is
    /// done apart from it, and it is to come back.
    fn look(&self, log: &Mirrored, target: &Target) -> Result<(), Unfinished> {
        let size = target.checkpoint.size;
        if self.state(log)?.next < size {
            // Only a restart between two requests forgets entries, and this is within one.
            return Err(Unfinished::Refused(Refusal::Io(io::Error::other("entries that were saved are gone"))));
        }
        log.leaves.as_ref().map_or(Ok(()), |leaves| leaves.check(size)).map_err(|why| contradicts(log, why))
    }

    /// Cosigns the checkpoint, whose entries are all there, unless a larger one was cosigned meanwhile.
    fn commit(&self, log: &Mirrored, target: &Target, now: Moment) -> Result<String, Unfinished> {
        let failed = |error| Unfinished::Refused(Refusal::Io(error));
        let Target { checkpoint, own } = target;
        let mut held = lock(&log.state);
        let state = match held.clone() {
            Some(state) => state,
            None => self.load_state(log).map_err(failed)?,
        };
        if checkpoint.size < state.size() {
            drop(held);
            let pending = self.pending(&checkpoint.origin)?.unwrap_or_else(|| target.clone());
            return Err(self.conflict(&pending, state.next));
        }
        if state.next < checkpoint.size {
            return Err(failed(io::Error::other("entries that were saved are gone")));
        }
        if log.tiles.cut(checkpoint.size).map_err(failed)? != checkpoint.root {
            return Err(failed(io::Error::other(
                "the tiles have another root than the checkpoint: the mirror is damaged",
            )));
        }
        let cosigned = cosign(&self.signers, checkpoint, now)?;
        let note = written(checkpoint, own.iter().chain(&cosigned))?;
        *held = None;
        self.store.write(&format!("{}/checkpoint", log.folder), note.as_bytes()).map_err(failed)?;
        *held = Some(State { cosigned: Some(target.clone()), next: state.next });
        drop(held);
        log.tiles.tidy(state.size(), checkpoint.size);
        Ok(lines(&cosigned))
    }

    /// Answers an upload that ended early after at least one package was saved.
    fn interrupted(&self, log: &Mirrored, target: &Target) -> Unfinished {
        let answer = || -> Result<MirrorInfo, Unfinished> {
            let next = self.state(log)?.next;
            if next <= target.checkpoint.size {
                return Ok(self.info(target, next));
            }
            let pending = self.pending(&target.checkpoint.origin)?;
            Ok(self.info(pending.as_ref().unwrap_or(target), next))
        };
        answer().map_or_else(|error| error, Unfinished::Accepted)
    }

    fn conflict(&self, target: &Target, next: u64) -> Unfinished {
        Unfinished::Conflict(self.info(target, next))
    }

    fn info(&self, target: &Target, next: u64) -> MirrorInfo {
        let note = written(&target.checkpoint, target.own.iter()).unwrap_or_default();
        MirrorInfo { size: target.checkpoint.size, next, ticket: self.tickets.issue(&note) }
    }

    /// Returns the checkpoint that a ticket brings back, if it is one of this log.
    fn ticket(&self, header: &Header) -> Option<Target> {
        let target = self.target(self.tickets.open(&header.ticket)?).ok()?;
        (target.checkpoint.origin == header.origin).then_some(target)
    }

    fn pending(&self, origin: &str) -> Result<Option<Target>, Refusal> {
        let kept = self.pending.kept(origin).ok_or(Refusal::UnknownLog)?.map_err(Refusal::Io)?;
        if kept.note.is_empty() { Ok(None) } else { self.target(&kept.note).map(Some) }
    }

    fn target(&self, note: &str) -> Result<Target, Refusal> {
        let (checkpoint, own) = self.pending.believed(note)?;
        Ok(Target { checkpoint, own })
    }

    fn state(&self, log: &Mirrored) -> Result<State, Refusal> {
        let state = lock(&log.state).clone();
        state.map_or_else(|| self.load(log).map_err(Refusal::Io), Ok)
    }

    fn load(&self, log: &Mirrored) -> io::Result<State> {
        let mut held = lock(&log.state);
        let state = self.load_state(log)?;
        *held = Some(state.clone());
        Ok(state)
    }

    /// Reads how far a log was mirrored, and makes that durable before it is told: a write that failed, or a process that
    /// was killed, may have left it readable only. Entries beyond the checkpoint are sent again.
    fn load_state(&self, log: &Mirrored) -> io::Result<State> {
        let name = format!("{}/checkpoint", log.folder);
        let Some(bytes) = self.store.read(&name)? else {
            return Ok(State { cosigned: None, next: 0 });
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the checkpoint on disk is none of this log");
        let note = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        let target = self.target(note).map_err(|_| damaged())?;
        if origin_hash(&target.checkpoint.origin) != log.folder {
            return Err(damaged());
        }
        self.store.write(&name, &bytes)?;
        Ok(State { next: target.checkpoint.size, cosigned: Some(target) })
    }
}

fn contradicts(log: &Mirrored, why: NotInOrder) -> Unfinished {
    Unfinished::Refused(match why {
        NotInOrder::Io(error) => Refusal::Io(error),
        NotInOrder::Walking(read) => Refusal::Walking(read),
        NotInOrder::Bad(bad) => {
            tracing::error!(%bad, log = log.folder, "the log contradicts itself, or is of other software: see `unchecked`");
            Refusal::Contradicts(bad)
        }
    })
}

fn malformed(bad: BadBody) -> Unfinished {
    Unfinished::Refused(Refusal::Malformed(match bad {
        BadBody::Truncated => "it ends before its first package does",
        BadBody::Malformed(why) => why,
    }))
}

fn save(log: &Mirrored, state: &mut State, target: &Target, span: Span, package: Package) -> Result<(), Unfinished> {
    let failed = |error| Unfinished::Refused(Refusal::Io(error));
    let before = usize::try_from(span.start - span.aligned()).unwrap_or_default();
    let mut entries = if before > 0 { log.tiles.entries(span.bundle, before).map_err(failed)? } else { Vec::new() };
    entries.extend(package.entries);
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    let Checkpoint { size, root, .. } = &target.checkpoint;
    verify_subtree_consistency(span.aligned(), span.end, *size, &package.proof, &tree.root(), root)
        .map_err(|_| Refusal::Inconsistent("the proof of a package does not lead to the checkpoint"))?;
    if span.end > state.next {
        log.tiles.put(span.bundle, &entries).map_err(failed)?;
        state.next = span.end;
    }
    Ok(())
}
