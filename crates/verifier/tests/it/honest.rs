//! What is true is found to hold, and counted.

use proof::{
    checkpoint::Checkpoint,
    commit::Openings,
    note::SignerKey,
    receipt::{BadReceipt, Receipt},
};
use tempfile::TempDir;
use verifier::{Options, Progress, verify_bundle, verify_receipt};

use crate::world::{self, Log, ORIGIN, export, facts, full_log, key, snapshot};

#[test]
fn a_true_log_holds_and_its_counts_are_told() {
    let report = full_log().verified();
    assert!(report.holds(), "{report}");
    assert_eq!((report.entries, report.open_calls, report.unclean_starts), (18, 1, 1));
    assert_eq!((report.kinds["open"], report.kinds["close"], report.kinds["refusal"]), (5, 4, 1));
    assert_eq!((report.outcomes["cut"], report.outcomes["interrupted"]), (2, 1));
    assert_eq!((report.tokens.output, report.tokens.unreported_calls), (60, 1));
    let replays = report.replays;
    assert_eq!((replays.permits, replays.refusals, replays.redecisions), (5, 1, 2));
    assert_eq!((replays.during_change, replays.cuts_without_decision, replays.not_possible), (1, 1, 0));
    assert_eq!((report.opened_commitments, report.withheld), (15, 0));
    assert_eq!((report.kinds["heads"], report.chains), (1, 5));
    assert!(report.key_pinned);
}

#[test]
fn the_bundles_own_key_is_used_with_a_warning_if_none_is_pinned() {
    let dir = TempDir::new().unwrap();
    export(dir.path(), &full_log().entries());
    let report = verify_bundle(dir.path(), &Options::default(), &mut ()).unwrap();
    assert!(report.holds() && !report.key_pinned);
    assert!(report.to_string().contains("NOT PINNED"));
}

#[test]
fn another_pinned_key_does_not_hold() {
    let dir = TempDir::new().unwrap();
    export(dir.path(), &full_log().entries());
    let stranger = SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap().verifier();
    let options = Options { key: Some(stranger), ..Options::default() };
    let report = verify_bundle(dir.path(), &options, &mut ()).unwrap();
    assert_eq!(report.faults[0].why, "no trusted key signed the note: pin the key it should be signed with");
}

#[test]
fn withheld_private_parts_are_faults_unless_the_auditor_allows_them() {
    let dir = TempDir::new().unwrap();
    let mut entries = full_log().entries();
    entries.iter_mut().for_each(|entry| entry.fields = Openings::default());
    export(dir.path(), &entries);
    let report = world::verified(dir.path());
    assert_eq!(report.fault_count, 15);
    assert_eq!(report.faults[3].to_string(), "entry 3: its private part is withheld");
    let options = Options { allow_withheld: true, ..world::pinned() };
    let report = verify_bundle(dir.path(), &options, &mut ()).unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!((report.withheld, report.replays.not_possible, report.replays.permits), (15, 8, 0));
}

#[test]
fn a_log_that_was_stopped_and_started_in_good_order_holds() {
    let mut log = Log::begun();
    log.stop();
    log.start(false, 0);
    log.stop();
    let report = log.verified();
    assert!(report.holds() && report.unclean_starts == 0, "{report}");
}

#[test]
fn a_remembered_decision_holds_as_long_as_its_permit_did() {
    let mut log = Log::begun();
    let snapshot = snapshot(1);
    log.enact(&snapshot);
    let decided_early = facts(log.now_ms() - 1_000_000, "ember-2");
    log.ask(&snapshot, &decided_early, 1);
    let report = log.verified();
    assert!(report.holds(), "{report}");
}

#[test]
fn a_receipt_proves_its_entry_under_the_key_and_no_other() {
    let entries = full_log().entries();
    let hashes: Vec<_> = entries.iter().map(|entry| proof::tree::leaf_hash(&entry.leaf)).collect();
    let hashes = proof::tree::prove_inclusion(&Hashes(&hashes), 3, hashes.len() as u64).unwrap();
    let checkpoint = world::signed(&entries, &key());
    let receipt = Receipt { extra: None, index: 3, hashes, checkpoint }.to_text();
    let verify = |n: usize, key: &SignerKey| verify_receipt(&entries[n].leaf, &receipt, &key.verifier());
    assert_eq!(verify(3, &key()).unwrap().0, 3);
    assert!(verify(4, &key()).is_err());
    assert!(verify(3, &SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap()).is_err());
}

#[test]
fn a_receipt_of_what_is_no_entry_proves_nothing() {
    let leaf = b"\0";
    let root = proof::tree::leaf_hash(leaf);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root }.sign(&key()).unwrap();
    let receipt = Receipt { extra: None, index: 0, hashes: Vec::new(), checkpoint }.to_text();
    let why = verify_receipt(leaf, &receipt, &key().verifier()).unwrap_err();
    assert!(matches!(why, BadReceipt::Entry(_)), "{why}");
}

/// The hashes of a log, for proofs of it.
pub(crate) struct Hashes<'a>(pub(crate) &'a [proof::tree::Hash]);

impl proof::tree::HashReader for Hashes<'_> {
    type Error = std::convert::Infallible;
    fn hash(&self, level: u8, index: u64) -> Result<proof::tree::Hash, Self::Error> {
        let start = usize::try_from(index << level).unwrap();
        Ok(proof::tile::perfect_root(&self.0[start..start + (1 << level)]).unwrap())
    }
}

#[test]
fn progress_is_told_for_every_entry() {
    struct Count(Vec<(u64, u64)>);
    impl Progress for Count {
        fn entries(&mut self, done: u64, total: u64) {
            self.0.push((done, total));
        }
    }
    let dir = TempDir::new().unwrap();
    export(dir.path(), &Log::begun().entries());
    let mut count = Count(Vec::new());
    verify_bundle(dir.path(), &world::pinned(), &mut count).unwrap();
    assert_eq!(count.0, [(1, 2), (2, 2)]);
}

#[test]
fn a_missing_file_is_an_error_and_not_a_verdict() {
    let dir = TempDir::new().unwrap();
    export(dir.path(), &Log::begun().entries());
    std::fs::remove_file(dir.path().join("entries")).unwrap();
    let error = verify_bundle(dir.path(), &world::pinned(), &mut ()).unwrap_err();
    assert!(error.path.ends_with("entries"));
}
