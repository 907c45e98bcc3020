//! Access tokens that are JWTs (RFC 9068), and what is not one.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use jose::{Alg, Object, base64url};
use proof::entry::Kind;
use serde_json::{Value, json};

use super::{
    Trusting,
    issuer::{Issuer, claims, generate},
};

/// A little longer than the least time between two fetches of an issuer's keys.
const BETWEEN_FETCHES: Duration = Duration::from_millis(5_200);

#[test]
fn a_token_opens_what_its_person_may_use_and_the_record_names_it_by_its_hash() {
    let trusting = Trusting::new();
    let token = trusting.issuer.token(|_| {});
    trusting.bear(&token).served();
    let log = trusting.world.log();
    let (_, facts) = log.iter().find(|(entry, _)| entry.kind == Kind::Open).unwrap();
    let facts: Value = serde_json::from_slice(facts).unwrap();
    let named = facts["credential"]["id"].as_str().unwrap();
    assert!(named.starts_with("tok-") && named.len() == 36, "{named}");
    assert_eq!(facts["credential"]["organization"], "larkspur-labs");
    let private: String = log.iter().map(|(_, private)| String::from_utf8_lossy(private).into_owned()).collect();
    assert!(!private.contains(token.rsplit('.').next().unwrap()), "the token itself is nowhere");
}

#[test]
fn a_token_is_verified_once_and_then_looked_up() {
    let trusting = Trusting::new();
    let token = trusting.issuer.token(|_| {});
    for _ in 0..50 {
        trusting.bear(&token).served();
    }
    assert_eq!((trusting.counted("token_signatures"), trusting.counted("token_remembered")), (1, 49));
    trusting.bear(&trusting.issuer.token(|claims| claims["jti"] = json!("t-2"))).served();
    assert_eq!(trusting.counted("token_signatures"), 2);
}

#[test]
fn a_token_that_is_remembered_ends_at_its_expiry_all_the_same() {
    let trusting = Trusting::new();
    let token = trusting.issuer.token(|_| {});
    trusting.bear(&token).served();
    trusting.world.clock.advance(Duration::from_secs(304));
    trusting.bear(&token).served();
    trusting.world.clock.advance(Duration::from_secs(1));
    trusting.bear(&token).refused("invalid_token");
}

