//! What is wrong with a request, in the words of RFC 7644 section 3.12.

use serde_json::{Value, json};

/// The schema of an error response.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The detail keyword of a fault.
///
/// # Source
/// RFC 7644 section 3.12, table 9.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScimType {
    /// The filter is malformed, or compares what cannot be compared so.
    InvalidFilter,
    /// The filter would have to look at more than the server is willing to.
    TooMany,
    /// Another resource has this value already.
    Uniqueness,
    /// The attribute cannot be changed so.
    Mutability,
    /// The body has not the structure of its kind of message.
    InvalidSyntax,
    /// The path of a PATCH operation is malformed or names no attribute.
    InvalidPath,
    /// The path of a PATCH operation selects nothing.
    NoTarget,
    /// A value is missing or is not one that the attribute takes.
    InvalidValue,
    /// The cursor is not one that the service gave out for this list (RFC 9865 section 2.1).
    InvalidCursor,
}

impl ScimType {
    /// Returns the keyword as it stands in an error response.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidCursor => "invalidCursor",
        }
    }

    /// Returns the HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            _ => 400,
        }
    }
}

/// Why a message of the client was refused. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// The keyword.
    pub scim_type: ScimType,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Fault {
    /// Makes a fault of a keyword and of words for whoever runs the client.
    #[must_use]
    pub fn new(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { scim_type, detail: detail.into() }
    }

    pub(crate) fn value(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidValue, detail)
    }

    pub(crate) fn syntax(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidSyntax, detail)
    }

    pub(crate) fn filter(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidFilter, detail)
    }

    pub(crate) fn path(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidPath, detail)
    }
}

/// Returns the body of an error response with HTTP status `status`.
#[must_use]
pub fn error_body(status: u16, scim_type: Option<ScimType>, detail: &str) -> Value {
    let mut body = json!({ "schemas": [ERROR_SCHEMA], "status": status.to_string(), "detail": detail });
    if let (Some(keyword), Some(map)) = (scim_type, body.as_object_mut()) {
        map.insert("scimType".to_owned(), keyword.as_str().into());
    }
    body
}

/// Quotes what a client sent for an error message: at most 60 characters of it.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { ".." } else { "" };
    format!("`{short}{dots}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_error_body_is_a_string_and_the_keyword_is_there_only_if_there_is_one() {
        let body = error_body(409, Some(ScimType::Uniqueness), "taken");
        assert_eq!(
            body,
            json!({ "schemas": [ERROR_SCHEMA], "status": "409", "scimType": "uniqueness", "detail": "taken" })
        );
        assert!(error_body(404, None, "gone").get("scimType").is_none());
    }

    #[test]
    fn a_long_value_is_cut_when_it_is_quoted() {
        assert_eq!(quoted("x"), "`x`");
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}..`", "x".repeat(60)));
    }
}
