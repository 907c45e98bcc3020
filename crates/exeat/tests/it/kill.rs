//! SIGKILL at random moments under load, and what the record says afterwards.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use ledger::Reader;
use proof::{
    checkpoint::Checkpoint,
    entry::{Kind, Outcome},
    tree::Frontier,
};
use serde_json::{Value, json};
use terms::{Clock, SystemClock};
use testkit::server::Server;

use crate::{
    client::{Ask, Heard},
    world::{Keys, Recorded, World, finding, populate},
};

/// Kills under load.
const KILLS: u32 = 200;
/// After each of so many, the next server is killed while it still recovers.
const RECOVERY_EVERY: u32 = 10;
/// Clients that call, each as fast as it is answered.
const CLIENTS: usize = 6;

/// Numbers that look random and come again with the same seed (xorshift64, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    /// Returns a number from `low` to `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + self.0 % (high - low + 1)
    }
}

/// The seed in `EXEAT_TEST_SEED`, or another each time.
fn seed() -> u64 {
    let given = std::env::var("EXEAT_TEST_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| SystemClock::default().now().as_millis().unsigned_abs() | 1)
}

/// What clients and an admin were told by servers that were killed.
#[derive(Default)]
struct Told {
    calls: Vec<(Ask, Heard)>,
    /// People that were added, and whether they were deactivated again.
    people: BTreeMap<String, bool>,
    checkpoints: Vec<String>,
    kills: u64,
}

#[test]
fn two_hundred_kills_lose_nothing_and_leave_no_byte_uncovered() {
    let (begun, seed) = (Instant::now(), seed());
    println!("EXEAT_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    server.kill().unwrap();
    let mut told = Told { kills: 1, ..Told::default() };
    for round in 0..KILLS {
        if round % RECOVERY_EVERY == 0 {
            kill_in_recovery(&world, &mut chance, &mut told);
        }
        let server = world.setup.start().unwrap();
        let after = Duration::from_millis(chance.between(5, 120));
        live_and_die(server, &keys, round, after, &mut told);
        note_checkpoint(&world, &mut told);
    }
    let killed_in = begun.elapsed();
    let server = world.setup.start().unwrap();
    check_people(&server, &told.people);
    assert!(server.terminate().unwrap().success());

    let record = world.record();
    check_order(&record);
    let covered = check_calls(&record, &told.calls);
    check_checkpoints(&record, &told.checkpoints);
    let report = world.verify();
    assert!(report.holds(), "{report}");
    assert_eq!((report.open_calls, report.unclean_starts), (0, starts_after_kills(&record)));
    println!(
        "{} kills in {killed_in:?}, checked by {:?}: {} answers of {} bytes, {} whole; {} people; {} checkpoints; {} entries; outcomes {:?}",
        told.kills,
        begun.elapsed(),
        covered.answers,
        covered.bytes,
        covered.whole,
        told.people.len(),
        told.checkpoints.len(),
        record.len(),
        report.outcomes,
    );
    assert!(told.kills >= 200 && covered.answers > 600 && covered.whole > 100);
    assert!(report.outcomes.get("interrupted") > Some(&200), "{report}");
}

/// Kills a server that has not said yet that it is ready.
fn kill_in_recovery(world: &World, chance: &mut Chance, told: &mut Told) {
    let server = world.setup.spawn().unwrap();
    thread::sleep(Duration::from_millis(chance.between(1, 60)));
    server.kill().unwrap();
    told.kills += 1;
}

/// Puts a server under load, kills it `after` the first byte of an answer, and collects what everybody was told.
fn live_and_die(server: Server, keys: &Keys, round: u32, after: Duration, told: &mut Told) {
    let (heard, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (server, heard, over) = (&server, &heard, &over);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || calls(server, keys, n, heard, over))).collect();
        let admin = scope.spawn(move || administer(server, round, over));
        wait_for_load(heard);
        thread::sleep(after);
        server.signal("KILL").unwrap();
        over.store(true, Ordering::SeqCst);
        for client in clients {
            told.calls.extend(client.join().unwrap());
        }
        told.people.extend(admin.join().unwrap());
    });
    told.kills += 1;
}

