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
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    task::spawn_local,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Phase, Serve,
    guarded::{Activity, Guarded, Patience, Under},
    reached,
};
use crate::config::Limits;

/// How often an HTTP/2 client is asked whether it lives, and how long it may take to say so. Together below the
/// 60 s after which common load balancers drop idle connections.
const H2_PING: Duration = Duration::from_secs(20);
/// Bytes that one HTTP/2 stream buffers towards its client: a few events, so that a cut takes effect at once.
const H2_SEND_BYTES: usize = 64 << 10;
/// Requests that a client may cancel before the server has seen them: bounds rapid reset (CVE-2023-44487).
const H2_RESETS: usize = 20;

/// How connections are served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    builder: Builder<OnThisThread>,
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
            builder: builder(limits),
            tls: tls.map(TlsAcceptor::from),
            handshake: Duration::from_secs(limits.handshake_seconds),
            patience: Patience::of(limits),
            phase,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<S: Serve>(self, stream: TcpStream, service: Rc<S>) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Some(acceptor) = self.tls.clone() else {
            return self.speak(stream, service).await;
        };
        match timeout(self.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, service).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn speak<S: Serve, IO>(mut self, io: IO, service: Rc<S>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let activity = Activity::new();
        let io = TokioIo::new(Guarded::new(io, Rc::clone(&activity), self.patience));
        let answer = service_fn(move |request: Request<Incoming>| {
            let (service, under) = (Rc::clone(&service), activity.begin());
            async move {
                let response = service.answer(request).await;
                Ok::<_, Infallible>(response.map(|body| Answer { body, _under: under }))
            }
        });
        let mut connection = pin!(self.builder.serve_connection(io, answer));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = reached(&mut self.phase, Phase::Draining) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn builder(limits: &Limits) -> Builder<OnThisThread> {
    let mut builder = Builder::new(OnThisThread);
    // Slow heads and idle connections are ended by `Guarded`, which tells them apart.
    let mut h1 = builder.http1();
    h1.timer(TokioTimer::new()).header_read_timeout(None);
    h1.max_buf_size(limits.header_bytes).max_headers(limits.header_fields);
    let mut h2 = builder.http2();
    h2.timer(TokioTimer::new()).keep_alive_interval(H2_PING).keep_alive_timeout(H2_PING);
    h2.max_concurrent_streams(limits.h2_streams).max_pending_accept_reset_streams(H2_RESETS);
    h2.max_send_buf_size(H2_SEND_BYTES);
    h2.max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
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
