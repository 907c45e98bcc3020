//! What was in force, as known at a moment.

use std::collections::BTreeMap;

use policy::{Directive, License, Snapshot, SnapshotDocument};
use proof::entry::Kind;
use terms::{InstrumentId, Moment};

use super::{
    History,
    scan::{self, Found},
};
use crate::Fault;

/// The snapshot in force as known at a moment, fit to be asked about any time.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Compiled; with the earlier versions of its instruments, so that it answers for the time before the latest too.
    pub(crate) snapshot: Snapshot,
    /// The digest of the snapshot as recorded.
    pub(crate) digest: [u8; 32],
    /// The entry that put it in force.
    pub(crate) entry: u64,
    /// When that was.
    pub(crate) since: Moment,
    /// False if earlier versions exist that could not be added; it then answers only for the time since the latest.
    pub(crate) has_past: bool,
}

impl History<'_> {
    /// Returns what was in force as known at a moment.
    pub(crate) fn in_force(self, known_at: Moment) -> Result<InForce, Fault> {
        self.check_known_at(known_at)?;
        let mut known: Vec<(Found, SnapshotDocument)> = Vec::new();
        for entry in self.snapshot_entries()? {
            let found = scan::entry(&self.inner.ledger, entry)?;
            if found.at() > known_at {
                break;
            }
            let document = document(&found)?;
            known.push((found, document));
        }
        let Some((last, current)) = known.pop() else {
            let detail = "nothing was in force yet: the log had begun, and no snapshot was recorded";
            return Err(Fault::invalid("known_at", detail));
        };
        let earlier = known.into_iter().map(|(_, document)| document);
        let (snapshot, has_past) = with_past(current, earlier)?;
        Ok(InForce {
            snapshot,
            digest: last.entry.snapshot.unwrap_or_default(),
            entry: last.index,
            since: last.at(),
            has_past,
        })
    }

    /// Returns the snapshot that an entry names by its digest.
    pub(super) fn snapshot(self, digest: &[u8; 32]) -> Result<Snapshot, Fault> {
        for entry in self.snapshot_entries()?.into_iter().rev() {
            let found = scan::entry(&self.inner.ledger, entry)?;
            if found.entry.snapshot == Some(*digest) {
                return Snapshot::compile(document(&found)?).map_err(Fault::does_not_compile);
            }
        }
        Err(Fault::not_found("snapshot", proof::hex(digest)))
    }

    /// Returns the index of every entry that put a snapshot in force, in order; the registry knows them by epoch.
    fn snapshot_entries(self) -> Result<Vec<u64>, Fault> {
        let registry = self.inner.peek();
        let epochs = 1..=self.inner.snapshot().epoch();
        let entries = epochs.map(|epoch| registry.store.snapshot_entry(epoch)).collect::<Result<Vec<_>, _>>()?;
        Ok(entries.into_iter().flatten().collect())
    }
}

fn document(found: &Found) -> Result<SnapshotDocument, Fault> {
    let document = (found.entry.kind == Kind::Snapshot).then(|| serde_json::from_slice(&found.private).ok()).flatten();
    document.ok_or(Fault::Lookup(ledger::LookupError::Damaged(found.index)))
}

/// Compiles a snapshot with the earlier versions of its instruments. Where they do not compile together, as when an
/// earlier license waived what has become a prohibition, it is compiled without them.
fn with_past(
    current: SnapshotDocument,
    earlier: impl Iterator<Item = SnapshotDocument>,
) -> Result<(Snapshot, bool), Fault> {
    let mut whole = current.clone();
    let (mut directives, mut licenses) = (BTreeMap::new(), BTreeMap::new());
    for document in earlier {
        directives.extend(document.directives.into_iter().map(|d| ((d.id().clone(), d.version()), d)));
        licenses.extend(document.licenses.into_iter().map(|l| ((l.id().clone(), l.version()), l)));
    }
    whole.directives.extend(before(&current.directives, directives, Directive::id, Directive::version));
    whole.licenses.extend(before(&current.licenses, licenses, License::id, License::version));
    match Snapshot::compile(whole) {
        Ok(snapshot) => Ok((snapshot, true)),
        Err(_) => Snapshot::compile(current).map(|snapshot| (snapshot, false)).map_err(Fault::does_not_compile),
    }
}

/// Keeps of earlier versions those below the lowest version of an instrument that is still there. An instrument or a
/// version that was taken back does not return.
fn before<T>(
    current: &[T],
    earlier: BTreeMap<(InstrumentId, u32), T>,
    id: impl Fn(&T) -> &InstrumentId,
    version: impl Fn(&T) -> u32,
) -> Vec<T> {
    let lowest = |wanted: &InstrumentId| current.iter().filter(|item| id(item) == wanted).map(&version).min();
    let is_before = |id: &InstrumentId, version: u32| lowest(id).is_some_and(|lowest| version < lowest);
    earlier.into_iter().filter(|((id, version), _)| is_before(id, *version)).map(|(_, item)| item).collect()
}
