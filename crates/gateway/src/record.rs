//! Submits to the ledger what was decided, before anything comes of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ledger::{Draft, Pending, Recorded, Unavailable};
use policy::{Permit, Refusal};
use proof::entry::{Entry, Kind};
use terms::{CallId, ModelVersionId, ProvisionId};

use crate::{Shared, decide::Decided, dialect::Problem, settle::Settlement};

/// Submits the opening entry of a permitted call.
///
/// From here the upstream may work, while the entry becomes durable; nothing may be relayed before it is. The
/// settlement closes the entry whatever happens next, even if the call is dropped at this very moment.
///
/// # Errors
///
/// [`Problem::LedgerUnavailable`]: nothing was submitted, the call is refused.
pub(crate) fn submit(
    shared: &Arc<Shared>,
    call: CallId,
    permit: Permit,
    decided: &Decided,
    requested: &str,
) -> Result<(Pending<Permit>, Settlement), Problem> {
    let mut entry = about(Kind::Open, call, decided);
    entry.model = Some(permit.model().as_str().to_owned());
    entry.snapshot = Some(*permit.snapshot());
    entry.basis = Some(spelled(permit.basis()));
    entry.requested = other_than(requested, permit.model());
    let settlement = Settlement::new(Arc::clone(shared), call, decided.pseudonym, &permit);
    let pending = shared.ledger.submit(permit, draft(entry, decided.facts.clone())).map_err(unavailable)?;
    let settlement = settlement.opened_at(pending.index());
    Ok((pending, settlement))
}

/// The longest a call waits for the disk; longer, and it is refused. A disk at its worst takes tens of milliseconds,
/// one that is full may take for ever.
const DURABLE_WITHIN: Duration = Duration::from_secs(10);

/// Waits until an entry is durable.
///
/// # Errors
///
/// [`Problem::LedgerUnavailable`]: it is not, or not in time; nothing may be released.
pub(crate) async fn durable<T>(pending: Pending<T>) -> Result<Recorded<T>, Problem> {
    match tokio::time::timeout(DURABLE_WITHIN, pending.durable()).await {
        Ok(recorded) => recorded.map_err(unavailable),
        Err(_) => {
            tracing::error!("the ledger did not make an entry durable in time");
            Err(Problem::LedgerUnavailable)
        }
    }
}

/// Records a refusal, durable before the caller hears of it.
///
/// # Errors
///
/// [`Problem::LedgerUnavailable`]: the refusal stands all the same; the caller is told to come back.
pub(crate) async fn refusal(
    shared: &Shared,
    call: CallId,
    refusal: &Refusal,
    decided: &Decided,
    requested: &str,
) -> Result<u64, Problem> {
    let mut entry = about(Kind::Refusal, call, decided);
    entry.model = Some(refusal.model().as_str().to_owned());
    entry.snapshot = Some(*refusal.snapshot());
    entry.basis = Some(spelled(refusal.denied_by()));
    entry.code = Some(refusal.code().as_str().to_owned());
    entry.requested = other_than(requested, refusal.model());
    let pending = shared.ledger.append(draft(entry, decided.facts.clone())).map_err(unavailable)?;
    durable(pending).await.map(|recorded| recorded.index())
}

/// Spells provisions as the record does.
pub(crate) fn spelled(provisions: &[ProvisionId]) -> Vec<String> {
    provisions.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Makes a draft of an entry and its private part.
pub(crate) fn draft(entry: Entry, private: Bytes) -> Draft {
    Draft { entry, private }
}

/// Turns a ledger that takes nothing into the answer the caller gets.
pub(crate) fn unavailable(error: Unavailable) -> Problem {
    tracing::error!(error = %error, "the ledger takes no entries");
    Problem::LedgerUnavailable
}

fn about(kind: Kind, call: CallId, decided: &Decided) -> Entry {
    Entry { call: Some(call.0), subject: Some(decided.pseudonym), ..Entry::new(kind) }
}

/// Returns the name that was asked for, where it is not the version's own.
fn other_than(requested: &str, model: &ModelVersionId) -> Option<String> {
    (requested != model.as_str()).then(|| requested.to_owned())
}
