//! JSON as `docs/log-format.md` has it: no object names a member twice, and numbers are whole, from 0 to 2^64 - 1.

use proof::json::Unique;
pub(crate) use proof::json::of_object;
use serde::de::Error;
use serde_json::Value;

/// Reads an object, and nothing after it.
///
/// # Errors
///
/// What is wrong with it, for people.
pub(crate) fn object(bytes: &[u8]) -> serde_json::Result<Value> {
    let Unique(said) = serde_json::from_slice(bytes)?;
    if !is_whole(&said) {
        return Err(Error::custom("a number in it is not whole, from 0 to 2^64 - 1"));
    }
    if said.is_object() { Ok(said) } else { Err(Error::custom("it is no object")) }
}

fn is_whole(said: &Value) -> bool {
    match said {
        Value::Number(number) => number.is_u64(),
        Value::Array(items) => items.iter().all(is_whole),
        Value::Object(members) => members.values().all(is_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reader of JSON has a use of its own for such a member, where it may.
    #[test]
    fn no_name_of_a_member_means_anything_but_itself() {
        let (name, text) = ("$serde_json::private::RawValue", "[1.5,{\"a\":1,\"a\":2}]");
        let said = object(serde_json::json!({ name: text }).to_string().as_bytes()).unwrap();
        assert_eq!(said.as_object().unwrap()[name], text);
    }

    #[test]
    fn an_object_is_read_in_which_nothing_stands_twice_and_numbers_are_whole() {
        let good = r#" {"a":[1,18446744073709551615,true,null,{"b":"x"}],"b":{}}"#;
        assert_eq!(object(good.as_bytes()).unwrap(), serde_json::from_str::<Value>(good).unwrap());
        for bad in [
            "",
            "[]",
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"\u0061":1}]}"#,
            r#"{"a":-1}"#,
            r#"{"a":-0}"#,
            r#"{"a":0.5}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":1}{}"#,
            r#"[{"$serde_json::private::RawValue":"{}"}]"#,
        ] {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
