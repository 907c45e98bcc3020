//! The record reaches as far as the output: no event beyond the lease, no last event before the closing entry.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use gateway::Unmonitored;
use proof::entry::{Entry, Kind, Outcome};
use testkit::http::Answer;

use crate::world::{CHAT, World, body, chat, served};

/// Longer than anything here takes that does not wait for the disk.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);

/// A body that is read on a thread of its own, so that a test can see that nothing comes.
struct Reading {
    pieces: Receiver<Vec<u8>>,
    text: String,
}

impl Reading {
    fn of(mut answer: Answer) -> Self {
        let (sender, pieces) = channel();
        thread::spawn(move || {
            while let Ok(Some(piece)) = answer.next_piece() {
                if sender.send(piece).is_err() {
                    return;
                }
            }
        });
        Self { pieces, text: String::new() }
    }

    /// Reads the first piece.
    fn first(&mut self) {
        let piece = self.pieces.recv_timeout(Duration::from_secs(30)).unwrap();
        self.text.push_str(&String::from_utf8(piece).unwrap());
    }

    /// Reads until nothing more comes for a while; returns all that came so far.
    fn until_silent(&mut self) -> &str {
        while let Ok(piece) = self.pieces.recv_timeout(SILENCE) {
            self.text.push_str(&String::from_utf8(piece).unwrap());
        }
        &self.text
    }

    /// Reads to the end; returns all that came.
    fn all(mut self) -> String {
        self.text.extend(self.pieces.into_iter().map(|piece| String::from_utf8(piece).unwrap()));
        self.text
    }
}

fn stream(world: &World, key: &str, path: &str, fake: &str) -> Reading {
    let answer = world.post_with(key, path, &[("x-fake", fake)], &body(&chat("mythos-5", true)));
    assert_eq!(answer.head.status, 200);
    let mut reading = Reading::of(answer);
    reading.first();
    reading
}

/// Returns the entries that are durable now.
pub(crate) fn durable(world: &World) -> Vec<Entry> {
    let durable = usize::try_from(world.ledger.health().durable).unwrap();
    let stored = world.ledger.reader().entries(0).unwrap().take(durable);
    stored.map(|stored| Entry::decode(&stored.unwrap().leaf).unwrap()).collect()
}

#[test]
fn the_last_event_of_a_stream_waits_for_the_closing_entry() {
    let world = World::new();
    let ada = world.person("ada", true);
    for (path, last) in [(CHAT, "[DONE]"), ("/v1/messages", "message_stop"), ("/v1/responses", "response.completed")] {
        let request = body(&chat("mythos-5", true));
        let headers = [("content-type", "application/json"), ("x-fake", "slow-4-0")];
        let direct = testkit::http::send(world.upstream.address(), "POST", path, &headers, &request).unwrap();
        let direct = direct.text().unwrap();
        let mut reading = stream(&world, &ada, path, "slow-4-30");
        let stall = world.disk.stall();
        let so_far = reading.until_silent();
        let held = direct.strip_prefix(so_far).unwrap_or_else(|| panic!("{so_far}"));
        assert!(held.contains(last) && held.trim_end().matches("\n\n").count() == 0, "only the last is held: {held}");
        assert!(durable(&world).iter().rfind(|entry| entry.kind != Kind::Lease).unwrap().kind == Kind::Open);
        drop(stall);
        assert_eq!(reading.all(), direct);
        assert_eq!(world.closed(), (Outcome::Completed, None));
    }
}

#[test]
fn a_whole_answer_waits_for_the_closing_entry() {
    let world = World::new();
    let ada = world.person("ada", true);
    let fake = [("x-fake", "slow-4-100")];
    thread::scope(|scope| {
        let answer = scope.spawn(|| world.post_with(&ada, CHAT, &fake, &body(&chat("mythos-5", false))));
        while !durable(&world).iter().any(|entry| entry.kind == Kind::Open) {
            thread::sleep(Duration::from_millis(5));
        }
        let stall = world.disk.stall();
        assert!(world.upstream.wait_until(Duration::from_secs(5), |received| {
            received.iter().any(|request| request.fate == testkit::upstream::Fate::Given)
        }));
        thread::sleep(SILENCE);
        assert!(!answer.is_finished(), "nothing comes while the disk stalls");
        drop(stall);
        let answer = answer.join().unwrap();
        assert_eq!(answer.head.status, 200);
        assert!(answer.text().unwrap().contains("chat.completion"));
    });
    assert_eq!(world.closed(), (Outcome::Completed, None));
}

