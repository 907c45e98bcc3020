//! Who asks? Authentication of administrators, and the record of those who were refused.

use std::time::Duration;

use identity::{KeyText, Purpose};
use ledger::Draft;
use proof::entry::{Entry, Kind};
use terms::Moment;

use crate::{
    Actor, Fault,
    control::{Inner, lock, read},
};

/// At most one refusal is recorded in this time; the others are counted in the next.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);
/// Characters of a refused path that are recorded.
const PATH_CHARS: usize = 200;

const UNSENT: &str = "send an admin token as `Authorization: Bearer`";
const MISCOPIED: &str = "this is not an admin token, or it was not copied whole";
const UNKNOWN: &str = "this admin token is not known";
const ENDED: &str = "this admin token has expired or was revoked";

/// Refusals not recorded one by one, so that nobody can fill the log by knocking.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    last: Option<Moment>,
    uncounted: u64,
}

/// One refused request.
pub(crate) struct Refused<'a> {
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
}

impl Inner {
    /// Returns the actor that the `Authorization` header's token stands for.
    pub(crate) fn authenticate(&self, header: Option<&[u8]>) -> Result<Actor, Fault> {
        let key = header.and_then(bearer).ok_or(Fault::Unauthenticated(UNSENT))?;
        let key = KeyText::parse_for(Purpose::Admin, key).map_err(|_| Fault::Unauthenticated(MISCOPIED))?;
        let record = read(&self.tokens).get(&key.id()).cloned();
        // An unknown token costs the same comparison as a known one.
        let digest = record.as_ref().map_or([0; 32], |record| record.digest);
        let matches = self.pepper.matches(&key, &digest);
        let record = record.filter(|_| matches).ok_or(Fault::Unauthenticated(UNKNOWN))?;
        if !record.is_current(self.clock.now()) {
            return Err(Fault::Unauthenticated(ENDED));
        }
        Ok(Actor::of_token(&record))
    }

    /// Records and logs a refused request, or counts it if another was recorded less than a second ago.
    pub(crate) fn note_refusal(&self, refused: &Refused<'_>, fault: &Fault) {
        let Some(before) = self.admit_refusal() else {
            return;
        };
        tracing::warn!(method = refused.method, path = refused.path, actor = refused.actor.map(Actor::name), %fault, "admin request refused");
        let path: String = refused.path.chars().take(PATH_CHARS).collect();
        self.record_refusal(&serde_json::json!({
            "actor": refused.actor.map(Actor::name),
            "method": refused.method,
            "path": path,
            "reason": fault.to_string(),
            "not_recorded_before": before,
        }));
    }

    /// Records the count of refusals that no later refusal has carried into the log.
    pub(crate) fn flush_refusals(&self) {
        let before = std::mem::take(&mut lock(&self.refusals).uncounted);
        if before > 0 {
            self.record_refusal(&serde_json::json!({ "not_recorded_before": before }));
        }
    }

    /// Returns how many went unrecorded before this one, if this one is to be recorded.
    fn admit_refusal(&self) -> Option<u64> {
        let now = self.clock.now();
        let mut refusals = lock(&self.refusals);
        let is_soon = |last| now.since(last) < REFUSALS_EVERY;
        if refusals.last.is_some_and(is_soon) {
            refusals.uncounted = refusals.uncounted.saturating_add(1);
            return None;
        }
        refusals.last = Some(now);
        Some(std::mem::take(&mut refusals.uncounted))
    }

    fn record_refusal(&self, said: &serde_json::Value) {
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some("access.refused".to_owned());
        let private = said.to_string().into_bytes();
        let recorded = self.ledger.append(Draft::new(entry, private));
        if let Err(error) = recorded.and_then(ledger::Pending::wait) {
            tracing::error!(%error, "a refused admin request could not be recorded");
        }
    }
}

/// Returns what follows the scheme, which is compared without case (RFC 9110 section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}
