//! Tokens and keys that are bound to a key which the caller proves to hold with each request (RFC 9449).

use std::{sync::Arc, time::Duration};

use gateway::Settings;
use identity::Confirmation;
use jose::{
    Alg, SigningKey, base64url,
    dpop::{self, Htu},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terms::Clock;

use super::{
    Told, Trusting, ada,
    issuer::{RESOURCE, generate},
};
use crate::world::{CHAT, World};

/// A caller with a key, and a token that is bound to it.
struct Bound {
    trusting: Trusting,
    key: Arc<SigningKey>,
    token: String,
}

impl Bound {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// Proofs need no nonce.
    fn plain() -> Self {
        Self::with(|settings| settings.tokens.dpop_nonce = false)
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (trusting, key) = (Trusting::with(change), generate(Alg::Es256));
        let token = trusting.issuer.token(|c| c["cnf"] = json!({ "jkt": jkt(&key) }));
        Self { trusting, key, token }
    }

    fn world(&self) -> &World {
        &self.trusting.world
    }

    /// Makes a proof for a chat with the token.
    fn prove(&self, nonce: Option<&str>) -> String {
        prove(&self.key, &self.token, nonce, self.world())
    }

    /// Makes a proof with claims that `change` made of good ones.
    fn proof(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "jti": "p-1", "htm": "POST", "htu": format!("{RESOURCE}{CHAT}"),
            "iat": self.world().clock.now().as_millis() / 1_000, "ath": hash(&self.token),
        });
        change(&mut claims);
        self.sign(&claims, json!({}))
    }

    fn sign(&self, claims: &Value, more: Value) -> String {
        let mut members = json!({ "jwk": self.key.public().to_value(), "kid": null });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.key.sign("dpop+jwt", members.as_object().unwrap(), claims).unwrap()
    }

    fn ask(&self, proof: &str) -> Told {
        self.ask_with(&self.token, proof)
    }

    fn ask_with(&self, token: &str, proof: &str) -> Told {
        self.trusting.ask(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
    }
}

fn prove(key: &SigningKey, token: &str, nonce: Option<&str>, world: &World) -> String {
    let target = Htu::parse(&format!("{RESOURCE}{CHAT}")).unwrap();
    let request = dpop::Request { method: "POST", target: &target, access_token: Some(token) };
    dpop::prove(key, &request, nonce, world.clock.now()).unwrap()
}

fn jkt(key: &SigningKey) -> String {
    base64url::encode(key.public().thumbprint())
}

fn hash(token: &str) -> String {
    base64url::encode(Sha256::digest(token))
}

#[test]
fn a_proof_without_our_nonce_is_answered_with_one_and_the_next_is_taken() {
    let bound = Bound::new();
    let told = bound.ask(&bound.prove(None));
    told.refused("use_dpop_nonce");
    assert_eq!(told.challenges().len(), 1, "{told:?}");
    assert!(told.challenges()[0].starts_with("DPoP "), "{told:?}");
    let nonce = told.head.get("dpop-nonce").unwrap().to_owned();
    let served = bound.ask(&bound.prove(Some(&nonce)));
    served.served();
    assert!(served.head.get("dpop-nonce").is_some(), "the next nonce comes with each answer");
    bound.ask(&bound.prove(Some("made-up"))).refused("use_dpop_nonce");
    bound.world().clock.advance(Duration::from_secs(301));
    let late = bound.trusting.issuer.token(|c| {
        c["cnf"] = json!({ "jkt": jkt(&bound.key) });
        c["exp"] = json!(c["exp"].as_i64().unwrap() + 600);
    });
    let proof = prove(&bound.key, &late, Some(&nonce), bound.world());
    bound.ask_with(&late, &proof).refused("use_dpop_nonce");
}

#[test]
fn nothing_of_a_proof_or_a_token_goes_on_to_the_model_server() {
    let bound = Bound::plain();
    bound.ask(&bound.prove(None)).served();
    let received = bound.world().upstream.received();
    let names: Vec<&str> = received[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!names.contains(&"dpop") && !names.contains(&"authorization"), "{names:?}");
}

