//! The SCIM profile of security events: provisioned resources.
//!
//! # Source
//! RFC 9967, section 2.

use serde_json::{Map, Value, json};

use crate::Fault;

pub(super) const BASE: &str = "urn:ietf:params:scim:event:";

pub(super) const NAMES: [&str; 12] = [
    "feed:add",
    "feed:remove",
    "prov:create:notice",
    "prov:create:full",
    "prov:patch:notice",
    "prov:patch:full",
    "prov:put:notice",
    "prov:put:full",
    "prov:delete",
    "prov:activate",
    "prov:deactivate",
    "misc:asyncresp",
];

/// The most attributes that a notice may name.
const MOST_ATTRIBUTES: usize = 256;

/// An event type of RFC 9967.
#[derive(Clone, Debug, PartialEq)]
pub enum Scim {
    /// The resource is told of from now on.
    FeedAdd,
    /// The resource is no longer told of; it may well exist.
    FeedRemove,
    /// The resource was created.
    Create(Change),
    /// The resource was changed in part.
    Patch(Change),
    /// The resource was replaced.
    Put(Change),
    /// The resource was deleted.
    Delete,
    /// The resource was activated.
    Activate,
    /// The resource was deactivated.
    Deactivate,
    /// A request was completed; what came of it is not read here.
    AsyncResponse,
}

/// How much of a change is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Which attributes changed, not to what.
    Notice {
        /// The paths of the attributes, in the order told.
        attributes: Vec<String>,
    },
    /// What changed.
    Full {
        /// The resource, or the operations for `patch`.
        data: Map<String, Value>,
    },
}

