//! Legal holds and erasure from the command line, over a log that began years ago.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ledger::{Draft, Ledger, Options};
use proof::{
    entry::{Entry, Kind},
    note::SignerKey,
};
use serde_json::{Value, json};
use terms::{Clock, ManualClock, Moment, SystemClock};
use testkit::server::Server;

use crate::world::{World, administered, answered, failed, said};

const SUBJECT: &str = "person:ada";
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a log in which something was said of Ada in the first quarter of 2019.
struct Desk {
    world: World,
    server: Server,
    /// The entry of 2019.
    old: u64,
}

impl Desk {
    fn new() -> Self {
        let world = World::new();
        let old = said_of_ada(&world.ledger());
        let server = world.setup.start().unwrap();
        server.lab().unwrap();
        server.person("ada", true).unwrap();
        Self { world, server, old }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = administered(&self.server);
        command.arg("ledger").args(arguments).arg("--json").env("EXEAT_LEDGER", self.world.ledger());
        command
    }

    /// Runs a command that must succeed; returns what it answers.
    fn json(&self, arguments: &[&str]) -> Value {
        answered(&mut self.command(arguments))
    }

    /// Runs a command that must fail with exit code 1; returns what it says.
    fn fails(&self, arguments: &[&str]) -> String {
        said(&failed(&mut self.command(arguments)))
    }

    /// Asks for an erasure that is refused; returns the reason.
    fn keeps(&self, epoch: &str) -> String {
        self.fails(&["erase", "--subject", SUBJECT, "--epoch", epoch, "--reason", "request 12"])
    }

    /// Returns an entry with what it commits to, once the files have it.
    fn shown(&self, index: u64) -> Value {
        let begun = Instant::now();
        loop {
            let output = self.run(&["show", &index.to_string(), "--private"]);
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "{}", said(&output));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Takes from Ada whatever she could use the service with.
    fn leave(&self) {
        self.server.admin("PATCH", "/admin/v1/people/ada", &json!({ "active": false })).unwrap();
        let keys = self.server.admin("GET", "/admin/v1/keys?person=ada", &Value::Null).unwrap();
        let key = keys["items"][0]["id"].as_str().unwrap();
        self.server.admin("POST", &format!("/admin/v1/keys/{key}/revoke"), &Value::Null).unwrap();
    }
}

/// Begins the log years before the server does; returns the entry in which something is said of Ada.
fn said_of_ada(dir: &Path) -> u64 {
    let clock = Arc::new(ManualClock::at(Moment::parse("2019-02-01T09:00:00Z").unwrap()));
    let options = Options {
        origin: "log.example.com/exeat/test".to_owned(),
        segment_bytes: 4 << 20,
        queue_entries: 64,
        checkpoint_every: Duration::from_millis(50),
        heads_every: Duration::from_secs(3_600),
    };
    let (ledger, _) = Ledger::open(dir, options, clock as Arc<dyn Clock>).unwrap();
    let subject = Some(ledger.pseudonym(SUBJECT));
    let entry = Entry { subject, code: Some("note.add".to_owned()), ..Entry::new(Kind::Admin) };
    let index = ledger.append(Draft::new(entry, r#"{"said":"long ago"}"#)).unwrap().wait().unwrap().index();
    ledger.stop().unwrap();
    index
}

#[test]
fn records_are_erased_once_neither_retention_nor_a_hold_nor_the_subject_needs_them() {
    let desk = Desk::new();
    let verified = desk.json(&["verify"]);
    assert_eq!((&verified["faults"], &verified["withheld"]), (&json!([]), &json!(0)), "{verified}");
    assert!(verified["entries"].as_u64().unwrap() > desk.old);
    let stranger = SignerKey::from_seed("log.example.com/exeat/test", &[7; 32]).unwrap().verifier().to_string();
    let refused = desk.run(&["verify", "--key", &stranger]);
    let report: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (refused.status.code(), report["fault_count"] == 0),
        (Some(1), false),
        "another key does not vouch for it"
    );

    assert!(desk.keeps("2019Q1").contains("withdraw their access"));
    desk.leave();
    let quarter = format!("{}Q1", &SystemClock::default().now().to_string()[..4]);
    assert!(desk.keeps(&quarter).contains("15 CFR 762.6"));

    let placed = desk.json(&["hold", "place", "--person", "ada", "--authority", "BIS, by telephone"]);
    let hold = placed["item"]["id"].as_str().unwrap();
    assert_eq!(placed["item"]["scope"], json!({ "person": "ada" }));
    let why = desk.keeps("2019Q1");
    assert!(why.contains(hold) && why.contains("BIS, by telephone"), "{why}");
    let listed = desk.json(&["hold", "list"]);
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["released"]), (&json!(hold), &Value::Null));
    assert!(desk.fails(&["hold", "release", hold, "--authorization", ""]).contains("authorization"));
    desk.json(&["hold", "release", hold, "--authorization", "BIS, letter of 2032-01-02"]);
    let listed = desk.json(&["hold", "list"]);
    assert_eq!(listed["items"][0]["released"]["authorization"], "BIS, letter of 2032-01-02");
    assert_eq!(desk.shown(desk.old)["opening"][0]["value"], json!({ "said": "long ago" }));

    let erase = ["erase", "--subject", SUBJECT, "--epoch", "2019Q1", "--reason", "request 12"];
    let erased = desk.json(&erase);
    assert_eq!((&erased["item"]["subject"], &erased["item"]["destroyed"]), (&json!(SUBJECT), &json!(true)));
    let act = desk.shown(erased["receipt"].as_u64().unwrap());
    assert_eq!((&act["code"], &act["opening"][0]["value"]["reason"]), (&json!("record.erase"), &json!("request 12")));
    let old = desk.shown(desk.old);
    assert_eq!((&old["code"], &old["opening"]), (&json!("note.add"), &Value::Null), "the entry stays");
    assert_eq!(desk.json(&erase)["item"]["destroyed"], false);
    let no_quarter = desk.run(&["erase", "--subject", SUBJECT, "--epoch", "2019Q5", "--reason", "request 12"]);
    assert_eq!(no_quarter.status.code(), Some(2), "{}", said(&no_quarter));
}
