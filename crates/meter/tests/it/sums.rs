//! A gateway's log and a meter's, held against each other over HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::time::Duration;

use fetch::{AddressRule, Client, Roots};
use jose::ticket::{self, Ticket};
use ledger::{Draft, Ledger, Reader};
use meter::{ANSWER_BYTES_MAX, Calls, Comparison, DiscrepancyKind, Hour, Peer, Reconciled, Reconciler, Settled};
use proof::{
    entry::{Entry, Kind, Outcome, Usage, meter_id},
    sums::Statement,
    walk::LeafWalk,
};
use serde_json::{Value, json};
use terms::{CallId, Clock};
use testkit::{
    http,
    upstream::{Fate, Received},
};
use zeroize::Zeroizing;

use crate::world::{GATEWAY, METER, Running, SECRET, World, code_of, streaming, whole};

const ANOTHER: &str = "meter.example.com/exeat/2";
/// More than the time until an hour is over and its last ticket has expired.
const OVER: Duration = Duration::from_secs(2 * 3_600);

/// A gateway reduced to its log: it opens calls, sends them to the meter with tickets, and closes them.
struct Gateway {
    ledger: Ledger,
    reconciler: Reconciler,
}

struct Opened {
    index: u64,
    ticket: String,
}

impl Gateway {
    fn new(ledger: Ledger, meters: &[(std::net::SocketAddr, &str)]) -> Self {
        let peers = meters.iter().map(|(address, vkey)| peer(*address, vkey)).collect();
        Self { reconciler: Reconciler::new(ledger.clone(), peers), ledger }
    }

    fn open(&self, world: &World, call: u8) -> Opened {
        self.open_for(world, call, METER)
    }

    fn open_for(&self, world: &World, call: u8, meter: &str) -> Opened {
        let mut entry = Entry::new(Kind::Open);
        (entry.call, entry.model) = (Some([call; 16]), Some("mythos-5".to_owned()));
        let recorded = self.ledger.append(Draft::new(entry, "")).unwrap().wait().unwrap();
        let (index, leaf) = (recorded.index(), *recorded.leaf());
        let ticket = Ticket { index, leaf, audience: meter.to_owned(), ..world.ticket(call) };
        Opened { index, ticket: ticket.mint(&world.key, world.clock.now()).unwrap() }
    }

    fn close(&self, opened: &Opened, outcome: Outcome, usage: Usage) {
        self.close_at(opened, outcome, usage, Some(METER));
    }

    fn close_at(&self, opened: &Opened, outcome: Outcome, usage: Usage, meter: Option<&str>) {
        let mut entry = Entry::new(Kind::Close);
        (entry.opened, entry.outcome, entry.usage) = (Some(opened.index), Some(outcome), Some(usage));
        entry.meter = meter.map(meter_id);
        let _recorded = self.ledger.append(Draft::new(entry, "")).unwrap().wait().unwrap();
    }

    /// Makes a whole call through the meter, and counts what the meter counted.
    fn call(&self, world: &World, meter: &Running, call: u8) {
        let opened = self.open(world, call);
        meter.chat(Some(&opened.ticket), "slow-4-0", &streaming()).text().unwrap();
        self.close(&opened, Outcome::Completed, last_usage(world));
    }

    fn statements(&self) -> Vec<(Entry, Statement)> {
        statements(&self.ledger.reader())
    }
}

fn peer(address: std::net::SocketAddr, vkey: &str) -> Peer {
    let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
    let settings =
        fetch::Settings { max_body: ANSWER_BYTES_MAX, ..fetch::Settings::new(Roots::nobody().unwrap(), rule) };
    let secret = Zeroizing::new(SECRET.to_owned());
    Peer::new(&format!("http://{address}"), vkey.parse().unwrap(), secret, Client::new(settings))
}

fn last_usage(world: &World) -> Usage {
    world.record().iter().rev().find_map(|entry| entry.usage).unwrap()
}

fn statements(reader: &Reader) -> Vec<(Entry, Statement)> {
    let stored = reader.entries(0).unwrap().map(Result::unwrap);
    let read = stored.filter_map(|stored| {
        let entry = Entry::decode(&stored.leaf).unwrap();
        (entry.kind == Kind::Reconciliation).then(|| (entry, Statement::parse(stored.main().unwrap()).unwrap()))
    });
    read.collect()
}

