//! Directives, licenses and regimes as documents: JSON, strict, versioned.

mod directive;
mod fault;
mod license;
mod parts;
mod position;
mod regime;
mod schema;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::error::Category;

pub use directive::Directive;
pub(crate) use directive::{Destination, PersonDefinition, PersonScope, Unknown};
pub(crate) use fault::Faults;
pub use fault::InstrumentFault;
pub(crate) use license::EmployeeScope;
pub use license::License;
pub(crate) use parts::check_day;
pub(crate) use position::Positions;
pub use regime::Regime;
pub use schema::{DocumentKind, UnknownKind, schema};

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

/// Deserializes a field that may be `null` but not absent: silence is not an answer.
fn explicit<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from)
}

/// Parses `json` as the document type named `wanted`, such as `directive/v1`, and checks what it says.
fn parse_as<D, I>(json: &[u8], wanted: &str) -> Result<I, InstrumentFault>
where
    D: DeserializeOwned,
    I: TryFrom<D, Error = InstrumentFault>,
{
    let positions = Positions::of(json);
    check_type(json, wanted, &positions)
        .and_then(|()| read::<D>(json, &positions))
        .and_then(I::try_from)
        .map_err(|fault| fault.located(&positions))
}

/// Reads a document whose every key stands there once: of two readers one might take the first and the other the last.
pub(crate) fn read<D: DeserializeOwned>(json: &[u8], positions: &Positions) -> Result<D, InstrumentFault> {
    let mut faults = Faults::default();
    for (path, line) in positions.repeated() {
        faults.add(InstrumentFault { line: Some(line), ..InstrumentFault::new(path, "there twice: keep one") });
    }
    faults.into_result()?;
    serde_json::from_slice(json).map_err(|e| misread(&e, positions))
}

/// Names the type before anything else is read: a later version may well have other fields.
fn check_type(json: &[u8], wanted: &str, positions: &Positions) -> Result<(), InstrumentFault> {
    #[derive(Deserialize)]
    struct Peek {
        r#type: Option<String>,
    }
    let peek: Peek = serde_json::from_slice(json).map_err(|e| misread(&e, positions))?;
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

/// Names the place of a fault that the JSON parser found: the smallest value around it, or its column if the text is
/// not JSON.
fn misread(error: &serde_json::Error, positions: &Positions) -> InstrumentFault {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let why = error.to_string();
    let why = why.strip_suffix(&place).unwrap_or(&why);
    let at = match error.classify() {
        Category::Data => misfit(why, &positions.around(error.line(), error.column())),
        Category::Io | Category::Syntax | Category::Eof => format!("column {}", error.column()),
    };
    let line = u32::try_from(error.line()).ok();
    InstrumentFault { line, ..InstrumentFault::new(at, why) }
}

/// Returns the path of what does not fit: of a missing field, the one that it would have.
fn misfit(why: &str, around: &str) -> String {
    let missing = why.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (around, missing) {
        ("", None) => "document".to_owned(),
        ("", Some(field)) => field.to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(field)) => format!("{path}.{field}"),
    }
}
