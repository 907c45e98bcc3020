//! Settings as the registry keeps them: one document each.

use control::{Document, Fault, FederatedChange, FieldFault, View};
use serde::{Serialize, de::DeserializeOwned};

/// Settings of one kind that are read at once.
pub(crate) const PAGE: u32 = 1_000;

/// Returns the change that keeps `body` under an id, found by `terms` as well.
pub(crate) fn keep(
    collection: &str,
    id: &str,
    terms: Vec<String>,
    body: &impl Serialize,
) -> Result<FederatedChange, Fault> {
    let body = serde_json::to_string(body).map_err(|error| invalid("settings", error.to_string()))?;
    let (collection, id) = (collection.to_owned(), id.to_owned());
    Ok(FederatedChange::Document(Document { collection, id, owner: None, terms, body }))
}

/// Returns what is kept under an id.
pub(crate) fn kept<T: DeserializeOwned>(view: &View<'_>, collection: &str, id: &str) -> Result<Option<T>, Fault> {
    view.document(collection, id)?.map(|document| read(&document)).transpose()
}

/// Returns what is found by a term.
pub(crate) fn found<T: DeserializeOwned>(view: &View<'_>, collection: &str, term: &str) -> Result<Vec<T>, Fault> {
    view.find(collection, term)?.iter().map(read).collect()
}

/// Returns all of a collection, in order of id.
pub(super) fn all<T: DeserializeOwned>(view: &View<'_>, collection: &str) -> Result<Vec<T>, Fault> {
    let (mut read_so_far, mut after) = (Vec::new(), String::new());
    loop {
        let page = view.documents(collection, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(read_so_far) };
        after.clone_from(&last.id);
        for document in &page {
            read_so_far.push(read(document)?);
        }
    }
}

/// Returns the change by which nothing is kept under an id any more.
pub(super) fn gone(view: &View<'_>, collection: &str, what: &'static str, id: &str) -> Result<FederatedChange, Fault> {
    view.document(collection, id)?.ok_or_else(|| Fault::NotFound { what, id: id.to_owned() })?;
    Ok(FederatedChange::DocumentGone { collection: collection.to_owned(), id: id.to_owned() })
}

/// Names a setting that is wrong.
pub(crate) fn invalid(field: &str, detail: impl Into<String>) -> Fault {
    Fault::Invalid(vec![FieldFault::new(field, detail)])
}

/// Tells whether every word is a scope: visible ASCII without quotes (RFC 6749 section 3.3).
pub(crate) fn are_scopes(words: &[String]) -> bool {
    let is_scope = |word: &String| {
        (1..=64).contains(&word.len()) && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    words.len() <= 16 && words.iter().all(is_scope)
}

/// Returns what a document keeps.
pub(crate) fn read<T: DeserializeOwned>(document: &Document) -> Result<T, Fault> {
    let unreadable = |error: serde_json::Error| {
        let (collection, id) = (&document.collection, &document.id);
        invalid("settings", format!("`{id}` of `{collection}` cannot be read: {error}: register it again"))
    };
    serde_json::from_str(&document.body).map_err(unreadable)
}
