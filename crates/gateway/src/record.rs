//! Submits to the ledger what was decided, before anything comes of it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use ledger::{Draft, Pending, Recorded, Unavailable};
use policy::{Permit, Refusal};
use proof::{
    commit::Field,
    entry::{Entry, Kind},
};
use sha2::{Digest, Sha256};
use terms::{CallId, ModelVersionId, ProvisionId};

use crate::{Call, Shared, bulk, content::Content, decide::Decided, dialect::Problem, settle::Settlement};

/// Submits the opening entry of a permitted call, with the digest of the body that is forwarded under the name of the
/// version that was permitted, and the body itself, sealed, if bodies are kept.
///
/// From here the upstream may work, while the entry becomes durable; nothing may be relayed before it is. The
/// settlement closes the entry whatever happens next, even if the call is dropped at this very moment.
///
/// # Errors
///
/// [`Problem::LedgerUnavailable`], or [`Problem::Internal`] if the body could not be hashed: nothing was submitted, the call
/// is refused.
pub(crate) async fn submit(
    shared: &Arc<Shared>,
    call: &Call,
    permit: Permit,
    decided: &Decided,
    requested: &str,
) -> Result<(Pending<Permit>, Settlement), Problem> {
    let recording = shared.recording.load_full();
    let mut entry = about(Kind::Open, call.id);
    entry.model = Some(permit.model().as_str().to_owned());
    entry.snapshot = Some(*permit.snapshot());
    entry.basis = Some(spelled(permit.basis()));
    entry.requested = other_than(requested, permit.model());
    entry.lease = Some(recording.lease_events);
    let fields = request(call, permit.model(), recording.content.clone()).await?;
    let settlement = Settlement::new(Arc::clone(shared), call.id, decided.party.clone(), &permit, &recording);
    let submit = |draft| shared.ledger.submit(permit, with(draft, fields));
    let pending = decided
        .grounds
        .submit(entry, &decided.party, (&shared.ledger, shared.clock.now()), submit)
        .map_err(unavailable)?;
    let settlement = settlement.opened_at(pending.index());
    Ok((pending, settlement))
}

/// The longest a call waits for the disk; longer, and it is refused. A disk at its worst takes tens of milliseconds,
/// one that is full may take for ever.
pub(crate) const DURABLE_WITHIN: Duration = Duration::from_secs(10);

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

/// An entry on its way to the disk: a future that ends once it is durable, or will not be in time.
pub(crate) struct Durable(Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>>);

impl Durable {
    /// Waits for what `future` waits for.
    pub(crate) fn new(future: impl Future<Output = Result<(), Problem>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// Waits for an entry as [`durable`] does.
    pub(crate) fn of(pending: Pending<()>) -> Self {
        Self::new(async { durable(pending).await.map(drop) })
    }
}

impl Future for Durable {
    type Output = Result<(), Problem>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durable")
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
    let mut entry = about(Kind::Refusal, call);
    entry.model = Some(refusal.model().as_str().to_owned());
    entry.snapshot = Some(*refusal.snapshot());
    entry.basis = Some(spelled(refusal.denied_by()));
    entry.code = Some(refusal.code().as_str().to_owned());
    entry.requested = other_than(requested, refusal.model());
    let append = |draft| shared.ledger.append(draft);
    let pending = decided
        .grounds
        .submit(entry, &decided.party, (&shared.ledger, shared.clock.now()), append)
        .map_err(unavailable)?;
    durable(pending).await.map(|recorded| recorded.index())
}

/// Spells provisions as the record does.
pub(crate) fn spelled(provisions: &[ProvisionId]) -> Vec<String> {
    provisions.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Adds fields to the private part of a draft.
pub(crate) fn with(draft: Draft, fields: impl IntoIterator<Item = (Field, Bytes)>) -> Draft {
    fields.into_iter().fold(draft, |draft, (field, value)| draft.with(field, value))
}

/// Turns a ledger that takes nothing into the answer the caller gets.
pub(crate) fn unavailable(error: Unavailable) -> Problem {
    tracing::error!(error = %error, "the ledger takes no entries");
    Problem::LedgerUnavailable
}

fn about(kind: Kind, call: CallId) -> Entry {
    Entry { call: Some(call.0), ..Entry::new(kind) }
}

/// Returns what the private part says of the body of a request for `model`.
async fn request(
    call: &Call,
    model: &ModelVersionId,
    content: Option<Arc<Content>>,
) -> Result<Vec<(Field, Bytes)>, Problem> {
    let (id, body) = (call.id, call.body_for(model.as_str()));
    let fields = move || {
        let sealed = content.map(|content| (Field::SealedRequest, content.seal(id, &body)));
        let digest = Bytes::copy_from_slice(&Sha256::digest(&body));
        std::iter::once((Field::Request, digest)).chain(sealed).collect()
    };
    bulk::work(call.body.len(), fields).await
}

/// Returns the name that was asked for, where it is not the version's own.
fn other_than(requested: &str, model: &ModelVersionId) -> Option<String> {
    (requested != model.as_str()).then(|| requested.to_owned())
}
