//! Replies pass unchanged and are counted; the count is on disk before the last event leaves.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    thread,
    time::Duration,
};

use proof::entry::{Kind, Outcome, Usage};
use serde_json::json;
use testkit::http;

use crate::world::{World, streaming, whole};

/// Sends the same request to the model server itself.
fn direct(world: &World, path: &str, fake: &str, body: &serde_json::Value) -> String {
    let headers = [("content-type", "application/json"), ("x-fake", fake), ("accept-encoding", "identity")];
    http::send(world.upstream.address(), "POST", path, &headers, body.to_string().as_bytes()).unwrap().text().unwrap()
}

#[test]
fn every_reply_passes_byte_for_byte_in_both_dialects() {
    let world = World::new();
    let meter = world.start();
    let mut call = 0;
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"] {
        for (stream, fake) in [(true, ""), (false, ""), (true, "split"), (true, "crlf"), (true, "huge")] {
            call += 1;
            let body = json!({ "model": "mythos-5", "stream": stream, "max_tokens": 9, "messages": [], "input": "a", "prompt": "a" });
            let ticket = world.mint(call);
            let headers = [("content-type", "application/json"), ("x-fake", fake), ("exeat-ticket", ticket.as_str())];
            let answer = http::send(meter.address, "POST", path, &headers, body.to_string().as_bytes()).unwrap();
            assert_eq!(answer.text().unwrap(), direct(&world, path, fake, &body), "{path} {stream} {fake}");
        }
    }
    meter.stop();
    assert_eq!(world.outcomes(), vec![Some(Outcome::Completed); usize::from(call)]);
    let tickets = world.upstream.received().iter().filter(|received| received.header("exeat-ticket").is_some()).count();
    assert_eq!(tickets, 0, "tickets end at the meter");
}

#[test]
fn what_the_model_server_reports_is_on_record_with_the_call() {
    let world = World::new();
    let meter = world.start();
    meter.chat(Some(&world.mint(1)), "slow-5-0", &streaming()).text().unwrap();
    meter.chat(Some(&world.mint(2)), "usage-5000", &whole()).text().unwrap();
    meter.stop();
    let record = world.record();
    let closes: Vec<Usage> =
        record.iter().filter(|entry| entry.kind == Kind::Close).filter_map(|entry| entry.usage).collect();
    assert!(closes[0].output_tokens.is_some() && closes[0].delivered_events >= 5, "{closes:?}");
    assert_eq!((closes[1].input_tokens, closes[1].delivered_events), (Some(5_000), 0));
    let taken: Vec<_> = record.iter().filter(|entry| entry.kind == Kind::Metered).collect();
    assert_eq!(taken.iter().map(|entry| entry.call.unwrap()[0]).collect::<Vec<_>>(), [1, 2]);
    assert!(taken.iter().all(|entry| entry.private.is_some() && entry.model.as_deref() == Some("mythos-5")));
}

/// A gateway counts up to the event that ends a stream, so the meter does: what comes behind it would make them differ.
#[test]
fn what_comes_after_the_last_event_does_not_count() {
    let world = World::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = world.settings();
    settings.upstream.url = format!("http://{}", server.local_addr().unwrap());
    let meter = world.start_with(settings);
    let event = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let events = event("a") + "data: [DONE]\n\n" + &event("b") + &event("c");
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        // An answer to what was not asked yet is none.
        let mut asked: Vec<u8> = Vec::new();
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut some = [0; 1_024];
            let read = stream.read(&mut some).unwrap();
            asked.extend(&some[..read]);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        stream.write_all(format!("{head}{events}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new())
    });
    let heard = meter.chat(Some(&world.mint(1)), "", &streaming()).text().unwrap();
    meter.stop();
    serving.join().unwrap().unwrap();
    let usage = world.record().iter().find_map(|entry| entry.usage).unwrap();
    assert!(heard.contains("[DONE]"), "{heard}");
    assert_eq!(usage.delivered_events, 1);
}

#[test]
fn the_count_is_durable_before_the_last_event_leaves() {
    let world = World::new();
    let meter = world.start();
    for call in 1..=20 {
        let mut answer = meter.chat(Some(&world.mint(call)), "", &streaming());
        let mut seen = Vec::new();
        while let Some(piece) = answer.next_piece().unwrap() {
            seen.extend(piece);
            if seen.windows(6).any(|window| window == b"[DONE]") {
                break;
            }
        }
        assert_eq!(world.outcomes().last(), Some(&Some(Outcome::Completed)), "call {call}");
    }
    meter.stop();
}

#[test]
fn a_caller_who_leaves_ends_the_model_servers_work_and_the_record_says_so() {
    let world = World::new();
    let meter = world.start();
    let mut answer = meter.chat(Some(&world.mint(1)), "slow-1000-20", &streaming());
    answer.next_piece().unwrap();
    drop(answer);
    assert!(world.upstream.wait_aborted(Duration::from_secs(10)));
    meter.stop();
    assert_eq!(world.outcomes(), [Some(Outcome::ClientGone)]);
}

#[test]
fn every_failure_of_the_model_server_is_told_and_on_record() {
    let world = World::new();
    let meter = world.start();
    for (call, fake, status) in
        [(1, "status-500", 500), (2, "close", 502), (3, "gzip", 502), (4, "redirect", 502), (5, "hang", 502)]
    {
        let answer = meter.chat(Some(&world.mint(call)), fake, &streaming());
        assert_eq!(answer.head.status, status, "{fake}");
    }
    for (call, fake) in [(6, "reset"), (7, "stall"), (8, "error-inside")] {
        let answer = meter.chat(Some(&world.mint(call)), fake, &streaming());
        assert_eq!(answer.head.status, 200, "{fake}");
        assert_eq!(answer.text().is_ok(), fake == "error-inside", "{fake}");
    }
    meter.stop();
    assert_eq!(world.outcomes(), vec![Some(Outcome::UpstreamFailed); 8]);
}

#[test]
fn more_calls_than_there_is_room_for_are_told_to_come_back() {
    let world = World::new();
    let meter = world.start();
    let held: Vec<_> = (1..=8).map(|call| meter.chat(Some(&world.mint(call)), "slow-1000-20", &streaming())).collect();
    let answer = meter.chat(Some(&world.mint(9)), "", &streaming());
    assert_eq!((answer.head.status, answer.head.get("retry-after")), (503, Some("1")));
    drop(held);
    meter.stop();
}

#[test]
fn a_meter_that_is_asked_to_stop_finishes_what_it_began() {
    let world = World::new();
    let meter = world.start();
    let answer = meter.chat(Some(&world.mint(1)), "slow-20-20", &streaming());
    let stopping = thread::spawn(move || meter.stop());
    assert!(answer.text().unwrap().contains("[DONE]"));
    stopping.join().unwrap();
    assert_eq!(world.outcomes(), [Some(Outcome::Completed)]);
    assert_eq!(world.record().last().unwrap().kind, Kind::Stop);
}