/// How many statements agree and differ, how many calls are open, and how much failed.
type Outcomes = (u64, u64, u64, usize);

fn outcome(reconciled: &Reconciled) -> Outcomes {
    (reconciled.agree, reconciled.differ, reconciled.open, reconciled.failed.len())
}

fn now(world: &World) -> u64 {
    Ticket::hour_of(world.clock.now())
}

fn vkey_of(dir: &std::path::Path) -> String {
    Reader::open(dir).unwrap().verifier_key().unwrap()
}

/// Compares both logs from their files, as an auditor does.
fn compared(world: &World, hour: u64) -> Comparison {
    let model = world.ticket(0).model;
    let ours = Hour::of_gateway(&Reader::open(&world.path("gateway")).unwrap(), hour).unwrap();
    let read = |token: &str| ticket::unverified(token).ok();
    let theirs = Hour::of_meter(&Reader::open(&world.ledger_dir()).unwrap(), hour, GATEWAY, &read).unwrap();
    Comparison::of(ours.calls(&model), theirs.calls(&model), meter_id(METER)).unwrap()
}

/// Runs `traffic` through a gateway's log and a meter, reconciles the hour once it is over, and returns what came of it, with
/// what both logs show.
fn reconciled(traffic: impl FnOnce(&World, &Running, &Gateway)) -> (Outcomes, Vec<(Entry, Statement)>, Comparison) {
    let world = World::new();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let meter = world.start_with(world.settings_with(Some(ledger.verifier_key())));
    let gateway = Gateway::new(ledger, &[(meter.address, &vkey_of(&world.ledger_dir()))]);
    let (hour, log) = (now(&world), gateway.ledger.verifier_key());
    traffic(&world, &meter, &gateway);
    world.clock.advance(OVER);
    let done = meter.wait_for(gateway.reconciler.hour(hour, &mut Settled::new()));
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    let said = gateway.statements();
    for (entry, statement) in &said {
        assert_eq!((statement.verify(), statement.belongs_to(entry, &log)), (Ok(()), Ok(())));
        assert_eq!(entry.code.as_deref(), Some(if statement.agrees() { "agree" } else { "differ" }));
        assert!(entry.links.is_some());
    }
    meter.stop();
    let theirs = statements(&Reader::open(&world.ledger_dir()).unwrap());
    assert_eq!(
        theirs.iter().map(|(_, one)| one).collect::<Vec<_>>(),
        said.iter().map(|(_, one)| one).collect::<Vec<_>>()
    );
    let compared = compared(&world, hour);
    assert_eq!(compared.differ().unwrap(), said[0].1.differ, "an auditor finds what was signed");
    (outcome(&done), said, compared)
}

fn kinds(compared: &Comparison) -> Vec<(u8, DiscrepancyKind)> {
    let named = |one: &meter::Discrepancy| one.kinds.iter().map(|kind| (one.call.0[0], *kind)).collect::<Vec<_>>();
    compared.discrepancies.iter().flat_map(named).collect()
}

#[test]
fn what_both_counted_is_signed_by_both_and_in_both_records() {
    let (done, said, _) = reconciled(|world, meter, gateway| {
        for call in 1..=7 {
            gateway.call(world, meter, call);
        }
    });
    assert_eq!(done, (1, 0, 0, 0));
    let statement = &said[0].1;
    assert_eq!(statement.gateway.trees, statement.meter.trees);
    let sums = statement.meter.trees.completed.sums;
    assert_eq!((sums.calls, statement.meter.trees.early.sums.calls), (7, 0));
    assert!(sums.output > 0 && sums.events >= 28);
}

