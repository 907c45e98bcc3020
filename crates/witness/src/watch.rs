//! A witness: its logs, its keys, and what it remembers of each log.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use ledger::storage::Storage;
use proof::{
    checkpoint::{BadCheckpoint, Checkpoint},
    cosignature::CosignerSecret,
    hex,
    note::{BadNote, Note, NoteSignature},
    policy_file::Policy,
};
use sha2::{Digest, Sha256};
use terms::Moment;

use crate::{
    AddCheckpoint, Latest, Refusal,
    store::{Store, lock},
};

/// Contradictions of one log that are kept.
const EVIDENCE_MAX: usize = 16;

/// Remembers, of each log of its policy, the largest tree, and cosigns what extends it.
///
/// A checkpoint is durable before its cosignature leaves. Whatever the order of requests, what was cosigned of a log is one
/// history. Cheap to share behind an [`Arc`]; it blocks, so call it off an async runtime.
#[derive(Debug)]
pub struct Witness {
    policy: Policy,
    signers: Vec<CosignerSecret>,
    store: Store,
    /// The name of the file that holds a log's latest checkpoint, in the log's folder.
    file: &'static str,
    logs: BTreeMap<String, Watched>,
}

/// A log, under its origin.
#[derive(Debug)]
struct Watched {
    /// The log's folder: the hash of its origin.
    folder: String,
    /// `None` if it is not known whether the last checkpoint was written: it is read again.
    kept: Mutex<Option<Kept>>,
}

/// The latest checkpoint of a log, with the log's signatures and the cosignatures on it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) latest: Latest,
    /// Empty before the first checkpoint.
    pub(crate) note: Arc<str>,
}

/// A witness or mirror cannot be opened; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused, or another process has the folder.
    #[error("cannot use the folder `{dir}`: {source}")]
    Io {
        /// The folder.
        dir: String,
        /// The answer.
        source: io::Error,
    },
    /// A log has the name of the witness: it could not be told whose signature is whose.
    #[error("`{0}` is the name of a log: choose another for the witness")]
    Name(String),
    /// A file is not what was written there.
    #[error("`{0}` is not a checkpoint of its log: restore it, or remove the log's folder and lose what was witnessed")]
    Damaged(String),
}

