//! Holds answers against the OpenAPI document.

use serde_json::{Map, Value};

use crate::world::Reply;

/// Requires that the document describes this answer to this request, with every field that it has.
pub(crate) fn check(document: &Value, line: &str, reply: &Reply) {
    let Some(operation) = operation(document, line) else {
        return;
    };
    let status = reply.status.as_u16().to_string();
    let responses = &operation["responses"];
    let described = responses.get(&status).unwrap_or_else(|| &responses["default"]);
    let content = described["content"].as_object().unwrap();
    let (media, content) = content.iter().next().unwrap();
    assert_eq!(reply.headers["content-type"], media.as_str(), "{line}");
    let found = conforms(document, &content["schema"], &reply.body);
    assert!(found.is_ok(), "{line} {status}: {found:?} in {}", reply.body);
}

fn operation<'a>(document: &'a Value, line: &str) -> Option<&'a Value> {
    let (method, target) = line.split_once(' ')?;
    let path = target.split('?').next()?;
    let paths = document["paths"].as_object()?;
    let (_, item) = paths.iter().find(|(template, _)| fits(template, path))?;
    item.get(method.to_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(want, got)| want.starts_with('{') || want == got)
}

fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return conforms(document, target.unwrap(), value);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let fits = forms.iter().any(|form| conforms(document, form, value).is_ok());
        return fits.then_some(()).ok_or_else(|| format!("{value} fits none of {forms:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{value} is none of {allowed:?}"));
    }
    if !has_type(&schema["type"], value) {
        return Err(format!("{value} is not {}", schema["type"]));
    }
    match value {
        Value::Object(map) => object_conforms(document, schema, map),
        Value::Array(items) => items.iter().try_for_each(|item| conforms(document, &schema["items"], item)),
        _ => Ok(()),
    }
}

fn object_conforms(document: &Value, schema: &Value, map: &Map<String, Value>) -> Result<(), String> {
    let Some(properties) = schema["properties"].as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !map.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, item) in map {
        let schema = properties.get(name);
        let schema = schema.ok_or_else(|| format!("`{name}` is not described"))?;
        conforms(document, schema, item).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn has_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the document has the type `{other}`"),
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        _ => true,
    }
}
