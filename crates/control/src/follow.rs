//! Brings the registry up to the ledger, which is the source of truth.

use ledger::{Entries, Ledger, LookupError};
use policy::SnapshotDocument;
use proof::entry::{Entry, Kind};

use crate::{
    commit::CUSTODY,
    production::Custody,
    record::{Envelope, Record},
    store::{Store, StoreError},
};

/// The registry cannot be brought up to the ledger.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The ledger cannot be read.
    #[error("cannot read entry {index} of the ledger: {source}")]
    Lookup {
        /// The entry.
        index: u64,
        /// What the ledger said.
        source: LookupError,
    },
    /// An entry does not hold what its kind says; a person must look.
    #[error("entry {index} of the ledger cannot be applied to the registry: {why}")]
    Entry {
        /// The entry.
        index: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The registry cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one entry brought.
#[derive(Debug)]
pub(crate) enum Followed {
    Record(Box<Record>),
    Snapshot(Box<SnapshotDocument>),
}

/// Applies every durable entry that the registry has not seen; returns what they brought, in order.
///
/// A crash here leaves a registry that has followed up to some entry; calling again goes on from there.
pub(crate) fn follow(store: &mut Store, ledger: &Ledger) -> Result<Vec<Followed>, FollowError> {
    let (from, until) = (store.next_entry()?, ledger.health().durable);
    let mut brought = Vec::new();
    let mut entries = ledger.reader().entries(from).map_err(|source| FollowError::Lookup { index: from, source })?;
    for index in from..until {
        brought.extend(follow_one(store, ledger, &mut entries, index)?);
    }
    store.pass(until)?;
    Ok(brought)
}

/// Applies the next entry, which is that at `index`. Of calls, which are nearly all there is, nothing is opened.
fn follow_one(
    store: &mut Store,
    ledger: &Ledger,
    entries: &mut Entries,
    index: u64,
) -> Result<Option<Followed>, FollowError> {
    let lookup = |source| FollowError::Lookup { index, source };
    let unopened = entries.next_unopened().unwrap_or(Err(LookupError::Unknown(index))).map_err(lookup)?;
    let entry = Entry::decode(unopened.leaf()).map_err(|error| bad(index, &error))?;
    if !matches!(entry.kind, Kind::Registry | Kind::Admin | Kind::Snapshot) {
        return Ok(None);
    }
    let stored = entries.open(unopened).map_err(lookup)?;
    // What was destroyed with its subject's key is as if it had never been registered.
    let Some(private) = stored.main() else {
        return Ok(None);
    };
    match entry.kind {
        Kind::Registry => follow_record(store, ledger, index, private).map(Some),
        Kind::Admin if carries_record(&entry) => follow_record(store, ledger, index, private).map(Some),
        Kind::Admin if entry.code.as_deref() == Some(CUSTODY) => {
            follow_custody(store, index, private)?;
            Ok(None)
        }
        Kind::Snapshot => follow_snapshot(store, index, &entry, private).map(Some),
        _ => Ok(None),
    }
}

/// Of the entries about administrators, those that change a token, an approver or a hold, request a production, approve, or
/// break the glass.
fn carries_record(entry: &Entry) -> bool {
    let (noun, verb) = entry.code.as_deref().and_then(|code| code.split_once('.')).unwrap_or_default();
    ["admin_token", "approver", "production", "hold"].contains(&noun)
        || ["approve", "break_glass", "break_glass_end"].contains(&verb)
}

fn follow_record(store: &mut Store, ledger: &Ledger, index: u64, private: &[u8]) -> Result<Followed, FollowError> {
    let Envelope { actor, change, .. } = Envelope::parse(private).map_err(|error| bad(index, &error))?;
    match store.apply(index, &actor, &change) {
        Err(error) if error.refers_to_nothing() && outlived(ledger, &change) => {
            store.apply_known(index, &actor, &change)?;
        }
        applied => applied?,
    }
    Ok(Followed::Record(Box::new(change)))
}

/// Tells whether a change is about somebody of whom something was destroyed: what it refers to may be among that.
fn outlived(ledger: &Ledger, change: &Record) -> bool {
    let mut subjects = change.parts().iter().filter_map(Record::subject);
    subjects.any(|subject| ledger.has_erased(&ledger.pseudonym(&subject)))
}

fn follow_custody(store: &mut Store, index: u64, private: &[u8]) -> Result<(), FollowError> {
    let custody: Custody = serde_json::from_slice(private).map_err(|error| bad(index, &error))?;
    let id = custody.production().ok_or_else(|| bad(index, &"it has no approvals"))?;
    Ok(store.apply_custody(index, id)?)
}

fn follow_snapshot(store: &mut Store, index: u64, entry: &Entry, private: &[u8]) -> Result<Followed, FollowError> {
    let document: SnapshotDocument = serde_json::from_slice(private).map_err(|error| bad(index, &error))?;
    let digest = entry.snapshot.ok_or_else(|| bad(index, &"it names no snapshot"))?;
    store.apply_snapshot(index, &digest, &document)?;
    Ok(Followed::Snapshot(Box::new(document)))
}

fn bad(index: u64, why: &dyn std::fmt::Display) -> FollowError {
    FollowError::Entry { index, why: why.to_string() }
}
