//! JSON in its one canonical spelling, so that two programs sign and hash the same bytes.

use serde_json::Value;

/// The largest integer that every JSON program reads as written: 2^53 - 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A number that has no spelling on which all programs agree.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an integer between -(2^53 - 1) and 2^53 - 1: such a number cannot be signed")]
pub struct BadNumber(String);

/// Returns the canonical spelling of `value`: members in order of their names, no white space, one escape for each
/// character that needs one.
///
/// # Errors
///
/// [`BadNumber`]: our documents have no fractions and no number beyond 2^53 - 1, so there is no rule for them here.
///
/// # Source
///
/// RFC 8785 section 3.2.
pub fn canonical(value: &Value) -> Result<String, BadNumber> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), BadNumber> {
    match value {
        Value::Object(members) => write_object(members, out),
        Value::Array(items) => write_array(items, out),
        Value::Number(number) => write_number(number, out),
        // Strings, `true`, `false` and `null` are spelled by `serde_json` as section 3.2.2 wants them.
        plain => {
            out.push_str(&plain.to_string());
            Ok(())
        }
    }
}

fn write_object(members: &serde_json::Map<String, Value>, out: &mut String) -> Result<(), BadNumber> {
    let mut members: Vec<_> = members.iter().collect();
    // By UTF-16 code units (section 3.2.3), which beyond the basic plane is not the order of UTF-8.
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (at, (name, member)) in members.into_iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        write(member, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_array(items: &[Value], out: &mut String) -> Result<(), BadNumber> {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        write(item, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_number(number: &serde_json::Number, out: &mut String) -> Result<(), BadNumber> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    let text = number.to_string();
    if size.is_none_or(|size| size > INTEGER_MAX) {
        return Err(BadNumber(text));
    }
    out.push_str(&text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_ordered_by_utf_16_as_in_the_example_of_rfc_8785() {
        // The keys of section 3.2.3, as far as they are text.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O",
        });
        let text = canonical(&value).unwrap();
        let names = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let places: Vec<usize> = names.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn text_is_escaped_only_where_it_must_be_and_in_one_way() {
        let text = "\u{20ac}$\u{f}\nA'B\"\\\"/\u{7f}\t\u{8}\u{c}";
        assert_eq!(canonical(&json!(text)).unwrap(), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\"/\u{7f}\\t\\b\\f\"");
    }

    #[test]
    fn nothing_stands_between_the_parts_and_nesting_is_followed() {
        let value = json!({ "b": [1, { "d": null, "c": true }], "a": {}, "": [] });
        assert_eq!(canonical(&value).unwrap(), r#"{"":[],"a":{},"b":[1,{"c":true,"d":null}]}"#);
    }

    proptest! {
        #[test]
        fn the_canonical_spelling_is_its_own_and_reads_as_the_same_value(
            members in proptest::collection::btree_map(".*", any::<i32>(), 0..6), text: String,
        ) {
            let value = json!({ "members": members, "text": text, "none": null, "yes": [true, false] });
            let spelled = canonical(&value).unwrap();
            let read: Value = serde_json::from_str(&spelled).unwrap();
            prop_assert_eq!(canonical(&read).unwrap(), spelled);
            prop_assert_eq!(read, value);
        }
    }

    #[test]
    fn a_number_that_another_program_might_read_otherwise_is_refused() {
        for good in [json!(0), json!(INTEGER_MAX), json!(-9_007_199_254_740_991_i64)] {
            assert_eq!(canonical(&good).unwrap(), good.to_string());
        }
        for bad in [json!(1.5), json!(1e300), json!(INTEGER_MAX + 1), json!(i64::MIN), json!(-0.0)] {
            assert!(canonical(&json!([bad])).is_err(), "{bad}");
        }
    }
}
