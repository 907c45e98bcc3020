//! JSON in one spelling only: bytes as hexadecimal digits in lower case or base64, members that are named once.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Writes bytes as hexadecimal digits in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads exactly `N` bytes from hexadecimal digits in lower case; `None` if they are anything else.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Reads a member that must be there, `null` or not; without this it might be left out.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Reads a member that may be left out and is not `null`.
pub(crate) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Any JSON in which no object names a member twice: whoever signed it and whoever reads it see the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique(pub Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

/// Reads a member that is any JSON, as it stands: [`Value`] itself gives one name of a member a meaning of its own.
pub(crate) fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Unique::deserialize(deserializer).map(|Unique(said)| said)
}

/// Reads something from an object: what derives its reading takes an array of its members too.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn of_object<T: DeserializeOwned>(said: &Value) -> serde_json::Result<T> {
    if said.is_object() { T::deserialize(said) } else { Err(Error::custom("it is no object")) }
}

/// Reads JSON that is spelled as it would be written, but for white space and the order of members: an array does not
/// stand for an object, and no member is left out, named twice, or `null` for one that is left out.
pub(crate) fn spelled<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> serde_json::Result<T> {
    let Unique(said) = serde_json::from_slice(bytes)?;
    let read = T::deserialize(&said)?;
    if serde_json::to_value(&read)? == said { Ok(read) } else { Err(misspelled()) }
}

/// Says that something is read and not spelled as it must be.
pub(crate) fn misspelled() -> serde_json::Error {
    Error::custom("an object or a member is not spelled as it would be written")
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which each member is named once")
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

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(all.into())
    }
}

/// `N` bytes that stand as hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || D::Error::custom(format!("expected {} hexadecimal digits in lower case", 2 * N));
        unhex(&text).map(Self).ok_or_else(bad)
    }
}

/// Bytes that stand as base64 with padding (RFC 4648 section 4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("expected base64 with padding"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_in_upper_case_too_few_or_too_many_are_refused() {
        assert_eq!(unhex::<2>("00fe"), Some([0, 0xfe]));
        for bad in ["00FE", "00f", "00fe0", "00fg", "+0fe", "\u{e9}\u{e9}"] {
            assert_eq!(unhex::<2>(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<Hex<1>>(r#""0F""#).is_err());
        assert!(serde_json::from_str::<Base64>(r#""AA""#).is_err());
    }

    #[test]
    fn a_member_that_is_named_twice_is_refused_wherever_it_stands() {
        let read = |text: &str| serde_json::from_str::<Unique>(text);
        let good = r#"{"a":[1,-2,0.5,true,null,{"b":"x"}],"b":{}}"#;
        assert_eq!(read(good).unwrap().0, serde_json::from_str::<Value>(good).unwrap());
        for bad in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"\u0061":1}}]"#] {
            assert!(read(bad).unwrap_err().to_string().contains("named twice"), "{bad}");
        }
    }

    #[test]
    fn an_array_does_not_stand_for_an_object() {
        #[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
        struct Pair {
            a: u8,
            b: Option<u8>,
        }
        assert_eq!(spelled::<Pair>(br#" {"b":null, "a":1}"#).unwrap(), Pair { a: 1, b: None });
        for bad in [&b"[1,2]"[..], br#"{"a":1}"#, br#"{"a":1,"b":2,"c":3}"#, br#"{"a":1,"b":2,"a":1}"#] {
            assert!(spelled::<Pair>(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn bytes_read_back(bytes: [u8; 16], more: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
            let (one, two) = (Hex(bytes), Base64(more));
            prop_assert_eq!(serde_json::from_value::<Hex<16>>(serde_json::to_value(one).unwrap()).unwrap(), one);
            prop_assert_eq!(serde_json::from_value::<Base64>(serde_json::to_value(&two).unwrap()).unwrap(), two);
        }
    }
}
