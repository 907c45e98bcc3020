//! Relays an upstream's response: unchanged, whole events at a time, and no further than the permit holds.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ledger::Recorded;
use policy::Permit;
use proof::entry::{Outcome, Usage};
use terms::{CallId, Dialect};

use crate::{
    Call, Problem, Shared, Worker,
    admit::Slot,
    authenticate::Caller,
    decide::Decided,
    dialect::{
        Frame as Event, Meter, Metered, Operation, Shape, Splitter, error_event, failure_event, request_id_header,
        validate_sse,
    },
    forward::{Failure, Reply},
    lease::{Lease, Recall},
    receipt,
    screen::Verdict,
    settle::Settlement,
    upstream::{Reply as Upstream, ReplyBody},
};

/// The most of an unfinished event that is held back; more passes on as it comes. An event with an image of
/// 1 MiB is 1.4 MiB.
const TAIL_BYTES_MAX: usize = 4 << 20;

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

/// A whole response, held until the connection takes it; recalled until then, nothing of it leaves and the
/// connection or stream it was for is broken off.
#[derive(Debug)]
pub struct Held {
    body: Bytes,
    status: StatusCode,
    live: Option<Live>,
}

impl Held {
    fn hand_out(&mut self) -> Option<Bytes> {
        let mut live = self.live.take()?;
        if let Some(recall) = live.lease.recalled() {
            live.settlement.cut(recall);
            return None;
        }
        live.settlement.usage.delivered_bytes = self.body.len() as u64;
        if self.status.is_success() {
            live.settlement.close(Outcome::Completed, None);
        } else {
            let code = format!("upstream_status_{}", self.status.as_u16());
            live.settlement.close(Outcome::UpstreamFailed, Some(code));
        }
        Some(std::mem::take(&mut self.body)).filter(|body| !body.is_empty())
    }
}

/// Relays the response of a recorded call. Takes a recorded permit and nothing weaker, so no byte of output
/// leaves before the entry that opens the call is durable.
///
/// A stream is relayed event by event until it ends or is recalled; anything else is read whole and checked once
/// more before the first byte leaves.
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
    /// Gathers what a permitted call carries to its end; its live entry learns where its opening entry is.
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
        if let Some(index) = settlement.opened() {
            lease.opened_at(index);
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

    /// Reads a whole body, checks the permit and the monitor once more, and closes the call.
    async fn whole(self, upstream: Upstream) -> Result<Held, Problem> {
        let limit = self.shared.limits.load().response_bytes;
        let collect = Limited::new(upstream.body, limit).collect();
        let read = tokio::select! {
            biased;
            _ = self.lease.wait_recalled() => return Err(self.cut_before_output()),
            read = collect => read.map(http_body_util::Collected::to_bytes),
        };
        match read {
            Ok(body) => self.release(upstream.status, body),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(self.upstream_failed(None, "the upstream's response is longer than this gateway relays"))
            }
            Err(error) => Err(self.upstream_failed(None, &format!("the upstream's response broke off: {error}"))),
        }
    }

    /// Lets a whole body go on to the caller, if nothing stops it. The call stays live until the body is handed out.
    fn release(mut self, status: StatusCode, body: Bytes) -> Result<Held, Problem> {
        if let Verdict::Stop(code) = self.shared.monitor.output(self.call, &body) {
            self.stop(code);
        }
        if self.lease.recalled().is_some() {
            return Err(self.cut_before_output());
        }
        let mut meter = Meter::new(self.dialect, &self.operation);
        meter.body(&body);
        self.remember(&meter);
        self.settlement.usage = usage(&meter, 0);
        self.settlement.charge();
        if self.lease.recalled().is_some() {
            return Err(self.cut_before_output());
        }
        Ok(Held { body, status, live: Some(self) })
    }

    /// Recalls the call because a monitor stops it.
    fn stop(&self, code: &'static str) {
        let message = "the output was stopped by monitoring";
        self.lease.recall(Recall::stopped(code, message, self.decided.seen.snapshot()));
    }

    /// Remembers whose a stored response is, as soon as its id is known.
    fn remember(&self, meter: &Meter) {
        if let Some(id) = meter.response_id() {
            self.shared.responses.keep(id.to_owned(), self.holder.clone(), self.lease.model.clone());
        }
    }
}

/// The body of a stream that is relayed.
#[derive(Debug)]
pub struct Relay {
    body: ReplyBody,
    splitter: Splitter,
    meter: Meter,
    opening: Opening,
    delivered: usize,
    /// What was delivered last is the beginning of an event whose end has not come.
    within_event: bool,
    live: Option<Live>,
}

/// What is known of the beginning of a stream.
#[derive(Debug)]
enum Opening {
    /// Its first bytes, until they tell.
    Unknown(Vec<u8>),
    /// It is an event stream.
    Known,
}

/// First bytes of a stream that are looked at to tell whether it is one.
const OPENING_BYTES: usize = 256;

