//! Policies against the specification's example, its rules, and whoever bends them.

use proptest::prelude::*;

use super::*;
use crate::{
    cosignature::{Algorithm, CosignerSecret},
    note::SignerKey,
    tree::leaf_hash,
};

const ORIGIN: &str = "log.example.com/exeat/1";

fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
}

fn witness(n: u8) -> CosignerSecret {
    CosignerSecret::from_seed(&format!("witness.example/{n}"), Algorithm::Ed25519, &[n; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: leaf_hash(b"leaf") }
}

/// The checkpoint, signed by its log and by the witnesses with these numbers.
fn signed(by: &[u8]) -> String {
    let mut note = Note::new(checkpoint().body()).unwrap();
    note.sign(&log());
    by.iter().for_each(|n| note.attach(witness(*n).cosign(&checkpoint(), 1_000 + u64::from(*n)).unwrap()));
    note.to_string()
}

/// The policy of the specification's example: two of X1 to X3, and any of Y1 to Y3.
fn example() -> String {
    let mut text = format!("# two operators\n\nlog {}\n", log().verifier());
    for n in 1..=6 {
        let name = format!("{}{}", if n <= 3 { 'X' } else { 'Y' }, (n - 1) % 3 + 1);
        text += &format!(" witness\t{name}  {} https://w{n}.example/ \n", witness(n).public());
    }
    text + "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n\
            group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
}

fn parse(text: &str) -> Result<Policy, PolicyFault> {
    Policy::parse(text.as_bytes()).map_err(|bad| bad.fault)
}

#[test]
fn the_example_of_the_specification_asks_for_two_of_one_operator_and_one_of_the_other() {
    let policy = parse(&example()).unwrap();
    for by in 0_u8..64 {
        let who: Vec<u8> = (1..=6).filter(|n| by >> (n - 1) & 1 == 1).collect();
        let wanted = (by & 7).count_ones() >= 2 && by >> 3 != 0;
        let checked = policy.check(signed(&who).as_bytes()).map(|accepted| accepted.witnesses.len());
        let refused = Err(Unsatisfied::Quorum(who.len()));
        assert_eq!(checked, if wanted { Ok(who.len()) } else { refused }, "{who:?}");
    }
    assert_eq!(policy.logs()[0].key.origin(), ORIGIN);
    assert_eq!(policy.witnesses().last().unwrap().url.as_deref(), Some(b"https://w6.example/".as_slice()));
}

#[test]
fn an_accepted_checkpoint_tells_who_cosigned_it_and_when() {
    let policy = parse(&example()).unwrap();
    let note = signed(&[6, 1, 3]);
    let accepted = policy.check(note.as_bytes()).unwrap();
    let who: Vec<_> = accepted.witnesses.iter().map(|(witness, at)| (witness.name.as_slice(), *at)).collect();
    assert_eq!(who, [(b"X1".as_slice(), 1_001), (b"X3", 1_003), (b"Y3", 1_006)]);
    assert_eq!(accepted.checkpoint, checkpoint());
}

#[test]
fn a_quorum_of_none_asks_for_the_log_alone() {
    let policy = parse(&format!("log {}\nquorum none\n", log().verifier())).unwrap();
    assert!(policy.check(signed(&[]).as_bytes()).is_ok());
    let mut unsigned = Note::new(checkpoint().body()).unwrap();
    unsigned.attach(witness(1).cosign(&checkpoint(), 5).unwrap());
    let refused = policy.check(unsigned.to_string().as_bytes());
    assert_eq!(refused, Err(BadCheckpoint::from(BadNote::Unsigned).into()));
}

#[test]
fn a_quorum_may_be_one_witness() {
    let text = format!("log {}\nwitness w {}\nquorum w\n", log().verifier(), witness(1).public());
    let policy = parse(&text).unwrap();
    assert!(policy.check(signed(&[1]).as_bytes()).is_ok());
    assert_eq!(policy.check(signed(&[2]).as_bytes()), Err(Unsatisfied::Quorum(0)));
}

#[test]
fn a_log_that_is_not_listed_is_not_believed_whoever_witnessed_it() {
    let other = SignerKey::from_seed("log.example.com/exeat/2", &[9; 32]).unwrap();
    let text = example().replace(&log().verifier().to_string(), &other.verifier().to_string());
    let refused = parse(&text).unwrap().check(signed(&[1, 2, 4]).as_bytes()).map(drop);
    assert_eq!(refused, Err(BadCheckpoint::Origin(ORIGIN.to_owned()).into()));
}

#[test]
fn a_bad_line_of_one_witness_rejects_the_checkpoint_though_the_quorum_is_there_without_it() {
    let policy = parse(&example()).unwrap();
    let mut note = Note::parse(signed(&[1, 2, 4]).as_bytes()).unwrap();
    let mut forged = witness(5).cosign(&checkpoint(), 5).unwrap();
    forged.bytes[20] ^= 1;
    note.attach(forged);
    let bad = BadNote::Signature("witness.example/5".to_owned());
    assert_eq!(policy.check(note.to_string().as_bytes()).map(drop), Err(BadCheckpoint::from(bad).into()));
}

#[cfg(feature = "ml-dsa")]
#[test]
fn a_log_and_a_witness_may_have_ml_dsa_keys() {
    let own = CosignerSecret::from_seed(ORIGIN, Algorithm::MlDsa44, &[7; 32]).unwrap();
    let other = CosignerSecret::from_seed("w.example", Algorithm::MlDsa44, &[8; 32]).unwrap();
    let policy = parse(&format!("log {}\nwitness w {}\nquorum w\n", own.public(), other.public())).unwrap();
    let mut note = Note::new(checkpoint().body()).unwrap();
    note.attach(own.cosign(&checkpoint(), 0).unwrap());
    assert!(policy.check(note.to_string().as_bytes()).is_err());
    note.attach(other.cosign(&checkpoint(), 5).unwrap());
    assert_eq!(policy.check(note.to_string().as_bytes()).unwrap().witnesses.len(), 1);
}

#[test]
fn a_receipt_is_checked_under_the_policy_and_then_for_its_entry() {
    let policy = parse(&example()).unwrap();
    let receipt = |by| Receipt { extra: None, index: 0, hashes: Vec::new(), checkpoint: signed(by) };
    assert_eq!(policy.check_receipt(&receipt(&[1, 2, 4]), b"leaf").unwrap().witnesses.len(), 3);
    assert!(matches!(policy.check_receipt(&receipt(&[1, 2, 4]), b"fish"), Err(BadReceipt::Proof(_))));
    assert!(matches!(policy.check_receipt(&receipt(&[1, 2]), b"leaf"), Err(BadReceipt::Policy(_))));
}

#[test]
fn at_least_32_logs_witnesses_and_groups_are_read() {
    let mut text = String::new();
    for n in 1..=64_u8 {
        let log = SignerKey::from_seed(ORIGIN, &[n; 32]).unwrap();
        text += &format!("log {}\nwitness w{n} {}\ngroup g{n} 1 w{n}\n", log.verifier(), witness(n).public());
    }
    let policy = parse(&(text + "quorum g64\n")).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().count()), (64, 64));
    assert!(policy.check(signed(&[64]).as_bytes()).is_ok());
    assert!(policy.check(signed(&[63]).as_bytes()).is_err());
}

