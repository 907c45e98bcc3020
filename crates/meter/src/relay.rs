//! Passes a reply back unchanged and counts it; its last event leaves only once the count is on record.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use gateway::Count;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame, SizeHint};
use ledger::{Pending, Unavailable};
use proof::entry::Outcome;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until, timeout},
};

use crate::{book::Account, upstream::Reply};

/// How long a stream may stay open after the event that ends it. Model servers close at once.
const LINGER: Duration = Duration::from_millis(250);
/// The longest a call waits for the disk. A disk at its worst takes tens of milliseconds.
pub(crate) const DURABLE_WITHIN: Duration = Duration::from_secs(10);
/// How much may come after the event that ends a stream.
const AFTERWARDS_BYTES_MAX: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Output {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// A stream, as it comes.
    Relay(Box<Relay>),
}

/// The rest of a stream does not leave: the connection is broken off, so that nobody takes it for whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The model server broke off.
    #[error("the model server broke off")]
    BrokeOff,
    /// The count could not be recorded.
    #[error("the call could not be recorded")]
    Unrecorded,
}

/// A stream that is passed back.
#[derive(Debug)]
pub(crate) struct Relay {
    stage: Stage,
    count: Count,
    account: Account,
    /// The event that ends the stream, and what came after it: held until the count is on record.
    held: VecDeque<Bytes>,
    _place: OwnedSemaphorePermit,
}

/// How far a stream is.
enum Stage {
    /// Events leave as they come.
    Flowing(Reply),
    /// The event that ends it came; the model server has until then to close.
    Ending(Reply, Pin<Box<Sleep>>),
    /// The count is on its way to the disk; then what is held leaves, or the stream breaks off.
    Settling(Settling, bool),
    /// The count is on record.
    Settled,
    /// Nothing more leaves.
    Over,
}

type Settling = Pin<Box<dyn Future<Output = Result<(), Unavailable>> + Send>>;

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flowing(_) => "Flowing",
            Self::Ending(..) => "Ending",
            Self::Settling(..) => "Settling",
            Self::Settled => "Settled",
            Self::Over => "Over",
        })
    }
}

impl Relay {
    /// Takes over a stream whose ticket is on record, until its end.
    pub(crate) fn new(reply: Reply, count: Count, account: Account, place: OwnedSemaphorePermit) -> Self {
        Self { stage: Stage::Flowing(reply), count, account, held: VecDeque::new(), _place: place }
    }

    /// Returns the next event that may leave at once; events from the last one on are held. Once the call is settled, what
    /// else came is not looked at: it was not counted and does not leave.
    fn next_event(&mut self) -> Option<Bytes> {
        if !matches!(self.stage, Stage::Flowing(_) | Stage::Ending(..)) {
            return None;
        }
        while let Some(piece) = self.counted(Count::next_piece) {
            if !self.count.is_terminal() {
                self.account.bytes += piece.len() as u64;
                return Some(piece);
            }
            self.held.push_back(piece);
        }
        None
    }

    /// Takes the next piece and counts it, unless the call ended before it: what comes after the end counts on no side.
    fn counted(&mut self, next: impl FnOnce(&mut Count) -> Option<Bytes>) -> Option<Bytes> {
        let has_ended = self.count.is_terminal();
        let piece = next(&mut self.count);
        if !has_ended {
            self.account.used = self.count.used();
        }
        piece
    }

    fn is_held_too_much(&self) -> bool {
        self.held.iter().skip(1).map(Bytes::len).sum::<usize>() > AFTERWARDS_BYTES_MAX
    }

