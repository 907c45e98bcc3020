//! What is still to be delivered: one queue a stream, in `transmit.db` beside the signing keys, and how far the record
//! has been read.
//!
//! Everything in it follows from the record and from what receivers acknowledged. Whoever loses the file loses the
//! acknowledgements: the record is read again from its beginning, and events are delivered again under the same `jti`.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use secevent::stream::SetError;
use terms::{Account, AccountState, AttestationId, ChannelId, Moment, PersonId, SubjectName};
use zeroize::Zeroizing;

/// The most events that one queue holds; beyond it the stream is disabled, for what is missing must not go unnoticed.
pub(super) const EVENTS_MAX: u64 = 100_000;
/// The most undeliverable events that are kept of one stream; the oldest go first.
const DEAD_MAX: u64 = 1_000;

/// For how long what was acknowledged is remembered, so that the same is not told again.
const ACKNOWLEDGED_FOR: Duration = Duration::from_hours(24);

/// `event.urgent` announces that the stream stops, and is delivered although it has; `event.dead` is why a token was given
/// up, and is null while it is to be delivered. Of accounts and people the state last told is kept, so that a change can
/// be told from a repetition; of attestations when they expire.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 0), next INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, jti TEXT NOT NULL, type TEXT NOT NULL,
        claims TEXT NOT NULL, urgent INTEGER NOT NULL, at INTEGER NOT NULL, dead TEXT, UNIQUE (stream, jti)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS acknowledged (
        stream TEXT NOT NULL, jti TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (stream, jti)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS acknowledged_at ON acknowledged (at);
    CREATE INDEX IF NOT EXISTS event_order ON event (stream, urgent DESC, seq) WHERE dead IS NULL;
    CREATE TABLE IF NOT EXISTS account (
        channel TEXT NOT NULL, subject TEXT NOT NULL, state INTEGER NOT NULL, sessions_end INTEGER,
        PRIMARY KEY (channel, subject)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS inactive (person TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS expiry (
        attestation TEXT PRIMARY KEY, person TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS expiry_at ON expiry (at);
    CREATE TABLE IF NOT EXISTS push_secret (name TEXT PRIMARY KEY, header TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// The queues cannot be opened, read or written; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueFault {
    /// The file cannot be made.
    #[error("cannot use `{0}`")]
    File(String, #[source] io::Error),
    /// SQLite refused.
    #[error("the queues of streams cannot be used")]
    Sqlite(#[from] rusqlite::Error),
}

/// One event for one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Queued {
    pub(super) stream: String,
    pub(super) jti: String,
    /// The URI of its type.
    pub(super) uri: String,
    /// The claims of its token, as JSON.
    pub(super) claims: String,
    /// True if it announces that the stream stops.
    pub(super) urgent: bool,
}

/// An event that was given up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// The `jti` of its token.
    pub jti: String,
    /// The URI of its type.
    pub event: String,
    /// When it happened.
    pub at: Moment,
    /// Why it was given up.
    pub why: String,
}

/// The queues of every stream. Blocks on the disk; safe to share between threads.
pub(super) struct Queue(Mutex<Connection>);

impl Queue {
    /// Opens the database, or makes it with mode 0600.
    pub(super) fn open(file: &Path) -> Result<Self, QueueFault> {
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
        made.map_err(|error| QueueFault::File(file.display().to_string(), error))?;
        let connection = Connection::open(file)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Returns the index of the first entry of the record that was not read yet.
    pub(super) fn next(&self) -> Result<u64, QueueFault> {
        let found = self.db().query_row("SELECT next FROM progress", [], |row| row.get(0)).optional()?;
        Ok(found.map_or(0, unsigned))
    }

    /// Makes several changes, all or none; they are on disk when this returns.
    pub(super) fn write<T, E: From<QueueFault>>(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut db = self.db();
        let tx = db.transaction().map_err(QueueFault::from)?;
        let done = work(&Writing(&tx))?;
        tx.commit().map_err(QueueFault::from)?;
        Ok(done)
    }

    /// Returns the next events of a stream in order; only announcements if it is stopped.
    pub(super) fn head(&self, stream: &str, stopped: bool, most: usize) -> Result<Vec<Queued>, QueueFault> {
        let db = self.db();
        let mut wanted = db.prepare(
            "SELECT jti, type, claims, urgent FROM event WHERE stream = ?1 AND dead IS NULL AND urgent >= ?2
             ORDER BY urgent DESC, seq LIMIT ?3",
        )?;
        let read = |row: &rusqlite::Row<'_>| {
            let (jti, uri, claims, urgent) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Queued { stream: stream.to_owned(), jti, uri, claims, urgent })
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Ok(wanted.query_map(params![stream, stopped, most], read)?.collect::<Result<_, _>>()?)
    }

    /// Returns how many events of a stream are still to be delivered.
    pub(super) fn waiting(&self, stream: &str) -> Result<u64, QueueFault> {
        let wanted = "SELECT count(*) FROM event WHERE stream = ?1 AND dead IS NULL";
        Ok(unsigned(self.db().query_row(wanted, [stream], |row| row.get(0))?))
    }

    /// Returns the events of a stream that were given up, oldest first.
    pub(super) fn dead(&self, stream: &str) -> Result<Vec<DeadLetter>, QueueFault> {
        let db = self.db();
        let mut wanted =
            db.prepare("SELECT jti, type, at, dead FROM event WHERE stream = ?1 AND dead IS NOT NULL ORDER BY seq")?;
        let read = |row: &rusqlite::Row<'_>| {
            let (jti, event, at, why) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(DeadLetter { jti, event, at: Moment::from_millis(at), why })
        };
        Ok(wanted.query_map([stream], read)?.collect::<Result<_, _>>()?)
    }

    /// Returns the header of a receiver that is kept under a name.
    pub(super) fn push_secret(&self, name: &str) -> Result<Option<Zeroizing<String>>, QueueFault> {
        let wanted = "SELECT header FROM push_secret WHERE name = ?1";
        Ok(self.db().query_row(wanted, [name], |row| row.get(0)).optional()?.map(Zeroizing::new))
    }

    /// Returns the attestations that have expired by a moment, at most `most` of them.
    pub(super) fn expired(&self, by: Moment, most: u32) -> Result<Vec<(AttestationId, PersonId)>, QueueFault> {
        let db = self.db();
        let mut wanted = db.prepare("SELECT attestation, person FROM expiry WHERE at <= ?1 ORDER BY at LIMIT ?2")?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let found: Vec<_> = wanted.query_map(params![by.as_millis(), most], read)?.collect::<Result<_, _>>()?;
        let ids = found.into_iter();
        Ok(ids.filter_map(|(a, p)| Some((AttestationId::parse(&a).ok()?, PersonId::parse(&p).ok()?))).collect())
    }

    /// Every change is a transaction, so a thread that panicked left nothing half done.
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction under way.
pub(super) struct Writing<'a>(&'a Transaction<'a>);

impl Writing<'_> {
    /// Notes up to where the record was read.
    pub(super) fn read_up_to(&self, next: u64) -> Result<(), QueueFault> {
        self.0.execute("INSERT OR REPLACE INTO progress VALUES (0, ?1)", [signed(next)])?;
        Ok(())
    }

    /// Appends an event to the queue of its stream, unless it is in there or was acknowledged within a day; false if the
    /// queue is full.
    pub(super) fn push(&self, event: &Queued, at: Moment) -> Result<bool, QueueFault> {
        let counted = "SELECT count(*) FROM event WHERE stream = ?1 AND dead IS NULL";
        let waiting: i64 = self.0.prepare(counted)?.query_row([&event.stream], |row| row.get(0))?;
        if unsigned(waiting) >= EVENTS_MAX && !event.urgent {
            return Ok(false);
        }
        let mut put = self.0.prepare(
            "INSERT INTO event (stream, jti, type, claims, urgent, at) SELECT ?1, ?2, ?3, ?4, ?5, ?6
             WHERE NOT EXISTS (SELECT 1 FROM acknowledged WHERE stream = ?1 AND jti = ?2)
             ON CONFLICT (stream, jti) DO NOTHING",
        )?;
        put.execute(params![event.stream, event.jti, event.uri, event.claims, event.urgent, at.as_millis()])?;
        Ok(true)
    }

    /// Forgets events that a receiver has, and remembers for a day that it has them.
    pub(super) fn acknowledge(&self, stream: &str, jtis: &[String], at: Moment) -> Result<(), QueueFault> {
        let mut gone = self.0.prepare("DELETE FROM event WHERE stream = ?1 AND jti = ?2")?;
        let mut noted = self.0.prepare("INSERT OR REPLACE INTO acknowledged VALUES (?1, ?2, ?3)")?;
        for jti in jtis {
            if gone.execute([stream, jti])? > 0 {
                noted.execute(params![stream, jti, at.as_millis()])?;
            }
        }
        Ok(())
    }

    /// Forgets what was acknowledged more than a day ago.
    pub(super) fn forget_acknowledged(&self, now: Moment) -> Result<(), QueueFault> {
        let day = i64::try_from(ACKNOWLEDGED_FOR.as_millis()).unwrap_or(i64::MAX);
        let before = now.as_millis().saturating_sub(day);
        self.0.execute("DELETE FROM acknowledged WHERE at < ?1", [before])?;
        Ok(())
    }

    /// Gives an event up; it is kept, with why.
    pub(super) fn give_up(&self, stream: &str, jti: &str, why: &SetError) -> Result<(), QueueFault> {
        let why: String = format!("{}: {}", why.err, why.description).chars().take(512).collect();
        self.0.execute("UPDATE event SET dead = ?3 WHERE stream = ?1 AND jti = ?2", [stream, jti, &why])?;
        self.0.execute(
            "DELETE FROM event WHERE stream = ?1 AND dead IS NOT NULL AND seq <=
             (SELECT seq FROM event WHERE stream = ?1 AND dead IS NOT NULL ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            params![stream, signed(DEAD_MAX)],
        )?;
        Ok(())
    }

    /// Puts the events that were given up back where they were.
    pub(super) fn try_again(&self, stream: &str) -> Result<(), QueueFault> {
        self.0.execute("UPDATE event SET dead = NULL WHERE stream = ?1", [stream])?;
        Ok(())
    }

    /// Forgets every event of a stream but announcements that it stops.
    pub(super) fn drop_all(&self, stream: &str) -> Result<(), QueueFault> {
        self.0.execute("DELETE FROM event WHERE stream = ?1 AND urgent = 0", [stream])?;
        Ok(())
    }

    /// Forgets a stream.
    pub(super) fn remove(&self, stream: &str) -> Result<(), QueueFault> {
        self.0.execute("DELETE FROM event WHERE stream = ?1", [stream])?;
        self.0.execute("DELETE FROM acknowledged WHERE stream = ?1", [stream])?;
        Ok(())
    }

    /// Keeps the header that pushes to a receiver carry, under a new name.
    pub(super) fn keep_push_secret(&self, name: &str, header: &str) -> Result<(), QueueFault> {
        self.0.execute("INSERT INTO push_secret VALUES (?1, ?2)", [name, header])?;
        Ok(())
    }

    /// Forgets a header.
    pub(super) fn forget_push_secret(&self, name: &str) -> Result<(), QueueFault> {
        self.0.execute("DELETE FROM push_secret WHERE name = ?1", [name])?;
        Ok(())
    }

    /// Remembers an account as it is now; returns how it was, if it was known.
    pub(super) fn account(&self, now: &Account) -> Result<Option<(AccountState, Option<Moment>)>, QueueFault> {
        let key = [now.channel.as_str(), now.subject.as_str()];
        let wanted = "SELECT state, sessions_end FROM account WHERE channel = ?1 AND subject = ?2";
        let read = |row: &rusqlite::Row<'_>| {
            let sessions_end: Option<i64> = row.get(1)?;
            Ok((state_of(row.get(0)?), sessions_end.map(Moment::from_millis)))
        };
        let before = self.0.prepare(wanted)?.query_row(key, read).optional()?;
        self.0.execute(
            "INSERT OR REPLACE INTO account VALUES (?1, ?2, ?3, ?4)",
            params![key[0], key[1], number_of(now.state), now.sessions_end.map(Moment::as_millis)],
        )?;
        Ok(before)
    }

    /// Forgets an account; returns its state, if it was known.
    pub(super) fn account_gone(
        &self,
        channel: &ChannelId,
        subject: &SubjectName,
    ) -> Result<Option<AccountState>, QueueFault> {
        let gone = "DELETE FROM account WHERE channel = ?1 AND subject = ?2 RETURNING state";
        let mut gone = self.0.prepare(gone)?;
        Ok(gone.query_row([channel.as_str(), subject.as_str()], |row| row.get(0).map(state_of)).optional()?)
    }

    /// Remembers whether a person may use the service at all; returns whether that is news.
    pub(super) fn person(&self, person: &PersonId, active: bool) -> Result<bool, QueueFault> {
        let changed = if active {
            self.0.execute("DELETE FROM inactive WHERE person = ?1", [person.as_str()])
        } else {
            self.0.execute("INSERT OR IGNORE INTO inactive VALUES (?1)", [person.as_str()])
        };
        Ok(changed? > 0)
    }

    /// Remembers when an attestation expires.
    pub(super) fn expires(&self, id: &AttestationId, person: &PersonId, at: Moment) -> Result<(), QueueFault> {
        self.0.execute(
            "INSERT OR REPLACE INTO expiry VALUES (?1, ?2, ?3)",
            params![id.as_str(), person.as_str(), at.as_millis()],
        )?;
        Ok(())
    }

    /// Forgets that an attestation expires; returns whether that was still to come.
    pub(super) fn expires_no_more(&self, id: &AttestationId) -> Result<bool, QueueFault> {
        Ok(self.0.execute("DELETE FROM expiry WHERE attestation = ?1", [id.as_str()])? > 0)
    }
}

/// The numbers are stored and never reused.
fn number_of(state: AccountState) -> i64 {
    match state {
        AccountState::Active => 0,
        AccountState::Suspended => 1,
        AccountState::Ended => 2,
    }
}

fn state_of(number: i64) -> AccountState {
    match number {
        0 => AccountState::Active,
        1 => AccountState::Suspended,
        _ => AccountState::Ended,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests;
