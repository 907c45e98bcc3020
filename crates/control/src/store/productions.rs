//! Productions in the registry.

use rusqlite::{OptionalExtension, Transaction, params};
use terms::{InstrumentId, ModelVersionId};

use super::{Page, Store, StoreError, json, signed, sqlite, unsigned};
use crate::production::Production;

impl Store {
    pub(crate) fn production(&self, id: &InstrumentId) -> Result<Option<Production>, StoreError> {
        self.get("production", id.as_str())
    }

    pub(crate) fn productions(&self, page: &Page) -> Result<Vec<Production>, StoreError> {
        self.list("production", None, page)
    }

    /// Returns the entry that says the production was made, if it was.
    pub(crate) fn custody_of(&self, id: &InstrumentId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT custody FROM production WHERE id = ?1";
        let found = self.db.query_row(sql, [id.as_str()], |row| row.get::<_, Option<i64>>(0)).optional();
        Ok(found.map_err(sqlite("look up a production"))?.flatten().map(unsigned))
    }

    /// Notes that entry `index` says the production was made. Idempotent.
    pub(crate) fn apply_custody(&mut self, index: u64, id: &InstrumentId) -> Result<(), StoreError> {
        self.write("note a production", index, |tx| {
            let sql = "UPDATE production SET custody = ?2 WHERE id = ?1 AND custody IS NULL";
            tx.execute(sql, params![id.as_str(), signed(index)]).map(drop)
        })
    }

    /// Returns true if the model version was ever served.
    pub(crate) fn knows_model(&self, id: &ModelVersionId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM snapshot, json_each(snapshot.body, '$.models') AS model
                   WHERE json_extract(model.value, '$.id') = ?1)";
        self.db.query_row(sql, [id.as_str()], |row| row.get(0)).map_err(sqlite("look up a model version"))
    }
}

pub(super) fn put_production(tx: &Transaction<'_>, index: u64, body: &Production) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR IGNORE INTO production VALUES (?1, ?2, ?3, NULL)",
        params![body.id.as_str(), json(body)?, signed(index)],
    )
    .map(drop)
}
