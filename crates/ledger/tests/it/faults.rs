//! Storage that fails: each operation in turn, with and without its effect, and the two failures the log knows by name.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ledger::{
    Ledger, OpenError, Pending, Unavailable,
    storage::{Disk, Storage, StorageFile},
};

use crate::{
    fsck::fsck,
    world::{World, note, put, refusal, until},
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// What is asked of the storage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    Create,
    Open,
    Write,
    Sync,
    Rename,
    Remove,
    SyncDir,
    CreateDir,
}

/// What a fault does to one operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It answers with this error and does nothing.
    Refuse(i32),
    /// It is done and answers with this error all the same.
    Forget(i32),
    /// It writes the bytes with one bit turned over: of the byte this far into them, or of the last that is not zero.
    Flip(Option<usize>),
}

pub(crate) type Plan = Box<dyn Fn(usize, Op, &Path) -> Option<Fault> + Send + Sync>;

/// The disk, with faults by plan. Nothing is really synced: the power stays on in these tests.
pub(crate) struct Faulty {
    plan: Plan,
    done: AtomicUsize,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    pub(crate) fn new(plan: impl Fn(usize, Op, &Path) -> Option<Fault> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { plan: Box::new(plan), done: AtomicUsize::new(0) })
    }

    fn run<T>(&self, op: Op, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        match (self.plan)(number, op, path) {
            Some(Fault::Refuse(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Forget(code)) => {
                act()?;
                Err(io::Error::from_raw_os_error(code))
            }
            Some(Fault::Flip(_)) | None => act(),
        }
    }
}

/// Hands the faults to the files too.
#[derive(Clone, Debug)]
struct Handle(Arc<Faulty>);

#[derive(Debug)]
struct FaultyFile {
    storage: Arc<Faulty>,
    path: Mutex<PathBuf>,
    file: Box<dyn StorageFile>,
}

impl Handle {
    fn file(&self, path: &Path, file: io::Result<Box<dyn StorageFile>>) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(FaultyFile { storage: Arc::clone(&self.0), path: Mutex::new(path.to_owned()), file: file? }))
    }
}

