//! `exeat schema`: the published JSON Schemas of the documents.

use policy::DocumentKind;

use super::Exit;
use crate::output;

/// Prints the JSON Schema (draft 2020-12) of one kind of document.
///
/// # Errors
///
/// Standard output is closed.
pub(crate) fn run(kind: DocumentKind) -> anyhow::Result<Exit> {
    output::line(policy::schema(kind).trim_end())?;
    Ok(Exit::Done)
}
