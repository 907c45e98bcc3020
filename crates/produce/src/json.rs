//! The few things that are read out of documents in JSON.

use serde_json::Value;

/// Returns every name in facts that the log may have made a pseudonym of.
pub(crate) fn names(facts: &[u8]) -> Vec<String> {
    let Ok(facts) = serde_json::from_slice::<Value>(facts) else {
        return Vec::new();
    };
    let text = |pointer: &str| facts.pointer(pointer).and_then(Value::as_str);
    let one = [
        ("person", text("/caller/person/id")),
        ("workload", text("/caller/workload/id")),
        ("key", text("/credential/id")),
        ("organization", text("/credential/organization")),
        ("model", text("/model")),
    ];
    let organizations = facts.get("organizations").and_then(Value::as_array).into_iter().flatten();
    let organizations = organizations.map(|each| ("organization", each.get("id").and_then(Value::as_str)));
    let named = one.into_iter().chain(organizations);
    named.filter_map(|(noun, id)| Some(format!("{noun}:{}", id?))).collect()
}

/// Where chains stood, in the state of a writer as in `heads.json`.
pub(crate) mod heads {
    use proof::production::HeadsFile;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(heads: &HeadsFile, serializer: S) -> Result<S::Ok, S::Error> {
        String::from_utf8_lossy(&heads.to_json()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeadsFile, D::Error> {
        HeadsFile::parse(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_of_caller_key_organizations_and_model() {
        let facts = json!({
            "model": "mythos-5.0", "credential": { "id": "0123", "organization": "acme" },
            "caller": { "kind": "person", "person": { "id": "ada" } }, "organizations": [{ "id": "acme" }, { "id": "lab" }],
        });
        let names = names(facts.to_string().as_bytes());
        let expected = [
            "person:ada",
            "key:0123",
            "organization:acme",
            "model:mythos-5.0",
            "organization:acme",
            "organization:lab",
        ];
        assert_eq!(names, expected);
        assert!(super::names(b"no json").is_empty());
    }
}
