//! One connection: TLS, HTTP/1.1 or HTTP/2, its limits, and its orderly end.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    rt::Executor,
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    task::spawn_local,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Peer, Phase, Serve,
    guarded::{Activity, Guarded, Patience, Under},
    reached,
};
use crate::config::Limits;

/// How often an HTTP/2 client is asked whether it lives, and how long it may take to say so. Together below the
/// 60 s after which common load balancers drop idle connections.
const H2_PING: Duration = Duration::from_secs(20);
/// Bytes that one HTTP/2 stream buffers towards its client: a few events, so that a cut takes effect at once.
const H2_SEND_BYTES: usize = 64 << 10;
/// The longest wait between two looks at a connection whose first byte does not tell its protocol.
const PEEK_EVERY_MAX: Duration = Duration::from_millis(250);
/// Requests that a client may cancel before the server has seen them: bounds rapid reset (CVE-2023-44487).
const H2_RESETS: usize = 20;

/// How connections are served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    http1: http1::Builder,
    http2: http2::Builder<OnThisThread>,
    tls: Option<TlsAcceptor>,
    handshake: Duration,
    patience: Patience,
    phase: watch::Receiver<Phase>,
}

/// Runs the tasks of an HTTP/2 connection on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

/// The body of an answer, which keeps its call under way until it is dropped.
struct Answer<B> {
    body: B,
    _under: Under,
}

impl Connections {
    pub(super) fn new(limits: &Limits, tls: Option<Arc<ServerConfig>>, phase: watch::Receiver<Phase>) -> Self {
        Self {
            http1: http1(limits),
            http2: http2(limits),
            tls: tls.map(TlsAcceptor::from),
            handshake: Duration::from_secs(limits.handshake_seconds),
            patience: Patience::of(limits),
            phase,
        }
    }

    /// Serves one connection to its end. What is not HTTP/1.1 without TLS is boxed, so that a connection that is takes
    /// no room for what the others need.
    pub(super) async fn serve<S: Serve>(mut self, stream: TcpStream, service: Rc<S>) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Ok(peer) = stream.peer_addr().map(|address| Peer::at(address.ip())) else { return };
        if let Some(acceptor) = self.tls.clone() {
            return Box::pin(self.serve_tls(acceptor, stream, peer, service)).await;
        }
        // From here on the first head is waited for, whatever it is.
        let activity = Activity::new();
        let first_within = self.patience.head.min(self.patience.idle);
        let told = tokio::select! {
            told = timeout(first_within, is_http2(&stream)) => told,
            () = reached(&mut self.phase, Phase::Draining) => return,
        };
        let Ok(Ok(is_http2)) = told else { return };
        match is_http2 {
            true => Box::pin(self.speak_http2(stream, activity, peer, service)).await,
            false => self.speak_http1(stream, activity, peer, service).await,
        }
    }

    async fn serve_tls<S: Serve>(self, acceptor: TlsAcceptor, stream: TcpStream, peer: Peer, service: Rc<S>) {
        match timeout(self.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let peer = peer.with_certificate(session.peer_certificates());
                match session.alpn_protocol() {
                    Some(b"h2") => self.speak_http2(stream, Activity::new(), peer, service).await,
                    _ => self.speak_http1(stream, Activity::new(), peer, service).await,
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn speak_http1<S: Serve>(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin + 'static,
        activity: Rc<Activity>,
        peer: Peer,
        service: Rc<S>,
    ) {
        let io = TokioIo::new(Guarded::new(io, Rc::clone(&activity), self.patience));
        until_drained(self.http1.serve_connection(io, answers(service, activity, peer)), self.phase).await;
    }

    async fn speak_http2<S: Serve>(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin + 'static,
        activity: Rc<Activity>,
        peer: Peer,
        service: Rc<S>,
    ) {
        let io = TokioIo::new(Guarded::new(io, Rc::clone(&activity), self.patience));
        until_drained(self.http2.serve_connection(io, answers(service, activity, peer)), self.phase).await;
    }
}

/// Tells from its first bytes whether a connection without TLS speaks HTTP/2; they are left to be read.
///
/// Waits for as long as they do not come: the caller bounds it.
///
/// # Errors
///
/// The connection's; end it.
///
/// # Source
/// RFC 9113 sections 3.3 and 3.4: HTTP/2 without TLS begins with prior knowledge, by `PRI`, which no HTTP/1 method is.
pub async fn is_http2(stream: &TcpStream) -> std::io::Result<bool> {
    const PREFACE: &[u8] = b"PRI";
    let mut first = [0; PREFACE.len()];
    let mut wait = Duration::from_millis(1);
    loop {
        let count = stream.peek(&mut first).await?;
        let came = first.get(..count).unwrap_or_default();
        if came.is_empty() || came == PREFACE || !PREFACE.starts_with(came) {
            return Ok(came == PREFACE);
        }
        // A client that sends single bytes: more cannot be waited for while these are unread.
        sleep(wait).await;
        wait = (wait * 2).min(PEEK_EVERY_MAX);
    }
}

/// Serves a connection until it ends; once the gateway drains, until the calls on it have ended.
async fn until_drained<C>(connection: C, mut phase: watch::Receiver<Phase>)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = reached(&mut phase, Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers the requests of one connection.
fn answers<S: Serve>(
    service: Rc<S>,
    activity: Rc<Activity>,
    peer: Peer,
) -> impl HttpService<Incoming, ResBody = Answer<S::Body>, Error = Infallible, Future: 'static> {
    service_fn(move |request: Request<Incoming>| {
        let (service, under) = (Rc::clone(&service), activity.begin());
        // Boxed, so that what making an answer takes is free again while a stream is under way.
        Box::pin(async move {
            let response = service.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| Answer { body, _under: under }))
        })
    })
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    // Slow heads and idle connections are ended by `Guarded`, which tells them apart.
    http1.timer(TokioTimer::new()).header_read_timeout(None);
    http1.max_buf_size(limits.header_bytes).max_headers(limits.header_fields);
    http1
}

fn http2(limits: &Limits) -> http2::Builder<OnThisThread> {
    let mut http2 = http2::Builder::new(OnThisThread);
    http2.timer(TokioTimer::new()).keep_alive_interval(H2_PING).keep_alive_timeout(H2_PING);
    http2.max_concurrent_streams(limits.h2_streams).max_pending_accept_reset_streams(H2_RESETS);
    http2.max_send_buf_size(H2_SEND_BYTES);
    http2.max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    http2
}

impl<F: Future + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        spawn_local(async move {
            future.await;
        });
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
