//! A part of the record is shown once two people have signed for exactly that part, and on record before it is.

use std::time::Duration;

use axum::http::StatusCode;
use control::{Actor, ApprovalAct, Custody, DeskPolicy, Role};
use proof::{entry::Kind, production::Selection};
use serde_json::{Value, json};
use terms::{Clock, InstrumentId};

use crate::{
    approvals::{Desk, unapproved},
    world::{Reply, World},
};

const PATH: &str = "/admin/v1/productions";

fn asked() -> Value {
    json!({
        "name": "organization:larkspur-labs", "from": "2026-06-01T00:00:00Z",
        "to": "2026-06-12T00:00:00Z", "reason": "letter of June 12",
    })
}

/// A desk with people who can approve, and an organization whose calls can be asked for.
async fn desk() -> Desk {
    with_organization(Desk::new().await).await
}

async fn with_organization(desk: Desk) -> Desk {
    let organization = json!({
        "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us", "coverage": "none",
    });
    desk.world.done("POST /admin/v1/organizations", organization).await;
    desk
}

async fn request(desk: &Desk) -> Value {
    desk.world.done(&format!("POST {PATH}"), asked()).await["item"].clone()
}

/// Returns what `who` signs for a production, good for an hour.
fn signed(desk: &Desk, who: &str, production: &Value) -> Value {
    let id: InstrumentId = production["id"].as_str().unwrap().parse().unwrap();
    let selection: Selection = serde_json::from_value(production["selection"].clone()).unwrap();
    let until = desk.world.clock.now().plus(Duration::from_hours(1));
    desk.sign_act(who, &ApprovalAct::to_produce(&id, &selection, until).unwrap())
}

async fn approve(desk: &Desk, who: &str, production: &Value) -> Reply {
    let path = format!("{PATH}/{}", production["id"].as_str().unwrap());
    desk.hand_in(&path, signed(desk, who, production)).await
}

async fn produce_at_once(world: &World, production: &Value) -> Reply {
    let line = format!("POST {PATH}/{}/produce", production["id"].as_str().unwrap());
    world.call(&world.root, &line, Value::Null).await
}

