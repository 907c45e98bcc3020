//! Directives and licenses as the desk handles them: filed by version, then applied.

use policy::{Directive, InstrumentFault, License, SnapshotDocument, Status};
use serde_json::{Value, json};
use terms::{InstrumentId, Moment};

use crate::record::Record;

/// Which of the two kinds of instrument.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    /// An order.
    Directive,
    /// An authorization.
    License,
}

/// What happens to an instrument that is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// A court or the issuer suspends it.
    Stay,
    /// A court sets it aside.
    Vacate,
    /// Its issuer ends it.
    Lift,
}

impl InstrumentKind {
    /// Returns the noun, as the registry and the record spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directive => "directive",
            Self::License => "license",
        }
    }

    /// Returns the kind of a document whose `type` is such as `directive/v1`.
    #[must_use]
    pub fn of_type(text: &str) -> Option<Self> {
        let noun = text.split('/').next();
        [Self::Directive, Self::License].into_iter().find(|kind| noun == Some(kind.as_str()))
    }
}

/// One version of a directive or of a license.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub enum Instrument {
    /// A directive.
    Directive(Directive),
    /// A license.
    License(License),
}

impl Instrument {
    pub(crate) fn parse(kind: InstrumentKind, json: &[u8]) -> Result<Self, InstrumentFault> {
        match kind {
            InstrumentKind::Directive => Directive::parse(json).map(Self::Directive),
            InstrumentKind::License => License::parse(json).map(Self::License),
        }
    }

    /// Returns every instrument of a snapshot: directives first, each kind in order of id.
    pub(crate) fn all(document: &SnapshotDocument) -> impl Iterator<Item = Self> {
        let directives = document.directives.iter().cloned().map(Self::Directive);
        directives.chain(document.licenses.iter().cloned().map(Self::License))
    }

    /// Returns which kind it is.
    #[must_use]
    pub fn kind(&self) -> InstrumentKind {
        match self {
            Self::Directive(_) => InstrumentKind::Directive,
            Self::License(_) => InstrumentKind::License,
        }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &InstrumentId {
        match self {
            Self::Directive(directive) => directive.id(),
            Self::License(license) => license.id(),
        }
    }

    /// Returns its version; the first is 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Directive(directive) => u64::from(directive.version()),
            Self::License(license) => u64::from(license.version()),
        }
    }

    pub(crate) fn record(&self) -> Record {
        match self {
            Self::Directive(directive) => Record::Directive(directive.clone()),
            Self::License(license) => Record::License(license.clone()),
        }
    }

    /// Returns whether it is in force.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Directive(directive) => directive.status(),
            Self::License(license) => license.status(),
        }
    }

    /// Returns the document as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns the instrument of another id that this one says it replaces.
    pub(crate) fn supersedes(&self) -> Option<&InstrumentId> {
        match self {
            Self::Directive(directive) => directive.supersedes(),
            Self::License(license) => license.supersedes(),
        }
    }

    /// Returns since when this version speaks.
    pub(crate) fn status_since(&self) -> Moment {
        match self {
            Self::Directive(directive) => directive.status_since(),
            Self::License(license) => license.status_since(),
        }
    }

    /// Returns from when it bars or authorizes by its own terms.
    pub(crate) fn binds_at(&self) -> Moment {
        match self {
            Self::Directive(directive) => directive.binds_at(),
            Self::License(license) => license.valid_from(),
        }
    }

    /// Returns version `version`, which says what this one says, with `status` as of `at`.
    pub(crate) fn reissued(&self, version: u64, status: Status, at: Moment) -> Result<Self, InstrumentFault> {
        let mut document = self.json();
        let changed = [("version", json!(version)), ("status", json!(status)), ("status_since", json!(at))];
        if let Some(members) = document.as_object_mut() {
            members.extend(changed.map(|(name, value)| (name.to_owned(), value)));
        }
        Self::parse(self.kind(), document.to_string().as_bytes())
    }

    /// Returns the version of an instrument that governs at `now`: the highest that speaks, else the lowest.
    pub(crate) fn governing(
        document: &SnapshotDocument,
        kind: InstrumentKind,
        id: &InstrumentId,
        now: Moment,
    ) -> Option<Self> {
        let of_it = || Self::all(document).filter(|held| held.kind() == kind && held.id() == id);
        let speaks = of_it().filter(|held| held.status_since() <= now).max_by_key(Self::version);
        speaks.or_else(|| of_it().min_by_key(Self::version))
    }

    /// Returns the versions of an instrument that will govern later, in order.
    pub(crate) fn to_come(
        document: &SnapshotDocument,
        kind: InstrumentKind,
        id: &InstrumentId,
        now: Moment,
    ) -> Vec<Self> {
        let governing = Self::governing(document, kind, id, now).map_or(0, |held| held.version());
        let of_it = Self::all(document).filter(|held| held.kind() == kind && held.id() == id);
        of_it.filter(|held| held.version() > governing).collect()
    }

    /// Returns version `version`: what this one says, with the status that the turn gives it.
    pub(crate) fn turned(&self, version: u64, turn: Turn, at: Moment) -> Result<Self, InstrumentFault> {
        let status = match turn {
            Turn::Stay => Status::Stayed,
            Turn::Vacate => Status::Vacated,
            Turn::Lift => Status::Lifted,
        };
        self.reissued(version, status, at)
    }

    /// Puts this version into `document`. Versions that cannot govern any more are taken out: those below the one that
    /// governs at `now`. A version that speaks later waits beside those before it.
    pub(crate) fn put_into(self, document: &mut SnapshotDocument, now: Moment) {
        let (kind, id) = (self.kind(), self.id().clone());
        match self {
            Self::Directive(new) => document.directives.push(new),
            Self::License(new) => document.licenses.push(new),
        }
        let governing = Self::governing(document, kind, &id, now).map_or(0, |held| held.version());
        let stays = |of: &InstrumentId, version: u32| *of != id || u64::from(version) >= governing;
        match kind {
            InstrumentKind::Directive => document.directives.retain(|held| stays(held.id(), held.version())),
            InstrumentKind::License => document.licenses.retain(|held| stays(held.id(), held.version())),
        }
        document.directives.sort_by(|a, b| (a.id(), a.version()).cmp(&(b.id(), b.version())));
        document.licenses.sort_by(|a, b| (a.id(), a.version()).cmp(&(b.id(), b.version())));
    }
}
