//! `verified_claims`, as other parties write them: strict about the shape of what is known, silent about the rest.
//!
//! # Source
//! OpenID Identity Assurance Schema Definition 1.0 section 5; OpenID Connect for Identity Assurance Claims
//! Registration 1.0 section 4. Members that are not in this module are ignored, as section 5.1 of the former asks of a
//! reader.

use serde::Deserialize;
use serde_json::Value;
use terms::{Engagement, LocationMethod, Moment, OrganizationId, UsPersonLimb};

use super::nation::Nation;

/// Entries of a list; a person with more is sent in pieces.
const MAX_ENTRIES: usize = 16;
/// Characters of a text that is read.
const MAX_TEXT: usize = 256;

/// The value is not what `verified_claims` may be; whoever sent it must correct it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A member that must be there is not, or is of another type.
    #[error("`verified_claims` is malformed: {0}")]
    Shape(String),
    /// There are too many of something.
    #[error("`verified_claims` has {0}, which must be 1 to 16")]
    Count(&'static str),
}

/// One `verified_claims` object.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct VerifiedClaims {
    /// How the claims were verified.
    pub(crate) verification: Verification,
    /// What was verified.
    pub(crate) claims: Claims,
}

/// The `verification` element.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verification {
    pub(crate) trust_framework: Text,
    pub(crate) assurance_level: Option<Text>,
    pub(crate) time: Option<Day>,
    #[serde(default)]
    pub(crate) evidence: List<Evidence>,
}

/// One piece of evidence.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Evidence {
    Document {
        document_details: Option<DocumentDetails>,
    },
    ElectronicRecord {
        record: Option<RecordDetails>,
    },
    Vouch {
        attestation: Option<VouchDetails>,
    },
    ElectronicSignature {},
    /// A kind that is not known here proves nothing.
    #[serde(other)]
    Other,
}

/// What document was seen.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DocumentDetails {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) date_of_expiry: Option<Day>,
    pub(crate) issuer: Option<Authority>,
}

/// What record was consulted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RecordDetails {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) date_of_expiry: Option<Day>,
    pub(crate) source: Option<Authority>,
}

/// Who vouched, and until when.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct VouchDetails {
    pub(crate) date_of_expiry: Option<Day>,
}

/// Who issued a document or keeps a record.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Authority {
    pub(crate) country_code: Option<Code>,
}

/// The `claims` element: what of it bears on access.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    /// Every nationality that the evidence shows.
    #[serde(default)]
    pub(crate) nationalities: List<Code>,
    /// The same with dates; an extension of ours.
    #[serde(default)]
    pub(crate) citizenships: List<Tie>,
    /// Permanent residencies with dates; an extension of ours.
    #[serde(default)]
    pub(crate) permanent_residencies: List<Tie>,
    /// The limb of 15 CFR 772.1; an extension of ours.
    pub(crate) us_person: Option<UsPerson>,
    /// Where the person lives.
    pub(crate) address: Option<Address>,
    /// Where the person is; an extension of ours.
    pub(crate) location: Option<Place>,
    /// For whom the person works; an extension of ours.
    pub(crate) employment: Option<Employment>,
}

/// A bond to a country.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tie {
    pub(crate) country: Code,
    pub(crate) from: Option<Day>,
    pub(crate) until: Option<Day>,
}

/// Whether and why somebody is a U.S. person.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct UsPerson {
    pub(crate) basis: Basis,
    /// When the status ends, for those that do.
    pub(crate) expires_at: Option<Day>,
}

/// The limb, or none of them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Basis {
    Citizen,
    National,
    LawfulPermanentResident,
    TemporaryResident,
    Refugee,
    Asylee,
    /// A foreign person.
    None,
}

/// A postal address: only its country is read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Address {
    pub(crate) country_code: Option<Code>,
}

/// A place and how it was established.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) country: Code,
    pub(crate) method: LocationMethod,
}

/// An employment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Employment {
    pub(crate) organization: OrganizationId,
    pub(crate) engagement: Engagement,
    pub(crate) ends_at: Option<Day>,
}

/// Reads one `verified_claims` object, or a list of 1 to 16.
pub(crate) fn parse(value: &Value) -> Result<Vec<VerifiedClaims>, Malformed> {
    match value {
        Value::Array(all) if (1..=MAX_ENTRIES).contains(&all.len()) => all.iter().map(parse_one).collect(),
        Value::Array(_) => Err(Malformed::Count("a number of objects")),
        one => parse_one(one).map(|one| vec![one]),
    }
}

