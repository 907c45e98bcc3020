//! Global token revocation, with the requests that the guide of one large identity provider shows.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use jose::Object;
use serde_json::{Value, json};

use super::world::{BASE_URL, Idp, Reply, World, email};

const PATH: &str = "/global-token-revocation/acme-ssf";

/// The claims of the token that authorizes a request, with some changed, or removed if null.
fn claims(world: &World, changes: Value) -> Value {
    let now = world.clock_s();
    let mut claims = json!({
        "jti": format!("revoke-{now}"), "iss": world.acme.issuer, "sub": world.acme.issuer,
        "aud": format!("{BASE_URL}{PATH}"), "iat": now, "nbf": now, "exp": now + 300,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn token(idp: &Idp, claims: &Value) -> String {
    idp.key.sign("global-token-revocation+jwt", &Object::new(), claims).unwrap()
}

async fn asked(world: &World, authorization: Option<&str>, body: &str) -> Reply {
    let mut request = Request::post(PATH).header(header::CONTENT_TYPE, "application/json");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    world.receive(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn revoked(world: &World, sub_id: Value) -> StatusCode {
    let bearer = format!("Bearer {}", token(&world.acme, &claims(world, json!({}))));
    asked(world, Some(&bearer), &json!({ "sub_id": sub_id }).to_string()).await.status
}

fn sessions_ended(world: &World, person: &str) -> bool {
    world.known(person).accounts.iter().all(|account| account.sessions_end == Some(world.clock_now()))
}

#[tokio::test]
async fn the_sessions_of_a_user_are_over_when_the_request_is_answered() {
    let by_issuer = json!({ "format": "iss_sub", "iss": "https://idp.acme.example", "sub": "ada@acme.example" });
    for sub_id in [email("ada@acme.example"), by_issuer, json!({ "format": "opaque", "id": "ada@acme.example" })] {
        let world = World::new().await;
        assert_eq!(revoked(&world, sub_id.clone()).await, StatusCode::NO_CONTENT, "{sub_id}");
        assert!(sessions_ended(&world, "ada"), "{sub_id}");
        assert!(!sessions_ended(&world, "bo"));
    }
}

#[tokio::test]
async fn who_is_known_here_is_not_told() {
    let world = World::new().await;
    assert_eq!(revoked(&world, email("nobody@acme.example")).await, StatusCode::NO_CONTENT);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(revoked(&world, email("bo@borealis.example")).await, StatusCode::NO_CONTENT);
    assert!(!sessions_ended(&world, "bo"), "another tenant's people are another tenant's");
}

#[tokio::test]
async fn a_request_that_is_not_authorized_by_the_provider_changes_nothing() {
    let world = World::new().await;
    let before = world.known("ada");
    let now = world.clock_s();
    let body = json!({ "sub_id": email("ada@acme.example") }).to_string();
    let stranger = Idp::new(&world.acme.issuer);
    let mut bad = vec![
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer x.y.z".to_owned()),
        Some(format!("Basic {}", token(&world.acme, &claims(&world, json!({}))))),
        Some(format!("Bearer {}", token(&stranger, &claims(&world, json!({}))))),
        Some(format!("Bearer {}", token(&world.borealis, &claims(&world, json!({ "iss": world.borealis.issuer }))))),
    ];
    for typ in ["JWT", "secevent+jwt", "at+jwt", "logout+jwt"] {
        let token = world.acme.key.sign(typ, &Object::new(), &claims(&world, json!({}))).unwrap();
        bad.push(Some(format!("Bearer {token}")));
    }
    for changes in [
        json!({ "iss": "https://idp.elsewhere.example" }),
        json!({ "aud": "https://exeat.example/global-token-revocation/borealis-ssf" }),
        json!({ "aud": null }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "exp": null }),
        json!({ "iat": null }),
        json!({ "exp": now - 61, "iat": now - 361 }),
        json!({ "iat": now + 600, "exp": now + 900 }),
        json!({ "exp": now + 7_200 }),
        json!({ "exp": "soon" }),
        json!({ "events": {} }),
    ] {
        bad.push(Some(format!("Bearer {}", token(&world.acme, &claims(&world, changes)))));
    }
    for authorization in bad {
        let reply = asked(&world, authorization.as_deref(), &body).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    assert_eq!(world.known("ada"), before);
}

#[tokio::test]
async fn a_body_that_names_nobody_is_a_bad_request() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", token(&world.acme, &claims(&world, json!({}))));
    for body in
        ["", "{}", "[]", r#"{"sub_id":"ada"}"#, r#"{"sub_id":{"format":"email"}}"#, r#"{"sub_id":{},"sub_id":{}}"#]
    {
        assert_eq!(asked(&world, Some(&bearer), body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let long = format!("{{\"x\":\"{}\"}}", "a".repeat(20_000));
    assert_eq!(asked(&world, Some(&bearer), &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let elsewhere = Request::post("/global-token-revocation/nobody").body(Body::empty()).unwrap();
    assert_eq!(world.receive(elsewhere).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_that_is_replayed_is_answered_alike_and_ends_no_session_that_began_since() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", token(&world.acme, &claims(&world, json!({}))));
    let body = json!({ "sub_id": email("ada@acme.example") }).to_string();
    assert_eq!(asked(&world, Some(&bearer), &body).await.status, StatusCode::NO_CONTENT);
    let after = world.known("ada");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(asked(&world, Some(&bearer), &body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.known("ada"), after);
}

#[tokio::test]
async fn one_token_that_comes_with_two_subjects_ends_the_sessions_of_both() {
    let world = World::new().await;
    world.person("cai");
    world.account("cai", "acme-oidc", "cai@acme.example", Some("acme"));
    let bearer = format!("Bearer {}", token(&world.acme, &claims(&world, json!({}))));
    for person in ["ada", "cai"] {
        let body = json!({ "sub_id": email(&format!("{person}@acme.example")) }).to_string();
        assert_eq!(asked(&world, Some(&bearer), &body).await.status, StatusCode::NO_CONTENT);
        assert!(sessions_ended(&world, person), "{person}");
    }
    // However it is spelled, the same subject is the same request.
    let after = world.known("ada");
    world.clock.advance(Duration::from_secs(30));
    let spelled = r#"{ "sub_id": { "email": "ada@ACME.example", "format": "email" } }"#;
    assert_eq!(asked(&world, Some(&bearer), spelled).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.known("ada"), after);
}

#[tokio::test]
async fn a_channel_that_an_operator_turned_off_may_ask_for_nothing() {
    let world = World::new().await;
    let off = terms::Channel { enabled: false, ..world.channel_now("acme-ssf") };
    world.change(vec![control::FederatedChange::Channel(off)]);
    assert_eq!(revoked(&world, email("ada@acme.example")).await, StatusCode::FORBIDDEN);
    assert!(!sessions_ended(&world, "ada"));
}
