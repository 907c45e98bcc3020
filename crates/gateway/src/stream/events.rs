//! A stream: whole events at a time, no further than permit and lease reach, and the last one after the closing entry.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use proof::entry::Outcome;

use super::{Live, allowance::Allowance};
use crate::{
    Problem,
    dialect::{
        EventKind, Frame as Event, Meter, Shape, Splitter, TAIL_BYTES_MAX, error_event, failure_event, validate_sse,
    },
    record::Durable,
    screen::Verdict,
    upstream::ReplyBody,
};

/// First bytes of a stream that are looked at to tell whether it is one.
const OPENING_BYTES: usize = 256;

/// The events of a stream that is relayed.
#[derive(Debug)]
pub(super) struct Events {
    body: ReplyBody,
    splitter: Splitter,
    meter: Meter,
    opening: Opening,
    allowance: Allowance,
    waiting: Option<Waiting>,
    /// What was delivered last is the beginning of an event whose end has not come.
    within_event: bool,
    live: Option<Live>,
    /// The last event of a call that was cut before anybody asked for it.
    last: Option<Bytes>,
}

/// What is known of the beginning of a stream.
#[derive(Debug)]
enum Opening {
    /// Its first bytes, until they tell.
    Unknown(Vec<u8>),
    /// It is an event stream.
    Known,
}

/// An event that came and may not leave yet.
#[derive(Debug)]
struct Waiting {
    event: Outgoing,
    awaits: Awaits,
}

/// What an event waits for.
#[derive(Debug)]
enum Awaits {
    /// An entry that allows more events.
    Lease,
    /// The closing entry, which is submitted if nothing recalls the call.
    Close(Option<Durable>),
}

/// An event as it leaves.
#[derive(Debug)]
struct Outgoing {
    bytes: Bytes,
    ends: bool,
}

