//! The directive desk: versions are filed, approved, then applied; what is in force is stayed, vacated or lifted by a
//! new version.

use policy::{Snapshot, SnapshotDocument, Status};
use terms::{InstrumentId, Moment};

use super::Changed;
use crate::{
    Admin, Approval, BreakGlass, Change, Fault, FieldFault, InstrumentKind, Turn,
    amend::diff,
    approval::document_sha256,
    commit::Act,
    control::{Inner, Registry},
    instrument::Instrument,
    store::{Filed, Store, StoreError},
    supersede::superseded,
};

/// What an officer may do: directives and licenses.
#[derive(Clone, Copy)]
pub struct Officer<'a> {
    pub(super) admin: &'a Admin<'a>,
    unproved: Option<&'a str>,
}

impl<'a> Officer<'a> {
    pub(super) fn new(admin: &'a Admin<'a>) -> Self {
        Self { admin, unproved: None }
    }

    /// Lets what is put in force go live even if its invariants are not proved, for a reason that is recorded.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] unless the reason has 10 to 500 characters.
    pub fn without_proofs(self, reason: &'a str) -> Result<Self, Fault> {
        let count = reason.trim().chars().count();
        if !(10..=500).contains(&count) || reason.chars().any(char::is_control) {
            return Err(Fault::invalid(
                "without_proofs",
                "must be 10 to 500 characters: say why it goes live unproved",
            ));
        }
        Ok(Self { unproved: Some(reason), ..self })
    }
}

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
    /// Who filed it, as the record names actors; `None` if it was put in force without being filed first.
    pub proposer: Option<String>,
    /// Who approved it, in order of approver, with what they signed.
    pub approvals: Vec<Approval>,
    /// How it came into force without its approvals, if it did.
    pub break_glass: Option<BreakGlass>,
    /// The document.
    pub document: Instrument,
}

impl InstrumentState {
    /// Returns a version with what was approved of it.
    pub(crate) fn read(store: &Store, filed: Filed) -> Result<Self, StoreError> {
        let (kind, id, version) = (filed.instrument.kind(), filed.instrument.id(), filed.instrument.version());
        Ok(Self {
            approvals: store.approvals(kind, id, version)?,
            break_glass: store.break_glass(kind, id, version)?,
            id: id.clone(),
            version,
            applied: filed.applied,
            entry: filed.entry,
            proposer: filed.proposer,
            document: filed.instrument,
        })
    }
}

/// A version just filed or applied, with what to consider.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Placed {
    /// The version.
    #[serde(flatten)]
    pub state: InstrumentState,
    /// What differs from the version that governed; nothing if none ever did.
    pub changes: Vec<Change>,
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

/// What a version brings beside itself.
struct News {
    changes: Vec<Change>,
    put_aside: Vec<Advice>,
}