impl Witness {
    /// Opens the folder of a witness for the logs of `policy`; its quorum does not matter here.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        policy: Policy,
        signers: Vec<CosignerSecret>,
    ) -> Result<Self, OpenError> {
        let store =
            Store::open(storage, dir).map_err(|source| OpenError::Io { dir: dir.display().to_string(), source })?;
        Self::open_in(store, "checkpoint", policy, signers)
    }

    /// Opens a witness that keeps its checkpoints under the name `file` in a folder that is held already.
    pub(crate) fn open_in(
        store: Store,
        file: &'static str,
        policy: Policy,
        signers: Vec<CosignerSecret>,
    ) -> Result<Self, OpenError> {
        let is_log = |name: &str| policy.logs().iter().any(|log| log.key.origin() == name);
        if let Some(signer) = signers.iter().find(|signer| is_log(signer.public().name())) {
            return Err(OpenError::Name(signer.public().name().to_owned()));
        }
        let origins = policy.logs().iter().map(|log| log.key.origin().to_owned());
        let watched = |origin: String| {
            let folder = origin_hash(&origin);
            (origin, Watched { folder, kept: Mutex::new(None) })
        };
        let logs: BTreeMap<_, _> = origins.map(watched).collect();
        let witness = Self { policy, signers, store, file, logs };
        for (origin, watched) in &witness.logs {
            let kept = witness.load(origin, watched).map_err(|_| OpenError::Damaged(witness.path_of(watched)))?;
            *lock(&watched.kept) = Some(kept);
        }
        Ok(witness)
    }

    /// Returns the keys that check its cosignatures, as text.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.signers.iter().map(|signer| signer.public().to_string()).collect()
    }

    /// Answers the body of an `add-checkpoint` request at `now` with the cosignatures, a line each, once they may be believed.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing was cosigned.
    pub fn add_checkpoint(&self, body: &[u8], now: Moment) -> Result<String, Refusal> {
        let request = AddCheckpoint::parse(body)?;
        let (checkpoint, own) = self.believed(&request.note)?;
        let watched = self.logs.get(&checkpoint.origin).ok_or(Refusal::UnknownLog)?;
        // From the look at what is known until the new state is durable, no other request of this log gets in between.
        let mut kept = lock(&watched.kept);
        let known = match &*kept {
            Some(known) => known.clone(),
            None => self.load(&checkpoint.origin, watched).map_err(Refusal::Io)?,
        };
        let advanced = known.latest.advance(request.old, &request.proof, &checkpoint);
        if known.latest.contradicts(&checkpoint) {
            self.keep_evidence(watched, &request.note);
        }
        let latest = advanced?;
        let cosigned = cosign(&self.signers, &checkpoint, now)?;
        let note: Arc<str> = written(&checkpoint, own.iter().chain(&cosigned))?.into();
        *kept = None;
        self.store.write(&format!("{}/{}", watched.folder, self.file), note.as_bytes()).map_err(Refusal::Io)?;
        *kept = Some(Kept { latest, note });
        Ok(lines(&cosigned))
    }

    /// Returns the latest checkpoint of the log whose origin has this hash, with all its signatures; `None` if there is none.
    #[must_use]
    pub fn checkpoint(&self, origin_hash: &str) -> Option<Arc<str>> {
        let (origin, watched) = self.logs.iter().find(|(_, watched)| watched.folder == origin_hash)?;
        let kept = self.kept_of(origin, watched).ok()?;
        (!kept.note.is_empty()).then_some(kept.note)
    }

    /// Returns what is known of a log; `None` if it is not one of the policy's.
    pub(crate) fn kept(&self, origin: &str) -> Option<io::Result<Kept>> {
        self.logs.get(origin).map(|watched| self.kept_of(origin, watched))
    }

    /// Returns the origins of the logs.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Reads a signed checkpoint of a known log; returns it with the signatures of the log, all of which hold.
    pub(crate) fn believed(&self, note: &str) -> Result<(Checkpoint, Vec<NoteSignature>), Refusal> {
        let origin = note.split('\n').next().unwrap_or_default();
        if !self.logs.contains_key(origin) {
            return Err(Refusal::UnknownLog);
        }
        let note = Note::parse(note.as_bytes()).map_err(|_| Refusal::Malformed("the checkpoint is no signed note"))?;
        let log_only = self.policy.check_log(&note, origin);
        log_only.map_err(|bad| match bad {
            BadCheckpoint::Note(BadNote::Unsigned | BadNote::Signature(_)) => Refusal::Unsigned,
            _ => Refusal::Malformed("the text is no checkpoint"),
        })?;
        let checkpoint =
            Checkpoint::parse_body(note.text()).map_err(|_| Refusal::Malformed("the text is no checkpoint"))?;
        if checkpoint.body() != note.text() {
            return Err(Refusal::Malformed("the checkpoint has extension lines, which are not cosigned"));
        }
        let logs = self.policy.logs();
        let own = |signature: &&NoteSignature| logs.iter().any(|log| log.key.is_named_by(signature));
        let own: Vec<_> = note.signatures().iter().filter(own).cloned().collect();
        Ok((checkpoint, own))
    }

    fn kept_of(&self, origin: &str, watched: &Watched) -> io::Result<Kept> {
        let mut kept = lock(&watched.kept);
        if let Some(kept) = &*kept {
            return Ok(kept.clone());
        }
        let loaded = self.load(origin, watched)?;
        *kept = Some(loaded.clone());
        Ok(loaded)
    }

    /// Reads what was kept of a log and writes it again: what a write that failed, or a process that was killed, left there
    /// may be readable and not durable, and must not be told before it is.
    fn load(&self, origin: &str, watched: &Watched) -> io::Result<Kept> {
        let kept = self.read(origin, watched)?;
        if !kept.note.is_empty() {
            self.store.write(&format!("{}/{}", watched.folder, self.file), kept.note.as_bytes())?;
        }
        Ok(kept)
    }

    fn read(&self, origin: &str, watched: &Watched) -> io::Result<Kept> {
        let Some(bytes) = self.store.read(&format!("{}/{}", watched.folder, self.file))? else {
            return Ok(Kept { latest: Latest::NOTHING, note: Arc::from("") });
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the checkpoint on disk is none of this log");
        let note = String::from_utf8(bytes).map_err(|_| damaged())?;
        let (checkpoint, _) = self.believed(&note).map_err(|_| damaged())?;
        if checkpoint.origin != origin {
            return Err(damaged());
        }
        let latest = Latest { size: checkpoint.size, root: checkpoint.root };
        Ok(Kept { latest, note: note.into() })
    }

    fn path_of(&self, watched: &Watched) -> String {
        self.store.path(&watched.folder).join(self.file).display().to_string()
    }

    /// Keeps a checkpoint that contradicts the latest one: with it, proof that the log showed two histories.
    fn keep_evidence(&self, watched: &Watched, note: &str) {
        let folder = self.path_of(watched);
        tracing::error!(checkpoint = %folder, "the log signed two trees of one size: it shows two histories");
        let digest = hex(&Sha256::digest(note));
        let evidence = format!("{}/contradictions", watched.folder);
        let there = std::fs::read_dir(self.store.path(&evidence)).map_or(0, Iterator::count);
        let name = format!("{evidence}/{digest}");
        if there >= EVIDENCE_MAX || self.store.path(&name).exists() {
            return;
        }
        if let Err(error) = self.store.write(&name, note.as_bytes()) {
            tracing::error!(%error, "the contradiction could not be kept");
        }
    }
}

/// Cosigns `checkpoint` with every key.
pub(crate) fn cosign(
    signers: &[CosignerSecret],
    checkpoint: &Checkpoint,
    now: Moment,
) -> Result<Vec<NoteSignature>, Refusal> {
    let bad_clock = || Refusal::Io(io::Error::other("the clock is before 1970: set it"));
    let seconds = u64::try_from(now.as_millis() / 1_000).ok().filter(|seconds| *seconds > 0).ok_or_else(bad_clock)?;
    let signed = signers.iter().map(|signer| signer.cosign(checkpoint, seconds));
    signed.collect::<Result<_, _>>().map_err(|_| Refusal::Malformed("the origin is too long to be cosigned"))
}

/// Writes the checkpoint anew, from what was understood, with these signatures.
pub(crate) fn written<'s>(
    checkpoint: &Checkpoint,
    signatures: impl Iterator<Item = &'s NoteSignature>,
) -> Result<String, Refusal> {
    let mut note = Note::new(checkpoint.body()).map_err(|_| Refusal::Malformed("the text is no checkpoint"))?;
    signatures.cloned().for_each(|signature| note.attach(signature));
    Ok(note.to_string())
}

/// Writes signatures, a line each.
pub(crate) fn lines(signatures: &[NoteSignature]) -> String {
    signatures.iter().map(|signature| format!("{signature}\n")).collect()
}

/// Returns the name of a log in the paths of witnesses and mirrors: SHA-256 of its origin, in lower-case hexadecimal.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    hex(&Sha256::digest(origin))
}
