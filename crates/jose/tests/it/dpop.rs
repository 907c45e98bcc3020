//! Proofs of possession: RFC 9449 section 4.3, item by item.

use std::{sync::Arc, thread, time::Duration};

use jose::{
    Alg, Fault, KeyFault, SigningKey, base64url,
    dpop::{Htu, Nonces, Proof, ProofFault, ReplayFault, Replays, Request, Rules, prove, verify},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use terms::Moment;

use crate::world::{KEYS, forge, key, now, seconds};

const WINDOW: Duration = Duration::from_secs(60);
const RULES: Rules<'_> = Rules { window: WINDOW, nonces: None };

fn target() -> Htu {
    Htu::parse("https://api.example.com/v1/chat/completions").unwrap()
}

fn request(target: &Htu) -> Request<'_> {
    Request { method: "POST", target, access_token: Some("token") }
}

fn check(proof: &str) -> Result<Proof, ProofFault> {
    verify(proof, &request(&target()), &RULES, now())
}

/// A proof that counts, with `header` and `claims` changed; `null` takes a member away.
fn changed(header: Value, claims: Value) -> String {
    let signer = key(Alg::Es256);
    let good_header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": signer.public().to_value() });
    let good_claims = json!({ "jti": "1", "htm": "POST", "htu": "https://api.example.com/v1/chat/completions",
        "iat": seconds(now()), "ath": base64url::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"token")) });
    forge(signer, &merged(good_header, header), &merged(good_claims, claims))
}

fn merged(mut good: Value, other: Value) -> Value {
    for (name, value) in other.as_object().unwrap() {
        good[name] = value.clone();
    }
    good.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    good
}

#[test]
fn a_proof_that_is_made_here_counts_for_its_request_and_its_key() {
    for signer in KEYS.iter() {
        let proof = prove(signer, &request(&target()), None, now()).unwrap();
        let found = check(&proof).unwrap();
        assert_eq!(found.jkt, signer.public().thumbprint());
        assert_eq!(found.iat, now());
    }
    assert!(check(&changed(json!({}), json!({}))).is_ok());
}

#[test]
fn a_proof_for_another_request_is_refused() {
    for (claims, fault) in [
        (json!({ "htm": "post" }), ProofFault::Method),
        (json!({ "htm": "GET" }), ProofFault::Method),
        (json!({ "htu": "https://api.example.com/v1/chat" }), ProofFault::Target),
        (json!({ "htu": "http://api.example.com/v1/chat/completions" }), ProofFault::Target),
        (json!({ "htu": "https://api.example.com.attacker.example/v1/chat/completions" }), ProofFault::Target),
        (json!({ "htu": "/v1/chat/completions" }), ProofFault::Target),
        (json!({ "ath": null }), ProofFault::AccessToken),
        (json!({ "ath": "AAAA" }), ProofFault::AccessToken),
        (json!({ "jti": "" }), ProofFault::Jti),
        (json!({ "jti": "j".repeat(257) }), ProofFault::Jti),
    ] {
        assert_eq!(check(&changed(json!({}), claims.clone())).unwrap_err(), fault, "{claims}");
    }
    let same = json!({ "htu": "HTTPS://API.example.com:443/v1/./chat/completions?stream=true#x" });
    assert!(check(&changed(json!({}), same)).is_ok());
}

#[test]
fn a_proof_of_another_type_or_without_a_good_key_is_refused() {
    let mut private = key(Alg::Es256).public().to_value();
    private["d"] = json!("AAAA");
    for (header, fault) in [
        (json!({ "jwk": null }), ProofFault::Token(Fault::Member("jwk"))),
        (json!({ "jwk": private }), ProofFault::Key(KeyFault::Secret("d"))),
        (json!({ "jwk": { "kty": "oct", "k": "AA" } }), ProofFault::Key(KeyFault::Secret("k"))),
        (
            json!({ "jwk": SigningKey::generate(Alg::Es256).unwrap().public().to_value() }),
            ProofFault::Token(Fault::Signature),
        ),
        (json!({ "jwk": key(Alg::EdDsa).public().to_value() }), ProofFault::Token(Fault::UnknownKey)),
        (json!({ "alg": "HS256" }), ProofFault::Token(Fault::Alg("HS256".to_owned()))),
        (json!({ "crit": ["x"] }), ProofFault::Token(Fault::Crit)),
    ] {
        assert_eq!(check(&changed(header.clone(), json!({}))).unwrap_err(), fault, "{header}");
    }
    for typ in [json!("JWT"), json!("at+jwt"), json!(null)] {
        assert!(matches!(check(&changed(json!({ "typ": typ }), json!({}))), Err(ProofFault::Token(Fault::Typ { .. }))));
    }
    for claim in ["jti", "htm", "htu", "iat"] {
        assert!(matches!(check(&changed(json!({}), json!({ claim: null }))), Err(ProofFault::Token(Fault::Claim(_)))));
    }
    assert!(check(&changed(json!({}), json!({ "iat": seconds(now()).to_string() }))).is_err());
}

