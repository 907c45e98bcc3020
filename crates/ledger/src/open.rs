//! Opening the log: recovery, then the threads, then the entries that say what was found; and closing it.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread::JoinHandle,
};

use proof::entry::{Entry, Kind, Outcome};
use terms::Clock;

use crate::{
    bytes::BLOCK,
    calls::OpenCall,
    cosign,
    guard::{CheckpointStore, Guard},
    handle::{Draft, EraseError, Health, LookupError, OpenError, Options, Receipt, Recovery, Unavailable},
    heads::{HeadsKeeper, Saved},
    keys::{LogKey, Pseudonyms},
    layout::Layout,
    pace::Awaited,
    queue::{Limits, Queue, Standing, Ticket, lock},
    reader::{Proofs, Reader},
    recover::{self, Found, FoundTail},
    sequencer::{Fault, Sequencer, read_number},
    shared::{Shared, Signal, Signed, Status},
    slot::block_on,
    spare::{self, Spares},
    storage::{Storage, replace},
    stored::Stored,
    told::Told,
    vault::{self, KeySource, NOBODY, Owner, Vault, VaultError},
    view::View,
    wal::Wal,
    writer::{Tail, Writer},
};

/// The smallest segment, whatever the options say: a batch must fit, with an entry of every length.
const SEGMENT_MIN: u64 = 64 << 10;
/// A batch takes at most a quarter of a segment, so that little of a segment stays empty, and at most this.
const BATCH_MAX: u64 = 16 << 20;

/// An open log with its threads.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pseudonyms: Pseudonyms,
    spares: Arc<Spares>,
    view: Arc<View>,
    proofs: Arc<Proofs>,
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    spares: JoinHandle<()>,
    sequencer: JoinHandle<()>,
    /// Held as long as anything may still be written.
    lock: Held,
}

/// Opens or creates the log in `dir`.
pub(crate) fn open(
    storage: Arc<dyn Storage>,
    dir: &Path,
    options: &Options,
    clock: Arc<dyn Clock>,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
) -> Result<(Inner, Recovery), OpenError> {
    let layout = Layout::new(dir);
    make_dirs(storage.as_ref(), &layout).map_err(|source| io_error("make the log's directories in", dir, source))?;
    let held = hold(&layout)?;
    storage.held().map_err(|source| io_error("begin to write", dir, source))?;
    let wal = Wal::list(&layout.wal()).map_err(|error| recover::open_error(dir, error))?;
    let key = LogKey::open(storage.as_ref(), &layout, &options.origin, wal.is_empty())?;
    let pseudonyms = Pseudonyms::open(storage.as_ref(), &layout, wal.is_empty())?;
    let signed = signed(&layout, &key)?;
    let found = find(&layout, &wal, signed.as_ref())?;
    found.check_clock(clock.now())?;
    key.publish(storage.as_ref(), &layout)?;
    let slots = found.start.position.slots;
    let vault = Vault::open(Arc::clone(&storage), &layout.vault(), wal.is_empty(), slots);
    let vault = Arc::new(vault.map_err(|error| vault_error(dir, error))?);
    let recovery = recovery(&found);
    let calls: Vec<_> = found.start.calls.iter().map(|(index, call)| (index, call.clone())).collect();
    let inner = Starting { storage, layout, key, wal, signed, found, vault, checkpoints }
        .start(options, clock, pseudonyms, held)?;
    inner.begin(&recovery, calls)?;
    Ok((inner, recovery))
}

/// Makes the directories; the names in the log's own become durable with its key.
fn make_dirs(storage: &dyn Storage, layout: &Layout) -> io::Result<()> {
    let new = !layout.wal().exists();
    storage.create_dir(&layout.wal())?;
    storage.create_dir(&layout.log())?;
    storage.create_dir(&layout.vault())?;
    match layout.dir().parent() {
        Some(above) if new && above.is_dir() => storage.sync_dir(above),
        _ => Ok(()),
    }
}

/// The lock that keeps every other process out, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file is not enough while a child that is just being spawned still has a copy of it.
        let _unlocked = self.0.unlock();
    }
}

/// Takes the lock.
pub(crate) fn hold(layout: &Layout) -> Result<Held, OpenError> {
    let path = layout.lock();
    let failed = |source| io_error("open", &path, source);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Held(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Held(layout.dir().display().to_string())),
        Err(std::fs::TryLockError::Error(source)) => Err(io_error("lock", &path, source)),
    }
}

fn signed(layout: &Layout, key: &LogKey) -> Result<Option<Signed>, OpenError> {
    let path = layout.checkpoint();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| io_error("read", &path, source))?,
    };
    let (size, root) = key.verify(&text).map_err(|why| OpenError::Damaged {
        dir: layout.dir().display().to_string(),
        why: format!("its checkpoint is not its own: {why}"),
    })?;
    let text = Arc::from(text);
    Ok(Some(Signed { size, root, text }))
}

