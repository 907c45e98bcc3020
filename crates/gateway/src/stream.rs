//! Relays an upstream's response: unchanged, whole events at a time, and no further than the permit holds.

mod allowance;
mod events;
mod relay;
mod whole;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use ledger::{Pending, Recorded};
use policy::{Determination, Permit};
use proof::entry::{Outcome, Usage};
use terms::{CallId, Dialect};

use self::{relay::Relay, whole::Held};
use crate::{
    Call, Problem, Shared, Worker,
    admit::Slot,
    authenticate::Caller,
    decide::Decided,
    dialect::{Meter, Metered, Operation, request_id_header},
    forward::{Failure, Reply},
    lease::{Lease, Recall},
    receipt, record,
    settle::Settlement,
    upstream::Reply as Upstream,
};

/// A permitted call from its opening entry to its end. Dropped at any moment, it is closed in the ledger, leaves
/// the index of live calls and gives back its place.
#[derive(Debug)]
pub struct Live {
    pub(crate) shared: Arc<Shared>,
    pub(crate) call: CallId,
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) holder: identity::Holder,
    pub(crate) decided: Arc<Decided>,
    pub(crate) lease: Lease,
    pub(crate) settlement: Settlement,
    _slot: Slot,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Output {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// A whole response of an upstream, until the connection takes it.
    Held(Box<Held>),
    /// A stream, as it comes.
    Relay(Box<Relay>),
}

/// Relays the response of a recorded call. Takes a recorded permit and nothing weaker, so no byte of output
/// leaves before the entry that opens the call is durable.
///
/// A stream is relayed event by event until it ends or is recalled, within the lease that its entries grant; the event
/// that completes it leaves once the closing entry is durable. Anything else is read whole, checked once more and closed,
/// durably, before the first byte leaves.
///
/// # Errors
///
/// A [`Problem`] in the caller's dialect: no output has left, and the call is closed.
pub async fn relay(recorded: Recorded<Permit>, reply: Reply, mut live: Live) -> Result<Response<Output>, Problem> {
    let mut upstream = match reply.0 {
        Ok(upstream) => upstream,
        Err(failure) => return Err(live.failed(failure)),
    };
    if matches!(upstream.status.as_u16(), 401 | 403 | 407) {
        // The upstream refused the gateway's own credential: nothing the caller could mend.
        let status = upstream.status.as_u16();
        return Err(live.upstream_failed(Some(status), "the upstream refused the gateway's credential"));
    }
    live.settlement.served_by(Arc::clone(&upstream.endpoint));
    let streams = is_event_stream(&upstream);
    let head = head(&recorded, std::mem::take(&mut upstream.headers), &live);
    if streams {
        let output = Output::Relay(Box::new(Relay::new(upstream.body, live)));
        return Ok(response(upstream.status, head, output));
    }
    let status = upstream.status;
    let body = live.whole(upstream).await?;
    Ok(response(status, head, Output::Held(Box::new(body))))
}

impl Live {
    /// Gathers what a permitted call carries to its end; its live entry learns where its opening entry is. What changed
    /// since the decision that this names is decided again, and on record.
    pub(crate) fn new(
        worker: &Worker,
        call: &Call,
        caller: &Caller,
        decided: Arc<Decided>,
        lease: Lease,
        mut settlement: Settlement,
        slot: Slot,
    ) -> Self {
        settlement.of_live(lease.live());
        if let (Some((index, party)), Determination::Permit(permit)) =
            (settlement.opened(), &decided.resolution.determination)
            && lease.opened_at(index, party.clone(), permit.clone())
        {
            worker.shared().revise(&lease);
        }
        Self {
            shared: Arc::clone(worker.shared()),
            call: call.id,
            dialect: call.route.dialect,
            operation: call.route.operation.clone(),
            holder: caller.recipient(worker.directory()),
            decided,
            lease,
            settlement,
            _slot: slot,
        }
    }

