//! Every way an administrative act can fail, without having changed anything unless it says so.

use policy::{CompileFault, InstrumentFault};

use crate::{FollowError, Role, store::StoreError};

/// One wrong field of a request.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldFault {
    /// The field, as a path such as `owners[0]`; empty for the document as a whole.
    pub field: String,
    /// What is wrong and what to write instead.
    pub detail: String,
}

impl FieldFault {
    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn new(field: &str, detail: impl Into<String>) -> Self {
        Self { field: field.to_owned(), detail: detail.into() }
    }
}

impl From<CompileFault> for FieldFault {
    fn from(fault: CompileFault) -> Self {
        Self { field: fault.at, detail: fault.why }
    }
}

impl From<InstrumentFault> for FieldFault {
    fn from(fault: InstrumentFault) -> Self {
        let line = fault.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        Self { field: fault.at, detail: format!("{line}{}", fault.why) }
    }
}

impl From<InstrumentFault> for Fault {
    fn from(fault: InstrumentFault) -> Self {
        Self::Invalid(fault.each().map(FieldFault::from).collect())
    }
}

/// Why an administrative act was not done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The request does not parse, or a field's form is wrong; correct the named field.
    #[error("the request is not well formed")]
    Malformed(FieldFault),
    /// The request parses but may not be; correct every named field.
    #[error("the request cannot be accepted as it is")]
    Invalid(Vec<FieldFault>),
    /// What would be in force does not compile; nothing changed and the old rules stay in force.
    #[error("what would be in force does not compile; nothing was changed")]
    DoesNotCompile(Vec<FieldFault>),
    /// No token, or not one that is good now.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The actor's role does not include the act.
    #[error("this needs the role {needs}, and the token has the role `{has}`")]
    Forbidden {
        /// The roles that include it, in backticks.
        needs: String,
        /// The actor's role.
        has: Role,
    },
    /// The thing named in the path does not exist.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What must be proved before it goes live is not; each names what it is about and for whom it does not hold.
    #[error("what would be in force is not proved to hold; nothing was changed")]
    Unproved(Vec<FieldFault>),
    /// The act contradicts the present state; read it and decide again.
    #[error("{0}")]
    Conflict(String),
    /// Not enough people have approved the act; nothing was changed.
    #[error("this needs approvals that it does not have; nothing was changed")]
    Unapproved(Vec<FieldFault>),
    /// The ledger takes no entry now, so nothing may change; try again.
    #[error("nothing was changed, because the ledger takes no entry now: {0}")]
    Unrecorded(#[from] ledger::Unavailable),
    /// The entry at this index is durable, but the registry could not follow it yet.
    ///
    /// The change is made before the next change, or at the next start. Do not send it again.
    #[error("entry {index} records the change, but the registry could not take it yet: {source}")]
    Behind {
        /// The index of the entry.
        index: u64,
        /// What the registry said.
        source: StoreError,
    },
    /// The registry still lags behind the ledger and takes no change before it has followed; try again.
    #[error("the registry lags behind the ledger: {0}")]
    Follow(#[from] FollowError),
    /// The registry could not be read; nothing was changed.
    #[error("the registry is not available: {0}")]
    Store(#[from] StoreError),
    /// The ledger could not be read.
    #[error("the ledger cannot show that: {0}")]
    Lookup(#[from] ledger::LookupError),
    /// The operating system has no randomness; nothing was changed.
    #[error("the operating system has no randomness to give: {0}")]
    Random(#[from] getrandom::Error),
    /// The answer cannot be written; what was asked for was done all the same.
    #[error("the answer cannot be written: {0}")]
    Unwritable(#[source] serde_json::Error),
    /// The key is not destroyed, although it is on record that it was to be: do it again.
    #[error("{0}")]
    NotErased(#[source] ledger::EraseError),
    /// No part of the server offers this here.
    #[error("{0}")]
    NotOffered(&'static str),
}

impl Fault {
    /// Returns each field or part that it names.
    pub(crate) fn fields(&self) -> &[FieldFault] {
        match self {
            Self::Malformed(field) => std::slice::from_ref(field),
            Self::Invalid(fields)
            | Self::DoesNotCompile(fields)
            | Self::Unproved(fields)
            | Self::Unapproved(fields) => fields,
            _ => &[],
        }
    }

    pub(crate) fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldFault::new(field, detail)])
    }

    pub(crate) fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub(crate) fn does_not_compile(faults: Vec<CompileFault>) -> Self {
        Self::DoesNotCompile(faults.into_iter().map(FieldFault::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_document_is_told_with_its_line() {
        let text = "{\n\"type\": \"directive/v1\",\n\"id\": 1,\n\"id\": 2,\n\"version\": 1,\n\"version\": 1}";
        let Err(fault) = policy::Directive::parse(text.as_bytes()) else {
            panic!("two ids parse");
        };
        let Fault::Invalid(told) = Fault::from(fault) else {
            panic!("another fault");
        };
        let expected = [("id", "line 4: there twice: keep one"), ("version", "line 6: there twice: keep one")];
        assert_eq!(told, expected.map(|(field, detail)| FieldFault::new(field, detail)));
    }
}
