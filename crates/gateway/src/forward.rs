//! Sends a permitted call to an upstream of the permitted version.

use bytes::Bytes;
use ledger::Pending;
use policy::Permit;

use crate::{
    Call, Live, Problem, Worker,
    dialect::with_model,
    upstream::{Outbound, Reply as Upstream, SendError},
};

/// What came of forwarding: the head of an upstream's response, or why there is none.
#[derive(Debug)]
pub struct Reply(pub(crate) Result<Upstream, Failure>);

/// Why there is no response to relay.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No upstream answered.
    Send(SendError),
    /// The call was recalled while the upstream worked.
    Recalled,
}

/// Forwards a submitted call and waits for the head of the response; a recall ends the wait at once.
///
/// The bytes that came in go out as they are, except for the model's name where the caller asked by an alias or
/// the endpoint knows the version by another name. Takes a submitted permit and nothing weaker, so a call that is
/// not on its way into the ledger cannot reach a model.
pub async fn forward(worker: &Worker, permit: &Pending<Permit>, call: &Call, live: &Live) -> Reply {
    let model = permit.get().model();
    let body = |known_as: Option<&str>| body_for(call, known_as.unwrap_or(model.as_str()));
    let outbound = Outbound {
        model,
        dialect: call.route.dialect,
        method: &call.method,
        path_and_query: path_and_query(call),
        headers: &call.headers,
        body: &body,
    };
    tokio::select! {
        biased;
        _ = live.lease.wait_recalled() => Reply(Err(Failure::Recalled)),
        sent = worker.pool().send(outbound) => Reply(sent.map_err(Failure::Send)),
    }
}

fn body_for(call: &Call, model: &str) -> Bytes {
    match &call.peek {
        Some(peek) if peek.model != model => with_model(&call.body, peek, model),
        _ => call.body.clone(),
    }
}

fn path_and_query(call: &Call) -> &str {
    call.uri.path_and_query().map_or("/", |path| path.as_str())
}

impl Failure {
    /// Turns the failure into the caller's answer, which names no address; the operator's log does.
    pub(crate) fn problem(self) -> Problem {
        let Self::Send(error) = self else { return Problem::Internal };
        tracing::warn!(error.message = %error, "a call was not answered by its upstream");
        match error {
            SendError::NoEndpoint { .. } => Problem::DialectUnsupported,
            SendError::Saturated { retry_after } | SendError::Unavailable { retry_after } => {
                Problem::Overloaded { retry_after }
            }
            SendError::FirstByteTimeout => Problem::UpstreamTimeout,
            SendError::Connect { .. } => failed("it cannot be reached"),
            SendError::Broken { .. } => failed("it gave no usable answer"),
        }
    }
}

fn failed(why: &str) -> Problem {
    Problem::UpstreamFailed { status: None, message: why.to_owned() }
}
