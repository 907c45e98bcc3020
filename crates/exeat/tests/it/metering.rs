//! The real gateway with the real meter before a scripted model server: their records agree, also after kills.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    http,
    server::{Server, free_port},
};

use crate::{
    client::{Ask, hear},
    world::{Keys, World, populate, said},
};

const METER: &str = "meter.example.com/exeat/test";
const GATEWAY: &str = "log.example.com/exeat/test";
const SECRET: &str = "of-reconciliation-and-nothing-else-0123456789";

const STREAM: Ask = Ask { anthropic: false, model: "mythos-5", stream: true, pieces: 5, gap_ms: 0 };

/// A gateway and a meter before a scripted model server.
struct Both {
    world: World,
    address: SocketAddr,
    keys: Keys,
}

/// A meter as a process. Killed when dropped.
struct Metering(Child);

impl Both {
    /// Sets both up, each with the other's keys, and starts them.
    fn start() -> (Self, Server, Metering) {
        let mut world = World::new();
        let (address, model_server) = (free_port().unwrap(), world.setup.upstream);
        (world.setup.upstream, world.setup.meter) = (address, Some(METER.to_owned()));
        let server = world.setup.start().unwrap();
        let keys = populate(&server);
        let both = Self { world, address, keys };
        both.configure(model_server);
        let metering = both.meter();
        (both, server, metering)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    fn configure(&self, model_server: SocketAddr) {
        let mut key = Command::new(&self.world.setup.exeat);
        key.args(["ledger", "ticket-key", "--file"]).arg(self.world.setup.dir.join("data/ticket.key"));
        let key = key.output().unwrap();
        assert!(key.status.success(), "{}", said(&key));
        fs::write(self.path("tickets.jwk"), key.stdout).unwrap();
        fs::write(self.path("secret"), SECRET).unwrap();
        let vkey = fs::read_to_string(self.world.ledger().join("log/log.vkey")).unwrap();
        let address = self.address;
        let config = format!(
            "[meter]\norigin = \"{METER}\"\ndata_dir = \"meter-data\"\nlisten = \"{address}\"\ndrain_seconds = 5\n\
             [meter.upstream]\nurl = \"http://{model_server}\"\n\
             [[meter.issuers]]\norigin = \"{GATEWAY}\"\nticket_key_file = \"tickets.jwk\"\nlog_vkey = \"{}\"\n\
             [meter.reconciliation]\nsecret_file = \"secret\"\n[ledger]\nsegment_mib = 4\n[log]\nlevel = \"warn\"\n",
            vkey.trim()
        );
        fs::write(self.path("meter.toml"), config).unwrap();
    }

    /// Starts the meter and waits until it is ready.
    fn meter(&self) -> Metering {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("meter.log")).unwrap();
        let mut command = Command::new(&self.world.setup.exeat);
        command.arg("meter").arg("--config").arg(self.path("meter.toml")).stdin(Stdio::null()).stderr(log);
        let metering = Metering(command.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        while !http::send(self.address, "GET", "/readyz", &[], b"").is_ok_and(|answer| answer.head.status == 200) {
            assert!(Instant::now() < until, "{}", fs::read_to_string(self.path("meter.log")).unwrap());
            thread::sleep(Duration::from_millis(10));
        }
        metering
    }

    /// Compares the two records from their files.
    fn reconcile(&self) -> (bool, Value) {
        let mut command = self.reconciling();
        command.arg("--meter").arg(self.path("meter-data/ledger"));
        command.arg("--ticket-key").arg(self.path("tickets.jwk"));
        answer(&command.output().unwrap())
    }

    fn reconciling(&self) -> Command {
        let mut command = Command::new(&self.world.setup.exeat);
        command.args(["ledger", "reconcile", "--json", "--ledger"]).arg(self.world.ledger());
        command
    }

    /// Calls straight at the meter, around the gateway, with a ticket or without.
    fn around(&self, ticket: Option<&str>) -> (u16, String) {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(ticket.map(|ticket| ("exeat-ticket", ticket)));
        let body = json!({ "model": "mythos-5", "messages": [] }).to_string();
        let answer = http::send(self.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).unwrap();
        let status = answer.head.status;
        let said: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        (status, said["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Metering {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn terminate(mut self) {
        let sent = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success() && self.0.wait().unwrap().success());
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn answer(output: &Output) -> (bool, Value) {
    let rows: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    assert!(rows.is_some(), "{}", said(output));
    (output.status.success(), rows.unwrap())
}

/// Adds a member up over all rows.
fn total(rows: &Value, side: &str, member: &str) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row[side][member].as_u64().unwrap()).sum()
}

fn early(rows: &Value) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row["early"]["meter"]["calls"].as_u64().unwrap()).sum()
}

