//! People's wrapped keys, in a database of their own.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};
use terms::PersonId;

use super::VaultFault;

/// `wrapped` is null once the person was forgotten. Deleted content is overwritten with zeros in the file, every change is
/// on disk before it is confirmed, and the journal of a change is cut off with it.
const SCHEMA: &str = "
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = EXTRA;
    PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS person_keys (person TEXT PRIMARY KEY, wrapped BLOB) STRICT, WITHOUT ROWID;
";

/// People's wrapped keys.
pub(super) struct Keyring(Mutex<Connection>);

impl Keyring {
    /// Opens the database, or makes it with mode 0600.
    pub(super) fn open(file: &Path) -> Result<Self, VaultFault> {
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
        made.map_err(|error| VaultFault::File(file.display().to_string(), error))?;
        let connection = Connection::open(file).map_err(VaultFault::Keys)?;
        connection.execute_batch(SCHEMA).map_err(VaultFault::Keys)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Returns true if no key is kept.
    pub(super) fn is_empty(&self) -> Result<bool, VaultFault> {
        let found = "SELECT NOT EXISTS (SELECT 1 FROM person_keys WHERE wrapped IS NOT NULL)";
        self.connection().query_row(found, [], |row| row.get(0)).map_err(VaultFault::Keys)
    }

    /// Returns a person's wrapped key; `None` if there never was one.
    pub(super) fn wrapped(&self, person: &PersonId) -> Result<Option<Vec<u8>>, VaultFault> {
        let wanted = "SELECT wrapped FROM person_keys WHERE person = ?1";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<Vec<u8>>>(0);
        let found = self.connection().query_row(wanted, [person.as_str()], read).optional();
        match found.map_err(VaultFault::Keys)? {
            None => Ok(None),
            Some(Some(wrapped)) => Ok(Some(wrapped)),
            Some(None) => Err(VaultFault::Forgotten(person.clone())),
        }
    }

    /// Keeps a person's wrapped key, unless one is kept or was destroyed.
    pub(super) fn keep(&self, person: &PersonId, wrapped: &[u8]) -> Result<(), VaultFault> {
        let insert = "INSERT INTO person_keys (person, wrapped) VALUES (?1, ?2) ON CONFLICT (person) DO NOTHING";
        self.connection().execute(insert, params![person.as_str(), wrapped]).map_err(VaultFault::Keys)?;
        Ok(())
    }

    /// Destroys a person's key for good.
    pub(super) fn destroy(&self, person: &PersonId) -> Result<(), VaultFault> {
        let forget = "INSERT INTO person_keys (person, wrapped) VALUES (?1, NULL)
                      ON CONFLICT (person) DO UPDATE SET wrapped = NULL";
        self.connection().execute(forget, [person.as_str()]).map_err(VaultFault::Keys)?;
        Ok(())
    }

    /// Every statement is a transaction of its own, so a thread that panicked left nothing half done.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
