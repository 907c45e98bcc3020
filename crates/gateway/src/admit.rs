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
/// [`Problem::ModelUnknown`] if the name is neither a version nor an alias.
pub(crate) fn decide(worker: &Worker, caller: &Caller, requested: &str) -> Result<Arc<Decided>, Problem> {
    let shared = worker.shared();
    let snapshot = shared.snapshot.load();
    let in_force = shared.in_force(&snapshot);
    let (seen, now) = (Seen::now(in_force), shared.clock.now());
    if let Some(held) = worker.memory().recall(&caller.key.id, requested, seen, now) {
        return Ok(held);
    }
    let pseudonym = |holder: &str| shared.ledger.pseudonym(holder);
    let decided = decide::decide(in_force, pseudonym, caller, requested, now)
        .map(Arc::new)
        .ok_or_else(|| Problem::ModelUnknown { name: requested.to_owned() })?;
    worker.memory().keep(caller.key.id.clone(), requested.to_owned(), now, Arc::clone(&decided));
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
    Err(problem(refusal))
}

/// Turns a refusal into the caller's answer.
pub(crate) fn problem(refusal: &Refusal) -> Problem {
    match refusal.code() {
        Code::CredentialEnded => Problem::KeyRevoked,
        code => Problem::PermissionDenied { code: code.as_str(), message: refusal.message(), hold: refusal.is_hold() },
    }
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
    let key = caller.key.id.clone();
    if shared.leases.count(&Subject::Key(key.clone())) >= worker.limits().in_flight_per_caller {
        return Err(Problem::RateLimited { retry_after: 1 });
    }
    let lease = shared.leases.enter(worker.id(), call.id, key, Arc::clone(&decided.subjects), permit.clone());
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
