//! The registry: SQLite, one connection, a projection of the ledger.
//!
//! Every change arrives as a durable ledger entry. [`Store::apply`] writes it and the number of the next entry to be
//! applied in one transaction, so that after a crash the registry says exactly how far it got.

mod desk;
mod ending;
mod federation;
mod holds;
mod idempotency;
mod productions;
mod read;

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use identity::Holder;
use policy::SnapshotDocument;
use rusqlite::{Connection, Transaction, params};
use terms::Attestation;

use crate::{instrument::Instrument, record::Record};

pub(crate) use idempotency::{Answered, IdempotencyKey};
pub(crate) use read::{Filed, Filter, Page};

/// Each migration brings the registry from its position to the next; stored positions are never reused.
const MIGRATIONS: &[&str] = &[
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
];

/// The registry cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder cannot be made; check the folder's permissions and the disk.
    #[error("cannot make the registry `{path}`: {source}")]
    Make {
        /// The path.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite refused; nothing was changed.
    #[error("cannot {action} in the registry: {source}")]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A row does not read back; the registry was changed by something else.
    #[error("a row of `{table}` in the registry does not read back: {source}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with the row.
        source: serde_json::Error,
    },
    /// The registry was written by a later version of this program; install that version.
    #[error("the registry has schema version {found}, and this program knows up to {known}: install the later version")]
    Later {
        /// The version found.
        found: usize,
        /// The latest version known.
        known: usize,
    },
}

impl StoreError {
    /// Returns true if a row was refused because it refers to one that is not there.
    pub(crate) fn refers_to_nothing(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. } if refers_to_nothing(source))
    }
}

fn refers_to_nothing(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Names what was tried, for [`StoreError::Sqlite`].
pub(crate) fn sqlite(action: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sqlite { action, source }
}

/// The registry, open for this process alone.
#[derive(Debug)]
pub(crate) struct Store {
    db: Connection,
}

impl Store {
    /// Opens or makes `registry.sqlite3` in `dir`, readable by the owner alone, and migrates it.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("registry.sqlite3");
        make_private(dir, &path).map_err(|source| StoreError::Make { path: path.display().to_string(), source })?;
        let db = Connection::open(&path).map_err(sqlite("open the file"))?;
        let mut store = Self { db };
        store.configure().map_err(sqlite("set the pragmas"))?;
        store.migrate()?;
        Ok(store)
    }

    /// Write-ahead log, synced at every commit: a change that was answered survives a power cut.
    fn configure(&self) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "journal_mode", "WAL")?;
        self.db.pragma_update(None, "synchronous", "FULL")?;
        self.db.pragma_update(None, "foreign_keys", true)?;
        self.db.pragma_update(None, "trusted_schema", false)?;
        self.db.busy_timeout(std::time::Duration::from_secs(2))
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let found: usize = self
            .db
            .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get::<_, i64>(0))
            .map(|version| usize::try_from(version).unwrap_or(usize::MAX))
            .map_err(sqlite("read the schema version"))?;
        let known = MIGRATIONS.len();
        let missing = MIGRATIONS.get(found..).ok_or(StoreError::Later { found, known })?;
        for (sql, version) in missing.iter().zip(found + 1..) {
            self.step(sql, version).map_err(sqlite("migrate"))?;
        }
        Ok(())
    }

    fn step(&mut self, sql: &str, version: usize) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))?;
        tx.commit()
    }

    /// Returns the index of the first ledger entry that the registry has not seen.
    pub(crate) fn next_entry(&self) -> Result<u64, StoreError> {
        self.db
            .query_row("SELECT next_entry FROM progress", [], |row| row.get(0))
            .map(unsigned)
            .map_err(sqlite("read the progress"))
    }

    /// Notes that no entry before `next` needs to be looked at again.
    pub(crate) fn pass(&mut self, next: u64) -> Result<(), StoreError> {
        self.db
            .execute("UPDATE progress SET next_entry = max(next_entry, ?1)", [signed(next)])
            .map(drop)
            .map_err(sqlite("note the progress"))
    }

    /// Writes the state that entry `index` records of what `actor` did. Idempotent.
    pub(crate) fn apply(&mut self, index: u64, actor: &str, record: &Record) -> Result<(), StoreError> {
        self.write("apply a change", index, |tx| put(tx, index, actor, record))
    }

    /// Like [`Store::apply`], but leaves out every part that refers to what the registry does not have. Idempotent.
    pub(crate) fn apply_known(&mut self, index: u64, actor: &str, record: &Record) -> Result<(), StoreError> {
        self.write("apply a change", index, |tx| {
            if let Record::Signal(signal) = record {
                federation::put_message(tx, index, signal)?;
            }
            record.parts().iter().try_for_each(|part| match put(tx, index, actor, part) {
                Err(error) if refers_to_nothing(&error) => Ok(()),
                done => done,
            })
        })
    }

    /// Writes the snapshot that entry `index` puts in force, with every instrument in it. Idempotent.
    pub(crate) fn apply_snapshot(
        &mut self,
        index: u64,
        digest: &[u8; 32],
        document: &SnapshotDocument,
    ) -> Result<(), StoreError> {
        self.write("apply a snapshot", index, |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3, ?4)",
                params![signed(document.epoch), digest.as_slice(), json(document)?, signed(index)],
            )?;
            Instrument::all(document).try_for_each(|instrument| put_applied(tx, index, &instrument))
        })
    }

    fn write(
        &mut self,
        action: &'static str,
        index: u64,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.transact(index, body).map_err(sqlite(action))
    }

    fn transact(
        &mut self,
        index: u64,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        body(&tx)?;
        tx.execute("UPDATE progress SET next_entry = max(next_entry, ?1)", [signed(index) + 1])?;
        tx.commit()
    }
}

