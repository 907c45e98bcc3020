//! Who may do what, and what is recorded of those who may not.

use std::time::Duration;

use axum::http::StatusCode;
use control::Role;
use identity::KeyText;
use proof::entry::Kind;
use serde_json::{Value, json};

use crate::world::{World, request};

/// Returns every operation of the document as a request line with the roles that may call it.
fn operations(document: &Value) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "nobody").replace("{index}", "0");
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["security"][0]["admin_token"].as_array().unwrap();
            let roles = roles.iter().map(|role| role.as_str().unwrap().to_owned());
            all.push((format!("{} {path}", method.to_uppercase()), roles.collect()));
        }
    }
    all
}

#[tokio::test]
async fn each_endpoint_lets_in_exactly_the_roles_that_the_document_names() {
    let world = World::new();
    let operations = operations(&world.document().await);
    assert!(operations.len() >= 47);
    for role in Role::ALL {
        let token = world.token(role);
        for (line, roles) in &operations {
            let reply = world.call(&token, line, Value::Null).await;
            assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{line}");
            let allowed = reply.status != StatusCode::FORBIDDEN;
            let named = roles.iter().any(|named| named == role.as_str());
            assert_eq!(allowed, named, "{role} {line}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn root_may_do_everything_and_the_auditor_changes_nothing() {
    let world = World::new();
    for (line, roles) in operations(&world.document().await) {
        assert!(roles.iter().any(|role| role == "root"), "{line}");
        let auditor = roles.iter().any(|role| role == "auditor");
        // A question that is too long for a path is posted; it changes nothing either.
        let reads = line.starts_with("GET ") || line == "POST /admin/v1/ask";
        assert_eq!(auditor, reads, "{line}");
    }
}

#[tokio::test]
async fn without_a_good_token_no_endpoint_answers() {
    let world = World::new();
    let call_key = KeyText::mint().unwrap();
    let operations = operations(&world.document().await);
    for token in ["", "nonsense", call_key.reveal()] {
        for (line, _) in &operations {
            let reply = world.call(token, line, Value::Null).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{line}");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn a_token_ends_when_it_expires_and_when_it_is_revoked() {
    let world = World::new();
    let who = "GET /admin/v1/whoami";
    let token = world.token(Role::Auditor);
    let reply = world.call(&token, who, Value::Null).await;
    assert_eq!(reply.body["role"], "auditor");
    let id = reply.body["actor"].as_str().unwrap().replace("token:", "");
    let revoke = format!("POST /admin/v1/admin-tokens/{id}/revoke");
    world.done(&revoke, Value::Null).await;
    let reply = world.call(&token, who, Value::Null).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);

    let token = world.token(Role::Operator);
    world.clock.advance(Duration::from_hours(30 * 24));
    let reply = world.call(&token, who, Value::Null).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_last_root_token_is_not_revoked() {
    let world = World::new();
    let who = world.done("GET /admin/v1/whoami", Value::Null).await;
    let id = who["actor"].as_str().unwrap().replace("token:", "");
    let revoke = format!("POST /admin/v1/admin-tokens/{id}/revoke");
    let reply = world.call(&world.root, &revoke, Value::Null).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    world.token(Role::Root);
    world.done(&revoke, Value::Null).await;
}

#[tokio::test]
async fn the_first_root_token_is_minted_once() {
    let world = World::new();
    assert!(!world.root.is_empty());
    assert!(world.control.bootstrap().unwrap().is_none());
    let world = world.restart();
    assert!(world.control.bootstrap().unwrap().is_none());
    world.clock.advance(Duration::from_hours(90 * 24));
    assert!(world.control.bootstrap().unwrap().is_some());
}

#[tokio::test]
async fn refused_access_is_recorded_but_cannot_fill_the_log() {
    let world = World::new();
    let refusals = |world: &World| {
        let entries = world.entries().into_iter();
        let refusals =
            entries.filter(|(entry, _)| entry.kind == Kind::Admin && entry.code.as_deref() == Some("access.refused"));
        let private = refusals.map(|(_, private)| serde_json::from_str(&private).unwrap());
        private.collect::<Vec<Value>>()
    };
    for _ in 0..50 {
        world.call("nonsense", "GET /admin/v1/people", Value::Null).await;
    }
    assert_eq!(refusals(&world).len(), 1);
    world.clock.advance(Duration::from_secs(1));
    let token = world.token(Role::Operator);
    world.call(&token, "GET /admin/v1/people", Value::Null).await;
    let seen = refusals(&world);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0]["not_recorded_before"], 0);
    assert_eq!(seen[0]["path"], "/admin/v1/people");
    assert_eq!(seen[1]["not_recorded_before"], 49);
    assert!(seen[1]["actor"].as_str().unwrap().starts_with("token:"));

    world.call("nonsense", "GET /admin/v1/people", Value::Null).await;
    world.control.checkpoint().unwrap();
    assert_eq!(refusals(&world)[2]["not_recorded_before"], 1);
}

#[tokio::test]
async fn every_change_names_who_made_it() {
    let world = World::new();
    let registrar = world.token(Role::Registrar);
    let person = json!({ "id": "ada", "display_name": "Ada" });
    let reply = world.call(&registrar, "POST /admin/v1/people", person).await;
    let who = world.call(&registrar, "GET /admin/v1/whoami", Value::Null).await;
    let receipt = usize::try_from(reply.body["receipt"].as_u64().unwrap()).unwrap();
    let private: Value = serde_json::from_str(&world.entries()[receipt].1).unwrap();
    assert_eq!(private["actor"], who.body["actor"]);
}

#[tokio::test]
async fn a_receipt_is_shown_once_a_checkpoint_covers_the_entry() {
    let world = World::new();
    let person = json!({ "id": "ada", "display_name": "Ada" });
    let added = world.done("POST /admin/v1/people", person).await;
    let line = format!("GET /admin/v1/receipts/{}", added["receipt"]);
    for _ in 0..200 {
        let reply = world.send(request(&world.root, &line, Value::Null)).await;
        if reply.status == StatusCode::OK {
            assert_eq!(reply.body["index"], added["receipt"]);
            assert!(!reply.body["proof"].as_str().unwrap().is_empty());
            return;
        }
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers["retry-after"], "1");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no receipt in five seconds");
}

#[tokio::test]
async fn reload_is_offered_only_where_there_is_a_file_to_reload() {
    let world = World::new();
    let reply = world.call(&world.root, "POST /admin/v1/reload", Value::Null).await;
    assert_eq!(reply.status, StatusCode::NOT_IMPLEMENTED);
}
