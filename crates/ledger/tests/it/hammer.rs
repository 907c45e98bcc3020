//! Writers, readers of everything and readers at random at once, each of which checks all it sees. After the `hammer` of
//! Tessera.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ledger::{Ledger, Reader};
use proof::{
    checkpoint::Checkpoint,
    note::VerifierKey,
    receipt::Receipt,
    tree::{Frontier, leaf_hash, prove_consistency, verify_consistency},
};

use crate::{
    faults::{Faulty, open, quick},
    fsck::fsck,
    power::Random,
    world::{ORIGIN, submit},
};

const WRITERS: usize = 4;
const FULL_READERS: usize = 2;
const RANDOM_READERS: usize = 3;
/// What each writer writes.
const EACH: usize = 400;
/// What each reader checks at least before it ends: whole logs, or receipts.
const WHOLE: usize = 10;
const RECEIPTS: usize = 300;

/// What everybody knows.
struct Hammer {
    ledger: Ledger,
    reader: Reader,
    key: VerifierKey,
    /// What was acknowledged.
    written: Mutex<BTreeMap<u64, String>>,
    writing: AtomicUsize,
}

impl Hammer {
    fn write(&self, writer: usize) {
        for n in 0..EACH {
            let text = format!("{writer} {n}");
            let index = submit(&self.ledger, &text).wait().unwrap().index();
            assert!(self.written.lock().unwrap().insert(index, text).is_none(), "entry {index} is two");
        }
        self.writing.fetch_sub(1, Ordering::SeqCst);
    }

    fn goes_on(&self, done: usize, goal: usize) -> bool {
        done < goal || self.writing.load(Ordering::SeqCst) > 0
    }

    fn checkpoint(&self) -> Checkpoint {
        let text = self.reader.checkpoint().unwrap().unwrap();
        Checkpoint::open(text.as_bytes(), ORIGIN, std::slice::from_ref(&self.key)).unwrap()
    }

    /// Reads the whole log again and again: each checkpoint has the root of the entries, and the one before is part of it.
    fn read_all(&self) -> usize {
        let (mut before, mut done) = (None::<Checkpoint>, 0);
        while self.goes_on(done, WHOLE) {
            let now = self.checkpoint();
            let mut tree = Frontier::new();
            let entries = self.reader.entries(0).unwrap();
            let entries = entries.take(usize::try_from(now.size).unwrap());
            entries.for_each(|entry| tree.push(leaf_hash(&entry.unwrap().leaf)));
            assert_eq!((tree.size(), tree.root()), (now.size, now.root));
            if let Some(before) = before.filter(|before| before.size > 0) {
                self.check_consistent(&before, &now);
            }
            before = Some(now);
            done += 1;
        }
        done
    }

    fn check_consistent(&self, before: &Checkpoint, now: &Checkpoint) {
        assert!(now.size >= before.size, "{} after {}", now.size, before.size);
        let proof = prove_consistency(&self.reader.hashes(now.size), before.size, now.size).unwrap();
        verify_consistency(before.size, now.size, &proof, &before.root, &now.root).unwrap();
    }

    /// Asks for receipts at random, and holds the checkpoint of each against the one before.
    fn read_at_random(&self, seed: u64) -> usize {
        let (mut random, mut before, mut done) = (Random(seed), None::<Checkpoint>, 0);
        while self.goes_on(done, RECEIPTS) {
            let size = usize::try_from(self.checkpoint().size).unwrap();
            if size == 0 {
                continue;
            }
            let index = random.below(size) as u64;
            let receipt = self.reader.receipt(index).unwrap();
            let proof = Receipt::parse(&receipt.proof).unwrap();
            let now = proof.verify(&receipt.leaf, ORIGIN, std::slice::from_ref(&self.key)).unwrap();
            let stored = self.ledger.stored(index).unwrap();
            assert_eq!(stored.leaf, receipt.leaf);
            if let Some(text) = self.written.lock().unwrap().get(&index) {
                assert_eq!(stored.main(), Some(text.as_bytes()));
            }
            if let Some(before) = before.filter(|before| before.size > 0) {
                self.check_consistent(&before, &now);
            }
            before = Some(now);
            done += 1;
        }
        done
    }
}

#[test]
fn hammer() {
    let world = quick();
    let ledger = open(&world, &Faulty::new(|_, _, _| None)).unwrap();
    let key = ledger.verifier_key().parse().unwrap();
    let (written, writing) = (Mutex::default(), AtomicUsize::new(WRITERS));
    let hammer = Hammer { ledger, reader: world.reader(), key, written, writing };
    std::thread::scope(|scope| {
        let hammer = &hammer;
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || hammer.write(writer))));
        let full: Vec<_> = (0..FULL_READERS).map(|_| scope.spawn(|| hammer.read_all())).collect();
        let random: Vec<_> =
            (1..=RANDOM_READERS as u64).map(|n| scope.spawn(move || hammer.read_at_random(n))).collect();
        let full: usize = full.into_iter().map(|reader| reader.join().unwrap()).sum();
        let random: usize = random.into_iter().map(|reader| reader.join().unwrap()).sum();
        println!("read {full} whole logs and {random} receipts");
    });
    hammer.ledger.stop().unwrap();
    let written = hammer.written.into_inner().unwrap();
    assert_eq!(written.len(), WRITERS * EACH);
    let entries: Vec<_> = hammer.reader.entries(0).unwrap().map(Result::unwrap).collect();
    for (index, text) in written {
        assert_eq!(entries[usize::try_from(index).unwrap()].main(), Some(text.as_bytes()));
    }
    assert_eq!(fsck(world.dir()), Ok(entries.len() as u64));
}
