//! What an approver signs: one act on one version of one instrument, or on one production.

use std::{fmt, str::FromStr};

use proof::production::Selection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use terms::{InstrumentId, Moment};

use crate::InstrumentKind;
use proof::jcs::{BadNumber, canonical};

/// What is done: a version is put in force with the status that it has, or a part of the record is produced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActVerb {
    /// Puts a version in force whose status is none of the following.
    Apply,
    /// Suspends the instrument.
    Stay,
    /// Sets it aside.
    Vacate,
    /// Ends it.
    Lift,
    /// Shows what a selection names of the record.
    Produce,
}

impl ActVerb {
    /// Every verb.
    pub const ALL: [Self; 5] = [Self::Apply, Self::Stay, Self::Vacate, Self::Lift, Self::Produce];

    /// Returns the verb that puts a document with this status in force.
    #[must_use]
    pub fn of(status: policy::Status) -> Self {
        match status {
            policy::Status::Stayed => Self::Stay,
            policy::Status::Vacated => Self::Vacate,
            policy::Status::Lifted => Self::Lift,
            _ => Self::Apply,
        }
    }

    /// Returns the verb as acts spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Stay => "stay",
            Self::Vacate => "vacate",
            Self::Lift => "lift",
            Self::Produce => "produce",
        }
    }
}

impl fmt::Display for ActVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActVerb {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|verb| verb.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no act: write `apply`, `stay`, `vacate`, `lift` or `produce`"))
    }
}

/// What an act is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActKind {
    /// An order.
    Directive,
    /// An authorization.
    License,
    /// A part of the record, as a selection names it.
    Production,
}

impl ActKind {
    /// Returns the noun, as acts spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directive => "directive",
            Self::License => "license",
            Self::Production => "production",
        }
    }
}

impl From<InstrumentKind> for ActKind {
    fn from(kind: InstrumentKind) -> Self {
        match kind {
            InstrumentKind::Directive => Self::Directive,
            InstrumentKind::License => Self::License,
        }
    }
}

/// The type of an act, which also names the version of its format.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Type {
    #[serde(rename = "approval/v1")]
    V1,
}

/// One act on one version of one instrument, or on one production, as an approver signs it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalAct {
    r#type: Type,
    /// What is to be done.
    pub act: ActVerb,
    /// Directive, license or production.
    pub kind: ActKind,
    /// The instrument or the production.
    pub id: InstrumentId,
    /// Its version; that of a production is 1.
    pub version: u64,
    /// The SHA-256 of the document, of a production the selection, in its canonical spelling (RFC 8785), in lower-case hexadecimal digits.
    pub document_sha256: String,
    /// From when on the signature no longer counts.
    pub valid_until: Moment,
}

impl ApprovalAct {
    /// Makes the act that puts `document` in force with the status that it has.
    ///
    /// # Errors
    ///
    /// In words, what the document lacks of an instrument.
    pub fn on(document: &Value, valid_until: Moment) -> Result<Self, String> {
        let lacks = |name: &str| format!("the document has no `{name}`: is it a directive or a license?");
        let text = |name| document.get(name).and_then(Value::as_str).ok_or_else(|| lacks(name));
        let status = document.get("status").cloned().unwrap_or_default();
        let status = serde_json::from_value(status).map_err(|error| format!("`status`: {error}"))?;
        Ok(Self {
            r#type: Type::V1,
            act: ActVerb::of(status),
            kind: kind(text("type")?)?.into(),
            id: text("id")?.parse().map_err(|error: terms::BadId| error.to_string())?,
            version: document.get("version").and_then(Value::as_u64).ok_or_else(|| lacks("version"))?,
            document_sha256: document_sha256(document).map_err(|error| error.to_string())?,
            valid_until,
        })
    }

    /// Makes the act that shows what `selection` names of the record, as the production `id`.
    ///
    /// # Errors
    ///
    /// [`BadNumber`]; a selection has no numbers.
    pub fn to_produce(id: &InstrumentId, selection: &Selection, valid_until: Moment) -> Result<Self, BadNumber> {
        Ok(Self {
            r#type: Type::V1,
            act: ActVerb::Produce,
            kind: ActKind::Production,
            id: id.clone(),
            version: 1,
            document_sha256: document_sha256(&serde_json::to_value(selection).unwrap_or_default())?,
            valid_until,
        })
    }

    /// Returns the bytes that are signed: the canonical spelling (RFC 8785) of the act.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).unwrap_or_default();
        // An act has one number, a version, and versions are far below 2^53; were one not, nothing would verify.
        canonical(&value).unwrap_or_default().into_bytes()
    }
}

fn kind(of_document: &str) -> Result<InstrumentKind, String> {
    let kind = InstrumentKind::of_type(of_document);
    kind.ok_or_else(|| format!("`type` is `{of_document}`: only directives and licenses are approved"))
}

/// Returns the SHA-256 of a document in its canonical spelling (RFC 8785), in lower-case hexadecimal digits.
///
/// # Errors
///
/// [`BadNumber`] for a number on whose spelling not all programs agree.
pub fn document_sha256(document: &Value) -> Result<String, BadNumber> {
    let digest = Sha256::digest(canonical(document)?.as_bytes());
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_signed_is_the_act_in_its_canonical_spelling() {
        let document = json!({ "type": "license/v1", "id": "LTR-1", "version": 3, "status": "vacated" });
        let until = Moment::parse("2026-06-13T00:00:00Z").unwrap();
        let act = ApprovalAct::on(&document, until).unwrap();
        let payload = String::from_utf8(act.payload()).unwrap();
        let digest = act.document_sha256;
        assert_eq!(
            payload,
            format!(
                "{{\"act\":\"vacate\",\"document_sha256\":\"{digest}\",\"id\":\"LTR-1\",\"kind\":\"license\",\
                 \"type\":\"approval/v1\",\"valid_until\":\"2026-06-13T00:00:00Z\",\"version\":3}}"
            )
        );
    }

    #[test]
    fn the_order_in_which_a_document_is_written_does_not_matter_and_its_words_do() {
        let sha = |text: &str| document_sha256(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(sha(r#"{"a":1,"b":"x"}"#), sha(r#"{ "b": "x", "a": 1 }"#));
        assert_ne!(sha(r#"{"a":1,"b":"x"}"#), sha(r#"{"a":1,"b":"y"}"#));
    }

    #[test]
    fn a_document_that_is_no_instrument_is_not_signed() {
        let until = Moment::parse("2026-06-13T00:00:00Z").unwrap();
        for (document, named) in [
            (json!({}), "status"),
            (json!({ "status": "in_force" }), "type"),
            (json!({ "status": "in_force", "type": "ruling/v1" }), "ruling/v1"),
            (json!({ "status": "in_force", "type": "directive/v1", "id": "../x" }), "../x"),
            (json!({ "status": "in_force", "type": "directive/v1", "id": "x" }), "version"),
        ] {
            let error = ApprovalAct::on(&document, until).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