#[test]
fn a_changed_count_a_dropped_record_and_an_unknown_call_are_counted_and_nobody_is_named() {
    let (done, said, compared) = reconciled(|world, meter, gateway| {
        gateway.call(world, meter, 1);
        let opened = gateway.open(world, 2);
        meter.chat(Some(&opened.ticket), "slow-4-0", &streaming()).text().unwrap();
        let mut usage = last_usage(world);
        usage.output_tokens = usage.output_tokens.map(|tokens| tokens - 1);
        gateway.close(&opened, Outcome::Completed, usage);
        // A ticket without an entry behind it: the gateway dropped its record.
        meter.chat(Some(&world.mint(3)), "", &streaming()).text().unwrap();
        // A call that the gateway says was answered, and that the meter never saw.
        let invented = gateway.open(world, 4);
        gateway.close(&invented, Outcome::Completed, Usage { delivered_events: 3, ..Usage::default() });
        // A ticket that names another entry than the one that opened the call.
        let opened = gateway.open(world, 5);
        meter.chat(Some(&world.mint(5)), "", &streaming()).text().unwrap();
        gateway.close(&opened, Outcome::Completed, last_usage(world));
    });
    use DiscrepancyKind::{NotInGateway, NotInMeter, Output, Ticket};
    assert_eq!(done, (0, 1, 0, 0));
    assert_eq!(kinds(&compared), [(2, Output), (3, NotInGateway), (4, NotInMeter), (5, Ticket)]);
    let (_, statement) = &said[0];
    assert_eq!((statement.differ.calls, statement.differ.gateway.calls, statement.differ.meter.calls), (4, 3, 3));
    let text = String::from_utf8(statement.to_json()).unwrap();
    assert!((1..=5).all(|call| !text.contains(&CallId([call; 16]).to_string())), "{text}");
}

#[test]
fn calls_that_ended_early_have_sums_of_their_own_on_each_side() {
    let (done, said, _) = reconciled(|world, meter, gateway| {
        gateway.call(world, meter, 1);
        let opened = gateway.open(world, 2);
        let mut answer = meter.chat(Some(&opened.ticket), "slow-1000-20", &streaming());
        answer.next_piece().unwrap();
        drop(answer);
        assert!(world.upstream.wait_aborted(Duration::from_secs(10)));
        gateway.close(&opened, Outcome::Cut, Usage { delivered_events: 1, ..Usage::default() });
        let never = gateway.open(world, 3);
        gateway.close_at(&never, Outcome::NotServed, Usage::default(), None);
        let failed = gateway.open(world, 4);
        assert_eq!(meter.chat(Some(&failed.ticket), "status-500", &whole()).head.status, 500);
        gateway.close(&failed, Outcome::UpstreamFailed, Usage::default());
    });
    assert_eq!(done, (1, 0, 0, 0));
    let statement = &said[0].1;
    let (ours, theirs) = (statement.gateway.trees.early.sums, statement.meter.trees.early.sums);
    assert_eq!((ours.calls, theirs.calls, ours.events), (2, 2, 1));
    assert!(ours.events <= theirs.events);
    assert_eq!(statement.meter.trees.completed.sums.calls, 1);
}

/// The gateway cuts at the last event, of which the meter has a whole call: the caller did not get it.
#[test]
fn a_call_that_the_gateway_cut_at_its_end_is_early_on_both_sides() {
    let (done, said, compared) = reconciled(|world, meter, gateway| {
        let opened = gateway.open(world, 1);
        meter.chat(Some(&opened.ticket), "slow-4-0", &streaming()).text().unwrap();
        gateway.close(&opened, Outcome::Cut, Usage { delivered_events: 2, ..Usage::default() });
    });
    assert_eq!((done, compared.moved.len()), ((1, 0, 0, 0), 1));
    let calls = |trees: &proof::sums::Trees| (trees.completed.sums.calls, trees.early.sums.calls);
    assert_eq!((calls(&said[0].1.gateway.trees), calls(&said[0].1.meter.trees)), ((0, 1), (0, 1)));
}

#[test]
fn a_gateway_that_claims_to_have_delivered_more_than_there_was_is_found() {
    let (done, _, compared) = reconciled(|world, meter, gateway| {
        let opened = gateway.open(world, 1);
        let answer = meter.chat(Some(&opened.ticket), "status-500", &whole());
        drop(answer);
        gateway.close(&opened, Outcome::Cut, Usage { delivered_events: 9, ..Usage::default() });
    });
    assert_eq!((done.1, kinds(&compared)), (1, vec![(1, DiscrepancyKind::Bound)]));
}

#[test]
fn a_model_hour_with_a_call_that_is_open_is_left_until_it_ended() {
    let (done, said, _) = reconciled(|world, meter, gateway| {
        gateway.call(world, meter, 1);
        let opened = gateway.open(world, 2);
        meter.chat(Some(&opened.ticket), "", &streaming()).text().unwrap();
        let (hour, mut settled) = (now(world), Settled::new());
        for _ in 0..2 {
            let first = meter.wait_for(gateway.reconciler.hour(hour, &mut settled));
            assert_eq!((outcome(&first), settled.len(), gateway.statements().len()), ((0, 0, 1, 0), 0, 0));
        }
        gateway.close(&opened, Outcome::Completed, last_usage(world));
    });
    assert_eq!(done, (1, 0, 0, 0));
    assert_eq!(said[0].1.meter.trees.completed.sums.calls, 2);
}

