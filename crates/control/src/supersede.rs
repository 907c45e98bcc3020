//! An instrument that takes the place of another ends that other in the same snapshot.

use std::collections::BTreeSet;

use policy::{SnapshotDocument, Status};
use terms::{InstrumentId, Moment};

use crate::{Fault, instrument::Instrument, store::Store};

/// Returns the next version, superseded, of the instrument whose place `instrument` takes, if it takes one.
///
/// It is superseded from when `instrument` binds, and waits until then: no moment is without the one or the other. A
/// later version of an instrument that took the place already takes none.
///
/// # Errors
///
/// [`Fault::Invalid`] naming `supersedes`, if that instrument is unknown, of the other kind, already superseded or
/// vacated, or if each would take the place of the other.
pub(crate) fn superseded(
    store: &Store,
    in_force: &SnapshotDocument,
    instrument: &Instrument,
    now: Moment,
) -> Result<Option<Instrument>, Fault> {
    let governing = |id: &InstrumentId| Instrument::governing(in_force, instrument.kind(), id, now);
    let before = governing(instrument.id());
    let before = before.as_ref().and_then(Instrument::supersedes);
    let applies = instrument.status() == Status::InForce;
    check_begun(in_force, instrument, now)?;
    let Some(other) = instrument.supersedes().filter(|other| applies && before != Some(*other)) else {
        return Ok(None);
    };
    let old = governing(other)
        .ok_or_else(|| refused(format!("`{other}` is no {} that was applied here", instrument.kind().as_str())))?;
    if matches!(old.status(), Status::Superseded | Status::Vacated) {
        return Err(refused(format!("`{other}` is {} already", old.status().as_str())));
    }
    check_no_circle(instrument.id(), &old, &governing)?;
    let last = store.versions(old.kind(), other)?.pop().map_or(0, |filed| filed.instrument.version());
    let next = last.max(old.version()).saturating_add(1);
    let since = instrument.status_since().max(instrument.binds_at());
    let old = old.reissued(next, Status::Superseded, since).map_err(|fault| Fault::Invalid(vec![fault.into()]))?;
    Ok(Some(old))
}

/// Requires of a version that changes an instrument whose supersession of another is still to come that it binds no later
/// and is in force: else the other would end by itself while nothing has taken its place.
fn check_begun(in_force: &SnapshotDocument, instrument: &Instrument, now: Moment) -> Result<(), Fault> {
    let held = Instrument::governing(in_force, instrument.kind(), instrument.id(), now);
    let Some(other) = held.as_ref().and_then(Instrument::supersedes) else {
        return Ok(());
    };
    let to_come = Instrument::to_come(in_force, instrument.kind(), other, now);
    let ends = to_come.iter().find(|version| version.status() == Status::Superseded).map(Instrument::status_since);
    let takes_over = |ends: &Moment| {
        instrument.status() == Status::InForce && instrument.status_since().max(instrument.binds_at()) <= *ends
    };
    match ends.filter(|ends| !takes_over(ends)) {
        None => Ok(()),
        Some(ends) => Err(refused(format!(
            "`{other}` ends at {ends} because this was to take its place: first put a next version of `{other}` in force, \
             which stays"
        ))),
    }
}

/// Requires that nothing whose place `old` took, directly or not, is `id`.
fn check_no_circle(
    id: &InstrumentId,
    old: &Instrument,
    governing: &dyn Fn(&InstrumentId) -> Option<Instrument>,
) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    let mut at = Some(old.clone());
    while let Some(held) = at.filter(|held| seen.insert(held.id().clone())) {
        if held.supersedes() == Some(id) {
            return Err(refused(format!("`{id}` and `{}` would each take the place of the other", old.id())));
        }
        at = held.supersedes().and_then(governing);
    }
    Ok(())
}

fn refused(detail: String) -> Fault {
    Fault::invalid("supersedes", detail)
}
