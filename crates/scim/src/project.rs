//! Projections: which attributes of a resource an answer holds.

use serde_json::{Map, Value};

use crate::{
    Fault, Named, Resource, ResourceType,
    path::AttributePath,
    schema::attribute::{Attribute, Returned, find},
};

/// How many attributes a client may name.
const NAMES_MAX: usize = 100;

/// What a client asked to see.
///
/// # Source
/// RFC 7643 section 7 (`returned`), RFC 7644 section 3.9.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    /// Only these, if there are any.
    only: Option<Vec<AttributePath>>,
    /// All but these.
    without: Vec<AttributePath>,
    /// What is answered on request only and this client just wrote.
    echoed: Named,
}

impl Projection {
    /// Takes the values of the parameters `attributes` and `excludedAttributes`, each a list of names.
    ///
    /// # Errors
    ///
    /// [`Fault`] if a name is malformed or both are given. A name that no schema has selects nothing.
    pub fn new(attributes: &[&str], excluded: &[&str]) -> Result<Self, Fault> {
        if !attributes.is_empty() && !excluded.is_empty() {
            return Err(Fault::value("`attributes` and `excludedAttributes` exclude each other: send one"));
        }
        let only = if attributes.is_empty() { None } else { Some(paths(attributes)?) };
        Ok(Self { only, without: paths(excluded)?, echoed: Named::default() })
    }

    /// Shows also what is answered on request only, as far as the request that changed the resource names it.
    #[must_use]
    pub fn echoing(self, named: Named) -> Self {
        Self { echoed: named, ..self }
    }

    /// Returns the part of `resource` that the answer holds; `schemas` and `id` are always in it.
    #[must_use]
    pub fn apply(&self, resource: &Resource) -> Value {
        let kind = resource.resource_type();
        let mut shown = Map::new();
        for (name, value) in resource.body() {
            let seen = match (kind.extension(name), value) {
                (Some(schema), Value::Object(values)) => self.extension(kind, schema.id, schema.attributes, values),
                _ => kind.own(name).and_then(|attribute| self.attribute(kind, None, attribute, value)),
            };
            if let Some(seen) = seen {
                shown.insert(name.clone(), seen);
            }
        }
        Value::Object(shown)
    }

    fn extension(
        &self,
        kind: ResourceType,
        urn: &'static str,
        attributes: &'static [Attribute],
        values: &Map<String, Value>,
    ) -> Option<Value> {
        let mut shown = Map::new();
        for (name, value) in values {
            let seen = find(attributes, name).and_then(|attribute| self.attribute(kind, Some(urn), attribute, value));
            if let Some(seen) = seen {
                shown.insert(name.clone(), seen);
            }
        }
        if shown.is_empty() { None } else { Some(Value::Object(shown)) }
    }

    fn attribute(
        &self,
        kind: ResourceType,
        urn: Option<&'static str>,
        attribute: &'static Attribute,
        value: &Value,
    ) -> Option<Value> {
        let asked = self.only.as_ref().map(|only| selection(only, kind, urn, attribute));
        match (attribute.returned, asked) {
            (Returned::Always, _) => Some(value.clone()),
            (Returned::Never, _) => None,
            (_, Some(asked)) => asked.only_of(value),
            (Returned::Request, None) => self.echoed.has(urn, attribute.name).then(|| value.clone()),
            (Returned::Default, None) => selection(&self.without, kind, urn, attribute).all_but(value),
        }
    }
}

/// How much of an attribute a list of names selects.
enum Selection {
    Nothing,
    Parts(Vec<&'static str>),
    Whole,
}

fn selection(
    paths: &[AttributePath],
    kind: ResourceType,
    urn: Option<&'static str>,
    attribute: &'static Attribute,
) -> Selection {
    let mut parts = Vec::new();
    for path in paths {
        if urn.is_some() && path.extension(kind) == urn {
            return Selection::Whole;
        }
        let place = path.place(kind).filter(|place| place.extension == urn && place.attribute.name == attribute.name);
        match place.map(|place| place.sub) {
            Some(None) => return Selection::Whole,
            Some(Some(sub)) => parts.push(sub.name),
            None => {}
        }
    }
    if parts.is_empty() { Selection::Nothing } else { Selection::Parts(parts) }
}

impl Selection {
    fn only_of(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::Whole => Some(value.clone()),
            Self::Parts(names) => retained(value, &|name| names.contains(&name)),
        }
    }

    fn all_but(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Nothing => Some(value.clone()),
            Self::Whole => None,
            Self::Parts(names) => retained(value, &|name| !names.contains(&name)),
        }
    }
}