impl Scim {
    /// Reads an event of type `uri`; older drafts wrote the namespace with `SCIM` in capitals, which is the same URN here.
    pub(super) fn read(uri: &str, claims: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        let lower = uri.to_ascii_lowercase();
        let Some(name) = lower.strip_prefix(BASE) else { return Ok(None) };
        Ok(Some(match name {
            "feed:add" => Self::FeedAdd,
            "feed:remove" => Self::FeedRemove,
            "prov:create:notice" | "prov:create:full" => Self::Create(Change::read(&lower, claims)?),
            "prov:patch:notice" | "prov:patch:full" => Self::Patch(Change::read(&lower, claims)?),
            "prov:put:notice" | "prov:put:full" => Self::Put(Change::read(&lower, claims)?),
            "prov:delete" => Self::Delete,
            "prov:activate" => Self::Activate,
            "prov:deactivate" => Self::Deactivate,
            "misc:asyncresp" => Self::AsyncResponse,
            _ => return Ok(None),
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        use Change::{Full, Notice};
        match self {
            Self::FeedAdd => "feed:add",
            Self::FeedRemove => "feed:remove",
            Self::Create(Notice { .. }) => "prov:create:notice",
            Self::Create(Full { .. }) => "prov:create:full",
            Self::Patch(Notice { .. }) => "prov:patch:notice",
            Self::Patch(Full { .. }) => "prov:patch:full",
            Self::Put(Notice { .. }) => "prov:put:notice",
            Self::Put(Full { .. }) => "prov:put:full",
            Self::Delete => "prov:delete",
            Self::Activate => "prov:activate",
            Self::Deactivate => "prov:deactivate",
            Self::AsyncResponse => "misc:asyncresp",
        }
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        match self {
            Self::Create(change) | Self::Patch(change) | Self::Put(change) => change.claims(),
            _ => Map::new(),
        }
    }
}

impl Change {
    fn read(uri: &str, claims: &Map<String, Value>) -> Result<Self, Fault> {
        let notice = uri.ends_with(":notice");
        match (claims.get("attributes"), claims.get("data")) {
            (Some(Value::Array(list)), None) if notice => attributes(uri, list),
            (None, Some(Value::Object(data))) if !notice => Ok(Self::Full { data: data.clone() }),
            _ => Err(Fault::event(uri, "a notice must have `attributes` alone, and a full event `data` alone")),
        }
    }

    fn claims(&self) -> Map<String, Value> {
        let (name, value) = match self {
            Self::Notice { attributes } => ("attributes", json!(attributes)),
            Self::Full { data } => ("data", Value::Object(data.clone())),
        };
        Map::from_iter([(name.to_owned(), value)])
    }

    /// Says whether the change tells that the resource is, or may now be, inactive.
    ///
    /// A notice names attributes without values. Of a resource that is active here, `active` can have changed only to
    /// false; for one that is inactive here nothing is lost by reading it so.
    #[must_use]
    pub fn may_deactivate(&self) -> bool {
        match self {
            Self::Notice { attributes } => attributes.iter().any(|path| is_active(path)),
            Self::Full { data } => inactive(data) || operations(data).any(deactivates),
        }
    }
}

impl Change {
    /// Returns the new values that the change tells, by the name or path of the attribute; null for one of which only the
    /// change is told, or that is gone. Attributes of an extension have its URN before their name.
    #[must_use]
    pub fn told(&self) -> Map<String, Value> {
        match self {
            Self::Notice { attributes } => attributes.iter().map(|path| (path.clone(), Value::Null)).collect(),
            Self::Full { data } => resource(data).chain(operations(data).flat_map(operation)).collect(),
        }
    }
}

/// The attributes of a resource, those of its extensions among them.
fn resource(data: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    data.iter().flat_map(|(name, value)| match value {
        Value::Object(extension) if name.contains(':') => {
            let full = |(inner, value): (&String, &Value)| (format!("{name}:{inner}"), value.clone());
            extension.iter().map(full).collect()
        }
        value => vec![(name.clone(), value.clone())],
    })
}

/// What one operation of a patch sets; of an attribute that it removes or adds to, the new value is not told.
fn operation(operation: &Map<String, Value>) -> Vec<(String, Value)> {
    let op = operation.get("op").and_then(Value::as_str).unwrap_or_default();
    let value = operation.get("value").filter(|_| op.eq_ignore_ascii_case("replace"));
    match (operation.get("path").and_then(Value::as_str), operation.get("value")) {
        (Some(path), _) => vec![(path.to_owned(), value.cloned().unwrap_or(Value::Null))],
        (None, Some(Value::Object(set))) => resource(set).collect(),
        (None, _) => Vec::new(),
    }
}

fn attributes(uri: &str, list: &[Value]) -> Result<Change, Fault> {
    let attributes: Option<Vec<_>> = list.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect();
    match attributes {
        Some(attributes) if attributes.len() <= MOST_ATTRIBUTES => Ok(Change::Notice { attributes }),
        _ => Err(Fault::event(uri, "`attributes` must be a list of at most 256 texts")),
    }
}

fn operations(data: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let named = data.iter().filter(|(name, _)| name.eq_ignore_ascii_case("operations"));
    named.filter_map(|(_, list)| list.as_array()).flatten().filter_map(Value::as_object)
}

/// One operation of a patch: on the path `active`, or an object that says `active`, or its removal.
fn deactivates(operation: &Map<String, Value>) -> bool {
    let value = operation.get("value");
    match operation.get("path").and_then(Value::as_str) {
        Some(path) => is_active(path) && value.is_none_or(is_false),
        None => value.and_then(Value::as_object).is_some_and(inactive),
    }
}

fn inactive(resource: &Map<String, Value>) -> bool {
    resource.iter().any(|(name, value)| is_active(name) && is_false(value))
}

/// The attribute `active`, alone or with the URN of its schema.
fn is_active(path: &str) -> bool {
    path.rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case("active"))
}

/// False, or a text that says so, as one large directory writes it.
fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(active) => !active,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, claims: Value) -> Result<Option<Scim>, Fault> {
        Scim::read(&format!("{BASE}{name}"), claims.as_object().unwrap())
    }

