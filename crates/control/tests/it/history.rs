//! What was in force when, what the answer would have been, and why recorded calls were answered as they were.

use std::sync::Arc;

use axum::http::StatusCode;
use control::Role;
use ledger::Draft;
use policy::{CallerFacts, CredentialFacts, Determination, Facts, Snapshot, decide};
use proof::entry::{Entry, Kind, Outcome};
use serde_json::{Value, json};
use terms::{KeyId, ModelVersionId, Moment};

use crate::world::World;

const BEFORE: &str = "2026-06-12T20:00:00Z";
const BARRED: &str = "2026-06-20T00:00:00Z";
const LICENSED: &str = "2026-06-27T00:00:00Z";
const STAYED: &str = "2026-07-02T00:00:00Z";
const VACATED: &str = "2026-07-06T00:00:00Z";

fn moment(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

/// The order of June 12, with evidence that may be old: the tests are about other times.
fn order() -> Value {
    let text = include_str!("../../../../examples/june-12.directive.json");
    let mut order: Value = serde_json::from_str(text).unwrap();
    order["evidence"]["max_age_hours"] = json!(8_784);
    order
}

/// The letter of June 26, for one grantee.
fn letter() -> Value {
    let text = include_str!("../../../../examples/annex-a.license.json");
    let mut letter: Value = serde_json::from_str(text).unwrap();
    letter["grantees"] = json!({ "organizations": ["northgate-grid"], "own_staff": false });
    letter["territory"] = json!({ "exclude_groups": [], "unsettled_groups": [] });
    letter
}

async fn attest(world: &World, id: &str, person: &str, claim: Value, issued_at: &str) {
    let attestation = json!({
        "id": id, "person": person, "claim": claim, "issuer": "proofing-desk", "evidence": "case 4711",
        "assurance": "ial2", "issued_at": issued_at, "expires_at": "2027-06-01T00:00:00Z",
    });
    world.done("POST /admin/v1/attestations", attestation).await;
}

/// A grantee with two people: a citizen, and a foreign person; and one of whom nothing is attested.
async fn populate(world: &World) {
    let grid = json!({
        "id": "northgate-grid", "legal_name": "Northgate Grid Cooperative", "country": "US", "kind": "us",
        "screening": "cleared", "coverage": "none",
    });
    world.done("POST /admin/v1/organizations", grid).await;
    for id in ["ada", "minh", "bo"] {
        world.done("POST /admin/v1/people", json!({ "id": id, "display_name": id, "screening": "cleared" })).await;
        let work = json!({
            "id": format!("aff-{id}"), "person": id, "organization": "northgate-grid", "engagement": "employee",
            "issuer": "northgate-hr", "evidence": "roster", "attested_at": "2026-06-01T00:00:00Z",
            "ends_at": "2027-06-01T00:00:00Z",
        });
        world.done("POST /admin/v1/affiliations", work).await;
    }
    attest(world, "att-ada", "ada", json!({ "kind": "us_person", "limb": "citizen" }), "2026-06-01T00:00:00Z").await;
    attest(world, "att-minh", "minh", json!({ "kind": "foreign_person" }), "2026-06-01T00:00:00Z").await;
}

/// The story: an order, a letter, a stay, a vacatur; each recorded when it came.
async fn story() -> World {
    let world = World::new();
    populate(&world).await;
    world.clock.set(moment("2026-06-12T21:21:00Z"));
    world.done("POST /admin/v1/directives?apply=true", order()).await;
    world.clock.set(moment("2026-06-26T16:00:00Z"));
    world.done("POST /admin/v1/licenses?apply=true", letter()).await;
    world.clock.set(moment("2026-07-01T12:00:00Z"));
    world.done("POST /admin/v1/directives/DIR-2026-06-12/stay", Value::Null).await;
    world.clock.set(moment("2026-07-05T12:00:00Z"));
    world.done("POST /admin/v1/directives/DIR-2026-06-12/vacate", Value::Null).await;
    world.clock.set(moment("2026-07-10T00:00:00Z"));
    world
}

async fn ask(world: &World, person: &str, as_of: &str, known_at: Option<&str>) -> Value {
    let question = json!({
        "person": person, "organization": "northgate-grid", "model": "mythos-5", "as_of": as_of, "known_at": known_at,
    });
    let asked = world.done("POST /admin/v1/ask", question).await;
    asked["explanation"]["tried"][0]["answer"].clone()
}

/// Spells an answer as `outcome provision`.
fn spelled(answer: &Value) -> String {
    let provision = answer["basis"].get(0).or_else(|| answer["denied_by"].get(0));
    let provision = provision.and_then(|note| note["id"].as_str()).unwrap_or("nothing");
    format!("{} {provision}", answer["outcome"].as_str().unwrap())
}

#[tokio::test]
async fn the_answer_as_of_any_time_is_the_one_of_what_governed_then() {
    let world = story().await;
    let mut said = Vec::new();
    for as_of in [BEFORE, BARRED, LICENSED, STAYED, VACATED] {
        said.push(spelled(&ask(&world, "minh", as_of, None).await));
    }
    assert_eq!(
        said,
        [
            "permit base.no-license-required",
            "refuse DIR-2026-06-12.person-scope",
            "permit LTR-2026-06-26.grantees",
            "permit base.no-license-required",
            "permit base.no-license-required",
        ]
    );
    assert_eq!(spelled(&ask(&world, "ada", BARRED, None).await), "permit DIR-2026-06-12.us-person");
    assert_eq!(spelled(&ask(&world, "bo", BARRED, None).await), "hold DIR-2026-06-12.person-scope");
}

#[tokio::test]
async fn after_a_stay_and_after_a_vacatur_the_answers_are_those_from_before_the_order() {
    let world = story().await;
    for person in ["ada", "minh", "bo"] {
        let before = ask(&world, person, BEFORE, Some(BEFORE)).await;
        for after in [STAYED, VACATED] {
            assert_eq!(ask(&world, person, after, Some(after)).await["basis"], before["basis"], "{person} {after}");
            assert_eq!(ask(&world, person, after, None).await["outcome"], before["outcome"], "{person} {after}");
        }
    }
}

#[tokio::test]
async fn what_was_not_yet_on_record_does_not_count_as_known_then() {
    let world = story().await;
    assert_eq!(spelled(&ask(&world, "minh", LICENSED, Some(BARRED)).await), "refuse DIR-2026-06-12.person-scope");
    assert_eq!(spelled(&ask(&world, "minh", STAYED, Some(LICENSED)).await), "permit LTR-2026-06-26.grantees");
    assert_eq!(spelled(&ask(&world, "minh", BARRED, Some(BEFORE)).await), "permit base.no-license-required");
}

#[tokio::test]
async fn evidence_recorded_later_about_an_earlier_day_counts_as_of_that_day_once_it_is_known() {
    let world = World::new();
    populate(&world).await;
    world.done("POST /admin/v1/directives?apply=true", order()).await;
    world.clock.set(moment("2026-06-16T00:00:00Z"));
    attest(&world, "late", "bo", json!({ "kind": "us_person", "limb": "asylee" }), "2026-06-13T00:00:00Z").await;
    let (day_2, day_5) = ("2026-06-14T00:00:00Z", "2026-06-17T00:00:00Z");
    world.clock.set(moment(day_5));
    assert_eq!(ask(&world, "bo", day_2, Some(day_2)).await["code"], "standing_unattested");
    assert_eq!(spelled(&ask(&world, "bo", day_2, Some(day_5)).await), "permit DIR-2026-06-12.us-person");

    world.clock.set(moment("2026-06-18T00:00:00Z"));
    world.done("POST /admin/v1/attestations/late/withdraw", json!({ "reason": "withdrawn by its issuer" })).await;
    world.done("PATCH /admin/v1/people/bo", json!({ "active": false })).await;
    assert_eq!(ask(&world, "bo", "2026-06-18T00:00:00Z", None).await["code"], "caller_inactive");
    assert_eq!(spelled(&ask(&world, "bo", day_5, None).await), "permit DIR-2026-06-12.us-person", "it was held then");
}

#[tokio::test]
async fn a_stay_recorded_after_the_fact_governs_from_the_day_it_names() {
    let world = World::new();
    populate(&world).await;
    world.clock.set(moment("2026-06-12T21:21:00Z"));
    world.done("POST /admin/v1/directives?apply=true", order()).await;
    world.clock.set(moment("2026-06-25T00:00:00Z"));
    let mut stayed = order();
    stayed["version"] = json!(2);
    stayed["status"] = json!("stayed");
    stayed["status_since"] = json!("2026-06-20T00:00:00Z");
    world.done("POST /admin/v1/directives?apply=true", stayed).await;
    let (stay_1, stay_2) = ("2026-06-21T00:00:00Z", "2026-06-22T00:00:00Z");
    assert_eq!(ask(&world, "minh", stay_1, Some(stay_2)).await["outcome"], "refuse", "nobody knew");
    assert_eq!(ask(&world, "minh", stay_1, None).await["outcome"], "permit", "and now it is known");
    assert_eq!(ask(&world, "minh", "2026-06-19T00:00:00Z", None).await["outcome"], "refuse", "it was in force");
}

#[tokio::test]
async fn every_version_of_every_instrument_says_whether_it_governed_and_why() {
    let world = story().await;
    for (as_of, expected) in [
        (BARRED, ["in_effect", "not_yet_speaking", "not_yet_speaking", "not_yet_effective"]),
        (LICENSED, ["in_effect", "not_yet_speaking", "not_yet_speaking", "in_effect"]),
        (STAYED, ["later_version", "stayed", "not_yet_speaking", "in_effect"]),
        (VACATED, ["later_version", "later_version", "vacated", "in_effect"]),
    ] {
        let shown = world.done(&format!("GET /admin/v1/instruments?as_of={as_of}"), Value::Null).await;
        let why: Vec<&str> = shown["items"].as_array().unwrap().iter().map(|i| i["why"].as_str().unwrap()).collect();
        assert_eq!(why, expected, "{as_of}");
    }
    let line = format!("GET /admin/v1/instruments?as_of={STAYED}&known_at={BARRED}");
    let shown = world.done(&line, Value::Null).await;
    assert_eq!(shown["items"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["items"][0]["reason"], "in effect");
    assert_eq!(shown["in_force"]["since"], "2026-06-12T21:21:00Z");
}

#[tokio::test]
async fn a_time_at_which_nothing_can_be_known_is_refused_with_the_reason() {
    let world = story().await;
    for (known_at, says) in
        [("2026-06-11T00:00:00Z", "the log began at 2026-06-12T12:00:00Z"), ("2026-12-01T00:00:00Z", "in the future")]
    {
        let question = json!({ "person": "minh", "model": "mythos-5", "known_at": known_at });
        let reply = world.refused("POST /admin/v1/ask", question, "known_at").await;
        assert!(reply.body.to_string().contains(says), "{reply:?}");
        let line = format!("GET /admin/v1/instruments?known_at={known_at}");
        world.refused(&line, Value::Null, "known_at").await;
    }
    world.refused("POST /admin/v1/ask", json!({ "model": "mythos-5" }), "key").await;
    world.refused("POST /admin/v1/ask", json!({ "person": "minh", "model": "nowhere-1" }), "model").await;
    let nobody = json!({ "person": "nobody", "model": "mythos-5" });
    assert_eq!(world.call(&world.root, "POST /admin/v1/ask", nobody).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_is_asked_about_as_it_was_then() {
    let world = World::new();
    populate(&world).await;
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "northgate-grid" });
    let minted = world.done("POST /admin/v1/keys", key).await;
    let id = minted["item"]["id"].as_str().unwrap();
    world.clock.set(moment("2026-06-15T00:00:00Z"));
    world.done(&format!("POST /admin/v1/keys/{id}/revoke"), Value::Null).await;
    world.clock.set(moment("2026-06-16T00:00:00Z"));
    let question = |as_of: &str| json!({ "key": id, "model": "mythos-5", "as_of": as_of });
    for (as_of, code) in [("2026-06-14T00:00:00Z", Value::Null), ("2026-06-15T12:00:00Z", json!("credential_ended"))] {
        let asked = world.done("POST /admin/v1/ask", question(as_of)).await;
        assert_eq!(asked["explanation"]["tried"][0]["answer"]["code"], code, "{as_of}");
    }
    world.refused("POST /admin/v1/ask", question("2026-06-01T00:00:00Z"), "as_of").await;
}

/// Facts about a person of the directory, as the gateway gathers them.
fn facts(world: &World, person: &str) -> Facts {
    let directory = world.control.directory();
    Facts {
        at: terms::Clock::now(world.clock.as_ref()),
        model: ModelVersionId::parse("mythos-5").unwrap(),
        credential: CredentialFacts {
            id: KeyId::parse("0123456789abcdef").unwrap(),
            expires_at: moment("2026-09-01T00:00:00Z"),
            revoked: false,
            organization: None,
            end_use: None,
        },
        caller: CallerFacts::Person { person: directory.person(&person.parse().unwrap()).unwrap() },
        organizations: directory.organization(&"northgate-grid".parse().unwrap()).into_iter().collect(),
        consumed: Vec::new(),
        channels: Vec::new(),
    }
}

/// Records what the gateway would record of a call; returns the index of its first entry.
fn record(world: &World, call: u8, snapshot: &Arc<Snapshot>, facts: &Facts) -> u64 {
    let mut entry = match decide(snapshot, facts) {
        Determination::Permit(permit) => Entry { basis: Some(spelled_ids(permit.basis())), ..Entry::new(Kind::Open) },
        Determination::Refuse(refusal) => Entry {
            basis: Some(spelled_ids(refusal.denied_by())),
            code: Some(refusal.code().as_str().to_owned()),
            ..Entry::new(Kind::Refusal)
        },
    };
    entry.call = Some([call; 16]);
    entry.model = Some(facts.model.as_str().to_owned());
    entry.snapshot = Some(*snapshot.digest());
    append(world, entry, serde_json::to_vec(facts).unwrap())
}

fn spelled_ids(provisions: &[terms::ProvisionId]) -> Vec<String> {
    provisions.iter().map(ToString::to_string).collect()
}

fn append(world: &World, entry: Entry, private: Vec<u8>) -> u64 {
    world.ledger.append(Draft::new(entry, private)).unwrap().wait().unwrap().index()
}

#[tokio::test]
async fn a_refused_call_is_explained_as_it_was_decided_and_as_it_would_be_now() {
    let world = World::new();
    populate(&world).await;
    world.clock.set(moment("2026-06-13T00:00:00Z"));
    world.done("POST /admin/v1/directives?apply=true", order()).await;
    let then = world.control.snapshot();
    let index = record(&world, 7, &then, &facts(&world, "minh"));
    world.clock.set(moment("2026-06-14T00:00:00Z"));
    world.done("POST /admin/v1/directives/DIR-2026-06-12/lift", Value::Null).await;

    let call = "07".repeat(16);
    let by_id = world.done(&format!("GET /admin/v1/calls/{call}/explanation"), Value::Null).await;
    assert_eq!((&by_id["agrees"], &by_id["entry"], &by_id["kind"]), (&json!(true), &json!(index), &json!("refusal")));
    assert_eq!(spelled(&by_id["explanation"]["tried"][0]["answer"]), "refuse DIR-2026-06-12.person-scope");
    assert_eq!(by_id["explanation"]["people"][0]["readings"][0]["standing"], "foreign_person");
    assert!(by_id.get("now").is_none(), "the key of this record was never minted");
    for line in [
        format!("GET /admin/v1/calls/{index}/explanation"),
        format!("GET /admin/v1/calls/{call}/explanation?entry={index}"),
    ] {
        assert_eq!(world.done(&line, Value::Null).await, by_id, "{line}");
    }
    let other = "08".repeat(16);
    let unknown = world.call(&world.root, &format!("GET /admin/v1/calls/{other}/explanation"), Value::Null).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    world.refused(&format!("GET /admin/v1/calls/{other}/explanation?entry={index}"), Value::Null, "entry").await;
    world.refused("GET /admin/v1/calls/0/explanation", Value::Null, "entry").await;
}

#[tokio::test]
async fn a_cut_call_is_explained_by_what_permitted_it_and_by_what_cut_it() {
    let world = World::new();
    populate(&world).await;
    let minted = json!({ "holder": { "kind": "person", "person": "minh" } });
    let minted = world.done("POST /admin/v1/keys", minted).await;
    let with_key = |facts: Facts| {
        let id = KeyId::parse(minted["item"]["id"].as_str().unwrap()).unwrap();
        Facts { credential: CredentialFacts { id, ..facts.credential.clone() }, ..facts }
    };
    let opened = record(&world, 9, &world.control.snapshot(), &with_key(facts(&world, "minh")));
    world.clock.set(moment("2026-06-13T00:00:00Z"));
    world.done("POST /admin/v1/directives?apply=true", order()).await;
    let snapshot = world.control.snapshot();
    let mut close = Entry::new(Kind::Close);
    close.call = Some([9; 16]);
    close.opened = Some(opened);
    close.outcome = Some(Outcome::Cut);
    close.code = Some("foreign_person_barred".to_owned());
    close.snapshot = Some(*snapshot.digest());
    let closed = append(&world, close, serde_json::to_vec(&with_key(facts(&world, "minh"))).unwrap());

    let shown = world.done(&format!("GET /admin/v1/calls/{closed}/explanation"), Value::Null).await;
    assert_eq!(spelled(&shown["explanation"]["tried"][0]["answer"]), "permit base.no-license-required");
    assert_eq!((&shown["closed"]["entry"], &shown["closed"]["outcome"]), (&json!(closed), &json!("cut")));
    let cut = &shown["closed"]["explanation"]["tried"][0]["answer"];
    assert_eq!(cut["code"], "foreign_person_barred");
    assert_eq!(shown["now"]["tried"][0]["answer"]["code"], "foreign_person_barred");
}

#[tokio::test]
async fn only_officers_and_auditors_ask_about_the_past() {
    let world = story().await;
    let question = json!({ "person": "minh", "model": "mythos-5" });
    let lines = [
        ("POST /admin/v1/ask", question),
        ("GET /admin/v1/instruments", Value::Null),
        ("GET /admin/v1/calls/1/explanation", Value::Null),
    ];
    for (line, body) in lines {
        for role in [Role::Registrar, Role::Operator] {
            let reply = world.call(&world.token(role), line, body.clone()).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{role} {line}");
        }
        for role in [Role::Officer, Role::Auditor] {
            let reply = world.call(&world.token(role), line, body.clone()).await;
            assert_ne!(reply.status, StatusCode::FORBIDDEN, "{role} {line}");
        }
    }
}
