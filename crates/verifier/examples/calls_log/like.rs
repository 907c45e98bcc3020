//! Calls that a gateway recorded, to make others like them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use ledger::{Chain, Reader, Stored};
use policy::{Facts, Snapshot, SnapshotDocument};
use proof::{
    commit::{Field, Fields},
    entry::{Entry, Kind, Outcome},
    note::VerifierKey,
};
use terms::Moment;

use crate::Failure;

/// What was in force, and the calls that were completed under it.
pub(crate) struct Like {
    pub(crate) origin: String,
    pub(crate) snapshot: Snapshot,
    pub(crate) calls: Vec<Call>,
}

/// One call: its opening and closing entries, with their private parts but the facts.
pub(crate) struct Call {
    pub(crate) open: Entry,
    pub(crate) close: Entry,
    pub(crate) open_fields: Fields,
    pub(crate) close_fields: Fields,
    pub(crate) chains: Arc<[Chain]>,
    facts: Facts,
}

impl Call {
    /// Returns the facts as they would be recorded at a time.
    pub(crate) fn facts_at(&self, at: Moment) -> Result<Vec<u8>, Failure> {
        Ok(serde_json::to_vec(&Facts { at, ..self.facts.clone() })?)
    }

    /// Returns the facts as they were recorded.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// Reads a log for its last snapshot and the calls under it.
pub(crate) fn read(dir: &Path) -> Result<Like, Failure> {
    let reader = Reader::open(dir)?;
    let origin = reader.verifier_key()?.parse::<VerifierKey>()?.name().to_owned();
    let (mut document, mut opened, mut calls) = (None, BTreeMap::new(), Vec::new());
    for stored in reader.entries(0)? {
        let stored = stored?;
        let entry = Entry::decode(&stored.leaf)?;
        match entry.kind {
            Kind::Snapshot => {
                document = stored.field(Field::Main).map(<[u8]>::to_vec);
                opened.clear();
                calls.clear();
            }
            Kind::Open => drop(opened.insert(stored.index, (entry, stored))),
            Kind::Close if entry.outcome == Some(Outcome::Completed) => {
                let open = entry.opened.and_then(|index| opened.remove(&index));
                calls.extend(open.map(|open| call(open, (entry, stored))).transpose()?);
            }
            _ => {}
        }
    }
    let document = document.ok_or("the log has no snapshot with its document")?;
    let parsed: SnapshotDocument = serde_json::from_slice(&document)?;
    let snapshot = Snapshot::compile(parsed).map_err(|_| "the log's snapshot does not compile")?;
    if calls.is_empty() {
        return Err("the log has no completed call under its last snapshot".into());
    }
    Ok(Like { origin, snapshot, calls })
}

fn call((open, opened): (Entry, Stored), (close, closed): (Entry, Stored)) -> Result<Call, Failure> {
    let chains = open.links.iter().flatten().map(|link| Chain { class: link.class, id: link.id }).collect();
    let facts = serde_json::from_slice(opened.main().ok_or("the facts of a call are withheld")?)?;
    Ok(Call { open_fields: without_main(&opened), close_fields: without_main(&closed), open, close, chains, facts })
}

fn without_main(stored: &Stored) -> Fields {
    let all = [Field::Request, Field::Response, Field::UpstreamId];
    let of = |field| Some((field, stored.field(field)?.to_vec().into()));
    all.into_iter().filter_map(of).collect()
}
