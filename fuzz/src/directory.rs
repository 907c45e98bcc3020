//! What an employer's directory sends.

use scim::{ENTERPRISE_USER, EXPORT_CONTROL, Filter, GROUP, Patch, Resource, ResourceType, USER};
use serde_json::{Value, json};

/// A filter that parses is printed as one that parses to the same, and says the same of a user.
pub(crate) fn scim_filter(bytes: &[u8]) {
    let Some(filter) = read_filter(bytes) else { return };
    let again = Filter::parse(&filter.to_string());
    assert_eq!(again.as_ref(), Ok(&filter));
    for resource in resources() {
        let matches = filter.matches(&resource);
        assert_eq!(again.as_ref().map(|again| again.matches(&resource)), Ok(matches));
        if let Some(lookup) = filter.lookup(resource.resource_type()) {
            assert!(!matches || resource.lookups().contains(&lookup), "what is looked up is found");
        }
    }
}

/// Reads a filter.
pub(crate) fn read_filter(bytes: &[u8]) -> Option<Filter> {
    Filter::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// A patch that can be applied leaves a resource that parses, as it is, to the same.
pub(crate) fn scim_patch(bytes: &[u8]) {
    let Some(patch) = read_patch(bytes) else { return };
    for resource in resources() {
        if let Ok(patched) = patch.apply(&resource) {
            let again = Resource::parse(resource.resource_type(), &patched.unstamped());
            assert_eq!(again.as_ref(), Ok(&patched));
        }
    }
}

/// Reads the body of a PATCH request.
pub(crate) fn read_patch(bytes: &[u8]) -> Option<Patch> {
    let body: Value = serde_json::from_slice(bytes).ok()?;
    Patch::parse(&body).ok()
}

/// A user and a group.
fn resources() -> impl Iterator<Item = Resource> {
    let user = json!({
        "schemas": [USER], "userName": "ada", "active": true, "externalId": "1", "name": { "givenName": "Ada" },
        "emails": [{ "value": "a@example.com", "type": "work", "primary": true }, { "value": "h@example.com" }],
        "roles": ["mate"],
        ENTERPRISE_USER: { "department": "Ships", "manager": { "value": "7" } },
        EXPORT_CONTROL: { "citizenships": ["FR", "US"], "attestedAt": "2026-01-01T00:00:00Z" },
    });
    let group = json!({ "schemas": [GROUP], "displayName": "Crew", "members": [{ "value": "1" }, { "value": "2" }] });
    let kinds = [(ResourceType::User, user), (ResourceType::Group, group)];
    kinds.into_iter().filter_map(|(kind, body)| Resource::parse(kind, &body).ok())
}
