//! Opaque tokens, about which their issuer is asked (RFC 7662).

use std::{sync::Arc, time::Duration};

use gateway::IssuerSettings;
use identity::Change;
use serde_json::{Value, json};

use super::{
    Told, Trusting, channel,
    issuer::{ISSUER, Issuer, claims},
};

const TOKEN: &str = "op_0123456789";

struct Opaque {
    trusting: Trusting,
    _secret: tempfile::TempDir,
}

impl Opaque {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let secret = tempfile::tempdir().unwrap();
        let issuer = Issuer::start();
        let mut settings = issuer.introspected(&secret.path().join("secret"));
        change(&mut settings);
        Self { trusting: Trusting::of(issuer, |all| all.issuers = vec![settings]), _secret: secret }
    }

    /// Lets the issuer say good things about every token, changed by `change`.
    fn says(&self, change: impl FnOnce(&mut Value)) {
        self.trusting.issuer.says(&claims(|claims| {
            claims["active"] = json!(true);
            change(claims);
        }));
    }

    fn bear(&self) -> Told {
        self.trusting.bear(TOKEN)
    }

    fn asked(&self) -> usize {
        self.trusting.issuer.questions().len()
    }
}

/// Requires that a call is refused because its token could not be checked, and may come back.
#[track_caller]
fn unavailable(told: &Told) {
    assert_eq!((told.status, told.code.as_str()), (503, "overloaded"), "{told:?}");
}

#[test]
fn the_issuer_is_asked_as_a_client_and_its_answer_is_remembered_for_half_a_minute() {
    let opaque = Opaque::new();
    opaque.says(|_| {});
    for _ in 0..20 {
        opaque.bear().served();
    }
    // gateway:s3cret
    let form = format!("token={TOKEN}&token_type_hint=access_token");
    assert_eq!(opaque.trusting.issuer.questions(), [("Basic Z2F0ZXdheTpzM2NyZXQ=".to_owned(), form)]);
    assert_eq!(opaque.trusting.counted("token_introspections"), 1);
    opaque.trusting.world.clock.advance(Duration::from_secs(29));
    opaque.bear().served();
    assert_eq!(opaque.asked(), 1);
    opaque.trusting.world.clock.advance(Duration::from_secs(1));
    opaque.says(|claims| claims["active"] = json!(false));
    opaque.bear().refused("invalid_token");
    assert_eq!(opaque.asked(), 2);
}

#[test]
fn an_answer_is_not_remembered_beyond_the_end_of_the_token() {
    let opaque = Opaque::new();
    let now = claims(|_| {})["iat"].as_i64().unwrap();
    opaque.says(|claims| claims["exp"] = json!(now + 10));
    opaque.bear().served();
    opaque.trusting.world.clock.advance(Duration::from_secs(16));
    opaque.bear().refused("invalid_token");
}

#[test]
fn a_token_that_is_not_active_is_refused_and_not_asked_about_again_for_five_seconds() {
    let opaque = Opaque::new();
    opaque.trusting.issuer.says(&json!({ "active": false }));
    for _ in 0..5 {
        opaque.bear().refused("invalid_token");
    }
    assert_eq!(opaque.asked(), 1);
    opaque.trusting.world.clock.advance(Duration::from_secs(5));
    opaque.says(|_| {});
    opaque.bear().served();
}

#[test]
fn only_an_answer_that_says_all_of_it_lets_anybody_in() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 11] = [
        ("active as text", |c| c["active"] = json!("true")),
        ("active as a number", |c| c["active"] = json!(1)),
        ("nothing about active", |c| drop(c.as_object_mut().unwrap().remove("active"))),
        ("another audience", |c| c["aud"] = json!("https://other.example")),
        ("no audience", |c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("another issuer", |c| c["iss"] = json!("https://other.example")),
        ("no subject", |c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("no expiry", |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("expired", |c| c["exp"] = json!(1)),
        ("not yet valid", |c| c["nbf"] = json!(c["exp"].as_i64().unwrap() - 1)),
        ("bound to a key", |c| c["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })),
    ];
    for (what, change) in changes {
        let opaque = Opaque::new();
        opaque.says(change);
        let told = opaque.bear();
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_token"), "{what}: {told:?}");
    }
}

#[test]
fn a_signed_answer_about_a_token_is_neither_an_answer_that_is_read_nor_a_token() {
    let opaque = Opaque::new();
    let about = json!({ "iss": ISSUER, "aud": "gateway", "iat": 1, "token_introspection": claims(|c| c["active"] = json!(true)) });
    let signed = opaque.trusting.issuer.signed("token-introspection+jwt", &about);
    opaque.trusting.issuer.answers(200, "application/token-introspection+jwt", signed.clone());
    unavailable(&opaque.bear());
    opaque.trusting.bear(&signed).refused("invalid_token");
}

#[test]
fn without_a_good_answer_nobody_is_let_in_and_that_is_not_remembered() {
    let opaque = Opaque::new();
    opaque.says(|_| {});
    opaque.trusting.issuer.set_down(true);
    unavailable(&opaque.bear());
    opaque.trusting.issuer.set_down(false);
    for (status, body) in [
        (401, json!({ "active": true }).to_string()),
        (302, String::new()),
        (200, "[]".to_owned()),
        (200, "{\"active\":true,\"active\":true}".to_owned()),
        (200, format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000))),
    ] {
        opaque.trusting.issuer.answers(status, "application/json", body);
        unavailable(&opaque.bear());
    }
    opaque.says(|_| {});
    opaque.bear().served();
}

#[test]
fn no_issuer_sees_a_token_of_another() {
    let opaque = Opaque::new();
    opaque.says(|_| {});
    opaque.trusting.bear("other_0123456789").refused("invalid_token");
    let jwt = opaque.trusting.issuer.token(|c| c["iss"] = json!("https://other.example"));
    opaque.trusting.bear(&jwt).refused("invalid_token");
    assert_eq!(opaque.asked(), 0);
}

#[test]
fn an_opaque_token_stands_on_the_channel_of_its_issuer() {
    let opaque = Opaque::with(|issuer| issuer.jwks_uri = None);
    opaque.says(|_| {});
    opaque.bear().served();
    let off = terms::Channel { enabled: false, ..channel("idp", 0) };
    opaque.trusting.world.change(Change::Channel(Arc::new(off)));
    opaque.bear().refused("invalid_token");
}
