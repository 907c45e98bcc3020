//! What a fuzzer may reach of this crate's parsers: what a writer remembers of a production that it has not finished.

use crate::{Survey, files::State};

/// Reads which steps are done, and returns that as it is written; `None` if the bytes do not say.
#[must_use]
pub fn state(bytes: &[u8]) -> Option<Vec<u8>> {
    let state: State = serde_json::from_slice(bytes).ok()?;
    serde_json::to_vec(&state).ok()
}

/// Reads what belongs to a production, and returns that as it is written; `None` if the bytes do not say.
#[must_use]
pub fn survey(bytes: &[u8]) -> Option<Vec<u8>> {
    let survey: Survey = serde_json::from_slice(bytes).ok()?;
    serde_json::to_vec(&survey).ok()
}
