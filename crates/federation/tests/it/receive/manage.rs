//! Streams at a transmitter, fetched tokens, and what a transmitter may not make this server do.

use std::time::Duration;

use axum::http::StatusCode;
use federation::{KeySource, ManageFault, Receive, SsfReceiver, registered, unregister};
use secevent::stream::Status;
use serde_json::{Value, json};
use terms::{AccountState, Freshness};

use super::{
    transmitter::{Asked, CHANNEL, Transmitter},
    world::{CAEP, Idp, RISC, SSF, World, email, id},
};

const PUSH: Receive = Receive::Push { authorization: None };
const POLL: Receive = Receive::Poll { endpoint: None, authorization: None };

async fn listening(delivery: Receive) -> (World, Transmitter) {
    let (world, transmitter) = (World::new().await, Transmitter::start().await);
    world.listen(&transmitter.settings(&world, delivery));
    (world, transmitter)
}

fn disabled(world: &World, transmitter: &Transmitter, jti: &str) -> String {
    world.set(&transmitter.idp, jti, email("ada@acme.example"), &format!("{RISC}account-disabled"), json!({}))
}

fn is_suspended(world: &World) -> bool {
    world.states("ada").iter().all(|(_, state)| *state == AccountState::Suspended)
}

#[tokio::test]
async fn openid_ssf_receiver_happypath() {
    let (world, transmitter) = listening(PUSH).await;
    let (receiver, channel) = (&world.receiver, id(CHANNEL));
    assert_eq!(receiver.create_stream(&channel).await.unwrap().stream_id, "s-1");
    let created = &transmitter.asked("POST /streams")[0];
    assert_eq!(created.body["delivery"]["endpoint_url"], "https://exeat.example/ssf/push/acme-managed");
    assert_eq!(created.body["events_requested"].as_array().unwrap().len(), secevent::event::types().count());
    assert!(created.body.get("aud").is_none() && created.body.get("iss").is_none(), "those are the transmitter's");
    assert_eq!(created.authorization, "Bearer access-1");
    receiver.read_stream(&channel).await.unwrap();
    assert_eq!(transmitter.asked("GET /streams")[0].query, "stream_id=s-1");
    receiver.update_stream(&channel).await.unwrap();
    receiver.replace_stream(&channel).await.unwrap();
    for line in ["PATCH /streams", "PUT /streams"] {
        assert_eq!(transmitter.asked(line)[0].body["stream_id"], "s-1", "{line}");
    }
    assert_eq!(receiver.set_status(&channel, Status::Paused).await.unwrap().status, Status::Paused);
    assert_eq!(registered(&world.federation).unwrap()[0].status, Status::Paused);
    receiver.delete_stream(&channel).await.unwrap();
    assert_eq!(transmitter.asked("DELETE /streams")[0].query, "stream_id=s-1");
    assert!(matches!(receiver.read_stream(&channel).await, Err(ManageFault::NotOffered(_))));
}

#[tokio::test]
async fn a_channel_gets_one_stream_however_often_it_is_asked_for() {
    let (world, transmitter) = listening(PUSH).await;
    let channel = id(CHANNEL);
    let make = || world.receiver.create_stream(&channel);
    let (one, two, three) = tokio::join!(make(), make(), make());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(transmitter.asked("POST /streams").len(), 1);
}

#[tokio::test]
async fn openid_ssf_receiver_stream_issuer_mismatch_is_deleted_again_and_not_used() {
    let (world, transmitter) = listening(PUSH).await;
    for (member, value) in [("iss", json!("https://evil.example")), ("aud", json!("https://other.example"))] {
        let mut stream = json!({
            "stream_id": "s-9", "iss": transmitter.idp.issuer, "aud": super::world::AUDIENCE, "events_delivered": [],
            "delivery": { "method": "urn:ietf:rfc:8935", "endpoint_url": "https://exeat.example/x" },
        });
        stream[member] = value;
        transmitter.answers("POST /streams", 201, stream);
        let made = world.receiver.create_stream(&id(CHANNEL)).await;
        assert!(matches!(made, Err(ManageFault::OtherIssuer(_) | ManageFault::OtherAudience)), "{member}");
        assert_eq!(transmitter.asked("DELETE /streams").last().unwrap().query, "stream_id=s-9");
        assert_eq!(registered(&world.federation).unwrap()[0].stream_id, None);
    }
    transmitter.relents("POST /streams");
    transmitter.says("issuer", json!(format!("{}/", transmitter.idp.issuer)));
    let made = world.receiver.create_stream(&id(CHANNEL)).await;
    assert!(matches!(made, Err(ManageFault::OtherIssuer(_))), "an issuer is the same to the last character");
}

