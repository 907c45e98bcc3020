//! One value of an attribute, as clients send it and as it is kept.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use terms::Moment;

use crate::{
    Fault,
    error::quoted,
    schema::attribute::{Attribute, DataType, Mutability},
};

/// The longest text, in characters; a certificate may have [`BINARY_MAX`].
const TEXT_MAX: usize = 1024;
const BINARY_MAX: usize = 16_384;

/// Returns the value as it is kept, with names spelled as in the schema; `None` for null and for what is empty.
///
/// A single value of a multi-valued attribute may stand without its array.
pub(crate) fn canonical(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Fault> {
    if !attribute.multi_valued {
        return canonical_one(attribute, value);
    }
    let sent = match value {
        Value::Array(values) => values.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut kept = Vec::new();
    for value in sent {
        let Some(value) = canonical_one(attribute, value)? else { continue };
        kept.push(value);
    }
    let mut all = Vec::new();
    merge(attribute, &mut all, kept);
    check_values(attribute, &all)?;
    Ok(if all.is_empty() { None } else { Some(Value::Array(all)) })
}

/// Returns one value, not an array, as it is kept.
pub(crate) fn canonical_one(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Fault> {
    match (attribute.data_type, value) {
        (_, Value::Null) => Ok(None),
        (DataType::Complex, Value::Object(parts)) => complex(attribute, parts),
        (DataType::Complex, plain @ Value::String(_)) => whole(attribute, plain),
        (DataType::Boolean, value) => boolean(attribute, value).map(Some),
        (_, Value::String(text)) => check_text(attribute, text).map(|()| Some(value.clone())),
        _ => Err(mistyped(attribute, value)),
    }
}

/// Checks how many values there are, and that at most one is the primary one.
pub(crate) fn check_values(attribute: &Attribute, values: &[Value]) -> Result<(), Fault> {
    let most = attribute.values_max();
    if values.len() > most {
        return Err(Fault::value(format!("`{}` holds at most {most} values", attribute.name)));
    }
    if attribute.has_primary() && values.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(Fault::value(format!("`{}` has more than one primary value: leave one", attribute.name)));
    }
    Ok(())
}

/// Adds values to those there are. One that is there already, by its value and type, takes on the new parts; a new primary
/// value ends the old one.
pub(crate) fn merge(attribute: &Attribute, values: &mut Vec<Value>, additions: Vec<Value>) {
    if additions.iter().any(is_primary) {
        demote(values, |_| false);
    }
    let known = values.iter().enumerate().map(|(at, value)| (identity(attribute, value), at));
    let mut known: BTreeMap<String, usize> = known.collect();
    for addition in additions {
        let key = identity(attribute, &addition);
        match known.get(&key).and_then(|at| values.get_mut(*at)) {
            Some(value) => merge_parts(value, addition),
            None => {
                known.insert(key, values.len());
                values.push(addition);
            }
        }
    }
}

/// Takes on the parts of `addition`; parts that it does not have stay.
pub(crate) fn merge_parts(value: &mut Value, addition: Value) {
    if let (Value::Object(parts), Value::Object(additions)) = (&mut *value, addition) {
        parts.extend(additions);
    }
}

/// Makes every value that is not to be kept one that is not primary.
pub(crate) fn demote(values: &mut [Value], keep: impl Fn(usize) -> bool) {
    for (at, value) in values.iter_mut().enumerate() {
        let flag = value.get_mut("primary").filter(|_| !keep(at));
        if let Some(flag) = flag {
            *flag = Value::Bool(false);
        }
    }
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// What makes two values of an attribute the same: the value and its type; of a member, its value; else all of it.
pub(crate) fn identity(attribute: &Attribute, value: &Value) -> String {
    let Some(own) = value.get("value") else { return value.to_string() };
    let kind = value.get("type").and_then(Value::as_str).filter(|_| attribute.name != "members");
    format!("{own} {}", kind.unwrap_or_default().to_lowercase())
}

fn complex(attribute: &'static Attribute, sent: &Map<String, Value>) -> Result<Option<Value>, Fault> {
    let mut parts = Map::new();
    for (name, value) in sent {
        let sub = attribute.sub(name).ok_or_else(|| unknown(attribute, name))?;
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        let Some(value) = canonical(sub, value)? else { continue };
        if parts.insert(sub.name.to_owned(), value).is_some() {
            return Err(Fault::syntax(format!("`{}.{}` stands there twice", attribute.name, sub.name)));
        }
    }
    Ok(if parts.is_empty() { None } else { Some(Value::Object(parts)) })
}

/// Takes a bare text as the `value` of a complex attribute, as directories send a manager.
fn whole(attribute: &'static Attribute, plain: &Value) -> Result<Option<Value>, Fault> {
    let sub = attribute.sub("value").ok_or_else(|| mistyped(attribute, plain))?;
    let value = canonical_one(sub, plain)?;
    Ok(value.map(|value| Value::Object(Map::from_iter([(sub.name.to_owned(), value)]))))
}

/// Takes a Boolean, or one written as text: a common directory sends `"False"`.
fn boolean(attribute: &Attribute, value: &Value) -> Result<Value, Fault> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        _ => Err(mistyped(attribute, value)),
    }
}

fn check_text(attribute: &Attribute, text: &str) -> Result<(), Fault> {
    let most = if attribute.data_type == DataType::Binary { BINARY_MAX } else { TEXT_MAX };
    if text.chars().count() > most {
        return Err(Fault::value(format!("`{}` has at most {most} characters", attribute.name)));
    }
    if attribute.required && text.trim().is_empty() {
        return Err(Fault::value(format!("`{}` is empty", attribute.name)));
    }
    match attribute.data_type {
        DataType::DateTime => Moment::parse(text).map(drop).map_err(|bad| named(attribute, &bad.to_string())),
        DataType::Binary if !is_base64(text) => Err(named(attribute, "the value is not base64")),
        _ if !attribute.values.take(text) => {
            Err(named(attribute, &format!("{} is not {}", quoted(text), attribute.values.in_words())))
        }
        _ => Ok(()),
    }
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn named(attribute: &Attribute, what: &str) -> Fault {
    Fault::value(format!("`{}`: {what}", attribute.name))
}

fn unknown(attribute: &Attribute, name: &str) -> Fault {
    Fault::syntax(format!("`{}` has no part {}: see `/Schemas`", attribute.name, quoted(name)))
}

fn mistyped(attribute: &Attribute, value: &Value) -> Fault {
    let wanted = match attribute.data_type {
        DataType::Boolean => "true or false",
        DataType::Complex => "an object",
        DataType::Integer => "a whole number",
        DataType::String | DataType::DateTime | DataType::Reference | DataType::Binary => "a text",
    };
    let found = match value {
        Value::Array(_) => "several values",
        Value::Object(_) => "an object",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    };
    named(attribute, &format!("{found} was sent where {wanted} belongs"))
}
