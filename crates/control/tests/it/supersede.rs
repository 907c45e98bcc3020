//! A directive that takes the place of another ends it in the same snapshot.

use std::time::Duration;

use axum::http::StatusCode;
use proof::entry::Kind;
use serde_json::{Value, json};

use crate::{approvals::Desk, desk::june_12, world::World};

const FILE: &str = "POST /admin/v1/directives";
const APPLY: &str = "POST /admin/v1/directives?apply=true";
const NEW: &str = "DIR-2026-06-20";

/// A directive that takes the place of that of June 12.
fn successor(version: u32) -> Value {
    let mut document = june_12(version);
    document["id"] = json!(NEW);
    document["supersedes"] = json!("DIR-2026-06-12");
    document
}

/// Returns id, version, status and since when of every directive of the snapshot.
fn held(world: &World) -> Vec<String> {
    let snapshot = world.control.snapshot();
    let held = snapshot.document().directives.iter();
    held.map(|one| format!("{} {} {} {}", one.id(), one.version(), one.status().as_str(), one.status_since())).collect()
}

#[tokio::test]
async fn a_directive_and_the_end_of_the_one_it_replaces_take_force_in_one_snapshot() {
    let world = World::new();
    world.done(APPLY, june_12(1)).await;
    world.done(FILE, successor(1)).await;
    assert_eq!(held(&world).len(), 1);
    world.done(&format!("POST /admin/v1/directives/{NEW}/apply"), Value::Null).await;
    let since = "2026-06-12T11:00:00Z";
    assert_eq!(
        held(&world),
        ["DIR-2026-06-12 2 superseded 2026-06-12T12:00:00Z".to_owned(), format!("{NEW} 1 in_force {since}"),]
    );
    assert_eq!(world.codes(Kind::Snapshot), ["config.load", "directive.apply", "directive.apply"]);
    let old = world.done("GET /admin/v1/directives/DIR-2026-06-12", Value::Null).await;
    assert_eq!((&old["versions"][0]["version"], &old["versions"][0]["applied"]), (&json!(2), &json!(true)));

    // A later version of the successor finds the place taken already.
    world.done(APPLY, successor(2)).await;
    assert_eq!(held(&world).len(), 2);
}

#[tokio::test]
async fn a_directive_that_binds_later_leaves_the_one_it_replaces_in_force_until_then() {
    let world = World::new();
    world.done(APPLY, june_12(1)).await;
    let mut later = successor(1);
    later["effective_at"] = json!("2026-06-20T00:00:00Z");
    later["grace_minutes"] = json!(90);
    world.done(APPLY, later).await;
    let versions: Vec<String> = held(&world).into_iter().take(2).collect();
    assert_eq!(
        versions,
        ["DIR-2026-06-12 1 in_force 2026-06-12T11:00:00Z", "DIR-2026-06-12 2 superseded 2026-06-20T01:30:00Z",]
    );
    // A stay of what still governs does not bring back what was to end.
    world.clock.advance(Duration::from_hours(24));
    let stayed = world.done("POST /admin/v1/directives/DIR-2026-06-12/stay", Value::Null).await;
    assert_eq!(stayed["item"]["version"], 3);
    let notice = stayed["item"]["notices"][0]["why"].as_str().unwrap();
    assert!(notice.starts_with("version 2, which was to govern from 2026-06-20T01:30:00Z"), "{notice}");
    assert_eq!(held(&world)[0], "DIR-2026-06-12 3 stayed 2026-06-13T12:00:00Z");
}

#[tokio::test]
async fn what_is_unknown_or_over_or_would_replace_in_turn_is_not_replaced() {
    let world = World::new();
    let before = world.entries().len();
    let line = [FILE, APPLY];
    for line in line {
        let reply = world.refused(line, successor(1), "supersedes").await;
        assert!(reply.body.to_string().contains("no directive that was applied here"), "{reply:?}");
    }
    assert_eq!(world.entries().len(), before);
    world.done(APPLY, june_12(1)).await;
    world.done(APPLY, successor(1)).await;

    let mut back = june_12(3);
    back["supersedes"] = json!(NEW);
    let reply = world.refused(APPLY, back, "supersedes").await;
    assert!(reply.body.to_string().contains("each take the place of the other"), "{reply:?}");
    let mut third = successor(1);
    third["id"] = json!("DIR-2026-06-30");
    let reply = world.refused(APPLY, third, "supersedes").await;
    assert!(reply.body.to_string().contains("superseded already"), "{reply:?}");
    assert_eq!(held(&world).len(), 2);
}

#[tokio::test]
async fn breaking_the_glass_replaces_no_directive() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    let path = "/admin/v1/directives/DIR-2026-06-12";
    for who in ["iris", "otto"] {
        desk.approve(who, path).await;
    }
    desk.apply(path).await;
    desk.file(successor(1)).await;
    let line = format!("POST /admin/v1/directives/{NEW}/apply?break_glass=true");
    let urgent = json!({ "reason": "the plant stands still", "minutes": 30 });
    let reply = desk.world.call(&desk.world.root, &line, urgent).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    assert_eq!(held(&desk.world).len(), 1);
}

#[tokio::test]
async fn a_directive_that_is_only_announced_ends_no_other() {
    let world = World::new();
    world.done(APPLY, june_12(1)).await;
    let mut announced = successor(1);
    announced["status"] = json!("pending");
    world.done(APPLY, announced).await;
    assert_eq!(held(&world)[0], "DIR-2026-06-12 1 in_force 2026-06-12T11:00:00Z");
    assert_eq!(held(&world).len(), 2);
}

#[tokio::test]
async fn a_successor_cannot_be_vacated_or_postponed_while_the_end_of_the_old_one_is_still_to_come() {
    let world = World::new();
    world.done(APPLY, june_12(1)).await;
    let mut later = successor(1);
    later["effective_at"] = json!("2026-06-20T00:00:00Z");
    world.done(APPLY, later.clone()).await;
    let vacate = world.call(&world.root, &format!("POST /admin/v1/directives/{NEW}/vacate"), Value::Null).await;
    assert_eq!(vacate.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", vacate.body);
    later["version"] = json!(2);
    later["effective_at"] = json!("2026-08-01T00:00:00Z");
    let postponed = world.call(&world.root, APPLY, later).await;
    assert_eq!(postponed.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", postponed.body);

    // Once the old one has a version that stays, the successor can go.
    world.done(APPLY, june_12(3)).await;
    world.done(&format!("POST /admin/v1/directives/{NEW}/vacate"), Value::Null).await;
    assert_eq!(held(&world)[0], "DIR-2026-06-12 3 in_force 2026-06-12T11:00:00Z");
}