#[test]
fn what_goes_through_both_is_in_both_records_token_by_token() {
    let (both, server, metering) = Both::start();
    for n in 0..12 {
        let ask = Ask { anthropic: n % 2 == 0, stream: n % 3 != 0, pieces: n, ..STREAM };
        let heard = ask.call(server.address, &both.keys.citizen).unwrap();
        assert!(heard.status == 200 && heard.whole, "{heard:?}");
    }
    // Refused by the gateway, it never comes to the meter.
    assert_eq!(STREAM.call(server.address, "no-key").unwrap().status, 401);
    let mut asked = both.reconciling();
    asked.args(["--meter-url", &format!("http://{}", both.address), "--secret-file"]).arg(both.path("secret"));
    asked.arg("--vkey").arg(both.path("meter-data/ledger/log/log.vkey"));
    let (online, from_meter) = answer(&asked.output().unwrap());
    metering.terminate();
    assert!(server.terminate().unwrap().success());
    let (agree, rows) = both.reconcile();
    assert!(agree && online, "{rows}");
    assert_eq!(rows, from_meter);
    assert_eq!((total(&rows, "gateway", "calls"), total(&rows, "meter", "calls"), early(&rows)), (12, 12, 0));
    assert!(total(&rows, "meter", "output") > 0 && total(&rows, "meter", "events") > 0);
    let report = both.world.verify();
    assert!(report.holds(), "{report}");
}

#[test]
fn nobody_reaches_the_model_server_around_the_gateway() {
    let (both, server, metering) = Both::start();
    assert_eq!(both.around(None), (401, "ticket_missing".to_owned()));
    assert_eq!(both.around(Some("e30.e30.e30")), (401, "ticket_invalid".to_owned()));
    // A caller's own ticket goes no further than the gateway.
    let bearer = format!("Bearer {}", both.keys.citizen);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("exeat-ticket", "forged")];
    let body = json!({ "model": "mythos-5", "messages": [] }).to_string();
    let answer = http::send(server.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.head.status, 200);
    drop((server, metering));
}

#[test]
fn a_meter_that_is_killed_in_mid_stream_still_has_the_call() {
    let (both, server, metering) = Both::start();
    let slow = Ask { pieces: 1_000, gap_ms: 20, ..STREAM };
    let mut streams: Vec<_> = (0..3).map(|_| slow.open(server.address, &both.keys.citizen).unwrap()).collect();
    streams.iter_mut().for_each(|stream| drop(stream.next_piece().unwrap()));
    metering.kill();
    assert!(streams.into_iter().map(hear).all(|heard| !heard.body.ends_with(b"[DONE]\n\n")));
    let metering = both.meter();
    assert!(STREAM.call(server.address, &both.keys.citizen).unwrap().whole);
    metering.terminate();
    assert!(server.terminate().unwrap().success());
    let (agree, rows) = both.reconcile();
    assert!(agree, "{rows}");
    assert_eq!((total(&rows, "meter", "calls"), early(&rows)), (1, 3), "{rows}");
}

#[test]
fn a_gateway_that_is_killed_in_mid_stream_leaves_nothing_unaccounted_for() {
    let (both, server, metering) = Both::start();
    let slow = Ask { pieces: 1_000, gap_ms: 20, ..STREAM };
    let mut streams: Vec<_> = (0..3).map(|_| slow.open(server.address, &both.keys.citizen).unwrap()).collect();
    streams.iter_mut().for_each(|stream| drop(stream.next_piece().unwrap()));
    server.kill().unwrap();
    drop(streams);
    let server = both.world.setup.start().unwrap();
    assert!(STREAM.call(server.address, &both.keys.citizen).unwrap().whole);
    assert!(server.terminate().unwrap().success());
    metering.terminate();
    let (agree, rows) = both.reconcile();
    assert!(agree, "{rows}");
    assert_eq!((total(&rows, "gateway", "calls"), early(&rows)), (1, 3), "{rows}");
}

#[test]
fn a_record_that_lost_a_call_is_told_by_the_other() {
    let (both, server, metering) = Both::start();
    STREAM.call(server.address, &both.keys.citizen).unwrap();
    assert!(server.terminate().unwrap().success());
    // The gateway's folder as it is now; then the gateway serves one call more, and the folder is put back.
    let (ledger, kept) = (both.world.ledger(), both.path("kept"));
    copy(&ledger, &kept);
    let server = both.world.setup.start().unwrap();
    STREAM.call(server.address, &both.keys.citizen).unwrap();
    assert!(server.terminate().unwrap().success());
    metering.terminate();
    assert!(both.reconcile().0);
    fs::remove_dir_all(&ledger).unwrap();
    copy(&kept, &ledger);
    let (agree, rows) = both.reconcile();
    assert!(!agree, "{rows}");
    let named = &rows.as_array().unwrap().iter().find(|row| row["agree"] == false).unwrap()["discrepancies"][0];
    assert_eq!((&named["kinds"], &named["gateway"]), (&json!(["not_in_gateway"]), &Value::Null));
    assert_eq!(named["meter"]["outcome"], "completed");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
    assert!(copied.status.success(), "{}", said(&copied));
}