/// A long stream must not have the whole log and the meter asked again every minute.
#[test]
fn while_a_call_is_open_no_meter_is_asked_again() {
    let world = World::new();
    let meter = world.start();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let gateway = Gateway::new(ledger, &[(meter.address, &vkey_of(&world.ledger_dir()))]);
    let opened = gateway.open(&world, 1);
    let (hour, mut settled) = (now(&world), Settled::new());
    assert_eq!(outcome(&meter.wait_for(gateway.reconciler.hour(hour, &mut settled))), (0, 0, 1, 0));
    meter.stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(outcome(&runtime.block_on(gateway.reconciler.hour(hour, &mut settled))), (0, 0, 1, 0));
    gateway.close(&opened, Outcome::Cut, Usage::default());
    assert_eq!(outcome(&runtime.block_on(gateway.reconciler.hour(hour, &mut settled))), (0, 0, 0, 1));
}

/// The meter may be restarted, or not know the gateway's log: the gateway's record has its word once.
#[test]
fn a_statement_that_the_meter_does_not_take_is_recorded_once() {
    let world = World::new();
    let meter = world.start();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let gateway = Gateway::new(ledger, &[(meter.address, &vkey_of(&world.ledger_dir()))]);
    gateway.call(&world, &meter, 1);
    let (hour, mut settled) = (now(&world), Settled::new());
    world.clock.advance(OVER);
    for agree in [1, 0, 0] {
        let done = meter.wait_for(gateway.reconciler.hour(hour, &mut settled));
        assert_eq!((outcome(&done), settled.len()), ((agree, 0, 0, 1), 0), "{:?}", done.failed);
    }
    assert_eq!(gateway.statements().len(), 1);
    meter.stop();
}

/// The model was moved from one meter to another within the hour, and a call failed over; one of the meters is down at first.
#[test]
fn two_meters_of_one_model_hour_have_a_statement_each() {
    let world = World::new();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let first = world.start_with(world.settings_with(Some(ledger.verifier_key())));
    let second = world.start_another(ANOTHER, Some(ledger.verifier_key()));
    let keys = [vkey_of(&world.ledger_dir()), vkey_of(&world.path("another"))];
    let gateway = Gateway::new(ledger.clone(), &[(first.address, &keys[0]), (second.address, &keys[1])]);
    gateway.call(&world, &first, 1);
    gateway.call(&world, &first, 2);
    let usage = last_usage(&world);
    let moved = gateway.open_for(&world, 3, ANOTHER);
    second.chat(Some(&moved.ticket), "slow-4-0", &streaming()).text().unwrap();
    gateway.close_at(&moved, Outcome::Completed, usage, Some(ANOTHER));
    let in_vain = gateway.open(&world, 4);
    assert_eq!(first.chat(Some(&in_vain.ticket), "status-503", &streaming()).head.status, 503);
    let index = in_vain.index;
    let ticket = Ticket { audience: ANOTHER.to_owned(), ..ticket::unverified(&in_vain.ticket).unwrap() };
    let ticket = ticket.mint(&world.key, world.clock.now()).unwrap();
    second.chat(Some(&ticket), "slow-4-0", &streaming()).text().unwrap();
    gateway.close_at(&Opened { index, ticket }, Outcome::Completed, usage, Some(ANOTHER));
    let (hour, mut settled) = (now(&world), Settled::new());
    world.clock.advance(OVER);
    let nowhere =
        Gateway::new(ledger.clone(), &[("127.0.0.1:9".parse().unwrap(), &keys[0]), (second.address, &keys[1])]);
    assert_eq!(outcome(&first.wait_for(nowhere.reconciler.hour(hour, &mut settled))), (1, 0, 0, 1));
    assert_eq!(outcome(&first.wait_for(gateway.reconciler.hour(hour, &mut settled))), (1, 0, 0, 0));
    let said: Vec<_> = gateway.statements().into_iter().map(|(_, one)| one).collect();
    let sums = |one: &Statement| (one.about.meter.clone(), one.gateway.trees.completed.sums.calls);
    assert_eq!(said.iter().map(sums).collect::<Vec<_>>(), [(ANOTHER.to_owned(), 2), (METER.to_owned(), 2)]);
    assert_eq!(said[1].meter.trees.early.sums.calls, 1, "the attempt in vain");
    first.stop();
    second.stop();
}