fn wait_for_load(heard: &AtomicUsize) {
    let until = Instant::now() + Duration::from_secs(10);
    while heard.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until, "no answer came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Calls through both dialects, streaming and not, until the server is gone.
fn calls(server: &Server, keys: &Keys, client: usize, heard: &AtomicUsize, over: &AtomicBool) -> Vec<(Ask, Heard)> {
    let key = if client % 3 == 2 { &keys.foreign } else { &keys.citizen };
    let mut told = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let ask = Ask {
            anthropic: client % 2 == 1,
            model: if client < 4 { "mythos-5" } else { "assistant" },
            stream: (client + told.len()) % 4 != 3,
            pieces: 4 + client * 4,
            gap_ms: 3,
        };
        let Ok(answer) = ask.open(server.address, key) else {
            break;
        };
        heard.fetch_add(1, Ordering::SeqCst);
        told.push((ask, crate::client::hear(answer)));
    }
    told
}

/// Adds people and deactivates every other one, until the server is gone; returns what was acknowledged.
fn administer(server: &Server, round: u32, over: &AtomicBool) -> BTreeMap<String, bool> {
    let mut told = BTreeMap::new();
    for n in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("p-{round}-{n}");
        let person = json!({"id": id, "display_name": id, "screening": "cleared"});
        if server.admin("POST", "/admin/v1/people", &person).is_err() {
            break;
        }
        told.insert(id.clone(), false);
        let path = format!("/admin/v1/people/{id}");
        if n % 2 == 1 && server.admin("PATCH", &path, &json!({"active": false})).is_ok() {
            told.insert(id, true);
        }
        thread::sleep(Duration::from_millis(15));
    }
    told
}

/// Keeps the checkpoint that a killed server left, which others may have seen.
fn note_checkpoint(world: &World, told: &mut Told) {
    let reader = Reader::open(&world.ledger()).unwrap();
    let checkpoint = reader.checkpoint().unwrap().unwrap();
    if told.checkpoints.last() != Some(&checkpoint) {
        told.checkpoints.push(checkpoint);
    }
}

/// Everyone acknowledged is there, and whoever was acknowledged as deactivated is so.
fn check_people(server: &Server, people: &BTreeMap<String, bool>) {
    assert!(people.len() > 100, "{}", people.len());
    for (id, deactivated) in people {
        let path = format!("/admin/v1/people/{id}");
        let person = server.admin("GET", &path, &Value::Null).unwrap();
        // A deactivation may be recorded although the server died before it could say so, never the other way round.
        if *deactivated {
            assert_eq!(person.pointer("/active"), Some(&json!(false)), "{person}");
        }
    }
}

/// Every opening has exactly one closing; interrupted are those, and all those, that a killed process left open.
fn check_order(record: &[Recorded]) {
    let mut open = BTreeSet::new();
    let mut recovering = false;
    for (index, recorded) in record.iter().enumerate() {
        let entry = &recorded.entry;
        let interrupted = entry.outcome == Some(Outcome::Interrupted);
        match entry.kind {
            Kind::Open => assert!(open.insert(index as u64)),
            Kind::Close => assert!(open.remove(&entry.opened.unwrap()), "entry {index} closes no open call"),
            Kind::Start | Kind::Stop => assert!(open.is_empty(), "entry {index}: {open:?}"),
            _ => {}
        }
        assert!(!recovering || interrupted || entry.kind == Kind::Start, "entry {index} is within a recovery");
        recovering = interrupted;
    }
    assert!(open.is_empty(), "{open:?}");
}

/// What the answers that clients got amount to.
#[derive(Debug, Default)]
struct Covered {
    answers: usize,
    bytes: usize,
    whole: usize,
}

