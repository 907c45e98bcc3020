//! Patches as RFC 7644 section 3.5.2 and two large directories write them.

use serde_json::json;

use super::*;
use crate::{
    ResourceType,
    schema::{ENTERPRISE_USER, EXPORT_CONTROL, GROUP, USER},
};

fn ada() -> Resource {
    let body = json!({
        "schemas": [USER], "userName": "ada", "active": true, "name": { "givenName": "Ada", "familyName": "L" },
        "emails": [
            { "value": "a@example.com", "type": "work", "primary": true },
            { "value": "h@example.com", "type": "home" },
        ],
        EXPORT_CONTROL: { "citizenships": ["FR", "US"] },
    });
    Resource::parse(ResourceType::User, &body).unwrap()
}

fn crew() -> Resource {
    let members = json!([{ "value": "1" }, { "value": "2" }]);
    let body = json!({ "schemas": [GROUP], "displayName": "Crew", "members": members });
    Resource::parse(ResourceType::Group, &body).unwrap()
}

fn patched(resource: &Resource, operations: Value) -> Result<Value, Fault> {
    let body = json!({ "schemas": [PATCH_SCHEMA], "Operations": operations });
    Patch::parse(&body)?.apply(resource).map(|new| new.unstamped())
}

fn changed(operations: Value) -> Value {
    patched(&ada(), operations).unwrap()
}

fn refused(operations: Value) -> &'static str {
    patched(&ada(), operations).unwrap_err().scim_type.as_str()
}

