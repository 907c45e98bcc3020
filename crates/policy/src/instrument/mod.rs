//! Directives, licenses and regimes as documents: JSON, strict, versioned.

mod directive;
mod license;
mod parts;
mod regime;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use directive::Directive;
pub(crate) use directive::{Destination, PersonDefinition, PersonScope, Unknown};
pub(crate) use license::EmployeeScope;
pub use license::License;
pub use regime::Regime;

/// Under which rules a nationality counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NationalityRule {
    /// The most recent country of citizenship or permanent residency (15 CFR 734.13(b), 734.14(b)).
    Ear,
    /// Every country of which citizenship is or was held, or permanent residency is held (22 CFR 120.51(b)).
    Itar,
}

/// Whether an instrument is in force.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Announced or applied for; binds and authorizes nothing yet.
    Pending,
    /// In force.
    InForce,
    /// Suspended by a court or by its issuer.
    Stayed,
    /// Set aside by a court.
    Vacated,
    /// Replaced by another instrument.
    Superseded,
    /// Ended by its issuer.
    Lifted,
}

impl Status {
    /// Returns the status as documents spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InForce => "in_force",
            Self::Stayed => "stayed",
            Self::Vacated => "vacated",
            Self::Superseded => "superseded",
            Self::Lifted => "lifted",
        }
    }
}

/// A document that is not an instrument: where and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct InstrumentFault {
    /// The place in the document, such as `person_scope.definition` or `line 3 column 7`.
    pub at: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

impl InstrumentFault {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }

    fn unless(holds: bool, at: &str, why: &str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(at, why)) }
    }
}

/// Deserializes a field that may be `null` but not absent: silence is not an answer.
fn explicit<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from)
}

/// Parses `json` as the document type named `wanted`, such as `directive/v1`.
fn parse_as<T: DeserializeOwned>(json: &[u8], wanted: &str) -> Result<T, InstrumentFault> {
    check_type(json, wanted)?;
    serde_json::from_slice(json).map_err(|e| misread(&e))
}

/// Names the type before anything else is read: a later version may well have other fields.
fn check_type(json: &[u8], wanted: &str) -> Result<(), InstrumentFault> {
    #[derive(Deserialize)]
    struct Peek {
        r#type: Option<String>,
    }
    let peek: Peek = serde_json::from_slice(json).map_err(|e| misread(&e))?;
    match peek.r#type {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(InstrumentFault::new("type", unknown_type(&found, wanted))),
        None => Err(InstrumentFault::new("type", format!("missing: write `{wanted}`"))),
    }
}

fn unknown_type(found: &str, wanted: &str) -> String {
    let found: String = found.chars().take(40).collect();
    let same_kind = found.split('/').next() == wanted.split('/').next();
    if same_kind {
        return format!("this release reads `{wanted}` and the document is `{found}`: upgrade, or ask for `{wanted}`");
    }
    format!("`{found}` is not `{wanted}`")
}

fn misread(error: &serde_json::Error) -> InstrumentFault {
    let at = format!("line {} column {}", error.line(), error.column());
    let why = error.to_string();
    let why = why.strip_suffix(&format!(" at {at}")).unwrap_or(&why);
    InstrumentFault::new(at, why)
}