/// Every answer of which a client saw anything has its opening entry, and an outcome that fits what the client saw.
fn check_calls(record: &[Recorded], calls: &[(Ask, Heard)]) -> Covered {
    let closings: BTreeMap<_, _> = record
        .iter()
        .filter(|recorded| recorded.entry.kind == Kind::Close)
        .map(|recorded| (recorded.entry.opened.unwrap(), &recorded.entry))
        .collect();
    let mut covered = Covered::default();
    let mut seen = BTreeSet::new();
    for (ask, heard) in calls {
        assert_eq!(heard.status, 200, "{}", text(heard));
        let index = opening(record, heard);
        assert!(seen.insert(index), "two answers with the receipt {index}");
        let closing = closings[&index];
        let delivered = closing.usage.unwrap_or_default().delivered_bytes;
        let completed = closing.outcome == Some(Outcome::Completed);
        // By nothing but the death of the process is a call ended here, and the last byte leaves after the closing entry.
        let ended = completed || closing.outcome == Some(Outcome::Interrupted);
        assert!(ended, "{index} ended as {:?}: {}", closing.outcome, text(heard));
        assert!(completed || !heard.whole, "{index}: all was heard, and the call is not closed as completed");
        let bound = closing.lease.map_or(0, |lease| usize::try_from(lease).unwrap());
        assert!(completed || events(heard) <= bound, "{index}: more was heard than its lease, {bound}");
        let covers = delivered >= heard.body.len() as u64;
        assert!(covers || !completed, "{index}: {delivered} bytes recorded, {} heard", heard.body.len());
        if events(heard) * 2 < ask.pieces && !heard.whole {
            assert_eq!(closing.outcome, Some(Outcome::Interrupted), "{index}");
        }
        covered.answers += usize::from(!heard.body.is_empty());
        covered.bytes += heard.body.len();
        covered.whole += usize::from(heard.whole);
    }
    covered
}

/// Returns the index of the opening entry that the receipt of an answer names.
fn opening(record: &[Recorded], heard: &Heard) -> u64 {
    let receipt = heard.receipt.as_deref().unwrap();
    let (index, leaf) = receipt.split_once('-').unwrap();
    let index: usize = index.parse().unwrap();
    assert!(index < record.len(), "{receipt} is not recorded");
    let recorded = &record[index];
    assert_eq!(recorded.entry.kind, Kind::Open, "{receipt}");
    let spelled: String = recorded.leaf[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(spelled, leaf, "{receipt}");
    index as u64
}

/// Every checkpoint that a killed server published is of a prefix of the record that there is now.
fn check_checkpoints(record: &[Recorded], checkpoints: &[String]) {
    assert!(checkpoints.len() > 50, "{}", checkpoints.len());
    let mut tree = Frontier::new();
    let mut roots = BTreeMap::from([(0, tree.root())]);
    for recorded in record {
        tree.push(recorded.leaf);
        roots.insert(tree.size(), tree.root());
    }
    for checkpoint in checkpoints {
        let (body, _) = checkpoint.split_once("\n\n").unwrap();
        let checkpoint = Checkpoint::parse_body(&format!("{body}\n")).unwrap();
        assert_eq!(roots.get(&checkpoint.size), Some(&checkpoint.root));
    }
}

/// Returns how many starts in the record follow no stop.
fn starts_after_kills(record: &[Recorded]) -> u64 {
    let starts = record.iter().filter(|r| r.entry.kind == Kind::Start);
    // The first start follows nothing at all, and the only stop is the last entry.
    assert_eq!(record.last().unwrap().entry.kind, Kind::Stop);
    starts.count() as u64 - 1
}

fn events(heard: &Heard) -> usize {
    text(heard).matches("word-").count()
}

fn text(heard: &Heard) -> String {
    String::from_utf8_lossy(&heard.body).into_owned()
}

#[test]
fn doctor_finds_what_a_killed_server_left_in_order_and_the_next_start_closes_its_call() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let ask = Ask { anthropic: false, model: "mythos-5", stream: true, pieces: 1_000, gap_ms: 20 };
    let live = ask.open(server.address, &keys.citizen).unwrap();
    server.kill().unwrap();
    drop(live);
    let findings = world.doctor();
    for about in ["ledger", "ledger lock", "control.listen"] {
        assert_eq!(finding(&findings, about)["grade"], "ok", "{findings:?}");
    }
    assert_eq!(finding(&findings, "ledger lock")["found"], "free");
    let server = world.setup.start().unwrap();
    assert!(server.terminate().unwrap().success());
    let interrupted = world.record().iter().filter(|r| r.entry.outcome == Some(Outcome::Interrupted)).count();
    assert_eq!(interrupted, 1);
}