/// Makes the folder and an empty file with modes 0700 and 0600; SQLite gives its side files the file's mode.
fn make_private(dir: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn put(tx: &Transaction<'_>, index: u64, actor: &str, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Organization(body) => put_plain(tx, "organization", body.id.as_str(), body, index),
        Record::Person(body) => put_plain(tx, "person", body.id.as_str(), body, index),
        Record::AdminToken(body) => put_plain(tx, "admin_token", body.id.as_str(), body, index),
        Record::Workload(body) => put_workload(tx, body, index),
        Record::Attestation(body) => put_attestation(tx, body, index),
        Record::Withdrawal(body) => tx
            .execute(
                "INSERT OR IGNORE INTO withdrawal VALUES (?1, ?2, ?3)",
                params![body.attestation.as_str(), json(body)?, signed(index)],
            )
            .map(drop),
        Record::Affiliation(body) => put_affiliation(tx, body, index),
        Record::Key(body) => put_key(tx, body, index),
        Record::Directive(body) => put_filed(tx, index, Some(actor), &Instrument::Directive(body.clone())),
        Record::License(body) => put_filed(tx, index, Some(actor), &Instrument::License(body.clone())),
        Record::Approver(body) => put_plain(tx, "approver", body.id.as_str(), body, index),
        Record::Approval(body) => desk::put_approval(tx, index, body),
        Record::BreakGlass(body) => desk::put_break_glass(tx, index, body),
        Record::Production(body) => productions::put_production(tx, index, body),
        Record::Hold(body) => put_plain(tx, "hold", body.id.as_str(), body, index),
        Record::Channel(body) => put_plain(tx, "channel", body.id.as_str(), body, index),
        Record::Heard(body) => federation::put_heard(tx, index, body),
        Record::Account(body) => federation::put_account(tx, index, body),
        Record::AccountGone(body) => federation::remove_account(tx, body),
        Record::SessionEnd(body) => federation::put_session_end(tx, index, body),
        Record::Document(body) => federation::put_document(tx, index, body),
        Record::DocumentGone { collection, id } => federation::remove_document(tx, collection, id),
        Record::Review(body) => put_plain(tx, "review", body.id.as_str(), body, index),
        Record::Signal(body) => {
            federation::put_message(tx, index, body)?;
            body.changes.iter().try_for_each(|change| put(tx, index, actor, change))
        }
    }
}

