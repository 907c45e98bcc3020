//! The part of JSON Schema (draft 2020-12) that our published schemas use; any other keyword is a fault of the schema.
//!
//! `format` only annotates, as the draft has it by default.

mod pattern;

use serde_json::{Map, Value};

/// Returns what of `value` does not fit `schema`, each with its place as a JSON pointer; empty if it fits.
///
/// A keyword or pattern that is not known here is reported too: nothing is passed over.
#[must_use]
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { root: schema, faults: Vec::new() };
    check.value(schema, value, "");
    check.faults
}

struct Check<'a> {
    root: &'a Value,
    faults: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(keywords) = schema.as_object() else {
            return self.expect(*schema == Value::Bool(true), at, "nothing fits here");
        };
        for (keyword, wanted) in keywords {
            self.keyword(keyword, wanted, keywords, value, at);
        }
    }

    fn keyword(&mut self, keyword: &str, wanted: &Value, beside: &Map<String, Value>, value: &Value, at: &str) {
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "format" => {}
            "$ref" => self.reference(wanted, value, at),
            "type" => self.expect(wanted.as_str().is_some_and(|name| is_of(name, value)), at, "another type"),
            "const" => self.expect(wanted == value, at, "another constant"),
            "enum" => self.expect(wanted.as_array().is_some_and(|all| all.contains(value)), at, "not listed"),
            "oneOf" => self.branches(wanted, value, at, |fitting| fitting == 1),
            "anyOf" => self.branches(wanted, value, at, |fitting| fitting >= 1),
            "required" | "properties" | "patternProperties" | "additionalProperties" => {
                if let Some(object) = value.as_object() {
                    self.members(keyword, wanted, beside, object, at);
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(wanted, item, &format!("{at}/{index}"));
                }
            }
            _ => self.bound(keyword, wanted, value, at),
        }
    }

    fn bound(&mut self, keyword: &str, wanted: &Value, value: &Value, at: &str) {
        let length = value.as_str().map(|text| text.chars().count() as f64);
        let count = value.as_array().map(|items| items.len() as f64);
        let bound = wanted.as_f64().unwrap_or(f64::NAN);
        let holds = match keyword {
            "minimum" => value.as_f64().is_none_or(|number| number >= bound),
            "maximum" => value.as_f64().is_none_or(|number| number <= bound),
            "minLength" => length.is_none_or(|length| length >= bound),
            "maxLength" => length.is_none_or(|length| length <= bound),
            "minItems" => count.is_none_or(|count| count >= bound),
            "maxItems" => count.is_none_or(|count| count <= bound),
            "pattern" => {
                let pattern = wanted.as_str().unwrap_or_default();
                value.as_str().is_none_or(|text| pattern::matches(pattern, text) == Some(true))
            }
            _ => return self.expect(false, at, &format!("the schema has `{keyword}`, which is not known here")),
        };
        self.expect(holds, at, keyword);
    }

    fn reference(&mut self, wanted: &Value, value: &Value, at: &str) {
        let root = self.root;
        let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#'));
        match pointer.and_then(|pointer| root.pointer(pointer)) {
            Some(schema) => self.value(schema, value, at),
            None => self.expect(false, at, "a reference to nothing"),
        }
    }

    fn branches(&mut self, wanted: &Value, value: &Value, at: &str, enough: fn(usize) -> bool) {
        let branches = wanted.as_array().into_iter().flatten();
        let fits = |branch: &&Value| {
            let mut alone = Check { root: self.root, faults: Vec::new() };
            alone.value(branch, value, at);
            alone.faults.is_empty()
        };
        let fitting = branches.filter(fits).count();
        self.expect(enough(fitting), at, &format!("fits {fitting} of the forms"));
    }

    fn members(
        &mut self,
        keyword: &str,
        wanted: &Value,
        beside: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
    ) {
        match keyword {
            "required" => {
                for name in wanted.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    self.expect(object.contains_key(name), at, &format!("`{name}` is missing"));
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().into_iter().flatten() {
                    if let Some(member) = object.get(name) {
                        self.value(schema, member, &format!("{at}/{name}"));
                    }
                }
            }
            _ => {
                for (name, member) in object {
                    let patterns = beside.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
                    let fitting = patterns.filter(|(pattern, _)| pattern::matches(pattern, name) == Some(true));
                    let fitting: Vec<&Value> = fitting.map(|(_, schema)| schema).collect();
                    let is_named = beside.get("properties").is_some_and(|named| named.get(name).is_some());
                    let at = format!("{at}/{name}");
                    match keyword {
                        "patternProperties" => fitting.iter().for_each(|schema| self.value(schema, member, &at)),
                        _ if !is_named && fitting.is_empty() => self.value(wanted, member, &at),
                        _ => {}
                    }
                }
            }
        }
    }

    fn expect(&mut self, holds: bool, at: &str, what: &str) {
        if !holds {
            self.faults.push(format!("{at}: {what}"));
        }
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_keyword_refuses_what_does_not_fit_and_takes_what_does() {
        let table = [
            (json!({"type": "integer"}), json!(1), json!("1")),
            (json!({"type": "object", "required": ["a"]}), json!({"a": 1}), json!({"b": 1})),
            (json!({"properties": {"a": {"type": "null"}}}), json!({"a": null}), json!({"a": 1})),
            (json!({"properties": {"a": true}, "additionalProperties": false}), json!({"a": 1}), json!({"b": 1})),
            (json!({"patternProperties": {"^[A-Z]$": {"type": "array"}}}), json!({"B": []}), json!({"B": 1})),
            (json!({"const": "a"}), json!("a"), json!("b")),
            (json!({"enum": ["a", null]}), json!(null), json!("b")),
            (json!({"oneOf": [{"const": 1}, {"type": "integer"}]}), json!(2), json!(1)),
            (json!({"anyOf": [{"const": 1}, {"type": "null"}]}), json!(null), json!(2)),
            (json!({"items": {"minimum": 1}}), json!([1, 2]), json!([2, 0])),
            (json!({"maximum": 3}), json!(3), json!(4)),
            (json!({"minLength": 1, "maxLength": 2}), json!("\u{e9}\u{e9}"), json!("abc")),
            (json!({"minItems": 1, "maxItems": 1}), json!([0]), json!([])),
            (json!({"pattern": "^[a-z]{2}$"}), json!("ab"), json!("abc")),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}), json!(1), json!(2)),
        ];
        for (schema, good, bad) in table {
            assert_eq!(faults(&schema, &good), Vec::<String>::new(), "{schema}");
            assert_eq!(faults(&schema, &bad).len(), 1, "{schema}");
        }
    }

    #[test]
    fn a_keyword_that_is_not_known_here_is_a_fault_whatever_the_value() {
        assert_eq!(faults(&json!({"multipleOf": 2}), &json!(4)).len(), 1);
        assert_eq!(faults(&json!({"pattern": "^a|b$"}), &json!("a")).len(), 1);
        assert_eq!(faults(&json!({"$ref": "#/$defs/none"}), &json!(1)).len(), 1);
    }
}