/// Reads as much of the log as has not been signed, or came after the last heads entry that was saved.
fn find(layout: &Layout, wal: &Wal, signed: Option<&Signed>) -> Result<Found, OpenError> {
    let signed = signed.map(|signed| (signed.size, signed.root));
    recover::find(layout.dir(), wal, signed, Saved::read(&layout.heads()))
}

fn recovery(found: &Found) -> Recovery {
    Recovery {
        entries: found.start.position.tree.size(),
        torn_bytes: found.tail.map_or(0, |tail| tail.torn_bytes()),
        interrupted: found.start.calls.iter().count() as u64,
        unclean: !found.stopped,
    }
}

/// A log that was read and is about to be written.
struct Starting {
    storage: Arc<dyn Storage>,
    layout: Layout,
    key: LogKey,
    wal: Wal,
    signed: Option<Signed>,
    found: Found,
    vault: Arc<Vault>,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
}

impl Starting {
    fn start(
        mut self,
        options: &Options,
        clock: Arc<dyn Clock>,
        pseudonyms: Pseudonyms,
        held: Held,
    ) -> Result<Inner, OpenError> {
        let wal_dir = self.layout.wal();
        let failed = |action| {
            let dir = wal_dir.clone();
            move |source| io_error(action, &dir, source)
        };
        let segment_bytes = options.segment_bytes.max(SEGMENT_MIN).next_multiple_of(BLOCK);
        let starved = Arc::new(AtomicBool::new(false));
        let spares = Arc::new(Spares::new(Arc::clone(&self.storage), &wal_dir, segment_bytes, Arc::clone(&starved)));
        self.enter_epoch().map_err(failed("write the epoch in"))?;
        let guard = Guard::new(self.checkpoints.take(), self.found.start.position.epoch);
        let guard = guard.map_err(failed("guard the checkpoints of"))?;
        spare::remove_left(self.storage.as_ref(), &wal_dir).map_err(failed("remove left files from"))?;
        let tail = self.tail(&spares).map_err(failed("write the first segment in"))?;
        let room = segment_bytes.saturating_sub(tail.offset);
        let tree = &tail.start.position.tree;
        let status = Status::new(tree.size(), tree.root(), self.signed)
            .resume_cosigned(cosign::read(&self.layout, &self.key), self.key.origin());
        let standing = Standing {
            next: tree.size(),
            last_at_ms: tail.start.last_at_ms,
            places: std::mem::take(&mut self.found.places),
            last_heads: self.found.last_heads,
            room,
        };
        let queue = Queue::new(limits(options, segment_bytes), starved, Arc::clone(&self.vault), standing);
        let view = Arc::new(View::new(KeySource::Open(Arc::clone(&self.vault))));
        let shared = Arc::new(Shared {
            guard,
            layout: self.layout,
            storage: self.storage,
            segment_bytes,
            checkpoint_every: options.checkpoint_every,
            key: self.key,
            vault: self.vault,
            queue,
            heads: HeadsKeeper::new(options.heads_every),
            status,
            told: Told::default(),
            wal: Mutex::new(self.wal),
            closing: Signal::default(),
            clock,
        });
        let threads = Threads::spawn(&shared, &spares, tail, held).map_err(failed("start the threads of"))?;
        Ok(Inner { shared, pseudonyms, spares, view, proofs: Arc::default(), threads: Mutex::new(Some(threads)) })
    }

    /// Counts this opening, durably, so that no batch of an earlier one can follow its batches.
    fn enter_epoch(&mut self) -> io::Result<()> {
        let path = self.layout.epoch();
        let before = read_number(&path).unwrap_or_default();
        let position = &mut self.found.start.position;
        position.epoch = before.max(position.epoch).saturating_add(1);
        let text = format!("{}\n", position.epoch);
        replace(self.storage.as_ref(), &path, text.as_bytes())
    }

    /// Opens the end of the log for writing: what was torn becomes zeros again; a new log gets its first segment.
    fn tail(&mut self, spares: &Spares) -> io::Result<Tail> {
        let start = std::mem::take(&mut self.found.start);
        let storage = self.storage.as_ref();
        let Some(found) = self.found.tail else {
            return Tail::begin(storage, &mut self.wal, spares.make()?, start);
        };
        let file = storage.open(&self.wal.path(found.first))?;
        cut(file.as_ref(), &found)?;
        Ok(Tail { file, offset: found.offset, fresh: found.fresh, start })
    }
}

/// Overwrites a torn batch with zeros. A crash meanwhile leaves less of it, which is still torn.
fn cut(file: &dyn crate::storage::StorageFile, found: &FoundTail) -> io::Result<()> {
    if found.torn_bytes() == 0 {
        return Ok(());
    }
    let zeros = vec![0; crate::bytes::length(found.torn_bytes())];
    file.write_at(&zeros, found.offset)?;
    file.sync()
}

