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
    /// Turns the failure into the caller's answer.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Recalled => Problem::Internal,
            Self::Send(SendError::NoEndpoint { .. }) => Problem::DialectUnsupported,
            Self::Send(SendError::Saturated { retry_after }) => Problem::Overloaded { retry_after },
            Self::Send(SendError::FirstByteTimeout) => Problem::UpstreamTimeout,
            Self::Send(error) => Problem::UpstreamFailed { status: None, message: error.to_string() },
        }
    }
}