/// A meter was taken out of the configuration before its last hour was over.
#[test]
fn calls_of_a_meter_that_is_not_asked_are_counted_apart() {
    let world = World::new();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let meter = world.start_with(world.settings_with(Some(ledger.verifier_key())));
    let gateway = Gateway::new(ledger, &[(meter.address, &vkey_of(&world.ledger_dir()))]);
    gateway.call(&world, &meter, 1);
    for call in [2, 3] {
        let elsewhere = gateway.open_for(&world, call, ANOTHER);
        gateway.close_at(&elsewhere, Outcome::Completed, Usage::default(), Some(ANOTHER));
    }
    let hour = now(&world);
    world.clock.advance(OVER);
    let done = meter.wait_for(gateway.reconciler.hour(hour, &mut Settled::new()));
    assert_eq!((outcome(&done), done.unasked), ((1, 0, 0, 0), 2));
    meter.stop();
}

/// A meter that is configured in the middle of an hour knows nothing of the calls before: they name no meter.
#[test]
fn calls_of_before_a_meter_was_there_are_not_missed_in_it() {
    let (done, said, _) = reconciled(|world, meter, gateway| {
        let before = gateway.open(world, 1);
        gateway.close_at(&before, Outcome::Completed, Usage { delivered_events: 9, ..Usage::default() }, None);
        gateway.call(world, meter, 2);
    });
    assert_eq!(done, (1, 0, 0, 0));
    assert_eq!(said[0].1.gateway.trees.completed.sums.calls, 1);
}

/// The memory of a meter keeps a second ticket of a call out; a log that has one all the same counts both.
#[test]
fn a_call_that_a_meter_served_twice_counts_twice_and_is_a_discrepancy() {
    let world = World::new();
    let log = world.open_log(&world.path("meter"), METER);
    for output in [30, 4] {
        let mut taken = Entry::new(Kind::Metered);
        (taken.call, taken.model) = (Some([1; 16]), Some("mythos-5".to_owned()));
        let opened = log.append(Draft::new(taken, world.mint(1))).unwrap().wait().unwrap().index();
        let usage = Usage { output_tokens: Some(output), delivered_events: output, ..Usage::default() };
        let mut close = Entry::new(Kind::Close);
        (close.opened, close.outcome, close.usage) = (Some(opened), Some(Outcome::Completed), Some(usage));
        let _closed = log.append(Draft::new(close, "")).unwrap().wait().unwrap();
    }
    let read = |token: &str| ticket::unverified(token).ok();
    let hour = Hour::of_meter(&log.reader(), now(&world), GATEWAY, &read).unwrap();
    let counted = &hour.calls(&world.ticket(1).model)[&CallId([1; 16])];
    assert_eq!((counted.saw.output, counted.saw.events, counted.opened), (34, 34, None));
    assert_eq!(counted.saw.outcome, Some(Outcome::Completed));
}

/// A stream may last longer than a meter remembers tickets. Whoever signs a second one then spoils nobody's log but finds
/// the call among the differences.
#[test]
fn a_second_ticket_of_a_call_that_is_open_for_hours_leaves_the_meters_log_whole_and_is_a_discrepancy() {
    let world = World::new();
    let meter = world.start();
    let first_hour = now(&world);
    let mut first = meter.chat(Some(&world.mint(1)), "slow-1000-20", &streaming());
    first.next_piece().unwrap();
    for _ in 0..3 {
        assert_eq!(code_of(meter.chat(Some(&world.mint(1)), "", &streaming())), (403, "ticket_replayed".to_owned()));
        world.clock.advance(Duration::from_secs(55 * 60));
    }
    let second_hour = now(&world);
    meter.chat(Some(&world.mint(1)), "", &streaming()).text().unwrap();
    drop(first);
    // The model server notices that a caller left, and so the meter did.
    let has_left = |received: &[Received]| matches!(received[0].fate, Fate::Aborted { .. });
    assert!(world.upstream.wait_until(Duration::from_secs(10), has_left));
    meter.stop();
    assert_eq!(world.outcomes(), [Some(Outcome::ClientGone), Some(Outcome::Completed)]);
    let reader = Reader::open(&world.ledger_dir()).unwrap();
    let mut walk = LeafWalk::new();
    for stored in reader.entries(0).unwrap() {
        walk.push(&stored.unwrap().leaf).unwrap();
    }
    for hour in [first_hour, second_hour] {
        let read = |token: &str| ticket::unverified(token).ok();
        let theirs = Hour::of_meter(&reader, hour, GATEWAY, &read).unwrap();
        // The gateway's log has the call in the first hour, in which it was opened, and in no other.
        let compared = Comparison::of(&Calls::new(), theirs.calls(&world.ticket(1).model), meter_id(METER)).unwrap();
        assert_eq!(kinds(&compared), [(1, DiscrepancyKind::NotInGateway)], "{hour}");
    }
}