#[test]
fn without_a_closing_entry_the_last_event_never_leaves() {
    let world = World::new();
    let ada = world.person("ada", true);
    let reading = stream(&world, &ada, CHAT, "slow-4-30");
    world.disk.fail();
    let text = reading.all();
    assert!(!text.contains("[DONE]"), "{text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\n") && last.contains("ledger_unavailable"), "{last}");
    assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 503, "the log is fenced");
}

#[test]
fn no_event_beyond_the_lease_leaves_before_the_entry_that_grants_it() {
    let world = World::with(|settings| settings.lease_events = 8, Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let mut reading = stream(&world, &ada, CHAT, "slow-60-5");
    let stall = world.disk.stall();
    let delivered = reading.until_silent().matches("data: ").count() as u64;
    let granted = durable(&world).iter().filter_map(|entry| entry.lease).max().unwrap();
    assert_eq!(delivered, granted, "as many as the durable entries allow, and no more");
    assert!(granted < 60);
    drop(stall);
    assert!(reading.all().contains("[DONE]"));
    let entries = world.entries();
    let open = entries.iter().find(|entry| entry.kind == Kind::Open).unwrap();
    let leases: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == Kind::Lease).collect();
    assert_eq!(open.lease, Some(8));
    assert!(leases.iter().map(|lease| lease.lease.unwrap()).eq((2..10).map(|n| n * 8)), "{leases:?}");
    for lease in leases {
        assert_eq!((lease.call, lease.subject, &lease.model), (open.call, open.subject, &open.model));
        assert_eq!(entries.iter().position(|entry| entry == open).map(|at| at as u64), lease.opened);
    }
}

#[test]
fn a_lease_that_cannot_be_extended_ends_the_stream() {
    let world = World::with(|settings| settings.lease_events = 8, Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let reading = stream(&world, &ada, CHAT, "slow-60-5");
    world.disk.fail();
    let text = reading.all();
    let granted = durable(&world).iter().filter_map(|entry| entry.lease).max().unwrap();
    assert_eq!(text.matches("data: ").count() as u64, granted + 1, "and the gateway's own: {text}");
    assert!(text.contains("ledger_unavailable") && !text.contains("[DONE]"), "{text}");
    assert!(world.upstream.wait_aborted(Duration::from_secs(5)));
}

#[test]
fn a_recall_while_the_closing_entry_is_written_keeps_the_last_event_back() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let mut reading = stream(&world, &minh, CHAT, "slow-4-30");
    let stall = world.disk.stall();
    reading.until_silent();
    assert_eq!(world.june_12().recalled, 1);
    let text = reading.until_silent().to_owned();
    assert!(text.contains("foreign_person_barred") && !text.contains("[DONE]"), "{text}");
    drop(stall);
    assert_eq!(reading.all(), text);
    let closes = world.entries().into_iter().filter(|entry| entry.kind == Kind::Close).count();
    assert_eq!(closes, 1);
}

#[test]
fn a_strict_gateway_calls_no_model_before_the_opening_entry_is_durable_and_another_does() {
    for strict in [true, false] {
        let world = World::with(|settings| settings.strict = strict, Arc::new(Unmonitored));
        let ada = world.person("ada", true);
        let stall = world.disk.stall();
        thread::scope(|scope| {
            let answer = scope.spawn(|| world.post(&ada, CHAT, &chat("mythos-5", true)));
            thread::sleep(SILENCE);
            assert_eq!(
                world.upstream.received().is_empty(),
                strict,
                "the model works while the disk does, or does not"
            );
            assert!(!answer.is_finished(), "nothing comes before the opening entry");
            drop(stall);
            assert!(answer.join().unwrap().text().unwrap().contains("[DONE]"));
        });
        assert_eq!(world.closed(), (Outcome::Completed, None));
    }
}