#[test]
fn a_directory_that_sends_booleans_as_text_and_verbs_with_capitals_deactivates_a_user() {
    for operation in [
        json!({ "op": "Replace", "path": "active", "value": "False" }),
        json!({ "op": "replace", "value": { "active": false } }),
        json!({ "op": "Add", "path": "ACTIVE", "value": [{ "$ref": null, "value": "False" }] }),
        json!({ "OP": "REPLACE", "Path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "Value": false }),
    ] {
        assert_eq!(changed(json!([operation]))["active"], false, "{operation}");
    }
}

#[test]
fn names_with_dots_urns_and_brackets_stand_for_paths_where_there_is_no_path() {
    let new = changed(json!([{ "op": "Add", "value": {
        "name.givenName": "Augusta",
        "emails[type eq \"work\"].value": "augusta@example.com",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Ships",
        EXPORT_CONTROL: { "citizenships": "GB", "schemas": [EXPORT_CONTROL] },
        "id": "7", "schemas": [],
    } }]));
    assert_eq!(new["name"], json!({ "givenName": "Augusta", "familyName": "L" }));
    assert_eq!(new["emails"][0]["value"], "augusta@example.com");
    assert_eq!(new[ENTERPRISE_USER], json!({ "department": "Ships" }));
    assert_eq!(new[EXPORT_CONTROL]["citizenships"], json!(["FR", "US", "GB"]));
    assert_eq!(new["schemas"], json!([USER, ENTERPRISE_USER, EXPORT_CONTROL]));
}

#[test]
fn a_manager_is_taken_as_text_as_object_and_as_list() {
    let path = format!("{ENTERPRISE_USER}:manager");
    for value in [json!("7"), json!({ "value": "7", "displayName": "Bo" }), json!([{ "value": "7" }])] {
        let new = changed(json!([{ "op": "Add", "path": path, "value": value }]));
        assert_eq!(new[ENTERPRISE_USER]["manager"], json!({ "value": "7" }), "{value}");
    }
    let removed = changed(json!([
        { "op": "Add", "path": path, "value": "7" },
        { "op": "Remove", "path": format!("{path}.value") },
    ]));
    assert!(removed.get(ENTERPRISE_USER).is_none());
}

#[test]
fn adding_a_value_that_is_there_changes_nothing_and_a_new_primary_ends_the_old_one() {
    let same = json!([{ "op": "add", "path": "emails", "value": { "value": "h@example.com", "type": "home" } }]);
    assert_eq!(changed(same), ada().unstamped());
    let value = json!([{ "value": "h@example.com", "type": "home", "primary": true }]);
    let new = changed(json!([{ "op": "add", "path": "emails", "value": value }]));
    assert_eq!((&new["emails"][0]["primary"], &new["emails"][1]["primary"]), (&json!(false), &json!(true)));
    let path = "emails[type eq \"home\"].primary";
    assert_eq!(changed(json!([{ "op": "replace", "path": path, "value": true }])), new);
}

#[test]
fn a_filter_in_the_path_selects_what_is_replaced_and_removed() {
    let home = "emails[type eq \"home\"]";
    let replaced = changed(json!([{ "op": "replace", "path": home, "value": { "value": "n@example.com" } }]));
    assert_eq!(replaced["emails"][1], json!({ "value": "n@example.com" }));
    let removed = changed(json!([{ "op": "remove", "path": home }]));
    assert_eq!(removed["emails"].as_array().unwrap().len(), 1);
    let part = changed(json!([{ "op": "remove", "path": format!("{home}.type") }]));
    assert_eq!(part["emails"][1], json!({ "value": "h@example.com" }));
    let country = format!("{EXPORT_CONTROL}:citizenships[value eq \"FR\"]");
    let one = changed(json!([{ "op": "remove", "path": country }]));
    assert_eq!(one[EXPORT_CONTROL]["citizenships"], json!(["US"]));
    let listed = json!([{ "op": "remove", "path": format!("{EXPORT_CONTROL}:citizenships"), "value": ["FR", "US"] }]);
    assert!(changed(listed).get(EXPORT_CONTROL).is_none());
}

#[test]
fn adding_to_a_value_that_is_not_there_makes_it_as_the_filter_describes_it() {
    let path = "phoneNumbers[type eq \"mobile\"].value";
    let new = changed(json!([{ "op": "Add", "path": path, "value": "+1 555 0100" }]));
    assert_eq!(new["phoneNumbers"], json!([{ "type": "mobile", "value": "+1 555 0100" }]));
    let unclear = "phoneNumbers[type sw \"mob\"].value";
    assert_eq!(refused(json!([{ "op": "Add", "path": unclear, "value": "1" }])), "noTarget");
    assert_eq!(refused(json!([{ "op": "Replace", "path": path, "value": "1" }])), "noTarget");
    assert_eq!(refused(json!([{ "op": "Remove", "path": path }])), "noTarget");
}

#[test]
fn members_come_and_go_by_filter_and_by_list() {
    let operations = json!([
        { "op": "Add", "path": "members", "value": [{ "value": "2", "display": "Bo" }, { "value": "3" }] },
        { "op": "Remove", "path": "members[value eq \"1\"]" },
        { "op": "Remove", "path": "members", "value": [{ "value": "3" }, { "value": "9" }] },
    ]);
    let new = patched(&crew(), operations).unwrap();
    assert_eq!(new["members"], json!([{ "value": "2", "display": "Bo" }]));
    let all = patched(&crew(), json!([{ "op": "remove", "path": "members" }])).unwrap();
    assert!(all.get("members").is_none());
    let fixed = json!([{ "op": "replace", "path": "members[value eq \"1\"].value", "value": "8" }]);
    assert_eq!(patched(&crew(), fixed).unwrap_err().scim_type, ScimType::Mutability);
}

#[test]
fn replacing_with_nothing_removes_and_replacing_parts_keeps_the_other_parts() {
    let new = changed(json!([
        { "op": "replace", "path": "emails", "value": [] },
        { "op": "replace", "path": "name", "value": { "givenName": "B" } },
        { "op": "replace", "path": "name.familyName", "value": null },
        { "op": "add", "path": "title", "value": "Captain" },
    ]));
    assert!(new.get("emails").is_none());
    assert_eq!((&new["name"], &new["title"]), (&json!({ "givenName": "B" }), &json!("Captain")));
}

#[test]
fn one_bad_operation_undoes_the_others_and_says_what_is_wrong() {
    let cases = [
        (json!([{ "op": "remove" }]), "noTarget"),
        (json!([{ "op": "remove", "path": "userName" }]), "mutability"),
        (json!([{ "op": "replace", "path": "userName", "value": null }]), "mutability"),
        (json!([{ "op": "replace", "path": "id", "value": "7" }]), "mutability"),
        (json!([{ "op": "add", "path": "meta.version", "value": "7" }]), "mutability"),
        (json!([{ "op": "replace", "path": "schemas", "value": [] }]), "mutability"),
        (json!([{ "op": "replace", "path": "nope", "value": 1 }]), "invalidPath"),
        (json!([{ "op": "replace", "value": { "nope": 1 } }]), "invalidPath"),
        (json!([{ "op": "replace", "value": { "a b": 1 } }]), "invalidPath"),
        (json!([{ "op": "replace", "path": "emails[x eq 1]", "value": {} }]), "invalidFilter"),
        (json!([{ "op": "replace", "path": "active", "value": "maybe" }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "title", "value": ["a", "b"] }]), "invalidValue"),
        (json!([{ "op": "replace", "value": "x" }]), "invalidValue"),
        (json!([{ "op": "add", "path": "title" }]), "invalidValue"),
        (json!([{ "op": "move", "path": "title" }]), "invalidSyntax"),
        (json!([]), "invalidSyntax"),
        (
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "x", "primary": true }, { "value": "y", "primary": true }] }]),
            "invalidValue",
        ),
        (
            json!([{ "op": "replace", "path": format!("{EXPORT_CONTROL}:citizenships"), "value": ["XX"] }]),
            "invalidValue",
        ),
    ];
    for (mut operations, keyword) in cases {
        assert_eq!(refused(operations.clone()), keyword, "{operations}");
        let operations = operations.as_array_mut().unwrap();
        if !operations.is_empty() {
            operations.insert(0, json!({ "op": "add", "path": "title", "value": "Captain" }));
            assert!(patched(&ada(), Value::Array(operations.clone())).is_err());
        }
    }
    assert!(Patch::parse(&json!({ "Operations": [{ "op": "remove", "path": "title" }] })).is_err());
}

#[test]
fn a_password_is_taken_and_not_kept() {
    assert_eq!(changed(json!([{ "op": "replace", "path": "password", "value": "secret" }])), ada().unstamped());
    assert_eq!(refused(json!([{ "op": "replace", "path": "groups", "value": [] }])), "mutability");
}
