//! A client's connection that ends when it is idle or slow for too long.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::config::Limits;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

/// What is known about a connection, between its bytes and its calls.
#[derive(Debug)]
pub(super) struct Activity {
    calls: Cell<usize>,
    /// When the last call ended, or the last byte came that belongs to none.
    idle_since: Cell<Instant>,
    /// When a request head began that is not complete yet. Not used in HTTP/2, where control frames come at any time.
    head_since: Cell<Option<Instant>>,
}

/// A call under way on a connection; over when dropped.
#[derive(Debug)]
pub(super) struct Under(Rc<Activity>);

/// A client's connection that fails when it is idle or slow for too long.
///
/// A timer is looked at only when there is nothing to read or write, and moved only when it goes off or is too late:
/// a call that comes in at once touches none.
#[derive(Debug)]
pub(super) struct Guarded<IO> {
    io: IO,
    activity: Rc<Activity>,
    patience: Patience,
    seen: Seen,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    stuck_since: Option<Instant>,
}

/// What the first bytes show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Nothing,
    Http1,
    Http2,
}

impl Patience {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            head: Duration::from_secs(limits.header_seconds),
            idle: Duration::from_secs(limits.idle_seconds),
            write: Duration::from_secs(limits.write_seconds),
        }
    }
}

impl Activity {
    /// Starts without a call; the head of the first one is expected from now on.
    pub(super) fn new() -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self { calls: Cell::new(0), idle_since: Cell::new(now), head_since: Cell::new(Some(now)) })
    }

    /// Notes that a request head is complete.
    pub(super) fn begin(self: &Rc<Self>) -> Under {
        self.calls.set(self.calls.get() + 1);
        self.head_since.set(None);
        Under(Rc::clone(self))
    }

    /// Returns when the connection must end if nothing happens; `None` while there are calls.
    fn deadline(&self, patience: &Patience) -> Option<Instant> {
        if self.calls.get() > 0 {
            return None;
        }
        let idle = self.idle_since.get() + patience.idle;
        Some(self.head_since.get().map_or(idle, |since| idle.min(since + patience.head)))
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

impl<IO> Guarded<IO> {
    pub(super) fn new(io: IO, activity: Rc<Activity>, patience: Patience) -> Self {
        Self { io, activity, patience, seen: Seen::Nothing, reading: None, writing: None, stuck_since: None }
    }

    /// Notes bytes that came in.
    fn came(&mut self, bytes: &[u8]) {
        if self.seen == Seen::Nothing {
            // No HTTP/1 method begins so (RFC 9113 3.4).
            self.seen = if bytes.starts_with(b"PRI") { Seen::Http2 } else { Seen::Http1 };
        }
        if self.activity.calls.get() > 0 {
            return;
        }
        let now = Instant::now();
        self.activity.idle_since.set(now);
        let head = match self.seen {
            Seen::Http2 => None,
            _ => Some(self.activity.head_since.get().unwrap_or(now)),
        };
        self.activity.head_since.set(head);
    }

    /// Is ready when the client has had its time.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // During calls the timer only looks in now and then.
            let deadline = self.activity.deadline(&self.patience);
            let look_at = |now| deadline.unwrap_or(now + self.patience.head);
            let timer = self.reading.get_or_insert_with(|| Box::pin(sleep_until(look_at(Instant::now()))));
            if let Some(deadline) = deadline.filter(|deadline| timer.deadline() > *deadline) {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(look_at(now));
        }
    }

    /// Passes on what writing came to, and fails when the client took nothing for too long.
    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck_since = None;
            return written;
        }
        let deadline = *self.stuck_since.get_or_insert_with(Instant::now) + self.patience.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(too_slow("the client takes no more of its response")));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
                    this.came(bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.poll_idle(cx).is_ready() => {
                Poll::Ready(Err(too_slow("the client sent no complete request in time")))
            }
            other => other,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.watch_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.watch_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.io).poll_shutdown(cx);
        this.watch_write(cx, shut)
    }
}

fn too_slow(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
