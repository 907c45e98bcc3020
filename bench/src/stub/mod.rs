//! An upstream that answers at once, or at a set pace, so that what is measured is what stands before it.

mod dialect;

use std::{
    cell::Cell,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Interval, MissedTickBehavior, interval_at},
};

use crate::own::Own;
use dialect::Dialect;

/// Where the pace is set; no path of a model server.
const PACE: &str = "/pace";
/// The runtime's timer counts whole milliseconds; the rest of a delay is waited for by yielding.
const TIMER: Duration = Duration::from_millis(2);

/// How answers are paced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pace {
    /// Events of one stream with text, beside those that begin and end it.
    pub(crate) events: u32,
    /// Between two events.
    pub(crate) gap: Duration,
    /// Before the first byte of any answer.
    pub(crate) delay: Duration,
}

impl Pace {
    /// Everything at once, streams with three events.
    pub(crate) const AT_ONCE: Self = Self { events: 3, gap: Duration::ZERO, delay: Duration::ZERO };

    fn to_json(self) -> Value {
        json!({"events": self.events, "gap_us": micros(self.gap), "delay_us": micros(self.delay)})
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            events: u32::try_from(number("events")?).ok()?,
            gap: Duration::from_micros(number("gap_us")?),
            delay: Duration::from_micros(number("delay_us")?),
        })
    }
}

/// The stub as a process of its own, so that its CPU time is nobody else's. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Stub(Own);

impl Stub {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self(Own::start(&["stub"])?))
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Sets the pace of all answers from now on.
    ///
    /// # Errors
    ///
    /// The stub is gone.
    pub(crate) fn set(&self, pace: Pace) -> anyhow::Result<()> {
        let body = pace.to_json().to_string();
        let headers = [("connection", "close")];
        let answer = testkit::http::send(self.address(), "POST", PACE, &headers, body.as_bytes());
        let answer = answer.context("the stub is gone")?;
        ensure!(answer.head.status == 200, "the stub did not take the pace: status {}", answer.head.status);
        Ok(())
    }
}

/// Serves on a listener until the process ends.
///
/// # Errors
///
/// The listener's.
pub(crate) async fn serve(listener: TcpListener, pace: Pace) -> anyhow::Result<()> {
    let pace = Rc::new(Cell::new(pace));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pace = Rc::clone(&pace);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, Rc::clone(&pace)));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away ends its connection; that is all.
            let _ = connection.await;
        });
    }
}

type Boxed = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, pace: Rc<Cell<Pace>>) -> Result<Response<Boxed>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if head.uri.path() == PACE {
        return Ok(set_pace(&body, &pace));
    }
    let pace = pace.get();
    wait(pace.delay).await;
    let dialect = Dialect::of(head.uri.path());
    let (media, body) = if streams(&body) {
        ("text/event-stream", Paced::new(pace, dialect).boxed_unsync())
    } else {
        ("application/json", Full::new(dialect.whole()).boxed_unsync())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

fn set_pace(body: &[u8], pace: &Cell<Pace>) -> Response<Boxed> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    match Pace::from_json(body) {
        Some(new) => pace.set(new),
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// Peers write bodies anew, with or without a space after the colon.
fn streams(body: &[u8]) -> bool {
    [&b"\"stream\":true"[..], b"\"stream\": true"].iter().any(|field| body.windows(field.len()).any(|at| at == *field))
}

/// Waits to within some microseconds.
async fn wait(delay: Duration) {
    let until = Instant::now() + delay;
    if delay > TIMER {
        tokio::time::sleep(delay - TIMER).await;
    }
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The body of a stream: its first piece at once, each other a gap after the one before.
struct Paced {
    pieces: dialect::Pieces,
    gap: Duration,
    ticks: Option<Interval>,
}

impl Paced {
    fn new(pace: Pace, dialect: Dialect) -> Self {
        Self { pieces: dialect.pieces(pace.events), gap: pace.gap, ticks: None }
    }

    /// Begins to tick after the first piece: a timer would hold that back for up to two milliseconds, too.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(ticks) = &mut self.ticks {
            return ticks.poll_tick(cx).map(drop);
        }
        if !self.gap.is_zero() {
            let mut ticks = interval_at(tokio::time::Instant::now() + self.gap, self.gap);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.ticks = Some(ticks);
        }
        Poll::Ready(())
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.poll_due(cx));
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece))))
    }
}

/// A stub on a thread of this process, for tests.
#[cfg(test)]
pub(crate) fn in_process(pace: Pace) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || crate::own::run(listener, |listener| serve(listener, pace)));
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
        let headers = [("connection", "close")];
        let answer = testkit::http::send(address, "POST", path, &headers, body.as_bytes()).unwrap();
        (answer.head.status, answer.text().unwrap())
    }

    #[test]
    fn both_dialects_are_answered_whole_and_as_streams_with_their_own_end() {
        let address = in_process(Pace { events: 4, ..Pace::AT_ONCE });
        for (path, object, delta, end) in [
            ("/v1/chat/completions", "chat.completion", "\"content\":\"word \"", "data: [DONE]\n\n"),
            ("/v1/messages", "\"type\":\"message\"", "content_block_delta\n", "data: {\"type\":\"message_stop\"}\n\n"),
        ] {
            let (status, whole) = call(address, path, "{}");
            assert!(status == 200 && whole.contains(object), "{whole}");
            let (_, stream) = call(address, path, r#"{"stream": true}"#);
            assert_eq!(stream.matches(delta).count(), 4, "{stream}");
            assert!(stream.ends_with(end), "{stream}");
        }
    }

    #[test]
    fn the_pace_can_be_set_while_it_runs_and_nonsense_is_refused() {
        let address = in_process(Pace::AT_ONCE);
        let pace = Pace { events: 2, gap: Duration::from_millis(30), delay: Duration::from_millis(60) };
        assert_eq!(call(address, PACE, &pace.to_json().to_string()).0, 200);
        assert_eq!(call(address, PACE, "{}").0, 400);
        let begun = Instant::now();
        let (_, stream) = call(address, "/v1/chat/completions", r#"{"stream":true}"#);
        assert!(begun.elapsed() >= Duration::from_millis(60 + 2 * 30 - 2), "{:?}", begun.elapsed());
        assert_eq!(stream.matches("word").count(), 2);
    }

    #[test]
    fn a_pace_survives_its_way_to_the_stub() {
        let pace = Pace { events: 7, gap: Duration::from_micros(1_500), delay: Duration::from_millis(20) };
        assert_eq!(Pace::from_json(pace.to_json().to_string().as_bytes()), Some(pace));
    }
}
