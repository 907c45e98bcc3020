//! A meter in front of a scripted model server, and a gateway's ticket key.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jose::{Alg, SigningKey, ticket::Ticket};
use ledger::{Ledger, Options, Reader};
use meter::{Meter, Settings};
use proof::entry::{Entry, Kind, Outcome};
use serde_json::{Value, json};
use terms::{CallId, Clock, ManualClock, ModelVersionId, Moment};
use testkit::{
    http::{self, Answer},
    upstream::FakeUpstream,
};
use tokio::runtime::Runtime;

pub(crate) const METER: &str = "meter.example.com/exeat/1";
pub(crate) const GATEWAY: &str = "log.example.com/exeat/1";
pub(crate) const SECRET: &str = "of-reconciliation-and-nothing-else-0123456789";

/// What a test stands on; removed with its folder.
pub(crate) struct World {
    pub(crate) upstream: FakeUpstream,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) key: SigningKey,
    dir: tempfile::TempDir,
}

/// A meter that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    meter: Option<Meter>,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Alg::EdDsa).unwrap();
        std::fs::write(dir.path().join("tickets.jwk"), key.public().to_value().to_string()).unwrap();
        std::fs::write(dir.path().join("secret"), SECRET).unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:00Z").unwrap()));
        Self { upstream: FakeUpstream::start().unwrap(), clock, key, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn ledger_dir(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings_with(None)
    }

    /// Returns settings in which the gateway's log has this verifier key.
    pub(crate) fn settings_with(&self, log_vkey: Option<String>) -> Settings {
        serde_json::from_value(json!({
            "origin": METER, "data_dir": self.dir.path(), "listen": "127.0.0.1:0",
            "upstream": { "url": self.upstream.url(), "idle_seconds": 2, "first_byte_seconds": 2 },
            "issuers": [{ "origin": GATEWAY, "ticket_key_file": self.dir.path().join("tickets.jwk"), "log_vkey": log_vkey }],
            "models": [{ "id": "mythos-5", "known_as": "mythos-5-fp8" }],
            "reconciliation": { "secret_file": self.dir.path().join("secret") },
            "limits": { "body_bytes": 65536, "in_flight": 8 }, "drain_seconds": 5,
        }))
        .unwrap()
    }

    /// Opens the meter's record.
    pub(crate) fn open(&self) -> Ledger {
        self.open_log(&self.ledger_dir(), METER)
    }

    /// Opens a log in a folder of this world.
    pub(crate) fn open_log(&self, dir: &std::path::Path, origin: &str) -> Ledger {
        let options = Options {
            origin: origin.to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 1_000,
            checkpoint_every: Duration::from_millis(50),
            heads_every: Duration::from_secs(3_600),
        };
        Ledger::open(dir, options, self.clock.clone()).unwrap().0
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(self.settings())
    }

    pub(crate) fn start_with(&self, settings: Settings) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let starting = Meter::start(settings, self.open(), self.clock.clone());
        let meter = runtime.block_on(starting).unwrap();
        Running { address: meter.address(), meter: Some(meter), runtime }
    }

    /// Starts a meter with another log, in front of the same model server.
    pub(crate) fn start_another(&self, origin: &str, log_vkey: Option<String>) -> Running {
        let settings = Settings { origin: origin.to_owned(), ..self.settings_with(log_vkey) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ledger = self.open_log(&self.path("another"), origin);
        let meter = runtime.block_on(Meter::start(settings, ledger, self.clock.clone())).unwrap();
        Running { address: meter.address(), meter: Some(meter), runtime }
    }

    /// Returns a ticket for the call with this number.
    pub(crate) fn ticket(&self, call: u8) -> Ticket {
        Ticket {
            issuer: GATEWAY.to_owned(),
            audience: METER.to_owned(),
            call: CallId([call; 16]),
            model: ModelVersionId::parse("mythos-5").unwrap(),
            index: u64::from(call),
            leaf: [call; 32],
            hour: Ticket::hour_of(self.clock.now()),
        }
    }

    pub(crate) fn mint(&self, call: u8) -> String {
        self.ticket(call).mint(&self.key, self.clock.now()).unwrap()
    }

    /// Returns every entry of the record, in order.
    pub(crate) fn record(&self) -> Vec<Entry> {
        let reader = Reader::open(&self.ledger_dir()).unwrap();
        reader.entries(0).unwrap().map(|stored| Entry::decode(&stored.unwrap().leaf).unwrap()).collect()
    }

    /// Returns how each call with a ticket ended, in the order of their tickets; none while it is open.
    pub(crate) fn outcomes(&self) -> Vec<Option<Outcome>> {
        let record = self.record();
        let taken = |(index, entry): (usize, &Entry)| {
            (entry.kind == Kind::Metered && entry.outcome.is_none()).then_some(index as u64)
        };
        let close_of =
            |opened| record.iter().find(|entry| entry.opened == Some(opened)).and_then(|entry| entry.outcome);
        record.iter().enumerate().filter_map(taken).map(close_of).collect()
    }

    /// Returns the codes of the refusals on record, in order.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let refused = |entry: Entry| {
            entry.code.filter(|_| entry.kind == Kind::Metered && entry.outcome == Some(Outcome::NotServed))
        };
        self.record().into_iter().filter_map(refused).collect()
    }
}

impl Running {
    /// Asks for a chat completion with a ticket, or without.
    pub(crate) fn chat(&self, ticket: Option<&str>, fake: &str, body: &Value) -> Answer {
        let mut headers = vec![("content-type", "application/json"), ("x-fake", fake)];
        headers.extend(ticket.map(|ticket| ("exeat-ticket", ticket)));
        http::send(self.address, "POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::send(self.address, "GET", path, headers, b"").unwrap()
    }

    /// Runs something on the meter's runtime.
    pub(crate) fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Ends the meter in good order.
    pub(crate) fn stop(mut self) {
        self.runtime.block_on(self.meter.take().unwrap().stop()).unwrap();
    }
}

pub(crate) fn streaming() -> Value {
    json!({ "model": "mythos-5", "stream": true, "stream_options": { "include_usage": true }, "messages": [] })
}

pub(crate) fn whole() -> Value {
    json!({ "model": "mythos-5", "messages": [] })
}

pub(crate) fn code_of(answer: Answer) -> (u16, String) {
    let status = answer.head.status;
    let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}