/// Returns the most bytes that one entry takes with its private part in a log whose segments have so many bytes.
#[must_use]
pub fn entry_bytes_max(segment_bytes: u64) -> u64 {
    (segment_bytes / 4).min(BATCH_MAX)
}

fn limits(options: &Options, segment_bytes: u64) -> Limits {
    let batch = entry_bytes_max(segment_bytes);
    Limits { entries: options.queue_entries.max(1), batch: crate::bytes::length(batch) }
}

impl Threads {
    fn spawn(shared: &Arc<Shared>, spares: &Arc<Spares>, tail: Tail, lock: Held) -> io::Result<Self> {
        let writer = Writer { shared: Arc::clone(shared), spares: Arc::clone(spares), tail };
        let mut sequencer = Sequencer::new(Arc::clone(shared));
        // The tiles that a crash may have taken are there again before anybody can ask for a receipt.
        if let Err(fault) = sequencer.catch_up() {
            match fault {
                Fault::Damaged(why) => return Err(io::Error::other(why)),
                Fault::Io { .. } if shared.guard.holds() => tracing::warn!(%fault, "tiles will be derived later"),
                Fault::Io { .. } => return Err(io::Error::other(fault)),
            }
        }
        let making = Arc::clone(spares);
        let spawn = |name: &str| std::thread::Builder::new().name(name.to_owned());
        Ok(Self {
            writer: spawn("ledger-writer").spawn(move || writer.run())?,
            spares: spawn("ledger-spares").spawn(move || making.run())?,
            sequencer: spawn("ledger-sequencer").spawn(move || sequencer.run())?,
            lock,
        })
    }
}

impl Inner {
    /// Writes, durably, what the opening found: the log's beginning, the calls that were interrupted, this start.
    fn begin(&self, recovery: &Recovery, calls: Vec<(u64, OpenCall)>) -> Result<(), OpenError> {
        let mut drafts = Vec::new();
        if recovery.entries == 0 {
            drafts.push(self.genesis());
        }
        drafts.extend(calls.into_iter().map(|(index, call)| interrupted(index, call)));
        drafts.push(start(recovery));
        // One after another in chunks that the queue takes.
        let chunk = 64.min(self.shared.queue.capacity());
        while !drafts.is_empty() {
            let rest = drafts.split_off(drafts.len().min(chunk));
            let now = std::mem::replace(&mut drafts, rest);
            self.append_all(now)
                .map_err(|why| io_error("append to the log in", self.shared.layout.dir(), io::Error::other(why)))?;
        }
        Ok(())
    }

    fn append_all(&self, drafts: Vec<Draft>) -> Result<(), Unavailable> {
        let tickets: Result<Vec<_>, _> = drafts.into_iter().map(|draft| self.submit(draft, Awaited::Now)).collect();
        tickets?.into_iter().try_for_each(durable)
    }

    fn genesis(&self) -> Draft {
        let key = &self.shared.key;
        let private = serde_json::json!({ "origin": key.origin(), "key": key.verifier_key() });
        Draft::new(Entry::new(Kind::Genesis), private.to_string())
    }

    /// Submits an entry at the time the clock tells.
    pub(crate) fn submit(&self, draft: Draft, awaited: Awaited) -> Result<Ticket, Unavailable> {
        self.shared.queue.submit(draft, self.shared.now()?, awaited)
    }

    /// Submits an entry that says where every chain stands.
    pub(crate) fn heads(&self) -> Result<Ticket, Unavailable> {
        self.shared.heads.write(&self.shared.queue, self.shared.now()?)
    }

    /// Learns that a mirror holds the first `size` entries.
    pub(crate) fn mirrored(&self, size: u64) {
        self.shared.told.mirrored(size, |told| self.shared.queue.told(told));
    }

    /// Destroys a key of private parts; false if there is none.
    pub(crate) fn erase(&self, subject: &[u8; 16], epoch: u32) -> Result<bool, EraseError> {
        if *subject == NOBODY {
            return Err(EraseError::Shared);
        }
        let now = self.shared.clock.now().as_millis();
        if epoch >= vault::epoch(u64::try_from(now).unwrap_or_default()) {
            return Err(EraseError::Current(epoch));
        }
        let destroyed = self.shared.vault.destroy(Owner { subject: *subject, epoch });
        self.view.forget();
        destroyed.map_err(|error| self.keys_failed(error))
    }

    /// Returns the epochs in which a subject has, or had, a key; with false where it was destroyed.
    pub(crate) fn epochs(&self, subject: &[u8; 16]) -> Vec<(u32, bool)> {
        self.shared.vault.epochs(*subject)
    }