    /// Waits until the opening entry is durable; if it is not in time, the call is closed as not served.
    pub(crate) async fn recorded(self, pending: Pending<Permit>) -> Result<(Recorded<Permit>, Self), Problem> {
        match record::durable(pending).await {
            Ok(recorded) => Ok((recorded, self)),
            Err(problem) => {
                self.settlement.close(Outcome::NotServed, Some(problem.code().to_owned()));
                Err(problem)
            }
        }
    }

    /// Closes a call that no upstream answered.
    fn failed(self, failure: Failure) -> Problem {
        match (failure, self.lease.recalled()) {
            (_, Some(_)) | (Failure::Recalled, _) => self.cut_before_output(),
            (failure, None) => {
                let problem = failure.problem();
                self.settlement.close(Outcome::UpstreamFailed, Some(problem.code().to_owned()));
                problem
            }
        }
    }

    /// Closes a recalled call of which nothing has left.
    fn cut_before_output(self) -> Problem {
        let Some(recall) = self.lease.recalled() else { return Problem::Internal };
        self.settlement.cut(recall);
        Problem::PermissionDenied { code: recall.code, message: recall.message.clone(), hold: recall.hold }
    }

    fn upstream_failed(self, status: Option<u16>, message: &str) -> Problem {
        let problem = Problem::UpstreamFailed { status, message: message.to_owned() };
        self.settlement.close(Outcome::UpstreamFailed, Some(problem.code().to_owned()));
        problem
    }

    /// Recalls the call because a monitor stops it.
    fn stop(&self, code: &'static str) {
        let message = "the output was stopped by monitoring";
        self.lease.recall(Recall::stopped(code, message));
    }

    /// Puts what the upstream reported beside what was delivered. Remembers whose a stored response is, as soon as its id
    /// is known.
    fn count(&mut self, meter: &Meter) {
        let Metered { input_tokens, output_tokens, delivered_events } = meter.metered();
        let delivered_bytes = self.settlement.delivered.bytes();
        self.settlement.usage = Usage { input_tokens, output_tokens, delivered_events, delivered_bytes };
        if self.settlement.response_id.as_deref() == meter.id() {
            return;
        }
        self.settlement.response_id = meter.id().map(str::to_owned);
        if let Some(id) = meter.stored_id() {
            self.shared.responses.keep(id.to_owned(), self.holder.clone(), self.lease.model.clone());
        }
    }
}

impl Body for Output {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Self::Held(held) => held.hand_out(),
            Self::Relay(relay) => ready!(relay.poll_output(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Held(held) => held.is_handed_out(),
            Self::Relay(relay) => relay.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Held(held) => SizeHint::with_exact(held.len()),
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

fn is_event_stream(upstream: &Upstream) -> bool {
    let media = upstream.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media = media.get(..17).unwrap_or_default();
    upstream.status.is_success() && media.eq_ignore_ascii_case(b"text/event-stream")
}

static MODEL: HeaderName = HeaderName::from_static("x-exeat-model");
static RECEIPT: HeaderName = HeaderName::from_static("x-exeat-receipt");
static FALLBACK: HeaderName = HeaderName::from_static("x-exeat-fallback");

/// Makes the head of the answer: the upstream's headers, and what the gateway has to say.
fn head(recorded: &Recorded<Permit>, mut headers: HeaderMap, live: &Live) -> HeaderMap {
    let request_id = request_id_header(live.dialect);
    if let Some(theirs) = headers.remove(request_id) {
        headers.insert("x-upstream-request-id", theirs);
    }
    let mut say = |name: &HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name.clone(), value);
        }
    };
    say(request_id, &live.call.to_string());
    say(&MODEL, recorded.get().model().as_str());
    say(&RECEIPT, &receipt::id(recorded.index(), recorded.leaf()));
    if let Some(passed) = live.decided.resolution.passed_over.first() {
        let fallback = format!("{}; {}", passed.model, passed.code.as_str());
        say(&FALLBACK, &fallback);
    }
    headers
}

fn response(status: StatusCode, headers: HeaderMap, output: Output) -> Response<Output> {
    let mut response = Response::new(output);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
