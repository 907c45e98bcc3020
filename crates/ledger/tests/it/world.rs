//! A log in a directory of its own, and short ways to say what a test does with it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Draft, Ledger, OpenError, Options, Pending, Reader, Recovery, Stored, Unavailable};
use proof::entry::{Class, Entry, Kind, Outcome};
use terms::{Clock, ManualClock, Moment};

pub(crate) const ORIGIN: &str = "log.larkspur.example/exeat/1";

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: Options,
}

impl World {
    pub(crate) fn new() -> Self {
        let start = Moment::parse("2026-06-12T21:21:00Z").unwrap();
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(start)), options: options() }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }

    pub(crate) fn try_open(&self) -> Result<(Ledger, Recovery), OpenError> {
        Ledger::open(self.dir(), self.options.clone(), self.clock())
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open().unwrap().0
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(self.dir()).unwrap()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entries = self.reader().entries(0).unwrap();
        entries.map(|stored| decode(&stored.unwrap())).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.entries().iter().map(|entry| entry.kind).collect()
    }

    /// The last segment.
    pub(crate) fn segment(&self) -> PathBuf {
        segments(self.dir()).pop().unwrap()
    }
}

pub(crate) fn options() -> Options {
    Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 128 << 10,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    }
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir.join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

pub(crate) fn decode(stored: &Stored) -> Entry {
    Entry::decode(&stored.leaf).unwrap()
}

pub(crate) fn note(text: &str) -> Draft {
    let mut entry = Entry::new(Kind::Admin);
    entry.code = Some("test.note".to_owned());
    Draft::new(entry, text.as_bytes().to_vec())
}

pub(crate) fn opening(ledger: &Ledger, call: u8) -> Draft {
    let mut entry = Entry::new(Kind::Open);
    entry.call = Some([call; 16]);
    entry.subject = Some(ledger.pseudonym("ada"));
    entry.model = Some("mythos-5".to_owned());
    entry.lease = Some(256);
    Draft::new(entry, "{}")
        .on([ledger.chain(Class::Subject, "ada"), ledger.chain(Class::Model, "model:mythos-5")].into())
}

pub(crate) fn closing(call: u8, opened: u64) -> Draft {
    let mut entry = Entry::new(Kind::Close);
    entry.call = Some([call; 16]);
    entry.opened = Some(opened);
    entry.outcome = Some(Outcome::Completed);
    Draft::new(entry, "")
}

pub(crate) fn put(ledger: &Ledger, text: &str) -> u64 {
    ledger.append(note(text)).unwrap().wait().unwrap().index()
}

/// Submits a note, waiting where the queue is full.
pub(crate) fn submit(ledger: &Ledger, text: &str) -> Pending<()> {
    let mut pending = None;
    until("the queue takes it", || {
        pending = match ledger.append(note(text)) {
            Err(Unavailable::Full) => None,
            taken => Some(taken.unwrap()),
        };
        pending.is_some()
    });
    pending.unwrap()
}

/// Waits, at most ten seconds, until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    let mut pause = Duration::from_micros(20);
    while begin.elapsed() < Duration::from_secs(10) {
        if holds() {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    panic!("it did not happen that {what}");
}

pub(crate) fn refusal<T>(submitted: Result<Pending<T>, Unavailable>) -> Unavailable {
    submitted.map(|pending| pending.index()).unwrap_err()
}