#[tokio::test]
async fn openid_ssf_receiver_stream_control_error_response_is_reported_and_nothing_is_used() {
    let (world, transmitter) = listening(PUSH).await;
    for status in [400, 401, 403, 404, 429, 500, 503] {
        transmitter.answers("POST /streams", status, json!({ "err": "no" }));
        let made = world.receiver.create_stream(&id(CHANNEL)).await;
        assert!(matches!(made, Err(ManageFault::Status { status: told, .. }) if told == status), "{status}");
        assert_eq!(registered(&world.federation).unwrap()[0].stream_id, None, "{status}");
    }
    for nonsense in [json!({}), json!([]), json!({ "stream_id": 7 })] {
        transmitter.answers("POST /streams", 201, nonsense.clone());
        let made = world.receiver.create_stream(&id(CHANNEL)).await;
        assert!(matches!(made, Err(ManageFault::Document(_))), "{nonsense}");
    }
    transmitter.relents("POST /streams");
    world.receiver.create_stream(&id(CHANNEL)).await.unwrap();
}

#[tokio::test]
async fn openid_ssf_receiver_access_token_expiry() {
    let (world, transmitter) = listening(PUSH).await;
    let channel = id(CHANNEL);
    world.receiver.create_stream(&channel).await.unwrap();
    world.receiver.read_stream(&channel).await.unwrap();
    assert_eq!(transmitter.asked("POST /token").len(), 1, "a token serves until it expires");
    let asked = &transmitter.asked("POST /token")[0];
    assert_eq!(asked.authorization, "Basic ZXhlYXQ6Y2xpZW50LXNlY3JldA==");
    world.clock.advance(Duration::from_secs(45));
    world.receiver.read_stream(&channel).await.unwrap();
    assert_eq!(transmitter.asked("GET /streams").last().unwrap().authorization, "Bearer access-2");
    transmitter.answers("GET /streams", 401, json!({}));
    assert!(world.receiver.read_stream(&channel).await.is_err(), "it was taken back");
    transmitter.relents("GET /streams");
    world.receiver.read_stream(&channel).await.unwrap();
    assert_eq!(transmitter.asked("GET /streams").last().unwrap().authorization, "Bearer access-3");
    world.clock.advance(Duration::from_secs(45));
    for answer in [json!({ "token_type": "Bearer" }), json!({ "access_token": "x", "token_type": "mac" })] {
        transmitter.answers("POST /token", 200, answer);
        assert!(world.receiver.read_stream(&channel).await.is_err());
    }
}

#[tokio::test]
async fn openid_ssf_receiver_verification_behind_queued_events() {
    let (world, transmitter) = listening(PUSH).await;
    let channel = id(CHANNEL);
    world.receiver.create_stream(&channel).await.unwrap();
    world.receiver.request_verification(&channel).await.unwrap();
    let asked_at = world.clock_now();
    let state = transmitter.asked("POST /verify")[0].body["state"].clone();
    assert!(state.as_str().unwrap().len() >= 32, "nobody guesses it");
    world.clock.advance(Duration::from_secs(20));
    for n in 0..3 {
        let token = disabled(&world, &transmitter, &format!("queued-{n}"));
        assert_eq!(world.push(CHANNEL, &token).await.status, StatusCode::ACCEPTED);
    }
    let stream = json!({ "format": "opaque", "id": "s-1" });
    let echo = world.set(&transmitter.idp, "echo", stream, &format!("{SSF}verification"), json!({ "state": state }));
    assert_eq!(world.push(CHANNEL, &echo).await.status, StatusCode::ACCEPTED);
    assert_eq!(world.channel_now(CHANNEL).heard_at, asked_at, "it proves what was so when it was asked for");
    assert_eq!(world.channel_now(CHANNEL).freshness(world.clock_now()), Freshness::Fresh);
}

