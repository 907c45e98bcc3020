//! Whatever is changed in a bundle after it was signed is noticed, also by someone who makes the manifest fit.

use std::{fs, path::Path};

use proof::{
    bundle::{BundleEntry, FileDigest, Manifest},
    commit::Openings,
    entry::{Entry, Kind},
    note::SignerKey,
};
use tempfile::TempDir;

use crate::world::{Log, ORIGIN, export, key, signed, verified, write};

/// A log without decisions, so that it can be checked thousands of times.
fn small_log() -> Log {
    let mut log = Log::begun();
    log.put(Entry::new(Kind::Registry), br#"{"person":"ada"}"#);
    log.put(Entry::new(Kind::Admin), b"");
    log.stop();
    log
}

fn small_bundle() -> TempDir {
    let dir = TempDir::new().unwrap();
    export(dir.path(), &small_log().entries());
    assert!(verified(dir.path()).holds());
    dir
}

/// Writes the manifest that fits the files, as whoever changes them would.
fn refit(dir: &Path) {
    let text = fs::read_to_string(dir.join("manifest.json")).unwrap();
    let digest = |name: &str| FileDigest::of(&fs::read(dir.join(name)).unwrap());
    let manifest = Manifest {
        checkpoint: digest("checkpoint"),
        key: digest("log.vkey"),
        entries: digest("entries"),
        ..Manifest::parse(&text).unwrap()
    };
    fs::write(dir.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
}

/// Checks the bundle with each byte of a file changed in turn.
fn each_changed_byte(name: &str, fitting: bool, noticed: impl Fn(usize, bool)) {
    let dir = small_bundle();
    let path = dir.path().join(name);
    let manifest = fs::read(dir.path().join("manifest.json")).unwrap();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        if fitting {
            refit(dir.path());
        }
        noticed(at, !verified(dir.path()).holds());
    }
    fs::write(&path, good).unwrap();
    fs::write(dir.path().join("manifest.json"), manifest).unwrap();
    assert!(verified(dir.path()).holds());
}

#[test]
fn every_changed_byte_of_every_file_is_noticed() {
    for name in ["manifest.json", "checkpoint", "log.vkey", "entries"] {
        each_changed_byte(name, false, |at, noticed| assert!(noticed, "byte {at} of {name}"));
    }
}

#[test]
fn every_changed_byte_is_noticed_also_under_a_manifest_that_fits() {
    for name in ["checkpoint", "entries"] {
        each_changed_byte(name, true, |at, noticed| assert!(noticed, "byte {at} of {name}"));
    }
}

/// Changes the entries, numbers them again, and writes a bundle around them with the checkpoint of the true ones.
fn rewritten(change: impl FnOnce(&mut Vec<BundleEntry>)) -> bool {
    let mut entries = small_log().entries();
    let checkpoint = signed(&entries, &key());
    change(&mut entries);
    for (index, entry) in (0..).zip(&mut entries) {
        entry.index = index;
    }
    let dir = TempDir::new().unwrap();
    write(dir.path(), &checkpoint, &key().verifier(), &entries);
    verified(dir.path()).holds()
}

#[test]
fn entries_that_are_dropped_added_or_swapped_are_noticed() {
    assert!(rewritten(|_| ()));
    assert!(!rewritten(|entries| drop(entries.pop())));
    assert!(!rewritten(|entries| drop(entries.remove(2))));
    assert!(!rewritten(|entries| entries.push(entries[3].clone())));
    assert!(!rewritten(|entries| entries.swap(2, 3)));
    assert!(!rewritten(|entries| entries.clear()));
}

#[test]
fn entries_under_another_index_are_noticed() {
    let mut entries = small_log().entries();
    let checkpoint = signed(&entries, &key());
    entries.iter_mut().skip(3).for_each(|entry| entry.index += 1);
    let dir = TempDir::new().unwrap();
    write(dir.path(), &checkpoint, &key().verifier(), &entries);
    assert_eq!(verified(dir.path()).faults[0].to_string(), "entry 3: the bundle says that it is entry 4");
}

#[test]
fn private_parts_that_are_swapped_or_withheld_are_noticed() {
    assert!(!rewritten(|entries| entries[2].fields = entries[3].fields.clone()));
    assert!(!rewritten(|entries| entries[2].fields = Openings::default()));
}

#[test]
fn a_log_that_another_key_signed_whole_is_noticed_by_the_pinned_key() {
    let entries = small_log().entries();
    let forger = SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap();
    let dir = TempDir::new().unwrap();
    write(dir.path(), &signed(&entries, &forger), &forger.verifier(), &entries);
    assert!(!verified(dir.path()).holds());
}

#[test]
fn files_that_are_cut_short_or_grown_are_noticed() {
    for name in ["manifest.json", "checkpoint", "log.vkey", "entries"] {
        let dir = small_bundle();
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        for length in [0, 1, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            assert!(!verified(dir.path()).holds(), "{name} cut to {length}");
        }
        fs::write(&path, [good.as_slice(), b"\n"].concat()).unwrap();
        assert!(!verified(dir.path()).holds(), "{name} with a line more");
    }
}
