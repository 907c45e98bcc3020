//! JSON values that are no objects, as strictly as objects are read.

use jose::{JsonFault, json};
use serde_json::Value;

/// Reads any JSON value of at most `bytes_max` bytes: each member once, and not too deep.
///
/// It is read as the one member of an object; text that would end the object or add to it is refused.
pub(crate) fn parse(bytes: &[u8], bytes_max: usize) -> Result<Value, JsonFault> {
    let wrapped = [b"{\"value\":", bytes, b"}"].concat();
    let mut members = json::parse_object(&wrapped, bytes_max.saturating_add(wrapped.len() - bytes.len()))?;
    match (members.remove("value"), members.is_empty()) {
        (Some(value), true) => Ok(value),
        _ => Err(JsonFault::Syntax("more than one value".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_one_value_is_read_and_nothing_that_leaves_it() {
        assert_eq!(parse(b"[1,{\"a\":null}]", 100), Ok(json!([1, {"a": null}])));
        assert_eq!(parse(b"\"text\"", 100), Ok(json!("text")));
        for text in ["", "1,\"a\":2", "1,\"value\":2", "1}", "1},{\"a\":1", "{\"a\":1,\"a\":1}", "[", "1 2"] {
            assert!(parse(text.as_bytes(), 100).is_err(), "{text}");
        }
        assert!(parse(b"1000", 3).is_err());
        assert!(parse(b"1000", 4).is_ok());
    }
}
