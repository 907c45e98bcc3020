//! Forgetting: on record first, then for good.

use control::{Document, Fault, FederatedChange, Federation, Source, View};
use terms::{Moment, PersonId};

use super::Vault;

/// The collection that says who was forgotten, and when.
const FORGOTTEN: &str = "vault.forgotten";
/// The collections whose documents are sealed for their owner, and unreadable once the owner is forgotten.
const SEALED: [&str; 2] = ["evidence", "scim.user"];
/// Forgotten people that one list names.
const LISTED: u32 = 1_000;

impl Vault {
    /// Forgets a person's personal values for good: it is recorded, what was sealed for them is dropped from the registry,
    /// and then their key is destroyed, so that what the ledger and older backups of the registry hold of it cannot be read.
    ///
    /// What the policy decides by stays, in private parts of the ledger. Blocks on the disk. A call that failed midway is made again;
    /// forgetting twice is no error.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`]; [`Fault::Conflict`] while the person can still use the service, since what their employer says
    /// of them could not be read any more; [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn forget(&self, federation: &Federation, person: &PersonId) -> Result<(), Fault> {
        if federation.read(|view| view.document(FORGOTTEN, person.as_str()))?.is_none() {
            federation.commit(&Source::own("vault.forget"), |view| changes(view, person))?;
        }
        Ok(self.destroy(person)?)
    }

    /// Lists who was forgotten and when, in order of id; at most 1,000.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`].
    pub fn forgotten(federation: &Federation) -> Result<Vec<(PersonId, Moment)>, Fault> {
        let kept = federation.read(|view| view.documents(FORGOTTEN, "", LISTED))?;
        Ok(kept.into_iter().filter_map(|kept| Some((kept.owner?, Moment::parse(&kept.body).ok()?))).collect())
    }
}

fn changes(view: &View<'_>, person: &PersonId) -> Result<Vec<FederatedChange>, Fault> {
    let known = view.person(person)?.ok_or_else(|| Fault::NotFound { what: "person", id: person.to_string() })?;
    if known.active {
        return Err(Fault::Conflict(format!("`{person}` can still use the service: withdraw their access first")));
    }
    let sealed = view.documents_of(person)?.into_iter();
    let sealed = sealed.filter(|document| SEALED.contains(&document.collection.as_str()));
    let gone = sealed.map(|Document { collection, id, .. }| FederatedChange::DocumentGone { collection, id });
    let (collection, id, body) = (FORGOTTEN.to_owned(), person.to_string(), view.now().to_string());
    let forgotten = Document { collection, id, owner: Some(person.clone()), terms: Vec::new(), body };
    Ok(gone.chain([FederatedChange::Document(forgotten)]).collect())
}
