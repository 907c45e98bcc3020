//! Load: closed-loop requests for cost and latency, and held streams for recall.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::LocalSet};

/// What is sent, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// To where.
    pub(crate) address: SocketAddr,
    /// With which key.
    pub(crate) key: String,
    /// The body.
    pub(crate) body: Bytes,
}

/// Latencies of one run, sorted, and how long it took.
#[derive(Debug)]
pub(crate) struct Run {
    sorted: Vec<Duration>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Run {
    /// Returns a quantile of the latencies, in microseconds.
    pub(crate) fn micros(&self, quantile: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let at = (self.sorted.len().saturating_sub(1) as f64 * quantile) as usize;
        self.sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }

    /// Returns how many requests were answered.
    pub(crate) fn answered(&self) -> usize {
        self.sorted.len()
    }
}

/// Sends `requests` requests over `connections` connections, each as soon as the one before is answered.
///
/// # Errors
///
/// A connection failed, or an answer is not 200.
pub(crate) fn closed_loop(shot: &Shot, connections: usize, requests: usize) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let begun = Instant::now();
        let each = requests.div_ceil(connections);
        let tasks: Vec<_> =
            (0..connections).map(|_| tokio::task::spawn_local(one_connection(shot.clone(), each))).collect();
        let mut sorted = Vec::with_capacity(requests);
        for task in tasks {
            sorted.extend(task.await??);
        }
        sorted.sort_unstable();
        Ok(Run { sorted, took: begun.elapsed() })
    })
}

async fn one_connection(shot: Shot, requests: usize) -> anyhow::Result<Vec<Duration>> {
    let mut sender = connect(shot.address).await?;
    let mut latencies = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begun = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request(&shot)?).await?;
        ensure!(response.status() == 200, "status {}", response.status());
        response.into_body().collect().await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// Opens a stream with each shot, waits for the first event of all, then calls `change` on another thread and
/// returns when each stream ended after that, with how long `change` took. What `change` returns is kept until then.
///
/// # Errors
///
/// A stream could not be opened, or did not end within 30 s of the change.
pub(crate) fn held_streams<T: Send + 'static>(
    shots: Vec<Shot>,
    change: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<(Run, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let (opened, mut all_opened) = tokio::sync::mpsc::unbounded_channel();
        let expected = shots.len();
        let tasks: Vec<_> =
            shots.into_iter().map(|shot| tokio::task::spawn_local(hold(shot, opened.clone()))).collect();
        for _ in 0..expected {
            all_opened.recv().await.context("a stream ended early")?;
        }
        let begun = Instant::now();
        let changed = tokio::task::spawn_blocking(move || change().map(|kept| (Instant::now(), kept)));
        let mut sorted = Vec::with_capacity(expected);
        for task in tasks {
            let ended =
                tokio::time::timeout(Duration::from_secs(30), task).await.context("a stream did not end")???;
            sorted.push(ended.saturating_duration_since(begun));
        }
        sorted.sort_unstable();
        let (answered, _kept) = changed.await??;
        let took = answered.saturating_duration_since(begun);
        Ok((Run { sorted, took: begun.elapsed() }, took))
    })
}

async fn hold(shot: Shot, opened: tokio::sync::mpsc::UnboundedSender<()>) -> anyhow::Result<Instant> {
    let mut sender = connect(shot.address).await?;
    let response = sender.send_request(request(&shot)?).await?;
    ensure!(response.status() == 200, "status {}", response.status());
    let mut body = response.into_body();
    let (mut first, mut cut) = (true, false);
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().unwrap_or_default();
        cut = data.starts_with(b"event: error\n");
        if std::mem::take(&mut first) {
            opened.send(())?;
        }
    }
    ensure!(cut, "a stream ended without the error event of a cut");
    Ok(Instant::now())
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

fn request(shot: &Shot) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::post("/v1/chat/completions")
        .header("host", shot.address.to_string())
        .header("authorization", format!("Bearer {}", shot.key))
        .header("content-type", "application/json");
    Ok(request.body(Full::new(shot.body.clone()))?)
}
