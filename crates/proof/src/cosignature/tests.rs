//! Cosignatures against the specification, and against whoever bends them.

use proptest::prelude::*;

use super::*;
use crate::note::{NOTE_SIGNATURES_MAX, SignerKey};

/// The checkpoint in the examples of C2SP tlog-cosignature.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn algorithms() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        #[cfg(feature = "ml-dsa")]
        Algorithm::MlDsa44,
    ]
}

fn secret(name: &str, algorithm: Algorithm, seed: u8) -> CosignerSecret {
    CosignerSecret::from_seed(name, algorithm, &[seed; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "log.example.com/exeat/1".to_owned(), size: 1_000, root: [0xab; 32] }
}

/// The checkpoint, signed by its log, with these signatures.
fn note(signatures: Vec<NoteSignature>) -> Note {
    let checkpoint = checkpoint();
    let mut note = Note::new(checkpoint.body()).unwrap();
    note.sign(&SignerKey::from_seed(&checkpoint.origin, &[9; 32]).unwrap());
    signatures.into_iter().for_each(|signature| note.attach(signature));
    Note::parse(note.to_string().as_bytes()).unwrap()
}

#[test]
fn the_messages_are_laid_out_as_the_specification_shows_them() {
    let signed = String::from_utf8(timed(EXAMPLE, 1_679_315_147)).unwrap();
    assert_eq!(signed, format!("cosignature/v1\ntime 1679315147\n{EXAMPLE}"));
    #[cfg(feature = "ml-dsa")]
    {
        let checkpoint = Checkpoint::parse_body(EXAMPLE).unwrap();
        let message = ml_dsa_44::message("w.example", 7, &checkpoint).unwrap();
        let wanted = [
            b"subtree/v1\n\0\x09w.example\0\0\0\0\0\0\0\x07\x1bexample.com/behind-the-sofa".as_slice(),
            &[0; 8],
            &[0, 0, 0, 0, 1, 0x3e, 0x2d, 0xc3],
            &checkpoint.root,
        ];
        assert_eq!(message, wanted.concat());
    }
}

#[test]
fn a_cosignature_is_accepted_with_the_time_it_carries() {
    for algorithm in algorithms() {
        let secret = secret("w.example/1", algorithm, 1);
        let signed = note(vec![secret.cosign(&checkpoint(), 1_700_000_000).unwrap()]);
        let keys = [secret.public().clone()];
        let found = verify(&signed, &keys).unwrap();
        assert_eq!(found, [Cosignature { key: &keys[0], time: 1_700_000_000 }]);
    }
}

#[test]
fn keys_and_secrets_read_back_and_have_identifiers_of_their_own_types() {
    let mut ids = vec![SignerKey::from_seed("w.example", &[1; 32]).unwrap().verifier().id()];
    for algorithm in algorithms() {
        let secret = secret("w.example", algorithm, 1);
        let read = CosignerSecret::parse(&secret.to_secret_text()).unwrap();
        assert_eq!(read.public(), secret.public());
        assert_eq!(&secret.public().to_string().parse::<CosignerKey>().unwrap(), secret.public());
        assert!(!ids.contains(&secret.public().id()));
        ids.push(secret.public().id());
        assert_eq!(format!("{secret:?}"), format!("CosignerSecret(w.example+{:08x})", secret.public().id()));
    }
}

#[test]
fn any_changed_bit_of_a_cosignature_rejects_the_note() {
    for algorithm in algorithms() {
        let secret = secret("w", algorithm, 1);
        let keys = [secret.public().clone()];
        let good = secret.cosign(&checkpoint(), 5).unwrap();
        let bits = good.bytes.len() * 8;
        for bit in (0..bits).step_by(bits / 64) {
            let mut bad = good.clone();
            bad.bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&note(vec![bad]), &keys), Err(BadNote::Signature("w".to_owned())), "bit {bit}");
        }
    }
}

#[test]
fn a_cosignature_holds_for_no_other_checkpoint() {
    for algorithm in algorithms() {
        let secret = secret("w", algorithm, 1);
        let keys = [secret.public().clone()];
        let larger = Checkpoint { size: 1_001, ..checkpoint() };
        let other = Checkpoint { root: [0xac; 32], ..checkpoint() };
        let elsewhere = Checkpoint { origin: "log.example.com/exeat/2".to_owned(), ..checkpoint() };
        for checkpoint in [larger, other, elsewhere] {
            let signed = note(vec![secret.cosign(&checkpoint, 5).unwrap()]);
            assert!(verify(&signed, &keys).is_err());
        }
    }
}

#[test]
fn unknown_keys_are_ignored_even_if_they_share_a_name_or_an_identifier() {
    for algorithm in algorithms() {
        let (known, other) = (secret("w", algorithm, 1), secret("w", algorithm, 2));
        let keys = [known.public().clone()];
        let mut stranger = other.cosign(&checkpoint(), 5).unwrap();
        assert_eq!(verify(&note(vec![stranger.clone()]), &keys), Ok(vec![]));
        stranger.name = "another".to_owned();
        stranger.id = known.public().id();
        let own = known.cosign(&checkpoint(), 6).unwrap();
        assert_eq!(verify(&note(vec![stranger, own]), &keys).unwrap().len(), 1);
    }
}

