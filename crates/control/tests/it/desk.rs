//! The directive desk.

use axum::http::StatusCode;
use control::{Actor, InstrumentKind, Role, Turn};
use proof::entry::Kind;
use serde_json::{Value, json};
use terms::InstrumentId;

use crate::world::World;

/// A directive that bars foreign persons from one family, in one of its versions.
pub(crate) fn june_12(version: u32) -> Value {
    json!({
        "type": "directive/v1", "id": "DIR-2026-06-12", "version": version,
        "issuer": { "agency": "US-DOC-BIS", "official": "Under Secretary" },
        "authority": [{ "cite": "15 CFR 744.22(b)" }],
        "received_at": "2026-06-12T11:00:00Z", "effective_at": "2026-06-12T12:00:00Z",
        "expires_at": null, "status": "in_force", "status_since": "2026-06-12T11:00:00Z",
        "models": { "families": ["mythos-5"] },
        "person_scope": { "deny": "foreign_person", "definition": "ear_772", "unknown": "deny" },
        "destination_scope": { "deny": "none" }, "entity_scope": { "deny": "none" },
        "evidence": { "min_assurance": "ial2", "max_age_hours": 24 },
        "obligations": [], "source": { "sha256": "0".repeat(64) },
    })
}

/// A license under `directive` for the lab's own staff and for one cooperative.
pub(crate) fn annex(directive: &str, own_staff: bool) -> Value {
    json!({
        "type": "license/v1", "id": "LTR-2026-06-26", "version": 1, "kind": "approval_list",
        "issuer": { "agency": "US-DOC-BIS", "official": "Under Secretary" },
        "under": [directive], "models": { "families": ["mythos-5"] },
        "grantees": { "organizations": ["northgate-grid"], "own_staff": own_staff },
        "beneficiaries": { "employee_scope": "direct" }, "tenant_binding": true,
        "territory": { "exclude_groups": [], "unsettled_groups": [] },
        "conditions": { "token_caps": [] },
        "valid": { "from": "2026-06-12T00:00:00Z", "to": null },
        "status": "in_force", "status_since": "2026-06-12T11:00:00Z",
        "obligations": [], "source": { "sha256": "0".repeat(64) },
    })
}

fn id() -> String {
    june_12(1)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_license_that_does_not_compile_is_answered_with_each_fault_and_changes_nothing() {
    let world = World::new();
    let before = (world.entries().len(), *world.control.snapshot().digest());
    for line in ["POST /admin/v1/licenses", "POST /admin/v1/licenses?apply=true"] {
        let reply = world.call(&world.root, line, annex("DIR-NONE", true)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(reply.body["type"], "urn:exeat:problem:does-not-compile");
        let errors = reply.body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 2, "{errors:?}");
        let named = errors.iter().all(|error| error["field"] == "LTR-2026-06-26");
        assert!(named, "{errors:?}");
    }
    let after = (world.entries().len(), *world.control.snapshot().digest());
    assert_eq!(before, after);
    let list = world.done("GET /admin/v1/licenses", Value::Null).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn a_document_with_a_number_that_nobody_can_sign_is_not_filed() {
    let world = World::new();
    world.done("POST /admin/v1/directives?apply=true", june_12(1)).await;
    let before = world.entries().len();
    let license = |tokens: u64| {
        let mut license = annex(&id(), false);
        license["conditions"]["token_caps"] = json!([{ "tokens": tokens, "per": "month" }]);
        license
    };
    for line in ["POST /admin/v1/licenses", "POST /admin/v1/licenses?apply=true"] {
        let reply = world.call(&world.root, line, license(1 << 53)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reply.body);
        assert!(reply.body.to_string().contains("9007199254740992"), "{}", reply.body);
    }
    assert_eq!(world.entries().len(), before);
    world.done("POST /admin/v1/licenses", license((1 << 53) - 1)).await;
}

#[tokio::test]
async fn a_license_outlives_the_lifting_of_its_directive() {
    let world = World::new();
    let line = "POST /admin/v1/directives?apply=true";
    world.done(line, june_12(1)).await;
    let line = "POST /admin/v1/licenses?apply=true";
    world.done(line, annex(&id(), false)).await;
    let lift = format!("POST /admin/v1/directives/{}/lift", id());
    world.done(&lift, Value::Null).await;
    let vacate = "POST /admin/v1/licenses/LTR-2026-06-26/vacate";
    let vacated = world.done(vacate, Value::Null).await;
    assert_eq!(vacated["item"]["document"]["status"], "vacated");
}

#[tokio::test]
async fn what_an_operator_should_read_before_applying_is_in_the_answer_to_filing() {
    let world = World::new();
    let mut narrow = june_12(1);
    narrow["person_scope"]["definition"] = json!("citizens_nationals_only");
    narrow["models"]["families"] = json!(["nothing-1"]);
    let filed = world.done("POST /admin/v1/directives", narrow).await;
    let notices = filed["item"]["notices"].as_array().unwrap();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices.iter().any(|notice| notice["why"].as_str().unwrap().contains("1324b")));
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
    let wrong = world.call(&world.root, &apply, json!({ "version": 2 })).await;
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
    let shown = world.done(&format!("GET /admin/v1/directives/{}", id()), Value::Null).await;
    let statuses = shown["versions"].as_array().unwrap().iter();
    let statuses: Vec<_> = statuses.map(|version| version["document"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["lifted", "stayed", "in_force"]);
    assert_eq!(world.codes(Kind::Registry), ["directive.file"]);
    assert_eq!(world.codes(Kind::Snapshot), ["config.load", "directive.apply", "directive.stay", "directive.lift"]);
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
    let reply = world.call(&world.root, "POST /admin/v1/directives", document).await;
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
    let who = world.call(&officer, "GET /admin/v1/whoami", Value::Null).await;
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
    assert_eq!(desk.turn(kind, &id, Turn::Vacate).unwrap().item.state.version, 2);
}