impl Storage for Handle {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.run(Op::CreateDir, path, || Disk.create_dir(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = self.0.run(Op::Create, path, || Disk.create(path));
        self.file(path, file)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = self.0.run(Op::Open, path, || Disk.open(path));
        self.file(path, file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.run(Op::Rename, to, || Disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.run(Op::Remove, path, || Disk.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.run(Op::Remove, path, || Disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.run(Op::SyncDir, path, || Ok(()))
    }
}

impl StorageFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        let number = self.storage.done.load(Ordering::SeqCst);
        if let Some(Fault::Flip(at)) = (self.storage.plan)(number, Op::Write, &path) {
            let mut bytes = bytes.to_vec();
            let last = || bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            let at = at.map_or_else(last, |at| at % bytes.len());
            bytes[at] ^= 1 << (at % 8);
            return self.file.write_at(&bytes, offset);
        }
        self.storage.run(Op::Write, &path, || self.file.write_at(bytes, offset))
    }

    fn sync(&self) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        self.storage.run(Op::Sync, &path, || Ok(()))
    }
}

pub(crate) fn open(world: &World, storage: &Arc<Faulty>) -> Result<Ledger, OpenError> {
    let storage = Arc::new(Handle(Arc::clone(storage)));
    let opened = Ledger::open_on(storage, world.dir(), world.options.clone(), world.clock());
    opened.map(|(ledger, _)| ledger)
}

/// Appends so many entries until something fails, and says where each chain stands and changes the vault's key meanwhile;
/// tells of each entry that was acknowledged.
pub(crate) fn use_log(ledger: &Ledger, rounds: usize, mut told: impl FnMut(u64, usize)) {
    for round in 0..rounds {
        let Ok(recorded) = ledger.append(note(&text(round))).and_then(Pending::wait) else {
            break;
        };
        told(recorded.index(), round);
        // Whatever comes of these, the next entry is taken or refused.
        if round == rounds / 3 {
            let _recorded = ledger.heads().and_then(Pending::wait);
        } else if round == rounds / 3 * 2 {
            let _changed = ledger.rekey();
        }
    }
    // A second time nothing is done, so a failure to stop shows in what the next opening finds.
    let _stopped = ledger.stop();
}

/// What an entry says; few of them fill a segment.
pub(crate) fn text(round: usize) -> String {
    format!("{round} {}", "z".repeat(9_000))
}

/// Uses a log for long enough to fill some segments; returns what was acknowledged.
fn kept(ledger: &Ledger) -> Vec<(u64, usize)> {
    let mut kept = Vec::new();
    use_log(ledger, 24, |index, round| kept.push((index, round)));
    kept
}

fn check(world: &World, kept: &[(u64, usize)], when: &str) {
    fsck(world.dir()).unwrap_or_else(|why| panic!("{when}: {why}"));
    let ledger = open(world, &Faulty::new(|_, _, _| None));
    let ledger = ledger.unwrap_or_else(|error| panic!("{when}: {error}"));
    for (index, round) in kept {
        let stored = ledger.stored(*index).unwrap();
        assert_eq!(stored.main().unwrap(), text(*round).as_bytes(), "{when}");
    }
    let last = kept.last().map_or(0, |(index, _)| *index);
    until("the log signs again", || ledger.health().checkpoint > last);
    ledger.receipt(last).unwrap();
}

/// A file is known by the name it was made under: the first segment was the first spare.
fn first_segment(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "1.pre")
}

pub(crate) fn quick() -> World {
    let mut world = World::new();
    world.options.segment_bytes = 64 << 10;
    world.options.checkpoint_every = Duration::from_millis(3);
    world
}

#[test]
fn whatever_single_operation_fails_nothing_acknowledged_is_lost_and_the_log_opens_again() {
    let world = quick();
    let count = Faulty::new(|_, _, _| None);
    assert_eq!(kept(&open(&world, &count).unwrap()).len(), 24);
    let operations = count.done.load(Ordering::SeqCst);
    assert!(operations > 100, "{operations}");
    let mut failed = 0;
    for at in 0..operations {
        let faults = [Fault::Refuse(EIO), Fault::Refuse(ENOSPC), Fault::Forget(EIO)];
        let fault = faults[at % faults.len()];
        let world = quick();
        let storage = Faulty::new(move |number, _, _| (number == at).then_some(fault));
        let kept = match open(&world, &storage) {
            Ok(ledger) => kept(&ledger),
            Err(OpenError::Io { .. }) => Vec::new(),
            Err(other) => panic!("{fault:?} at {at}: {other}"),
        };
        failed += usize::from(kept.len() < 24);
        check(&world, &kept, &format!("{fault:?} at operation {at}"));
    }
    assert!(failed > 20, "only {failed} faults were felt");
}

#[test]
fn a_failed_sync_fences_the_log_for_good_and_tells_everyone_who_waits() {
    let world = quick();
    let broken = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&broken);
    let segment = |path: &Path| path.extension().is_some_and(|e| e != "tmp");
    let storage = Faulty::new(move |_, op, path| {
        let fails = op == Op::Sync && segment(path) && flag.load(Ordering::SeqCst);
        fails.then_some(Fault::Refuse(EIO))
    });
    let ledger = open(&world, &storage).unwrap();
    let kept = put(&ledger, "before");
    broken.store(true, Ordering::SeqCst);
    let first = ledger.append(note("first")).unwrap();
    let others: Vec<_> = (0..50).map_while(|_| ledger.append(note("x")).ok()).collect();
    assert_eq!(first.wait().unwrap_err(), Unavailable::Fenced);
    // The disk mends, but a log that failed once is not trusted again.
    broken.store(false, Ordering::SeqCst);
    for other in others {
        assert_eq!(other.wait().unwrap_err(), Unavailable::Fenced);
    }
    assert_eq!(ledger.health().unavailable, Some(Unavailable::Fenced));
    assert_eq!(refusal(ledger.append(note("x"))), Unavailable::Fenced);
    assert_eq!(ledger.stop(), Err(Unavailable::Fenced));
    drop(ledger);
    assert_eq!(world.open().stored(kept).unwrap().main().unwrap(), b"before");
}