fn parse_one(value: &Value) -> Result<VerifiedClaims, Malformed> {
    let shape = |error: serde_json::Error| Malformed::Shape(error.to_string().chars().take(200).collect());
    if let Some(name) = misplaced_list(value) {
        return Err(Malformed::Shape(format!("`{name}` is, or holds, a list where an object must be")));
    }
    let parsed = VerifiedClaims::deserialize(value).map_err(shape)?;
    // Members that are not read count here: of a person's name alone nothing follows, and nothing is wrong with it.
    let said = value.get("claims").and_then(Value::as_object).is_some_and(|claims| !claims.is_empty());
    if said { Ok(parsed) } else { Err(Malformed::Shape("`claims` is empty".to_owned())) }
}

/// Members that are read as objects.
const OBJECTS: [&str; 11] = [
    "verification",
    "claims",
    "document_details",
    "record",
    "attestation",
    "issuer",
    "source",
    "us_person",
    "address",
    "location",
    "employment",
];
/// Members that are read as lists.
const LISTS: [&str; 4] = ["evidence", "nationalities", "citizenships", "permanent_residencies"];

/// Returns the first member that is read and is a list where an object belongs: it would be taken member by member in their
/// order, which nobody who writes a list means.
fn misplaced_list(value: &Value) -> Option<&str> {
    let members = value.as_object()?.iter();
    members
        .filter_map(|(name, member)| match member {
            Value::Array(entries) if LISTS.contains(&name.as_str()) => {
                let nested = entries.iter().any(Value::is_array).then_some(name.as_str());
                nested.or_else(|| entries.iter().find_map(misplaced_list))
            }
            Value::Array(_) if OBJECTS.contains(&name.as_str()) => Some(name),
            inner if OBJECTS.contains(&name.as_str()) => misplaced_list(inner),
            _ => None,
        })
        .next()
}

impl Basis {
    /// Returns the limb; `None` for a foreign person.
    pub(crate) fn limb(self) -> Option<UsPersonLimb> {
        match self {
            Self::Citizen => Some(UsPersonLimb::Citizen),
            Self::National => Some(UsPersonLimb::National),
            Self::LawfulPermanentResident => Some(UsPersonLimb::LawfulPermanentResident),
            Self::TemporaryResident => Some(UsPersonLimb::TemporaryResident),
            Self::Refugee => Some(UsPersonLimb::Refugee),
            Self::Asylee => Some(UsPersonLimb::Asylee),
            Self::None => None,
        }
    }
}

/// A text of 1 to 256 characters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_TEXT).contains(&text.chars().count());
        if fits { Ok(Self(text)) } else { Err("a text has not 1 to 256 characters") }
    }
}

/// A code of a country or of a nationality.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Code(pub(crate) Nation);

impl TryFrom<String> for Code {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().take(8).collect();
        Nation::parse(&text).map(Self).ok_or_else(|| format!("`{shown}` is no assigned country code"))
    }
}

/// A date or a time. A date is the midnight in UTC with which it begins; one before 1970 is the beginning of 1970.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub(crate) struct Day(pub(crate) Moment);

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        day(&text).map(Self).ok_or_else(|| format!("`{shown}` is neither a date nor an RFC 3339 time"))
    }
}

fn day(text: &str) -> Option<Moment> {
    if text.len() != 10 {
        return Moment::parse(text).ok();
    }
    let (year, rest) = text.split_at_checked(4)?;
    let plain = year.bytes().all(|byte| byte.is_ascii_digit());
    let year: u32 = plain.then(|| year.parse().ok()).flatten()?;
    // The calendar repeats after 400 years, so a date before the epoch is checked where moments reach.
    let checked = if year < 1970 { year + 400 } else { year };
    let found = Moment::parse(&format!("{checked:04}{rest}T00:00:00Z")).ok()?;
    Some(if year < 1970 { Moment::from_millis(0) } else { found })
}

/// A list of at most 16 entries; `null` and absence are the empty one.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(Vec<T>);

