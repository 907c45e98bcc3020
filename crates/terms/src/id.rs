//! Identifiers that parse: one list, one grammar.

use std::{fmt, str::FromStr, sync::Arc};

use crate::text::spelled;

/// The text is not an identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not {what}: use 1 to 64 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit")]
pub struct BadId {
    /// What was wanted, with its article.
    pub what: &'static str,
    /// What was given, at most 80 characters of it.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to 64 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit. Cheap to clone.
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
        #[serde(into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses an identifier.
            ///
            /// # Errors
            ///
            /// [`BadId`] if `text` does not fit the grammar; ask the sender to correct it.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                if is_id(text) {
                    return Ok(Self(Arc::from(text)));
                }
                Err(BadId { what: $what, text: text.chars().take(80).collect() })
            }

            /// Returns the identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        spelled!($name);

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// Names a natural person in the registry.
    PersonId "a person id";
    /// Names an organization in the registry.
    OrganizationId "an organization id";
    /// Names a non-human caller.
    WorkloadId "a workload id";
    /// Names the affiliation of one person with one organization.
    AffiliationId "an affiliation id";
    /// Names one attestation.
    AttestationId "an attestation id";
    /// Names who attests.
    IssuerId "an issuer id";
    /// Names a source of word about people.
    ChannelId "a channel id";
    /// The public half of an API key.
    KeyId "a key id";
    /// Names a client of our own token endpoint (RFC 6749 section 2.2).
    ClientId "a client id";
    /// Names a rule by which tokens of a platform become tokens of a workload.
    FederationRuleId "a federation rule id";
    /// Names a directive or a license.
    InstrumentId "an instrument id";
    /// Names one citable clause that decided.
    ProvisionId "a provision id";
    /// Names a released model, exactly.
    ModelVersionId "a model version id";
    /// Names a family of model versions, as instruments do.
    ModelFamily "a model family";
    /// Names an end use (15 CFR 772.1), as a license limits it and a key declares it.
    EndUse "an end use";
    /// A name that resolves, per caller, to the best version they may use.
    AliasName "an alias";
}

fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && text.len() <= 64 && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Names one call: 16 random bytes, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallId(pub [u8; 16]);

impl CallId {
    /// Parses 32 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`BadId`] on anything else.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { what: "a call id (32 hexadecimal digits)", text: text.chars().take(80).collect() };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(bad());
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| bad())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_when_it_could_break_out_of_a_header_a_path_or_a_policy() {
        for text in ["", "-a", ".", "..", "a b", "a/b", "a\"b", "a\n", "ä", &"x".repeat(65)] {
            assert!(PersonId::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(PersonId::parse("ada.l-1_x").unwrap().as_str(), "ada.l-1_x");
    }

    #[test]
    fn a_call_id_round_trips_and_refuses_signs_and_upper_case() {
        let id = CallId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(CallId::parse(&id.to_string()).unwrap(), id);
        assert!(CallId::parse("+0000000000000000000000000000001").is_err());
        assert!(CallId::parse(&"A".repeat(32)).is_err());
    }
}
