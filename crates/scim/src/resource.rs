//! A resource: what a client sent, checked and with every name spelled as in its schema.

use serde_json::{Map, Value, json};
use terms::Moment;

use crate::{
    Fault, ResourceType, ScimType,
    error::quoted,
    path::AttributePath,
    schema::{
        OUR_NAMESPACE, Place, Schema,
        attribute::{Attribute, Mutability, Returned, find},
    },
    value,
};

/// A user or a group.
///
/// Every attribute is one of its schemas', of the type given there; names are spelled as in the schema; nothing is empty;
/// required attributes are there. What is accepted and not kept, such as a password, is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    kind: ResourceType,
    body: Map<String, Value>,
}

/// What the service records about a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meta {
    /// When it was created.
    pub created: Moment,
    /// When it was last changed.
    pub last_modified: Moment,
    /// Where it is, as an absolute URL.
    pub location: String,
    /// Its version as an entity tag, such as `W/"3"`.
    pub version: String,
}

impl Resource {
    /// Takes the body of a request that creates a resource. Read-only attributes are ignored.
    ///
    /// # Errors
    ///
    /// [`Fault`] that names the attribute; an attribute that no schema of the type has is refused, so that a misspelled
    /// one is noticed.
    ///
    /// # Source
    /// RFC 7644 section 3.3.
    pub fn parse(kind: ResourceType, sent: &Value) -> Result<Self, Fault> {
        let sent = sent.as_object().ok_or_else(|| Fault::syntax("the body is not a JSON object"))?;
        check_schemas(kind, sent)?;
        let mut resource = Self { kind, body: Map::new() };
        for (name, value) in sent {
            resource.take(name, value)?;
        }
        resource.finish(ScimType::InvalidValue)?;
        Ok(resource)
    }

    /// Takes the body of a request that replaces the resource.
    ///
    /// What a client that read the resource could not see, since it is answered on request only, stays unless the body
    /// names it: to send back what was read must lose nothing.
    ///
    /// # Errors
    ///
    /// As [`Resource::parse`].
    ///
    /// # Source
    /// RFC 7644 section 3.5.1.
    pub fn replaced_by(&self, sent: &Value) -> Result<Self, Fault> {
        let mut new = Self::parse(self.kind, sent)?;
        for schema in self.kind.extensions() {
            let named = sent.as_object().and_then(|sent| ignoring_case(sent, schema.id)).and_then(Value::as_object);
            for attribute in schema.attributes.iter().filter(|a| a.returned == Returned::Request) {
                let is_named = named.is_some_and(|named| ignoring_case(named, attribute.name).is_some());
                let kept = self.extension(schema.id).and_then(|old| old.get(attribute.name));
                if let (false, Some(kept)) = (is_named, kept) {
                    holder(&mut new.body, Some(schema.id)).insert(attribute.name.to_owned(), kept.clone());
                }
            }
        }
        new.finish(ScimType::InvalidValue)?;
        Ok(new)
    }

    /// Writes the attributes that only the service sets.
    pub fn stamp(&mut self, id: &str, meta: &Meta) {
        self.body.insert("id".to_owned(), id.into());
        let meta = json!({
            "resourceType": self.kind.name(),
            "created": meta.created,
            "lastModified": meta.last_modified,
            "location": meta.location,
            "version": meta.version,
        });
        self.body.insert("meta".to_owned(), meta);
    }

