//! Caps of licenses: what is used is counted, live and from the ledger, and a cap that is reached ends what it covers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its world fails"
)]

use std::{sync::Arc, time::Duration};

use gateway::Unmonitored;
use identity::{Change, Holder, KeyText};
use policy::{Code, Determination, Facts, decide};
use proof::entry::{Entry, Kind, Outcome};
use terms::{Moment, OrganizationId, PersonId};
use testkit::http::Answer;

use crate::world::{CHAT, World, body, capped, chat, person};

/// Tokens of a whole answer of the fake upstream: 7 in, 3 out.
const WHOLE: u64 = 10;
const JULY: &str = "2026-07-01T00:00:00Z";

#[test]
fn a_stream_that_reaches_its_cap_is_cut_midway_and_its_facts_say_so() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", Some(20))]);
    let text = slow(&world, &minh, 100).text().unwrap();
    let words = text.matches("word-").count();
    assert_eq!(words, 20, "the event that reaches the cap is the last: {text}");
    assert!(text.contains("license_condition_unmet"), "{text}");
    let log = world.log();
    let (close, facts) = last(&log, Kind::Close);
    assert_eq!((close.outcome, close.code.as_deref()), (Some(Outcome::Cut), Some("license_condition_unmet")));
    assert!(close.basis.as_ref().unwrap().contains(&"LTR-1.conditions".to_owned()), "{close:?}");
    assert_eq!(used(facts), [("LTR-1".to_owned(), 20)]);
    let Determination::Refuse(again) = decide(&capped(2, &[("LTR-1", Some(20))]), &parsed(facts)) else {
        panic!("the recorded facts permit");
    };
    assert_eq!((again.code(), Some(*again.snapshot())), (Code::LicenseConditionUnmet, close.snapshot));
}

#[test]
fn once_a_cap_is_reached_new_calls_are_refused_until_the_month_ends() {
    let mut world = World::at(Moment::parse("2026-06-30T20:00:00Z").unwrap(), |_| {}, Arc::new(Unmonitored));
    let minh = fresh(&world, "minh", "larkspur-labs");
    world.capped(&[("LTR-1", Some(2 * WHOLE + 1))]);
    assert_eq!([1, 2, 3, 4].map(|_| ask(&world, &minh)), [200, 200, 403, 403], "the third would go beyond it");
    world.clock.set(Moment::parse("2026-06-30T23:59:59.999Z").unwrap());
    assert_eq!(ask(&world, &minh), 403);
    world.clock.set(Moment::parse(JULY).unwrap());
    assert_eq!(ask(&world, &minh), 200);
    let log = world.log();
    assert_eq!(used(last(&log, Kind::Refusal).1), [("LTR-1".to_owned(), 3 * WHOLE)]);
    assert_eq!(used(last(&log, Kind::Open).1), [("LTR-1".to_owned(), 0)]);
}

#[test]
fn a_whole_answer_that_reaches_the_cap_does_not_leave() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", Some(WHOLE))]);
    let answer = world.post(&minh, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 403);
    assert!(answer.text().unwrap().contains("license_condition_unmet"));
    assert_eq!(world.closed(), (Outcome::Cut, Some("license_condition_unmet".to_owned())));
}

#[test]
fn a_restart_remembers_what_was_used_in_the_month_and_nothing_from_before_it() {
    let mut world = World::at(Moment::parse("2026-06-30T20:00:00Z").unwrap(), |_| {}, Arc::new(Unmonitored));
    let minh = fresh(&world, "minh", "larkspur-labs");
    world.capped(&[("LTR-1", Some(1_000))]);
    assert_eq!([ask(&world, &minh), ask(&world, &minh)], [200, 200]);
    let straddles = slow(&world, &minh, 100);
    world.clock.set(Moment::parse(JULY).unwrap());
    drop(straddles);
    world.settle();
    let events = last(&world.log(), Kind::Close).0.usage.unwrap().delivered_events;
    assert_eq!(ask(&world, &minh), 200);
    let world = world.restart(capped(3, &[("LTR-1", Some(1_000))]));
    assert_eq!(ask(&world, &minh), 200);
    let expected = [("LTR-1".to_owned(), events + WHOLE)];
    assert_eq!(used(last(&world.log(), Kind::Open).1), expected, "a call counts where it ended");
    let world = world.restart(capped(4, &[("LTR-1", Some(events + 2 * WHOLE))]));
    assert_eq!(ask(&world, &minh), 403);
}

