//! Events about the stream itself: verification, and its transmitter stopping it.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use terms::Freshness;

use super::world::{SSF, World};

fn this_stream() -> Value {
    json!({ "format": "opaque", "id": "acme-stream" })
}

async fn verified(world: &World, subject: Value, state: Value) -> (StatusCode, Option<String>) {
    let claims = if state.is_null() { json!({}) } else { json!({ "state": state }) };
    let jti = format!("v-{}", world.clock_now().as_millis());
    let token = world.set(&world.acme, &jti, subject, &format!("{SSF}verification"), claims);
    let reply = world.push("acme-ssf", &token).await;
    (reply.status, reply.err().map(ToOwned::to_owned))
}

async fn updated(world: &World, status: &str) {
    let claims = json!({ "status": status, "reason": "maintenance" });
    let jti = format!("u-{status}-{}", world.clock_now().as_millis());
    let token = world.set(&world.acme, &jti, this_stream(), &format!("{SSF}stream-updated"), claims);
    assert_eq!(world.push("acme-ssf", &token).await.status, StatusCode::ACCEPTED);
}

fn freshness(world: &World) -> Freshness {
    world.channel_now("acme-ssf").freshness(world.clock_now())
}

const ACCEPTED: (StatusCode, Option<String>) = (StatusCode::ACCEPTED, None);

#[tokio::test]
async fn openid_ssf_receiver_unsolicited_stream_verification_keeps_the_channel_alive() {
    let world = World::new().await;
    assert_eq!(freshness(&world), Freshness::Stale, "nothing counts before the stream has proved that it works");
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    assert_eq!(freshness(&world), Freshness::Fresh);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(freshness(&world), Freshness::Grace);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(freshness(&world), Freshness::Stale);
}

#[tokio::test]
async fn a_verification_that_is_replayed_later_keeps_nothing_alive() {
    let world = World::new().await;
    let token = world.set(&world.acme, "v-1", this_stream(), &format!("{SSF}verification"), json!({}));
    assert_eq!(world.push("acme-ssf", &token).await.status, StatusCode::ACCEPTED);
    world.clock.advance(Duration::from_secs(120));
    for _ in 0..3 {
        assert_eq!(world.push("acme-ssf", &token).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(freshness(&world), Freshness::Stale);
    let old = world.set(&world.acme, "v-2", this_stream(), &format!("{SSF}verification"), json!({}));
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(world.push("acme-ssf", &old).await.status, StatusCode::ACCEPTED);
    assert_eq!(freshness(&world), Freshness::Stale, "what was held back proves nothing about now");
}

#[tokio::test]
async fn openid_ssf_receiver_verification_wrong_state() {
    let world = World::new().await;
    let wrong = (StatusCode::BAD_REQUEST, Some("invalid_state".to_owned()));
    assert_eq!(verified(&world, this_stream(), json!("nobody asked")).await, wrong);
    assert_eq!(freshness(&world), Freshness::Stale);
}

#[tokio::test]
async fn openid_ssf_receiver_verification_wrong_subject() {
    let world = World::new().await;
    let wrong = (StatusCode::BAD_REQUEST, Some("invalid_request".to_owned()));
    for subject in [
        json!({ "format": "opaque", "id": "borealis-stream" }),
        json!({ "format": "email", "email": "ada@acme.example" }),
        json!({ "format": "complex", "tenant": { "format": "opaque", "id": "acme-stream" } }),
    ] {
        assert_eq!(verified(&world, subject, Value::Null).await, wrong);
    }
    assert_eq!(freshness(&world), Freshness::Stale);
}

#[tokio::test]
async fn openid_ssf_receiver_transmitter_initiated_status_change_paused_goes_silent_and_enabled_speaks_again() {
    let world = World::new().await;
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    updated(&world, "paused").await;
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    assert_eq!(
        freshness(&world),
        Freshness::Stale,
        "a stream that is paused brings no news, whatever it says of itself"
    );
    updated(&world, "enabled").await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    assert_eq!(freshness(&world), Freshness::Fresh);
}

#[tokio::test]
async fn a_stream_that_its_transmitter_disables_counts_no_longer_at_once_until_an_operator_registers_it() {
    let world = World::new().await;
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    updated(&world, "disabled").await;
    assert_eq!(freshness(&world), Freshness::Stale);
    world.clock.advance(Duration::from_secs(1));
    updated(&world, "enabled").await;
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    assert_eq!(freshness(&world), Freshness::Stale, "its word does not turn it on");
    assert_eq!(world.reviews().len(), 1, "an operator is told");
    let removes = world.set(
        &world.acme,
        "late",
        super::world::email("ada@acme.example"),
        &format!("{}session-revoked", super::world::CAEP),
        json!({}),
    );
    assert_eq!(world.push("acme-ssf", &removes).await.status, StatusCode::ACCEPTED);
    assert!(world.known("ada").accounts.iter().all(|account| account.sessions_end.is_some()), "what removes is heard");
    world.listen(&world.settings("acme", &world.acme));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(verified(&world, this_stream(), Value::Null).await, ACCEPTED);
    assert_eq!(freshness(&world), Freshness::Fresh);
}

#[tokio::test]
async fn the_stream_of_one_tenant_is_not_stopped_through_anothers() {
    let world = World::new().await;
    let before = world.channel_now("borealis-ssf");
    let subject = json!({ "format": "opaque", "id": "borealis-stream" });
    let token =
        world.set(&world.acme, "u-1", subject, &format!("{SSF}stream-updated"), json!({ "status": "disabled" }));
    let reply = world.push("acme-ssf", &token).await;
    assert_eq!((reply.status, reply.err()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    assert_eq!(world.channel_now("borealis-ssf"), before);
    assert!(world.channel_now("acme-ssf").enabled);
}
