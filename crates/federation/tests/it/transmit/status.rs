//! Streams that stop and run again.

use std::time::Duration;

use axum::http::StatusCode;
use secevent::stream::{DefaultSubjects, Status};
use serde_json::{Value, json};

use super::world::{Sink, World, by_type, claims_of};

async fn set(world: &World, secret: &str, stream: &str, status: &str) -> StatusCode {
    world.call("POST /ssf/status", secret, json!({"stream_id": stream, "status": status})).await.status
}

#[tokio::test]
async fn openid_ssf_transmitter_paused_stream_holds_events_in_order() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    set(&world, &secret, &id, "paused").await;
    for _ in 0..5 {
        world.end_sessions("ada");
    }
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());
    set(&world, &secret, &id, "enabled").await;
    let reply = world.raw(&format!("POST /ssf/poll/{id}"), Some(&secret), "{}".to_owned()).await;
    assert_eq!(reply.body["sets"].as_object().unwrap().len(), 5);
    let mut times = Vec::new();
    for _ in 0..5 {
        let one = world.poll(&secret, &id, json!({"maxEvents": 1})).await.body;
        let (jti, token) = one["sets"].as_object().unwrap().iter().next().unwrap();
        let claims = claims_of(token.as_str().unwrap());
        times.push(claims["events"].as_object().unwrap().values().next().unwrap()["event_timestamp"].as_f64().unwrap());
        world.poll(&secret, &id, json!({"ack": [jti], "maxEvents": 0})).await;
    }
    assert!(times.is_sorted() && times[0] < times[4], "{times:?}");
}

#[tokio::test]
async fn openid_ssf_transmitter_disabled_stream_drops_events() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    world.end_sessions("ada");
    world.settle().await;
    set(&world, &secret, &id, "disabled").await;
    world.end_sessions("ada");
    let asked = world.call("POST /ssf/verification", &secret, json!({"stream_id": id, "state": "gone"})).await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT);
    world.settle().await;
    set(&world, &secret, &id, "enabled").await;
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());
    world.end_sessions("ada");
    assert_eq!(world.taken(&secret, &id, 1).await.len(), 1);
}

#[tokio::test]
async fn what_an_operator_stops_is_announced_before_and_only_they_let_it_run_again() {
    let (world, sink) = (World::new().await, Sink::new().await);
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({"delivery": sink.delivery()})).await;
    world.transmitter.set_status(&id, Status::Paused, Some("maintenance")).unwrap();
    let (uri, claims) = by_type(claims_of(&sink.taken(1).await[0].1));
    assert_eq!(uri, "stream-updated");
    let said = claims["events"].as_object().unwrap().values().next().unwrap();
    assert_eq!(said, &json!({"status": "paused", "reason": "maintenance"}));
    assert_eq!(claims["sub_id"], json!({"format": "opaque", "id": id}));
    world.end_sessions("ada");
    world.settle().await;
    assert_eq!(sink.taken(1).await.len(), 1, "what happens now is held");
    assert_eq!(set(&world, &secret, &id, "enabled").await, StatusCode::FORBIDDEN);
    world.transmitter.set_status(&id, Status::Enabled, None).unwrap();
    let types: Vec<_> = sink.taken(3).await.iter().map(|(_, token)| by_type(claims_of(token)).0).collect();
    assert_eq!(types, ["stream-updated", "stream-updated", "session-revoked"]);
    assert!(world.transmitter.set_status("nothing", Status::Paused, None).is_err());
}

#[tokio::test]
async fn a_stream_without_a_sign_of_its_receiver_is_paused_and_its_receiver_may_let_it_run_again() {
    let world = World::with(|settings| federation::TransmitterSettings { inactivity_s: Some(60), ..settings }).await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    world.clock.advance(Duration::from_secs(61));
    let status = || world.transmitter.streams().unwrap().remove(0).status.status;
    for _ in 0..100 {
        if status() == Status::Paused {
            break;
        }
        world.settle().await;
    }
    assert_eq!(status(), Status::Paused);
    let offered = world.offered(&secret, &id).await;
    assert_eq!(offered.iter().map(|(_, token)| by_type(claims_of(token)).0).collect::<Vec<_>>(), ["stream-updated"]);
    assert_eq!(set(&world, &secret, &id, "enabled").await, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_proves_unasked_that_it_works_without_a_state() {
    let sink = Sink::new().await;
    let world = World::with(|settings| federation::TransmitterSettings { heartbeat_s: Some(60), ..settings }).await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    world.stream(&secret, json!({"delivery": sink.delivery()})).await;
    sink.taken(1).await;
    world.clock.advance(Duration::from_secs(61));
    for (_, token) in sink.taken(2).await {
        let (uri, claims) = by_type(claims_of(&token));
        assert_eq!(uri, "verification");
        let said: &Value = claims["events"].as_object().unwrap().values().next().unwrap();
        assert_eq!(said, &json!({}));
    }
}
