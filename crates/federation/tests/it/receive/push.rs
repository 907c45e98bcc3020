//! Tokens that are pushed: what is refused, and how.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::world::{CAEP, Idp, World, email};

fn revoked() -> String {
    format!("{CAEP}session-revoked")
}

/// A good token of acme's about ada, with some claims changed, or removed if null.
fn token(world: &World, changes: Value) -> String {
    let mut claims = world.claims(&world.acme, "jti-1", email("ada@acme.example"), &revoked(), json!({}));
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    world.acme.sign(&claims)
}

async fn refused_as(world: &World, token: &str, err: &str) {
    let before = world.known("ada");
    let reply = world.push("acme-ssf", token).await;
    assert_eq!((reply.status, reply.err()), (StatusCode::BAD_REQUEST, Some(err)), "{reply:?}");
    assert!(reply.body["description"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(reply.headers[header::CONTENT_LANGUAGE], "en");
    assert!(reply.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/json"));
    assert_eq!(world.known("ada"), before, "a token that is refused changes nothing");
}

#[tokio::test]
async fn openid_ssf_receiver_invalid_set_rejection() {
    let world = World::new().await;
    let (good, other) = (token(&world, json!({})), token(&world, json!({"jti": "jti-2"})));
    let (signed, signature) = (good.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    refused_as(&world, &format!("{signed}.{signature}"), "invalid_key").await;
    refused_as(&world, &token(&world, json!({"iss": "https://evil.example"})), "invalid_issuer").await;
    refused_as(&world, &token(&world, json!({"aud": "https://other.example"})), "invalid_audience").await;
    let stranger = Idp::new(&world.acme.issuer);
    let claims = world.claims(&stranger, "jti-3", email("ada@acme.example"), &revoked(), json!({}));
    refused_as(&world, &stranger.sign(&claims), "invalid_key").await;
    assert_eq!(world.push("acme-ssf", &good).await.status, StatusCode::ACCEPTED, "the same stream goes on");
}

#[tokio::test]
async fn a_token_that_is_not_a_conforming_event_is_an_invalid_request() {
    let world = World::new().await;
    for changes in [
        json!({"sub": "ada"}),
        json!({"exp": 4_102_444_800_u32}),
        json!({"iat": world.clock_s() + 3_600}),
        json!({"iat": "now"}),
        json!({"jti": null}),
        json!({"events": {}}),
        json!({"events": {revoked(): {}, "urn:example:other": {}}}),
        json!({"sub_id": null}),
        json!({"sub_id": {"format": "email", "email": "nobody"}}),
    ] {
        refused_as(&world, &token(&world, changes), "invalid_request").await;
    }
    for garbage in ["", "not a token", "e30.e30.", "\u{0}"] {
        refused_as(&world, garbage, "invalid_request").await;
    }
}

#[tokio::test]
async fn a_token_of_another_kind_by_the_same_key_is_no_signal() {
    let world = World::new().await;
    let claims = world.claims(&world.acme, "jti-1", email("ada@acme.example"), &revoked(), json!({}));
    for typ in ["JWT", "at+jwt", "logout+jwt", "dpop+jwt", "kb+jwt", "dc+sd-jwt", "statuslist+jwt", "txntoken+jwt"] {
        let token = world.acme.key.sign(typ, &jose::Object::new(), &claims).unwrap();
        refused_as(&world, &token, "invalid_request").await;
    }
}

#[tokio::test]
async fn openid_ssf_receiver_redelivered_set_is_answered_as_if_it_were_new() {
    let world = World::new().await;
    let token = token(&world, json!({}));
    assert_eq!(world.push("acme-ssf", &token).await.status, StatusCode::ACCEPTED);
    let after = world.known("ada");
    world.clock.advance(std::time::Duration::from_secs(600));
    for _ in 0..3 {
        let again = world.push("acme-ssf", &token).await;
        assert_eq!((again.status, again.body), (StatusCode::ACCEPTED, Value::Null));
    }
    assert_eq!(world.known("ada"), after, "and nothing happens again");
}

#[tokio::test]
async fn openid_ssf_receiver_removed_subject_event_about_somebody_unknown_is_accepted() {
    let world = World::new().await;
    let before = (world.known("ada"), world.known("bo"));
    world.signal(&world.acme, email("gone@acme.example"), &revoked(), json!({})).await;
    assert_eq!((world.known("ada"), world.known("bo")), before);
}

#[tokio::test]
async fn a_body_is_a_token_of_the_right_type_and_size() {
    let world = World::new().await;
    let token = token(&world, json!({}));
    for content_type in ["application/jwt", "application/json", "text/plain"] {
        let reply = world.push_with("acme-ssf", &token, &[("content-type", content_type)]).await;
        assert_eq!((reply.status, reply.err()), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{content_type}");
    }
    let untyped = world.push_with("acme-ssf", &token, &[]).await;
    assert_eq!(untyped.err(), Some("invalid_request"));
    let long = world.push("acme-ssf", &"e".repeat(64 * 1024 + 1)).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let typed = [("content-type", "Application/SecEvent+JWT; charset=utf-8")];
    assert_eq!(world.push_with("acme-ssf", &token, &typed).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_push_brings_the_authorization_that_the_stream_was_given() {
    let world = World::new().await;
    std::fs::write(world.dir.path().join("secrets/acme-push"), "Bearer s3cr3t\n").unwrap();
    let delivery = federation::Receive::Push { authorization: Some("acme-push".to_owned()) };
    world.listen(&federation::SsfReceiver { delivery, ..world.settings("acme", &world.acme) });
    let token = token(&world, json!({}));
    let with =
        |authorization: &'static str| [("content-type", "application/secevent+jwt"), ("authorization", authorization)];
    refused_as(&world, &token, "authentication_failed").await;
    for wrong in ["Bearer s3cr3", "Bearer s3cr3t ", "bearer s3cr3t", "s3cr3t", ""] {
        let reply = world.push_with("acme-ssf", &token, &with(wrong)).await;
        assert_eq!(reply.err(), Some("authentication_failed"), "{wrong}");
    }
    assert_eq!(world.push_with("acme-ssf", &token, &with("Bearer s3cr3t")).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_channel_that_is_no_transmitters_is_not_found_and_one_that_is_off_is_denied() {
    let world = World::new().await;
    let token = token(&world, json!({}));
    for channel in ["acme-oidc", "nobody", "no%20name"] {
        assert_eq!(world.push(channel, &token).await.status, StatusCode::NOT_FOUND, "{channel}");
    }
    let off = terms::Channel { enabled: false, ..world.channel_now("acme-ssf") };
    world.change(vec![control::FederatedChange::Channel(off)]);
    refused_as(&world, &token, "access_denied").await;
}

#[tokio::test]
async fn a_token_of_one_stream_is_not_good_on_another() {
    let world = World::new().await;
    let reply = world.push("borealis-ssf", &token(&world, json!({}))).await;
    assert_eq!(reply.err(), Some("invalid_key"));
    let claims = world.claims(&world.acme, "jti-9", email("bo@borealis.example"), &revoked(), json!({}));
    let forged = world.borealis.sign(&claims);
    assert_eq!(world.push("borealis-ssf", &forged).await.err(), Some("invalid_issuer"));
}