    /// Returns what the resource is.
    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        self.kind
    }

    /// Returns the resource without what [`Resource::stamp`] wrote, as a body that [`Resource::parse`] takes.
    #[must_use]
    pub fn unstamped(&self) -> Value {
        let mut body = self.body.clone();
        body.remove("id");
        body.remove("meta");
        Value::Object(body)
    }

    /// Returns the text of a singular attribute of the resource itself.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// Returns the text of a part of a singular attribute, such as `name` and `formatted`.
    #[must_use]
    pub fn part(&self, name: &str, part: &str) -> Option<&str> {
        self.body.get(name)?.get(part)?.as_str()
    }

    /// Returns false if `active` is there and false: a user about whom nothing is said is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.body.get("active") != Some(&Value::Bool(false))
    }

    /// Returns true only if `active` is there and true.
    #[must_use]
    pub fn says_active(&self) -> bool {
        self.body.get("active") == Some(&Value::Bool(true))
    }

    pub(crate) fn extension(&self, urn: &str) -> Option<&Map<String, Value>> {
        self.body.get(urn)?.as_object()
    }

    pub(crate) fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    pub(crate) fn body_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.body
    }

    /// Removes what has become empty, writes `schemas`, and checks that nothing required is missing: a fault of `missing`.
    pub(crate) fn finish(&mut self, missing: ScimType) -> Result<(), Fault> {
        for schema in self.kind.extensions() {
            if self.extension(schema.id).is_some_and(Map::is_empty) {
                self.body.remove(schema.id);
            }
        }
        for attribute in self.kind.base().attributes.iter().filter(|attribute| attribute.required) {
            if !self.body.contains_key(attribute.name) {
                return Err(Fault::new(missing, format!("`{}` is required", attribute.name)));
            }
        }
        let extensions = self.kind.extensions().iter().filter(|schema| self.body.contains_key(schema.id));
        let schemas: Vec<&str> =
            std::iter::once(self.kind.base().id).chain(extensions.map(|schema| schema.id)).collect();
        self.body.insert("schemas".to_owned(), schemas.into());
        Ok(())
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), Fault> {
        if let Some(schema) = self.kind.extension(name) {
            return self.take_extension(schema, value);
        }
        if is_foreign(self.kind, name) {
            return Ok(());
        }
        let path = AttributePath::parse(name).ok();
        let place = path.and_then(|path| path.place(self.kind)).filter(|place| place.sub.is_none());
        let place = place.ok_or_else(|| no_such_attribute(self.kind, name))?;
        self.set(&place, value)
    }

    fn take_extension(&mut self, schema: &'static Schema, value: &Value) -> Result<(), Fault> {
        let sent = match value {
            Value::Null => return Ok(()),
            Value::Object(sent) => sent,
            _ => return Err(Fault::syntax(format!("`{}` is not an object", schema.id))),
        };
        for (name, value) in sent.iter().filter(|(name, _)| !names_schemas(name)) {
            let attribute = find(schema.attributes, name).ok_or_else(|| no_such_attribute(self.kind, name))?;
            self.set(&Place { extension: Some(schema.id), attribute, sub: None }, value)?;
        }
        Ok(())
    }

    fn set(&mut self, place: &Place, value: &Value) -> Result<(), Fault> {
        let attribute = place.attribute;
        if attribute.name == "schemas" || attribute.mutability == Mutability::ReadOnly {
            return Ok(());
        }
        let Some(value) = value::canonical(attribute, value)? else { return Ok(()) };
        if !is_kept(attribute) {
            return Ok(());
        }
        let replaced = holder(&mut self.body, place.extension).insert(attribute.name.to_owned(), value);
        if replaced.is_some() {
            return Err(Fault::syntax(format!("`{}` stands there twice", attribute.name)));
        }
        Ok(())
    }
}

/// Some clients list the schema of an extension within it, where it says nothing.
pub(crate) fn names_schemas(name: &str) -> bool {
    name.eq_ignore_ascii_case("schemas")
}

/// Returns false for what is accepted and not kept.
pub(crate) fn is_kept(attribute: &Attribute) -> bool {
    attribute.returned != Returned::Never
}

/// Returns the object that holds the attributes of an extension, made if it is not there, or the resource itself.
pub(crate) fn holder<'a>(body: &'a mut Map<String, Value>, extension: Option<&str>) -> &'a mut Map<String, Value> {
    let Some(urn) = extension else { return body };
    let slot = body.entry(urn).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object"),
    }
}

pub(crate) fn no_such_attribute(kind: ResourceType, name: &str) -> Fault {
    Fault::syntax(format!("a {} has no attribute {}: see `/Schemas`", kind.name(), quoted(name)))
}

/// Returns true for the URN of an extension of others, which is passed over: nothing of ours can be misspelled in it.
fn is_foreign(kind: ResourceType, name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let known = std::iter::once(kind.base()).chain(kind.extensions().iter().copied());
    begins("urn:") && !begins(OUR_NAMESPACE) && !known.into_iter().any(|schema| begins(schema.id))
}

