//! Logs in memory, and whoever witnesses and mirrors them.

use std::{collections::BTreeSet, convert::Infallible, io::Read, path::Path, sync::Arc};

use ledger::storage::{Disk, Storage};
use proof::{
    checkpoint::Checkpoint,
    cosignature::{self, Algorithm, CosignerKey, CosignerSecret},
    note::{Note, SignerKey},
    policy_file::Policy,
    tile::{TILE_WIDTH, TileKind, TilePath, decode_entries},
    tree::{Hash, HashReader, leaf_hash, node_hash, prove_consistency, prove_subtree_consistency, range_root, root},
};
use terms::Moment;
use witness::{AddCheckpoint, Mirror, MirrorInfo, Unfinished, Witness, origin_hash};

/// When everything happens: 1,700,000,000 s after 1970.
pub(crate) fn now() -> Moment {
    Moment::from_millis(1_700_000_000_123)
}

/// A log whose entry `n` is the text of `n`; it signs whatever it is asked to.
pub(crate) struct Log {
    pub(crate) signer: SignerKey,
    /// Complete subtrees, by level.
    levels: Vec<Vec<Hash>>,
    salt: &'static str,
    /// Entries of its own, if it does not have those.
    entries: Vec<Vec<u8>>,
}

impl HashReader for Log {
    type Error = Infallible;
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.levels[usize::from(level)][usize::try_from(index).unwrap()])
    }
}

impl Log {
    pub(crate) fn new(origin: &str, size: u64) -> Self {
        Self::salted(origin, size, "")
    }

    /// A log with other entries: signed by the same key, it is a fork.
    pub(crate) fn salted(origin: &str, size: u64, salt: &'static str) -> Self {
        let mut log = Self { signer: signer(origin), levels: Vec::new(), salt, entries: Vec::new() };
        (0..size).for_each(|n| log.push(n));
        log
    }

    /// A log with these entries.
    pub(crate) fn of(origin: &str, entries: Vec<Vec<u8>>) -> Self {
        let size = entries.len() as u64;
        let mut log = Self { signer: signer(origin), levels: Vec::new(), salt: "", entries };
        (0..size).for_each(|n| log.push(n));
        log
    }

    pub(crate) fn origin(&self) -> &str {
        self.signer.name()
    }

    pub(crate) fn entry(&self, index: u64) -> Vec<u8> {
        let own = self.entries.get(usize::try_from(index).unwrap());
        own.cloned().unwrap_or_else(|| format!("entry {index}{}", self.salt).into_bytes())
    }

    fn push(&mut self, index: u64) {
        let mut hash = leaf_hash(&self.entry(index));
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            let [.., left, right] = self.levels[level].as_slice() else { return };
            if self.levels[level].len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
        }
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: self.origin().to_owned(), size, root: root(self, size).unwrap() }
    }

    pub(crate) fn signed(&self, size: u64) -> String {
        self.checkpoint(size).sign(&self.signer).unwrap()
    }

    /// The body of an `add-checkpoint`, with the right proof.
    pub(crate) fn add_checkpoint(&self, old: u64, size: u64) -> Vec<u8> {
        let proof = prove_consistency(self, old, size).unwrap();
        AddCheckpoint { old, proof, note: self.signed(size) }.to_body().into_bytes()
    }

    pub(crate) fn header(&self, start: u64, end: u64, ticket: &[u8]) -> Vec<u8> {
        header(self.origin(), start, end, ticket)
    }

    /// The body of an `add-entries`: a header and at most `most` packages.
    pub(crate) fn add_entries(&self, start: u64, end: u64, ticket: &[u8], most: usize) -> Vec<u8> {
        let mut body = self.header(start, end, ticket);
        let bundles = if start == end { 0..0 } else { start / 256..end.div_ceil(256) };
        for bundle in bundles.take(most) {
            body.extend(self.package(start, end, bundle));
        }
        body
    }

    pub(crate) fn package(&self, start: u64, end: u64, bundle: u64) -> Vec<u8> {
        let (first, last) = (start.max(bundle * 256), end.min((bundle + 1) * 256));
        let mut body = Vec::new();
        for index in first..last {
            let entry = self.entry(index);
            body.extend((entry.len() as u16).to_be_bytes());
            body.extend(entry);
        }
        let proof = prove_subtree_consistency(self, bundle * 256, last, end).unwrap();
        body.push(proof.len() as u8);
        body.extend(proof.concat());
        body
    }

    /// The policy of who knows only this log.
    pub(crate) fn policy(&self) -> Policy {
        policy(&[self])
    }
}

