//! Directives and licenses as the desk handles them: filed by version, then applied.

use policy::{Directive, InstrumentFault, License, SnapshotDocument, Status};
use terms::{InstrumentId, Moment};

use crate::record::Record;

/// Which of the two kinds of instrument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

    /// Returns the next version of the instrument, with the status that the turn gives it.
    pub(crate) fn turned(&self, turn: Turn, at: Moment) -> Self {
        let status = match turn {
            Turn::Stay => Status::Stayed,
            Turn::Vacate => Status::Vacated,
            Turn::Lift => Status::Lifted,
        };
        match self {
            Self::Directive(directive) => Self::Directive(directive.with_status(status, at)),
            Self::License(license) => Self::License(license.with_status(status, at)),
        }
    }

    /// Puts this version into `document` in place of any earlier one; the order by id is kept.
    pub(crate) fn put_into(self, document: &mut SnapshotDocument) {
        match self {
            Self::Directive(new) => put(&mut document.directives, new, Directive::id),
            Self::License(new) => put(&mut document.licenses, new, License::id),
        }
    }
}

fn put<T>(list: &mut Vec<T>, new: T, id: impl Fn(&T) -> &InstrumentId) {
    match list.binary_search_by(|old| id(old).cmp(id(&new))) {
        Ok(at) => {
            if let Some(old) = list.get_mut(at) {
                *old = new;
            }
        }
        Err(at) => list.insert(at, new),
    }
}
