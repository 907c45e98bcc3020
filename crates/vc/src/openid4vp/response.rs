//! The answer of a wallet, before anything in it is verified.

use std::collections::BTreeMap;

use jose::{JsonFault, Object, json};
use serde_json::Value;

use super::form::{self, FormFault};

/// Bytes of the longest answer: some credentials with a portrait each.
const MAX_BYTES: usize = 512 * 1024;
/// Presentations that one answer may bring.
const MAX_PRESENTATIONS: usize = 16;
/// Characters of an error code that are kept.
const MAX_ERROR: usize = 64;

/// Why an answer cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseFault {
    /// The form.
    #[error("{0}")]
    Form(#[from] FormFault),
    /// The JSON of `vp_token`, or of what was decrypted.
    #[error("the answer {0}")]
    Json(#[from] JsonFault),
    /// Presentations of another shape.
    #[error("`vp_token` is not an object of at most {MAX_PRESENTATIONS} presentations, as text in arrays by query id")]
    VpToken,
    /// Neither an answer nor an error.
    #[error("the answer has neither `vp_token` nor `error` nor `response` alone")]
    Neither,
}

/// Presentations by the ids of the query.
pub type VpToken = BTreeMap<String, Vec<String>>;

/// What a wallet posted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Posted {
    /// An answer in the open.
    Open(Answer),
    /// An answer encrypted, in compact form.
    Encrypted(String),
}

/// What a wallet answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Presentations.
    Presented {
        /// Those presentations.
        vp_token: VpToken,
        /// What it repeats of the request.
        state: Option<String>,
    },
    /// The person refused, or the wallet cannot answer.
    Refused {
        /// The error's code.
        error: String,
        /// What it repeats of the request.
        state: Option<String>,
    },
}

impl Posted {
    /// Reads the body of an answer.
    ///
    /// # Errors
    ///
    /// [`ResponseFault`]: answer 400; the request stays open.
    ///
    /// # Source
    /// OpenID for Verifiable Presentations 1.0, sections 8.1, 8.2, 8.3.1 and 8.5.
    pub fn parse(body: &[u8]) -> Result<Self, ResponseFault> {
        let mut fields = form::parse(body, MAX_BYTES)?;
        if let Some(encrypted) = fields.remove("response") {
            let alone = !fields.contains_key("vp_token") && !fields.contains_key("error");
            return if alone { Ok(Self::Encrypted(encrypted)) } else { Err(ResponseFault::Neither) };
        }
        let token = fields.remove("vp_token");
        let token = token.map(|text| json::parse_object(text.as_bytes(), MAX_BYTES)).transpose()?;
        Answer::of(token.map(Value::from), fields.remove("error"), fields.remove("state")).map(Self::Open)
    }
}

impl Answer {
    /// Reads what an encrypted answer holds.
    ///
    /// # Errors
    ///
    /// [`ResponseFault`], as [`Posted::parse`].
    pub fn of_decrypted(payload: &[u8]) -> Result<Self, ResponseFault> {
        let mut members = json::parse_object(payload, MAX_BYTES)?;
        let token = members.remove("vp_token");
        let (error, state) = (text(&mut members, "error"), text(&mut members, "state"));
        Self::of(token, error, state)
    }

    /// Returns what it repeats of the request.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        match self {
            Self::Presented { state, .. } | Self::Refused { state, .. } => state.as_deref(),
        }
    }

    fn of(token: Option<Value>, error: Option<String>, state: Option<String>) -> Result<Self, ResponseFault> {
        match (token, error) {
            (Some(token), None) => Ok(Self::Presented { vp_token: vp_token(token)?, state }),
            (None, Some(error)) => Ok(Self::Refused { error: error.chars().take(MAX_ERROR).collect(), state }),
            _ => Err(ResponseFault::Neither),
        }
    }
}

fn text(members: &mut Object, name: &str) -> Option<String> {
    match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn vp_token(token: Value) -> Result<VpToken, ResponseFault> {
    let token: VpToken = serde_json::from_value(token).map_err(|_| ResponseFault::VpToken)?;
    let count: usize = token.values().map(Vec::len).sum();
    if (1..=MAX_PRESENTATIONS).contains(&count) { Ok(token) } else { Err(ResponseFault::VpToken) }
}
