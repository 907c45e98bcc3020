//! One disclosure: a salt, a name where it is a member, and a value.

use std::fmt;

use jose::{JsonFault, base64url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384};

use crate::json;

/// Names that an issuer may not give to a claim.
const RESERVED: [&str; 2] = ["_sd", "..."];

/// How disclosures are digested.
///
/// # Source
/// RFC 9901, section 4.1.1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HashAlg {
    /// SHA-256, also where a credential names none.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlg {
    /// Reads the name that the IANA registry of hash algorithms gives it; `None` for any other.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sha-256" => Some(Self::Sha256),
            "sha-384" => Some(Self::Sha384),
            _ => None,
        }
    }

    /// Returns the digest of `text` in base64url.
    #[must_use]
    pub fn digest(self, text: &str) -> String {
        match self {
            Self::Sha256 => base64url::encode(Sha256::digest(text)),
            Self::Sha384 => base64url::encode(Sha384::digest(text)),
        }
    }
}

/// What is wrong with a disclosure.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DisclosureFault {
    /// Not base64url.
    #[error("it is not base64url without padding")]
    Encoding,
    /// Not strict JSON.
    #[error("it {0}")]
    Json(JsonFault),
    /// Not an array of two or three elements, a text first.
    #[error("it is not an array of a salt, a name for a member and a value")]
    Shape,
    /// A reserved name.
    #[error("it names a claim `{0}`, which is reserved")]
    Reserved(String),
}

/// A disclosure as it was sent, and what it says. Its value is personal: it is never shown by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Disclosure {
    text: String,
    name: Option<String>,
    value: Value,
}

impl Disclosure {
    /// Parses a disclosure.
    ///
    /// # Errors
    ///
    /// [`DisclosureFault`] if `text` is not base64url of a JSON array of salt, name and value, or of salt and value, or
    /// gives a claim a reserved name.
    ///
    /// # Source
    /// RFC 9901, sections 4.2.1, 4.2.2 and 7.1 step 3.c.
    pub fn parse(text: &str) -> Result<Self, DisclosureFault> {
        let bytes = base64url::decode(text).map_err(|_| DisclosureFault::Encoding)?;
        let Value::Array(parts) = json::parse(&bytes, super::MAX_BYTES).map_err(DisclosureFault::Json)? else {
            return Err(DisclosureFault::Shape);
        };
        let (name, value) = match <[Value; 3]>::try_from(parts) {
            Ok([Value::String(_), Value::String(name), value]) => (Some(name), value),
            Ok(_) => return Err(DisclosureFault::Shape),
            Err(parts) => (None, element(parts)?),
        };
        match name {
            Some(name) if RESERVED.contains(&name.as_str()) => Err(DisclosureFault::Reserved(name)),
            name => Ok(Self { text: text.to_owned(), name, value }),
        }
    }

    /// Makes the disclosure of a member, or of an element if it has no `name`, under a salt of 128 bits.
    pub(super) fn make(salt: [u8; 16], name: Option<&str>, value: Value) -> Self {
        let salt = base64url::encode(salt);
        let parts = match name {
            Some(name) => json!([salt, name, value]),
            None => json!([salt, value]),
        };
        Self { text: base64url::encode(parts.to_string()), name: name.map(str::to_owned), value }
    }

    /// Returns the disclosure as it was sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the name of the claim; `None` if an element of an array is disclosed.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns what is disclosed; it may itself hold digests.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }
}

/// Takes the value out of the two parts of an element's disclosure.
fn element(parts: Vec<Value>) -> Result<Value, DisclosureFault> {
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::String(_), value]) => Ok(value),
        _ => Err(DisclosureFault::Shape),
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosure").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(json: &str) -> String {
        base64url::encode(json)
    }

    #[test]
    fn the_example_of_the_standard_is_read_and_digested_as_it_says() {
        // RFC 9901, section 4.2.1 and 4.2.3: the disclosure of `family_name` and its digest.
        let text = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        let disclosure = Disclosure::parse(text).unwrap();
        assert_eq!(disclosure.name(), Some("family_name"));
        assert_eq!(disclosure.value(), &json!("Möbius"));
        assert_eq!(HashAlg::Sha256.digest(text), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    }

    #[test]
    fn a_disclosure_of_another_shape_is_refused() {
        for json in [
            "{}",
            "[]",
            r#"["salt"]"#,
            r#"[1,"name","value"]"#,
            r#"["salt",1,"value"]"#,
            r#"[1,"value"]"#,
            r#"["salt","name","value","more"]"#,
        ] {
            assert_eq!(Disclosure::parse(&encoded(json)), Err(DisclosureFault::Shape), "{json}");
        }
        assert!(matches!(Disclosure::parse(&encoded("[")), Err(DisclosureFault::Json(_))));
        assert_eq!(Disclosure::parse("W10="), Err(DisclosureFault::Encoding));
    }

    #[test]
    fn a_claim_may_not_be_called_what_the_format_itself_uses() {
        for name in RESERVED {
            let text = encoded(&format!(r#"["salt","{name}",1]"#));
            assert_eq!(Disclosure::parse(&text), Err(DisclosureFault::Reserved(name.to_owned())));
        }
    }

    #[test]
    fn a_member_named_twice_within_a_value_is_refused() {
        assert!(matches!(Disclosure::parse(&encoded(r#"["s","n",{"a":1,"a":2}]"#)), Err(DisclosureFault::Json(_))));
    }

    #[test]
    fn a_made_disclosure_parses_to_itself_and_debug_does_not_show_its_value() {
        let made = Disclosure::make([7; 16], Some("birthdate"), json!("1815-12-10"));
        assert_eq!(Disclosure::parse(made.text()).unwrap(), made);
        assert!(!format!("{made:?}").contains("1815"));
        let element = Disclosure::make([7; 16], None, json!(["US"]));
        assert_eq!(Disclosure::parse(element.text()).unwrap(), element);
    }
}
