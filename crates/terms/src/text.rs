//! Reads what is spelled as a string straight from the text that holds it.
//!
//! `#[serde(try_from = "String")]` says the same and makes a `String` first, of which most of a replay's time would go.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Deserializes a type as the string that [`FromStr`] parses.
macro_rules! spelled {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::parsed(deserializer)
            }
        }
    };
}

pub(crate) use spelled;

/// Deserializes a string and parses it.
///
/// # Errors
///
/// What the deserializer says if there is no string, or what the parser says of it.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Parsed(PhantomData))
}

struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use serde::{
        Deserialize,
        de::{Error as _, IntoDeserializer, value::Error},
    };

    use crate::{Country, Moment, PersonId, SubjectName};

    /// Reads as `try_from = "String"` would, and holds what the type does against it.
    fn same<'a, T>(given: impl IntoDeserializer<'a, Error> + Clone)
    where
        T: TryFrom<String, Error: Display> + Deserialize<'a> + PartialEq + Debug,
    {
        let text = String::deserialize(given.clone().into_deserializer());
        let wanted = text.and_then(|text| T::try_from(text).map_err(Error::custom));
        assert_eq!(T::deserialize(given.into_deserializer()), wanted);
    }

    fn same_of_all<'a>(given: impl IntoDeserializer<'a, Error> + Clone) {
        same::<PersonId>(given.clone());
        same::<Country>(given.clone());
        same::<Moment>(given.clone());
        same::<SubjectName>(given);
    }

    #[test]
    fn what_is_spelled_as_a_string_reads_as_the_string_would() {
        for text in ["ada", "US", "2026-06-12T21:21:00Z", "", "a b", "a\nb", "ä"] {
            same_of_all(text);
            same_of_all(text.to_owned());
        }
        same_of_all(7_u8);
        same_of_all(true);
    }
}
