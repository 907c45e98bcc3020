//! Breaking the glass: alone, with an alarm, and undone at the limit if it gives access.

use std::time::Duration;

use axum::http::StatusCode;
use proof::entry::Kind;
use serde_json::{Value, json};

use crate::{
    approvals::Desk,
    desk::{annex, june_12},
    world::World,
};

const DIRECTIVE: &str = "/admin/v1/directives/DIR-2026-06-12";
const LICENSE: &str = "/admin/v1/licenses/LTR-2026-06-26";
const BROKEN: &str = "break_glass=true";

fn urgent() -> Value {
    json!({ "reason": "the plant stands still", "minutes": 30 })
}

/// A desk on which the directive is in force with its approvals.
async fn ordered() -> Desk {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    desk
}

fn status(world: &World) -> Value {
    let snapshot = world.control.snapshot();
    let held = snapshot.document().directives.last().map(|held| (held.version(), held.status()));
    json!(held)
}

async fn glass(world: &World, path: &str, version: usize) -> Value {
    let shown = world.done(&format!("GET {path}"), Value::Null).await;
    let versions = shown["versions"].as_array().unwrap();
    versions[versions.len() - version]["break_glass"].clone()
}

#[tokio::test]
async fn what_gives_access_is_undone_at_its_limit_and_the_streams_it_touches_hear_of_it() {
    let desk = ordered().await;
    let told = desk.world.attach();
    let stayed = desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    assert_eq!(stayed["item"]["applied"], true);
    assert_eq!(status(&desk.world), json!([2, "stayed"]));
    assert_eq!(desk.world.control.break_glass_open(), 1);
    let listed = desk.world.done("GET /admin/v1/directives", Value::Null).await;
    assert_eq!(listed["items"][0]["break_glass"]["ended"], Value::Null);

    desk.world.clock.advance(Duration::from_millis(30 * 60_000 - 1));
    desk.world.control.keep_limits().unwrap();
    assert_eq!(status(&desk.world), json!([2, "stayed"]));
    desk.world.clock.advance(Duration::from_millis(1));
    desk.world.control.keep_limits().unwrap();
    assert_eq!(status(&desk.world), json!([3, "in_force"]));
    assert_eq!(told.all(), ["snapshot 3", "snapshot 4"]);
    assert_eq!(desk.world.control.break_glass_open(), 0);
    assert_eq!(glass(&desk.world, DIRECTIVE, 2).await["ended"]["why"], "limit");
    let codes = desk.world.codes(Kind::Snapshot);
    assert_eq!(codes[2..], ["directive.stay", "directive.restore"]);
    let admin = desk.world.codes(Kind::Admin);
    assert!(admin.contains(&"directive.break_glass".to_owned()), "{admin:?}");
    assert!(admin.contains(&"directive.break_glass_end".to_owned()), "{admin:?}");
}

#[tokio::test]
async fn what_came_to_its_limit_while_the_process_was_down_is_undone_before_it_serves_again() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/lift?{BROKEN}"), urgent()).await;
    let clock = std::sync::Arc::clone(&desk.world.clock);
    let world = desk.world.restart_after(|_| clock.advance(Duration::from_mins(31)));
    assert_eq!(status(&world), json!([3, "in_force"]));
    assert_eq!(glass(&world, DIRECTIVE, 2).await["ended"]["why"], "limit");
    let world = world.restart();
    assert_eq!(status(&world), json!([3, "in_force"]));
}

#[tokio::test]
async fn the_limit_holds_also_if_the_registry_is_gone_or_was_not_stored() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/lift?{BROKEN}"), urgent()).await;
    let clock = std::sync::Arc::clone(&desk.world.clock);
    let world = desk.world.restart_after(|dir| {
        std::fs::remove_dir_all(dir.join("registry")).unwrap();
        clock.advance(Duration::from_mins(31));
    });
    assert_eq!(status(&world), json!([3, "in_force"]));

    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/lift?{BROKEN}"), urgent()).await;
    let registry = desk.world.dir.path().join("registry/registry.sqlite3");
    let other = rusqlite::Connection::open(registry).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    desk.world.clock.advance(Duration::from_mins(30));
    assert!(desk.world.control.keep_limits().is_err());
    assert_eq!(status(&desk.world), json!([3, "in_force"]), "what is on record binds");
    other.execute_batch("ROLLBACK").unwrap();
    desk.world.control.keep_limits().unwrap();
    assert_eq!(desk.world.control.break_glass_open(), 0);
    assert_eq!(status(&desk.world), json!([3, "in_force"]));
}