/// Serves one request with `answer` as a stream of events, whatever it asks for, and closes the connection.
pub(crate) fn once(answer: impl Into<String>) -> String {
    once_as("text/event-stream", answer)
}

/// Serves one request with `answer` of a media type, whatever it asks for, and closes the connection.
pub(crate) fn once_as(media: &'static str, answer: impl Into<String>) -> String {
    let (answer, listener) = (answer.into(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\nconnection: close\r\n\r\n");
        stream.write_all([head, answer].concat().as_bytes()).unwrap();
    });
    url
}

/// Reads a request with a `content-length` to its end.
fn read_request(stream: &mut TcpStream) {
    let (mut read, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let came = stream.read(&mut buffer).unwrap();
        read.extend(buffer.iter().take(came));
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if came == 0 || body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

#[test]
fn an_end_behind_an_error_is_relayed_too() {
    let sent = "data: {\"error\":{\"message\":\"busy\"}}\n\ndata: [DONE]\n\n";
    let url = once(sent);
    let world = World::with(|settings| settings.upstreams = vec![served("mythos-5", &url)], Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", true)).text().unwrap(), sent);
    assert_eq!(world.closed(), (Outcome::UpstreamFailed, Some("error_in_stream".to_owned())));
}

#[test]
fn output_behind_the_last_event_is_not_relayed() {
    let sent = "data: {\"choices\":[{}]}\n\ndata: [DONE]\n\n: a comment\n\ndata: {\"choices\":[{\"late\":1}]}\n\n";
    let url = once(sent);
    let world = World::with(|settings| settings.upstreams = vec![served("mythos-5", &url)], Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let text = world.post(&ada, CHAT, &chat("mythos-5", true)).text().unwrap();
    assert_eq!(text, "data: {\"choices\":[{}]}\n\ndata: [DONE]\n\n: a comment\n\n");
    let close = world.entries().into_iter().find(|entry| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.outcome, close.usage.unwrap().delivered_events), (Some(Outcome::Completed), 1));
}

/// A whole stream of the Responses API whose last event is of `bytes` bytes before its blank line.
pub(crate) fn responses_ended_by(bytes: usize) -> String {
    let head = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":\"";
    let fill = "x".repeat(bytes - head.len() - 3);
    format!("event: response.output_text.delta\ndata: {{\"delta\":\"hi\"}}\n\n{head}{fill}\"}}}}\n\n")
}

#[test]
fn a_last_event_too_long_to_hold_is_relayed_to_its_last_byte() {
    for bytes in [(4 << 20) - 100, (4 << 20) + 1, 9 << 20] {
        let sent = responses_ended_by(bytes);
        let url = once(sent.clone());
        let world = World::with(|settings| settings.upstreams = vec![served("mythos-5", &url)], Arc::new(Unmonitored));
        let ada = world.person("ada", true);
        let text = world.post(&ada, "/v1/responses", &chat("mythos-5", true)).text().unwrap();
        assert!(text == sent, "{bytes}: {} of {} bytes came", text.len(), sent.len());
        assert_eq!(world.closed(), (Outcome::Completed, None), "{bytes}");
    }
}

#[test]
fn an_end_of_another_dialect_behind_the_last_event_is_relayed_and_counts_for_nothing() {
    let sent = format!("{}data: [DONE]\n\n", responses_ended_by(200));
    let url = once(sent.clone());
    let world = World::with(|settings| settings.upstreams = vec![served("mythos-5", &url)], Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    assert_eq!(world.post(&ada, "/v1/responses", &chat("mythos-5", true)).text().unwrap(), sent);
    let close = world.entries().into_iter().find(|entry| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.outcome, close.usage.unwrap().delivered_events), (Some(Outcome::Completed), 1));
}
