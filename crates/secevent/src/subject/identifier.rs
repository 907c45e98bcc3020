//! Simple subject identifiers, read into normal form.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde_json::{Map, Value, json};

use crate::Fault;

/// The longest text of one member, in bytes.
const LONGEST: usize = 1_024;

/// The most identifiers of an `aliases`, and the most addresses of an `ip-addresses`.
const MOST: usize = 32;

/// A subject identifier in normal form: two that name the same are equal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Identifier {
    /// `email`: an address, in lower case.
    Email {
        /// The address.
        email: String,
    },
    /// `iss_sub`: a subject at an issuer.
    IssSub {
        /// The issuer, as written.
        iss: String,
        /// The subject, as written.
        sub: String,
    },
    /// `opaque`: a text with no further meaning.
    Opaque {
        /// The text.
        id: String,
    },
    /// `account`: an `acct` URI, in lower case.
    Account {
        /// The URI.
        uri: String,
    },
    /// `phone_number`: E.164, a plus sign and 2 to 15 digits.
    PhoneNumber {
        /// The number without separators.
        phone_number: String,
    },
    /// `did`: a decentralized identifier, or a URL within one.
    Did {
        /// The URL.
        url: String,
    },
    /// `uri`: any URI.
    Uri {
        /// The URI.
        uri: String,
    },
    /// `aliases`: several identifiers of one subject; at least one, none of them `aliases`.
    Aliases {
        /// The identifiers, in order.
        identifiers: BTreeSet<Self>,
    },
    /// `jwt_id`: one token.
    JwtId {
        /// Who issued it.
        iss: String,
        /// Its id.
        jti: String,
    },
    /// `saml_assertion_id`: one assertion.
    SamlAssertionId {
        /// Who issued it.
        issuer: String,
        /// Its id.
        assertion_id: String,
    },
    /// `ip-addresses`: the addresses that a subject was seen at; at least one.
    IpAddresses {
        /// The addresses, in order.
        addresses: BTreeSet<IpAddr>,
    },
    /// `scim`: a resource.
    Scim {
        /// The path or URI of the resource.
        uri: String,
        /// Its `externalId`, where told.
        external_id: Option<String>,
    },
    /// A format that nobody registered, with everything it said.
    Unknown {
        /// The name of the format.
        format: String,
        /// The object as text, its members in order of name.
        object: String,
    },
}

impl Identifier {
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, Fault> {
        let Some(Value::String(format)) = object.get("format") else {
            return Err(Fault::subject("", "`format` must be a text"));
        };
        if format == "aliases" { aliases(object) } else { Self::read_one(format, object) }
    }

