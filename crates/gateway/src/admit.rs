//! From a credential and a name to a live, permitted call, or to a recorded refusal.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Response;
use policy::{Code, Permit, Refusal};

use crate::{
    Call, Output, Problem, Worker,
    authenticate::Caller,
    decide::{self, Decided, Seen},
    dialect::Challenge,
    lease::{Lease, Subject},
    record,
};

/// A place among the calls in flight; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Takes a place, if fewer than `limit` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let place = Self(Arc::clone(taken));
        // On failure `place` is dropped, which gives back what was just taken.
        (taken.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Decides a call for the name it asks for, or remembers what was decided while it provably holds.
///
/// # Errors
///
/// [`Problem::ModelUnknown`] if the name is neither a version nor an alias; [`Problem::PermissionDenied`] if no entry can
/// stand in the chains of all whom the call is about: it could not be recorded, so it is refused.
pub(crate) fn decide(worker: &Worker, caller: &Caller, requested: &str) -> Result<Arc<Decided>, Problem> {
    let decided = decided(worker, caller, requested)?;
    if decided.party.fits() {
        return Ok(decided);
    }
    tracing::warn!(key = %caller.id(), "a caller is with more organizations than an entry can name");
    let message = "the caller is with more organizations than one record can name: end affiliations that are over";
    Err(Problem::PermissionDenied { code: "too_many_organizations", message: message.to_owned(), hold: false })
}

fn decided(worker: &Worker, caller: &Caller, requested: &str) -> Result<Arc<Decided>, Problem> {
    let shared = worker.shared();
    let snapshot = shared.snapshot.load();
    let in_force = shared.in_force(&snapshot);
    let (seen, now) = (Seen::now(in_force), shared.clock.now());
    if let Some(held) = worker.memory().recall(caller.id(), requested, seen, now) {
        return Ok(held);
    }
    let decided = decide::decide(in_force, &shared.ledger, caller, requested, now)
        .map(Arc::new)
        .ok_or_else(|| Problem::ModelUnknown { name: requested.to_owned() })?;
    worker.memory().keep(caller.id().clone(), requested.to_owned(), now, Arc::clone(&decided));
    Ok(decided)
}

/// Records a refusal and turns it into the caller's answer.
///
/// # Errors
///
/// Always: the [`Problem`] that tells the caller.
pub(crate) async fn refuse(
    worker: &Worker,
    call: &Call,
    caller: &Caller,
    decided: &Decided,
    refusal: &Refusal,
    requested: &str,
) -> Result<Response<Output>, Problem> {
    worker.shared().metrics.refused(refusal.code());
    let index = record::refusal(worker.shared(), call.id, refusal, decided, requested).await?;
    tracing::info!(
        target: "exeat::call",
        call = %call.id,
        ledger.index = index,
        gen_ai.request.model = requested,
        code = refusal.code().as_str(),
        "call refused"
    );
    Err(step_up(worker, caller, requested).unwrap_or_else(|| problem(caller, refusal)))
}

/// Turns a refusal into the caller's answer.
pub(crate) fn problem(caller: &Caller, refusal: &Refusal) -> Problem {
    match (refusal.code(), caller.token().or_else(|| caller.assertion())) {
        (Code::CredentialEnded, None) => Problem::KeyRevoked,
        (Code::CredentialEnded, Some(_)) => Problem::Challenged {
            fault: "the access token is revoked or has expired: ask for a new one".to_owned(),
            challenge: Challenge::InvalidToken,
        },
        (code, _) => {
            Problem::PermissionDenied { code: code.as_str(), message: refusal.message(), hold: refusal.is_hold() }
        }
    }
}

/// Returns the answer that asks for a fresh authentication, if the call would be permitted with one.
fn step_up(worker: &Worker, caller: &Caller, requested: &str) -> Option<Problem> {
    let (shared, now) = (worker.shared(), worker.shared().clock.now());
    let problem = shared.oauth.step_up(caller, now)?;
    let snapshot = shared.snapshot.load();
    let in_force = shared.in_force(&snapshot);
    decide::would_permit(in_force, &caller.as_if_fresh(), requested, now).then_some(problem)
}

/// Enters a permitted call among the live ones, where any change from now on finds it.
///
/// A change between the decision and this moment is seen here: then the call is decided once more.
///
/// # Errors
///
/// [`Problem::DialectUnsupported`] if no endpoint of the version speaks the dialect; [`Problem::RateLimited`] if the caller has as many live calls as one caller may; [`Problem::PermissionDenied`]
/// if what changed meanwhile refuses.
pub(crate) fn enter(
    worker: &Worker,
    call: &Call,
    caller: &Caller,
    decided: &Decided,
    permit: &Permit,
) -> Result<Lease, Problem> {
    let shared = worker.shared();
    if !shared.fleet.load().serves(permit.model(), call.route.dialect) {
        return Err(Problem::DialectUnsupported);
    }
    if shared.leases.count(&counted(caller)) >= worker.limits().in_flight_per_caller {
        return Err(Problem::RateLimited { retry_after: 1 });
    }
    let (subjects, permit) = (Arc::clone(&decided.subjects), permit.clone());
    let lease = shared.leases.enter(worker.id(), call.id, caller.clone(), subjects, permit, decided.until);
    shared.put_on(&lease, &decided.accounts);
    if Seen::now(shared.in_force(&shared.snapshot.load())) != decided.seen {
        shared.revise(&lease);
    }
    match lease.recalled() {
        None => Ok(lease),
        Some(recall) => {
            Err(Problem::PermissionDenied { code: recall.code, message: recall.message.clone(), hold: recall.hold })
        }
    }
}

/// Returns under what the calls of one caller are counted: one account may hold many tokens at once.
fn counted(caller: &Caller) -> Subject {
    match caller.token() {
        Some(token) => Subject::Account(token.channel.clone(), token.subject.clone()),
        None => Subject::Key(caller.credential_id().clone()),
    }
}