#[test]
fn a_proof_is_taken_once_for_as_long_as_it_would_be_taken() {
    let bound = Bound::plain();
    let early = bound.proof(|c| c["iat"] = json!(c["iat"].as_i64().unwrap() + 60));
    bound.ask(&early).served();
    let mut refused = 0;
    for step in [0, 1, 30, 29, 59, 1] {
        bound.world().clock.advance(Duration::from_secs(step));
        let told = bound.ask(&early);
        told.refused("invalid_dpop_proof");
        refused += usize::from(told.message.contains("used before"));
    }
    // The last second of its window is over: too old by now, and forgotten.
    bound.world().clock.advance(Duration::from_secs(1));
    let told = bound.ask(&early);
    told.refused("invalid_dpop_proof");
    assert!(refused == 6 && told.message.contains("`iat`"), "{refused} {told:?}");
}

#[test]
fn a_proof_for_the_same_place_spelled_otherwise_is_taken_and_is_the_same_proof() {
    let bound = Bound::plain();
    for (n, htu) in [
        "HTTPS://GATEWAY.example.COM/v1/chat/completions",
        "https://gateway.example.com:443/v1/chat/completions",
        "https://gateway.example.com/v1/chat/completions?x=1#y",
        "https://gateway.example.com/v1/./chat/../chat/completions",
        "https://gateway.example.com/v1/chat/%63ompletions",
    ]
    .into_iter()
    .enumerate()
    {
        let jti = format!("p-{n}");
        bound.ask(&bound.proof(|c| (c["htu"], c["jti"]) = (json!(htu), json!(jti)))).served();
        let again = bound.ask(&bound.proof(|c| c["jti"] = json!(jti)));
        again.refused("invalid_dpop_proof");
        assert!(again.message.contains("used before"), "{htu}: {again:?}");
    }
}

#[test]
fn a_proof_is_for_one_request_to_this_gateway_with_this_token() {
    let bound = Bound::plain();
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 14] = [
        ("another method", |c| c["htm"] = json!("GET")),
        ("the method in another case", |c| c["htm"] = json!("post")),
        ("another path", |c| c["htu"] = json!("https://gateway.example.com/v1/responses")),
        ("the path in another case", |c| c["htu"] = json!("https://gateway.example.com/v1/Chat/completions")),
        ("another host", |c| c["htu"] = json!("https://gateway.example/v1/chat/completions")),
        ("another scheme", |c| c["htu"] = json!("http://gateway.example.com/v1/chat/completions")),
        ("another port", |c| c["htu"] = json!("https://gateway.example.com:8443/v1/chat/completions")),
        ("a user in the address", |c| c["htu"] = json!("https://u@gateway.example.com/v1/chat/completions")),
        ("another token", |c| c["ath"] = json!(hash("other"))),
        ("no token", |c| drop(c.as_object_mut().unwrap().remove("ath"))),
        ("too old", |c| c["iat"] = json!(c["iat"].as_i64().unwrap() - 61)),
        ("from the future", |c| c["iat"] = json!(c["iat"].as_i64().unwrap() + 61)),
        ("no time", |c| drop(c.as_object_mut().unwrap().remove("iat"))),
        ("no name", |c| c["jti"] = json!("")),
    ];
    for (what, change) in changes {
        let told = bound.ask(&bound.proof(change));
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_dpop_proof"), "{what}: {told:?}");
    }
    bound.ask(&bound.proof(|_| {})).served();
}

#[test]
fn the_address_is_the_configured_one_and_not_what_the_host_header_says() {
    let bound = Bound::plain();
    let host = bound.world().gateway.addresses()[0];
    let proof = bound.proof(|c| c["htu"] = json!(format!("http://{host}{CHAT}")));
    bound.ask(&proof).refused("invalid_dpop_proof");
}

