//! A body that comes slowly: what changed meanwhile is what counts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use identity::{Holder, KeyText};
use serde_json::Value;
use terms::PersonId;

use crate::world::{CHAT, World, body, chat, now, person};

/// One connection, so that every call on it is served by the same worker.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(world: &World) -> Self {
        let stream = TcpStream::connect(world.gateway.addresses()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(BufReader::new(stream))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Sends the head of a call; returns once the gateway waits for the body, which is after it authenticated the key.
    fn begin(&mut self, key: &KeyText, length: usize) {
        let key = key.reveal();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: gateway.example.com\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        self.write(head.as_bytes());
        assert_eq!(self.head().0, 100);
    }

    /// Reads a head: the status and the length of the body.
    fn head(&mut self) -> (u16, usize) {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.trim().is_empty() {
                return (status, length);
            }
        }
    }

    /// Reads an answer: the status and the code of its error, if it is one.
    fn answer(&mut self) -> (u16, String) {
        let (status, length) = self.head();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn call(&mut self, key: &KeyText) -> (u16, String) {
        let body = body(&chat("mythos-5", false));
        self.begin(key, body.len());
        self.write(&body);
        self.answer()
    }
}

fn ada() -> Holder {
    Holder::Person { person: PersonId::parse("ada").unwrap() }
}

#[test]
fn a_key_that_is_revoked_while_its_body_comes_opens_nothing_then_or_later() {
    let world = World::new();
    world.change(identity::Change::Person(std::sync::Arc::new(person("ada", true))));
    let (key, expires_at) = (KeyText::mint().unwrap(), now().plus(Duration::from_secs(86_400)));
    world.put_key(&key, ada(), None, expires_at);
    let mut connection = Connection::open(&world);
    assert_eq!(connection.call(&key), (200, String::new()));
    let body = body(&chat("mythos-5", false));
    connection.begin(&key, body.len());
    connection.write(&body[..10]);
    world.put_key(&key, ada(), Some(now()), expires_at);
    connection.write(&body[10..]);
    let revoked = (401, "key_revoked".to_owned());
    assert_eq!(connection.answer(), revoked);
    assert_eq!(connection.call(&key), revoked, "and nothing else was remembered");
}

#[test]
fn a_key_that_passes_to_another_holder_while_its_body_comes_is_the_other_holders() {
    let world = World::new();
    world.change(identity::Change::Person(std::sync::Arc::new(person("ada", true))));
    let (key, expires_at) = (KeyText::mint().unwrap(), now().plus(Duration::from_secs(86_400)));
    world.put_key(&key, ada(), None, expires_at);
    let body = body(&chat("mythos-5", false));
    let mut connection = Connection::open(&world);
    connection.begin(&key, body.len());
    world.put_key(&key, Holder::Shared, None, expires_at);
    connection.write(&body);
    assert_eq!(connection.answer().0, 403);
}
