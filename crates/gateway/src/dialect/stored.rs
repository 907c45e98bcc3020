//! Finds in a body what refers to things stored upstream, which may be another person's.
//!
//! Files, containers, vector stores and items are not carried by this gateway, so whatever refers to one refers to
//! something that nobody uploaded through it.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

/// Finds the words without which, spelled plainly or with escapes, no body refers to anything stored.
static WORDS: LazyLock<[Finder<'static>; 5]> =
    LazyLock::new(|| ["file_id", "item_reference", "vector_store_ids", "container", "\\u"].map(Finder::new));

/// Kinds of content parts that carry a file by its id.
const PARTS: [&str; 6] = ["input_file", "input_image", "file", "image_file", "container_upload", "document"];

/// Returns true if a JSON body refers to something stored upstream. A body that is no JSON refers to nothing.
pub(crate) fn refers_to_stored(body: &[u8]) -> bool {
    let possible = WORDS.iter().any(|word| word.find(body).is_some());
    possible && serde_json::from_slice(body).is_ok_and(|value: Value| top_level(&value) || within(&value))
}

fn top_level(body: &Value) -> bool {
    body.get("container").is_some_and(names)
}

fn within(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(within),
        Value::Object(fields) => stored_part(value) || fields.values().any(within),
        _ => false,
    }
}

/// Looks at one object of the body; an object that only has such a field among a tool's arguments is no reference.
fn stored_part(part: &Value) -> bool {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let by_id = |part: &Value| part.get("file_id").is_some_and(Value::is_string);
    kind == "item_reference"
        || (kind == "file_search" && part.get("vector_store_ids").is_some_and(names))
        || (kind.starts_with("code_interpreter") && part.get("container").is_some_and(container))
        || (PARTS.contains(&kind) && by_id(part))
        || (PARTS.contains(&kind) && ["file", "source"].iter().any(|name| part.get(name).is_some_and(by_id)))
        || (["image", "document"].contains(&kind) && part.get("source").is_some_and(by_id))
}

fn container(value: &Value) -> bool {
    names(value) || value.get("file_ids").is_some_and(names)
}

/// Returns true for a string or for a list that is not empty.
fn names(value: &Value) -> bool {
    value.is_string() || value.as_array().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_refers_to_something_stored_is_found_also_behind_escapes() {
        for body in [
            r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#,
            r#"{"model":"m","input":[{"type":"item\u005freference","id":"msg_1"}]}"#,
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#,
            r#"{"model":"m","messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
            r#"{"model":"m","messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
            r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#,
            r#"{"model":"m","tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#,
            r#"{"model":"m","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["f"]}}]}"#,
            r#"{"model":"m","container":"cntr_1"}"#,
        ] {
            assert!(refers_to_stored(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn tools_and_texts_that_only_speak_of_files_pass() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"what is a file_id or an \"item_reference\"?"}]}"#,
            r#"{"model":"m","tools":[{"type":"function","function":{"name":"open","parameters":{"properties":{"file_id":{"type":"string"}}}}}]}"#,
            r#"{"model":"m","messages":[{"content":[{"type":"tool_use","name":"open","input":{"file_id":"a"}}]}]}"#,
            r#"{"model":"m","tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}"#,
            "not json with file_id",
        ] {
            assert!(!refers_to_stored(body.as_bytes()), "{body}");
        }
    }
}
