//! The published JSON Schemas (draft 2020-12) of the documents, for editors and for whoever writes documents by program.
//!
//! The parser is stricter: it also checks what a schema cannot say, such as that dates follow one another.

use std::str::FromStr;

/// A kind of document that is written by hand and read here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DocumentKind {
    /// An order: `directive/v1`.
    Directive,
    /// An authorization: `license/v1`.
    License,
    /// The dates of rules that hold without an instrument: `regime/v1`.
    Regime,
    /// The table of country groups, version 1.
    CountryGroups,
}

/// The text names no kind of document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no kind of document: write directive, license, regime or country-groups")]
pub struct UnknownKind(pub String);

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Directive, Self::License, Self::Regime, Self::CountryGroups];

    /// Returns the kind as commands and paths spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directive => "directive",
            Self::License => "license",
            Self::Regime => "regime",
            Self::CountryGroups => "country-groups",
        }
    }
}

impl FromStr for DocumentKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownKind(text.chars().take(40).collect()))
    }
}

/// Returns the JSON Schema (draft 2020-12) of a kind of document, as it is published.
#[must_use]
pub fn schema(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Directive => include_str!("../../schemas/directive.v1.json"),
        DocumentKind::License => include_str!("../../schemas/license.v1.json"),
        DocumentKind::Regime => include_str!("../../schemas/regime.v1.json"),
        DocumentKind::CountryGroups => include_str!("../../schemas/country-groups.v1.json"),
    }
}
