//! Settings from the environment: `EXEAT__SERVER__LISTEN='["127.0.0.1:9000"]'` sets `server.listen`.

use std::ffi::OsString;

use toml::{Table, Value};

use super::problem::{Problem, Problems};

const PREFIX: &str = "EXEAT__";

/// One setting from the environment.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    /// The variable.
    pub(crate) name: String,
    path: Vec<String>,
    value: Value,
}

/// Returns the overrides of an environment, in order of name; other variables are left alone.
///
/// # Errors
///
/// [`Problems`] if a variable of ours is not UTF-8 or has an empty part in its name.
pub(crate) fn from_environment(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Override>, Problems> {
    let ours = environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
    let mut set = ours.map(|(name, value)| read(name, value)).collect::<Result<Vec<_>, _>>()?;
    set.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(set)
}

/// Puts every override into `table`.
///
/// # Errors
///
/// [`Problems`] if a name leads nowhere; `table` may then hold some of the overrides and must be thrown away.
pub(crate) fn apply(table: &mut Table, set: &[Override]) -> Result<(), Problems> {
    for one in set {
        let mut root = Value::Table(std::mem::take(table));
        let put = put(&mut root, &one.path, &one.value);
        if let Value::Table(filled) = root {
            *table = filled;
        }
        put.map_err(|why| Problem::of_variable(&one.name, &why))?;
    }
    Ok(())
}

fn read(name: String, value: OsString) -> Result<Override, Problem> {
    let Ok(text) = value.into_string() else {
        return Err(Problem::of_variable(&name, "is not UTF-8"));
    };
    let path = name.strip_prefix(PREFIX).unwrap_or_default().split("__");
    let path: Vec<String> = path.map(str::to_ascii_lowercase).collect();
    if path.iter().any(String::is_empty) {
        let why = "has an empty part in its name: write `EXEAT__SERVER__LISTEN` for `server.listen`";
        return Err(Problem::of_variable(&name, why));
    }
    let value = typed(&text);
    Ok(Override { name, path, value })
}

/// Reads a value as TOML would; what is no TOML value is text.
fn typed(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("v = {text}"));
    let only = parsed.ok().filter(|table| table.len() == 1);
    only.and_then(|mut table| table.remove("v")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn put(at: &mut Value, path: &[String], value: &Value) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *at = value.clone();
        return Ok(());
    };
    match at {
        Value::Table(table) => {
            let empty = || Value::Table(Table::new());
            put(table.entry(first.clone()).or_insert_with(empty), rest, value)
        }
        Value::Array(items) => {
            let count = items.len();
            let item = first.parse().ok().and_then(|n: usize| items.get_mut(n));
            let missing = || format!("`{first}` is not one of the {count} items in the file, counted from 0");
            put(item.ok_or_else(missing)?, rest, value)
        }
        _ => Err(format!("there is no `{first}` under a plain value")),
    }
}
