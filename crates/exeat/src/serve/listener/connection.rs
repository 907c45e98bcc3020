//! One connection: TLS, HTTP/1.1 or HTTP/2, and its end.

use std::{convert::Infallible, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    ANSWER_WITHIN,
    activity::{Activity, Answer, FIRST_WITHIN},
};

/// For a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// From the first byte of a request head to its end; and how often a client that speaks HTTP/2 is asked if it lives.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// For a client to take leave that was silent for too long.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Requests of one HTTP/2 connection at once.
const H2_STREAMS: u32 = 64;
/// Requests that a client may cancel before the server has seen them: bounds rapid reset (CVE-2023-44487).
const H2_RESETS: usize = 20;

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) from: SocketAddr,
    pub(super) stop: watch::Receiver<bool>,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => match timeout(FIRST_WITHIN, gateway::is_http2(&stream)).await {
                Ok(Ok(is_http2)) => self.answer(stream, is_http2).await,
                _ => tracing::debug!(from = %self.from, "a connection said nothing"),
            },
            Some(tls) => self.serve_tls(&tls, stream).await,
        }
    }

    async fn serve_tls(self, tls: &TlsAcceptor, stream: TcpStream) {
        match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.answer(stream, is_http2).await;
            }
            Ok(Err(error)) => tracing::debug!(from = %self.from, %error, "no TLS"),
            Err(_) => tracing::debug!(from = %self.from, "the TLS handshake took too long"),
        }
    }

    async fn answer(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, is_http2: bool) {
        let (builder, activity) = (builder(is_http2), Activity::new());
        let service = answers(self.router, activity.clone());
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let leave_within = tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(from = %self.from, %error, "a connection broke off");
                }
                return;
            }
            _ = self.stop.wait_for(|stop| *stop) => ANSWER_WITHIN,
            () = activity.over() => LEAVE_WITHIN,
        };
        serving.as_mut().graceful_shutdown();
        if timeout(leave_within, serving).await.is_err() {
            tracing::debug!(from = %self.from, "a connection was closed that its client did not end");
        }
    }
}

fn builder(is_http2: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(HEAD_WITHIN);
    http2.max_concurrent_streams(H2_STREAMS).max_pending_accept_reset_streams(H2_RESETS);
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}

/// Answers the requests of one connection.
fn answers(
    router: Router,
    activity: Activity,
) -> impl Service<Request<Incoming>, Response = Response<Answer<Body>>, Error = Infallible, Future: Send + 'static> {
    service_fn(move |request: Request<Incoming>| {
        let (answering, under) = (router.clone().oneshot(request.map(Body::new)), activity.begin());
        async move { answering.await.map(|response| response.map(|body| Answer { body, _under: under })) }
    })
}
