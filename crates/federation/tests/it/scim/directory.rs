//! The ways of two common directories: what they send, however odd, means what they mean by it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{ENTERPRISE, EXPORT, GROUP, World, patch, user};

fn filtered(path: &str, filter: &str) -> String {
    format!("{path}?filter={}", filter.replace(' ', "%20").replace('"', "%22"))
}

#[tokio::test(flavor = "current_thread")]
async fn verbs_with_capitals_extension_names_with_dots_and_missing_values_are_understood() {
    let world = World::new().await;
    let id = world.hire("ada@acme.example", json!({ "externalId": "ada", "emails": [] })).await;
    let operations = json!([
        { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "ada@acme.example" },
        { "op": "Replace", "value": {
            "displayName": "Ada L", "name.givenName": "Ada",
            format!("{ENTERPRISE}:department"): "Ships",
            format!("{EXPORT}:employmentType"): "employee",
        } },
        { "op": "Replace", "path": "active", "value": "True" },
        { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "9" },
        { "op": "Remove", "path": "phoneNumbers" },
    ]);
    let reply = world.patch(&id, operations).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let body = reply.body;
    assert_eq!(body["emails"], json!([{ "type": "work", "value": "ada@acme.example" }]));
    assert_eq!((&body["active"], &body["name"]["givenName"]), (&json!(true), &json!("Ada")));
    assert_eq!(body[ENTERPRISE], json!({ "department": "Ships", "manager": { "value": "9" } }));
    assert_eq!(body[EXPORT]["employmentType"], "employee");
}