impl Advice {
    fn put_aside(held: &Instrument, by: u64) -> Self {
        let why = format!(
            "version {}, which was to govern from {}, will not: version {by} takes its place",
            held.version(),
            held.status_since()
        );
        Self { at: held.id().to_string(), why }
    }

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
        let mut registry = self.admin.inner.registry()?;
        let instrument = next_version(&registry.store, kind, json)?;
        self.propose(&mut registry, instrument)
    }

    /// Files a document as the next version of its id and puts it in force in the same step, where no approval is
    /// needed.
    ///
    /// # Errors
    ///
    /// As [`Officer::file`], and [`Fault::Unapproved`] where approvals are needed; nothing is filed either.
    pub fn file_and_apply(&self, kind: InstrumentKind, json: &[u8]) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let instrument = next_version(&registry.store, kind, json)?;
        let inner = self.admin.inner;
        if !inner.desk.is_single_person() {
            let detail =
                format!("{} are needed: file the document, have it approved, then apply it", inner.desk.approvals);
            return Err(Fault::Unapproved(vec![FieldFault::new("approvals", detail)]));
        }
        self.enact(&mut registry, instrument, Vec::new())
    }

    /// Puts the latest filed version in force, which must be `version` if one is named and have its approvals.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it is in force already or is not the latest, [`Fault::Unapproved`],
    /// [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn apply(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        version: Option<u64>,
    ) -> Result<Changed<Placed>, Fault> {
        self.prove_ahead(|registry| {
            let waiting = waiting(&registry.store, kind, id, version)?;
            self.admin.inner.check_approved(&registry.store, &waiting)?;
            Ok(waiting.instrument)
        })?;
        let mut registry = self.admin.inner.registry()?;
        let waiting = waiting(&registry.store, kind, id, version)?;
        self.admin.inner.check_approved(&registry.store, &waiting)?;
        self.enact(&mut registry, waiting.instrument, Vec::new())
    }

    /// Stays, vacates or lifts the instrument in force, by a new version of it. Where no approval is needed it takes
    /// force at once; elsewhere it is filed, to be approved and applied.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it was never applied or a filed version waits,
    /// [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn turn(&self, kind: InstrumentKind, id: &InstrumentId, turn: Turn) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let turned = self.turned(&registry, kind, id, turn)?;
        match self.admin.inner.desk.is_single_person() {
            true => self.enact(&mut registry, turned, Vec::new()),
            false => self.propose(&mut registry, turned),
        }
    }

    /// Files what an earlier version said as the next version, as of now; where no approval is needed it takes force at
    /// once. Nothing on record is changed: an instrument is only ever amended.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Invalid`] naming `to` if that version does not exist or never took force,
    /// [`Fault::DoesNotCompile`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn roll_back(&self, kind: InstrumentKind, id: &InstrumentId, to: u64) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let versions = registry.store.versions(kind, id)?;
        let latest = versions.last().ok_or_else(|| Fault::not_found(kind.as_str(), id))?.instrument.version();
        let earlier = versions.iter().find(|filed| filed.applied && filed.instrument.version() == to);
        let earlier = earlier.ok_or_else(|| Fault::invalid("to", "must be a version that was applied"))?;
        let (next, status) = (latest.saturating_add(1), earlier.instrument.status());
        let again = reissued(&earlier.instrument, next, status, self.admin.now())?;
        match self.admin.inner.desk.is_single_person() {
            true => self.enact(&mut registry, again, Vec::new()),
            false => self.propose(&mut registry, again),
        }
    }

    /// Returns the next version of an instrument: what governs now, with the status that the turn gives it.
    pub(super) fn turned(
        &self,
        registry: &Registry,
        kind: InstrumentKind,
        id: &InstrumentId,
        turn: Turn,
    ) -> Result<Instrument, Fault> {
        let latest = registry.store.versions(kind, id)?.pop();
        let latest = latest.ok_or_else(|| Fault::not_found(kind.as_str(), id))?;
        let version = latest.instrument.version();
        let (snapshot, now) = (self.admin.inner.snapshot(), self.admin.now());
        let governing = Instrument::governing(snapshot.document(), kind, id, now).filter(|_| latest.applied);
        let Some(governing) = governing else {
            let detail = format!("version {version} of `{id}` is filed and not applied: apply it first");
            return Err(Fault::Conflict(detail));
        };
        let turned = governing.turned(version.saturating_add(1), turn, now);
        turned.map_err(|fault| Fault::Invalid(vec![fault.into()]))
    }

    /// Records a version that waits.
    fn propose(&self, registry: &mut Registry, instrument: Instrument) -> Result<Changed<Placed>, Fault> {
        let together = self.with_superseded(registry, &instrument)?;
        let trial = self.admin.inner.document_with(together);
        let trial = Snapshot::compile(trial).map_err(Fault::does_not_compile)?;
        let news = self.news(&instrument);
        let changed = self.admin.commit(registry, file_code(instrument.kind()), instrument.record(), ())?;
        self.placed(registry, changed, &instrument, news, &trial)
    }

    /// Puts a version in force, and with it what it supersedes and later versions `to_come`, all in one snapshot.
    pub(super) fn enact(
        &self,
        registry: &mut Registry,
        instrument: Instrument,
        to_come: Vec<Instrument>,
    ) -> Result<Changed<Placed>, Fault> {
        let after = self.ready(registry, &instrument, &to_come)?;
        self.put(registry, instrument, &to_come, after)
    }

    /// Proves what `find` would put in force while others may change the registry: a proof takes seconds.
    fn prove_ahead(&self, find: impl FnOnce(&Registry) -> Result<Instrument, Fault>) -> Result<(), Fault> {
        let inner = self.admin.inner;
        let together = {
            let registry = inner.registry()?;
            self.with_superseded(&registry, &find(&registry)?)?
        };
        let after = Snapshot::compile(inner.document_with(together)).map_err(Fault::does_not_compile)?;
        inner.prove_ahead(&inner.snapshot(), &after)
    }

    /// Compiles what would be in force with a version and later ones, and lets it pass the gate.
    pub(super) fn ready(
        &self,
        registry: &Registry,
        instrument: &Instrument,
        to_come: &[Instrument],
    ) -> Result<Snapshot, Fault> {
        let inner = self.admin.inner;
        let together = [&self.with_superseded(registry, instrument)?, to_come].concat();
        let after = Snapshot::compile(inner.document_with(together)).map_err(Fault::does_not_compile)?;
        let act = Act::new(self.admin.actor(), act_code(instrument));
        inner.check_restorable(after.document())?;
        inner.gate(act, &inner.snapshot(), &after, self.unproved)?;
        Ok(after)
    }

    /// Puts in force what passed the gate.
    pub(super) fn put(
        &self,
        registry: &mut Registry,
        instrument: Instrument,
        to_come: &[Instrument],
        after: Snapshot,
    ) -> Result<Changed<Placed>, Fault> {
        let mut news = self.news(&instrument);
        if !to_come.is_empty() {
            news.put_aside.clear();
        }
        let act = Act::new(self.admin.actor(), act_code(&instrument));
        let receipt = self.admin.inner.enact(registry, act, after)?;
        self.admin.inner.settle_glass(registry);
        let snapshot = self.admin.inner.snapshot();
        self.placed(registry, Changed::new(receipt, ()), &instrument, news, &snapshot)
    }

    /// Returns what a version changes where another governs, and which versions it puts aside.
    fn news(&self, instrument: &Instrument) -> News {
        let (snapshot, now) = (self.admin.inner.snapshot(), self.admin.now());
        let (document, kind, id) = (snapshot.document(), instrument.kind(), instrument.id());
        let governing = Instrument::governing(document, kind, id, now);
        let mut aside = Instrument::to_come(document, kind, id, now);
        aside.retain(|held| held.status_since() >= instrument.status_since());
        News {
            changes: governing.map_or_else(Vec::new, |governing| diff(&governing.json(), &instrument.json())),
            put_aside: aside.iter().map(|held| Advice::put_aside(held, instrument.version())).collect(),
        }
    }

    fn with_superseded(&self, registry: &Registry, instrument: &Instrument) -> Result<Vec<Instrument>, Fault> {
        let snapshot = self.admin.inner.snapshot();
        let old = superseded(&registry.store, snapshot.document(), instrument, self.admin.now())?;
        Ok(old.into_iter().chain([instrument.clone()]).collect())
    }

    fn placed(
        &self,
        registry: &Registry,
        changed: Changed<()>,
        instrument: &Instrument,
        news: News,
        snapshot: &Snapshot,
    ) -> Result<Changed<Placed>, Fault> {
        let filed = registry.store.versions(instrument.kind(), instrument.id())?;
        let filed = filed.into_iter().find(|filed| filed.instrument.version() == instrument.version());
        let filed = filed.ok_or_else(|| Fault::not_found(instrument.kind().as_str(), instrument.id()))?;
        let state = InstrumentState::read(&registry.store, filed)?;
        let notices = [news.put_aside, Advice::about(snapshot)].concat();
        Ok(changed.map(|()| Placed { state, changes: news.changes, notices }))
    }
}

