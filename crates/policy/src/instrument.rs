//! Directives and licenses as documents.

/// A directive (placeholder until the documents land).
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Directive {}

/// A license (placeholder until the documents land).
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct License {}

/// A document that is not an instrument: where and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct InstrumentFault {
    /// The place in the document, such as `person_scope.definition` or `line 3 column 7`.
    pub at: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

impl Directive {
    /// Parses one JSON document.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names the place and the reason; nothing was changed.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        serde_json::from_slice(json).map_err(|e| InstrumentFault {
            at: String::new(),
            why: e.to_string(),
        })
    }
}

impl License {
    /// Parses one JSON document.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names the place and the reason; nothing was changed.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        serde_json::from_slice(json).map_err(|e| InstrumentFault {
            at: String::new(),
            why: e.to_string(),
        })
    }
}