#[test]
fn without_room_for_the_next_segment_entries_are_refused_until_there_is_and_none_is_lost() {
    let world = quick();
    let full = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&full);
    let failed = Arc::new(AtomicUsize::new(0));
    let failures = Arc::clone(&failed);
    let storage = Faulty::new(move |_, op, path| {
        let spare = path.extension().is_some_and(|extension| extension == "pre");
        let next = spare && !first_segment(path);
        let fails = next && op == Op::Write && flag.load(Ordering::SeqCst);
        failures.fetch_add(usize::from(fails), Ordering::SeqCst);
        fails.then_some(Fault::Refuse(ENOSPC))
    });
    let ledger = open(&world, &storage).unwrap();
    // Once it is tried a second time, the first failure is known.
    until("the next segment failed", || failed.load(Ordering::SeqCst) > 1);
    let mut kept = Vec::new();
    let refused = loop {
        match ledger.append(note(&"n".repeat(3_000))) {
            Ok(pending) => {
                let index = pending.index();
                kept.push(index);
                // An entry that came just before it was known that there is no room waits until there is.
                until("it is durable or there is no room", || {
                    let health = ledger.health();
                    health.durable > index || health.unavailable == Some(Unavailable::NoRoom)
                });
            }
            Err(refused) => break refused,
        }
        assert!(kept.len() < 10_000);
    };
    assert_eq!(refused, Unavailable::NoRoom);
    until("health says so", || {
        ledger.health().unavailable == Some(Unavailable::NoRoom)
            || ledger.append(note("small")).map(|p| kept.push(p.index())).is_err()
    });
    full.store(false, Ordering::SeqCst);
    until("there is room again", || ledger.append(note("again")).is_ok());
    ledger.stop().unwrap();
    let seen: Vec<u64> = world.reader().entries(0).unwrap().map(|e| e.unwrap().index).collect();
    assert!(kept.iter().all(|index| seen.contains(index)));
}

/// After the test of the rate limit of Sunlight: what cannot be taken in time is refused.
#[test]
fn ratelimit() {
    let mut world = quick();
    world.options.queue_entries = 8;
    let slow = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&slow);
    let storage = Faulty::new(move |_, op, path| {
        let held = op == Op::Sync && first_segment(path);
        while held && flag.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    });
    let ledger = open(&world, &storage).unwrap();
    put(&ledger, "before");
    slow.store(true, Ordering::SeqCst);
    let waiting: Vec<_> = (0..8).map(|_| ledger.append(note("x")).unwrap()).collect();
    assert_eq!(refusal(ledger.append(note("x"))), Unavailable::Full);
    assert_eq!(ledger.health().queued, 8);
    slow.store(false, Ordering::SeqCst);
    waiting.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    put(&ledger, "after");
}

#[test]
fn a_bit_that_flips_on_the_way_to_the_disk_is_not_signed() {
    let world = quick();
    let flip = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&flip);
    let storage = Faulty::new(move |_, op, path| {
        let segment = path.extension().is_some_and(|e| e == "pre" || e == "seg");
        let flips = op == Op::Write && segment && flag.swap(false, Ordering::SeqCst);
        flips.then_some(Fault::Flip(None))
    });
    // A new log writes its first segment under the spare's name, so it is opened once before.
    drop(open(&world, &Faulty::new(|_, _, _| None)).unwrap());
    let ledger = open(&world, &storage).unwrap();
    let good = put(&ledger, "good");
    until("it is signed", || ledger.health().checkpoint > good);
    let before = ledger.health().checkpoint;
    flip.store(true, Ordering::SeqCst);
    until("the flip is made", || {
        let _refused = ledger.append(note("bad")).map(|pending| pending.index());
        !flip.load(Ordering::SeqCst)
    });
    until("the log is fenced", || ledger.health().unavailable == Some(Unavailable::Fenced));
    drop(ledger);
    let signed = world.reader().checkpoint_size().unwrap();
    assert!(signed <= before + 64 && signed >= before, "{signed} after {before}");
}

#[test]
fn a_disk_that_may_not_be_written_is_named_when_the_log_is_opened() {
    let world = quick();
    let storage = Faulty::new(|_, _, _| Some(Fault::Refuse(EROFS)));
    let error = open(&world, &storage).unwrap_err().to_string();
    let dir = world.dir().display().to_string();
    assert!(error.starts_with("cannot make") && error.contains(&dir), "{error}");
    assert!(error.contains("ead-only file system"), "{error}");
    assert_eq!(std::fs::read_dir(world.dir()).unwrap().count(), 0);
}
