//! The directive desk: versions are filed, then applied; what is in force is stayed, vacated or lifted by a new version.

use policy::{Snapshot, SnapshotDocument};
use terms::InstrumentId;

use super::Changed;
use crate::{
    Admin, Fault, InstrumentKind, Turn,
    commit::Act,
    control::Registry,
    instrument::Instrument,
    store::{Filed, Store},
};

/// What an officer may do: directives and licenses.
#[derive(Clone, Copy)]
pub struct Officer<'a>(pub(super) &'a Admin<'a>);

/// One version of an instrument as the desk holds it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct InstrumentState {
    /// Its id.
    pub id: InstrumentId,
    /// Its version.
    pub version: u64,
    /// True once it took force; a later version may have replaced it since.
    pub applied: bool,
    /// The ledger entry that filed or applied it.
    pub entry: u64,
    /// The document.
    pub document: Instrument,
}

impl From<Filed> for InstrumentState {
    fn from(filed: Filed) -> Self {
        Self {
            id: filed.instrument.id().clone(),
            version: filed.instrument.version(),
            applied: filed.applied,
            entry: filed.entry,
            document: filed.instrument,
        }
    }
}

/// A version just filed or applied, with what to consider.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Placed {
    /// The version.
    #[serde(flatten)]
    pub state: InstrumentState,
    /// What an operator should read before applying it, about everything that would be in force with it.
    pub notices: Vec<Advice>,
}

/// Something that compiles and that an operator should nevertheless read.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Advice {
    /// The place, such as an instrument's id.
    pub at: String,
    /// What to consider.
    pub why: String,
}

impl Advice {
    /// Returns what there is to consider about a snapshot.
    pub(crate) fn about(snapshot: &Snapshot) -> Vec<Self> {
        let notices = snapshot.notices().into_iter();
        notices.map(|notice| Self { at: notice.at, why: notice.why }).collect()
    }
}

impl Officer<'_> {
    /// Files a document as the next version of its id. It takes no force, but must compile as if it did.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] with the place in the document, [`Fault::Conflict`] if the version is not exactly one more
    /// than the last, [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn file(&self, kind: InstrumentKind, json: &[u8]) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let instrument = next_version(&registry.store, kind, json)?;
        let trial = self.document_with(instrument.clone());
        let trial = Snapshot::compile(trial).map_err(Fault::does_not_compile)?;
        let record = instrument.record();
        let code = file_code(kind);
        let changed = self.0.commit(&mut registry, code, record, ())?;
        Ok(changed.of(instrument, false, &trial))
    }

    /// Files a document as the next version of its id and puts it in force in the same step.
    ///
    /// # Errors
    ///
    /// As [`Officer::file`]; nothing is filed either.
    pub fn file_and_apply(&self, kind: InstrumentKind, json: &[u8]) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let instrument = next_version(&registry.store, kind, json)?;
        self.enact(&mut registry, apply_code(kind), instrument)
    }

    /// Puts the latest filed version in force, which must be `version` if one is named.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it is in force already or is not the latest,
    /// [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn apply(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        version: Option<u64>,
    ) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let latest = registry.store.versions(kind, id)?.pop();
        let latest = latest.ok_or_else(|| Fault::not_found(kind.as_str(), id))?;
        let found = latest.instrument.version();
        if version.is_some_and(|wanted| wanted != found) {
            let detail = format!("the latest version of `{id}` is {found}: only that can be applied");
            return Err(Fault::Conflict(detail));
        }
        if latest.applied {
            let detail = format!("version {found} of `{id}` is already applied");
            return Err(Fault::Conflict(detail));
        }
        self.enact(&mut registry, apply_code(kind), latest.instrument)
    }

    /// Stays, vacates or lifts the instrument in force, by a new version of it that takes force at once.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it was never applied or a filed version waits,
    /// [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn turn(&self, kind: InstrumentKind, id: &InstrumentId, turn: Turn) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let latest = registry.store.versions(kind, id)?.pop();
        let latest = latest.ok_or_else(|| Fault::not_found(kind.as_str(), id))?;
        if !latest.applied {
            let version = latest.instrument.version();
            let detail = format!("version {version} of `{id}` is filed and not applied: apply it first");
            return Err(Fault::Conflict(detail));
        }
        let turned = latest.instrument.turned(turn, self.0.now());
        self.enact(&mut registry, turn_code(kind, turn), turned)
    }

    fn enact(
        &self,
        registry: &mut Registry,
        code: &'static str,
        instrument: Instrument,
    ) -> Result<Changed<Placed>, Fault> {
        let document = self.document_with(instrument.clone());
        let act = Act::new(self.0.actor(), code);
        let receipt = self.0.inner.enact(registry, act, document)?;
        let snapshot = self.0.inner.snapshot();
        Ok(Changed::new(receipt, ()).of(instrument, true, &snapshot))
    }

    /// Returns what would be in force with `instrument`, under the next epoch.
    fn document_with(&self, instrument: Instrument) -> SnapshotDocument {
        let mut document = self.0.inner.snapshot().document().clone();
        document.epoch = document.epoch.saturating_add(1);
        instrument.put_into(&mut document);
        document
    }
}

impl Changed<()> {
    fn of(self, instrument: Instrument, applied: bool, snapshot: &Snapshot) -> Changed<Placed> {
        let entry = self.receipt;
        let filed = Filed { instrument, applied, entry };
        self.map(|()| Placed { state: filed.into(), notices: Advice::about(snapshot) })
    }
}

fn next_version(store: &Store, kind: InstrumentKind, json: &[u8]) -> Result<Instrument, Fault> {
    let instrument = Instrument::parse(kind, json).map_err(|fault| Fault::Invalid(vec![fault.into()]))?;
    let last = store.versions(kind, instrument.id())?.pop();
    let next = last.map_or(1, |last| last.instrument.version() + 1);
    if instrument.version() != next {
        let (id, found) = (instrument.id(), instrument.version());
        let detail = format!("`version` of `{id}` must be {next}, and it is {found}");
        return Err(Fault::Conflict(detail));
    }
    Ok(instrument)
}

fn file_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.file",
        InstrumentKind::License => "license.file",
    }
}

fn apply_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.apply",
        InstrumentKind::License => "license.apply",
    }
}

fn turn_code(kind: InstrumentKind, turn: Turn) -> &'static str {
    match (kind, turn) {
        (InstrumentKind::Directive, Turn::Stay) => "directive.stay",
        (InstrumentKind::Directive, Turn::Vacate) => "directive.vacate",
        (InstrumentKind::Directive, Turn::Lift) => "directive.lift",
        (InstrumentKind::License, Turn::Stay) => "license.stay",
        (InstrumentKind::License, Turn::Vacate) => "license.vacate",
        (InstrumentKind::License, Turn::Lift) => "license.lift",
    }
}