/// Asks until a checkpoint covers the record.
async fn produce(world: &World, production: &Value) -> Reply {
    loop {
        let reply = produce_at_once(world, production).await;
        if reply.status != StatusCode::SERVICE_UNAVAILABLE {
            return reply;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn custody(world: &World) -> Vec<Custody> {
    let entries = world.entries().into_iter();
    let exports = entries.filter(|(entry, _)| entry.code.as_deref() == Some("custody.export"));
    exports.map(|(_, private)| serde_json::from_str(&private).unwrap()).collect()
}

#[tokio::test]
async fn a_production_is_on_record_once_two_people_in_two_roles_have_signed_for_it() {
    let desk = desk().await;
    let production = request(&desk).await;
    for who in ["iris", "otto"] {
        assert_eq!(unapproved(&produce(&desk.world, &production).await)[0], "approvals");
        assert_eq!(approve(&desk, who, &production).await.status, StatusCode::CREATED);
    }
    assert!(custody(&desk.world).is_empty());
    let made = produce(&desk.world, &production).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    assert!(made.body["item"]["custody"].as_u64() < made.body["item"]["size"].as_u64());
    let [custody] = &custody(&desk.world)[..] else { panic!("not one entry") };
    assert_eq!(serde_json::to_value(&custody.selection).unwrap(), production["selection"]);
    let by: Vec<_> = custody.approvals.iter().map(|approval| approval.approver.as_str()).collect();
    assert_eq!(by, ["iris", "otto"]);
}

#[tokio::test]
async fn a_production_is_recorded_once_however_often_it_is_asked_for_and_whenever_the_server_starts() {
    let desk = desk().await;
    let production = request(&desk).await;
    for who in ["iris", "otto"] {
        approve(&desk, who, &production).await;
    }
    let first = produce(&desk.world, &production).await.body["item"]["custody"].clone();
    let again = produce(&desk.world, &production).await.body["item"]["custody"].clone();
    let world = desk.world.restart_after(|dir| std::fs::remove_dir_all(dir.join("registry")).unwrap());
    let later = produce(&world, &production).await.body["item"]["custody"].clone();
    assert_eq!((&again, &later), (&first, &first));
    assert_eq!(custody(&world).len(), 1);
    let shown = world.done(&format!("GET {PATH}"), Value::Null).await;
    assert_eq!(shown["items"][0]["custody"], first);
}

#[tokio::test]
async fn only_signatures_that_count_are_recorded_as_the_approvals() {
    let desk = desk().await;
    let production = request(&desk).await;
    for who in ["iris", "nora", "otto"] {
        approve(&desk, who, &production).await;
    }
    produce(&desk.world, &production).await;
    let by: Vec<_> = custody(&desk.world).remove(0).approvals.into_iter().map(|one| one.approver).collect();
    assert_eq!(by.len(), 2, "counsel counts once: {by:?}");
}

#[tokio::test]
async fn two_in_one_role_are_not_enough_and_nobody_signs_twice_or_after_the_fact() {
    let desk = desk().await;
    let production = request(&desk).await;
    for who in ["iris", "nora"] {
        approve(&desk, who, &production).await;
    }
    assert_eq!(unapproved(&produce(&desk.world, &production).await), ["approvals", "approvals.nora"]);
    assert_eq!(approve(&desk, "iris", &production).await.status, StatusCode::CONFLICT);
    approve(&desk, "otto", &production).await;
    produce(&desk.world, &production).await;
    assert_eq!(approve(&desk, "otto", &production).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_signature_for_another_selection_or_another_act_is_refused() {
    let desk = desk().await;
    let production = request(&desk).await;
    let line = format!("POST {PATH}/{}/approvals", production["id"].as_str().unwrap());
    let mut wider = production.clone();
    wider["selection"]["from"] = json!("2026-05-01T00:00:00Z");
    desk.world.refused(&line, signed(&desk, "iris", &wider), "act.document_sha256").await;
    let other = request(&desk).await;
    desk.world.refused(&line, signed(&desk, "iris", &other), "act.id").await;
    let mut forged = signed(&desk, "iris", &production);
    forged["act"]["act"] = json!("apply");
    desk.world.refused(&line, forged, "act.act").await;
    let mut stranger = signed(&desk, "iris", &production);
    stranger["jws"] = signed(&desk, "otto", &other)["jws"].clone();
    desk.world.refused(&line, stranger, "jws").await;
}

#[tokio::test]
async fn who_requested_a_production_does_not_approve_it() {
    let desk = desk().await;
    let new = json!({ "role": "officer", "label": "iris at her desk", "person": "iris" });
    let minted = desk.world.done("POST /admin/v1/admin-tokens", new).await;
    let token = minted["key"].as_str().unwrap();
    let production = desk.world.call(token, &format!("POST {PATH}"), asked()).await.body["item"].clone();
    let line = format!("POST {PATH}/{}/approvals", production["id"].as_str().unwrap());
    desk.world.refused(&line, signed(&desk, "iris", &production), "jws").await;
    assert_eq!(approve(&desk, "otto", &production).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_nobody_knows_and_what_is_not_over_is_not_produced() {
    let desk = desk().await;
    let line = format!("POST {PATH}");
    let with = |field: &str, value: Value| {
        let mut asked = asked();
        asked[field] = value;
        asked
    };
    for (field, value) in [
        ("name", json!("organization:nobody")),
        ("name", json!("person:ada")),
        ("to", json!("2026-06-01T00:00:00Z")),
        ("to", json!("2026-06-12T12:00:01Z")),
        ("model", json!("mythos-9")),
        ("reason", json!(" ")),
    ] {
        desk.world.refused(&line, with(field, value), field).await;
    }
    let auditor = desk.world.token(Role::Auditor);
    assert_eq!(desk.world.call(&auditor, &line, asked()).await.status, StatusCode::FORBIDDEN);
    assert!(!desk.world.codes(Kind::Admin).contains(&"production.request".to_owned()));
}

#[tokio::test]
async fn two_people_approve_a_production_even_where_one_officer_acts_alone() {
    let world = World::with_desk(DeskPolicy::SINGLE_PERSON);
    let organization = json!({
        "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us", "coverage": "none",
    });
    world.done("POST /admin/v1/organizations", organization).await;
    let production = world.done(&format!("POST {PATH}"), asked()).await["item"].clone();
    assert_eq!(unapproved(&produce(&world, &production).await), ["approvals"]);
    let actor = Actor::process("test", Role::Root);
    let id = production["id"].as_str().unwrap().parse().unwrap();
    assert!(world.control.admin(&actor).officer().unwrap().produce(&id).is_err());
}

#[tokio::test]
async fn who_asks_before_a_checkpoint_covers_the_record_is_answered_at_once_and_asks_again() {
    let desk = Desk::over(World::signing_every(Duration::from_hours(1), DeskPolicy::default())).await;
    let desk = with_organization(desk).await;
    let production = request(&desk).await;
    for who in ["iris", "otto"] {
        approve(&desk, who, &production).await;
    }
    for _ in 0..2 {
        let early = produce_at_once(&desk.world, &production).await;
        assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE, "{early:?}");
        assert_eq!(early.body["type"], "urn:exeat:problem:not-yet");
        assert_eq!(early.headers["retry-after"], "1");
    }
    // What is recorded after them is durable no earlier than they are.
    request(&desk).await;
    let heads = desk.world.entries().iter().filter(|(entry, _)| entry.kind == Kind::Heads).count();
    assert_eq!((custody(&desk.world).len(), heads), (1, 1), "asking again records nothing again");
}
