//! Bad input, failing upstreams and a failing ledger: each has a clear answer, and nothing goes out unrecorded.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use proof::entry::{Kind, Outcome};
use serde_json::Value;
use terms::Clock;

use crate::world::{CHAT, World, body, chat};

fn stream_with(world: &World, key: &str, fake: &str) -> (u16, String) {
    let answer = world.post_with(key, CHAT, &[("x-fake", fake)], &body(&chat("mythos-5", true)));
    let status = answer.head.status;
    (status, answer.text().unwrap_or_default())
}

#[test]
fn an_upstream_that_fails_before_output_is_a_502_and_on_record() {
    let world = World::new();
    let ada = world.person("ada", true);
    for fake in ["close", "half-head", "redirect"] {
        let (status, text) = stream_with(&world, &ada, fake);
        assert_eq!(status, 502, "{fake} {text}");
        assert!(!text.contains("127.0.0.1"), "no address in {text}");
        assert_eq!(world.closed().0, Outcome::UpstreamFailed, "{fake}");
    }
}

#[test]
fn an_upstream_that_breaks_off_ends_the_stream_with_an_error_event() {
    let world = World::new();
    let ada = world.person("ada", true);
    let (status, text) = stream_with(&world, &ada, "reset");
    assert_eq!(status, 200);
    let last = text.trim_end().rsplit("\n\n").next().unwrap().to_owned();
    assert!(last.starts_with("event: error\n") && last.contains("api_error"), "{last}");
    assert_eq!(world.closed(), (Outcome::UpstreamFailed, Some("stream_broke_off".to_owned())));
}

#[test]
fn an_upstream_that_falls_silent_ends_the_stream_in_time() {
    let world = World::with(
        |settings| settings.upstreams.iter_mut().for_each(|upstream| upstream.idle_seconds = 1),
        std::sync::Arc::new(gateway::Unmonitored),
    );
    let ada = world.person("ada", true);
    let (_, text) = stream_with(&world, &ada, "stall");
    assert!(text.contains("api_error"), "{text}");
    assert_eq!(world.closed().0, Outcome::UpstreamFailed);
}

#[test]
fn an_upstream_that_does_not_begin_is_a_504() {
    let world = World::with(
        |settings| settings.upstreams.iter_mut().for_each(|upstream| upstream.first_byte_seconds = 1),
        std::sync::Arc::new(gateway::Unmonitored),
    );
    let ada = world.person("ada", true);
    assert_eq!(stream_with(&world, &ada, "hang").0, 504);
}

#[test]
fn garbage_in_place_of_a_stream_never_reaches_the_caller() {
    let world = World::new();
    let ada = world.person("ada", true);
    for fake in ["garbage", "gzip"] {
        let (status, text) = stream_with(&world, &ada, fake);
        assert!(status == 502 || text.contains("api_error"), "{fake}: {status} {text}");
        assert_eq!(world.closed().0, Outcome::UpstreamFailed, "{fake}");
    }
}

#[test]
fn an_error_inside_a_200_is_relayed_as_it_is_and_recorded_as_a_failure() {
    let world = World::new();
    let ada = world.person("ada", true);
    let (status, text) = stream_with(&world, &ada, "error-inside");
    assert_eq!(status, 200);
    assert!(text.contains("error"), "{text}");
    assert_eq!(world.closed(), (Outcome::UpstreamFailed, Some("error_in_stream".to_owned())));
}

#[test]
fn an_upstreams_own_error_is_relayed_with_its_status_and_body() {
    let world = World::new();
    let ada = world.person("ada", true);
    let answer = world.post_with(&ada, CHAT, &[("x-fake", "status-429")], &body(&chat("mythos-5", false)));
    assert_eq!((answer.head.status, answer.head.get("retry-after")), (429, Some("7")));
    assert_eq!(world.closed().1.as_deref(), Some("upstream_status_429"));
    let answer = world.post_with(&ada, CHAT, &[("x-fake", "status-401")], &body(&chat("mythos-5", false)));
    assert_eq!(answer.head.status, 502, "the gateway's own credential failed, not the caller's");
}