/// Writes one of the tables that have nothing but id, body and entry. `table` is one of our own names.
fn put_plain(
    tx: &Transaction<'_>,
    table: &str,
    id: &str,
    body: &impl serde::Serialize,
    index: u64,
) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {table} VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, entry = excluded.entry"
    );
    tx.execute(&sql, params![id, json(body)?, signed(index)]).map(drop)
}

fn put_workload(tx: &Transaction<'_>, body: &terms::Workload, index: u64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO workload VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE
         SET organization = excluded.organization, body = excluded.body, entry = excluded.entry",
        params![body.id.as_str(), body.organization.as_str(), json(body)?, signed(index)],
    )
    .map(drop)
}

fn put_attestation(tx: &Transaction<'_>, body: &Attestation, index: u64) -> rusqlite::Result<()> {
    tx.execute(
        // What it supersedes may have been destroyed, and is then held no more than if it were superseded.
        "INSERT INTO attestation VALUES (?1, ?2, (SELECT id FROM attestation WHERE id = ?3), ?4, ?5)
         ON CONFLICT (id) DO NOTHING",
        params![
            body.id.as_str(),
            body.person.as_str(),
            body.supersedes.as_ref().map(|id| id.as_str()),
            json(body)?,
            signed(index)
        ],
    )
    .map(drop)
}

fn put_affiliation(tx: &Transaction<'_>, body: &terms::Affiliation, index: u64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO affiliation VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, entry = excluded.entry",
        params![body.id.as_str(), body.person.as_str(), body.organization.as_str(), json(body)?, signed(index)],
    )
    .map(drop)
}

fn put_key(tx: &Transaction<'_>, body: &identity::KeyRecord, index: u64) -> rusqlite::Result<()> {
    let (person, workload) = match &body.holder {
        Holder::Person { person } => (Some(person.as_str()), None),
        Holder::Workload { workload } => (None, Some(workload.as_str())),
        Holder::Shared => (None, None),
    };
    tx.execute(
        "INSERT INTO api_key VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, entry = excluded.entry",
        params![
            body.id.as_str(),
            person,
            workload,
            body.organization.as_ref().map(|id| id.as_str()),
            json(body)?,
            signed(index)
        ],
    )
    .map(drop)
}

fn put_filed(
    tx: &Transaction<'_>,
    index: u64,
    proposer: Option<&str>,
    instrument: &Instrument,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR IGNORE INTO instrument VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
        params![
            instrument.kind().as_str(),
            instrument.id().as_str(),
            signed(instrument.version()),
            json(instrument)?,
            signed(index),
            proposer
        ],
    )
    .map(drop)
}

fn put_applied(tx: &Transaction<'_>, index: u64, instrument: &Instrument) -> rusqlite::Result<()> {
    put_filed(tx, index, None, instrument)?;
    tx.execute(
        "UPDATE instrument SET applied = 1, entry = ?4
         WHERE kind = ?1 AND id = ?2 AND version = ?3 AND applied = 0",
        params![instrument.kind().as_str(), instrument.id().as_str(), signed(instrument.version()), signed(index)],
    )
    .map(drop)
}

fn json(body: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(body).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// SQLite's integers are signed; our counters never reach 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstrumentKind;

    #[test]
    fn a_registry_of_the_first_schema_is_brought_up_with_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("registry.sqlite3")).unwrap();
        db.execute_batch(include_str!("schema-1.sql")).unwrap();
        let order = include_str!("../../../../examples/june-12.directive.json");
        db.execute("INSERT INTO instrument VALUES ('directive', 'DIR-2026-06-12', 1, 1, ?1, 7)", [order]).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        drop(db);
        let store = Store::open(dir.path()).unwrap();
        let filed = store.versions(InstrumentKind::Directive, &"DIR-2026-06-12".parse().unwrap()).unwrap();
        assert_eq!((filed.len(), filed[0].applied, filed[0].proposer.as_deref()), (1, true, None));
        assert!(store.open_glass().unwrap().is_empty());
        assert!(store.approvers(&Page::ALL).unwrap().is_empty());
        drop(store);
        assert!(Store::open(dir.path()).is_ok());
    }
}