fn ignoring_case<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn check_schemas(kind: ResourceType, sent: &Map<String, Value>) -> Result<(), Fault> {
    let base = kind.base().id;
    let listed = ignoring_case(sent, "schemas").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| Fault::syntax(format!("`schemas` is missing: send [\"{base}\"]")))?;
    let mut has_base = false;
    for urn in listed {
        let urn = urn.as_str().ok_or_else(|| Fault::syntax("`schemas` holds something that is no text"))?;
        has_base |= urn.eq_ignore_ascii_case(base);
        if !urn.eq_ignore_ascii_case(base) && kind.extension(urn).is_none() && !is_foreign(kind, urn) {
            return Err(Fault::value(format!("a {} has no schema {}: see `/ResourceTypes`", kind.name(), quoted(urn))));
        }
    }
    if has_base { Ok(()) } else { Err(Fault::value(format!("`schemas` lacks `{base}`"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ENTERPRISE_USER, EXPORT_CONTROL, GROUP, USER};

    fn user(body: Value) -> Result<Resource, Fault> {
        let mut whole = json!({ "schemas": [USER], "userName": "ada" });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        Resource::parse(ResourceType::User, &whole)
    }

    #[test]
    fn names_are_spelled_as_in_the_schema_and_what_is_empty_is_gone() {
        let ada = user(json!({
            "DISPLAYNAME": "Ada", "title": null, "emails": [], "name": { "GivenName": "Ada", "familyName": null },
            "id": "mine", "meta": { "version": "9" }, "password": "secret", "groups": [{ "value": "g" }],
            ENTERPRISE_USER: { "Department": "Ships" }, EXPORT_CONTROL: {},
        }));
        let expected = json!({
            "schemas": [USER, ENTERPRISE_USER], "userName": "ada", "displayName": "Ada", "name": { "givenName": "Ada" },
            ENTERPRISE_USER: { "department": "Ships" },
        });
        assert_eq!(ada.unwrap().unstamped(), expected);
    }

    #[test]
    fn what_no_schema_has_or_takes_is_refused_with_its_name() {
        let cases = [
            (json!({ "citizenship": ["US"] }), "citizenship"),
            (json!({ EXPORT_CONTROL: { "citizenship": ["US"] } }), "citizenship"),
            (json!({ EXPORT_CONTROL: { "citizenships": ["USA"] } }), "citizenships"),
            (json!({ EXPORT_CONTROL: { "usPersonBasis": "Citizen" } }), "usPersonBasis"),
            (json!({ EXPORT_CONTROL: { "statusExpires": "tomorrow" } }), "statusExpires"),
            (json!({ "userName": "" }), "userName"),
            (json!({ "userName": null }), "userName"),
            (json!({ "username": "eve" }), "userName"),
            (json!({ "active": "yes" }), "active"),
            (json!({ "title": 7 }), "title"),
            (json!({ "title": ["a"] }), "title"),
            (json!({ "name": "Ada" }), "name"),
            (json!({ "emails": [{ "value": "a", "primary": true }, { "value": "b", "primary": true }] }), "primary"),
            (json!({ "emails": [{ "adress": "a" }] }), "adress"),
            (json!({ "x509Certificates": [{ "value": "?" }] }), "value"),
            (json!({ "schemas": ["urn:example:nope"] }), "lacks"),
            (json!({ "schemas": [GROUP] }), "lacks"),
            (json!({ "schemas": [] }), "lacks"),
            (json!({ "schemas": [USER, "urn:exeat:scim:schemas:extension:exportcontrol:2.0:User"] }), "2.0:User"),
            (json!({ "urn:exeat:scim:schemas:extension:exportcontrol:User": { "citizenships": ["US"] } }), "urn:exeat"),
            (json!({ format!("{USER}:nope"): "x" }), "core"),
            (json!({ "nickName": "x".repeat(1025) }), "nickName"),
            (json!({ "roles": (0..65).map(|n| n.to_string()).collect::<Vec<_>>() }), "roles"),
        ];
        for (body, name) in cases {
            let fault = user(body.clone()).unwrap_err();
            assert!(fault.detail.contains(name), "{body}: {fault}");
        }
    }

    #[test]
    fn an_extension_of_others_is_passed_over() {
        let urn = "urn:example:scim:schemas:extension:badges:1.0:User";
        let ada = user(json!({ "schemas": [USER, urn], urn: { "badge": 7 } })).unwrap();
        assert_eq!(ada.unstamped(), json!({ "schemas": [USER], "userName": "ada" }));
    }

    #[test]
    fn a_value_that_is_there_twice_is_kept_once() {
        let ada = user(json!({ "emails": [
            { "value": "a@example.com", "type": "work" }, { "value": "a@example.com", "type": "WORK", "primary": "True" },
        ] }));
        let expected = json!([{ "value": "a@example.com", "type": "WORK", "primary": true }]);
        assert_eq!(ada.unwrap().unstamped()["emails"], expected);
    }

    #[test]
    fn to_put_back_what_was_read_loses_no_nationality_and_naming_it_does() {
        let ada = user(json!({ EXPORT_CONTROL: { "citizenships": ["FR"], "attestedBy": "Bo" } })).unwrap();
        let read = json!({ "schemas": [USER], "userName": "ada2", EXPORT_CONTROL: { "attestedBy": "Cy" } });
        let new = ada.replaced_by(&read).unwrap();
        let expected = json!({ "citizenships": ["FR"], "attestedBy": "Cy" });
        assert_eq!((new.text("userName"), &new.unstamped()[EXPORT_CONTROL]), (Some("ada2"), &expected));
        let named = json!({ "schemas": [USER], "userName": "ada", EXPORT_CONTROL: { "citizenships": [] } });
        assert!(ada.replaced_by(&named).unwrap().extension(EXPORT_CONTROL).is_none());
        let without = json!({ "schemas": [USER], "userName": "ada" });
        assert!(ada.replaced_by(&without).unwrap().extension(EXPORT_CONTROL).is_some());
    }

    #[test]
    fn a_resource_is_read_back_from_its_body_without_the_stamp() {
        let ada = user(json!({ "active": "False" })).unwrap();
        let mut stamped = ada.clone();
        let now = Moment::from_millis(0);
        let meta = Meta { created: now, last_modified: now, location: "l".to_owned(), version: "W/\"1\"".to_owned() };
        stamped.stamp("1", &meta);
        assert_eq!(stamped.text("id"), Some("1"));
        assert_eq!(Resource::parse(ResourceType::User, &stamped.unstamped()).unwrap(), ada);
        assert!(!ada.is_active());
    }
}
