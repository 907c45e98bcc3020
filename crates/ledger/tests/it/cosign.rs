//! Cosignatures on checkpoints: where they show, and where they must not.

use std::sync::Arc;

use ledger::Ledger;
use proof::{
    checkpoint::Checkpoint,
    cosignature::{Algorithm, CosignerSecret},
    note::{Note, NoteSignature, SignerKey, VerifierKey},
    receipt::Receipt,
    tree::{Frontier, leaf_hash, verify_consistency, verify_subtree_consistency},
};

use crate::world::{ORIGIN, World, put, until};

fn witness(name: &str) -> CosignerSecret {
    CosignerSecret::from_seed(name, Algorithm::Ed25519, &[name.len() as u8; 32]).unwrap()
}

/// Waits until a checkpoint covers `size` entries; returns it.
fn signed(ledger: &Ledger, size: u64) -> (Arc<str>, Checkpoint) {
    until("a checkpoint is signed", || ledger.health().checkpoint >= size);
    let note = ledger.checkpoint().unwrap();
    let key: VerifierKey = ledger.verifier_key().parse().unwrap();
    let checkpoint = Checkpoint::open(note.as_bytes(), ORIGIN, &[key]).unwrap();
    (note, checkpoint)
}

fn signature(name: &str, checkpoint: &Checkpoint, time: u64) -> NoteSignature {
    witness(name).cosign(checkpoint, time).unwrap()
}

/// Who signed a note, in order.
fn names(note: &str) -> Vec<String> {
    Note::parse(note.as_bytes()).unwrap().signatures().iter().map(|signature| signature.name.clone()).collect()
}

fn receipt_names(ledger: &Ledger, index: u64) -> Vec<String> {
    names(&Receipt::parse(&ledger.receipt(index).unwrap().proof).unwrap().checkpoint)
}

#[test]
fn cosignatures_show_in_the_checkpoint_and_in_receipts_and_outlive_a_restart() {
    let world = World::new();
    let ledger = world.open();
    let index = put(&ledger, "one");
    let (note, checkpoint) = signed(&ledger, index + 1);
    assert_eq!(receipt_names(&ledger, index), [ORIGIN]);
    ledger.cosign(&note, &[signature("w.example", &checkpoint, 5)]).unwrap();
    ledger.cosign(&note, &[signature("mirror.example", &checkpoint, 5)]).unwrap();
    let all = [ORIGIN, "w.example", "mirror.example"];
    assert_eq!(receipt_names(&ledger, index), all);
    assert_eq!(names(&ledger.checkpoint().unwrap()), all);
    let reader = world.reader();
    assert_eq!(reader.checkpoint().unwrap(), reader.cosigned().unwrap());
    assert_eq!(names(&reader.cosigned().unwrap().unwrap()), all);
    drop(ledger);
    let ledger = world.open();
    assert_eq!(receipt_names(&ledger, index), all);
    assert_eq!(names(&Receipt::parse(&world.reader().receipt(index).unwrap().proof).unwrap().checkpoint), all);
}

#[test]
fn cosignatures_that_come_late_do_not_take_the_place_of_a_larger_checkpoint() {
    let world = World::new();
    let ledger = world.open();
    let first = put(&ledger, "one");
    let (old, checkpoint) = signed(&ledger, first + 1);
    let second = put(&ledger, "two");
    let (latest, newer) = signed(&ledger, second + 1);
    ledger.cosign(&old, &[signature("w.example", &checkpoint, 5)]).unwrap();
    assert_eq!(ledger.checkpoint().unwrap(), latest);
    assert_eq!(world.reader().checkpoint().unwrap().as_deref(), Some(latest.as_ref()));
    assert_eq!(receipt_names(&ledger, first), [ORIGIN, "w.example"]);
    assert_eq!(receipt_names(&ledger, second), [ORIGIN]);
    // Once the larger one is cosigned, the smaller one is not any more.
    ledger.cosign(&latest, &[signature("w.example", &newer, 6)]).unwrap();
    ledger.cosign(&old, &[signature("late.example", &checkpoint, 7)]).unwrap();
    assert_eq!(receipt_names(&ledger, first), [ORIGIN, "w.example"]);
    assert_eq!(receipt_names(&ledger, second), [ORIGIN, "w.example"]);
}

#[test]
fn a_cosignature_made_anew_takes_the_place_of_the_earlier_one_of_its_key() {
    let world = World::new();
    let ledger = world.open();
    let index = put(&ledger, "one");
    let (note, checkpoint) = signed(&ledger, index + 1);
    for time in [5, 6, 7] {
        ledger.cosign(&note, &[signature("w.example", &checkpoint, time)]).unwrap();
    }
    let published = Note::parse(ledger.checkpoint().unwrap().as_bytes()).unwrap();
    assert_eq!(published.signatures().len(), 2);
    assert_eq!(published.signatures()[1].bytes[..8], 7_u64.to_be_bytes());
}

#[test]
fn a_checkpoint_of_another_key_is_not_published() {
    let world = World::new();
    let ledger = world.open();
    let index = put(&ledger, "one");
    let (_, checkpoint) = signed(&ledger, index + 1);
    let forged =
        Checkpoint { size: 1_000, ..checkpoint }.sign(&SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap()).unwrap();
    assert!(ledger.cosign(&forged, &[]).is_err());
    assert_eq!(world.reader().cosigned().unwrap(), None);
}

#[test]
fn what_witnesses_and_mirrors_ask_for_can_be_proved_at_every_size() {
    let world = World::new();
    let ledger = world.open();
    let last = (0..600).fold(0, |_, n| put(&ledger, &format!("{n}")));
    let (_, checkpoint) = signed(&ledger, last + 1);
    let reader = world.reader();
    let leaves: Vec<Vec<u8>> = reader.entries(0).unwrap().map(|stored| stored.unwrap().leaf).collect();
    let root = |from: usize, to: usize| {
        let mut tree = Frontier::new();
        leaves[from..to].iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        tree.root()
    };
    let size = checkpoint.size;
    for from in [1, 2, 255, 256, 257, 600] {
        let proof = reader.consistency(from, size).unwrap();
        verify_consistency(from, size, &proof, &root(0, from as usize), &checkpoint.root).unwrap();
    }
    for (start, end) in [(0, 256), (3, 256), (256, 257), (300, 512), (512, size)] {
        let (entries, proof) = reader.package(start..end, size).unwrap();
        assert_eq!(entries, leaves[start as usize..end as usize]);
        let aligned = start - start % 256;
        let subroot = root(aligned as usize, end as usize);
        verify_subtree_consistency(aligned, end, size, &proof, &subroot, &checkpoint.root).unwrap();
    }
    assert!(reader.package(512..size + 1, size).is_err());
}
