//! What the real ledger writes, exported and checked.

use std::{path::Path, sync::Arc, time::Duration};

use ledger::{Chain, Draft, Ledger, Options, Reader};
use proof::{
    bundle::BundleEntry,
    entry::{Class, Entry, Kind, Outcome},
    note::VerifierKey,
};
use tempfile::TempDir;
use terms::{ManualClock, Moment};
use verifier::{BundleSource, Report, verify_bundle, verify_receipt, write_bundle};

use crate::world::{self, BEGAN_MS, Log, ORIGIN, facts, snapshot};

fn open(dir: &Path, clock: &Arc<ManualClock>) -> Ledger {
    let options = Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 64,
        checkpoint_every: Duration::from_millis(10),
        heads_every: Duration::from_secs(3_600),
    };
    Ledger::open(dir, options, clock.clone()).unwrap().0
}

fn append(ledger: &Ledger, told: &world::Draft) -> u64 {
    let draft = Draft::new(told.entry.clone(), told.private.clone()).on(chains(ledger, &told.entry));
    ledger.append(draft).unwrap().wait().unwrap().index()
}

/// The chains of an entry about a call of the one caller there is.
fn chains(ledger: &Ledger, entry: &Entry) -> Arc<[Chain]> {
    let Some((id, model)) = entry.subject.zip(entry.model.as_ref()) else {
        return Arc::default();
    };
    let subject = Chain { class: Class::Subject, id };
    let key = ledger.chain(Class::Key, "key:key-1");
    [subject, key, ledger.chain(Class::Model, &format!("model:{model}"))].into()
}

/// Tells the ledger a snapshot, a call that is served, a refusal, and a call that is not closed.
fn tell(ledger: &Ledger, clock: &ManualClock) {
    let mut log = Log::begun();
    let snapshot = snapshot(1);
    log.enact(&snapshot);
    let served = log.ask(&snapshot, &facts(BEGAN_MS, "ember-2"), 1);
    log.ask(&snapshot, &facts(BEGAN_MS, "mythos-5"), 2);
    log.close(served, Outcome::Completed);
    log.ask(&snapshot, &facts(BEGAN_MS, "ember-2"), 3);
    for told in &log.drafts[2..] {
        append(ledger, told);
        clock.advance(Duration::from_millis(5));
    }
}

fn export(reader: &Reader, out: &Path) -> Report {
    let checkpoint = reader.checkpoint().unwrap().unwrap();
    let size = reader.checkpoint_size().unwrap();
    let key = reader.verifier_key().unwrap();
    let source = BundleSource { origin: ORIGIN, key: &key, checkpoint: &checkpoint };
    let covered = reader.entries(0).unwrap().map(Result::unwrap).filter(|stored| stored.index < size);
    let entries = covered.map(|stored| {
        let fields = stored.private.openings().cloned().unwrap_or_default();
        Ok(BundleEntry { index: stored.index, leaf: stored.leaf, fields })
    });
    write_bundle(out, &source, entries).unwrap();
    let options = verifier::Options { key: Some(key.parse().unwrap()), ..verifier::Options::default() };
    verify_bundle(out, &options, &mut ()).unwrap()
}

#[test]
fn a_ledger_that_crashed_and_was_stopped_later_holds_and_its_receipts_too() {
    let (home, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = Arc::new(ManualClock::at(Moment::from_millis(i64::try_from(BEGAN_MS).unwrap())));
    let crashed = open(home.path(), &clock);
    tell(&crashed, &clock);
    // Not stopped: the next process finds an open call and says so.
    drop(crashed);
    let ledger = open(home.path(), &clock);
    ledger.stop().unwrap();
    let reader = Reader::open(home.path()).unwrap();
    let report = export(&reader, out.path());
    assert!(report.holds(), "{report}");
    assert_eq!((report.unclean_starts, report.open_calls, report.outcomes["interrupted"]), (1, 0, 1));
    assert_eq!((report.replays.permits, report.replays.refusals), (2, 1));
    assert_eq!((report.kinds["genesis"], report.kinds["start"], report.kinds["stop"]), (1, 2, 1));

    let key: VerifierKey = reader.verifier_key().unwrap().parse().unwrap();
    for index in 0..report.size {
        let receipt = reader.receipt(index).unwrap();
        let proved = verify_receipt(&receipt.leaf, &receipt.proof, &key).unwrap();
        assert_eq!(proved.0, index);
    }
}

#[test]
fn a_ledger_that_is_told_a_false_permit_is_found_out() {
    let (home, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = Arc::new(ManualClock::at(Moment::from_millis(i64::try_from(BEGAN_MS).unwrap())));
    let ledger = open(home.path(), &clock);
    let mut log = Log::begun();
    let snapshot = snapshot(1);
    log.enact(&snapshot);
    log.ask(&snapshot, &facts(BEGAN_MS, "mythos-5"), 1);
    log.drafts[3].entry.kind = Kind::Open;
    append(&ledger, &log.drafts[2]);
    let index = append(&ledger, &log.drafts[3]);
    ledger.stop().unwrap();
    let report = export(&Reader::open(home.path()).unwrap(), out.path());
    assert_eq!((report.fault_count, report.faults[0].index), (1, Some(index)), "{report}");
    assert!(report.faults[0].why.contains("deciding again refuses"));
}
