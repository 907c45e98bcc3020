//! Attestations are never edited, and affiliations end.

use axum::http::StatusCode;
use proof::entry::Kind;
use rusqlite::Connection;
use serde_json::{Value, json};
use terms::PersonId;

use crate::world::{World, citizenship, employment};

const ATTEST: &str = "POST /admin/v1/attestations";

fn held(world: &World) -> Vec<String> {
    let id = PersonId::parse("ada").unwrap();
    let person = world.control.directory().person(&id).unwrap();
    let held = person.attestations.iter();
    held.map(|attestation| attestation.id.to_string()).collect()
}

#[tokio::test]
async fn an_attestation_is_superseded_and_the_old_one_stays_on_record() {
    let world = World::new();
    world.populate().await;
    world.done(ATTEST, citizenship("att-1")).await;
    assert_eq!(held(&world), ["att-1"]);
    let mut next = citizenship("att-2");
    next["supersedes"] = json!("att-1");
    world.done(ATTEST, next.clone()).await;
    assert_eq!(held(&world), ["att-2"]);
    let old = world.done("GET /admin/v1/attestations/att-1", Value::Null).await;
    assert_eq!(old["held"], false);
    let all = world.done("GET /admin/v1/attestations?person=ada", Value::Null);
    assert_eq!(all.await["items"].as_array().unwrap().len(), 2);
    next["id"] = json!("att-3");
    world.refused(ATTEST, next, "supersedes").await;
}

#[tokio::test]
async fn no_way_leads_to_an_edited_attestation() {
    let world = World::new();
    world.populate().await;
    world.done(ATTEST, citizenship("att-1")).await;
    let mut other = citizenship("att-1");
    other["evidence"] = json!("another case");
    let again = world.call(&world.root, ATTEST, other).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    for method in ["PUT", "PATCH", "DELETE"] {
        let line = format!("{method} /admin/v1/attestations/att-1");
        let reply = world.call(&world.root, &line, json!({ "evidence": "x" })).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let db = Connection::open(world.dir.path().join("registry/registry.sqlite3")).unwrap();
    for sql in ["UPDATE attestation SET body = '{}'", "DELETE FROM attestation"] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("only superseded"), "{error}");
    }
    let shown = world.done("GET /admin/v1/attestations/att-1", Value::Null).await;
    assert_eq!(shown["attestation"]["evidence"], "case 4711");
}

#[tokio::test]
async fn an_attestation_replaces_none_about_another_person_or_by_another_issuer() {
    let world = World::new();
    world.populate().await;
    world.done(ATTEST, citizenship("att-1")).await;
    let minh = json!({ "id": "minh", "display_name": "Minh" });
    world.done("POST /admin/v1/people", minh).await;
    for (field, value) in [("person", "minh"), ("issuer", "another-desk")] {
        let mut foreign = citizenship("att-2");
        foreign["supersedes"] = json!("att-1");
        foreign[field] = json!(value);
        world.refused(ATTEST, foreign, "supersedes").await;
    }
    let mut nothing = citizenship("att-2");
    nothing["supersedes"] = json!("att-0");
    world.refused(ATTEST, nothing, "supersedes").await;
    assert_eq!(held(&world), ["att-1"]);
}

#[tokio::test]
async fn evidence_needs_an_issuer_a_reference_and_times_that_make_sense() {
    let world = World::new();
    world.populate().await;
    for field in ["issuer", "evidence", "issued_at", "expires_at", "assurance"] {
        let mut attestation = citizenship("att-1");
        attestation.as_object_mut().unwrap().remove(field);
        world.refused(ATTEST, attestation, field).await;
    }
    for (field, value) in [
        ("evidence", " "),
        ("person", "ghost"),
        ("issued_at", "2026-06-12T12:06:00Z"),
        ("expires_at", "2026-06-12T12:00:00Z"),
        ("expires_at", "2028-06-01T00:00:00.001Z"),
    ] {
        let mut attestation = citizenship("att-1");
        attestation[field] = json!(value);
        world.refused(ATTEST, attestation, field).await;
    }
    let mut longest = citizenship("att-1");
    longest["expires_at"] = json!("2028-06-01T00:00:00Z");
    world.done(ATTEST, longest).await;
}

#[tokio::test]
async fn a_withdrawn_attestation_no_longer_counts() {
    let world = World::new();
    world.populate().await;
    let told = world.attach();
    world.done(ATTEST, citizenship("att-1")).await;
    let line = "POST /admin/v1/attestations/att-1/withdraw";
    world.refused(line, json!({}), "reason").await;
    let why = json!({ "reason": "issued in error" });
    world.done(line, why.clone()).await;
    assert!(held(&world).is_empty());
    assert_eq!(told.all(), ["person ada", "person ada"]);
    let again = world.call(&world.root, line, why).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let codes = world.codes(Kind::Registry);
    assert_eq!(codes.last().unwrap(), "attestation.withdraw");
}

#[tokio::test]
async fn an_affiliation_ends_earlier_but_never_later_than_attested() {
    let world = World::new();
    world.populate().await;
    let line = "POST /admin/v1/affiliations/aff-ada/end";
    let later = json!({ "ends_at": "2026-09-02T00:00:00Z" });
    world.refused(line, later, "ends_at").await;
    let ended = world.done(line, Value::Null).await;
    assert_eq!(ended["item"]["ends_at"], "2026-06-12T12:00:00Z");
    let id = PersonId::parse("ada").unwrap();
    let ada = world.control.directory().person(&id).unwrap();
    assert_eq!(ada.affiliations[0].ends_at.to_string(), "2026-06-12T12:00:00Z");
    let again = world.call(&world.root, line, Value::Null).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_affiliation_names_a_registered_organization() {
    let world = World::new();
    world.populate().await;
    let mut nowhere = employment("aff-2");
    nowhere["organization"] = json!("nowhere");
    world.refused("POST /admin/v1/affiliations", nowhere, "organization").await;
}
