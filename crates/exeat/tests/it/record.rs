//! A record of calls by two organizations, asked for by commands.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its record fails")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use ledger::Reader;
use proof::entry::Entry;
use serde_json::{Value, json};
use terms::{Clock, Moment, SystemClock};
use testkit::server::Server;

use crate::{
    client::Ask,
    world::{World, administered, answered, failed, said},
};

/// A server with calls of two organizations on two models, and two approvers.
pub(crate) struct Record {
    pub(crate) world: World,
    pub(crate) server: Server,
    /// From when to when calls are asked for.
    pub(crate) time: (String, String),
    /// Keys of Ada, who is of the lab, and of Noor, who is not.
    keys: [String; 2],
}

pub(crate) const HERE: &str = "larkspur-labs";
pub(crate) const THERE: &str = "northgate-grid";

impl Record {
    /// Makes calls before, in and after a time; the server is started anew before each, which writes down its chains.
    pub(crate) fn new() -> Self {
        let mut world = World::new();
        world.setup.approvals = 2;
        let server = world.setup.start().unwrap();
        server.lab().unwrap();
        let keys = [server.person("ada", true).unwrap(), elsewhere(&server)];
        traffic(&server, &keys, 3);
        let server = again(&world, server);
        let from = now();
        traffic(&server, &keys, 4);
        let to = now();
        let server = again(&world, server);
        traffic(&server, &keys, 2);
        let record = Self { world, server, time: (from, to), keys };
        for (who, role) in [("iris", "counsel"), ("otto", "security")] {
            let key = record.json(&["approver", "keygen", "--out", &record.key(who)]);
            let public = key.get("public_key").and_then(Value::as_str).unwrap();
            record.json(&["approver", "add", who, "--role", role, "--public-key", public]);
        }
        record
    }

    pub(crate) fn key(&self, who: &str) -> String {
        self.world.path(&format!("{who}.jwk")).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = administered(&self.server);
        command.arg("--json").args(arguments).env("EXEAT_LEDGER", self.world.ledger());
        command
    }

    /// Runs a command that must succeed; returns what it answers.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        answered(&mut self.command(arguments))
    }

    /// Runs a command that must fail; returns what it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        said(&failed(&mut self.command(arguments)))
    }

    /// Makes more calls, in the same process of the server; asks for them from here on.
    pub(crate) fn go_on(&mut self, count: usize) {
        let from = now();
        traffic(&self.server, &self.keys, count);
        self.time = (from, now());
    }

    /// Requests the calls of the lab on one model, with their facts; returns the production.
    pub(crate) fn request(&self) -> String {
        self.request_with("facts")
    }

    fn request_with(&self, disclose: &str) -> String {
        let (from, to) = &self.time;
        let name = format!("organization:{HERE}");
        let selection = ["--model", "mythos-5", "--from", from, "--to", to, "--disclose", disclose];
        let asked = [&["production", "request", &name][..], &selection, &["--reason", "letter"]].concat();
        self.json(&asked).pointer("/item/id").and_then(Value::as_str).unwrap().to_owned()
    }

    pub(crate) fn sign(&self, id: &str, who: &str) {
        self.json(&["production", "sign", id, "--key", &self.key(who), "--approver", who]);
    }

    /// Requests a production and has it approved.
    pub(crate) fn approved(&self) -> String {
        self.approved_with("facts")
    }

    /// Does as [`Record::approved`], disclosing something else.
    pub(crate) fn approved_with(&self, disclose: &str) -> String {
        let id = self.request_with(disclose);
        self.sign(&id, "iris");
        self.sign(&id, "otto");
        id
    }

    pub(crate) fn in_time(&self, entry: &Entry) -> bool {
        let at = |text: &str| Moment::parse(text).unwrap().as_millis().unsigned_abs();
        (at(&self.time.0)..at(&self.time.1)).contains(&entry.at_ms)
    }

    pub(crate) fn out(&self, name: &str) -> (PathBuf, String) {
        let path = self.world.path(name);
        let text = path.display().to_string();
        (path, text)
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.world.ledger()).unwrap()
    }
}

fn now() -> String {
    // Times of entries are whole milliseconds: nothing may be of the same one.
    thread::sleep(Duration::from_millis(3));
    let now = SystemClock::default().now().to_string();
    thread::sleep(Duration::from_millis(3));
    now
}

fn again(world: &World, server: Server) -> Server {
    assert!(server.terminate().unwrap().success());
    world.setup.start().unwrap()
}

/// Registers somebody of another organization; returns their key.
fn elsewhere(server: &Server) -> String {
    let post = |path: &str, body: Value| server.admin("POST", path, &body).unwrap();
    post(
        "/admin/v1/organizations",
        json!({
            "id": THERE, "legal_name": "Northgate Grid, Inc.", "country": "US", "kind": "us", "screening": "cleared",
            "coverage": "none",
        }),
    );
    post("/admin/v1/people", json!({"id": "noor", "display_name": "noor", "screening": "cleared"}));
    let (past, future) = ("2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z");
    for claim in [
        json!({"kind": "us_person", "limb": "citizen"}),
        json!({"kind": "location", "country": "US", "method": "declared"}),
    ] {
        post(
            "/admin/v1/attestations",
            json!({
                "person": "noor", "claim": claim, "issuer": "verity-idv", "evidence": "case 2", "assurance": "ial2",
                "issued_at": past, "expires_at": future,
            }),
        );
    }
    post(
        "/admin/v1/affiliations",
        json!({
            "person": "noor", "organization": THERE, "engagement": "employee", "issuer": "northgate-hr",
            "evidence": "roster", "attested_at": past, "ends_at": future,
        }),
    );
    let key = json!({"holder": {"kind": "person", "person": "noor"}, "organization": THERE});
    let minted = post("/admin/v1/keys", key);
    minted.get("key").and_then(Value::as_str).unwrap().to_owned()
}

/// Makes `count` calls with each key on each model.
fn traffic(server: &Server, keys: &[String; 2], count: usize) {
    for _ in 0..count {
        for (key, model) in keys.iter().flat_map(|key| [(key, "mythos-5"), (key, "ember-2")]) {
            let ask = Ask { anthropic: false, model, stream: false, pieces: 1, gap_ms: 0 };
            assert_eq!(ask.call(server.address, key).unwrap().status, 200);
        }
    }
}

/// Returns every file of a folder by its path in it.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => {
                found.extend(files(&entry.path()).into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)))
            }
            false => drop(found.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
    found
}
