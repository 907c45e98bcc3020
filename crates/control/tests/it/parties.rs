//! Organizations, people, workloads and keys.

use axum::http::StatusCode;
use identity::{Confirmation, Holder, KeyText, Pepper, Resolved};
use proof::entry::Kind;
use serde_json::{Value, json};
use terms::{PersonId, Screening};

use crate::world::{PEPPER, World, larkspur, request};

#[tokio::test]
async fn a_person_is_registered_changed_and_deactivated_and_every_step_reaches_the_live_calls() {
    let world = World::new();
    let told = world.attach();
    world.populate().await;
    let id = PersonId::parse("ada").unwrap();
    let ada = world.control.directory().person(&id).unwrap();
    assert!(ada.active && ada.affiliations.len() == 1);

    let change = json!({ "screening": "review" });
    world.done("PATCH /admin/v1/people/ada", change).await;
    let ada = world.control.directory().person(&id).unwrap();
    assert_eq!(ada.screening, Screening::Review);

    let off = world.done("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    assert!(!world.control.directory().person(&id).unwrap().active);
    assert_eq!(off["effect"], json!({ "examined": 2, "recalled": 1 }));
    let receipt = usize::try_from(off["receipt"].as_u64().unwrap()).unwrap();
    let (entry, private) = &world.entries()[receipt];
    assert_eq!(entry.code.as_deref(), Some("person.deactivate"));
    assert_eq!(entry.subject, Some(world.ledger.pseudonym("person:ada")));
    assert!(private.contains("token:"), "{private}");
    assert_eq!(
        world.codes(Kind::Registry),
        ["organization.add", "person.add", "affiliation.add", "person.update", "person.deactivate"]
    );
    assert_eq!(told.all(), ["organization larkspur-labs", "person ada", "person ada", "person ada", "person ada"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_refused_and_not_recorded() {
    let world = World::new();
    world.populate().await;
    let before = world.entries().len();
    let same = json!({ "display_name": "Ada" });
    world.refused("PATCH /admin/v1/people/ada", same, "").await;
    let empty = json!({});
    world.refused("PATCH /admin/v1/people/ada", empty, "").await;
    assert_eq!(world.entries().len(), before);
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let world = World::new();
    world.populate().await;
    let people = "POST /admin/v1/people";
    let unknown = json!({ "id": "b", "display_name": "B", "nickname": "bee" });
    let reply = world.refused(people, unknown, "nickname").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    world.refused(people, json!({ "id": "b" }), "display_name").await;
    let bad_id = json!({ "id": "a b", "display_name": "B" });
    world.refused(people, bad_id, "id").await;
    let empty = json!({ "id": "b", "display_name": " " });
    world.refused(people, empty, "display_name").await;
    let organizations = "POST /admin/v1/organizations";
    let mut nowhere = larkspur();
    nowhere["country"] = json!("XX");
    world.refused(organizations, nowhere, "country").await;
    let claim = json!({
        "person": "ada", "claim": { "kind": "us_person", "limb": "visitor" }, "issuer": "x",
        "evidence": "y", "assurance": "ial2", "issued_at": "2026-06-01T00:00:00Z",
        "expires_at": "2026-07-01T00:00:00Z",
    });
    world.refused("POST /admin/v1/attestations", claim, "claim.limb").await;
}

#[tokio::test]
async fn an_id_is_taken_once_and_what_is_not_there_is_not_found() {
    let world = World::new();
    world.populate().await;
    let again = world.call(&world.root, "POST /admin/v1/organizations", larkspur());
    assert_eq!(again.await.status, StatusCode::CONFLICT);
    for line in ["GET /admin/v1/people/nobody", "GET /admin/v1/keys/none", "GET /admin/v1/nothing"] {
        let reply = world.call(&world.root, line, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{line}");
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
    let reply = world.call(&world.root, "PUT /admin/v1/people", Value::Null);
    assert_eq!(reply.await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_workload_needs_owners_who_exist() {
    let world = World::new();
    world.populate().await;
    let line = "POST /admin/v1/workloads";
    let workload = |owners: Value| {
        json!({
            "id": "nightly", "purpose": "summaries", "organization": "larkspur-labs",
            "owners": owners,
        })
    };
    world.refused(line, workload(json!([])), "owners").await;
    let ghost = json!(["ada", "ghost"]);
    world.refused(line, workload(ghost), "owners").await;
    world.done(line, workload(json!(["ada"]))).await;
    let none = json!({ "owners": [] });
    world.refused("PATCH /admin/v1/workloads/nightly", none, "owners").await;
}

#[tokio::test]
async fn a_minted_key_is_shown_once_resolves_to_its_holder_and_ends_when_revoked() {
    let world = World::new();
    let told = world.attach();
    world.populate().await;
    let new = json!({ "holder": { "kind": "person", "person": "ada" } });
    let minted = world.done("POST /admin/v1/keys", new).await;
    let key = KeyText::parse(minted["key"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(minted["item"]["expires_at"], "2026-07-12T12:00:00Z");

    let directory = world.control.directory();
    let record = directory.key(&key.id()).unwrap();
    assert!(Pepper::new(PEPPER).matches(&key, &record.digest));
    assert!(matches!(directory.resolve(&record.holder), Resolved::Person(_)));
    let shown = world.done(&format!("GET /admin/v1/keys/{}", key.id()), Value::Null).await;
    assert_eq!(shown.get("digest"), None);

    let revoke = format!("POST /admin/v1/keys/{}/revoke", key.id());
    world.done(&revoke, Value::Null).await;
    assert!(directory.key(&key.id()).unwrap().revoked_at.is_some());
    assert_eq!(told.all().last().unwrap(), "key revoked=true");
    let again = world.call(&world.root, &revoke, Value::Null).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_key_can_be_bound_to_one_certificate_or_to_one_key_and_shows_it() {
    let world = World::new();
    world.populate().await;
    let line = "POST /admin/v1/keys";
    let hash = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let key =
        |confirmation: Value| json!({ "holder": { "kind": "person", "person": "ada" }, "confirmation": confirmation });
    for name in ["x5t#S256", "jkt"] {
        let minted = world.done(line, key(json!({ name: hash }))).await;
        assert_eq!(minted["item"]["confirmation"], json!({ name: hash }));
        let id = KeyText::parse(minted["key"].as_str().unwrap().as_bytes()).unwrap().id();
        let held = world.control.directory().key(&id).unwrap().confirmation.unwrap();
        assert_eq!(matches!(held, Confirmation::Jwk(_)), name == "jkt");
        let shown = world.done(&format!("GET /admin/v1/keys/{id}"), Value::Null).await;
        assert_eq!(shown["confirmation"], json!({ name: hash }));
    }
    for bad in [
        json!({}),
        json!({ "jkt": hash, "x5t#S256": hash }),
        json!({ "kid": hash }),
        json!({ "jkt": "short" }),
        json!({ "jkt": format!("{hash}=") }),
        json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J" }),
        json!(hash),
    ] {
        let refused = world.call(&world.root, line, key(bad.clone())).await;
        assert!(refused.status.is_client_error(), "{bad}: {refused:?}");
    }
}

#[tokio::test]
async fn a_key_lives_at_most_90_days_and_its_holder_must_exist() {
    let world = World::new();
    world.populate().await;
    let line = "POST /admin/v1/keys";
    for not_after in ["2026-06-12T12:00:00Z", "2026-09-10T12:00:00.001Z"] {
        let new = json!({ "holder": { "kind": "shared" }, "not_after": not_after });
        world.refused(line, new, "not_after").await;
    }
    let latest = json!({ "holder": { "kind": "shared" }, "not_after": "2026-09-10T12:00:00Z" });
    world.done(line, latest).await;
    let ghost = json!({ "holder": { "kind": "person", "person": "ghost" } });
    world.refused(line, ghost, "holder.person").await;
    let nowhere = json!({ "holder": { "kind": "shared" }, "organization": "nowhere" });
    world.refused(line, nowhere, "organization").await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page_in_order_of_id() {
    let world = World::new();
    for number in 0..5 {
        let person = json!({ "id": format!("p{number}"), "display_name": "P" });
        world.done("POST /admin/v1/people", person).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let line = format!("GET /admin/v1/people?limit=2&after={after}");
        let page = world.done(&line, Value::Null).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        assert_eq!(items.len(), 2);
        after = next.to_owned();
    }
    assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"]);
    world.refused("GET /admin/v1/people?limit=0", Value::Null, "limit").await;
    world.refused("GET /admin/v1/people?page=2", Value::Null, "page").await;
}

#[tokio::test]
async fn a_body_must_be_json_and_at_most_one_mebibyte() {
    let world = World::new();
    let long = json!({ "id": "a", "display_name": "x".repeat(1 << 20) });
    let reply = world.call(&world.root, "POST /admin/v1/people", long).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut form = request(&world.root, "POST /admin/v1/people", json!({ "id": "a" }));
    let media = "application/x-www-form-urlencoded".parse().unwrap();
    form.headers_mut().insert("content-type", media);
    let reply = world.send(form).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_request_that_names_itself_is_done_once() {
    let world = World::new();
    world.populate().await;
    let named = |body: Value| {
        let mut request = request(&world.root, "POST /admin/v1/keys", body);
        let name = "mint-for-ada".parse().unwrap();
        request.headers_mut().insert("idempotency-key", name);
        request
    };
    let body = json!({ "holder": { "kind": "person", "person": "ada" } });
    let (one, other) = tokio::join!(world.send(named(body.clone())), world.send(named(body.clone())));
    let (first, again) = match one.body["key"].is_string() {
        true => (one, other),
        false => (other, one),
    };
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body["item"], again.body["item"]);
    assert_eq!(first.body["receipt"], again.body["receipt"]);
    assert!(first.body["key"].is_string() && again.body["key"].is_null());
    assert_eq!(again.headers["idempotency-replayed"], "true");

    let other = world.send(named(json!({ "holder": { "kind": "shared" } }))).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);

    world.clock.advance(std::time::Duration::from_hours(24));
    let later = world.send(named(body)).await;
    assert_ne!(later.body["item"]["id"], first.body["item"]["id"]);
    let key = &later.body["item"]["holder"];
    let holder: Holder = serde_json::from_value(key.clone()).unwrap();
    assert!(matches!(holder, Holder::Person { .. }));
}