#[test]
fn a_proof_holds_its_public_key_and_is_signed_with_it() {
    let bound = Bound::plain();
    let claims = |jti: &str| {
        json!({ "jti": jti, "htm": "POST", "htu": format!("{RESOURCE}{CHAT}"),
            "iat": bound.world().clock.now().as_millis() / 1_000, "ath": hash(&bound.token) })
    };
    let mut private = bound.key.public().to_value();
    private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    let (stranger, symmetric) = (generate(Alg::Es256), json!({ "kty": "oct", "k": "AAAA" }));
    let good = bound.sign(&claims("p-9"), json!({}));
    let [header, payload, _]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = base64url::encode(
        json!({ "alg": "none", "typ": "dpop+jwt", "jwk": bound.key.public().to_value() }).to_string(),
    );
    for (what, proof) in [
        ("the private key", bound.sign(&claims("p-1"), json!({ "jwk": private }))),
        ("a secret", bound.sign(&claims("p-2"), json!({ "jwk": symmetric }))),
        ("no key", bound.sign(&claims("p-3"), json!({ "jwk": null }))),
        ("another key", bound.sign(&claims("p-4"), json!({ "jwk": stranger.public().to_value() }))),
        ("no signature", format!("{none}.{payload}.")),
        ("a signature cut off", format!("{header}.{payload}.")),
        (
            "another type",
            bound
                .key
                .sign("jwt", json!({ "jwk": bound.key.public().to_value() }).as_object().unwrap(), &claims("p-5"))
                .unwrap(),
        ),
        ("an access token", bound.token.clone()),
        ("no JWT", "x".to_owned()),
        ("nothing", String::new()),
    ] {
        let told = bound.ask(&proof);
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_dpop_proof"), "{what}: {told:?}");
    }
    bound.ask(&good).served();
}

#[test]
fn a_bound_token_is_worth_nothing_without_its_key_and_scheme() {
    let bound = Bound::plain();
    let (scheme, bearer) = (format!("DPoP {}", bound.token), format!("Bearer {}", bound.token));
    bound.trusting.ask(&[("authorization", &bearer)]).refused("invalid_token");
    bound.trusting.ask(&[("authorization", &bearer), ("dpop", &bound.prove(None))]).refused("invalid_token");
    bound.trusting.ask(&[("x-api-key", &bound.token), ("dpop", &bound.prove(None))]).refused("invalid_token");
    bound.trusting.ask(&[("authorization", &scheme)]).refused("invalid_dpop_proof");
    let (one, two) = (bound.prove(None), bound.prove(None));
    bound.trusting.ask(&[("authorization", &scheme), ("dpop", &one), ("dpop", &two)]).refused("invalid_dpop_proof");
    let thief = generate(Alg::Es256);
    let told = bound.ask(&prove(&thief, &bound.token, None, bound.world()));
    told.refused("invalid_token");
    assert!(told.message.contains("another key"), "{told:?}");
    bound.ask(&one).served();
}

#[test]
fn an_unbound_token_takes_no_proof() {
    let bound = Bound::plain();
    let token = bound.trusting.issuer.token(|_| {});
    let proof = prove(&bound.key, &token, None, bound.world());
    bound.ask_with(&token, &proof).refused("invalid_token");
    bound.trusting.bear(&token).served();
}

#[test]
fn an_api_key_that_is_bound_to_a_key_needs_a_proof_like_a_token() {
    let bound = Bound::new();
    let confirmation = Confirmation::Jwk(bound.key.public().thumbprint());
    let key = bound.trusting.bound_key(ada(), confirmation);
    bound.trusting.bear(&key).refused("invalid_token");
    let told = bound.ask_with(&key, &prove(&bound.key, &key, None, bound.world()));
    told.refused("use_dpop_nonce");
    let nonce = told.head.get("dpop-nonce").unwrap().to_owned();
    let proof = prove(&bound.key, &key, Some(&nonce), bound.world());
    bound.ask_with(&key, &proof).served();
    bound.ask_with(&key, &proof).refused("invalid_dpop_proof");
    let thief = prove(&generate(Alg::Es256), &key, Some(&nonce), bound.world());
    bound.ask_with(&key, &thief).refused("invalid_token");
    let for_the_token = prove(&bound.key, &bound.token, Some(&nonce), bound.world());
    bound.ask_with(&key, &for_the_token).refused("invalid_dpop_proof");
}

#[test]
fn an_api_key_that_is_bound_to_nothing_takes_no_proof() {
    let bound = Bound::plain();
    let key = bound.world().key(ada());
    bound.ask_with(&key, &prove(&bound.key, &key, None, bound.world())).refused("invalid_token");
    bound.trusting.bear(&key).served();
}

#[test]
fn the_proof_is_verified_each_time_and_the_token_once() {
    let bound = Bound::plain();
    for _ in 0..10 {
        bound.ask(&bound.prove(None)).served();
    }
    let counts = (bound.trusting.counted("token_signatures"), bound.trusting.counted("token_remembered"));
    assert_eq!(counts, (1, 9));
}