#[test]
fn a_cap_that_is_set_later_counts_what_was_used_before() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", None)]);
    assert_eq!([ask(&world, &minh), ask(&world, &minh)], [200, 200]);
    let mut live = slow(&world, &minh, 1_200);
    live.next_piece().unwrap().unwrap();
    let effect = world.capped(&[("LTR-1", Some(2 * WHOLE + 30))]);
    assert_eq!((effect.examined, effect.recalled), (1, 0));
    let rest = live.text().unwrap();
    assert!(rest.contains("license_condition_unmet"), "{rest}");
    assert_eq!(used(last(&world.log(), Kind::Close).1), [("LTR-1".to_owned(), 2 * WHOLE + 30)]);
    assert_eq!(world.capped(&[("LTR-1", Some(1_000))]).recalled, 0);
    assert_eq!(ask(&world, &minh), 200, "a higher cap leaves room");
}

#[test]
fn each_license_counts_for_itself_and_a_call_goes_on_under_another_that_has_room() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", Some(20)), ("LTR-2", Some(60))]);
    let text = slow(&world, &minh, 100).text().unwrap();
    assert_eq!(text.matches("word-").count(), 60, "{text}");
    let log = world.log();
    let (goes_on, facts) = last(&log, Kind::Redecision);
    assert_eq!(goes_on.basis.as_deref(), Some(&["LTR-2.own-staff".to_owned()][..]));
    assert_eq!(used(facts), [("LTR-1".to_owned(), 20), ("LTR-2".to_owned(), 0)]);
    let (close, facts) = last(&log, Kind::Close);
    assert_eq!(close.code.as_deref(), Some("license_condition_unmet"));
    assert_eq!(used(facts)[1], ("LTR-2".to_owned(), 60), "all of a call counts under each license it ran under");
    let world = world.restart(capped(3, &[("LTR-1", Some(1_000)), ("LTR-2", Some(1_000))]));
    assert_eq!(ask(&world, &minh), 200);
    let again = used(last(&world.log(), Kind::Open).1);
    assert_eq!(again.iter().map(|(_, tokens)| *tokens).collect::<Vec<_>>(), [60, 60], "the ledger says the same");
}

#[test]
fn a_cap_ends_the_calls_of_its_own_license_alone() {
    let mut world = World::new();
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    world.capped(&[("LTR-1", Some(20))]);
    let mut hers = world.stream(&ada, "mythos-5");
    slow(&world, &minh, 100).text().unwrap();
    for _ in 0..25 {
        assert!(hers.next_piece().unwrap().is_some(), "a U.S. person needs no license");
    }
    drop(hers);
    let entries = world.entries();
    let cut = entries.iter().filter(|entry| entry.outcome == Some(Outcome::Cut)).count();
    assert_eq!(cut, 1);
}

#[test]
fn what_is_not_reported_counts_by_events_and_by_bytes() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.capped(&[("LTR-1", Some(10_000))]);
    slow(&world, &minh, 5).text().unwrap();
    assert_eq!(ask(&world, &minh), 200);
    let mut streamed = chat("mythos-5", true);
    streamed["stream_options"] = serde_json::json!({"include_usage": true});
    world.post(&minh, CHAT, &streamed).text().unwrap();
    let quiet = world.post_with(&minh, CHAT, &[("x-fake", "no-usage")], &body(&chat("mythos-5", false)));
    let bytes = quiet.text().unwrap().len() as u64;
    world.settle();
    assert_eq!(ask(&world, &minh), 200);
    // Six events (five words and the end), then whole answers and a report that stands in place of the events.
    let world = world.restart(capped(3, &[("LTR-1", Some(10_000))]));
    assert_eq!(ask(&world, &minh), 200);
    assert_eq!(used(last(&world.log(), Kind::Open).1)[0].1, 6 + WHOLE + WHOLE + bytes + WHOLE);
}