    fn change(name: &str, claims: Value) -> Change {
        match read(name, claims).unwrap() {
            Some(Scim::Create(change) | Scim::Patch(change) | Scim::Put(change)) => change,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_namespace_of_older_drafts_is_the_same() {
        let event = Scim::read("urn:ietf:params:SCIM:event:prov:deactivate", &Map::new()).unwrap();
        assert_eq!(event, Some(Scim::Deactivate));
    }

    #[test]
    fn a_notice_has_attributes_and_a_full_event_has_data_and_never_both() {
        assert!(read("prov:patch:notice", json!({"attributes": ["active"]})).is_ok());
        assert!(read("prov:patch:full", json!({"data": {}})).is_ok());
        for (name, claims) in [
            ("prov:patch:notice", json!({})),
            ("prov:patch:notice", json!({"data": {}})),
            ("prov:patch:notice", json!({"attributes": ["a"], "data": {}})),
            ("prov:patch:notice", json!({"attributes": [1]})),
            ("prov:put:full", json!({"attributes": ["a"]})),
            ("prov:create:full", json!({"data": "x"})),
        ] {
            assert!(read(name, claims.clone()).is_err(), "{name} {claims}");
        }
    }

    #[test]
    fn new_values_are_told_by_name_wherever_they_stand_and_null_where_they_are_not_told() {
        let user = "urn:example:exportcontrol:1.0:User";
        let citizenships = format!("{user}:citizenships");
        for (name, claims, value) in [
            ("prov:patch:notice", json!({"attributes": [citizenships]}), json!(null)),
            ("prov:put:full", json!({"data": {"userName": "ada", user: {"citizenships": ["FR"]}}}), json!(["FR"])),
            (
                "prov:patch:full",
                json!({"data": {"Operations": [{"op": "Replace", "path": citizenships, "value": ["FR"]}]}}),
                json!(["FR"]),
            ),
            (
                "prov:patch:full",
                json!({"data": {"Operations": [{"op": "replace", "value": {user: {"citizenships": ["FR"]}}}]}}),
                json!(["FR"]),
            ),
            (
                "prov:patch:full",
                json!({"data": {"Operations": [{"op": "add", "path": citizenships, "value": ["FR"]}]}}),
                json!(null),
            ),
            ("prov:patch:full", json!({"data": {"Operations": [{"op": "remove", "path": citizenships}]}}), json!(null)),
        ] {
            assert_eq!(change(name, claims.clone()).told().get(&citizenships), Some(&value), "{claims}");
        }
    }

    #[test]
    fn every_way_to_say_that_a_resource_is_inactive_is_heard() {
        for (name, claims) in [
            ("prov:patch:notice", json!({"attributes": ["name.givenName", "active"]})),
            ("prov:put:full", json!({"data": {"userName": "ada", "active": false}})),
            ("prov:put:full", json!({"data": {"Active": "False"}})),
            (
                "prov:patch:full",
                json!({"data": {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}}),
            ),
            ("prov:patch:full", json!({"data": {"Operations": [{"op": "replace", "value": {"active": false}}]}})),
            ("prov:patch:full", json!({"data": {"operations": [{"op": "remove", "path": "active"}]}})),
            (
                "prov:patch:full",
                json!({"data": {"Operations": [{
                "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": false}]}}),
            ),
        ] {
            assert!(change(name, claims.clone()).may_deactivate(), "{claims}");
        }
        for (name, claims) in [
            ("prov:patch:notice", json!({"attributes": ["emails"]})),
            ("prov:put:full", json!({"data": {"active": true}})),
            ("prov:patch:full", json!({"data": {"Operations": [{"op": "replace", "path": "active", "value": true}]}})),
            ("prov:patch:full", json!({"data": {"Operations": [{"op": "replace", "path": "title", "value": false}]}})),
        ] {
            assert!(!change(name, claims.clone()).may_deactivate(), "{claims}");
        }
    }
}