/// Keeps the parts of each value that `keep` wants; `None` if nothing is left.
fn retained(value: &Value, keep: &impl Fn(&str) -> bool) -> Option<Value> {
    match value {
        Value::Object(parts) => {
            let kept = parts.iter().filter(|(name, _)| keep(name));
            let kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            if kept.is_empty() { None } else { Some(Value::Object(kept)) }
        }
        Value::Array(values) => {
            let kept: Vec<Value> = values.iter().filter_map(|value| retained(value, keep)).collect();
            if kept.is_empty() { None } else { Some(Value::Array(kept)) }
        }
        plain => keep("value").then(|| plain.clone()),
    }
}

fn paths(names: &[&str]) -> Result<Vec<AttributePath>, Fault> {
    if names.len() > NAMES_MAX {
        return Err(Fault::value(format!("more than {NAMES_MAX} attributes are named: leave the parameter out")));
    }
    names.iter().map(|name| AttributePath::parse(name.trim()).map_err(|bad| Fault::value(bad.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Patch,
        schema::{ENTERPRISE_USER, EXPORT_CONTROL, USER},
    };

    fn ada() -> Resource {
        let body = json!({
            "schemas": [USER], "userName": "ada", "name": { "givenName": "Ada", "familyName": "L" },
            "emails": [{ "value": "a@example.com", "type": "work" }],
            ENTERPRISE_USER: { "department": "Ships", "division": "North" },
            EXPORT_CONTROL: { "citizenships": ["FR"], "attestedBy": "Bo" },
        });
        Resource::parse(ResourceType::User, &body).unwrap()
    }

    fn shown(attributes: &[&str], excluded: &[&str]) -> Value {
        let mut value = Projection::new(attributes, excluded).unwrap().apply(&ada());
        assert!(value.as_object_mut().unwrap().remove("schemas").is_some());
        value
    }

    #[test]
    fn nationality_is_answered_only_to_who_names_it() {
        assert_eq!(shown(&[], &[])[EXPORT_CONTROL], json!({ "attestedBy": "Bo" }));
        let name = format!("{EXPORT_CONTROL}:citizenships");
        assert_eq!(shown(&[&name], &[]), json!({ EXPORT_CONTROL: { "citizenships": ["FR"] } }));
        assert_eq!(shown(&[EXPORT_CONTROL], &[])[EXPORT_CONTROL]["citizenships"], json!(["FR"]));
    }

    #[test]
    fn who_just_wrote_a_nationality_is_answered_it_and_who_wrote_something_else_is_not() {
        let user = ResourceType::User;
        let answered = |named: Named| Projection::default().echoing(named).apply(&ada())[EXPORT_CONTROL].clone();
        let patched = |operation: Value| {
            let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
            Patch::parse(&json!({ "schemas": [schema], "Operations": [operation] })).unwrap().named(user)
        };
        let whole = json!({ "CITIZENSHIPS": ["FR"], "attestedBy": "Bo" });
        let dotted = format!("{EXPORT_CONTROL}:citizenships");
        for named in [
            Named::in_body(user, &json!({ EXPORT_CONTROL.to_uppercase(): whole })),
            patched(json!({ "op": "add", "path": EXPORT_CONTROL, "value": whole })),
            patched(json!({ "op": "add", "value": { EXPORT_CONTROL: whole } })),
            patched(json!({ "op": "add", "value": { dotted.as_str(): "FR" } })),
            patched(json!({ "op": "add", "path": dotted, "value": "FR" })),
        ] {
            assert_eq!(answered(named.clone())["citizenships"], json!(["FR"]), "{named:?}");
        }
        let title = patched(json!({ "op": "add", "path": "title", "value": "Captain" }));
        assert!(answered(title).get("citizenships").is_none());
    }

    #[test]
    fn parts_are_selected_and_left_out() {
        assert_eq!(shown(&["NAME.givenname", "nope"], &[]), json!({ "name": { "givenName": "Ada" } }));
        assert_eq!(shown(&["emails.value"], &[]), json!({ "emails": [{ "value": "a@example.com" }] }));
        let rest = shown(&[], &["name", "emails.type", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]);
        assert!(rest.get("name").is_none() && rest.get(ENTERPRISE_USER).is_none());
        assert_eq!(rest["emails"], json!([{ "value": "a@example.com" }]));
    }

    #[test]
    fn both_lists_at_once_and_names_that_are_none_are_refused() {
        assert!(Projection::new(&["a"], &["b"]).is_err());
        assert!(Projection::new(&["a b"], &[]).is_err());
        assert!(Projection::new(&vec!["a"; 101], &[]).is_err());
    }
}