impl Inner {
    /// Returns what would be in force with these versions, under the next epoch.
    pub(super) fn document_with(&self, instruments: impl IntoIterator<Item = Instrument>) -> SnapshotDocument {
        let mut document = self.snapshot().document().clone();
        document.epoch = document.epoch.saturating_add(1);
        let now = self.clock.now();
        instruments.into_iter().for_each(|instrument| instrument.put_into(&mut document, now));
        document
    }
}

/// Returns the latest version, if it waits to be applied and is `version`, if one is named.
pub(super) fn waiting(
    store: &Store,
    kind: InstrumentKind,
    id: &InstrumentId,
    version: Option<u64>,
) -> Result<Filed, Fault> {
    let latest = store.versions(kind, id)?.pop();
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
    Ok(latest)
}

/// Returns a version that says what `instrument` says, under another number and with a status as of `at`.
pub(super) fn reissued(instrument: &Instrument, version: u64, status: Status, at: Moment) -> Result<Instrument, Fault> {
    instrument.reissued(version, status, at).map_err(|fault| Fault::Invalid(vec![fault.into()]))
}

fn next_version(store: &Store, kind: InstrumentKind, json: &[u8]) -> Result<Instrument, Fault> {
    let instrument = Instrument::parse(kind, json)?;
    document_sha256(&instrument.json()).map_err(|why| Fault::invalid("document", why.to_string()))?;
    let last = store.versions(kind, instrument.id())?.pop();
    let next = last.map_or(0, |last| last.instrument.version()).saturating_add(1);
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

/// Names the act that puts a version in force, by the status that it has.
fn act_code(instrument: &Instrument) -> &'static str {
    match (instrument.kind(), instrument.status()) {
        (InstrumentKind::Directive, Status::Stayed) => "directive.stay",
        (InstrumentKind::Directive, Status::Vacated) => "directive.vacate",
        (InstrumentKind::Directive, Status::Lifted) => "directive.lift",
        (InstrumentKind::Directive, _) => "directive.apply",
        (InstrumentKind::License, Status::Stayed) => "license.stay",
        (InstrumentKind::License, Status::Vacated) => "license.vacate",
        (InstrumentKind::License, Status::Lifted) => "license.lift",
        (InstrumentKind::License, _) => "license.apply",
    }
}