impl Relay {
    fn new(body: ReplyBody, live: Live) -> Self {
        let meter = Meter::new(live.dialect, &live.operation);
        Self {
            body,
            splitter: Splitter::new(TAIL_BYTES_MAX),
            meter,
            opening: Opening::Unknown(Vec::new()),
            delivered: 0,
            within_event: false,
            live: Some(live),
        }
    }

    /// Hands out the next whole event that is already here.
    fn next_event(&mut self) -> Option<Bytes> {
        let event = self.splitter.next_frame()?;
        self.release(event)
    }

    /// Meters an event and lets the monitor see it; `None` if that stopped the call.
    fn release(&mut self, event: Event) -> Option<Bytes> {
        let live = self.live.as_mut()?;
        self.meter.event(&event);
        let ends = event.ends();
        let bytes = event.into_bytes();
        if let Verdict::Stop(code) = live.shared.monitor.output(live.call, &bytes) {
            live.stop(code);
            return None;
        }
        self.within_event = !ends;
        self.delivered += bytes.len();
        live.settlement.usage = usage(&self.meter, self.delivered);
        live.settlement.charge();
        Some(bytes)
    }

    /// Writes a last event of the gateway's own, after a blank line if what went before is unfinished.
    fn last_event(&self, event: Bytes) -> Bytes {
        match self.within_event {
            true => [b"\n\n", event.as_ref()].concat().into(),
            false => event,
        }
    }

    /// Ends the stream with the dialect's own error event, closes the call as cut and aborts the upstream.
    fn cut(&mut self) -> Option<Bytes> {
        let live = self.live.take()?;
        self.body.abort_soon();
        let recall = live.lease.recalled()?;
        let event = error_event(live.dialect, recall.code, &recall.message, &live.call.to_string());
        live.settlement.cut(recall);
        Some(self.last_event(event))
    }

    /// Ends a stream that its upstream did not finish: the caller is told in its dialect.
    fn broke_off(&mut self, code: &str, why: &str) -> Option<Bytes> {
        let live = self.live.take()?;
        self.body.abort();
        let event = failure_event(live.dialect, code, why, &live.call.to_string());
        live.settlement.close(Outcome::UpstreamFailed, Some(code.to_owned()));
        Some(self.last_event(event))
    }

    fn push(&mut self, data: Bytes) {
        if let Opening::Unknown(seen) = &mut self.opening
            && seen.len() < OPENING_BYTES
        {
            seen.extend_from_slice(data.get(..OPENING_BYTES.min(data.len())).unwrap_or_default());
        }
        self.splitter.push(data);
    }

    /// Tells, once, what a stream is that is none; nothing of it is relayed.
    fn garbage(&mut self) -> Option<&'static str> {
        let Opening::Unknown(seen) = &self.opening else { return None };
        match validate_sse(seen) {
            Shape::NotYet => None,
            Shape::Sse => {
                self.opening = Opening::Known;
                None
            }
            Shape::Garbage(garbage) => Some(garbage.as_str()),
        }
    }

    /// Ends a stream that came to its end; what follows the last whole event is passed on as it is.
    fn finish(&mut self) -> Option<Bytes> {
        let tail = self.splitter.finish();
        let tail = match tail.map(|tail| self.release(tail)) {
            Some(None) => return self.cut(),
            tail => tail.flatten(),
        };
        let live = self.live.take()?;
        live.remember(&self.meter);
        let fault = match (self.meter.fault(), self.meter.is_terminal()) {
            (Some(_), _) => Some("error_in_stream"),
            (None, false) => Some("ended_without_terminal_event"),
            (None, true) => None,
        };
        let outcome = if fault.is_some() { Outcome::UpstreamFailed } else { Outcome::Completed };
        live.settlement.close(outcome, fault.map(str::to_owned));
        tail
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &self.live {
                None => return Poll::Ready(None),
                Some(live) if live.lease.poll_recalled(cx).is_ready() => return Poll::Ready(self.cut()),
                Some(_) => {}
            }
            if let Some(garbage) = self.garbage() {
                return Poll::Ready(
                    self.broke_off(
                        "not_an_event_stream",
                        &format!("the model server sent {garbage} instead of events"),
                    ),
                );
            }
            if let Some(event) = self.next_event() {
                return Poll::Ready(Some(event));
            }
            if self.live.as_ref().is_some_and(|live| live.lease.recalled().is_some()) {
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().into_iter().for_each(|data| self.push(data)),
                Some(Err(error)) => return Poll::Ready(self.broke_off("stream_broke_off", &error.to_string())),
                None => return Poll::Ready(self.finish()),
            }
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
            Self::Held(held) => held.live.is_none(),
            Self::Relay(relay) => relay.live.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Held(held) => SizeHint::with_exact(held.body.len() as u64),
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

/// Puts what the upstream reported beside what was delivered.
fn usage(meter: &Meter, delivered_bytes: usize) -> Usage {
    let Metered { input_tokens, output_tokens, delivered_events } = meter.metered();
    Usage { input_tokens, output_tokens, delivered_events, delivered_bytes: delivered_bytes as u64 }
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