#[test]
fn a_proof_is_taken_from_its_window_before_to_its_window_after_and_no_longer() {
    let at = |offset: i64| check(&changed(json!({}), json!({ "iat": seconds(now()) + offset }))).map(|_| ());
    assert_eq!(at(60), Ok(()));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(61), Err(ProofFault::Time));
    assert_eq!(at(-61), Err(ProofFault::Time));
}

#[test]
fn where_nonces_are_asked_for_only_a_living_one_of_ours_will_do() {
    let (ours, other) = (Nonces::generate(WINDOW).unwrap(), Nonces::generate(WINDOW).unwrap());
    let rules = Rules { window: WINDOW, nonces: Some(&ours) };
    let ask = |nonce: Option<&str>, at: Moment| {
        let proof = prove(key(Alg::Es256), &request(&target()), nonce, at).unwrap();
        verify(&proof, &request(&target()), &rules, at).map(|_| ())
    };
    let nonce = ours.issue(now());
    assert_eq!(ask(Some(&nonce), now()), Ok(()));
    assert_eq!(ask(None, now()), Err(ProofFault::Nonce));
    assert_eq!(ask(Some(&other.issue(now())), now()), Err(ProofFault::Nonce));
    assert_eq!(ask(Some(&nonce), now().plus(WINDOW)), Err(ProofFault::Nonce));
}

#[test]
fn a_replay_is_refused_for_the_whole_window_however_the_address_is_spelled() {
    let replays = Replays::with_capacity(100);
    // Made as far in the future as is accepted: it stays acceptable for two windows.
    let proof = changed(json!({}), json!({ "iat": seconds(now()) + 60 }));
    let respelled = changed(
        json!({}),
        json!({ "iat": seconds(now()) + 60, "htu": "https://API.example.com:443/v1/chat/completions" }),
    );
    replays.claim(&check(&proof).unwrap(), now()).unwrap();
    let mut at = now();
    let mut accepted = 0;
    while let Ok(again) = verify(&respelled, &request(&target()), &RULES, at) {
        assert_eq!(replays.claim(&again, at), Err(ReplayFault::Repeated), "{at}");
        at = at.plus(Duration::from_millis(250));
        accepted += 1;
    }
    assert_eq!(at.since(now()), Duration::from_secs(121));
    assert_eq!(accepted, 484);
}

#[test]
fn the_same_identifier_of_another_key_method_or_address_is_no_replay() {
    let replays = Replays::with_capacity(100);
    let other_target = Htu::parse("https://api.example.com/v1/models").unwrap();
    let mut keys = Vec::new();
    for signer in [key(Alg::Es256), key(Alg::EdDsa)] {
        for (method, target) in [("POST", target()), ("GET", target()), ("GET", other_target.clone())] {
            let header = json!({ "typ": "dpop+jwt", "alg": signer.alg().name(), "jwk": signer.public().to_value() });
            let claims = json!({ "jti": "1", "htm": method, "htu": target.as_str(), "iat": seconds(now()) });
            let request = Request { method, target: &target, access_token: None };
            let proof = verify(&forge(signer, &header, &claims), &request, &RULES, now()).unwrap();
            replays.claim(&proof, now()).unwrap();
            keys.push(proof.replay_key);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn a_full_memory_refuses_and_forgets_nothing_until_its_time_is_over() {
    let replays = Replays::with_capacity(0);
    let proof = |jti: u64| {
        let claims = json!({ "jti": jti.to_string(), "iat": seconds(now()) });
        check(&changed(json!({}), claims)).unwrap()
    };
    let taken: Vec<Proof> = (0..60).map(proof).filter(|proof| replays.claim(proof, now()).is_ok()).collect();
    assert!((1..=16).contains(&taken.len()), "one for each part: {}", taken.len());
    for proof in &taken {
        assert_eq!(replays.claim(proof, now()), Err(ReplayFault::Repeated));
    }
    let later = now().plus(Duration::from_secs(61));
    assert_eq!(replays.claim(&taken[0], later), Ok(()), "it is refused as too old before it gets here");
}

#[test]
fn of_many_threads_with_one_proof_exactly_one_is_let_through() {
    let replays = Arc::new(Replays::with_capacity(10_000));
    for jti in 0..20_u64 {
        let proof = check(&changed(json!({}), json!({ "jti": jti.to_string() }))).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (replays, proof) = (Arc::clone(&replays), proof.clone());
                thread::spawn(move || replays.claim(&proof, now()).is_ok())
            })
            .collect();
        let let_through = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok);
        assert_eq!(let_through.count(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_changed_proof_never_counts(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let proof = prove(key(Alg::EdDsa), &request(&target()), None, now()).unwrap();
        let at = at.index(proof.len());
        let other = format!("{}{to}{}", &proof[..at], &proof[at + 1..]);
        if other != proof {
            prop_assert!(check(&other).is_err());
        }
    }
}