    /// Keeps all keys of private parts under another key.
    pub(crate) fn rekey(&self) -> Result<(), EraseError> {
        self.shared.vault.rekey().map_err(|error| match self.shared.vault.check() {
            Ok(()) => EraseError::NotRekeyed(error),
            Err(_) => self.keys_failed(error),
        })
    }

    pub(crate) fn is_rekey_due(&self) -> bool {
        self.shared.vault.is_rekey_due()
    }

    fn keys_failed(&self, error: io::Error) -> EraseError {
        self.shared.queue.fence();
        EraseError::Failed(error)
    }

    /// Returns a view that reads the files, with the keys that are in memory.
    pub(crate) fn reader(&self) -> Reader {
        Reader::at(self.shared.layout.clone(), Arc::clone(&self.view), Arc::clone(&self.proofs))
    }

    pub(crate) fn stored(&self, index: u64) -> Result<Stored, LookupError> {
        let (durable, _) = self.shared.status.durable();
        if index >= durable {
            return Err(LookupError::Unknown(index));
        }
        let place = |index| lock(&self.shared.wal).place(index);
        self.view.stored(index, &place)?.ok_or(LookupError::Damaged(index))
    }

    pub(crate) fn receipt(&self, index: u64) -> Result<Receipt, LookupError> {
        let Some(signed) = self.shared.status.covering(index) else {
            return Err(if index < self.shared.queue.next() {
                LookupError::NotYet(index)
            } else {
                LookupError::Unknown(index)
            });
        };
        self.proofs.receipt(&self.shared.layout.log(), &signed, index)
    }

    pub(crate) fn health(&self) -> Health {
        let (durable, _) = self.shared.status.durable();
        let (commits, last_commit) = self.shared.status.commits();
        let refused = |now| self.shared.queue.refuses(now);
        let unavailable = self.shared.now().map_or_else(Some, refused);
        Health {
            unavailable,
            durable,
            queued: usize::try_from(self.shared.queue.waiting()).unwrap_or(usize::MAX),
            checkpoint: self.shared.status.signed().map_or(0, |signed| signed.size),
            commits,
            last_commit,
        }
    }

    /// Writes a heads entry and a `Stop` behind everything else and ends the threads.
    pub(crate) fn stop(&self) -> Result<(), Unavailable> {
        let Some(threads) = lock(&self.threads).take() else {
            return Ok(());
        };
        if let Err(why) = self.heads() {
            tracing::warn!(%why, "the log stops without saying where every chain stands");
        }
        let draft = Draft::new(Entry::new(Kind::Stop), Vec::new());
        let submitted = self.submit(draft, Awaited::Last);
        self.end(threads);
        // Whoever waits for a mirror is not waited for: a mirror may be away for days.
        let (durable, _) = self.shared.status.durable();
        submitted.and_then(|ticket| if ticket.index < durable { Ok(()) } else { Err(Unavailable::Fenced) })
    }

    /// Ends the threads after what waits is written; with a last checkpoint, if the log is in order.
    fn end(&self, threads: Threads) {
        let Threads { writer, spares, sequencer, lock } = threads;
        self.shared.queue.close();
        self.spares.hurry();
        let _panicked = writer.join();
        self.spares.close();
        let _panicked = spares.join();
        self.shared.closing.give();
        let _panicked = sequencer.join();
        drop(lock);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(threads) = lock(&self.threads).take() {
            self.end(threads);
        }
    }
}

fn durable(ticket: Ticket) -> Result<(), Unavailable> {
    block_on(ticket.slot.wait()).map_err(|_| Unavailable::Fenced)
}

fn start(recovery: &Recovery) -> Draft {
    let mut entry = Entry::new(Kind::Start);
    entry.code = Some(env!("CARGO_PKG_VERSION").to_owned());
    let private = serde_json::json!({
        "unclean": recovery.unclean,
        "interrupted": recovery.interrupted,
    });
    Draft::new(entry, private.to_string())
}

fn interrupted(opened: u64, call: OpenCall) -> Draft {
    let mut entry = Entry::new(Kind::Close);
    entry.call = Some(call.call);
    entry.opened = Some(opened);
    entry.subject = call.subject;
    entry.model = call.model;
    entry.outcome = Some(Outcome::Interrupted);
    entry.code = Some("interrupted".to_owned());
    entry.lease = call.lease;
    Draft::new(entry, Vec::new()).on(call.chains.into())
}

/// Says in the words of an opening what the vault answered.
fn vault_error(dir: &Path, error: VaultError) -> OpenError {
    match error {
        VaultError::Io { action, path, source } => OpenError::Io { action, path, source },
        VaultError::Damaged { .. } => OpenError::Damaged { dir: dir.display().to_string(), why: error.to_string() },
    }
}

/// Says in the words of an opening what the operating system answered.
pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { action, path: path.display().to_string(), source }
}