impl Events {
    pub(super) fn new(body: ReplyBody, live: Live) -> Self {
        Self {
            body,
            splitter: Splitter::new(TAIL_BYTES_MAX),
            meter: Meter::new(live.dialect, &live.operation),
            opening: Opening::Unknown(Vec::new()),
            allowance: Allowance::new(live.settlement.lease()),
            waiting: None,
            within_event: false,
            live: Some(live),
            last: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.live.is_none() && self.last.is_none()
    }

    /// Closes the call, which was recalled; its last event waits to be asked for.
    pub(super) fn close_recalled(&mut self) {
        if self.live.is_some() {
            self.last = self.cut();
        }
    }

    /// Hands out what may leave next; `None` at the end.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &self.live {
                None => return Poll::Ready(self.last.take()),
                Some(live) if live.lease.poll_recalled(cx).is_ready() => return Poll::Ready(self.cut()),
                Some(_) => {}
            }
            if self.waiting.is_some() {
                return self.poll_waiting(cx);
            }
            if let Some(garbage) = self.garbage() {
                let why = format!("the model server sent {garbage} instead of events");
                return Poll::Ready(self.broke_off("not_an_event_stream", &why));
            }
            let event = match self.splitter.next_frame() {
                Some(event) => event,
                None => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        frame.into_data().into_iter().for_each(|data| self.push(data));
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(self.broke_off("stream_broke_off", &error.to_string())),
                    // What follows the last whole event is passed on as it is.
                    None => match self.splitter.finish() {
                        Some(tail) => tail,
                        None => return Poll::Ready(self.finish()),
                    },
                },
            };
            if let Some(bytes) = self.take(event) {
                return Poll::Ready(Some(bytes));
            }
        }
    }

    /// Meters an event and lets the monitor see it; returns it if it may leave at once.
    fn take(&mut self, event: Event) -> Option<Bytes> {
        let live = self.live.as_mut()?;
        let kind = self.meter.event(&event);
        let event = Outgoing { ends: event.ends(), bytes: event.into_bytes() };
        if let Verdict::Stop(code) = live.shared.monitor.output(live.call, &event.bytes) {
            live.stop(code);
            return None;
        }
        match kind {
            _ if live.settlement.is_closed() => self.after_the_last(kind, event),
            EventKind::Terminal | EventKind::Fault => {
                // What was used is known by now; if that recalls the call, the event never leaves.
                self.count();
                self.waiting = Some(Waiting { event, awaits: Awaits::Close(None) });
                None
            }
            EventKind::Output if !self.may_deliver() => {
                self.waiting = Some(Waiting { event, awaits: Awaits::Lease });
                None
            }
            EventKind::Output | EventKind::Control => Some(self.deliver(event)),
        }
    }

    /// Passes on what carries no output, such as the rest of a line ending; anything else ends the stream.
    fn after_the_last(&mut self, kind: EventKind, event: Outgoing) -> Option<Bytes> {
        if kind == EventKind::Control {
            return Some(event.bytes);
        }
        self.body.abort();
        self.live = None;
        None
    }

    /// Returns whether the event that was metered last is within the lease; asks for more in time.
    fn may_deliver(&mut self) -> bool {
        let events = self.meter.metered().delivered_events;
        if let (Some(total), Some(live)) = (self.allowance.due(events), &self.live)
            && let Ok(entry) = live.settlement.extend(total)
        {
            self.allowance.asked(entry);
        }
        self.allowance.covers(events)
    }

    fn deliver(&mut self, event: Outgoing) -> Bytes {
        self.within_event = !event.ends;
        if let Some(live) = &mut self.live {
            live.settlement.delivered.add(&event.bytes);
        }
        self.count();
        event.bytes
    }

    /// Brings what was used up to date.
    fn count(&mut self) {
        if let Some(live) = &mut self.live {
            live.count(&self.meter);
            live.settlement.charge();
        }
    }

    /// Lets the event that waits leave, once the entry that it waits for is durable.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(mut waiting) = self.waiting.take() else { return Poll::Pending };
        let durable = match &mut waiting.awaits {
            Awaits::Lease => self.allowance.poll_granted(cx),
            Awaits::Close(Some(closing)) => Pin::new(closing).poll(cx),
            Awaits::Close(none) => match self.close(&waiting.event) {
                Some(closing) => Pin::new(none.insert(closing)).poll(cx),
                None => Poll::Ready(Err(Problem::Internal)),
            },
        };
        match (durable, &waiting.awaits) {
            (Poll::Pending, _) => {
                self.waiting = Some(waiting);
                Poll::Pending
            }
            (Poll::Ready(Err(_)), _) => Poll::Ready(self.unrecorded()),
            (Poll::Ready(Ok(())), Awaits::Lease) => Poll::Ready(Some(self.deliver(waiting.event))),
            (Poll::Ready(Ok(())), Awaits::Close(_)) => {
                self.within_event = !waiting.event.ends;
                Poll::Ready(Some(waiting.event.bytes))
            }
        }
    }

    /// Closes the call with its last event counted as delivered.
    fn close(&mut self, last: &Outgoing) -> Option<Durable> {
        let live = self.live.as_mut()?;
        live.settlement.delivered.add(&last.bytes);
        live.count(&self.meter);
        let closing = match self.meter.fault() {
            Some(_) => live.settlement.end(Outcome::UpstreamFailed, Some("error_in_stream".to_owned())),
            None => live.settlement.end(Outcome::Completed, None),
        };
        Some(closing)
    }

    /// Writes a last event of the gateway's own, after a blank line if what went before is unfinished.
    fn last_event(&self, event: Bytes) -> Bytes {
        match self.within_event {
            true => [b"\n\n", event.as_ref()].concat().into(),
            false => event,
        }
    }

    /// Ends the stream with the dialect's own error event, closes the call as cut and aborts the upstream. A call whose
    /// last event has left just ends.
    fn cut(&mut self) -> Option<Bytes> {
        let live = self.live.take()?;
        self.body.abort_soon();
        if live.settlement.is_closed() && self.waiting.is_none() {
            return None;
        }
        self.waiting = None;
        let recall = live.lease.recalled()?;
        let event = error_event(live.dialect, recall.code, &recall.message, &live.call.to_string());
        live.settlement.cut(recall);
        Some(self.last_event(event))
    }

    /// Ends a stream of which the next event cannot be put on record: it does not leave.
    fn unrecorded(&mut self) -> Option<Bytes> {
        let live = self.live.take()?;
        self.body.abort();
        let code = Problem::LedgerUnavailable.code();
        let why = "the record of this call cannot be completed";
        let event = failure_event(live.dialect, code, why, &live.call.to_string());
        live.settlement.close(Outcome::Cut, Some(code.to_owned()));
        Some(self.last_event(event))
    }

    /// Ends a stream that its upstream did not finish: the caller is told in its dialect.
    fn broke_off(&mut self, code: &str, why: &str) -> Option<Bytes> {
        let live = self.live.take()?;
        self.body.abort();
        if live.settlement.is_closed() {
            return None;
        }
        let event = failure_event(live.dialect, code, why, &live.call.to_string());
        live.settlement.close(Outcome::UpstreamFailed, Some(code.to_owned()));
        Some(self.last_event(event))
    }

    /// Ends a stream that came to its end.
    fn finish(&mut self) -> Option<Bytes> {
        let live = self.live.take()?;
        // Only an event that completes the answer closes the call before.
        live.settlement.close(Outcome::UpstreamFailed, Some("ended_without_terminal_event".to_owned()));
        None
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
}
