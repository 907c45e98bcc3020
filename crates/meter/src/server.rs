//! Listens, serves and stops in good order.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::service::Service;

/// For a TLS handshake, and for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Requests of one HTTP/2 connection at once.
const H2_STREAMS: u32 = 256;
/// Requests that a client may cancel before the server has seen them: bounds rapid reset (CVE-2023-44487).
const H2_RESETS: usize = 20;
/// Until the next attempt, where the system has no more open files to give.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves whoever connects, until it is to stop and the last connection ended.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    let connections = Arc::new(Semaphore::new(service.limits.connections));
    let most = u32::try_from(service.limits.connections).unwrap_or(u32::MAX);
    let mut stop = service.stop.clone();
    while let Some((stream, from)) = next(&listener, &mut stop).await {
        let Ok(place) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (tls, service) = (tls.clone(), Arc::clone(&service));
        tokio::spawn(async move {
            connect(stream, from, tls, service).await;
            drop(place);
        });
    }
    // Every connection gave its place back.
    let _ = connections.acquire_many(most).await;
}

/// Returns the next connection; nothing once it is to stop.
async fn next(listener: &TcpListener, stop: &mut watch::Receiver<bool>) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connect(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(stream, from, service).await,
        Some(tls) => match timeout(HEAD_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(stream, from, service).await,
            Ok(Err(error)) => tracing::debug!(%from, %error, "no TLS"),
            Err(_) => tracing::debug!(%from, "the TLS handshake took too long"),
        },
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    service: Arc<Service>,
) {
    let (builder, mut stop) = (builder(service.limits.header_bytes), service.stop.clone());
    let answers = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request, from.ip().to_canonical()).await) }
    });
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answers));
    let early = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = stopping(&mut stop) => None,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection broke off");
    }
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error says that the meter is gone, which is to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn builder(header_bytes: usize) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(header_bytes.max(8_192));
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(HEAD_WITHIN).max_concurrent_streams(H2_STREAMS);
    http2
        .max_pending_accept_reset_streams(H2_RESETS)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
    builder
}
