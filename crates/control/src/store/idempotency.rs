//! Answers kept for requests that name themselves, so that a repeated request is not done twice.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use terms::Moment;

use super::{Store, StoreError, sqlite};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(24);

/// Names one request of one actor.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey {
    pub(crate) actor: String,
    /// The header's value.
    pub(crate) key: String,
    /// SHA-256 of method, path and body: the same key may not name another request.
    pub(crate) request: [u8; 32],
}

/// An answer already given.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) request: [u8; 32],
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Store {
    /// Returns the answer given to a key in the last 24 hours.
    pub(crate) fn answered(&self, key: &IdempotencyKey, now: Moment) -> Result<Option<Answered>, StoreError> {
        self.db
            .query_row(
                "SELECT request, status, body FROM idempotency
                 WHERE actor = ?1 AND key = ?2 AND at > ?3",
                params![key.actor, key.key, horizon(now)],
                |row| Ok(Answered { request: row.get(0)?, status: row.get(1)?, body: row.get(2)? }),
            )
            .optional()
            .map_err(sqlite("look up an earlier answer"))
    }

    /// Keeps an answer, which must not contain a secret, and forgets those older than 24 hours.
    pub(crate) fn keep_answer(
        &mut self,
        key: &IdempotencyKey,
        status: u16,
        body: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let keep = || {
            self.db.execute("DELETE FROM idempotency WHERE at <= ?1", [horizon(now)])?;
            self.db.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![key.actor, key.key, key.request.as_slice(), status, body, now.as_millis()],
            )
        };
        keep().map(drop).map_err(sqlite("keep an answer"))
    }
}

fn horizon(now: Moment) -> i64 {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(kept)
}
