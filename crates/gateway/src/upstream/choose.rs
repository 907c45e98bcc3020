//! Which endpoint a call goes to: the one that carries least for its weight, in turn among equals.
//!
//! Turns follow start-time fair queueing: an endpoint's turn moves on by the inverse of its weight each time it is
//! chosen, and never lags behind the turn last chosen, so that one that comes back is not flooded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use terms::{Dialect, ModelVersionId};

use super::{
    SendError,
    endpoint::{Attempt, Endpoint},
    health::{Admission, Failure},
};

/// One turn of an endpoint of weight 1.
const TURN: u64 = 1_000_000;

/// The endpoints of one model version.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    /// The turn last chosen.
    turn: AtomicU64,
}

/// The endpoints that were tried for one call, and whether the request was sent there.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<(Arc<Endpoint>, bool)>);

/// Why no endpoint was chosen, gathered while looking.
#[derive(Default)]
struct Missed {
    busy: bool,
    dead: Option<Duration>,
    /// An endpoint that answers, but with errors.
    failing: Option<Arc<Endpoint>>,
}

impl Tried {
    pub(super) fn add(&mut self, endpoint: &Arc<Endpoint>, sent: bool) {
        self.0.push((Arc::clone(endpoint), sent));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true for an endpoint that was tried, and for every other behind a meter that may have taken the call's
    /// ticket: it takes none twice.
    fn rules_out(&self, endpoint: &Endpoint) -> bool {
        let has_ticket = |tried: &Endpoint| tried.meter().is_some() && tried.meter() == endpoint.meter();
        self.0.iter().any(|(tried, sent)| tried.id() == endpoint.id() || *sent && has_ticket(tried))
    }
}

impl Upstream {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { endpoints, turn: AtomicU64::new(0) }
    }

    /// Takes a place at the best endpoint that speaks `dialect` and is not ruled out by what was `tried`.
    ///
    /// Endpoints that cannot be reached are left out while ejected. Those that answer with errors are left out only
    /// while there is another: a request that makes a server fail must not close a model to everybody.
    pub(super) fn choose(
        &self,
        model: &ModelVersionId,
        dialect: Dialect,
        tried: &Tried,
        now: Instant,
    ) -> Result<Attempt, SendError> {
        let speaking = self.endpoints.iter().filter(|endpoint| endpoint.speaks(dialect));
        let mut candidates: Vec<&Arc<Endpoint>> = speaking.collect();
        if candidates.is_empty() {
            return Err(SendError::NoEndpoint { model: model.clone(), dialect });
        }
        candidates.retain(|endpoint| !tried.rules_out(endpoint));
        candidates.sort_by_key(|endpoint| rank(endpoint));
        let mut missed = Missed::default();
        let chosen = candidates.into_iter().find_map(|endpoint| enter(endpoint, now, &mut missed));
        let attempt = chosen.map_or_else(|| missed.last_resort(), Ok)?;
        self.take_turn(attempt.endpoint());
        Ok(attempt)
    }

    fn take_turn(&self, endpoint: &Endpoint) {
        let start = endpoint.turn.load(Ordering::Relaxed).max(self.turn.load(Ordering::Relaxed));
        self.turn.store(start, Ordering::Relaxed);
        endpoint.turn.store(start + TURN / endpoint.weight(), Ordering::Relaxed);
    }
}

/// Least first: what it carries for its weight, then its turn.
fn rank(endpoint: &Endpoint) -> (u64, u64) {
    let carried = u64::try_from(endpoint.in_flight()).unwrap_or(u64::MAX);
    (carried.saturating_mul(TURN) / endpoint.weight(), endpoint.turn.load(Ordering::Relaxed))
}

fn enter(endpoint: &Arc<Endpoint>, now: Instant, missed: &mut Missed) -> Option<Attempt> {
    if !endpoint.has_room() {
        missed.busy = true;
        return None;
    }
    match endpoint.health.admit(now) {
        Admission::No(Failure::Answer, _) => missed.failing = Some(Arc::clone(endpoint)),
        Admission::No(Failure::Connect, wait) => missed.dead = Some(missed.dead.map_or(wait, |least| least.min(wait))),
        admission => return endpoint.enter(admission),
    }
    None
}

impl Missed {
    fn last_resort(self) -> Result<Attempt, SendError> {
        if let Some(attempt) = self.failing.and_then(|endpoint| endpoint.enter(Admission::Yes)) {
            return Ok(attempt);
        }
        match self.dead {
            Some(wait) if !self.busy => Err(SendError::Unavailable { retry_after: wait.as_secs().max(1) }),
            _ => Err(SendError::Saturated { retry_after: 1 }),
        }
    }
}