#[test]
fn many_streams_together_exceed_their_cap_by_one_event_each_at_most() {
    const STREAMS: usize = 24;
    let mut world = World::with(|settings| settings.limits.in_flight_per_caller = STREAMS, Arc::new(Unmonitored));
    let people: Vec<String> = (0..STREAMS).map(|n| world.person(&format!("p{n}"), false)).collect();
    world.capped(&[("LTR-1", Some(2_000))]);
    let streams: Vec<Answer> = people.iter().map(|key| slow(&world, key, 1_000)).collect();
    let readers = streams.into_iter().map(|stream| std::thread::spawn(move || stream.text().unwrap()));
    let readers: Vec<_> = readers.collect();
    let words: usize = readers.into_iter().map(|reader| reader.join().unwrap().matches("word-").count()).sum();
    assert!((2_000..=2_000 + STREAMS).contains(&words), "{words}");
    let entries = world.entries();
    let cut = entries.iter().filter(|entry| entry.code.as_deref() == Some("license_condition_unmet"));
    assert_eq!(cut.count(), STREAMS);
}

#[test]
fn the_facts_name_no_license_that_sets_no_cap_or_is_about_somebody_else() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.annex_a();
    assert_eq!(ask(&world, &minh), 200);
    world.capped(&[("LTR-1", None), ("LTR-2", Some(500))]);
    assert_eq!(ask(&world, &minh), 200);
    let elsewhere = fresh(&world, "eve", "harbor-tools");
    assert_eq!(ask(&world, &elsewhere), 403);
    let log = world.log();
    let facts: Vec<_> =
        log.iter().filter(|(entry, _)| entry.snapshot.is_some()).map(|(_, facts)| used(facts)).collect();
    assert_eq!(facts, [Vec::new(), vec![("LTR-2".to_owned(), 0)], Vec::new()]);
}

/// Registers a foreign person whose evidence is of the clock's now, who works for `organization`; returns a key of its.
fn fresh(world: &World, id: &str, organization: &str) -> String {
    let organization = OrganizationId::parse(organization).unwrap();
    let (mut minh, at) = (person(id, false), terms::Clock::now(world.clock.as_ref()));
    minh.attestations.iter_mut().for_each(|attestation| attestation.issued_at = at);
    minh.affiliations[0].organization = organization.clone();
    world.change(Change::Person(Arc::new(minh)));
    let (key, holder) = (KeyText::mint().unwrap(), Holder::Person { person: PersonId::parse(id).unwrap() });
    let record = identity::KeyRecord {
        id: key.id(),
        holder,
        organization: Some(organization),
        digest: world.pepper.digest(&key),
        created_at: at,
        expires_at: at.plus(Duration::from_secs(30 * 86_400)),
        revoked_at: None,
        end_use: None,
        confirmation: None,
    };
    world.change(Change::Key(Arc::new(record)));
    key.reveal().to_owned()
}

fn ask(world: &World, key: &str) -> u16 {
    let answer = world.post(key, CHAT, &chat("mythos-5", false));
    let status = answer.head.status;
    answer.text().unwrap();
    world.settle();
    status
}

/// Begins a stream of `words` pieces, 20 ms apart.
fn slow(world: &World, key: &str, words: usize) -> Answer {
    let pace = format!("slow-{words}-20");
    let answer = world.post_with(key, CHAT, &[("x-fake", &pace)], &body(&chat("mythos-5", true)));
    assert_eq!(answer.head.status, 200);
    answer
}

fn last(log: &[(Entry, Vec<u8>)], kind: Kind) -> (Entry, &[u8]) {
    let found = log.iter().rev().find(|(entry, _)| entry.kind == kind).expect("such an entry");
    (found.0.clone(), &found.1)
}

fn parsed(facts: &[u8]) -> Facts {
    serde_json::from_slice(facts).unwrap()
}

/// Returns what recorded facts say was used.
fn used(facts: &[u8]) -> Vec<(String, u64)> {
    let consumed = parsed(facts).consumed;
    consumed.into_iter().map(|used| (used.instrument.to_string(), used.tokens)).collect()
}
