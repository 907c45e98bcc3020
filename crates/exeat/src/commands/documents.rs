//! Directives and licenses in files: JSON, or TOML by the ending `.toml`.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, anyhow};
use policy::{Directive, InstrumentFault, License};
use serde_json::{Map, Value};

use crate::config::place;

/// Reads a document; `-` is standard input and JSON. Returns its JSON.
///
/// TOML has no `null`: write `"null"` where the document needs one.
///
/// # Errors
///
/// If the file cannot be read or is neither JSON nor TOML. What a TOML document lacks of an instrument is named with
/// its line and column; of a JSON document the server says it.
pub(super) fn read(file: &Path) -> anyhow::Result<Value> {
    let text = text(file)?;
    let name = file.display();
    if file.extension().is_none_or(|ending| ending != "toml") {
        return serde_json::from_str(&text).with_context(|| format!("`{name}` is not a JSON document"));
    }
    of_toml(&text).map_err(|fault| match fault.at {
        Some((line, column)) => anyhow!("{name}:{line}:{column}: {}", fault.why),
        None => anyhow!("{name}: {}", fault.why),
    })
}

/// Reads settings; `-` is standard input and JSON. Returns their JSON, which the server checks.
///
/// # Errors
///
/// If the file cannot be read or is neither JSON nor TOML.
pub(super) fn value(file: &Path) -> anyhow::Result<Value> {
    let (text, name) = (text(file)?, file.display());
    if file.extension().is_some_and(|ending| ending == "toml") {
        let table: toml::Table = toml::from_str(&text).with_context(|| format!("`{name}` is not a TOML document"))?;
        return Ok(json(toml::Value::Table(table)));
    }
    serde_json::from_str(&text).with_context(|| format!("`{name}` is not a JSON document"))
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file != Path::new("-") {
        return fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()));
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

/// What is wrong with a TOML document: at which line and column, from 1.
#[derive(Debug, Eq, PartialEq)]
struct Fault {
    at: Option<(usize, usize)>,
    why: String,
}

fn of_toml(text: &str) -> Result<Value, Fault> {
    let table: toml::Table = toml::from_str(text).map_err(|error| Fault {
        at: error.span().map(|span| place::position_at(text, span.start)),
        why: error.message().to_owned(),
    })?;
    let document = json(toml::Value::Table(table));
    check(&document).map_err(|(key, why)| Fault { at: place::position_of(text, &key), why: named(&key, &why) })?;
    Ok(document)
}

fn named(key: &str, why: &str) -> String {
    if key.is_empty() { why.to_owned() } else { format!("{key}: {why}") }
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) if text == "null" => Value::Null,
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::from(truth),
        toml::Value::Datetime(at) => Value::from(at.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            let members: Map<String, Value> = table.into_iter().map(|(name, value)| (name, json(value))).collect();
            Value::Object(members)
        }
    }
}

/// Reads a document as the instrument that its `type` names; returns what is wrong and under which key.
fn check(document: &Value) -> Result<(), (String, String)> {
    let bytes = document.to_string();
    let kind = document.get("type").and_then(Value::as_str).unwrap_or_default();
    match control::InstrumentKind::of_type(kind) {
        Some(control::InstrumentKind::Directive) => {
            let parsed = Directive::parse(bytes.as_bytes()).map(drop);
            parsed.map_err(|fault| at_key(fault, || misread::<Directive>(document)))
        }
        Some(control::InstrumentKind::License) => {
            let parsed = License::parse(bytes.as_bytes()).map(drop);
            parsed.map_err(|fault| at_key(fault, || misread::<License>(document)))
        }
        None => Err(("type".to_owned(), "write `directive/v1` or `license/v1`".to_owned())),
    }
}

/// A fault that names a place in the JSON, which nobody wrote, is looked for again under its key.
fn at_key(fault: InstrumentFault, again: impl FnOnce() -> Option<(String, String)>) -> (String, String) {
    match fault.at.starts_with("line ") {
        true => again().unwrap_or((String::new(), fault.why)),
        false => (fault.at, fault.why),
    }
}

fn misread<T: serde::de::DeserializeOwned>(document: &Value) -> Option<(String, String)> {
    let error = serde_path_to_error::deserialize::<_, T>(document).err()?;
    let key = error.path().to_string();
    let why = error.inner().to_string();
    // Of an unknown member the path is that of the table around it.
    let member = why.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let key = if key == "." { String::new() } else { key };
    Some(match member {
        Some(member) if key.is_empty() => (member.to_owned(), why),
        Some(member) if !key.ends_with(member) => (format!("{key}.{member}"), why),
        _ => (key, why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = include_str!("../../../../examples/june-12.directive.toml");

    /// Returns where a document is wrong and what is said of it.
    fn wrong(old: &str, new: &str) -> (Option<(usize, usize)>, String) {
        let fault = of_toml(&ORDER.replacen(old, new, 1)).unwrap_err();
        (fault.at, fault.why)
    }

    #[test]
    fn a_toml_document_is_the_json_document_that_it_spells() {
        let spelled = of_toml(ORDER).unwrap();
        assert_eq!(spelled["models"]["families"], serde_json::json!(["fable-5", "mythos-5"]));
        assert_eq!(spelled["expires_at"], Value::Null);
        let order = Directive::parse(spelled.to_string().as_bytes()).unwrap();
        let same = Directive::parse(include_bytes!("../../../../examples/june-12.directive.json")).unwrap();
        assert_eq!((order.id(), order.effective_at()), (same.id(), same.effective_at()));
    }

    #[test]
    fn each_fault_is_named_with_line_and_column() {
        for (old, new, on, column, named) in [
            ("version = 1", "version = ", "version = 1", 11, ""),
            ("version = 1", "version = \"one\"", "version = 1", 1, "version"),
            ("max_age_hours = 24", "max_age_hours = 0", "max_age_hours", 1, "evidence.max_age_hours"),
            ("families = [\"fable-5\"", "families = [\"a b\"", "families", 13, "models.families[0]"),
            ("definition = \"ear_772\"", "definition = \"ear\"", "[person_scope]", 2, "person_scope"),
            ("min_assurance", "min_asurance", "min_assurance", 1, "evidence.min_asurance"),
            ("cite = \"15", "site = \"15", "cite = \"15", 1, "authority[1].site"),
            ("directive/v1", "ruling/v1", "type", 1, "type"),
        ] {
            let (place, why) = wrong(old, new);
            let line = ORDER.lines().position(|line| line.starts_with(on)).unwrap() + 1;
            assert_eq!(place, Some((line, column)), "{new}: {why}");
            assert!(why.starts_with(named), "{new}: {why}");
        }
    }
}
