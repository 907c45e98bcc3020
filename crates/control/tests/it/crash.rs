//! What is left after a crash between two steps, and after a start.

use std::{fs, path::Path, time::Duration};

use axum::http::StatusCode;
use policy::Alias;
use proof::entry::Kind;
use rusqlite::Connection;
use serde_json::{Value, json};
use terms::{AliasName, KeyId, ModelVersionId, PersonId};

use crate::{
    desk::june_12,
    world::{World, citizenship, model, try_open_control},
};

/// Copies the registry, as a crash would leave it.
fn copy_registry(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn what_the_ledger_has_and_the_registry_not_is_applied_at_the_next_start() {
    let world = World::new();
    world.populate().await;
    let (registry, before) = (world.dir.path().join("registry"), world.dir.path().join("before"));
    copy_registry(&registry, &before);
    world.done("POST /admin/v1/attestations", citizenship("att-1")).await;
    world.done("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    let key = json!({ "holder": { "kind": "person", "person": "minh" } });
    let minh = json!({ "id": "minh", "display_name": "Minh" });
    world.done("POST /admin/v1/people", minh).await;
    let minted = world.done("POST /admin/v1/keys", key).await;
    let applied = world.done("POST /admin/v1/directives?apply=true", june_12(1)).await;
    let auditor = world.token(control::Role::Auditor);
    let digest = *world.control.snapshot().digest();

    let world = world.restart_after(|dir| {
        fs::remove_dir_all(&registry).unwrap();
        fs::rename(dir.join("before"), dir.join("registry")).unwrap();
    });
    let directory = world.control.directory();
    let ada = directory.person(&PersonId::parse("ada").unwrap()).unwrap();
    assert!(!ada.active);
    assert_eq!(ada.attestations.len(), 1);
    let id = KeyId::parse(minted["item"]["id"].as_str().unwrap()).unwrap();
    assert!(directory.key(&id).is_some());
    assert_eq!(*world.control.snapshot().digest(), digest);
    let who = world.call(&auditor, "GET /admin/v1/whoami", Value::Null).await;
    assert_eq!(who.status, StatusCode::OK);
    let snapshot = world.done("GET /admin/v1/snapshot", Value::Null).await;
    assert_eq!(snapshot["receipt"], applied["receipt"]);
}

#[tokio::test]
async fn a_registry_that_is_gone_is_made_again_from_the_ledger() {
    let world = World::new();
    world.populate().await;
    world.done("POST /admin/v1/attestations", citizenship("att-1")).await;
    let before = world.done("GET /admin/v1/people/ada", Value::Null).await;
    let world = world.restart_after(|dir| fs::remove_dir_all(dir.join("registry")).unwrap());
    let after = world.done("GET /admin/v1/people/ada", Value::Null).await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_restart_keeps_everything_and_records_no_snapshot_again() {
    let world = World::new();
    world.populate().await;
    world.done("POST /admin/v1/attestations", citizenship("att-1")).await;
    world.done("POST /admin/v1/directives?apply=true", june_12(1)).await;
    let lines = [
        "GET /admin/v1/people",
        "GET /admin/v1/organizations",
        "GET /admin/v1/affiliations",
        "GET /admin/v1/attestations",
        "GET /admin/v1/directives",
        "GET /admin/v1/snapshot",
        "GET /admin/v1/admin-tokens",
    ];
    let mut before = Vec::new();
    for line in lines {
        before.push(world.done(line, Value::Null).await);
    }
    let snapshots = world.codes(Kind::Snapshot);
    let world = world.restart();
    for (line, before) in lines.iter().zip(before) {
        assert_eq!(world.done(line, Value::Null).await, before, "{line}");
    }
    assert_eq!(world.codes(Kind::Snapshot), snapshots);
}

#[tokio::test]
async fn when_the_ledger_takes_no_entry_nothing_changes() {
    let world = World::new();
    world.populate().await;
    world.ledger.stop().unwrap();
    let off = json!({ "active": false });
    let reply = world.call(&world.root, "PATCH /admin/v1/people/ada", off).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let ada = world.done("GET /admin/v1/people/ada", Value::Null).await;
    assert_eq!(ada["active"], true);
    let health = world.done("GET /admin/v1/health", Value::Null).await;
    assert_eq!(health["ready"], false);
}

#[tokio::test]
async fn a_change_that_the_registry_could_not_take_binds_at_once_and_is_stored_before_the_next_one() {
    let world = World::new();
    world.populate().await;
    let told = world.attach();
    let other = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let off = json!({ "active": false });
    let reply = world.call(&world.root, "PATCH /admin/v1/people/ada", off).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    let receipt = usize::try_from(reply.body["receipt"].as_u64().unwrap()).unwrap();
    let (entry, _) = &world.entries()[receipt];
    assert_eq!(entry.code.as_deref(), Some("person.deactivate"));
    // It is on record, so live calls hear of it although the registry has not stored it.
    assert_eq!(told.all(), ["person ada"]);
    assert!(!world.control.directory().person(&"ada".parse().unwrap()).unwrap().active);
    let health = world.done("GET /admin/v1/health", Value::Null).await;
    assert_eq!(health["registry_behind"], true);

    other.execute_batch("ROLLBACK").unwrap();
    world.control.checkpoint().unwrap();
    assert_eq!(told.all(), ["person ada", "person ada"]);
    let ada = world.done("GET /admin/v1/people/ada", Value::Null).await;
    assert_eq!(ada["active"], false);
}

#[tokio::test]
async fn a_change_that_cannot_be_read_back_binds_at_once_and_is_in_effect_in_full_before_the_next_one() {
    let world = World::new();
    world.populate().await;
    let told = world.attach();
    let other = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    // Whatever is stored of a person makes what is known of them unreadable, as a bad page would.
    let broken = "CREATE TRIGGER broken AFTER UPDATE ON person BEGIN UPDATE affiliation SET body = '{' || body; END";
    other.execute_batch(broken).unwrap();
    let off = json!({ "active": false });
    let reply = world.call(&world.root, "PATCH /admin/v1/people/ada", off).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    let receipt = usize::try_from(reply.body["receipt"].as_u64().unwrap()).unwrap();
    assert_eq!(world.entries()[receipt].0.code.as_deref(), Some("person.deactivate"));
    assert_eq!(told.all(), ["person ada"], "live calls hear of it all the same");
    assert!(!world.control.directory().person(&"ada".parse().unwrap()).unwrap().active);
    let health = world.done("GET /admin/v1/health", Value::Null).await;
    assert_eq!(health["registry_behind"], true);
    let refused = world.call(&world.root, "POST /admin/v1/people", json!({ "id": "a", "display_name": "A" })).await;
    assert!(refused.status.is_server_error(), "nothing is changed before it is in effect: {refused:?}");

    other.execute_batch("DROP TRIGGER broken; UPDATE affiliation SET body = substr(body, 2)").unwrap();
    world.control.checkpoint().unwrap();
    assert_eq!(told.all(), ["person ada", "person ada"]);
    assert_eq!(world.done("GET /admin/v1/health", Value::Null).await["registry_behind"], false);
    world.done("POST /admin/v1/people", json!({ "id": "a", "display_name": "A" })).await;
}

#[tokio::test]
async fn a_directive_that_the_registry_could_not_take_binds_at_once() {
    let world = World::new();
    world.populate().await;
    let other = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = *world.control.snapshot().digest();
    let directive: Value = serde_json::from_str(include_str!("../../../../examples/june-12.directive.json")).unwrap();
    let reply = world.call(&world.root, "POST /admin/v1/directives?apply=true", directive).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(*world.control.snapshot().digest(), before, "what is on record is in force");
    other.execute_batch("ROLLBACK").unwrap();
    world.control.checkpoint().unwrap();
    let shown = world.done("GET /admin/v1/snapshot", Value::Null).await;
    assert!(shown.to_string().contains("DIR-2026-06-12"));
}

#[tokio::test]
async fn a_configuration_that_does_not_compile_changes_nothing() {
    let world = World::new();
    let told = world.attach();
    let (before, entries) = (world.control.snapshot(), world.entries().len());
    let alias = |version: &str| Alias {
        name: AliasName::parse("assistant").unwrap(),
        versions: vec![ModelVersionId::parse(version).unwrap()],
    };
    let models = || vec![model("fable-5"), model("mythos-5")];
    let refused = world.control.reconfigure(models(), vec![alias("nowhere-1")], None);
    assert!(matches!(refused, Err(control::Fault::DoesNotCompile(faults)) if !faults.is_empty()));
    assert_eq!(world.control.snapshot().digest(), before.digest());
    assert_eq!(world.entries().len(), entries);

    let same = world.control.reconfigure(models(), Vec::new(), None).unwrap();
    assert_eq!((same.examined, world.entries().len()), (0, entries));

    let effect = world.control.reconfigure(models(), vec![alias("mythos-5")], None).unwrap();
    assert_eq!(effect.examined, 2);
    assert_eq!(told.all(), ["snapshot 2"]);
    assert_eq!(world.codes(Kind::Snapshot), ["config.load", "config.reload"]);
    let (entry, private) = world.entries().pop().unwrap();
    let snapshot = world.control.snapshot();
    assert_eq!(entry.snapshot, Some(*snapshot.digest()));
    assert_eq!(private.as_bytes(), snapshot.canonical());
}

#[tokio::test]
async fn a_registry_of_a_later_schema_is_not_opened() {
    let world = World::new();
    let db = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let opened = try_open_control(world.dir.path(), &world.ledger, &world.clock);
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("has schema version 99"), "{error}");
}

#[tokio::test]
async fn a_second_process_cannot_make_the_registry_wait_for_ever() {
    let world = World::new();
    let other = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    let reply = world.call(&world.root, "POST /admin/v1/people", json!({ "id": "a", "display_name": "A" })).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(started.elapsed() < Duration::from_secs(20));
}