#[test]
fn a_bad_signature_of_a_known_key_rejects_the_note_whoever_else_signed() {
    for algorithm in algorithms() {
        let (good, bad) = (secret("good", algorithm, 1), secret("bad", algorithm, 2));
        let mut forged = good.cosign(&checkpoint(), 5).unwrap();
        forged.name = "bad".to_owned();
        forged.id = bad.public().id();
        let signed = note(vec![good.cosign(&checkpoint(), 5).unwrap(), forged]);
        let keys = [good.public().clone(), bad.public().clone()];
        assert_eq!(verify(&signed, &keys), Err(BadNote::Signature("bad".to_owned())));
        assert_eq!(verify(&signed, &keys[..1]).unwrap().len(), 1);
    }
}

#[test]
fn as_many_cosignatures_as_a_note_may_have_are_accepted_and_each_key_counts_once() {
    let secrets: Vec<_> = (1..16).map(|seed| secret(&format!("w{seed}"), Algorithm::Ed25519, seed)).collect();
    let mut signatures: Vec<_> = secrets.iter().map(|secret| secret.cosign(&checkpoint(), 5).unwrap()).collect();
    let keys: Vec<_> = secrets.iter().map(|secret| secret.public().clone()).collect();
    assert_eq!(verify(&note(signatures.clone()), &keys).unwrap().len(), 15);
    while signatures.len() < NOTE_SIGNATURES_MAX - 1 {
        signatures.push(secrets[0].cosign(&checkpoint(), 9).unwrap());
    }
    let all = note(signatures);
    let found = verify(&all, &keys).unwrap();
    assert_eq!((found.len(), found[0].time), (15, 9));
}

#[test]
fn a_time_beyond_63_bits_is_neither_signed_nor_accepted() {
    let secret = secret("w", Algorithm::Ed25519, 1);
    assert_eq!(secret.cosign(&checkpoint(), TIME_MAX + 1), Err(BadCosignature::Time));
    assert!(secret.cosign(&checkpoint(), TIME_MAX).is_ok());
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let late = TIME_MAX + 1;
    let signature = key.sign(&timed(&checkpoint().body(), late)).to_bytes();
    let bytes = [&late.to_be_bytes(), signature.as_slice()].concat();
    assert_eq!(secret.public().accepts(&checkpoint().body(), &checkpoint(), &bytes), None);
}

#[test]
fn names_and_origins_longer_than_a_byte_can_say_are_refused() {
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    for algorithm in algorithms() {
        assert_eq!(CosignerSecret::from_seed(&long, algorithm, &[1; 32]).unwrap_err(), BadKey::Name);
        let checkpoint = Checkpoint { origin: long.clone(), ..checkpoint() };
        assert_eq!(secret("w", algorithm, 1).cosign(&checkpoint, 5), Err(BadCosignature::Origin));
    }
}

#[test]
fn malformed_keys_are_refused_with_the_reason() {
    let good = secret("w.example", Algorithm::Ed25519, 1).public().to_string();
    let parse = |text: &str| text.parse::<CosignerKey>().unwrap_err();
    let plain = SignerKey::from_seed("w.example", &[1; 32]).unwrap().verifier().to_string();
    assert_eq!(parse(&plain), BadKey::Type(1));
    assert_eq!(parse(&good.replace("w.", "v.")), BadKey::Hash);
    assert_eq!(parse(&good[..good.len() - 4]), BadKey::Malformed);
    assert_eq!(parse(&format!("w+00000000+{}", typed(0x04, &[0; 32]))), BadKey::Point);
    assert_eq!(CosignerSecret::parse(&good).unwrap_err(), BadKey::Malformed);
}

#[cfg(not(feature = "ml-dsa"))]
#[test]
fn without_ml_dsa_its_keys_are_refused_rather_than_overlooked() {
    let key = format!("w+{:08x}+{}", key_id("w", 6, &[1; 1_312]), typed(6, &[1; 1_312]));
    assert_eq!(key.parse::<CosignerKey>().unwrap_err(), BadKey::Type(6));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>, text in "[a-z]{0,3}\\+[0-9a-f]{0,8}\\+[A-Za-z0-9+/=]{0,60}") {
        for algorithm in algorithms() {
            let key = secret("w", algorithm, 1).public().clone();
            prop_assert_eq!(key.accepts(&checkpoint().body(), &checkpoint(), &bytes), None);
        }
        if let Ok(key) = text.parse::<CosignerKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn whatever_is_cosigned_is_accepted(origin in "[!-~]{1,60}", size: u64, root: [u8; 32], time in 0..=TIME_MAX, seed: [u8; 32]) {
        let checkpoint = Checkpoint { origin, size, root };
        let secret = CosignerSecret::from_seed("w", Algorithm::Ed25519, &seed).unwrap();
        let signature = secret.cosign(&checkpoint, time).unwrap();
        prop_assert_eq!(secret.public().accepts(&checkpoint.body(), &checkpoint, &signature.bytes), Some(time));
    }
}
