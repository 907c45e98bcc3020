//! The few members of a reply that are read, in the spelling of every dialect.

use serde::Deserialize;
use serde_json::value::RawValue;

/// An error that the upstream put inside a reply whose status says success.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct InBandFault {
    /// The type or code it gave; empty if none.
    pub code: String,
    /// Its message; empty if none.
    pub message: String,
}

/// What is read of a reply, of the data of an event or of an object inside it, in any dialect. The members are
/// read only when needed, so that one of an unexpected type hides no other.
#[derive(Default, Deserialize)]
pub(super) struct Reply<'a> {
    #[serde(borrow, default)]
    pub(super) r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) response: Option<&'a RawValue>,
}

impl<'a> Reply<'a> {
    /// Reads one JSON object, or nothing if it is none.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }

    /// Returns the error at the top of it: an object, or in some servers the message alone.
    pub(super) fn fault(&self) -> Option<InBandFault> {
        let raw = self.error?;
        match raw.get().as_bytes().first() {
            Some(b'{') => Some(InBandFault::of(&parse(raw).unwrap_or_default())),
            Some(b'"') => Some(InBandFault { code: String::new(), message: parse(raw).unwrap_or_default() }),
            _ => None,
        }
    }
}

impl InBandFault {
    /// Reads an error object, of any dialect.
    pub(super) fn of(error: &Reply<'_>) -> Self {
        let text = |raw: Option<&RawValue>| raw.and_then(parse::<String>);
        Self {
            code: text(error.code).or_else(|| text(error.r#type)).unwrap_or_default(),
            message: text(error.message).unwrap_or_default(),
        }
    }
}

/// Token counts under the names of every dialect.
#[derive(Default, Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) input_tokens: Option<u64>,
    #[serde(default)]
    pub(super) output_tokens: Option<u64>,
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(super) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    pub(super) cache_read_input_tokens: Option<u64>,
}

/// Parses a member, or nothing if it is of another type.
pub(super) fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