#[test]
fn a_client_that_vanishes_mid_stream_frees_its_upstream_and_is_on_record() {
    let world = World::new();
    let ada = world.person("ada", true);
    drop(world.stream(&ada, "mythos-5"));
    assert!(world.upstream.wait_aborted(Duration::from_secs(5)));
    assert_eq!(world.closed().0, Outcome::ClientGone);
}

#[test]
fn a_client_that_vanishes_before_the_answer_is_on_record() {
    let world = World::new();
    let ada = world.person("ada", true);
    let request = body(&chat("mythos-5", true));
    let mut raw = TcpStream::connect(world.gateway.addresses()[0]).unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ada}\r\nx-fake: hang\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        request.len()
    );
    raw.write_all(&[head.as_bytes(), &request].concat()).unwrap();
    while world.gateway.live() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(raw);
    assert_eq!(world.closed().0, Outcome::ClientGone);
}

#[test]
fn bodies_that_cannot_be_taken_are_refused_by_name_and_reach_nobody() {
    let world = World::with(|settings| settings.limits.body_bytes = 4_096, std::sync::Arc::new(gateway::Unmonitored));
    let ada = world.person("ada", true);
    let deep = format!("{{\"model\":\"mythos-5\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let long = format!("{{\"model\":\"mythos-5\",\"x\":\"{}\"}}", "y".repeat(5_000));
    for (bytes, status) in [
        (&b"not json"[..], 400),
        (b"{\"model\":\"mythos-5\",\"model\":\"ember-2\"}", 400),
        (b"{\"model\":\"\xff\"}", 400),
        (b"{}", 400),
        (deep.as_bytes(), 400),
        (long.as_bytes(), 413),
        (b"{\"model\":\"nobody-1\"}", 404),
    ] {
        let answer = world.post_with(&ada, CHAT, &[], bytes);
        assert_eq!(answer.head.status, status, "{}", String::from_utf8_lossy(bytes));
        let error: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert!(error["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    }
    assert!(world.upstream.received().is_empty());
    assert!(world.entries().iter().all(|entry| entry.kind != Kind::Open));
}

#[test]
fn smuggled_requests_are_refused_and_nothing_follows_them_through() {
    let world = World::new();
    let ada = world.person("ada", true);
    let inner =
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ada}\r\ncontent-length: 2\r\n\r\n{{}}");
    for framing in [
        "content-length: 0\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "transfer-encoding: chunked, identity",
        "transfer-encoding : chunked",
    ] {
        let mut raw = TcpStream::connect(world.gateway.addresses()[0]).unwrap();
        raw.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {ada}\r\n{framing}\r\n\r\n0\r\n\r\n{inner}"
        );
        raw.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        let _ = raw.read_to_string(&mut text);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{framing}: {text}");
        assert!(text.matches("HTTP/1.1").count() <= 1, "{framing}: {text}");
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn paths_that_are_not_carried_say_so_in_their_own_dialect() {
    let world = World::new();
    let ada = world.person("ada", true);
    for path in ["/v1/files", "/v1/batches", "/v1/audio/speech", "/v1/messages/batches", "/v1/fine_tuning/jobs"] {
        let answer = world.post(&ada, path, &chat("mythos-5", false));
        assert!(matches!(answer.head.status, 404 | 501), "{path}: {}", answer.head.status);
        let error: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains("not offered"), "{path}: {error}");
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn more_calls_than_one_caller_may_have_are_told_to_come_back() {
    let world =
        World::with(|settings| settings.limits.in_flight_per_caller = 1, std::sync::Arc::new(gateway::Unmonitored));
    let ada = world.person("ada", true);
    let _held = world.stream(&ada, "mythos-5");
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 429);
    assert!(answer.head.get("retry-after").is_some());
}

#[test]
fn a_clock_that_steps_back_stops_calls_until_it_is_set() {
    let world = World::new();
    let ada = world.person("ada", true);
    let before = world.clock.behind();
    assert_eq!(before, Duration::ZERO);
    world.clock.set(terms::Moment::parse("2026-06-27T11:00:00Z").unwrap());
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 503);
    assert!(world.gateway.ready().is_err());
    assert!(world.upstream.received().is_empty(), "nothing reached a model");
}

#[test]
fn a_stopped_ledger_lets_nothing_out() {
    let world = World::new();
    let ada = world.person("ada", true);
    world.ledger.stop().unwrap();
    let answer = world.post(&ada, CHAT, &chat("mythos-5", true));
    assert_eq!(answer.head.status, 503);
    assert!(world.upstream.received().is_empty(), "nothing reached a model");
}

#[test]
fn draining_lets_streams_finish_and_takes_no_more() {
    let world = World::new();
    let ada = world.person("ada", true);
    let held = world.post_with(&ada, CHAT, &[("x-fake", "slow-10-50")], &body(&chat("mythos-5", true)));
    let draining = std::thread::spawn(move || (world.gateway.drain(Duration::from_secs(10)), world));
    let text = held.text().unwrap();
    assert!(text.contains("[DONE]"), "{text}");
    let (finished, world) = draining.join().unwrap();
    assert!(finished);
    assert!(TcpStream::connect(world.gateway.addresses()[0]).is_err());
}

#[test]
fn what_refers_to_input_stored_upstream_is_refused_and_reaches_nobody() {
    let world = World::new();
    let ada = world.person("ada", true);
    for (path, more) in [
        ("/v1/responses", r#""conversation":"conv_other""#),
        ("/v1/responses", r#""prompt":{"id":"pmpt_1"}"#),
        ("/v1/responses", r#""input":[{"type":"item_reference","id":"msg_1"}]"#),
        ("/v1/responses", r#""tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#),
        ("/v1/messages", r#""container":"cntr_1""#),
    ] {
        let request = format!(r#"{{"model":"mythos-5",{more}}}"#);
        let answer = world.post_with(&ada, path, &[], request.as_bytes());
        assert!(matches!(answer.head.status, 404 | 501), "{more}: {}", answer.head.status);
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn a_response_in_the_background_is_not_offered_since_no_recall_would_reach_it() {
    let world = World::new();
    let ada = world.person("ada", true);
    for more in [r#""background":true"#, r#""background":true,"stream":true"#] {
        let request = format!(r#"{{"model":"mythos-5","input":"hi",{more}}}"#);
        let answer = world.post_with(&ada, "/v1/responses", &[], request.as_bytes());
        assert_eq!(answer.head.status, 404, "{more}");
        let told: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert_eq!(told["error"]["code"], "not_offered");
    }
    assert!(world.upstream.received().is_empty());
    let request = br#"{"model":"mythos-5","input":"hi","background":false}"#;
    assert_eq!(world.post_with(&ada, "/v1/responses", &[], request).head.status, 200);
}

#[test]
fn what_a_stored_response_used_counts_once_however_often_it_is_fetched() {
    let world = World::new();
    let ada = world.person("ada", true);
    let made = world.post(&ada, "/v1/responses", &serde_json::json!({"model": "mythos-5", "input": "hi"}));
    let made: Value = serde_json::from_str(&made.text().unwrap()).unwrap();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(world.get(&ada, &path).head.status, 200);
    }
    let closes = world.entries().into_iter().filter(|entry| entry.kind == Kind::Close);
    let used: Vec<_> =
        closes.map(|close| (close.usage.unwrap().input_tokens, close.usage.unwrap().output_tokens)).collect();
    assert!(used[0].0.is_some_and(|tokens| tokens > 0), "{used:?}");
    assert_eq!(used[1..], [(Some(0), Some(0)); 2]);
}

#[test]
fn a_stranger_is_answered_before_the_body_is_read() {
    let world = World::new();
    let mut raw = TcpStream::connect(world.gateway.addresses()[0]).unwrap();
    raw.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 30000000\r\n\r\n{{"
    );
    raw.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    raw.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}
