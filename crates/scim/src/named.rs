//! Which attributes a request names, of those that are answered on request only.

use serde_json::{Map, Value};

use crate::{
    ResourceType,
    schema::attribute::{Returned, find},
};

/// The attributes of extensions that a request names although they are answered on request only: its answer shows them.
///
/// # Source
/// RFC 7643 section 7, `returned`: "request".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named(Vec<(&'static str, &'static str)>);

impl Named {
    /// Finds them in the body of a request that creates or replaces a resource of type `kind`.
    #[must_use]
    pub fn in_body(kind: ResourceType, body: &Value) -> Self {
        let mut named = Self::default();
        for (name, values) in body.as_object().into_iter().flatten() {
            if let (Some(schema), Value::Object(values)) = (kind.extension(name), values) {
                named.add_all(kind, schema.id, values);
            }
        }
        named
    }

    /// Adds all that an object with the attributes of the extension `urn` names.
    pub(crate) fn add_all(&mut self, kind: ResourceType, urn: &str, values: &Map<String, Value>) {
        values.keys().for_each(|name| self.add(kind, urn, name));
    }

    /// Adds one attribute, if it is one of these.
    pub(crate) fn add(&mut self, kind: ResourceType, urn: &str, name: &str) {
        let Some(schema) = kind.extension(urn) else { return };
        let on_request = find(schema.attributes, name).filter(|attribute| attribute.returned == Returned::Request);
        self.0.extend(on_request.map(|attribute| (schema.id, attribute.name)));
    }

    /// Returns true if the request names the attribute.
    pub(crate) fn has(&self, urn: Option<&str>, name: &str) -> bool {
        self.0.iter().any(|(known, attribute)| Some(*known) == urn && *attribute == name)
    }
}
