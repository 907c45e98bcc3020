//! Approvers, approvals and breaks of the glass in the registry.

use rusqlite::{Transaction, params};
use terms::{InstrumentId, PersonId};

use super::{Page, Store, StoreError, json, signed};
use crate::{
    approval::{ActKind, Approval, Approver},
    glass::BreakGlass,
    instrument::InstrumentKind,
};

impl Store {
    pub(crate) fn approver(&self, id: &PersonId) -> Result<Option<Approver>, StoreError> {
        self.get("approver", id.as_str())
    }

    /// Returns approvers, revoked ones too.
    pub(crate) fn approvers(&self, page: &Page) -> Result<Vec<Approver>, StoreError> {
        self.list("approver", None, page)
    }

    /// Returns what was approved of one version, or of one production, in order of approver.
    pub(crate) fn approvals(
        &self,
        kind: impl Into<ActKind>,
        id: &InstrumentId,
        version: u64,
    ) -> Result<Vec<Approval>, StoreError> {
        let sql = "SELECT body FROM approval WHERE kind = ?1 AND id = ?2 AND version = ?3 ORDER BY approver";
        self.bodies("approval", sql, &[&kind.into().as_str(), &id.as_str(), &signed(version)])
    }

    /// Returns the break of the glass that put a version in force, if one did.
    pub(crate) fn break_glass(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        version: u64,
    ) -> Result<Option<BreakGlass>, StoreError> {
        let sql = "SELECT body FROM break_glass WHERE kind = ?1 AND id = ?2 AND version = ?3";
        let found = self.bodies("break_glass", sql, &[&kind.as_str(), &id.as_str(), &signed(version)])?;
        Ok(found.into_iter().next())
    }

    /// Returns every break of the glass that is neither approved nor replaced nor undone.
    pub(crate) fn open_glass(&self) -> Result<Vec<BreakGlass>, StoreError> {
        self.bodies("break_glass", "SELECT body FROM break_glass WHERE open = 1 ORDER BY kind, id, version", &[])
    }
}

pub(super) fn put_approval(tx: &Transaction<'_>, index: u64, body: &Approval) -> rusqlite::Result<()> {
    let act = &body.act;
    tx.execute(
        "INSERT OR REPLACE INTO approval VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            act.kind.as_str(),
            act.id.as_str(),
            signed(act.version),
            body.approver.as_str(),
            json(body)?,
            signed(index)
        ],
    )
    .map(drop)
}

pub(super) fn put_break_glass(tx: &Transaction<'_>, index: u64, body: &BreakGlass) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO break_glass VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            body.kind.as_str(),
            body.id.as_str(),
            signed(body.version),
            body.ended.is_none(),
            json(body)?,
            signed(index)
        ],
    )
    .map(drop)
}