    fn read_one(format: &str, object: &Map<String, Value>) -> Result<Self, Fault> {
        let members = Members { format, object };
        Ok(match format {
            "email" => Self::Email { email: members.in_form("email", email)? },
            "iss_sub" => Self::IssSub { iss: members.text("iss")?, sub: members.text("sub")? },
            "opaque" => Self::Opaque { id: members.text("id")? },
            "account" => Self::Account { uri: members.in_form("uri", account)? },
            "phone_number" => Self::PhoneNumber { phone_number: members.in_form("phone_number", phone)? },
            "did" => Self::Did { url: members.in_form("url", did)? },
            "uri" => Self::Uri { uri: members.in_form("uri", uri)? },
            "jwt_id" => Self::JwtId { iss: members.text("iss")?, jti: members.text("jti")? },
            "saml_assertion_id" => {
                Self::SamlAssertionId { issuer: members.text("issuer")?, assertion_id: members.text("assertion_id")? }
            }
            "ip-addresses" => Self::IpAddresses { addresses: members.addresses()? },
            "scim" => Self::Scim { uri: members.text("uri")?, external_id: members.optional("externalId")? },
            _ => members.unknown()?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Email { email } => json!({"format": "email", "email": email}),
            Self::IssSub { iss, sub } => json!({"format": "iss_sub", "iss": iss, "sub": sub}),
            Self::Opaque { id } => json!({"format": "opaque", "id": id}),
            Self::Account { uri } => json!({"format": "account", "uri": uri}),
            Self::PhoneNumber { phone_number } => json!({"format": "phone_number", "phone_number": phone_number}),
            Self::Did { url } => json!({"format": "did", "url": url}),
            Self::Uri { uri } => json!({"format": "uri", "uri": uri}),
            Self::Aliases { identifiers } => {
                let identifiers: Vec<_> = identifiers.iter().map(Self::to_value).collect();
                json!({"format": "aliases", "identifiers": identifiers})
            }
            Self::JwtId { iss, jti } => json!({"format": "jwt_id", "iss": iss, "jti": jti}),
            Self::SamlAssertionId { issuer, assertion_id } => {
                json!({"format": "saml_assertion_id", "issuer": issuer, "assertion_id": assertion_id})
            }
            Self::IpAddresses { addresses } => json!({"format": "ip-addresses", "ip-addresses": addresses}),
            Self::Scim { uri, external_id: None } => json!({"format": "scim", "uri": uri}),
            Self::Scim { uri, external_id: Some(id) } => json!({"format": "scim", "uri": uri, "externalId": id}),
            Self::Unknown { object, .. } => serde_json::from_str(object).unwrap_or_default(),
        }
    }

    /// Returns the identifiers of an `aliases`, or the identifier itself.
    pub fn flat(&self) -> impl Iterator<Item = &Self> {
        let many = match self {
            Self::Aliases { identifiers } => Some(identifiers),
            _ => None,
        };
        many.into_iter().flatten().chain(many.is_none().then_some(self))
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.flat().all(|identifier| matches!(identifier, Self::Unknown { .. }))
    }
}

fn aliases(object: &Map<String, Value>) -> Result<Identifier, Fault> {
    let fault = |what| Fault::subject("aliases", what);
    let list = object.get("identifiers").and_then(Value::as_array);
    let list = list.filter(|list| (1..=MOST).contains(&list.len()));
    let list = list.ok_or_else(|| fault("`identifiers` must be a list of 1 to 32"))?;
    let read = |value: &Value| {
        let object = value.as_object().ok_or_else(|| fault("every identifier must be an object"))?;
        match object.get("format").and_then(Value::as_str) {
            Some("aliases" | "complex") | None => Err(fault("every identifier must be simple and not `aliases`")),
            Some(format) => Identifier::read_one(format, object),
        }
    };
    Ok(Identifier::Aliases { identifiers: list.iter().map(read).collect::<Result<_, _>>()? })
}

/// The members of one identifier, and the format they are read for.
struct Members<'a> {
    format: &'a str,
    object: &'a Map<String, Value>,
}

impl Members<'_> {
    fn fault(&self, what: &'static str) -> Fault {
        Fault::subject(self.format, what)
    }

    fn optional(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=LONGEST).contains(&text.len()) => Ok(Some(text.clone())),
            Some(_) => Err(self.fault("every member must be a text of 1 to 1024 bytes")),
        }
    }

    fn text(&self, name: &str) -> Result<String, Fault> {
        self.optional(name)?.ok_or_else(|| self.fault("a required member is missing"))
    }

    fn in_form(&self, name: &str, form: fn(&str) -> Option<String>) -> Result<String, Fault> {
        form(&self.text(name)?).ok_or_else(|| self.fault("the value is not of its form"))
    }

    fn addresses(&self) -> Result<BTreeSet<IpAddr>, Fault> {
        let list = self.object.get("ip-addresses").and_then(Value::as_array);
        let list = list.filter(|list| (1..=MOST).contains(&list.len()));
        let list = list.ok_or_else(|| self.fault("needs 1 to 32 addresses"))?;
        let parsed = list.iter().map(|value| value.as_str().and_then(|text| text.parse().ok()));
        parsed.collect::<Option<_>>().ok_or_else(|| self.fault("every address must be an IP address"))
    }

    fn unknown(&self) -> Result<Identifier, Fault> {
        let ordered: BTreeMap<_, _> = self.object.iter().collect();
        let object = json!(ordered).to_string();
        if self.format.is_empty() || self.format == "complex" || object.len() > 4 * LONGEST {
            return Err(self.fault("the format cannot stand here, or the identifier is too long"));
        }
        Ok(Identifier::Unknown { format: self.format.to_owned(), object })
    }
}

/// Brings an address to lower case: two people are never told apart by case alone, and a signal may only remove.
fn email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let plain = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (plain && !local.is_empty() && !domain.is_empty() && text.len() <= 320).then(|| text.to_lowercase())
}

/// RFC 7565: `acct:` user `@` host.
fn account(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    lower.strip_prefix("acct:").and_then(email)?;
    Some(lower)
}

fn phone(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = number.strip_prefix('+')?;
    let digital = digits.bytes().all(|b| b.is_ascii_digit());
    (digital && (2..=15).contains(&digits.len())).then_some(number)
}

