//! A plain relay made of the same libraries as the product: hyper on one single-threaded runtime, the same allocator,
//! bodies of requests read whole, answers passed on piece by piece. No key, no decision, no record.
//!
//! The product has no switch that turns enforcement off, so this is what it is compared with to tell what enforcement
//! and the ledger cost.

use std::{
    cell::RefCell,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::{BodyExt, Either, Empty, Full};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::SendRequest,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::own::Own;

/// The relay as a process of its own. Killed when dropped.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn start(upstream: SocketAddr) -> anyhow::Result<Own> {
    Own::start(&["relay", "--upstream", &upstream.to_string()])
}

/// Relays what comes in on a listener to an upstream until the process ends.
///
/// # Errors
///
/// The listener's.
pub(crate) async fn serve(listener: TcpListener, upstream: SocketAddr) -> anyhow::Result<()> {
    let pool = Rc::new(Pool { upstream, idle: RefCell::default() });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = Rc::clone(&pool);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, Rc::clone(&pool)));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away ends its connection; that is all.
            let _ = connection.await;
        });
    }
}

type Sender = SendRequest<Full<Bytes>>;
type Answer = Response<Either<Passing, Empty<Bytes>>>;

/// Idle connections to the upstream.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<Sender>>,
}

impl Pool {
    async fn take(&self) -> anyhow::Result<Sender> {
        let idle = self.idle.borrow_mut().pop().filter(|sender| !sender.is_closed());
        let mut sender = match idle {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        Ok(sender)
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let stream = TcpStream::connect(self.upstream).await.context("no connection to the upstream")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}

async fn answer(request: Request<Incoming>, pool: Rc<Pool>) -> Result<Answer, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    remove_hop_by_hop(&mut head.headers);
    let passed = pass(Request::from_parts(head, Full::new(body)), &pool).await;
    Ok(passed.unwrap_or_else(|_| {
        let mut response = Response::new(Either::Right(Empty::new()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }))
}

async fn pass(request: Request<Full<Bytes>>, pool: &Rc<Pool>) -> anyhow::Result<Answer> {
    let mut sender = pool.take().await?;
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    remove_hop_by_hop(&mut head.headers);
    let passing = Passing { body, sender: Some(sender), pool: Rc::clone(pool), ended: false };
    Ok(Response::from_parts(head, Either::Left(passing)))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    const NAMES: [HeaderName; 5] =
        [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE, header::TE];
    for name in NAMES {
        headers.remove(name);
    }
}

/// The body of an answer; gives the connection back once it is whole.
struct Passing {
    body: Incoming,
    sender: Option<Sender>,
    pool: Rc<Pool>,
    ended: bool,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.ended || self.body.is_end_stream() {
            self.pool.idle.borrow_mut().extend(self.sender.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::{Closed, closed, tests::shot},
        stub::{Pace, in_process},
    };

    fn relay(upstream: SocketAddr) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || crate::own::run(listener, move |listener| serve(listener, upstream)));
        address
    }

    fn call(address: SocketAddr, body: &str) -> (u16, String) {
        let headers = [("connection", "close"), ("content-type", "application/json")];
        let answer = testkit::http::send(address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).unwrap();
        (answer.head.status, answer.text().unwrap())
    }

    #[test]
    fn answers_pass_unchanged_whole_and_streamed() {
        let upstream = in_process(Pace::AT_ONCE);
        for body in ["{}", r#"{"stream":true}"#] {
            assert_eq!(call(relay(upstream), body), call(upstream, body));
        }
    }

    #[test]
    fn connections_to_the_upstream_are_used_again() {
        let upstream = testkit::upstream::FakeUpstream::start().unwrap();
        let address = relay(upstream.address());
        let how = Closed { connections: 1, length: std::time::Duration::from_millis(200), stagger: Default::default() };
        let seen = closed(&shot(address, r#"{"model":"mythos-5"}"#), how).unwrap().seen;
        assert!(seen.answered() > 1 && seen.failures.count == 0, "{}", seen.failures);
        let connections: std::collections::BTreeSet<_> =
            upstream.received().into_iter().map(|received| received.connection).collect();
        assert_eq!(connections.len(), 1);
    }

    #[test]
    fn an_upstream_that_is_gone_is_a_bad_gateway() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(call(relay(free), "{}").0, 502);
    }
}