fn signer(origin: &str) -> SignerKey {
    SignerKey::from_seed(origin, &[origin.len() as u8; 32]).unwrap()
}

pub(crate) fn header(origin: &str, start: u64, end: u64, ticket: &[u8]) -> Vec<u8> {
    let mut body = (origin.len() as u16).to_be_bytes().to_vec();
    body.extend(origin.as_bytes());
    body.extend(start.to_be_bytes());
    body.extend(end.to_be_bytes());
    body.extend((ticket.len() as u16).to_be_bytes());
    body.extend(ticket);
    body
}

pub(crate) fn policy(logs: &[&Log]) -> Policy {
    let lines: String = logs.iter().map(|log| format!("log {}\n", log.signer.verifier())).collect();
    Policy::parse(format!("{lines}quorum none\n").as_bytes()).unwrap()
}

/// The keys of a cosigner; each name has its own.
pub(crate) fn signers(name: &str) -> Vec<CosignerSecret> {
    let seed: [u8; 32] = std::array::from_fn(|n| name.as_bytes()[n % name.len()]);
    let signer = |algorithm| CosignerSecret::from_seed(name, algorithm, &seed).unwrap();
    vec![signer(Algorithm::Ed25519), signer(Algorithm::MlDsa44)]
}

pub(crate) fn keys(name: &str) -> Vec<CosignerKey> {
    signers(name).iter().map(|signer| signer.public().clone()).collect()
}

pub(crate) fn witness(log: &Log, dir: &Path) -> Witness {
    witness_on(Arc::new(Disk), log, dir)
}

pub(crate) fn witness_on(storage: Arc<dyn Storage>, log: &Log, dir: &Path) -> Witness {
    Witness::open(storage, dir, log.policy(), signers("witness.example")).unwrap()
}

/// A mirror of one log, or more.
pub(crate) struct World {
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) dir: tempfile::TempDir,
    policy: Policy,
    unchecked: BTreeSet<String>,
}

impl World {
    /// The entries of these logs are texts, of which nothing is asked.
    pub(crate) fn new(logs: &[&Log]) -> Self {
        Self::open(logs, logs.iter().map(|log| log.origin().to_owned()).collect())
    }

    /// The entries of these logs are held against each other.
    pub(crate) fn checking(logs: &[&Log]) -> Self {
        Self::open(logs, BTreeSet::new())
    }

    fn open(logs: &[&Log], unchecked: BTreeSet<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = policy(logs);
        Self { mirror: open(dir.path(), policy.clone(), &unchecked), dir, policy, unchecked }
    }

    /// A mirror of `log`, at which its checkpoint of `size` entries is pending.
    pub(crate) fn pending(log: &Log, size: u64) -> Self {
        let world = Self::new(&[log]);
        world.pend(log, 0, size);
        world
    }

    pub(crate) fn restart(self) -> Self {
        let Self { mirror, dir, policy, unchecked } = self;
        drop(mirror);
        Self { mirror: open(dir.path(), policy.clone(), &unchecked), dir, policy, unchecked }
    }

    pub(crate) fn pend(&self, log: &Log, old: u64, size: u64) {
        let told = self.mirror.add_checkpoint(&log.add_checkpoint(old, size), now());
        assert_eq!(told.unwrap(), "", "a mirror must not cosign what is pending");
    }

    pub(crate) fn post(&self, body: &[u8]) -> Told {
        self.post_reading(&mut &*body)
    }

    pub(crate) fn post_reading(&self, body: &mut dyn Read) -> Told {
        match self.mirror.add_entries(body, now()) {
            Ok(lines) => Told { status: 200, lines, info: None },
            Err(Unfinished::Accepted(info)) => Told { status: 202, lines: String::new(), info: Some(info) },
            Err(Unfinished::Conflict(info)) => Told { status: 409, lines: String::new(), info: Some(info) },
            Err(Unfinished::Refused(refusal)) => Told { status: refusal.status(), lines: String::new(), info: None },
        }
    }