#[tokio::test]
async fn a_break_that_was_recorded_and_took_no_effect_is_over() {
    let desk = ordered().await;
    let registry = desk.world.dir.path().join("registry/registry.sqlite3");
    let other = rusqlite::Connection::open(registry).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let line = format!("POST {DIRECTIVE}/stay?{BROKEN}");
    let reply = desk.world.call(&desk.world.root, &line, urgent()).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(&desk.world), json!([1, "in_force"]), "without the record of its limit nothing is done");
    other.execute_batch("ROLLBACK").unwrap();
    let world = desk.world.restart();
    assert_eq!((status(&world), world.control.break_glass_open()), (json!([1, "in_force"]), 0));
    let ends =
        world.entries().into_iter().filter(|(entry, _)| entry.code.as_deref() == Some("directive.break_glass_end"));
    let ends: Vec<_> = ends.map(|(_, private)| private).collect();
    assert!(ends.len() == 1 && ends[0].contains("no_effect"), "{ends:?}");
}

#[tokio::test]
async fn what_waits_for_its_day_is_neither_lost_by_a_break_nor_by_its_end() {
    let desk = ordered().await;
    let mut later = june_12(2);
    later["status_since"] = json!("2026-06-20T00:00:00Z");
    desk.file(later).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    desk.file(june_12(3)).await;
    let early = desk.world.done(&format!("POST {DIRECTIVE}/apply?{BROKEN}"), urgent()).await;
    assert_eq!(early["item"]["version"], 3);
    let moment = |text| terms::Moment::parse(text).unwrap();
    let held = |world: &World| -> Vec<(u32, terms::Moment)> {
        let snapshot = world.control.snapshot();
        snapshot.document().directives.iter().map(|one| (one.version(), one.status_since())).collect()
    };
    let (issued, to_come) = (moment("2026-06-12T11:00:00Z"), moment("2026-06-20T00:00:00Z"));
    assert_eq!(held(&desk.world), [(3, issued), (4, to_come)]);

    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    let mut later = june_12(3);
    later["status_since"] = json!("2026-06-20T00:00:00Z");
    desk.file(later).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    assert_eq!(desk.world.control.break_glass_open(), 1, "an approved version to come closes nothing yet");
    desk.world.clock.advance(Duration::from_mins(30));
    desk.world.control.keep_limits().unwrap();
    assert_eq!(held(&desk.world), [(4, moment("2026-06-12T12:30:00Z")), (5, to_come)]);
    assert_eq!(status(&desk.world), json!([5, "in_force"]));
}

#[tokio::test]
async fn a_license_that_came_by_break_glass_authorizes_nothing_after_its_limit() {
    let desk = ordered().await;
    desk.world.done("POST /admin/v1/licenses", annex("DIR-2026-06-12", false)).await;
    desk.world.done(&format!("POST {LICENSE}/apply?{BROKEN}"), urgent()).await;
    let license = || desk.world.control.snapshot().document().licenses[0].clone();
    assert_eq!(license().status(), policy::Status::InForce);
    desk.world.clock.advance(Duration::from_mins(30));
    desk.world.control.keep_limits().unwrap();
    assert_eq!((license().version(), license().status()), (2, policy::Status::Pending));
}

#[tokio::test]
async fn what_takes_access_away_stays_and_its_alarm_ends_with_its_approvals() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    desk.approve("iris", DIRECTIVE).await;
    desk.world.done(&format!("POST {DIRECTIVE}/apply?{BROKEN}"), urgent()).await;
    desk.world.clock.advance(Duration::from_mins(59));
    desk.world.control.keep_limits().unwrap();
    assert_eq!(status(&desk.world), json!([1, "in_force"]));
    let health = desk.world.done("GET /admin/v1/health", Value::Null).await;
    assert_eq!(health["break_glass_open"], 1);
    let world = &desk.world;
    desk.approve("otto", DIRECTIVE).await;
    assert_eq!(world.control.break_glass_open(), 0);
    assert_eq!(glass(world, DIRECTIVE, 1).await["ended"]["why"], "approved");
    let again = desk.hand_in(DIRECTIVE, desk.signed("nora", DIRECTIVE).await).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_was_approved_in_time_is_not_undone_at_its_limit() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    desk.world.clock.advance(Duration::from_mins(31));
    let world = desk.world.restart();
    assert_eq!(status(&world), json!([2, "stayed"]));
}