#[test]
fn each_claim_and_each_part_of_the_header_must_be_right() {
    let trusting = Trusting::new();
    let issuer = &trusting.issuer;
    let iat = claims(|_| {})["iat"].as_i64().unwrap();
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(&str, Change<'_>); 17] = [
        ("another audience", &|c| c["aud"] = json!("https://other.example")),
        ("no audience", &|c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("another issuer", &|c| c["iss"] = json!("https://idp.example/")),
        ("expired", &|c| (c["iat"], c["exp"]) = (json!(iat - 600), json!(iat - 6))),
        ("expiry as text", &|c| c["exp"] = json!((iat + 300).to_string())),
        ("no expiry", &|c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("made in the future", &|c| c["iat"] = json!(iat + 60)),
        ("not yet valid", &|c| c["nbf"] = json!(iat + 60)),
        ("not before as text", &|c| c["nbf"] = json!("0")),
        ("no subject", &|c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("an empty subject", &|c| c["sub"] = json!("")),
        ("a subject that is null", &|c| c["sub"] = Value::Null),
        ("no client", &|c| drop(c.as_object_mut().unwrap().remove("client_id"))),
        ("no id", &|c| drop(c.as_object_mut().unwrap().remove("jti"))),
        ("bound in an unknown way", &|c| c["cnf"] = json!({ "kid": "k" })),
        ("bound to nothing", &|c| c["cnf"] = json!({})),
        ("a malformed thumbprint", &|c| c["cnf"] = json!({ "jkt": "x" })),
    ];
    for (what, change) in changes {
        let told = trusting.bear(&issuer.token(change));
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_token"), "{what}: {told:?}");
    }
    trusting.bear(&issuer.signed("application/at+jwt", &claims(|_| {}))).served();
    trusting
        .bear(&issuer.signed("AT+JWT", &claims(|c| c["aud"] = json!(["x", "https://gateway.example.com"]))))
        .served();
}

#[test]
fn a_token_is_verified_with_a_key_of_its_issuer_and_with_nothing_else() {
    let trusting = Trusting::new();
    let (issuer, good) = (&trusting.issuer, trusting.issuer.token(|_| {}));
    let (stranger, claims) = (generate(Alg::Es256), claims(|_| {}));
    let kid = json!(issuer.key().public().kid());
    let forged = |members: Value| stranger.sign("at+jwt", members.as_object().unwrap(), &claims).unwrap();
    let part = |value: &Value| base64url::encode(value.to_string());
    let payload = part(&claims);
    let [header, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for (what, token) in [
        ("another key under the same id", forged(json!({ "kid": kid }))),
        ("a key that the token brings", forged(json!({ "kid": kid, "jwk": stranger.public().to_value() }))),
        ("keys that the token points to", forged(json!({ "jku": "https://evil.example/keys" }))),
        ("an extension that must be understood", forged(json!({ "kid": kid, "crit": ["exp"] }))),
        ("no signature", format!("{}.{payload}.", part(&json!({ "alg": "none", "typ": "at+jwt" })))),
        (
            "a symmetric algorithm",
            format!("{}.{payload}.{signature}", part(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }))),
        ),
        (
            "another algorithm than the key's",
            format!("{}.{payload}.{signature}", part(&json!({ "alg": "ES384", "typ": "at+jwt", "kid": kid }))),
        ),
        ("a signature cut off", format!("{header}.{body}.")),
        ("the claims of another", format!("{header}.{}.{signature}", part(&json!({ "sub": "eve" })))),
        ("a character more", format!("{good}A")),
        ("encrypted, or so it says", format!("{good}.a.b")),
    ] {
        let told = trusting.bear(&token);
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_token"), "{what}: {told:?}");
    }
    trusting.bear(&good).served();
}

#[test]
fn a_token_of_another_kind_is_no_access_token_though_its_issuer_signed_it() {
    let trusting = Trusting::new();
    let issuer = &trusting.issuer;
    let all =
        |more: Value| claims(|c| more.as_object().unwrap().iter().for_each(|(name, value)| c[name] = value.clone()));
    let jwk = json!({ "jwk": issuer.key().public().to_value(), "kid": null });
    let proof = all(json!({ "htm": "POST", "htu": "https://gateway.example.com/v1/chat/completions" }));
    for (what, token) in [
        ("an ID token", issuer.signed("JWT", &all(json!({ "nonce": "n" })))),
        ("a token without a type", issuer.key().sign("", &Object::new(), &claims(|_| {})).unwrap()),
        ("a security event", issuer.signed("secevent+jwt", &all(json!({ "events": {} })))),
        ("a logout token", issuer.signed("logout+jwt", &all(json!({ "events": {} })))),
        ("a proof of possession", issuer.key().sign("dpop+jwt", jwk.as_object().unwrap(), &proof).unwrap()),
        (
            "a client's assertion",
            issuer.signed("client-authentication+jwt", &all(json!({ "iss": "cli", "sub": "cli" }))),
        ),
        ("an assertion about an end user", issuer.signed("txntoken+jwt", &all(json!({ "req_wl": "ci" })))),
        ("a key binding", issuer.signed("kb+jwt", &all(json!({ "nonce": "n", "sd_hash": "h" })))),
        ("a status list", issuer.signed("statuslist+jwt", &all(json!({ "status_list": {} })))),
        (
            "an answer about a token",
            issuer.signed("token-introspection+jwt", &all(json!({ "token_introspection": { "active": true } }))),
        ),
        ("a request for authorization", issuer.signed("oauth-authz-req+jwt", &all(json!({ "response_type": "code" })))),
    ] {
        let told = trusting.bear(&token);
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_token"), "{what}: {told:?}");
    }
    assert_eq!(trusting.counted("token_signatures"), 0, "the type is told before the signature");
}

#[test]
fn new_keys_of_an_issuer_are_found_when_a_token_names_them_and_old_ones_are_forgotten() {
    let trusting = Trusting::new();
    let before = trusting.issuer.token(|_| {});
    trusting.bear(&before).served();
    trusting.issuer.rotate();
    let after = trusting.issuer.token(|c| c["jti"] = json!("t-2"));
    trusting.bear(&after).refused("invalid_token");
    assert_eq!(trusting.issuer.keys_asked(), 1, "too soon after the last fetch");
    sleep(BETWEEN_FETCHES);
    trusting.bear(&after).served();
    assert_eq!(trusting.issuer.keys_asked(), 2);
    // It is remembered, but by a key that its issuer no longer has.
    trusting.bear(&before).refused("invalid_token");
}

#[test]
fn a_flood_of_unknown_key_ids_does_not_reach_the_issuer() {
    let trusting = Trusting::new();
    trusting.bear(&trusting.issuer.token(|_| {})).served();
    let stranger = generate(Alg::EdDsa);
    let flooding = Instant::now();
    for n in 0..150 {
        let kid = json!({ "kid": format!("kid-{n}") });
        let token = stranger.sign("at+jwt", kid.as_object().unwrap(), &claims(|_| {})).unwrap();
        trusting.bear(&token).refused("invalid_token");
    }
    let at_most = 2 + usize::try_from(flooding.elapsed().as_secs() / 5).unwrap();
    assert!(trusting.issuer.keys_asked() <= at_most, "{}", trusting.issuer.keys_asked());
    trusting.bear(&trusting.issuer.token(|c| c["jti"] = json!("t-2"))).served();
}

#[test]
fn tokens_are_verified_with_the_keys_of_before_while_their_issuer_is_down() {
    let trusting = Trusting::new();
    trusting.bear(&trusting.issuer.token(|_| {})).served();
    trusting.issuer.set_down(true);
    trusting.bear(&trusting.issuer.token(|c| c["jti"] = json!("t-2"))).served();
}

#[test]
fn an_issuer_whose_keys_were_never_had_lets_nobody_in_and_the_caller_may_come_back() {
    let issuer = Issuer::start();
    issuer.set_down(true);
    let settings = issuer.settings();
    let trusting = Trusting::of(issuer, |all| all.issuers = vec![settings]);
    let token = trusting.issuer.token(|_| {});
    let told = trusting.bear(&token);
    assert_eq!((told.status, told.code.as_str()), (503, "overloaded"), "{told:?}");
    assert!(told.head.get("retry-after").is_some());
    trusting.issuer.set_down(false);
    sleep(BETWEEN_FETCHES);
    trusting.bear(&token).served();
}

#[test]
fn whoever_the_issuer_speaks_of_and_nobody_here_knows_is_nobody() {
    let trusting = Trusting::new();
    let token = trusting.issuer.token(|c| c["sub"] = json!("eve@idp"));
    let told = trusting.bear(&token);
    assert_eq!(told.status, 403, "{told:?}");
    let bearer = format!("Bearer {token}");
    trusting.ask_for("ember-2", &[("authorization", &bearer)]).served();
}

#[test]
fn an_issuer_that_is_no_channel_or_is_turned_off_lets_nobody_in() {
    let trusting = Trusting::new();
    let token = trusting.issuer.token(|_| {});
    trusting.bear(&token).served();
    let off = terms::Channel { enabled: false, ..super::channel("idp", 0) };
    trusting.world.change(identity::Change::Channel(std::sync::Arc::new(off)));
    trusting.bear(&token).refused("invalid_token");
}

#[test]
fn a_scope_that_is_asked_for_must_be_held() {
    let trusting = Trusting::with(|settings| settings.tokens.scope = Some("model.call".to_owned()));
    let told = trusting.bear(&trusting.issuer.token(|c| c["scope"] = json!("openid")));
    assert_eq!((told.status, told.code.as_str()), (403, "insufficient_scope"), "{told:?}");
    assert!(told.challenges()[0].contains(r#"scope="model.call""#));
    trusting.bear(&trusting.issuer.token(|c| c["scope"] = json!("openid model.call"))).served();
}

#[test]
fn an_authentication_too_long_ago_or_too_weak_is_asked_for_again_where_it_matters() {
    let trusting = Trusting::with(|settings| settings.tokens.acr_values = vec!["phr".to_owned()]);
    let iat = claims(|_| {})["iat"].as_i64().unwrap();
    let stale = trusting.issuer.token(|c| (c["acr"], c["auth_time"]) = (json!("phr"), json!(iat - 12 * 3_600)));
    let weak = trusting.issuer.token(|c| c["acr"] = json!("pwd"));
    for token in [&stale, &weak] {
        let told = trusting.bear(token);
        told.refused("insufficient_user_authentication");
        let challenge = told.challenges()[0];
        for part in [
            r#"acr_values="phr""#,
            r#"max_age="43200""#,
            "resource_metadata=\"https://gateway.example.com/.well-known/oauth-protected-resource\"",
        ] {
            assert!(challenge.contains(part), "{challenge}");
        }
        trusting.ask_for("ember-2", &[("authorization", &format!("Bearer {token}"))]).served();
    }
    trusting.bear(&trusting.issuer.token(|c| c["acr"] = json!("phr"))).served();
    let refusals = trusting.world.entries().iter().filter(|entry| entry.kind == Kind::Refusal).count();
    assert_eq!(refusals, 2, "that nobody was let in is on record");
}

#[test]
fn an_authentication_that_becomes_too_old_ends_the_stream_at_that_moment() {
    let trusting = Trusting::with(|settings| settings.tokens.authentication_seconds = Some(120));
    let token = trusting.issuer.token(|_| {});
    let stream = trusting.stream(&[("authorization", &format!("Bearer {token}"))]);
    trusting.world.clock.advance(Duration::from_secs(59));
    assert_eq!(trusting.world.gateway.live(), 1);
    trusting.world.clock.advance(Duration::from_secs(1));
    let rest = stream.text().unwrap();
    assert!(rest.contains("permission_error"), "{rest}");
    trusting.bear(&token).refused("insufficient_user_authentication");
}

#[test]
fn whoever_brings_nothing_is_told_how_to_present_a_token_and_where_to_learn_who_issues_it() {
    let trusting = Trusting::new();
    let told = trusting.ask(&[]);
    assert_eq!((told.status, told.code.as_str()), (401, "invalid_api_key"));
    let metadata = r#"resource_metadata="https://gateway.example.com/.well-known/oauth-protected-resource""#;
    let dpop = format!(r#"DPoP algs="ES256 ES384 EdDSA PS256 RS256", {metadata}"#);
    assert_eq!(told.challenges(), [format!("Bearer {metadata}"), dpop]);
    // RFC 6750 section 3.1: nothing is said of an error where nothing was brought.
    assert!(told.challenges().iter().all(|challenge| !challenge.contains("error")));
}