    /// Checks that everything of a log of `size` entries is served, and that the mirror's checkpoint says so.
    #[track_caller]
    pub(crate) fn holds(&self, log: &Log, size: u64) {
        let hash = origin_hash(log.origin());
        let note = self.mirror.checkpoint(&hash).expect("a checkpoint is served");
        assert_cosigned(&note, "mirror.example", &log.checkpoint(size));
        Note::parse(note.as_bytes()).unwrap().verify(&[log.signer.verifier()]).expect("the log's signature is kept");
        for level in 0..3 {
            for index in 0..(size >> (8 * level)).div_ceil(256) {
                let path = TilePath::in_log(TileKind::Hashes(level), index, size).unwrap();
                assert_eq!(self.hashes(&hash, path), log.tile(level, index, path.width()), "{path}");
            }
        }
        for index in 0..size.div_ceil(256) {
            let path = TilePath::in_log(TileKind::Entries, index, size).unwrap();
            let bytes = self.tile(&hash, path);
            let wanted: Vec<_> = (index * 256..size.min((index + 1) * 256)).map(|n| log.entry(n)).collect();
            assert_eq!(&decode_entries(&bytes).unwrap()[..wanted.len()], &wanted, "{path}");
        }
    }

    fn hashes(&self, hash: &str, path: TilePath) -> Vec<Hash> {
        self.tile(hash, path).as_chunks::<32>().0[..usize::from(path.width())].to_vec()
    }

    /// Reads a tile as clients do: under its own name, or where that is gone, the full one.
    fn tile(&self, hash: &str, path: TilePath) -> Vec<u8> {
        let full = TilePath::new(path.kind(), path.index(), TILE_WIDTH).unwrap();
        let read = |path| self.mirror.tile(hash, path).unwrap();
        read(path).or_else(|| read(full)).unwrap_or_else(|| panic!("{path} is not served"))
    }
}

impl Log {
    fn tile(&self, level: u8, index: u64, width: u16) -> Vec<Hash> {
        let leaves = 1_u64 << (8 * level);
        let first = index * 256;
        (first..first + u64::from(width)).map(|n| range_root(self, n * leaves, (n + 1) * leaves).unwrap()).collect()
    }
}

fn open(dir: &Path, policy: Policy, unchecked: &BTreeSet<String>) -> Arc<Mirror> {
    Arc::new(Mirror::open(Arc::new(Disk), dir, policy, signers("mirror.example"), unchecked).unwrap())
}

/// What a mirror answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) lines: String,
    pub(crate) info: Option<MirrorInfo>,
}

impl Told {
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Checks an answer that says where the mirror stands; returns the ticket.
    #[track_caller]
    pub(crate) fn stands(&self, status: u16, size: u64, next: u64) -> Vec<u8> {
        let info = self.is(status).info.as_ref().unwrap();
        assert_eq!((info.size, info.next), (size, next));
        assert_eq!(MirrorInfo::parse(info.to_string().as_bytes()).as_ref(), Some(info));
        info.ticket.clone()
    }

    /// Checks an answer with the mirror's cosignatures of a checkpoint, and nothing else.
    #[track_caller]
    pub(crate) fn cosigns(&self, log: &Log, size: u64) {
        self.is(200);
        let checkpoint = log.checkpoint(size);
        assert_eq!(self.lines.lines().count(), 2);
        assert_cosigned(&format!("{}\n{}", checkpoint.body(), self.lines), "mirror.example", &checkpoint);
    }
}

/// Checks that both keys of `name` cosigned the checkpoint, just now.
#[track_caller]
pub(crate) fn assert_cosigned(note: &str, name: &str, checkpoint: &Checkpoint) {
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(note.text(), checkpoint.body());
    let keys = keys(name);
    let times: Vec<u64> = cosignature::verify(&note, &keys).unwrap().iter().map(|seen| seen.time).collect();
    assert_eq!(times, [1_700_000_000; 2]);
}

/// A body that does something once so many of its bytes were read.
pub(crate) struct Meanwhile<'b, F: FnMut()> {
    pub(crate) body: &'b [u8],
    /// Bytes to be read before it is done.
    pub(crate) after: usize,
    pub(crate) then: Option<F>,
}

impl<F: FnMut()> Read for Meanwhile<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.after == 0
            && let Some(mut then) = self.then.take()
        {
            then();
        }
        let count = into.len().min(if self.after > 0 { self.after } else { self.body.len() });
        let read = (&self.body[..count.min(self.body.len())]).read(into)?;
        self.body = &self.body[read..];
        self.after = self.after.saturating_sub(read);
        Ok(read)
    }
}
