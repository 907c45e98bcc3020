//! PATCH: changes to single attributes, as one directory and another spell them.

mod apply;
mod path;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::{Fault, Named, Resource, ResourceType, ScimType, error::quoted, schema::attribute::Mutability};
use path::Path;

const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// How many operations a request may hold: directories send changes of a group in parts of at most as many.
const OPERATIONS_MAX: usize = 1000;

/// A request that changes a resource in parts: all its operations in order, or none.
///
/// # Source
/// RFC 7644 section 3.5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
struct Operation {
    verb: Verb,
    /// Where; the value names it if absent.
    path: Option<Path>,
    value: Value,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

impl Patch {
    /// Takes the body of a PATCH request, of at most 1000 operations. Verbs and member names are read in any case.
    ///
    /// # Errors
    ///
    /// [`Fault`]: `invalidSyntax`, or `invalidPath` and `invalidFilter` of a path.
    pub fn parse(body: &Value) -> Result<Self, Fault> {
        let body = body.as_object().ok_or_else(|| Fault::syntax("the body is not a JSON object"))?;
        let schemas = member(body, "schemas").and_then(Value::as_array).into_iter().flatten();
        if !schemas.into_iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_SCHEMA))) {
            return Err(Fault::syntax(format!("`schemas` lacks `{PATCH_SCHEMA}`")));
        }
        let operations = member(body, "Operations").and_then(Value::as_array);
        let operations = operations.ok_or_else(|| Fault::syntax("`Operations` is not a list"))?;
        if operations.is_empty() || operations.len() > OPERATIONS_MAX {
            return Err(Fault::syntax(format!("`Operations` holds 1 to {OPERATIONS_MAX} operations")));
        }
        Ok(Self { operations: operations.iter().map(operation).collect::<Result<_, _>>()? })
    }

    /// Returns `resource` with every operation applied in order.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the first operation that cannot be applied; `resource` stays as it is.
    pub fn apply(&self, resource: &Resource) -> Result<Resource, Fault> {
        let mut changed = resource.clone();
        for operation in &self.operations {
            apply::operation(&mut changed, operation)?;
        }
        changed.finish(ScimType::Mutability)?;
        Ok(changed)
    }

    /// Returns which of the attributes that are answered on request only it names, in resources of type `kind`.
    #[must_use]
    pub fn named(&self, kind: ResourceType) -> Named {
        let mut named = Named::default();
        for Operation { path, value, .. } in &self.operations {
            match (path, value) {
                (Some(path), value) => path.name_in(kind, value, &mut named),
                (None, Value::Object(members)) => members.iter().for_each(|(name, value)| {
                    if let Ok(path) = Path::parse(name) {
                        path.name_in(kind, value, &mut named);
                    }
                }),
                _ => {}
            }
        }
        named
    }

    /// Returns true if it makes a user active who was not, whether or not `resource` is.
    #[must_use]
    pub fn activates(&self, resource: &Resource) -> bool {
        let mut inactive = resource.clone();
        inactive.body_mut().insert("active".to_owned(), Value::Bool(false));
        self.apply(&inactive).is_ok_and(|changed| changed.says_active())
    }
}

fn operation(sent: &Value) -> Result<Operation, Fault> {
    let sent = sent.as_object().ok_or_else(|| Fault::syntax("an operation is not a JSON object"))?;
    let verb = member(sent, "op").and_then(Value::as_str).ok_or_else(|| Fault::syntax("an operation has no `op`"))?;
    let verb = Verb::parse(verb)?;
    let path = match member(sent, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if path.is_empty() => None,
        Some(Value::String(path)) => Some(Path::parse(path)?),
        Some(_) => return Err(Fault::path("a `path` is not a text")),
    };
    let value = member(sent, "value").cloned();
    match (verb, &path, value) {
        (Verb::Remove, None, _) => Err(Fault::new(ScimType::NoTarget, "`remove` without a `path` removes nothing")),
        (Verb::Remove, _, value) => Ok(Operation { verb, path, value: value.unwrap_or_default() }),
        (_, _, Some(value)) => Ok(Operation { verb, path, value }),
        (_, _, None) => Err(Fault::value("an operation that adds or replaces has no `value`")),
    }
}

impl Verb {
    fn parse(word: &str) -> Result<Self, Fault> {
        match word.to_ascii_lowercase().as_str() {
            "add" => Ok(Self::Add),
            "replace" => Ok(Self::Replace),
            "remove" => Ok(Self::Remove),
            _ => Err(Fault::syntax(format!("{} is no operation: use `add`, `replace` or `remove`", quoted(word)))),
        }
    }
}

fn member<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Refuses to change what a client may not.
fn check_writable(name: &str, mutability: Mutability) -> Result<(), Fault> {
    match mutability {
        Mutability::ReadWrite | Mutability::WriteOnly => Ok(()),
        Mutability::ReadOnly => Err(Fault::new(ScimType::Mutability, format!("`{name}` is set by the service"))),
        Mutability::Immutable => {
            Err(Fault::new(ScimType::Mutability, format!("`{name}` never changes: remove the value and add another")))
        }
    }
}
