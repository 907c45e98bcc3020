//! All leaves of a log, walked without any private part.

use std::{fs, path::Path, sync::Arc, time::Duration};

use ledger::{Draft, Ledger, Options, Reader};
use proof::{
    bundle::BundleEntry,
    entry::{Entry, Kind},
    heads::Heads,
    tile::{TileKind, TilePath, encode_entries},
};
use tempfile::TempDir;
use terms::{ManualClock, Moment};
use verifier::{LeavesReport, verify_leaves};

use crate::world::{Log, ORIGIN, full_log, key, signed};

/// Writes what a mirror keeps of a log of at most 256 entries.
fn mirror(dir: &Path, entries: &[BundleEntry]) {
    let leaves: Vec<&[u8]> = entries.iter().map(|entry| entry.leaf.as_slice()).collect();
    let width = u16::try_from(leaves.len()).unwrap();
    let tile = dir.join(TilePath::new(TileKind::Entries, 0, width).unwrap().to_string());
    fs::create_dir_all(tile.parent().unwrap()).unwrap();
    fs::write(tile, encode_entries(&leaves).unwrap()).unwrap();
    fs::write(dir.join("checkpoint"), signed(entries, &key())).unwrap();
}

fn walked(log: &Log) -> LeavesReport {
    let dir = TempDir::new().unwrap();
    mirror(dir.path(), &log.entries());
    verify_leaves(dir.path(), &key().verifier(), &mut ()).unwrap()
}

/// Says what is wrong, and where.
fn fault(report: &LeavesReport) -> (Option<u64>, &str) {
    assert!(!report.holds() && report.to_string().starts_with("DOES NOT HOLD"));
    report.found.faults.first().map(|fault| (fault.index, fault.why.as_str())).unwrap()
}

#[test]
fn the_leaves_of_a_true_log_hold_up_to_its_last_heads_entry() {
    let report = walked(&full_log());
    assert!(report.holds(), "{report}");
    assert_eq!((report.found.entries, report.found.chains, report.heads), (18, 5, Some(14)));
    assert_eq!((report.found.unclean_starts, report.found.open_calls), (1, 1));
    let text = report.to_string();
    assert!(text.starts_with("holds: the leaves of the log `log.example.com/exeat/1`, 18 of 18\n"), "{text}");
    assert!(text.contains("heads: true in every heads entry, the last of them entry 14\n"), "{text}");
    assert!(text.contains("not looked at: private parts"), "{text}");
}

#[test]
fn the_end_of_a_chain_that_a_heads_entry_hides_is_found_in_the_leaves() {
    let mut log = full_log();
    let mut before = Heads::new();
    let entries = log.entries();
    for entry in &entries[..9] {
        before.apply(entry.index, &Entry::decode(&entry.leaf).unwrap()).unwrap();
    }
    log.drafts[14].entry.root = Some(before.root());
    assert_eq!(fault(&walked(&log)), (Some(14), "the chains do not stand where it says"));
}

#[test]
fn a_chain_that_branches_and_a_process_that_was_not_started_are_found() {
    let mut forked = full_log();
    let entries = forked.entries();
    // The last call has the place in the chain of its subject that the first has.
    let mut branched = links(&entries[17]);
    branched[0] = links(&entries[3])[0];
    forked.drafts[17].entry.links = Some(branched);
    let report = walked(&forked);
    let (index, why) = fault(&report);
    assert!(index == Some(17) && why.contains("its link of class 1 says"), "{why}");
    let mut unstarted = full_log();
    unstarted.drafts[1].entry.kind = Kind::Registry;
    assert_eq!(fault(&walked(&unstarted)), (Some(1), "no process had the log open"));
}

fn links(entry: &BundleEntry) -> Vec<proof::entry::Link> {
    Entry::decode(&entry.leaf).unwrap().links.unwrap_or_default()
}

#[test]
fn leaves_that_are_not_those_of_the_checkpoint_do_not_hold() {
    let dir = TempDir::new().unwrap();
    mirror(dir.path(), &full_log().entries());
    let mut other = full_log();
    other.drafts[17].entry.requested = Some("assistant".to_owned());
    fs::write(dir.path().join("checkpoint"), signed(&other.entries(), &key())).unwrap();
    let verified = || verify_leaves(dir.path(), &key().verifier(), &mut ());
    assert_eq!(fault(&verified().unwrap()), (None, "the entries do not have the root that the log signed"));
    let stranger = proof::note::SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap().verifier();
    assert!(!verify_leaves(dir.path(), &stranger, &mut ()).unwrap().holds());
    fs::remove_file(dir.path().join("tile/entries/000.p/18")).unwrap();
    assert!(verified().unwrap_err().to_string().contains("tile/entries/000.p/18"));
}

#[test]
fn the_tiles_that_a_ledger_writes_are_walked_as_they_are() {
    let dir = TempDir::new().unwrap();
    let options = Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(10),
        heads_every: Duration::from_secs(3_600),
    };
    let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:00Z").unwrap()));
    let ledger = Ledger::open(dir.path(), options, clock).unwrap().0;
    for _ in 0..600 {
        let entry = Entry { code: Some("test.done".to_owned()), ..Entry::new(Kind::Admin) };
        let _recorded = ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap();
    }
    ledger.stop().unwrap();
    let key = Reader::open(dir.path()).unwrap().verifier_key().unwrap().parse().unwrap();
    let report = verify_leaves(&dir.path().join("log"), &key, &mut ()).unwrap();
    assert!(report.holds() && report.found.entries > 600 && report.heads.is_some(), "{report}");
}
