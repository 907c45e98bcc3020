//! The head log: every shard is in it, from its opening to its close, and nothing that contradicts what it was.

use std::{path::Path, sync::Arc, time::Duration};

use ledger::{Draft, Ledger, Options, Reader};
use proof::{
    entry::{Entry, Kind},
    note::VerifierKey,
    shard::{ShardEvent, ShardProof},
};
use terms::SystemClock;
use witness::{HeadLog, HeadLogError, Shard, prove_shard};

fn open(dir: &Path, origin: &str) -> Ledger {
    let options = Options {
        origin: origin.to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(10),
        heads_every: Duration::from_secs(3_600),
    };
    Ledger::open(dir, options, Arc::new(SystemClock::default())).unwrap().0
}

/// Opens a log, appends so many entries, and closes it, so that all of it is signed.
fn grow(dir: &Path, origin: &str, count: usize) -> Shard {
    let ledger = open(dir, origin);
    for _ in 0..count {
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some("test.note".to_owned());
        let _recorded = ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap();
    }
    let key = ledger.verifier_key().parse().unwrap();
    ledger.stop().unwrap();
    Shard { key, dir: dir.join("log") }
}

fn head(dir: &Path, shards: &[&Shard]) -> (Ledger, HeadLog) {
    let ledger = open(dir, "log.example/heads");
    let head = HeadLog::open(ledger.clone(), shards.iter().map(|shard| (*shard).clone()).collect()).unwrap();
    (ledger, head)
}

/// What the head log says of a shard of at least so many entries.
fn covered(dir: &Path, shard: &Shard, entries: u64) -> (ShardEvent, u64) {
    let reader = Reader::open(dir).unwrap();
    let proof = prove_shard(&reader, shard.key.name(), entries).unwrap();
    let key: VerifierKey = reader.verifier_key().unwrap().parse().unwrap();
    let read = ShardProof::parse(&proof.to_string()).unwrap();
    let covered = read.verify(&key, &shard.key).unwrap();
    (covered.event, covered.checkpoint.size)
}

#[test]
fn every_checkpoint_of_every_shard_is_covered_from_its_opening_to_its_close() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let one = grow(&at("one"), "log.example/1", 10);
    let two = grow(&at("two"), "log.example/2", 20);
    let (ledger, mut log) = head(&at("head"), &[&one, &two]);
    assert_eq!(log.observe().0, 2);
    assert_eq!(log.observe().0, 0);
    grow(&at("two"), "log.example/2", 300);
    assert_eq!(log.observe().0, 1);
    drop(log);
    ledger.stop().unwrap();
    drop(ledger);
    assert_eq!(covered(&at("head"), &one, 0).0, ShardEvent::Open);
    assert_eq!(covered(&at("head"), &two, 20).0, ShardEvent::Open);
    let (event, size) = covered(&at("head"), &two, 300);
    assert!(event == ShardEvent::Checkpoint && size > 320);
    let more = prove_shard(&Reader::open(&at("head")).unwrap(), "log.example/2", 10_000);
    assert!(matches!(more, Err(HeadLogError::Unknown(_))));
    // Taken up again, the head log knows where it was; a shard that is named no longer is closed, once.
    for entries in [1, 0] {
        let (ledger, mut log) = head(&at("head"), &[&two]);
        assert_eq!(log.observe().0, 0);
        let closes = ledger.reader().entries(0).unwrap().map(|stored| Entry::decode(&stored.unwrap().leaf).unwrap());
        assert_eq!(closes.filter(|entry| ShardEvent::of(entry) == Some(ShardEvent::Close)).count(), 1, "{entries}");
        drop(log);
        ledger.stop().unwrap();
    }
}

#[test]
fn a_shard_that_forked_or_shrank_is_not_recorded_and_the_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut one = grow(&at("one"), "log.example/1", 300);
    let two = grow(&at("two"), "log.example/2", 5);
    let (ledger, mut log) = head(&at("head"), &[&one, &two]);
    assert_eq!(log.observe().0, 2);
    drop(log);
    ledger.stop().unwrap();
    drop(ledger);
    // The same key signs another, longer history.
    std::fs::create_dir_all(at("fork")).unwrap();
    std::fs::copy(at("one/key"), at("fork/key")).unwrap();
    one.dir = grow(&at("fork"), "log.example/1", 400).dir;
    let (ledger, mut log) = head(&at("head"), &[&one, &two]);
    grow(&at("two"), "log.example/2", 5);
    let (recorded, faults) = log.observe();
    assert_eq!(recorded, 1);
    assert!(
        matches!(&faults[..], [HeadLogError::Contradicted { origin, .. }] if origin == "log.example/1"),
        "{faults:?}"
    );
    // And a shorter one; and one that is not there.
    std::fs::remove_dir_all(at("fork")).unwrap();
    std::fs::create_dir_all(at("fork")).unwrap();
    std::fs::copy(at("one/key"), at("fork/key")).unwrap();
    grow(&at("fork"), "log.example/1", 3);
    assert!(matches!(&log.observe().1[..], [HeadLogError::Contradicted { .. }]));
    std::fs::remove_dir_all(at("fork")).unwrap();
    assert!(matches!(&log.observe().1[..], [HeadLogError::Read { .. }]));
    drop(log);
    ledger.stop().unwrap();
}
