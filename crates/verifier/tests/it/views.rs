//! Two auditors who were shown two histories of one log can prove it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ledger::{Draft, Ledger, Options, Reader};
use proof::{
    bundle::BundleEntry,
    entry::{Entry, Kind},
    equivocation::Equivocation,
    note::VerifierKey,
};
use terms::{ManualClock, Moment};
use verifier::{BundleSource, CompareError, Compared, compare, write_bundle};

use crate::world::ORIGIN;

fn open(dir: &Path) -> Ledger {
    let options = Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(10),
        heads_every: Duration::from_secs(3_600),
    };
    let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:00Z").unwrap()));
    Ledger::open(dir, options, clock).unwrap().0
}

/// Appends so many entries of this code and closes the log.
fn grow(dir: &Path, code: &str, count: usize) {
    let ledger = open(dir);
    for _ in 0..count {
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some(code.to_owned());
        let _recorded = ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap();
    }
    ledger.stop().unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A log of which a copy was taken early; both went on, each in its own way.
struct Forked {
    _dir: tempfile::TempDir,
    early: PathBuf,
    one: PathBuf,
    other: PathBuf,
    key: VerifierKey,
}

impl Forked {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (early, one, other) = (path("early"), path("one"), path("other"));
        grow(&one, "test.before", 300);
        copy(&one, &early);
        copy(&one, &other);
        grow(&one, "test.one", 40);
        grow(&other, "test.other", 500);
        let key = Reader::open(&one).unwrap().verifier_key().unwrap().parse().unwrap();
        let public = |path: PathBuf| path.join("log");
        Self { early: public(early), one: public(one), other: public(other), key, _dir: dir }
    }

    fn compare(&self, one: &Path, other: &Path) -> Compared {
        compare(one, other, &self.key).unwrap()
    }
}

fn proved(compared: Compared, key: &VerifierKey) -> (u64, u64) {
    let Compared::Equivocation(proof) = compared else { panic!("they agree") };
    let read = Equivocation::parse(&proof.to_string()).unwrap();
    let (smaller, larger) = read.verify(key.name(), std::slice::from_ref(key)).unwrap();
    (smaller.size, larger.size)
}

#[test]
fn a_log_that_only_grew_is_consistent_with_what_it_was() {
    let forked = Forked::new();
    for later in [&forked.one, &forked.other] {
        for (one, other) in [(&forked.early, later), (later, &forked.early)] {
            let Compared::Consistent(smaller, larger) = forked.compare(one, other) else { panic!("they differ") };
            assert!(smaller > 300 && larger > smaller);
        }
    }
}

#[test]
fn two_histories_of_one_log_are_proved_from_its_tiles() {
    let forked = Forked::new();
    let (smaller, larger) = proved(forked.compare(&forked.one, &forked.other), &forked.key);
    assert!(smaller > 340 && larger > smaller + 400);
    // The checkpoint of the smaller is enough.
    let checkpoint = forked.one.join("checkpoint");
    assert_eq!(proved(forked.compare(&forked.other, &checkpoint), &forked.key), (smaller, larger));
    let alone = compare(&forked.one, &forked.other.join("checkpoint"), &forked.key);
    assert!(matches!(alone, Err(CompareError::Alone(_))));
}

#[test]
fn a_bundle_serves_as_well_as_tiles() {
    let forked = Forked::new();
    let log = forked.other.parent().unwrap();
    let out = log.join("bundle");
    std::fs::create_dir(&out).unwrap();
    let reader = Reader::open(log).unwrap();
    let checkpoint = reader.checkpoint().unwrap().unwrap();
    let key = forked.key.to_string();
    let source = BundleSource { origin: ORIGIN, key: &key, checkpoint: &checkpoint };
    let entries = reader.entries(0).unwrap().map(|stored| {
        let stored = stored.unwrap();
        let fields = stored.private.openings().cloned().unwrap_or_default();
        Ok(BundleEntry { index: stored.index, leaf: stored.leaf, fields })
    });
    write_bundle(&out, &source, entries).unwrap();
    proved(forked.compare(&forked.one, &out), &forked.key);
    assert!(matches!(forked.compare(&forked.early, &out), Compared::Consistent(..)));
    std::fs::write(out.join("entries"), b"exeat-entries/v2").unwrap();
    assert!(matches!(compare(&forked.early, &out, &forked.key), Err(CompareError::Damaged(_))));
}

#[test]
fn a_view_that_was_tampered_with_accuses_nobody() {
    let forked = Forked::new();
    let tile = forked.other.join("tile/0/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    let mut partial = std::fs::read_dir(forked.other.join("tile/1/000.p")).unwrap();
    let file = partial.next().unwrap().unwrap().path();
    std::fs::write(&file, vec![7; std::fs::read(&file).unwrap().len()]).unwrap();
    assert!(matches!(compare(&forked.one, &forked.other, &forked.key), Err(CompareError::Damaged(_))));
    let stranger = proof::note::SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap().verifier();
    assert!(matches!(compare(&forked.one, &forked.other, &stranger), Err(CompareError::Checkpoint(..))));
}