fn did(text: &str) -> Option<String> {
    let (method, id) = text.strip_prefix("did:")?.split_once(':')?;
    let named = !method.is_empty() && method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (named && !id.is_empty() && is_graphic(id)).then(|| text.to_owned())
}

fn uri(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let first = letters.next().is_some_and(|b| b.is_ascii_alphabetic());
    let named = first && letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    (named && !rest.is_empty() && is_graphic(rest)).then(|| text.to_owned())
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Identifier, Fault> {
        Identifier::read(value.as_object().unwrap())
    }

    #[test]
    fn every_registered_format_is_read() {
        let formats = [
            json!({"format": "email", "email": "ada@example.com"}),
            json!({"format": "iss_sub", "iss": "https://idp.example.com/", "sub": "145234573"}),
            json!({"format": "opaque", "id": "11112222333344445555"}),
            json!({"format": "account", "uri": "acct:ada@service.example.com"}),
            json!({"format": "phone_number", "phone_number": "+12065550100"}),
            json!({"format": "did", "url": "did:example:123456/did/url/path?versionId=1"}),
            json!({"format": "uri", "uri": "urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f"}),
            json!({"format": "jwt_id", "iss": "https://idp.example.com/", "jti": "B70BA622-9515-4353-A866"}),
            json!({"format": "saml_assertion_id", "issuer": "https://idp.example.com/", "assertion_id": "_8e8d"}),
            json!({"format": "ip-addresses", "ip-addresses": ["10.29.37.75", "2001:db8::8a2e:370:7334"]}),
            json!({"format": "scim", "uri": "/Users/44f6142df96bd6ab61e7521d9", "externalId": "ada"}),
        ];
        for value in &formats {
            let identifier = read(value.clone()).unwrap();
            assert!(!identifier.is_unknown(), "{value}");
            assert_eq!(&identifier.to_value(), value);
        }
        let aliases = read(json!({"format": "aliases", "identifiers": formats})).unwrap();
        assert_eq!(aliases.flat().count(), formats.len());
    }

    #[test]
    fn an_identifier_is_brought_to_normal_form() {
        let email = read(json!({"format": "email", "email": "Ada@Example.COM"})).unwrap();
        assert_eq!(email, Identifier::Email { email: "ada@example.com".to_owned() });
        let phone = read(json!({"format": "phone_number", "phone_number": "+1 (206) 555-0100"})).unwrap();
        assert_eq!(phone, Identifier::PhoneNumber { phone_number: "+12065550100".to_owned() });
        let long = read(json!({"format": "ip-addresses", "ip-addresses": ["2001:0db8:0000:0000:0000:0000:0000:0001"]}));
        let short = read(json!({"format": "ip-addresses", "ip-addresses": ["2001:db8::1"]}));
        assert_eq!(long, short);
    }

    #[test]
    fn what_does_not_conform_to_its_format_is_refused() {
        for value in [
            json!({"format": "email", "email": "ada"}),
            json!({"format": "email", "email": "ada @example.com"}),
            json!({"format": "email", "uri": "ada@example.com"}),
            json!({"format": "iss_sub", "iss": "https://idp.example.com/"}),
            json!({"format": "opaque", "id": ""}),
            json!({"format": "opaque", "id": 7}),
            json!({"format": "opaque", "id": "x".repeat(1_025)}),
            json!({"format": "account", "uri": "ada@example.com"}),
            json!({"format": "phone_number", "phone_number": "2065550100"}),
            json!({"format": "did", "url": "example:123"}),
            json!({"format": "uri", "uri": "no scheme"}),
            json!({"format": "ip-addresses", "ip-addresses": []}),
            json!({"format": "ip-addresses", "ip-addresses": ["10.0.0.300"]}),
            json!({"format": "aliases", "identifiers": []}),
            json!({"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": []}]}),
            json!({"format": "scim", "externalId": "ada"}),
            json!({"email": "ada@example.com"}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn an_unregistered_format_is_kept_and_equals_only_itself() {
        let odd = json!({"format": "urn:example:badge", "badge": 7});
        let identifier = read(odd.clone()).unwrap();
        assert!(identifier.is_unknown());
        assert_eq!(identifier.to_value(), odd);
        assert_eq!(identifier, read(json!({"badge": 7, "format": "urn:example:badge"})).unwrap());
        assert_ne!(identifier, read(json!({"format": "urn:example:badge", "badge": 8})).unwrap());
    }
}
