//! The openings of the pseudonyms that are shown.

use std::collections::BTreeMap;

use ledger::Pseudonyms;
use proof::{
    entry::Class,
    production::{Name, NamesFile, Selection},
};

/// Openings by the class of a chain and the name of what it is about.
pub(crate) type Names = BTreeMap<(Class, String), [u8; 16]>;

/// Returns the names of the chain that is shown and of those whom the facts that are shown name.
pub(crate) fn names(pseudonyms: &Pseudonyms, selection: &Selection, mut found: Names) -> NamesFile {
    found.insert((selection.class, selection.name.clone()), pseudonyms.opening(&selection.name));
    let named = found.into_iter();
    NamesFile(named.map(|((class, name), opening)| Name { class, name, opening }).collect())
}
