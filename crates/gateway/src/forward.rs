//! Sends a permitted call to an upstream of the permitted version.

use ledger::{Pending, Recorded};
use policy::Permit;

use crate::{
    Call, Live, Problem, Worker, ticket,
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

/// A permit that is on its way into the ledger, or in it.
pub trait Submitted: sealed::Sealed {
    /// Returns the permit.
    fn permit(&self) -> &Permit;
    /// Returns the index of the opening entry.
    fn index(&self) -> u64;
    /// Returns the time of the opening entry, in milliseconds since the Unix epoch.
    fn at_ms(&self) -> u64;
    /// Returns the leaf hash of the opening entry.
    fn leaf(&self) -> &[u8; 32];
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for ledger::Pending<policy::Permit> {}
    impl Sealed for ledger::Recorded<policy::Permit> {}
}

impl Submitted for Pending<Permit> {
    fn permit(&self) -> &Permit {
        self.get()
    }

    fn index(&self) -> u64 {
        self.index()
    }

    fn at_ms(&self) -> u64 {
        self.at_ms()
    }

    fn leaf(&self) -> &[u8; 32] {
        self.leaf()
    }
}

impl Submitted for Recorded<Permit> {
    fn permit(&self) -> &Permit {
        self.get()
    }

    fn index(&self) -> u64 {
        self.index()
    }

    fn at_ms(&self) -> u64 {
        self.at_ms()
    }

    fn leaf(&self) -> &[u8; 32] {
        self.leaf()
    }
}

/// Forwards a submitted call and waits for the head of the response; a recall ends the wait at once.
///
/// The bytes that came in go out as they are, except for the model's name where the caller asked by an alias or
/// the endpoint knows the version by another name. Takes a submitted permit and nothing weaker, so a call that is
/// not on its way into the ledger cannot reach a model.
pub async fn forward(worker: &Worker, submitted: &impl Submitted, call: &Call, live: &Live) -> Reply {
    let model = submitted.permit().model();
    let ticket = |meter: Option<&str>| {
        let ticket = meter.map(|meter| ticket::mint(worker.shared(), submitted, call.id, meter)).transpose()?;
        live.settlement.goes_to(meter);
        Ok(ticket)
    };
    let body = |known_as: Option<&str>| call.body_for(known_as.unwrap_or(model.as_str()));
    let outbound = Outbound {
        model,
        dialect: call.route.dialect,
        method: &call.method,
        path_and_query: path_and_query(call),
        headers: &call.headers,
        ticket: &ticket,
        body: &body,
    };
    tokio::select! {
        biased;
        _ = live.lease.wait_recalled() => Reply(Err(Failure::Recalled)),
        sent = worker.pool().send(outbound) => Reply(sent.map_err(Failure::Send)),
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
            SendError::NoTicket(_) => Problem::Internal,
        }
    }
}

fn failed(why: &str) -> Problem {
    Problem::UpstreamFailed { status: None, message: why.to_owned() }
}
