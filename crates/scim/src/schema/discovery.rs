//! The documents by which a client discovers the service (RFC 7644 section 4).

use serde_json::{Value, json};

use super::{ResourceType, Schema, meta};

/// The bounds that the service keeps and announces.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many resources an answer holds at most.
    pub results: usize,
}

/// Returns the `ServiceProviderConfig`, for a service at `base_url`.
///
/// That lists can be walked through by cursor is not in it, as RFC 9865 section 4 leaves open: clients made before it refuse
/// a configuration with an attribute that they do not know.
#[must_use]
pub fn service_provider_config(base_url: &str, bounds: Bounds) -> Value {
    json!({
        "schemas": [meta::CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": bounds.results },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "The token that the operator issued for this channel, as `Authorization: Bearer`.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base_url}/ServiceProviderConfig"),
        },
    })
}

/// Returns the resource types, for a service at `base_url`: users, then groups.
#[must_use]
pub fn resource_types(base_url: &str) -> Vec<Value> {
    ResourceType::ALL.into_iter().map(|kind| resource_type(kind, base_url)).collect()
}

/// Returns every schema, those of the service itself last.
#[must_use]
pub fn schemas(base_url: &str) -> Vec<Value> {
    let of_kind = |kind: ResourceType| std::iter::once(kind.base()).chain(kind.extensions().iter().copied());
    let resources = ResourceType::ALL.into_iter().flat_map(of_kind);
    resources.chain(&meta::SCHEMAS).map(|schema: &Schema| schema.describe(base_url)).collect()
}

fn resource_type(kind: ResourceType, base_url: &str) -> Value {
    let extensions: Vec<Value> =
        kind.extensions().iter().map(|schema| json!({ "schema": schema.id, "required": false })).collect();
    json!({
        "schemas": [meta::RESOURCE_TYPE],
        "id": kind.name(),
        "name": kind.name(),
        "description": kind.base().description,
        "endpoint": kind.endpoint(),
        "schema": kind.base().id,
        "schemaExtensions": extensions,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base_url}/ResourceTypes/{}", kind.name()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{super::EXPORT_CONTROL, *};

    #[test]
    fn every_schema_of_every_resource_type_is_described() {
        let described: Vec<Value> = schemas("https://scim.example.com").into_iter().map(|s| s["id"].clone()).collect();
        for kind in resource_types("https://scim.example.com") {
            assert!(described.contains(&kind["schema"]));
            for extension in kind["schemaExtensions"].as_array().unwrap() {
                assert!(described.contains(&extension["schema"]));
            }
        }
        assert!(described.contains(&json!(EXPORT_CONTROL)));
    }

    #[test]
    fn a_country_is_announced_with_every_code_it_may_have() {
        let all = schemas("");
        let ours = all.iter().find(|schema| schema["id"] == EXPORT_CONTROL).unwrap();
        let attributes = ours["attributes"].as_array().unwrap();
        let citizenships = attributes.iter().find(|attribute| attribute["name"] == "citizenships").unwrap();
        let values = citizenships["canonicalValues"].as_array().unwrap();
        assert!(values.contains(&json!("QS")) && values.contains(&json!("US")));
        assert_eq!(citizenships["returned"], "request");
    }
}
