//! Whom an event is about: simple and complex subjects.
//!
//! # Source
//! RFC 9493; OpenID Shared Signals Framework 1.0, section 3; RFC 9967, section 2.1 (`scim`).

mod complex;
mod identifier;

pub use complex::{Complex, Member};
pub use identifier::Identifier;
use serde_json::{Map, Value};

use crate::Fault;

/// One subject: one principal, named simply or by several members together.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// Named by one identifier.
    Simple(Identifier),
    /// Named by what is true of it in several roles at once.
    Complex(Complex),
}

impl Subject {
    /// Reads a subject from its JSON object.
    ///
    /// A format that nobody registered is kept by name: such a subject is valid and matches only itself.
    ///
    /// # Errors
    ///
    /// [`Fault::Subject`] if a member that the format requires is missing, empty, too long or not of its form.
    pub fn read(value: &Value) -> Result<Self, Fault> {
        let members = value.as_object().ok_or_else(|| Fault::subject("", "must be an object"))?;
        // RFC 9493 names the member `format`; the members of a complex subject may come without it in older events.
        match members.get("format") {
            Some(Value::String(format)) if format == "complex" => Complex::read(members).map(Self::Complex),
            None if !members.is_empty() && members.values().all(Value::is_object) => {
                Complex::read(members).map(Self::Complex)
            }
            _ => Identifier::read(members).map(Self::Simple),
        }
    }

    /// Writes the subject as a JSON object that [`Subject::read`] reads back.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Simple(identifier) => identifier.to_value(),
            Self::Complex(complex) => complex.to_value(),
        }
    }

    /// Says whether two subjects match: simple ones if identical, complex ones by [`Complex::matches`].
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Simple(one), Self::Simple(two)) => one == two,
            (Self::Complex(one), Self::Complex(two)) => one.matches(two),
            (Self::Simple(_), Self::Complex(_)) | (Self::Complex(_), Self::Simple(_)) => false,
        }
    }

    /// Returns the identifier if the subject is a stream: simple and `opaque`.
    #[must_use]
    pub fn stream_id(&self) -> Option<&str> {
        match self {
            Self::Simple(Identifier::Opaque { id }) => Some(id),
            _ => None,
        }
    }

    /// Checks that every member called critical is understood.
    ///
    /// # Errors
    ///
    /// [`Fault::Critical`] if one of `critical` is present under a name, or in a format, that nothing here processes; the
    /// event must not be acted on.
    ///
    /// # Source
    /// OpenID Shared Signals Framework 1.0, section 3.6.
    pub fn check_critical(&self, critical: &[String]) -> Result<(), Fault> {
        let Self::Complex(complex) = self else { return Ok(()) };
        match critical.iter().find(|name| complex.has_unprocessable(name)) {
            Some(name) => Err(Fault::Critical(name.chars().take(64).collect())),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        Self::read(&Value::Object(members)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Subject {
        Subject::read(value).unwrap()
    }

    #[test]
    fn a_critical_member_that_is_not_understood_stops_the_event_and_another_does_not() {
        let subject = read(&json!({
            "format": "complex",
            "user": {"format": "email", "email": "ada@example.com"},
            "badge": {"format": "opaque", "id": "1"},
            "session": {"format": "urn:example:odd", "id": "1"},
        }));
        let check = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            subject.check_critical(&names)
        };
        assert_eq!(check(&["user", "tenant"]), Ok(()));
        assert_eq!(check(&["user", "badge"]), Err(Fault::Critical("badge".to_owned())));
        assert_eq!(check(&["session"]), Err(Fault::Critical("session".to_owned())));
    }

    #[test]
    fn a_complex_subject_without_its_format_is_read_as_older_transmitters_write_it() {
        let old = json!({"user": {"format": "email", "email": "ada@example.com"}});
        let new = json!({"format": "complex", "user": {"format": "email", "email": "ada@example.com"}});
        assert_eq!(read(&old), read(&new));
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for value in [json!("ada"), json!({}), json!([]), json!({"format": 1}), json!({"format": "complex"})] {
            assert!(Subject::read(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn only_a_simple_opaque_subject_names_a_stream() {
        assert_eq!(read(&json!({"format": "opaque", "id": "s1"})).stream_id(), Some("s1"));
        assert_eq!(read(&json!({"format": "email", "email": "s1@example.com"})).stream_id(), None);
    }

    fn identifier() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[a-zA-Z]{1,8}@[a-zA-Z]{1,8}\\.example"
                .prop_map(|email: String| json!({"format": "email", "email": email})),
            ("[a-z]{1,5}", "[ -~]{1,20}").prop_map(|(iss, sub): (String, String)| {
                json!({"format": "iss_sub", "iss": format!("https://{iss}.example"), "sub": sub})
            }),
            "[!-~]{1,20}".prop_map(|id: String| json!({"format": "opaque", "id": id})),
            "\\+[0-9]{3,15}".prop_map(|number: String| json!({"format": "phone_number", "phone_number": number})),
            "[a-z0-9]{1,9}".prop_map(|id: String| json!({"format": "did", "url": format!("did:example:{id}")})),
            "[a-z0-9]{1,9}".prop_map(|id: String| json!({"format": "scim", "uri": format!("/Users/{id}")})),
            any::<[u8; 4]>().prop_map(|ip| {
                json!({"format": "ip-addresses", "ip-addresses": [std::net::Ipv4Addr::from(ip).to_string()]})
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_subject_is_read_back_as_written(first in identifier(), second in identifier()) {
            let complex = json!({"format": "complex", "user": first, "tenant": second});
            let aliases = json!({"format": "aliases", "identifiers": [first, second]});
            for value in [&first, &complex, &aliases] {
                let subject = read(value);
                prop_assert_eq!(read(&subject.to_value()), subject);
            }
        }

        #[test]
        fn matching_is_reflexive_and_symmetric(first in identifier(), second in identifier(), third in identifier()) {
            let one = read(&json!({"format": "complex", "user": first, "tenant": second}));
            let two = read(&json!({"format": "complex", "user": third}));
            prop_assert!(one.matches(&one) && two.matches(&two));
            prop_assert_eq!(one.matches(&two), two.matches(&one));
        }

        #[test]
        fn no_object_makes_the_reader_fail_otherwise_than_by_saying_so(
            format in "[a-z_-]{0,18}", name in "[a-z_-]{1,14}", text in ".{0,30}",
        ) {
            let value = json!({"format": format, name: text});
            if let Ok(subject) = Subject::read(&value) {
                prop_assert_eq!(read(&subject.to_value()), subject);
            }
        }
    }
}