#[test]
fn a_meter_shows_its_calls_and_signs_no_hour_that_is_not_over_nor_a_statement_of_others() {
    let world = World::new();
    let meter = world.start();
    meter.chat(Some(&world.mint(1)), "", &streaming()).text().unwrap();
    let bearer = format!("Bearer {SECRET}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let hour = now(&world);
    let ask = |method: &str, path: &str, body: &Value| -> Value {
        let body = body.to_string();
        let answer = http::send(meter.address, method, path, &headers, body.as_bytes()).unwrap();
        serde_json::from_str(&answer.text().unwrap()).unwrap()
    };
    let get = |path: &str| ask("GET", path, &Value::Null);
    let question = |moved: &[u8], after: Option<u8>, more: bool| {
        let hex = |call: u8| CallId([call; 16]).to_string();
        let moved: Vec<String> = moved.iter().copied().map(hex).collect();
        let body = json!({ "hour": hour, "model": "mythos-5", "after": after.map(hex), "moved": moved, "more": more });
        ask("POST", "/exeat/v1/sums", &body)
    };
    let calls = get(&format!("/exeat/v1/calls?hour={hour}"));
    assert_eq!((&calls["calls"][0][0], calls["next"].is_null()), (&json!(CallId([1; 16]).to_string()), true));
    assert_eq!(get(&format!("/exeat/v1/calls?hour={}", hour + 1))["calls"], json!([]));
    for path in ["/exeat/v1/calls?hour=x", "/exeat/v1/calls?hour=1&after=x", "/exeat/v1/calls?hour=1&gateway=nobody"] {
        assert_eq!(get(path)["error"]["code"], "invalid_question", "{path}");
    }
    assert_eq!(question(&[], None, false)["error"]["code"], "invalid_question", "the hour is not over");
    world.clock.advance(OVER);
    assert_eq!(question(&[], None, false)["completed"]["calls"], 1);
    assert_eq!(question(&[1], None, true)["more"], true);
    let others = |hours: u64| (1..=hours).for_each(|more| drop(get(&format!("/exeat/v1/calls?hour={}", hour + more))));
    others(2);
    assert_eq!(
        question(&[], Some(1), false)["early"]["calls"],
        1,
        "somebody who looks into other hours is in nobody's way"
    );
    assert_eq!(question(&[1], None, true)["more"], true);
    others(3);
    assert_eq!(question(&[], Some(1), false)["error"]["code"], "invalid_question", "no more than three are kept");
    for (moved, after) in [(&[9][..], None), (&[1], Some(1)), (&[], Some(1))] {
        assert_eq!(question(moved, after, false)["error"]["code"], "invalid_question", "{moved:?} {after:?}");
    }
    let told = http::send(meter.address, "POST", "/exeat/v1/statements", &headers, b"{}").unwrap();
    assert_eq!(told.head.status, 400);
    meter.stop();
}

#[test]
fn a_meter_that_is_not_the_one_it_is_known_as_reconciles_nothing() {
    let world = World::new();
    let ledger = world.open_log(&world.path("gateway"), GATEWAY);
    let meter = world.start();
    let stranger = world.open_log(&world.path("stranger"), METER).verifier_key();
    let gateway = Gateway::new(ledger, &[(meter.address, &stranger)]);
    gateway.call(&world, &meter, 1);
    let hour = now(&world);
    world.clock.advance(OVER);
    let refused = meter.wait_for(gateway.reconciler.hour(hour, &mut Settled::new()));
    assert!(refused.failed[0].to_string().contains("not signed by the key"));
    assert!(gateway.statements().is_empty());
    meter.stop();
}
