//! What stands in the private parts of a log, as an auditor reads it.

use std::collections::BTreeSet;

use policy::Facts;
use proof::{
    entry::{Entry, Kind},
    production::Custody,
};

/// Facts that the verifier reads are written as facts that it reads to the same.
pub(crate) fn facts(bytes: &[u8]) {
    let read = serde_json::from_slice::<Facts>(bytes);
    assert!(read.is_ok() || !verifier::fuzzing::facts(bytes));
    if let Ok(facts) = read {
        let again = serde_json::to_vec(&facts).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Facts>(&again).ok().as_ref(), Some(&facts));
    }
}

/// In a snapshot document that compiles, the desk finds what is in force.
pub(crate) fn snapshot_document(bytes: &[u8]) {
    let (compiles, has_documents) = verifier::fuzzing::snapshot(bytes);
    assert!(!compiles || has_documents);
}

/// A change at the desk is taken or not.
pub(crate) fn desk_record(bytes: &[u8]) {
    let _is_taken = verifier::fuzzing::desk_record(bytes);
}

/// What a start says is read or not.
pub(crate) fn start_note(bytes: &[u8]) {
    let _is_one = verifier::fuzzing::start_note(bytes);
}

/// What a genesis says is read or not.
pub(crate) fn genesis(bytes: &[u8]) {
    let _is_one = verifier::fuzzing::genesis(bytes);
}

/// A custody entry that is good has at least two approvers, who have nothing in common.
pub(crate) fn custody(bytes: &[u8]) {
    if let Some(custody) = read_custody(bytes) {
        let approvers = &custody.approvers;
        let names: BTreeSet<_> = approvers.iter().map(|by| &by.name).collect();
        let roles: BTreeSet<_> = approvers.iter().map(|by| &by.role).collect();
        let keys: BTreeSet<_> = approvers.iter().map(|by| &by.key).collect();
        assert!(approvers.len() >= 2);
        assert_eq!([names.len(), roles.len(), keys.len()], [approvers.len(); 3]);
    }
}

/// Reads the private part of a custody entry of the beginning of 1970, when every approval still counts.
pub(crate) fn read_custody(bytes: &[u8]) -> Option<Custody> {
    let entry = Entry { code: Some("custody.export".to_owned()), ..Entry::new(Kind::Admin) };
    Custody::check(&entry, bytes).ok()
}
