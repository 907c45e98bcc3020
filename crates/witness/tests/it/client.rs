//! A ledger with witnesses and a mirror over HTTP: what gets cosigned, and what raises an alarm.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use fetch::{AddressRule, Client, Roots, Settings, Url};
use ledger::{Draft, Ledger, Options};
use proof::{
    checkpoint::Checkpoint,
    cosignature::{Algorithm, CosignerSecret},
    entry::{Entry, Kind},
    note::{Note, VerifierKey},
    policy_file::{Accepted, Policy},
    receipt::Receipt,
};
use terms::{Clock, SystemClock};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};
use witness::{Cosigner, CosignerSettings, Mirror, Peer, Witness, mirror_router, origin_hash, router};

use crate::world::{keys, signers};

const ORIGIN: &str = "log.larkspur.example/exeat/1";

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

fn open(dir: &Path) -> Ledger {
    let options = Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 8 << 20,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    };
    Ledger::open(dir, options, clock()).unwrap().0
}

/// Appends so many entries; returns the index of the last.
fn grow(ledger: &Ledger, count: usize) -> u64 {
    let mut entry = Entry::new(Kind::Admin);
    entry.code = Some("test.note".to_owned());
    let pending: Vec<_> = (0..count).map(|_| ledger.append(Draft::new(entry.clone(), "{}")).unwrap()).collect();
    pending.into_iter().map(|pending| pending.wait().unwrap().index()).last().unwrap()
}

/// A policy that knows the log, and in which all of these must cosign.
fn policy(ledger: &Ledger, cosigners: &[&str]) -> Policy {
    let mut text = format!("log {}\n", ledger.verifier_key());
    for name in cosigners {
        for (n, key) in keys(name).iter().enumerate() {
            text += &format!("witness {name}/{n} {key}\n");
        }
    }
    let members: String = cosigners.iter().map(|name| format!(" {name}/0 {name}/1")).collect();
    text += &format!("group all all{members}\nquorum all\n");
    Policy::parse(text.as_bytes()).unwrap()
}

/// The policy of a witness that knows the log alone.
fn log_only(ledger: &Ledger) -> Policy {
    Policy::parse(format!("log {}\nquorum none\n", ledger.verifier_key()).as_bytes()).unwrap()
}

fn open_witness(ledger: &Ledger, name: &str, dir: &Path) -> Arc<Witness> {
    Arc::new(Witness::open(Arc::new(ledger::storage::Disk), dir, log_only(ledger), signers(name)).unwrap())
}

