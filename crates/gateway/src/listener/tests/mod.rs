//! Listeners against clients on real sockets.

mod limits;
mod serving;
mod tls;

use std::{
    io::{Read, Write},
    net::TcpStream,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use hyper::body::Frame;
use tokio::time::Sleep;

use super::*;
use crate::config::{Limits, Settings};

/// Answers by path: `/` with the worker's number, `/peer` with who asks, `/slow` after 1.5 s, `/stream` with 64 KiB every 50 ms for ever,
/// `/flood` with as much as the client takes.
struct Parrot {
    worker: usize,
    under_way: Arc<AtomicUsize>,
}

/// Says the same again and again, `left` times.
struct Says {
    what: Bytes,
    left: usize,
    gap: Duration,
    sleep: Pin<Box<Sleep>>,
    under_way: Arc<AtomicUsize>,
}

impl Serve for Parrot {
    type Body = Says;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Says> {
        let (what, left, gap) = match request.uri().path() {
            "/peer" => (Bytes::from(format!("{peer:?}")), 1, Duration::ZERO),
            "/slow" => (Bytes::from_static(b"slow"), 1, Duration::from_millis(1_500)),
            "/flood" => (Bytes::from(vec![b'x'; 1 << 20]), usize::MAX, Duration::from_millis(1)),
            "/stream" => (Bytes::from(vec![b'x'; 64 << 10]), usize::MAX, Duration::from_millis(50)),
            _ => (Bytes::from(self.worker.to_string()), 1, Duration::ZERO),
        };
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let timer = Box::pin(sleep(gap));
        Response::new(Says { what, left, gap, sleep: timer, under_way: Arc::clone(&self.under_way) })
    }
}

impl Body for Says {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.left -= 1;
        let next = tokio::time::Instant::now() + self.gap;
        self.sleep.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(self.what.clone()))))
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Running listeners, and how many answers are under way.
struct Under {
    listeners: Listeners,
    under_way: Arc<AtomicUsize>,
}

impl Under {
    fn test(settings: Settings) -> Self {
        let under_way = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&under_way);
        let make = move |worker| Rc::new(Parrot { worker, under_way: Arc::clone(&counter) });
        Self { listeners: spawn(&settings.check().unwrap(), make).unwrap(), under_way }
    }

    fn address(&self) -> SocketAddr {
        self.listeners.addresses()[0]
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client(stream)
    }

    /// Waits until so many answers are under way; returns whether they were in 5 s.
    fn comes_to(&self, under_way: usize) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while self.under_way.load(Ordering::SeqCst) != under_way {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// A client that writes what it likes.
struct Client(TcpStream);

impl Client {
    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Asks for a path and returns the answer, head and body, leaving the connection open.
    fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n"));
        let mut answer = Vec::new();
        while !answer.ends_with(b"0\r\n\r\n") {
            let mut more = [0; 4_096];
            let read = self.0.read(&mut more).unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&more[..read]);
        }
        String::from_utf8(answer).unwrap()
    }

    /// Reads until the other side closes; returns what came and how long it took.
    fn rest(&mut self) -> (String, Duration) {
        let (begun, mut rest) = (Instant::now(), Vec::new());
        // A reset is a close as well.
        let _ = self.0.read_to_end(&mut rest);
        (String::from_utf8_lossy(&rest).into_owned(), begun.elapsed())
    }
}

/// Two workers at a free port, with short limits.
fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        workers: 2,
        limits: Limits {
            header_seconds: 1,
            idle_seconds: 2,
            write_seconds: 1,
            handshake_seconds: 1,
            ..Limits::default()
        },
        ..Settings::default()
    }
}