#[tokio::test]
async fn a_desk_that_asks_nobody_any_more_approves_nothing_by_that() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    let world = desk.world.restart_with(control::DeskPolicy::SINGLE_PERSON);
    assert_eq!(world.control.break_glass_open(), 1);
    world.clock.advance(Duration::from_mins(30));
    world.control.keep_limits().unwrap();
    assert_eq!(status(&world), json!([3, "in_force"]));
}

#[tokio::test]
async fn who_broke_the_glass_does_not_approve_it_afterwards() {
    let desk = ordered().await;
    let mint = json!({ "role": "officer", "label": "otto's", "person": "otto" });
    let minted = desk.world.done("POST /admin/v1/admin-tokens", mint).await;
    let line = format!("POST {DIRECTIVE}/stay?{BROKEN}");
    let broken = desk.world.call(minted["key"].as_str().unwrap(), &line, urgent()).await;
    assert_eq!(broken.status, StatusCode::OK);
    desk.approve("iris", DIRECTIVE).await;
    let own = desk.hand_in(DIRECTIVE, desk.signed("otto", DIRECTIVE).await).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY, "{own:?}");
    assert_eq!(desk.world.control.break_glass_open(), 1);
}

#[tokio::test]
async fn a_later_version_with_its_approvals_ends_the_alarm_and_is_not_undone() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    desk.world.done(&format!("POST {DIRECTIVE}/lift"), Value::Null).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    assert_eq!(glass(&desk.world, DIRECTIVE, 2).await["ended"]["why"], "replaced");
    desk.world.clock.advance(Duration::from_mins(31));
    let world = desk.world.restart();
    assert_eq!(status(&world), json!([3, "lifted"]));
}

#[tokio::test]
async fn a_second_break_cannot_lengthen_the_first() {
    let desk = ordered().await;
    desk.world.done(&format!("POST {DIRECTIVE}/stay?{BROKEN}"), urgent()).await;
    let line = format!("POST {DIRECTIVE}/lift?{BROKEN}");
    let again = desk.world.call(&desk.world.root, &line, urgent()).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    // Taking access away again is always possible.
    desk.file(june_12(3)).await;
    desk.world.done(&format!("POST {DIRECTIVE}/apply?{BROKEN}"), urgent()).await;
    assert_eq!(status(&desk.world), json!([3, "in_force"]));
    desk.world.clock.advance(Duration::from_mins(31));
    desk.world.control.keep_limits().unwrap();
    assert_eq!(status(&desk.world), json!([3, "in_force"]));
    assert_eq!(desk.world.control.break_glass_open(), 1);
}

#[tokio::test]
async fn an_amendment_that_takes_something_off_an_order_is_undone_like_any_other_access() {
    let desk = ordered().await;
    let mut narrower = june_12(2);
    narrower["person_scope"] = json!({ "deny": "none" });
    narrower["entity_scope"] = json!({ "deny": "foreign_organization" });
    desk.file(narrower).await;
    let placed = desk.world.done(&format!("POST {DIRECTIVE}/apply?{BROKEN}"), urgent()).await;
    assert!(placed["item"]["break_glass"]["restore"].is_object());
    desk.world.clock.advance(Duration::from_mins(30));
    desk.world.control.keep_limits().unwrap();
    let shown = desk.world.done(&format!("GET {DIRECTIVE}"), Value::Null).await;
    assert_eq!(shown["versions"][0]["document"]["person_scope"]["deny"], "foreign_person");
}

#[tokio::test]
async fn reason_and_limit_are_asked_for_and_bounded() {
    let desk = ordered().await;
    let before = desk.world.entries().len();
    let line = format!("POST {DIRECTIVE}/stay?{BROKEN}");
    for (body, field) in [
        (json!({}), "reason"),
        (json!({ "reason": "the plant stands still" }), "minutes"),
        (json!({ "reason": "too short", "minutes": 1 }), "reason"),
        (json!({ "reason": "x".repeat(501), "minutes": 1 }), "reason"),
        (json!({ "reason": "two\nlines of reasons", "minutes": 1 }), "reason"),
        (json!({ "reason": "the plant stands still", "minutes": 0 }), "minutes"),
        (json!({ "reason": "the plant stands still", "minutes": 241 }), "minutes"),
    ] {
        desk.world.refused(&line, body, field).await;
    }
    desk.world.refused(&format!("POST {DIRECTIVE}/stay"), urgent(), "reason").await;
    assert_eq!(desk.world.entries().len(), before);
    let single = World::new();
    single.done("POST /admin/v1/directives", june_12(1)).await;
    let line = format!("POST {DIRECTIVE}/apply?{BROKEN}");
    assert_eq!(single.call(&single.root, &line, urgent()).await.status, StatusCode::CONFLICT);
}
