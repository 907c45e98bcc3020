//! What each vendor's deliveries and answers look like.
//!
//! A delivery says only which object to look at; what is so is what the vendor's API answers. Each module has `event`,
//! which reads a delivery, `paths`, which says what to ask, and `finding`, which reads the answers.

mod onfido;
mod persona;
mod stripe;

use serde::de::DeserializeOwned;
use serde_json::Value;
use terms::{Moment, SubjectName};

use super::signature::Scheme;

/// A vendor whose shapes are known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VendorKind {
    /// Stripe Identity.
    Stripe,
    /// Persona.
    Persona,
    /// Entrust IDV, formerly Onfido.
    Onfido,
}

/// What a delivery is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Event {
    /// The same for every delivery of the same event.
    pub(crate) id: String,
    /// What to look at; `None` if it does not bear on anybody's evidence.
    pub(crate) look: Option<Look>,
}

/// An object of the vendor to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Look {
    pub(crate) kind: ObjectKind,
    /// Safe in a path: 1 to 64 letters, digits, `_` and `-`.
    pub(crate) id: ObjectId,
}

/// Which kind of object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ObjectKind {
    /// One attempt to prove who somebody is.
    Session,
    /// A check with its reports, of vendors that have these beside sessions.
    Check,
    /// Something that watches lists for a person.
    Monitor,
}

impl ObjectKind {
    const ALL: [Self; 3] = [Self::Session, Self::Check, Self::Monitor];

    /// Returns the kind as the registry keeps it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Check => "check",
            Self::Monitor => "monitor",
        }
    }

    /// Reads what [`ObjectKind::as_str`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The id of a vendor's object, safe in a path and in a reference.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ObjectId(String);

impl ObjectId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ObjectId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(safe);
        if fits { Ok(Self(text)) } else { Err("an id is not 1 to 64 of `a-z A-Z 0-9 _ -`") }
    }
}

/// What the vendor's API says now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Whom it is about, in the name that we gave the vendor; absent if the vendor no longer says.
    pub(crate) subject: Option<SubjectName>,
    pub(crate) state: State,
}

/// How a session stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Verified: `verified_claims`, as the vendor's own issuer would write them.
    Verified(Value),
    /// The vendor no longer has the evidence.
    Gone,
    /// The vendor found that the person is not who they claim to be, or took its finding back.
    Failed,
    /// Nothing is decided.
    Open,
    /// A list that is watched has something about the person.
    Matched,
}

/// A delivery or an answer is not of the vendor's shape.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it has not the vendor's shape: {0}")]
pub(crate) struct ShapeFault(String);

impl VendorKind {
    /// Returns how the vendor signs deliveries.
    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Self::Stripe => Scheme::Timed("stripe-signature"),
            Self::Persona => Scheme::Timed("persona-signature"),
            Self::Onfido => Scheme::Plain("x-sha2-signature"),
        }
    }

    /// Reads which object a delivery is about. What else it says is not looked at.
    pub(crate) fn event(self, body: &[u8]) -> Result<Event, ShapeFault> {
        match self {
            Self::Stripe => stripe::event(body),
            Self::Persona => persona::event(body),
            Self::Onfido => onfido::event(body),
        }
    }

    /// Returns what the API wants besides the address: the scheme of its key, and a header that pins its version.
    pub(crate) fn api(self) -> (&'static str, Option<(&'static str, &'static str)>) {
        match self {
            Self::Stripe => ("Bearer ", Some(("stripe-version", stripe::VERSION))),
            Self::Persona => ("Bearer ", Some(("persona-version", persona::VERSION))),
            Self::Onfido => ("Token token=", None),
        }
    }

    /// Returns what to ask the API about an object first.
    pub(crate) fn path(self, look: &Look) -> String {
        match self {
            Self::Stripe => stripe::path(look),
            Self::Persona => persona::path(look),
            Self::Onfido => onfido::path(look),
        }
    }

    /// Returns what to ask after the first answer, for vendors that keep details apart; at most 8.
    pub(crate) fn details(self, look: &Look, answer: &Value) -> Result<Vec<String>, ShapeFault> {
        match self {
            Self::Onfido if look.kind == ObjectKind::Check => onfido::details(answer),
            _ => Ok(Vec::new()),
        }
    }

    /// Reads the answers.
    pub(crate) fn finding(self, look: &Look, answer: &Value, details: &[Value]) -> Result<Finding, ShapeFault> {
        match self {
            Self::Stripe => stripe::finding(look, answer),
            Self::Persona => persona::finding(look, answer),
            Self::Onfido => onfido::finding(look, answer, details),
        }
    }
}

/// Reads JSON strictly: no duplicate members, no more depth or size than a delivery needs.
pub(crate) fn json(body: &[u8], bytes_max: usize) -> Result<Value, ShapeFault> {
    let object = jose::json::parse_object(body, bytes_max).map_err(|fault| ShapeFault(fault.to_string()))?;
    Ok(Value::Object(object))
}

/// Bytes of a delivery.
pub(crate) const MAX_DELIVERY: usize = 256 << 10;

/// Requires that an answer is about what was asked.
fn about(look: &Look, id: &ObjectId) -> Result<(), ShapeFault> {
    if *id == look.id { Ok(()) } else { Err(ShapeFault("it is about another object than was asked for".to_owned())) }
}

fn shaped<T: DeserializeOwned>(value: &Value) -> Result<T, ShapeFault> {
    T::deserialize(value).map_err(|error| ShapeFault(error.to_string().chars().take(200).collect()))
}

/// Takes the name that we gave the vendor; one that we would not give is none.
fn subject(text: Option<String>) -> Option<SubjectName> {
    SubjectName::parse(&text?).ok()
}

/// A document that a vendor inspected, in our words.
struct Inspected {
    /// A type of [`verified_claims`]: `passport`, `idcard`, `driving_permit` and so on.
    kind: &'static str,
    country: Option<String>,
    nationality: Option<String>,
    expiry: Option<String>,
    /// True if the person's face was compared with the document's.
    matched_face: bool,
    session: String,
    /// When; a finding that is of no time could be as old as it likes, and is none.
    time: Moment,
}

/// Writes what was inspected as `verified_claims`.
///
/// A remote inspection with a comparison of faces is IAL2 at most, one without is IAL1 (NIST SP 800-63A-4 section 4).
/// Which of it is believed, the trust list says.
fn verified_claims(inspected: Inspected) -> Value {
    let level = if inspected.matched_face { "ial2" } else { "ial1" };
    let mut details = serde_json::Map::from_iter([("type".to_owned(), Value::from(inspected.kind))]);
    details.extend(inspected.expiry.map(|expiry| ("date_of_expiry".to_owned(), Value::from(expiry))));
    let issuer = inspected.country.map(|country| serde_json::json!({ "country_code": country }));
    details.extend(issuer.map(|issuer| ("issuer".to_owned(), issuer)));
    let verification = serde_json::json!({
        "trust_framework": "us_nist_800_63_4", "assurance_level": level, "verification_process": inspected.session,
        "time": inspected.time.to_string(), "evidence": [{ "type": "document", "document_details": details }],
    });
    let nationalities: Vec<String> = inspected.nationality.into_iter().collect();
    serde_json::json!({ "verification": verification, "claims": { "nationalities": nationalities } })
}

#[cfg(test)]
mod tests;
