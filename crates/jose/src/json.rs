//! JSON of outside parties: each member once, to a depth and a size.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The members of a JSON object.
pub type Object = serde_json::Map<String, Value>;

/// How deep arrays and objects may nest; the deepest evidence of an identity assurance needs about ten.
const DEPTH_MAX: usize = 32;

/// The longest part of a member's name that an error repeats, in characters.
const NAME_SHOWN: usize = 40;

/// The bytes are not a JSON text that is read here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonFault {
    /// More bytes than may be read.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// How many may be read.
        max: usize,
    },
    /// Not JSON, a member stands twice, or it nests too deep; in words.
    #[error("is not JSON that is accepted: {0}")]
    Syntax(String),
    /// JSON, but no object.
    #[error("must be a JSON object")]
    NotObject,
}

/// Reads a JSON object of at most `bytes_max` bytes.
///
/// Which of two members of one name counts differs between programs; so a name that stands twice, at any depth, is
/// refused.
///
/// # Errors
///
/// [`JsonFault`]: too long, not JSON, a name twice, nested deeper than 32 levels, or no object.
///
/// # Source
///
/// RFC 7515 section 4; RFC 7519 section 4; RFC 8725 section 2.6 (duplicate names).
pub fn parse_object(bytes: &[u8], bytes_max: usize) -> Result<Object, JsonFault> {
    if bytes.len() > bytes_max {
        return Err(JsonFault::TooLong { max: bytes_max });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let syntax = |error: serde_json::Error| JsonFault::Syntax(error.to_string());
    let value = Strict { levels: DEPTH_MAX }.deserialize(&mut deserializer).map_err(syntax)?;
    deserializer.end().map_err(syntax)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonFault::NotObject),
    }
}

/// Reads one value in which arrays and objects nest at most `levels` deep.
#[derive(Clone, Copy)]
struct Strict {
    levels: usize,
}

impl Strict {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        levels.map(|levels| Self { levels }).ok_or_else(|| E::custom(format!("nested deeper than {DEPTH_MAX}")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            found.push(item);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut found = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            if found.contains_key(&name) {
                let name: String = name.chars().filter(|each| !each.is_control()).take(NAME_SHOWN).collect();
                return Err(A::Error::custom(format!("member `{name}` stands twice")));
            }
            let member = members.next_value_seed(inner)?;
            found.insert(name, member);
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn syntax(text: &str) -> String {
        match parse_object(text.as_bytes(), 10_000) {
            Err(JsonFault::Syntax(why)) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_every_depth_and_in_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"exp":1,"exp":null}"#,
        ] {
            assert!(syntax(text).contains("stands twice"), "{text}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":{"a":1}}"#, 100).is_ok());
    }

    #[test]
    fn an_error_repeats_neither_a_long_name_nor_one_that_breaks_a_line() {
        let name = format!("a\\r\\n\\u001b{}", "x".repeat(100));
        let why = syntax(&format!("{{\"{name}\":1,\"{name}\":2}}"));
        assert!(why.contains("member `axxx") && why.len() < 120 && !why.contains(char::is_control), "{why:?}");
    }

    #[test]
    fn depth_and_size_end_where_they_say() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_object(nested(DEPTH_MAX - 1).as_bytes(), 1000).is_ok());
        assert!(syntax(&nested(DEPTH_MAX)).contains("nested deeper"));
        assert!(syntax(&nested(5_000)[..5_000]).contains("nested deeper"));
        assert_eq!(parse_object(b"{ }", 2), Err(JsonFault::TooLong { max: 2 }));
        assert!(parse_object(b"{}", 2).is_ok());
    }

    #[test]
    fn only_one_object_and_nothing_after_it_is_read() {
        for text in ["", "{", "{}{}", "{} x", "{'a':1}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\\ud800\"}", "{a:1}"] {
            assert!(!syntax(text).is_empty(), "{text}");
        }
        for text in ["[]", "1", "null", "\"{}\""] {
            assert_eq!(parse_object(text.as_bytes(), 100), Err(JsonFault::NotObject), "{text}");
        }
        assert!(matches!(parse_object(b"{\"a\":\"\xff\"}", 100), Err(JsonFault::Syntax(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_an_ordinary_parser_reads(text in r#"\{("[ab]":([0-9.e-]{1,4}|"[ab\\"]"|\[\]|null|\{"[ab]":1\}),?){0,3}\}"#) {
            if let Ok(found) = parse_object(text.as_bytes(), 1000) {
                prop_assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), found);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_object(&bytes, 100);
        }
    }
}
