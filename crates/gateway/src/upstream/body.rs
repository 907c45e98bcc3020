//! The body of a response, as it comes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{connect::Connection, endpoint::Attempt, health::Failure, pool::Home};

/// How much later than its call a connection is closed whose call was cut.
const ABORT_WITHIN: Duration = Duration::from_millis(50);

/// The body ended before it was complete; what came of it is not the whole answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The upstream fell silent.
    #[error("the upstream sent nothing for {} s", .0.as_secs())]
    Idle(Duration),
    /// The connection broke, or the framing is wrong.
    #[error("the upstream broke off")]
    Broken(#[source] hyper::Error),
}

/// The body of a response, as it comes.
///
/// Read to its end, its connection is kept for another call. Dropped or aborted before, the connection is closed at
/// once, or for a cut in a moment, which tells the upstream to stop. The call counts as carried by its endpoint until
/// then.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    /// `None` once the body ended, in whatever way.
    open: Option<Open>,
    home: Home,
    silence: Silence,
}

#[derive(Debug)]
struct Open {
    incoming: Incoming,
    connection: Connection,
    attempt: Attempt,
}

/// Watches for silence. The timer is moved when it goes off too early, not at every frame.
#[derive(Debug)]
struct Silence {
    within: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ReplyBody {
    pub(super) fn new(incoming: Incoming, connection: Connection, attempt: Attempt, home: Home) -> Self {
        let within = attempt.endpoint().idle_within();
        let open = Some(Open { incoming, connection, attempt });
        let mut body = Self { open, home, silence: Silence { within, since: None, timer: None } };
        body.keep_if_complete();
        body
    }

    /// Closes the connection at once; nothing more comes.
    pub(crate) fn abort(&mut self) {
        self.open = None;
    }

    /// Reads no more and closes the connection in a moment: where many calls end at once, what their callers are told
    /// goes first. Must be called inside a `LocalSet`.
    pub(crate) fn abort_soon(&mut self) {
        if let Some(open) = self.open.take() {
            tokio::task::spawn_local(async move {
                sleep(ABORT_WITHIN).await;
                drop(open);
            });
        }
    }

    fn keep_if_complete(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.incoming.is_end_stream()) {
            self.keep();
        }
    }

    fn keep(&mut self) {
        if let Some(open) = self.open.take() {
            self.home.keep(open.attempt.endpoint(), open.connection);
        }
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        if let Some(mut open) = self.open.take() {
            open.attempt.failed(Failure::Answer);
        }
        error
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(open) = &mut this.open else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut open.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence.broken();
                this.keep_if_complete();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(this.fail(BodyError::Broken(error))))),
            Poll::Ready(None) => {
                this.keep();
                Poll::Ready(None)
            }
            Poll::Pending if this.silence.poll_too_long(cx).is_ready() => {
                let error = BodyError::Idle(this.silence.within);
                Poll::Ready(Some(Err(this.fail(error))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.open.as_ref().map_or_else(|| SizeHint::with_exact(0), |open| open.incoming.size_hint())
    }
}

impl Silence {
    fn broken(&mut self) {
        self.since = None;
    }

    fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + self.within;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
