//! Verification, and delivery by push and by poll.

use std::time::Duration;

use axum::http::{StatusCode, header};
use secevent::{
    Event,
    event::Ssf,
    stream::{DefaultSubjects, Status},
};
use serde_json::{Value, json};

use super::world::{ISSUER, Sink, World, claims_of, settings};

const AUDIENCE: &str = "https://acme-soc.example";

async fn verify(world: &World, secret: &str, stream: &str, state: &str) {
    world.clock.advance(Duration::from_secs(2));
    let reply = world.call("POST /ssf/verification", secret, json!({"stream_id": stream, "state": state})).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
}

fn state(token: &str) -> Value {
    let claims = claims_of(token);
    claims["events"].as_object().unwrap().values().next().unwrap()["state"].clone()
}

async fn pushed(world: &World, sink: &Sink) -> (String, String) {
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let mut delivery = sink.delivery();
    delivery["authorization_header"] = json!("Bearer hush");
    let id = world.stream(&secret, json!({"delivery": delivery})).await;
    (secret, id)
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_push() {
    let (world, sink) = (World::new().await, Sink::new().await);
    let (secret, id) = pushed(&world, &sink).await;
    verify(&world, &secret, &id, "state-1").await;
    let (headers, token) = sink.taken(1).await.remove(0);
    assert_eq!(headers[header::CONTENT_TYPE], "application/secevent+jwt");
    assert_eq!(headers[header::ACCEPT], "application/json");
    assert_eq!(headers[header::AUTHORIZATION], "Bearer hush");
    let event = world.read(&token, AUDIENCE).await;
    assert_eq!(event.subject.stream_id(), Some(id.as_str()));
    assert_eq!(event.events, [Event::Ssf(Ssf::Verification { state: Some("state-1".to_owned()) })]);
    let claims = claims_of(&token);
    assert_eq!((claims.get("sub"), claims.get("exp"), &claims["iss"]), (None, None, &json!(ISSUER)));
    assert!(claims["txn"].is_string());
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_error_push_no_auth() {
    let (world, sink) = (World::new().await, Sink::new().await);
    let (secret, id) = pushed(&world, &sink).await;
    let body = json!({"stream_id": id, "delivery": sink.delivery()});
    assert_eq!(world.call("PATCH /ssf/stream", &secret, body).await.status, StatusCode::OK);
    verify(&world, &secret, &id, "state-1").await;
    assert_eq!(sink.taken(1).await[0].0.get(header::AUTHORIZATION), None);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_asked_for_too_soon_is_answered_with_429() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    verify(&world, &secret, &id, "one").await;
    let again = world.call("POST /ssf/verification", &secret, json!({"stream_id": id, "state": "two"})).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
    let offered = world.offered(&secret, &id).await;
    assert_eq!(offered.iter().map(|(_, token)| state(token)).collect::<Vec<_>>(), ["one"]);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_poll_only_offers_again_what_is_not_acknowledged() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    verify(&world, &secret, &id, "one").await;
    let offered = world.offered(&secret, &id).await;
    assert_eq!(world.offered(&secret, &id).await, offered, "the same token");
    assert_eq!(offered.len(), 1);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_ack_only_and_poll_and_ack() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    for mark in ["one", "two", "three"] {
        verify(&world, &secret, &id, mark).await;
    }
    let first = world.poll(&secret, &id, json!({"maxEvents": 1, "returnImmediately": true})).await.body;
    assert_eq!(first["moreAvailable"], true);
    let jti = first["sets"].as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(state(first["sets"][&jti].as_str().unwrap()), "one");

    let second = world.poll(&secret, &id, json!({"ack": [jti, "unknown"], "maxEvents": 1})).await.body;
    let (two, token) = second["sets"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(state(token.as_str().unwrap()), "two");
    let none = world.poll(&secret, &id, json!({"ack": [two], "maxEvents": 0})).await.body;
    assert_eq!(none, json!({"sets": {}}));
    let rest = world.offered(&secret, &id).await;
    assert_eq!(rest.iter().map(|(_, token)| state(token)).collect::<Vec<_>>(), ["three"]);
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_set_errs_are_kept_and_not_offered_until_the_stream_is_enabled_anew()
{
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    for mark in ["one", "two"] {
        verify(&world, &secret, &id, mark).await;
    }
    let offered = world.offered(&secret, &id).await;
    let jti = offered.iter().find(|(_, token)| state(token) == "one").unwrap().0.clone();
    let error = json!({"err": "invalid_key", "description": "who are you?"});
    world.poll(&secret, &id, json!({"setErrs": {jti.clone(): error}, "maxEvents": 0})).await;
    let left = world.offered(&secret, &id).await;
    assert_eq!(left.iter().map(|(_, token)| state(token)).collect::<Vec<_>>(), ["two"]);
    let report = world.transmitter.streams().unwrap().remove(0);
    assert_eq!((report.waiting, report.dead.len()), (1, 1));
    assert_eq!((report.dead[0].jti.as_str(), report.dead[0].why.as_str()), (jti.as_str(), "invalid_key: who are you?"));

    world.call("POST /ssf/status", &secret, json!({"stream_id": id, "status": "enabled"})).await;
    let first = world.poll(&secret, &id, json!({"maxEvents": 1, "returnImmediately": true})).await.body;
    assert!(first["sets"].get(&jti).is_some(), "it is back where it was");
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_verification_long_poll_waits_for_an_event() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    let started = tokio::time::Instant::now();
    let poll = world.poll(&secret, &id, json!({}));
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        verify(&world, &secret, &id, "late").await;
    };
    let (polled, ()) = tokio::join!(poll, later);
    assert!(started.elapsed() >= Duration::from_millis(300) && started.elapsed() < Duration::from_secs(4));
    assert_eq!(polled.body["sets"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_ends_empty_in_the_end_and_only_a_few_may_wait() {
    let world =
        World::with(|settings| federation::TransmitterSettings { long_poll: Duration::from_millis(600), ..settings })
            .await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    let poll = || world.poll(&secret, &id, json!({}));
    let (a, b, c, d, e) = tokio::join!(poll(), poll(), poll(), poll(), poll());
    let mut answered: Vec<_> = [a, b, c, d, e].iter().map(|reply| reply.status.as_u16()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [200, 200, 200, 200, 429]);
    assert_eq!(poll().await.body, json!({"sets": {}}), "those that waited are forgotten");
}

#[tokio::test]
async fn a_poll_that_cannot_be_read_is_refused() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    for body in ["{\"maxEvents\":", "[]", "{\"maxEvents\":-1}", "{\"ack\":\"all\"}"] {
        let reply = world.raw(&format!("POST /ssf/poll/{id}"), Some(&secret), body.to_owned()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let many = json!({"ack": vec!["x"; 1_001]});
    assert_eq!(world.poll(&secret, &id, many).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_push_that_fails_is_tried_again_as_it_was_and_holds_what_follows() {
    let (world, sink) = (World::new().await, Sink::new().await);
    let (secret, id) = pushed(&world, &sink).await;
    sink.answer(StatusCode::SERVICE_UNAVAILABLE);
    sink.answer(StatusCode::UNAUTHORIZED);
    sink.answer((StatusCode::BAD_REQUEST, json!({"err": "invalid_key", "description": "not yet"}).to_string()));
    verify(&world, &secret, &id, "one").await;
    verify(&world, &secret, &id, "two").await;
    let taken = sink.taken(5).await;
    let states: Vec<_> = taken.iter().map(|(_, token)| state(token)).collect();
    assert_eq!(states, ["one", "one", "one", "one", "two"]);
    assert!(taken[..4].iter().all(|(_, token)| *token == taken[0].1), "the same token each time");
}

#[tokio::test]
async fn a_push_that_is_refused_for_good_is_kept_apart_and_tried_again_when_the_stream_is_enabled() {
    let (world, sink) = (World::new().await, Sink::new().await);
    let (secret, id) = pushed(&world, &sink).await;
    let refusal = json!({"err": "invalid_request", "description": "no"}).to_string();
    sink.answer((StatusCode::BAD_REQUEST, refusal));
    verify(&world, &secret, &id, "one").await;
    verify(&world, &secret, &id, "two").await;
    assert_eq!(sink.taken(2).await.iter().map(|(_, token)| state(token)).collect::<Vec<_>>(), ["one", "two"]);
    world.settle().await;
    let report = world.transmitter.streams().unwrap().remove(0);
    assert_eq!((report.waiting, report.dead[0].why.as_str()), (0, "invalid_request: no"));
    world.call("POST /ssf/status", &secret, json!({"stream_id": id, "status": "enabled"})).await;
    assert_eq!(state(&sink.taken(3).await[2].1), "one");
}

#[tokio::test]
async fn a_stream_whose_receiver_cannot_be_reached_for_too_long_is_paused_and_holds_what_it_has() {
    let sink = Sink::new().await;
    let world = World::with(|_| {
        let base = settings(ISSUER);
        let retry = federation::Retry { give_up: Duration::from_millis(400), ..base.retry };
        federation::TransmitterSettings { retry, ..base }
    })
    .await;
    let (secret, id) = pushed(&world, &sink).await;
    for _ in 0..200 {
        sink.answer(StatusCode::BAD_GATEWAY);
    }
    verify(&world, &secret, &id, "held").await;
    let report = || world.transmitter.streams().unwrap().remove(0);
    for _ in 0..200 {
        if report().status.status == Status::Paused {
            break;
        }
        world.settle().await;
    }
    let report = report();
    assert_eq!(report.status.reason.as_deref(), Some("nothing could be delivered for too long"));
    assert_eq!(report.waiting, 2, "the event, and the announcement");
}