/// Serves `router` on a port of its own until the task is aborted.
async fn serve(router: Router) -> (Url, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (url, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

fn client() -> Client {
    Client::new(Settings::new(Roots::nobody().unwrap(), AddressRule::allowing(["127.0.0.1"]).unwrap()))
}

fn peer(url: &Url, name: &str) -> Peer {
    Peer { url: url.clone(), keys: keys(name) }
}

fn start(ledger: &Ledger, witnesses: Vec<Peer>, mirrors: Vec<Peer>) -> Cosigner {
    let settings = CosignerSettings { every: Duration::from_secs(1), witnesses, mirrors, own: Vec::new() };
    Cosigner::start(&Handle::current(), ledger, &client(), &clock(), settings)
}

/// Waits until the receipt of an entry satisfies the policy; says who cosigned it.
async fn accepted(ledger: &Ledger, index: u64, policy: &Policy) -> usize {
    let mut why = String::new();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if let Ok(receipt) = ledger.receipt(index) {
            let proof = Receipt::parse(&receipt.proof).unwrap();
            match policy.check_receipt(&proof, &receipt.leaf) {
                Ok(Accepted { witnesses, .. }) => return witnesses.len(),
                Err(bad) => why = bad.to_string(),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no receipt satisfied the policy within a minute: {why}");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn metric(cosigner: &Cosigner, name: &str, who: &str) -> u64 {
    let metrics = cosigner.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(&format!("\"{who}\""))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_carry_the_cosignatures_of_all_witnesses_and_of_the_mirror() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let first = grow(&ledger, 700);
    let mut witnesses = Vec::new();
    for name in ["w1.example", "w2.example"] {
        let witness = open_witness(&ledger, name, &dir.path().join(name));
        witnesses.push(peer(&serve(router(witness, clock())).await.0, name));
    }
    let storage = Arc::new(ledger::storage::Disk);
    let mirror =
        Mirror::open(storage, &dir.path().join("m"), log_only(&ledger), signers("m.example"), &BTreeSet::new())
            .unwrap();
    let (url, _) = serve(mirror_router(Arc::new(mirror), clock())).await;
    let cosigner = start(&ledger, witnesses, vec![peer(&url, "m.example")]);
    let policy = policy(&ledger, &["w1.example", "w2.example", "m.example"]);
    assert_eq!(accepted(&ledger, first, &policy).await, 6);
    let second = grow(&ledger, 300);
    assert_eq!(accepted(&ledger, second, &policy).await, 6);
    // A receipt may be had a moment before this is counted.
    until("the mirror holds it", || cosigner.held()[0].1 > second).await;
    assert_eq!(metric(&cosigner, "exeat_cosigner_alarms", "w1.example"), 0);
    // The mirror serves what the log has: the checkpoint that it cosigned, and every entry.
    let folder = format!("{}/{}", url.to_string().trim_end_matches('/'), origin_hash(ORIGIN));
    let path = format!("{folder}/checkpoint").parse().unwrap();
    let served = client().send(fetch::Request::get(path)).await.unwrap();
    let key: VerifierKey = ledger.verifier_key().parse().unwrap();
    assert!(Checkpoint::open(&served.body, ORIGIN, &[key]).unwrap().size > second);
    let tile = format!("{folder}/tile/entries/001").parse().unwrap();
    let entries = client().send(fetch::Request::get(tile)).await.unwrap();
    let own = std::fs::read(dir.path().join("log/log/tile/entries/001")).unwrap();
    assert_eq!(entries.body, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_bundles_is_mirrored_in_several_requests() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let last = (0..18).fold(0, |_, _| grow(&ledger, 1_000));
    let storage = Arc::new(ledger::storage::Disk);
    let mirror =
        Mirror::open(storage, &dir.path().join("m"), log_only(&ledger), signers("m.example"), &BTreeSet::new())
            .unwrap();
    let (url, _) = serve(mirror_router(Arc::new(mirror), clock())).await;
    let cosigner = start(&ledger, vec![], vec![peer(&url, "m.example")]);
    accepted(&ledger, last, &policy(&ledger, &["m.example"])).await;
    assert!(cosigner.held()[0].1 > last);
    assert_eq!(metric(&cosigner, "exeat_cosigner_failures", "m.example"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_mirror_is_waited_for_nobody_is_told_of_an_entry_before_it_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    grow(&ledger, 3);
    ledger.require_mirror();
    let waiting = ledger.append(Draft::new(Entry::new(Kind::Admin), "{}")).unwrap();
    let index = waiting.index();
    let mut waiting = tokio::spawn(waiting.durable());
    let early = tokio::time::timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(early.is_err(), "it was told without a mirror");
    let storage = Arc::new(ledger::storage::Disk);
    let mirror =
        Mirror::open(storage, &dir.path().join("m"), log_only(&ledger), signers("m.example"), &BTreeSet::new())
            .unwrap();
    let (url, _) = serve(mirror_router(Arc::new(mirror), clock())).await;
    let cosigner = start(&ledger, vec![], vec![peer(&url, "m.example")]);
    let recorded = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(recorded.index(), index);
    until("the mirror is known to hold it", || cosigner.held()[0].1 > index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_was_away_cosigns_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let policy = policy(&ledger, &["w.example"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url: Url = format!("http://{address}").parse().unwrap();
    let cosigner = start(&ledger, vec![peer(&url, "w.example")], vec![]);
    let index = grow(&ledger, 5);
    until("a request failed", || metric(&cosigner, "exeat_cosigner_failures", "w.example") > 0).await;
    let witness = open_witness(&ledger, "w.example", &dir.path().join("w"));
    let listener = TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router(witness, clock())).await.unwrap() });
    assert_eq!(accepted(&ledger, index, &policy).await, 2);
    assert_eq!(metric(&cosigner, "exeat_cosigner_alarms", "w.example"), 0);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rolled_back_is_an_alarm_at_every_witness() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let witness = open_witness(&ledger, "w.example", &dir.path().join("w"));
    let (url, _) = serve(router(witness, clock())).await;
    let index = grow(&ledger, 50);
    let cosigner = start(&ledger, vec![peer(&url, "w.example")], vec![]);
    accepted(&ledger, index, &policy(&ledger, &["w.example"])).await;
    drop(cosigner);
    ledger.stop().unwrap();
    drop(ledger);
    // A log begun anew with the key of the old one: the witness remembers.
    let again = dir.path().join("again");
    std::fs::create_dir_all(&again).unwrap();
    std::fs::copy(dir.path().join("log/key"), again.join("key")).unwrap();
    let ledger = open(&again);
    grow(&ledger, 3);
    let cosigner = start(&ledger, vec![peer(&url, "w.example")], vec![]);
    until("the witness has seen more", || metric(&cosigner, "exeat_cosigner_alarms", "w.example") > 0).await;
    grow(&ledger, 200);
    let alarms = metric(&cosigner, "exeat_cosigner_alarms", "w.example");
    until("and another history", || metric(&cosigner, "exeat_cosigner_alarms", "w.example") > alarms).await;
    assert_eq!(metric(&cosigner, "exeat_cosigned_entries", "w.example"), 0);
    assert_eq!(ledger.reader().cosigned().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_own_post_quantum_signature_stands_beside_the_other_and_is_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let own = CosignerSecret::from_seed(ORIGIN, Algorithm::MlDsa44, &[5; 32]).unwrap();
    let key = own.public().clone();
    let witness = open_witness(&ledger, "w.example", &dir.path().join("w"));
    let (url, _) = serve(router(witness, clock())).await;
    let settings = CosignerSettings {
        every: Duration::from_secs(1),
        witnesses: vec![peer(&url, "w.example")],
        mirrors: vec![],
        own: vec![own],
    };
    let _cosigner = Cosigner::start(&Handle::current(), &ledger, &client(), &clock(), settings);
    let index = grow(&ledger, 5);
    let text = format!("log {key}\nwitness w {}\nquorum w\n", keys("w.example")[1]);
    let post_quantum = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(accepted(&ledger, index, &post_quantum).await, 1);
    let classic = policy(&ledger, &["w.example"]);
    assert_eq!(accepted(&ledger, index, &classic).await, 2);
    let note = Note::parse(ledger.reader().cosigned().unwrap().unwrap().as_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_under_another_key_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("log"));
    let witness = open_witness(&ledger, "other.example", &dir.path().join("w"));
    let (url, _) = serve(router(witness, clock())).await;
    grow(&ledger, 5);
    let cosigner = start(&ledger, vec![peer(&url, "w.example")], vec![]);
    until("the answer was refused", || metric(&cosigner, "exeat_cosigner_failures", "w.example") > 0).await;
    assert_eq!(ledger.reader().cosigned().unwrap(), None);
}
