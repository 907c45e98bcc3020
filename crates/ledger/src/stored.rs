//! An entry as it is kept, with as much of its private part as can be shown.

use bytes::Bytes;
use proof::commit::{Field, Openings};

/// An entry as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub leaf: Vec<u8>,
    /// Its private part.
    pub private: Private,
    /// Field 1 of the entry that has the facts of this one's decision, if it names one.
    pub(crate) facts: Option<Bytes>,
}

/// The private part of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Private {
    /// Every field with value and salt, checked against the commitment; no fields if the entry commits to nothing.
    Open(Openings),
    /// The key was destroyed: nobody can have it again.
    Withheld,
}

impl Stored {
    /// Returns field 1: facts, document, change or act. For an entry that refers to an earlier one for the facts of its
    /// decision, it is that one's. `None` if there is none, or it is withheld.
    #[must_use]
    pub fn main(&self) -> Option<&[u8]> {
        self.facts.as_deref().or_else(|| self.field(Field::Main))
    }

    /// Returns a field of the entry's own private part; `None` if there is none, or it is withheld.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<&[u8]> {
        self.private.openings()?.value(field).map(AsRef::as_ref)
    }
}

impl Private {
    /// Returns the fields with values and salts; `None` if they are withheld.
    #[must_use]
    pub fn openings(&self) -> Option<&Openings> {
        match self {
            Self::Open(openings) => Some(openings),
            Self::Withheld => None,
        }
    }
}
