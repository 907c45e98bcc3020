//! JSON as `docs/log-format.md` has it: no object names a member twice, and numbers are whole, from 0 to 2^64 - 1.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Reads an object, and nothing after it.
///
/// # Errors
///
/// What is wrong with it, for people.
pub(crate) fn object(bytes: &[u8]) -> serde_json::Result<Value> {
    let Plain(said) = serde_json::from_slice(bytes)?;
    of_object(&said)
}

/// Reads something from an object: an array does not stand for it.
///
/// # Errors
///
/// What is wrong with it, for people.
pub(crate) fn of_object<T: DeserializeOwned>(said: &Value) -> serde_json::Result<T> {
    if said.is_object() { T::deserialize(said) } else { Err(serde_json::Error::custom("it is no object")) }
}

struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which each member is named once and numbers are whole, from 0 to 2^64 - 1")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Plain(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Plain(value))) = members.next_entry::<String, Plain>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
