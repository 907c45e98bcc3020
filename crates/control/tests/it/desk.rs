//! The directive desk.

use axum::http::StatusCode;
use control::{Actor, InstrumentKind, Role, Turn};
use proof::entry::Kind;
use serde_json::{Value, json};
use terms::InstrumentId;

use crate::world::World;

/// The directive of June 12 as a version of it.
pub(crate) fn june_12(version: u32) -> Value {
    let text = include_str!("../../../../examples/june-12.directive.json");
    let mut document: Value = serde_json::from_str(text).unwrap();
    document["version"] = json!(version);
    document
}

fn id() -> String {
    june_12(1)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_directive_is_filed_then_applied_then_stayed_and_lifted() {
    let world = World::new();
    let told = world.attach();
    let first = world.control.snapshot();
    let filed = world.done("POST /admin/v1/directives", june_12(1)).await;
    assert_eq!(filed["item"]["applied"], false);
    assert_eq!(world.control.snapshot().digest(), first.digest());
    assert!(told.all().is_empty());

    let apply = format!("POST /admin/v1/directives/{}/apply", id());
    let wrong = world
        .call(&world.root, &apply, json!({ "version": 2 }))
        .await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    let applied = world.done(&apply, json!({ "version": 1 })).await;
    assert_eq!(applied["effect"], json!({ "examined": 2, "recalled": 1 }));
    let snapshot = world.control.snapshot();
    assert_eq!(snapshot.document().directives.len(), 1);
    assert_eq!(snapshot.epoch(), first.epoch() + 1);

    for (turn, version) in [("stay", 2), ("lift", 3)] {
        let line = format!("POST /admin/v1/directives/{}/{turn}", id());
        let turned = world.done(&line, Value::Null).await;
        assert_eq!(turned["item"]["version"], version);
        assert_eq!(turned["item"]["applied"], true);
    }
    assert_eq!(told.all(), ["snapshot 2", "snapshot 3", "snapshot 4"]);
    let shown = world
        .done(&format!("GET /admin/v1/directives/{}", id()), Value::Null)
        .await;
    let statuses = shown["versions"].as_array().unwrap().iter();
    let statuses: Vec<_> = statuses
        .map(|version| version["document"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["lifted", "stayed", "in_force"]);
    assert_eq!(world.codes(Kind::Registry), ["directive.file"]);
    assert_eq!(
        world.codes(Kind::Snapshot),
        [
            "config.load",
            "directive.apply",
            "directive.stay",
            "directive.lift"
        ]
    );
}

#[tokio::test]
async fn versions_follow_one_another_without_a_gap_and_are_never_edited() {
    let world = World::new();
    let line = "POST /admin/v1/directives";
    let early = world.call(&world.root, line, june_12(2)).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    world.done(line, june_12(1)).await;
    let again = world.call(&world.root, line, june_12(1)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    world.done(line, june_12(2)).await;
    let stay = format!("POST /admin/v1/directives/{}/stay", id());
    let waits = world.call(&world.root, &stay, Value::Null).await;
    assert_eq!(waits.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_directive_with_an_unknown_field_is_refused_by_the_fields_name() {
    let world = World::new();
    let before = world.entries().len();
    let mut document = june_12(1);
    document["person_scop"] = json!({});
    let reply = world
        .call(&world.root, "POST /admin/v1/directives", document)
        .await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reply.body.to_string().contains("person_scop"), "{reply:?}");
    assert_eq!(world.entries().len(), before);
}

#[tokio::test]
async fn the_record_of_a_snapshot_is_the_canonical_document_and_names_who_applied_it() {
    let world = World::new();
    let officer = world.token(Role::Officer);
    let line = "POST /admin/v1/directives?apply=true";
    let reply = world.call(&officer, line, june_12(1)).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let receipt = usize::try_from(reply.body["receipt"].as_u64().unwrap()).unwrap();
    let entries = world.entries();
    let snapshot = world.control.snapshot();
    assert_eq!(entries[receipt].0.snapshot, Some(*snapshot.digest()));
    assert_eq!(entries[receipt].1.as_bytes(), snapshot.canonical());
    let said: Value = serde_json::from_str(&entries[receipt - 1].1).unwrap();
    let who = world
        .call(&officer, "GET /admin/v1/whoami", Value::Null)
        .await;
    assert_eq!(said["actor"], who.body["actor"]);
    let shown = world.done("GET /admin/v1/snapshot", Value::Null).await;
    assert_eq!(shown["receipt"], reply.body["receipt"]);
}

#[tokio::test]
async fn the_same_desk_serves_callers_in_the_same_process() {
    let world = World::new();
    let officer = Actor::process("demo", Role::Officer);
    let admin = world.control.admin(&officer);
    assert!(admin.registrar().is_err());
    let desk = admin.officer().unwrap();
    let document = june_12(1).to_string();
    let kind = InstrumentKind::Directive;
    let applied = desk.file_and_apply(kind, document.as_bytes()).unwrap();
    assert!(applied.item.state.applied);
    let id = InstrumentId::parse(&id()).unwrap();
    assert_eq!(
        desk.turn(kind, &id, Turn::Vacate)
            .unwrap()
            .item
            .state
            .version,
        2
    );
}