    /// Submits the count of a stream that came to its end, or that the model server did not end in time.
    fn settle(&mut self) -> Stage {
        let tail = self.counted(Count::finish);
        self.held.extend(tail);
        self.account.bytes += self.held.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let (outcome, code) = match (self.count.is_fault(), self.count.is_terminal()) {
            (true, _) => (Outcome::UpstreamFailed, Some("error_in_stream")),
            (false, false) => (Outcome::UpstreamFailed, Some("ended_without_terminal_event")),
            (false, true) => (Outcome::Completed, None),
        };
        settling(&mut self.account, outcome, code, true)
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Stopped>>> {
        loop {
            if let Some(event) = self.next_event() {
                return Poll::Ready(Some(Ok(event)));
            }
            let (stage, answer) = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Flowing(reply) if self.count.is_terminal() => {
                    (Stage::Ending(reply, Box::pin(sleep_until(Instant::now() + LINGER))), None)
                }
                Stage::Flowing(mut reply) => match self.poll_reply(&mut reply, cx) {
                    Poll::Pending => (Stage::Flowing(reply), Some(Poll::Pending)),
                    Poll::Ready(Came::More) => (Stage::Flowing(reply), None),
                    Poll::Ready(came) => (self.ended(&came), None),
                },
                Stage::Ending(mut reply, mut until) => match self.poll_reply(&mut reply, cx) {
                    Poll::Pending if until.as_mut().poll(cx).is_ready() => (self.settle(), None),
                    Poll::Pending => (Stage::Ending(reply, until), Some(Poll::Pending)),
                    Poll::Ready(Came::More) if !self.is_held_too_much() => (Stage::Ending(reply, until), None),
                    Poll::Ready(_) => (self.settle(), None),
                },
                Stage::Settling(mut settling, whole) => match settling.as_mut().poll(cx) {
                    Poll::Pending => (Stage::Settling(settling, whole), Some(Poll::Pending)),
                    Poll::Ready(Ok(())) if whole => (Stage::Settled, None),
                    Poll::Ready(Ok(())) => (Stage::Over, Some(Poll::Ready(Some(Err(Stopped::BrokeOff))))),
                    Poll::Ready(Err(_)) => (Stage::Over, Some(Poll::Ready(Some(Err(Stopped::Unrecorded))))),
                },
                Stage::Settled => match self.held.pop_front() {
                    Some(piece) => (Stage::Settled, Some(Poll::Ready(Some(Ok(piece))))),
                    None => (Stage::Over, Some(Poll::Ready(None))),
                },
                Stage::Over => (Stage::Over, Some(Poll::Ready(None))),
            };
            self.stage = stage;
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    fn poll_reply(&mut self, reply: &mut Reply, cx: &mut Context<'_>) -> Poll<Came> {
        Poll::Ready(match ready!(Pin::new(reply).poll_frame(cx)) {
            Some(Ok(frame)) => {
                frame.into_data().into_iter().for_each(|data| self.count.push(data));
                Came::More
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a stream broke off");
                Came::Broken
            }
            None => Came::End,
        })
    }

    fn ended(&mut self, came: &Came) -> Stage {
        match came {
            Came::Broken => settling(&mut self.account, Outcome::UpstreamFailed, Some("stream_broke_off"), false),
            Came::End | Came::More => self.settle(),
        }
    }
}

/// What came from the model server.
enum Came {
    More,
    End,
    Broken,
}

fn settling(account: &mut Account, outcome: Outcome, code: Option<&str>, whole: bool) -> Stage {
    let closed = account.close(outcome, code.map(str::to_owned));
    Stage::Settling(Box::pin(durable(closed)), whole)
}

/// Waits until a closing entry is durable, for as long as a call waits for the disk at most.
pub(crate) async fn durable(closed: Result<Option<Pending<()>>, Unavailable>) -> Result<(), Unavailable> {
    match closed? {
        Some(pending) => timeout(DURABLE_WITHIN, pending.durable()).await.unwrap_or(Err(Unavailable::Fenced)).map(drop),
        None => Ok(()),
    }
}

impl Body for Output {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            Self::Relay(relay) => ready!(relay.poll_output(cx)),
        };
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relay(relay) => matches!(relay.stage, Stage::Over),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

/// Tells whether a response comes as a stream of events.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media.get(..17).unwrap_or_default().eq_ignore_ascii_case(b"text/event-stream")
}