impl<T> List<T> {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let entries = Option::<Vec<T>>::deserialize(from)?.unwrap_or_default();
        if entries.len() > MAX_ENTRIES {
            return Err(serde::de::Error::custom("a list has more than 16 entries"));
        }
        Ok(Self(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(claims: Value, evidence: Value) -> Value {
        json!({ "verification": { "trust_framework": "eidas", "evidence": evidence }, "claims": claims })
    }

    #[test]
    fn one_object_and_a_list_are_read_and_unknown_members_are_ignored() {
        let one = with(json!({ "nationalities": ["USA"], "shoe_size": 42 }), json!([{ "type": "telepathy", "x": 1 }]));
        assert_eq!(parse(&one).unwrap().len(), 1);
        assert_eq!(parse(&json!([one, one])).unwrap().len(), 2);
        assert!(matches!(parse(&json!([])), Err(Malformed::Count(_))));
        assert!(parse(&Value::Array(vec![one; 17])).is_err());
    }

    #[test]
    fn a_wrong_structure_is_refused() {
        let good = json!([{ "type": "document", "document_details": { "type": "passport" } }]);
        assert!(parse(&with(json!({ "given_name": "Ada" }), good.clone())).is_ok());
        for bad in [
            json!(null),
            json!("x"),
            json!({ "claims": {} }),
            json!({ "verification": {}, "claims": {} }),
            json!({ "verification": { "trust_framework": 7 }, "claims": {} }),
            json!({ "verification": { "trust_framework": "" }, "claims": {} }),
            json!({ "verification": { "trust_framework": "eidas" } }),
            json!({ "verification": { "trust_framework": "eidas" }, "claims": [] }),
            json!({ "verification": { "trust_framework": "eidas" }, "claims": null }),
            json!({ "verification": [{ "trust_framework": "eidas" }], "claims": { "given_name": "Ada" } }),
            json!({ "verification": ["eidas", "high", null, good], "claims": { "nationalities": ["US"] } }),
            json!([{ "trust_framework": "eidas" }, { "nationalities": ["US"] }]),
            with(json!({ "nationalities": ["US"] }), json!([["document", { "type": "passport" }]])),
            with(json!({ "nationalities": ["US"] }), json!([{ "type": "document", "document_details": ["passport"] }])),
            with(json!({ "citizenships": [["US", null, null]] }), good.clone()),
            with(json!({ "us_person": ["citizen", null] }), good.clone()),
            json!([[with(json!({ "nationalities": ["US"] }), good.clone())]]),
            with(json!({}), good.clone()),
            with(json!({ "nationalities": [["US"]] }), good.clone()),
            with(json!({ "nationalities": ["US", null] }), good.clone()),
            with(json!({ "nationalities": ["US"] }), json!([good])),
            with(json!({ "nationalities": ["US"] }), json!([good, [good]])),
            with(json!({ "nationalities": ["US"] }), json!([{ "type": 7 }])),
            with(json!({ "nationalities": ["US"] }), json!([{ "type": "document", "document_details": [good] }])),
            with(json!({ "nationalities": "US" }), good.clone()),
            with(json!({ "nationalities": ["Utopia"] }), good.clone()),
            with(json!({ "nationalities": ["XK"] }), good.clone()),
            with(json!({ "nationalities": vec!["US"; 17] }), good.clone()),
            with(json!({ "citizenships": [{ "from": "2001-01-01" }] }), good.clone()),
            with(json!({ "citizenships": [{ "country": "US", "from": "2001-02-30" }] }), good.clone()),
            with(json!({ "us_person": { "basis": "yes" } }), good.clone()),
            with(json!({ "nationalities": ["US"] }), json!({ "type": "document" })),
            with(json!({ "nationalities": ["US"] }), json!([{ "document_details": { "type": "passport" } }])),
            with(
                json!({ "nationalities": ["US"] }),
                json!([{ "type": "document", "document_details": { "date_of_expiry": "2030-01-01" } }]),
            ),
            with(
                json!({ "nationalities": ["US"] }),
                json!([{ "type": "document", "document_details": { "type": "x", "date_of_expiry": 2030 } }]),
            ),
        ] {
            assert!(matches!(parse(&bad), Err(Malformed::Shape(_))), "{bad}");
        }
    }

    #[test]
    fn dates_and_times_are_read_and_those_before_the_epoch_are_its_beginning() {
        let read = |text: &str| day(text).map(|moment| moment.to_string());
        assert_eq!(read("2030-05-01").as_deref(), Some("2030-05-01T00:00:00Z"));
        assert_eq!(read("2030-05-01T12:00:00+02:00").as_deref(), Some("2030-05-01T10:00:00Z"));
        assert_eq!(read("1952-02-29").as_deref(), Some("1970-01-01T00:00:00Z"));
        for text in ["1953-02-29", "2030-5-1", "+203-01-01", "2030-01-01Z", "0000-00-00", "soon", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