/// Lets time pass until a line was asked so often.
async fn as_time_passes(world: &World, transmitter: &Transmitter, line: &str, times: usize) -> Vec<Asked> {
    for _ in 0..600 {
        if transmitter.asked(line).len() >= times {
            break;
        }
        world.clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    transmitter.awaits(line, times).await
}

#[tokio::test]
async fn what_runs_by_itself_makes_the_stream_verifies_it_and_makes_it_again_if_it_is_gone() {
    let (world, transmitter) = listening(PUSH).await;
    tokio::spawn(world.receiver.clone().run());
    transmitter.awaits("POST /verify", 1).await;
    assert_eq!(transmitter.asked("POST /streams").len(), 1);
    as_time_passes(&world, &transmitter, "POST /verify", 2).await;
    transmitter.answers("POST /verify", 404, json!({}));
    as_time_passes(&world, &transmitter, "POST /streams", 2).await;
}

#[tokio::test]
async fn a_fetched_token_is_acknowledged_once_it_is_in_effect_and_a_bad_one_is_reported() {
    let (world, transmitter) = listening(POLL).await;
    transmitter.offers("good", disabled(&world, &transmitter, "good"));
    let stranger = Idp::new(&transmitter.idp.issuer);
    let forged =
        world.set(&stranger, "forged", email("bo@borealis.example"), &format!("{RISC}account-purged"), json!({}));
    transmitter.offers("forged", forged);
    tokio::spawn(world.receiver.clone().run());
    let polls = transmitter.awaits("POST /poll", 2).await;
    assert!(is_suspended(&world), "what is acknowledged is in effect");
    assert_eq!((&polls[0].body["ack"], &polls[0].body["returnImmediately"]), (&Value::Null, &json!(false)));
    assert_eq!(polls[1].body["ack"], json!(["good"]));
    assert_eq!(polls[1].body["setErrs"]["forged"]["err"], "invalid_key");
    assert!(transmitter.offered().is_empty());
}

#[tokio::test]
async fn a_fetched_token_that_cannot_be_judged_now_is_neither_acknowledged_nor_reported() {
    let (world, transmitter) = listening(POLL).await;
    transmitter.answers("GET /jwks", 503, Value::Null);
    transmitter.offers("later", disabled(&world, &transmitter, "later"));
    tokio::spawn(world.receiver.clone().run());
    transmitter.awaits("GET /jwks", 1).await;
    let polls = as_time_passes(&world, &transmitter, "POST /poll", 2).await;
    assert_eq!((&polls[1].body["ack"], &polls[1].body["setErrs"]), (&Value::Null, &Value::Null));
    assert!(!is_suspended(&world));
    transmitter.relents("GET /jwks");
    for _ in 0..100 {
        world.clock.advance(Duration::from_secs(10));
        if transmitter.offered().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_suspended(&world) && transmitter.offered().is_empty());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_fetches_the_published_ones_once_in_five_seconds() {
    let (world, transmitter) = listening(PUSH).await;
    world.receiver.create_stream(&id(CHANNEL)).await.unwrap();
    assert_eq!(world.push(CHANNEL, &disabled(&world, &transmitter, "first")).await.status, StatusCode::ACCEPTED);
    let before = transmitter.asked("GET /jwks").len();
    for round in 1..=3 {
        world.clock.advance(Duration::from_secs(5));
        for n in 0..40 {
            let stranger = Idp::new(&transmitter.idp.issuer);
            let jti = format!("{round}-{n}");
            let event = format!("{RISC}account-purged");
            let token = world.set(&stranger, &jti, email("ada@acme.example"), &event, json!({}));
            assert_eq!(world.push(CHANNEL, &token).await.err(), Some("invalid_key"));
        }
        assert_eq!(transmitter.asked("GET /jwks").len(), before + round);
    }
}

/// Places that a server must not be sent to by what others say.
const INTERNAL: [&str; 7] = [
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.7/keys",
    "https://[::1]/keys",
    "https://[::ffff:10.0.0.7]/keys",
    "https://0.0.0.0/keys",
    "http://metadata.example/keys",
];

fn is_kept_in(fault: &ManageFault) -> bool {
    use fetch::Fault::{Forbidden, PlainText};
    matches!(fault, ManageFault::Fetch(Forbidden { .. } | PlainText { .. }))
}

#[tokio::test]
async fn no_url_that_a_transmitter_gives_leads_to_an_internal_address() {
    for place in INTERNAL {
        let (world, transmitter) = listening(POLL).await;
        let channel = id(CHANNEL);
        transmitter.says("configuration_endpoint", json!(place));
        assert!(is_kept_in(&world.receiver.create_stream(&channel).await.err().unwrap()), "configuration at {place}");
        transmitter.says("configuration_endpoint", json!(format!("{}/streams", transmitter.idp.issuer)));
        world.receiver.create_stream(&channel).await.unwrap();
        transmitter.says("status_endpoint", json!(place));
        assert!(is_kept_in(&world.receiver.read_status(&channel).await.err().unwrap()), "status at {place}");
        transmitter.says("verification_endpoint", json!(place));
        assert!(
            is_kept_in(&world.receiver.request_verification(&channel).await.err().unwrap()),
            "verification at {place}"
        );
        transmitter.says("jwks_uri", json!(place));
        world.receiver.read_stream(&channel).await.unwrap();
        let reply = world.push(CHANNEL, &disabled(&world, &transmitter, "x")).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "keys at {place}");
        assert!(!is_suspended(&world));
    }
}

#[tokio::test]
async fn no_url_of_the_settings_leads_to_an_internal_address_and_no_redirection_is_followed() {
    let (world, transmitter) = (World::new().await, Transmitter::start().await);
    for place in ["https://169.254.169.254", "https://10.0.0.7", "http://metadata.example"] {
        let settings = SsfReceiver { issuer: place.to_owned(), ..transmitter.settings(&world, PUSH) };
        world.listen(&settings);
        assert!(is_kept_in(&world.receiver.create_stream(&id(CHANNEL)).await.err().unwrap()), "issuer {place}");
    }
    let keys = KeySource::At("https://10.0.0.7/keys".to_owned());
    world.listen(&SsfReceiver { keys, ..transmitter.settings(&world, PUSH) });
    let reply = world.push(CHANNEL, &disabled(&world, &transmitter, "x")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    world.listen(&transmitter.settings(&world, PUSH));
    transmitter.answers("GET /.well-known/ssf-configuration", 302, json!("http://169.254.169.254/"));
    let made = world.receiver.create_stream(&id(CHANNEL)).await;
    assert!(matches!(made, Err(ManageFault::Fetch(fetch::Fault::Redirected { .. }))), "{:?}", made.err());
}

#[tokio::test]
async fn a_transmitter_that_lets_polls_wait_can_still_be_asked_other_things() {
    let (world, transmitter) = (World::with_requests(1).await, Transmitter::start().await);
    world.listen(&transmitter.settings(&world, POLL));
    world.receiver.create_stream(&id(CHANNEL)).await.unwrap();
    transmitter.holds("POST /poll");
    let running = tokio::spawn(world.receiver.clone().run());
    transmitter.awaits("POST /poll", 1).await;
    world.receiver.read_stream(&id(CHANNEL)).await.unwrap();
    running.abort();
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    let (world, transmitter) = (World::new().await, Transmitter::start().await);
    let good = || transmitter.settings(&world, PUSH);
    let endpoint = |url: &str| Receive::Poll { endpoint: Some(url.to_owned()), authorization: None };
    for (field, settings) in [
        ("issuer", SsfReceiver { issuer: "tr.example.com".to_owned(), ..good() }),
        ("issuer", SsfReceiver { issuer: format!("https://tr.example.com/{}", "a".repeat(600)), ..good() }),
        ("audience", SsfReceiver { audience: String::new(), ..good() }),
        ("verify_every_s", SsfReceiver { verify_every_s: 9, ..good() }),
        ("keys", SsfReceiver { keys: KeySource::Given(json!({ "keys": [] })), ..good() }),
        ("keys", SsfReceiver { keys: KeySource::At("ftp://tr.example.com".to_owned()), ..good() }),
        ("delivery.endpoint", SsfReceiver { delivery: endpoint("not a url"), ..good() }),
        ("delivery.endpoint", SsfReceiver { delivery: POLL, management: None, ..good() }),
        ("channel", SsfReceiver { channel: id("acme-oidc"), ..good() }),
    ] {
        match federation::register(&world.federation, &settings) {
            Err(control::Fault::Invalid(faults)) => assert_eq!(faults[0].field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_transmitter_that_is_removed_is_listened_to_no_more_and_its_stream_is_deleted() {
    let (world, transmitter) = listening(PUSH).await;
    let channel = id(CHANNEL);
    world.receiver.create_stream(&channel).await.unwrap();
    let names = || registered(&world.federation).unwrap().into_iter().map(|one| one.settings.channel.to_string());
    assert_eq!(names().collect::<Vec<_>>(), ["acme-managed", "acme-ssf", "borealis-ssf"]);
    world.receiver.remove(&channel).await.unwrap();
    assert_eq!(transmitter.asked("DELETE /streams")[0].query, "stream_id=s-1");
    assert_eq!(names().collect::<Vec<_>>(), ["acme-ssf", "borealis-ssf"]);
    let reply = world.push(CHANNEL, &disabled(&world, &transmitter, "x")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(world.channel_now(CHANNEL).freshness(world.clock_now()), Freshness::Stale);
    assert!(matches!(world.receiver.remove(&channel).await, Err(ManageFault::NotOffered(_))));
    assert!(matches!(unregister(&world.federation, &channel), Err(control::Fault::NotFound { .. })));
    world.listen(&transmitter.settings(&world, PUSH));
    world.receiver.create_stream(&channel).await.unwrap();
    let reply = world.push(CHANNEL, &disabled(&world, &transmitter, "y")).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "it may be registered again");
    let revoked =
        world.set(&transmitter.idp, "z", email("ada@acme.example"), &format!("{CAEP}session-revoked"), json!({}));
    assert_eq!(world.push(CHANNEL, &revoked).await.status, StatusCode::ACCEPTED);
}
