//! What keeps records, and what becomes of them when nothing does (15 CFR 762.6).

use std::time::Duration;

use axum::http::StatusCode;
use control::Role;
use ledger::Private;
use proof::entry::Kind;
use serde_json::{Value, json};

use crate::world::{Reply, World};

/// The second quarter of 2026, in which the world begins.
pub(crate) const EPOCH: u32 = 2_026 * 4 + 1;
pub(crate) const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// A world with Ada in it, years later.
pub(crate) async fn after(years: u32) -> World {
    let world = World::new();
    world.populate().await;
    world.clock.advance(YEAR * years);
    let mut world = world.restart();
    // Tokens do not live for years.
    world.root = world.token(Role::Root);
    leave(&world).await;
    world
}

/// Ada leaves: whoever may still use the service is not erased.
pub(crate) async fn leave(world: &World) {
    world.done("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
}

pub(crate) async fn erase(world: &World, subject: &str, epoch: u32) -> Reply {
    let asked = json!({ "subject": subject, "epoch": epoch, "reason": "request of 2031-09-01" });
    world.call(&world.root, "POST /admin/v1/erasures", asked).await
}

pub(crate) async fn place(world: &World, scope: Value) -> String {
    let asked = json!({ "scope": scope, "authority": "BIS, by telephone" });
    let placed = world.done("POST /admin/v1/holds", asked).await;
    placed["item"]["id"].as_str().unwrap().to_owned()
}

/// Requires that nothing was erased; returns the reason.
pub(crate) fn kept(world: &World, reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    assert!(!world.codes(Kind::Admin).contains(&"record.erase".to_owned()));
    reply.body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn retention_keeps_records_and_says_by_which_rule() {
    let world = after(4).await;
    let reply = erase(&world, "person:ada", EPOCH).await;
    assert!(kept(&world, &reply).contains("15 CFR 762.6(a)"));
}

#[tokio::test]
async fn once_nothing_keeps_them_records_are_erased_and_that_is_on_record_first() {
    let world = after(6).await;
    let pseudonym = world.ledger.pseudonym("person:ada");
    let hers = |world: &World| {
        let all = (0..world.ledger.health().durable).map(|index| world.ledger.stored(index).unwrap());
        let of = |leaf: &[u8]| proof::entry::Entry::decode(leaf).unwrap().subject == Some(pseudonym);
        all.filter(|stored| of(&stored.leaf)).map(|stored| stored.private == Private::Withheld).collect::<Vec<_>>()
    };
    assert_eq!(hers(&world), [false, false, false]);
    let reply = erase(&world, "person:ada", EPOCH).await;
    assert_eq!((reply.status, &reply.body["item"]["destroyed"]), (StatusCode::CREATED, &json!(true)), "{reply:?}");
    assert_eq!(hers(&world), [true, true, false, false], "the record of the erasure itself can be read");
    let again = erase(&world, "person:ada", EPOCH).await;
    assert_eq!(again.body["item"]["destroyed"], json!(false));
}

#[tokio::test]
async fn a_hold_keeps_what_retention_no_longer_does_until_the_agency_authorizes_its_end_in_writing() {
    for scope in [json!("everything"), json!({ "person": "ada" }), json!({ "organization": "larkspur-labs" })] {
        let world = after(6).await;
        let id = place(&world, scope).await;
        let reply = erase(&world, "person:ada", EPOCH).await;
        let why = kept(&world, &reply);
        assert!(why.contains(&id) && why.contains("BIS, by telephone"), "{why}");
        let release = format!("POST /admin/v1/holds/{id}/release");
        world.refused(&release, json!({ "authorization": "" }), "authorization").await;
        world.done(&release, json!({ "authorization": "BIS, letter of 2032-01-02" })).await;
        assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
        assert!(world.codes(Kind::Admin).ends_with(&["hold.release".to_owned(), "record.erase".to_owned()]));
    }
}

#[tokio::test]
async fn a_hold_on_somebody_else_keeps_nothing_here() {
    let world = after(6).await;
    place(&world, json!({ "person": "minh" })).await;
    place(&world, json!({ "organization": "northgate-grid" })).await;
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_hold_on_an_organization_keeps_whoever_had_a_key_or_an_account_of_it() {
    let world = World::new();
    world.populate().await;
    let key = world.elsewhere().await;
    let id = key["item"]["id"].as_str().unwrap();
    world.done(&format!("POST /admin/v1/keys/{id}/revoke"), Value::Null).await;
    leave(&world).await;
    let world = world.later(YEAR * 6);
    place(&world, json!({ "organization": "northgate-grid" })).await;
    kept(&world, &erase(&world, "person:ada", EPOCH).await);
    let rebuilt = world.restart_after(|dir| std::fs::remove_dir_all(dir.join("registry")).unwrap());
    kept(&rebuilt, &erase(&rebuilt, "person:ada", EPOCH).await);
}

#[tokio::test]
async fn a_hold_on_a_person_keeps_the_workloads_whose_output_may_have_gone_to_them() {
    let world = World::new();
    world.populate().await;
    let workload = json!({
        "id": "nightly", "organization": "larkspur-labs", "purpose": "reports", "owners": ["ada"],
        "recipients": ["ada"],
    });
    world.done("POST /admin/v1/workloads", workload).await;
    world.done("PATCH /admin/v1/workloads/nightly", json!({ "active": false })).await;
    let world = world.later(YEAR * 6);
    let hold = place(&world, json!({ "person": "ada" })).await;
    kept(&world, &erase(&world, "workload:nightly", EPOCH).await);
    let release = format!("POST /admin/v1/holds/{hold}/release");
    world.done(&release, json!({ "authorization": "BIS, letter of 2032-01-02" })).await;
    assert_eq!(erase(&world, "workload:nightly", EPOCH).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_hold_outlives_a_restart_and_is_released_once() {
    let world = after(6).await;
    let id = place(&world, json!("everything")).await;
    let world = world.restart_after(|dir| std::fs::remove_dir_all(dir.join("registry")).unwrap());
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CONFLICT);
    let release = format!("POST /admin/v1/holds/{id}/release");
    let authorization = json!({ "authorization": "BIS, letter of 2032-01-02" });
    world.done(&release, authorization.clone()).await;
    assert_eq!(world.call(&world.root, &release, authorization).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn officers_place_holds_and_auditors_see_them() {
    let world = World::new();
    let asked = json!({ "scope": "everything", "authority": "BIS" });
    for (role, may) in [(Role::Officer, true), (Role::Auditor, false), (Role::Registrar, false)] {
        let reply = world.call(&world.token(role), "POST /admin/v1/holds", asked.clone()).await;
        assert_eq!(reply.status.is_success(), may, "{role}: {reply:?}");
    }
    let seen = world.call(&world.token(Role::Auditor), "GET /admin/v1/holds", Value::Null).await;
    assert_eq!(seen.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_erasure_that_is_not_well_formed_is_refused_by_its_field() {
    let world = after(6).await;
    let asked = json!({ "subject": "ada", "epoch": EPOCH, "reason": "" });
    let reply = world.refused("POST /admin/v1/erasures", asked.clone(), "subject").await;
    assert_eq!(reply.body["errors"].as_array().map(Vec::len), Some(2));
}
