//! How many bytes a proof takes out of a log of 2^30 entries.

use std::convert::Infallible;

use proof::{
    checkpoint::Checkpoint,
    cosignature::{self, Algorithm, CosignerSecret},
    entry::{Class, Entry, Kind, Link},
    heads::{Chain, Heads},
    multi::{MultiproofReader, write_multiproof},
    note::{Note, SignerKey},
    production::{HeadsFile, HourSums, Span, Standing, SumsFile},
    receipt::Receipt,
    sums::{Counted, SumProof, sum_root},
    tree::{Hash, HashReader, leaf_hash, node_hash, prove_inclusion, root},
};

const SIZE: u64 = 1 << 30;
const ORIGIN: &str = "log.example.com/exeat/eu-1";
const WITNESSES: [&str; 2] = ["witness.example.org/north", "witness.example.net/south"];
const LEAF: &[u8] = b"every entry is the same";

/// A log all of whose entries are the same, so that all hashes of a level are.
struct Uniform(Vec<Hash>);

impl Uniform {
    fn new() -> Self {
        let above = |below: &Hash| Some(node_hash(below, below));
        Self(std::iter::successors(Some(leaf_hash(LEAF)), above).take(31).collect())
    }
}

impl HashReader for Uniform {
    type Error = Infallible;

    fn hash(&self, level: u8, _index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[usize::from(level)])
    }
}

fn signer() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: SIZE, root: root(&Uniform::new(), SIZE).unwrap() }
}

/// Returns a receipt of the last entry but some, whose checkpoint the log and these cosigners signed.
fn receipt(cosigners: &[CosignerSecret]) -> Receipt {
    let checkpoint = checkpoint();
    let mut note = Note::parse(checkpoint.sign(&signer()).unwrap().as_bytes()).unwrap();
    for cosigner in cosigners {
        note.attach(cosigner.cosign(&checkpoint, 1_800_000_000).unwrap());
    }
    let index = SIZE - 12_345;
    let hashes = prove_inclusion(&Uniform::new(), index, SIZE).unwrap();
    let receipt = Receipt { extra: None, index, hashes, checkpoint: note.to_string() };
    receipt.verify(LEAF, ORIGIN, &[signer().verifier()]).unwrap();
    let keys: Vec<_> = cosigners.iter().map(|secret| secret.public().clone()).collect();
    assert_eq!(cosignature::verify(&note, &keys).unwrap().len(), cosigners.len());
    receipt
}

fn cosigner(name: &str, algorithm: Algorithm, seed: u8) -> CosignerSecret {
    CosignerSecret::from_seed(name, algorithm, &[seed; 32]).unwrap()
}

#[test]
fn a_receipt_with_two_witnesses_takes_2000_bytes_at_most() {
    let witnesses = WITNESSES.map(|name| cosigner(name, Algorithm::Ed25519, name.len() as u8));
    let text = receipt(&witnesses).to_text();
    assert!(text.len() <= 2_000, "{} bytes", text.len());
}

#[cfg(feature = "ml-dsa")]
#[test]
fn a_receipt_that_log_and_two_witnesses_signed_with_ml_dsa_takes_12000_bytes_at_most() {
    let signers = [ORIGIN, WITNESSES[0], WITNESSES[1]];
    let text = receipt(&signers.map(|name| cosigner(name, Algorithm::MlDsa44, name.len() as u8))).to_text();
    assert!(text.len() <= 12_000, "{} bytes", text.len());
}

#[test]
fn a_million_entries_without_a_gap_take_4000_bytes_of_hashes_and_checkpoint_at_most() {
    let (first, count) = (700_000_001, 1_000_000);
    let mut hashes = Vec::new();
    write_multiproof(&Uniform::new(), SIZE, first..first + count, &mut hashes).unwrap();
    let (checkpoint, leaf) = (checkpoint(), leaf_hash(LEAF));
    let bytes = hashes.len() + checkpoint.sign(&signer()).unwrap().len();
    assert!(bytes <= 4_000, "{bytes} bytes");
    let mut reader = MultiproofReader::new(SIZE, hashes.as_slice());
    (first..first + count).for_each(|index| reader.push(index, leaf).unwrap());
    assert_eq!(reader.root().unwrap().0, checkpoint.root);
}

/// Returns an entry in the chain of the subject with this number.
fn entry(number: u32) -> (Chain, Entry) {
    let hash = leaf_hash(&number.to_be_bytes());
    let chain = Chain { class: Class::Subject, id: hash[..16].try_into().unwrap() };
    let link = Link { class: chain.class, id: chain.id, seq: 0, back: 0 };
    (chain, Entry { links: Some(vec![link]), ..Entry::new(Kind::Open) })
}

#[test]
fn two_standings_of_one_subject_of_a_hundred_thousand_take_4000_bytes_at_most() {
    let mut heads = Heads::new();
    for number in 0..100_000 {
        let (chain, entry) = entry(number);
        let next = heads.next(SIZE + u64::from(number), chain);
        heads.apply(SIZE + u64::from(number), &Entry { links: Some(vec![next]), ..entry }).unwrap();
    }
    let (chain, _) = entry(77);
    let standing = |heads: &mut Heads, entry| Standing { entry, proof: heads.prove(&chain) };
    let span = Span { chain, from: Some(standing(&mut heads, 2 * SIZE)), to: standing(&mut heads, 3 * SIZE) };
    let empty = Span { from: None, ..span.clone() };
    let both = HeadsFile { chain: span.clone(), in_force: empty.clone() }.to_json().len();
    let bytes = both - HeadsFile { chain: empty.clone(), in_force: empty }.to_json().len();
    assert!(2 * bytes <= 4_000, "{} bytes", 2 * bytes);
}

#[test]
fn one_call_of_a_hundred_thousand_in_the_sums_of_an_hour_takes_3000_bytes_at_most() {
    let call = |number: u32| {
        let hash = leaf_hash(&number.to_be_bytes());
        Counted { call: hash[..16].try_into().unwrap(), input: 1_234, output: 567, events: 560 }
    };
    let mut calls: Vec<Counted> = (0..100_000).map(call).collect();
    calls.sort_by_key(|counted| counted.call);
    let completed = SumProof::new(&calls, &[54_321]).unwrap();
    completed.verify(&calls[54_321..=54_321], &sum_root(&calls).unwrap()).unwrap();
    let early = SumProof::new(&[], &[]).unwrap();
    let bytes = SumsFile(vec![HourSums { entry: SIZE, completed, early }]).to_json().len();
    assert!(bytes <= 3_000, "{bytes} bytes");
}