#[tokio::test(flavor = "current_thread")]
async fn a_replacement_of_what_is_not_there_is_no_target_and_of_what_was_never_is_no_path() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    let cases = [
        (json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@b.example" }]), "noTarget"),
        (json!([{ "op": "replace", "path": "shoeSize", "value": 44 }]), "invalidPath"),
        (json!([{ "op": "remove" }]), "noTarget"),
        (json!([{ "op": "replace", "path": "id", "value": "7" }]), "mutability"),
        (json!([{ "op": "replace", "path": "emails[type is \"work\"]", "value": [] }]), "invalidFilter"),
        (json!([{ "op": "replace", "path": "active", "value": "perhaps" }]), "invalidValue"),
        (json!([{ "op": "melt", "path": "active" }]), "invalidSyntax"),
    ];
    for (operations, keyword) in cases {
        assert_eq!(world.patch(&id, operations.clone()).await.refusal(), (400, keyword), "{operations}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_group_takes_one_member_and_a_hundred_and_is_answered_without_them() {
    let world = World::new().await;
    let new = json!({ "schemas": [GROUP], "displayName": "Crew", "externalId": "g" });
    let id = world.call("acme-hr", "POST /Groups", new).await.id();
    let path = format!("/Groups/{id}?excludedAttributes=members");
    let all: Vec<Value> = (0..100).map(|at| json!({ "value": format!("user-{at}") })).collect();
    for (operation, count) in [
        (json!({ "op": "Add", "path": "members", "value": [{ "value": "user-0" }] }), 1),
        (json!({ "op": "Add", "path": "members", "value": all }), 100),
        (json!({ "op": "Remove", "path": "members", "value": [{ "value": "user-99" }] }), 99),
        (json!({ "op": "Remove", "path": "members[value eq \"user-98\"]" }), 98),
        (json!({ "op": "Replace", "path": "members", "value": all }), 100),
    ] {
        let reply = world.call("acme-hr", &format!("PATCH {path}"), patch(json!([operation]))).await;
        assert_eq!((reply.status, reply.body.get("members")), (StatusCode::OK, None), "{operation}");
        let whole = world.get("acme-hr", &format!("/Groups/{id}")).await;
        assert_eq!(whole.body["members"].as_array().unwrap().len(), count, "{operation}");
    }
    let found = world.get("acme-hr", &filtered("/Groups", "displayName eq \"CREW\"")).await;
    assert_eq!((&found.body["totalResults"], &found.body["Resources"][0]["id"]), (&json!(1), &json!(id)));
    let gone =
        world.call("acme-hr", &format!("PATCH {path}"), patch(json!([{ "op": "Remove", "path": "members" }]))).await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(world.get("acme-hr", &format!("/Groups/{id}")).await.body.get("members"), None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_test_connection_that_asks_for_nobody_is_answered_with_an_empty_list() {
    let world = World::new().await;
    let found = world.get("acme-hr", &filtered("/Users", "userName eq \"nobody-7f3a\"")).await;
    assert_eq!(found.status, StatusCode::OK);
    assert_eq!((&found.body["totalResults"], &found.body["Resources"]), (&json!(0), &json!([])));
    let both = filtered("/Users", "userName eq \"a\" and externalId eq \"b\"");
    assert_eq!(world.get("acme-hr", &both).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "current_thread")]
async fn a_user_is_found_by_its_name_in_any_case_and_a_second_one_of_the_name_is_a_conflict() {
    let world = World::new().await;
    let id = world.hire("Ada@Acme.example", json!({ "externalId": "X" })).await;
    for filter in ["userName eq \"ada@acme.EXAMPLE\"", "externalId eq \"X\""] {
        let found = world.get("acme-hr", &format!("{}&startIndex=1&count=100", filtered("/Users", filter))).await;
        assert_eq!(
            (&found.body["totalResults"], &found.body["Resources"][0]["id"]),
            (&json!(1), &json!(id)),
            "{filter}"
        );
    }
    let wrong_case = world.get("acme-hr", &filtered("/Users", "externalId eq \"x\"")).await;
    assert_eq!(wrong_case.body["totalResults"], 0);
    for more in [json!({}), json!({ "externalId": "Y" })] {
        let again = world.call("acme-hr", "POST /Users", user("ADA@acme.example", more)).await;
        assert_eq!(again.refusal(), (409, "uniqueness"));
    }
    let other = world.hire("bo", json!({})).await;
    let renamed =
        world.patch(&other, json!([{ "op": "replace", "path": "userName", "value": "ADA@acme.example" }])).await;
    assert_eq!(renamed.refusal(), (409, "uniqueness"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_profile_update_replaces_the_whole_user_and_keeps_what_it_could_not_see() {
    let world = World::new().await;
    let more = json!({ "nickName": "A", EXPORT: { "citizenships": ["FR"], "attestedBy": "Bo" } });
    let id = world.hire("ada", more).await;
    let reply = world.call("acme-hr", &format!("PUT /Users/{id}"), user("ada", json!({ "title": "Captain" }))).await;
    assert_eq!(
        (reply.status, reply.body.get("nickName"), &reply.body["title"]),
        (StatusCode::OK, None, &json!("Captain"))
    );
    let asked = world.get("acme-hr", &format!("/Users/{id}?attributes={EXPORT}:citizenships")).await;
    assert_eq!(asked.body[EXPORT]["citizenships"], json!(["FR"]));
    assert_eq!(world.attested(&id).len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn pages_begin_at_one_and_hold_what_was_asked_for_and_none_is_a_count() {
    let world = World::new().await;
    for at in 0..7 {
        world.hire(&format!("user-{at}"), json!({})).await;
    }
    let mut seen = Vec::new();
    for start in [1, 4, 7] {
        let page = world.get("acme-hr", &format!("/Users?startIndex={start}&count=3")).await.body;
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(7), &json!(start)));
        let names = page["Resources"].as_array().unwrap().iter().map(|one| one["userName"].to_string());
        assert_eq!(page["itemsPerPage"], names.len());
        seen.extend(names);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    let none = world.get("acme-hr", "/Users?count=0").await.body;
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(7), &json!([])));
    let past = world.get("acme-hr", "/Users?startIndex=100").await.body;
    assert_eq!((&past["totalResults"], &past["Resources"]), (&json!(7), &json!([])));
    let zero = world.get("acme-hr", "/Users?startIndex=0&count=-1").await.body;
    assert_eq!((&zero["startIndex"], &zero["Resources"]), (&json!(1), &json!([])));
    let sorted = world.get("acme-hr", "/Users?sortBy=userName&sortOrder=descending&count=1").await.body;
    assert_eq!(sorted["Resources"][0]["userName"], "user-6");
}
