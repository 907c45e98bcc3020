//! What commands print: JSON for programs, aligned text for people. The one place that writes to standard output.

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};

/// How a command answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// Aligned text.
    Text,
    /// One JSON document.
    Json,
}

/// Prints the answer of a command.
///
/// # Errors
///
/// The operating system's error if standard output is closed.
pub(crate) fn answer(format: Format, value: &Value) -> io::Result<()> {
    match format {
        Format::Json => line(&serde_json::to_string_pretty(value).unwrap_or_default()),
        Format::Text => line(text(value).trim_end()),
    }
}

/// Prints one line, or several, to standard output.
///
/// # Errors
///
/// The operating system's error if standard output is closed.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints one line to standard error; nobody there to read it is no reason to fail.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Overwrites the last line of standard error, for progress on a terminal.
pub(crate) fn progress(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[2K{text}");
    let _ = err.flush();
}

/// Returns how many columns to fill: what `COLUMNS` says, within reason, else 100.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.unwrap_or(100_usize).clamp(80, 200)
}

/// Returns true if both outputs are terminals and color is not turned off (`NO_COLOR`).
pub(crate) fn is_terminal() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    io::stdout().is_terminal() && io::stderr().is_terminal() && !plain
}

/// Renders a JSON value for people: a list of objects as a table, an object as `name  value` lines.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Object(fields) => match only_list(fields) {
            Some(list) => format!("{}{}", table(list), more(fields)),
            None => record(fields),
        },
        Value::Array(list) => table(list),
        other => cell(other),
    }
}

/// A page of a list: its items beside where the next page begins.
fn only_list(fields: &Map<String, Value>) -> Option<&Vec<Value>> {
    fields.get("items")?.as_array()
}

fn more(fields: &Map<String, Value>) -> String {
    let next = fields.get("next").and_then(Value::as_str);
    next.map_or_else(String::new, |next| format!("more: --after {next}\n"))
}

/// One line for each field; those of an object inside are named in full, as `item.id`.
fn record(fields: &Map<String, Value>) -> String {
    let mut flat = Vec::new();
    flatten("", fields, &mut flat);
    let width = flat.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    flat.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

fn flatten(under: &str, fields: &Map<String, Value>, flat: &mut Vec<(String, String)>) {
    for (name, value) in fields {
        flatten_value(format!("{under}{name}"), value, flat);
    }
}

fn flatten_value(name: String, value: &Value, flat: &mut Vec<(String, String)>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => flatten(&format!("{name}."), inner, flat),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let each = items.iter().enumerate();
            each.for_each(|(n, item)| flatten_value(format!("{name}[{n}]"), item, flat));
        }
        other => flat.push((name, cell(other))),
    }
}

fn table(list: &[Value]) -> String {
    let rows: Vec<&Map<String, Value>> = list.iter().filter_map(Value::as_object).collect();
    if rows.is_empty() {
        return list.iter().map(|item| format!("{}\n", cell(item))).collect();
    }
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let head = names.iter().map(|name| (*name).clone()).collect();
    let body = rows.iter().map(|row| names.iter().map(|name| row.get(*name).map_or_else(String::new, cell)).collect());
    aligned(std::iter::once(head).chain(body).collect())
}

fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let wide = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| wide(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

/// One value on one line. What has parts of its own is only sketched: `show` and `--json` tell it in full.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            format!("({})", list.len())
        }
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.len() <= 3 => fields.values().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(_) => "(...)".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_of_objects_is_a_table_with_every_column_once() {
        let page =
            json!({"items": [{"active": true, "id": "ada"}, {"id": "minh", "tags": ["a", "b"]}], "next": "minh"});
        assert_eq!(text(&page), "active  id    tags\ntrue    ada\n        minh  a, b\nmore: --after minh\n");
    }

    #[test]
    fn an_object_is_a_line_for_each_field() {
        let changed = json!({"item": {"id": "ada", "name": null}, "receipt": 7});
        assert_eq!(text(&changed), "item.id    ada\nitem.name  -\nreceipt    7\n");
    }

    #[test]
    fn what_has_parts_is_told_in_full_alone_and_sketched_in_a_table() {
        let person = json!({"held": [{"id": "a"}, {"id": "b"}], "holder": {"kind": "person", "person": "ada"}});
        assert_eq!(text(&person), "held[0].id     a\nheld[1].id     b\nholder.kind    person\nholder.person  ada\n");
        assert_eq!(text(&json!([person])), "held  holder\n(2)   person ada\n");
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2Jb")), "a [2Jb");
    }
}