#[test]
fn names_are_bytes_and_any_but_none_may_be_used() {
    let text =
        [b"witness \xe2\x84\xaa ", witness(1).public().to_string().as_bytes(), b"\nquorum \xe2\x84\xaa\n"].concat();
    assert!(Policy::parse(&text).is_ok());
    let kelvin = [b"witness \xff ", witness(1).public().to_string().as_bytes(), b"\nquorum K\n"].concat();
    assert_eq!(Policy::parse(&kelvin).unwrap_err().fault, PolicyFault::Undefined("K".to_owned()));
}

#[test]
fn what_the_rules_forbid_is_refused_with_its_line() {
    let (log, w) = (log().verifier(), |n: u8| witness(n).public().to_string());
    let two = format!("witness a {}\nwitness b {}\n", w(1), w(2));
    let fault = |text: String| Policy::parse(text.as_bytes()).map_err(|bad| (bad.line, bad.fault)).unwrap_err();
    let named = |name: &str| name.to_owned();
    assert_eq!(fault(String::new()), (1, PolicyFault::NoQuorum));
    assert_eq!(fault("quorum none".to_owned()), (1, PolicyFault::NotText));
    assert_eq!(fault("quorum none\r\n".to_owned()), (1, PolicyFault::NotText));
    assert_eq!(fault("quorum none\nquorum none\n".to_owned()), (2, PolicyFault::SecondQuorum));
    assert_eq!(fault("quorum a b\n".to_owned()), (1, PolicyFault::Form));
    assert_eq!(fault("witnesses a b\n".to_owned()), (1, PolicyFault::Form));
    assert_eq!(fault(format!("log {log}\nlog {log}\n")), (2, PolicyFault::DuplicateKey));
    let renamed = CosignerSecret::from_seed("other", Algorithm::Ed25519, &[1; 32]).unwrap();
    assert_eq!(fault(format!("{two}witness c {}\n", renamed.public())), (3, PolicyFault::DuplicateKey));
    assert_eq!(fault(format!("{two}witness a {}\n", w(3))), (3, PolicyFault::Taken(named("a"))));
    assert_eq!(fault(format!("witness none {}\n", w(1))), (1, PolicyFault::Taken(named("none"))));
    assert_eq!(fault(format!("{two}group b 1 a\n")), (3, PolicyFault::Taken(named("b"))));
    assert_eq!(fault(format!("{two}group g 1 a none\n")), (3, PolicyFault::Undefined(named("none"))));
    assert_eq!(fault(format!("{two}group g 1 a g\n")), (3, PolicyFault::Undefined(named("g"))));
    assert_eq!(fault(format!("{two}group g 1 a a\n")), (3, PolicyFault::Counted(named("a"))));
    assert_eq!(fault(format!("{two}group g 1 a\ngroup h 1 a\n")), (4, PolicyFault::Counted(named("a"))));
    assert_eq!(fault(format!("{two}group g 1\n")), (3, PolicyFault::Form));
    for k in ["0", "3", "01", "+1", "-1", "two", "99999999999999999999"] {
        assert_eq!(fault(format!("{two}group g {k} a b\n")), (3, PolicyFault::Threshold), "{k}");
    }
    assert_eq!(fault(format!("quorum a\n{two}")), (1, PolicyFault::Undefined(named("a"))));
    assert_eq!(fault(format!("log {}\n", w(1))), (1, PolicyFault::Key(BadKey::Type(4))));
    assert_eq!(fault(format!("witness w {log}\n")), (1, PolicyFault::Key(BadKey::Type(1))));
    let long = "#".repeat(POLICY_BYTES_MAX) + "\n";
    assert_eq!(fault(long), (1, PolicyFault::TooLong));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        bytes: Vec<u8>, lines in "((log|witness|group|quorum|#)?[ \t]?(a|b|none|all|any|1|2|[ -~]){0,4}[ \t]?\n){0,6}",
    ) {
        let _ = Policy::parse(&bytes);
        let with = format!("witness a {}\nwitness b {}\n{lines}quorum none\n", witness(1).public(), witness(2).public());
        if let Ok(policy) = Policy::parse(with.as_bytes()) {
            prop_assert_eq!(policy.witnesses().count(), 2);
            prop_assert!(policy.check(&bytes).is_err());
        }
    }

    #[test]
    fn a_threshold_counts_members_and_nothing_else(k in 1_usize..=8, by in proptest::collection::btree_set(1_u8..=10, 0..=10)) {
        let mut text = format!("log {}\n", log().verifier());
        (1..=10).for_each(|n| text += &format!("witness w{n} {}\n", witness(n).public()));
        text += &format!("group g {k} w1 w2 w3 w4 w5 w6 w7 w8\nquorum g\n");
        let who: Vec<u8> = by.into_iter().collect();
        let counted = who.iter().filter(|n| **n <= 8).count();
        let checked = parse(&text).unwrap().check(signed(&who).as_bytes()).is_ok();
        prop_assert_eq!(checked, counted >= k);
    }
}
