//! One connection and one exchange on it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Answer, Ending, Shot, events::Events};
use crate::sample::Sample;

/// One answer may take this long in all, whatever it is: longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, opened when it is first needed and again after a failure.
#[derive(Debug, Default)]
pub(super) struct Client(Option<SendRequest<Full<Bytes>>>);

impl Client {
    /// Sends a shot and reads the whole answer.
    pub(super) async fn exchange(&mut self, shot: &Shot) -> Answer {
        let mut answer = Answer {
            sent: Instant::now(),
            first: None,
            full: Duration::ZERO,
            gaps: Sample::default(),
            events: 0,
            ending: Ending::Whole,
        };
        let ended = tokio::time::timeout(PATIENCE, self.attempt(shot, &mut answer)).await;
        answer.full = answer.sent.elapsed();
        answer.ending = match ended {
            Ok(Ok(ending)) => ending,
            Ok(Err(error)) => Ending::Failed(format!("{error:#}")),
            Err(_) => Ending::Failed("no whole answer within 60 s".to_owned()),
        };
        if answer.ending != Ending::Whole {
            self.0 = None;
        }
        answer
    }

    async fn attempt(&mut self, shot: &Shot, answer: &mut Answer) -> anyhow::Result<Ending> {
        let body = self.send(shot).await?;
        read(body, shot.stream, answer).await
    }

    /// Sends a shot and returns the body of the answer, which is a success.
    pub(super) async fn send(&mut self, shot: &Shot) -> anyhow::Result<Incoming> {
        let sender = match self.0.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(shot).await?,
        };
        let sender = self.0.insert(sender);
        sender.ready().await.context("the connection was closed")?;
        let response = sender.send_request(request(shot)?).await.context("no answer")?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let said = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().take(200).collect();
            anyhow::bail!("status {}: {said}", head.status.as_u16());
        }
        Ok(body)
    }
}

async fn read(mut body: Incoming, stream: bool, answer: &mut Answer) -> anyhow::Result<Ending> {
    let mut events = Events::default();
    let mut bytes = 0;
    let mut before = answer.sent;
    while let Some(frame) = body.frame().await {
        let data = frame.context("the answer broke off")?.into_data().unwrap_or_default();
        let now = Instant::now();
        bytes += data.len();
        let first = answer.first.is_none();
        answer.first.get_or_insert_with(|| now - answer.sent);
        if stream {
            note_gaps(&mut answer.gaps, events.take(&data), first, now - before);
            before = now;
        }
    }
    answer.events = events.count;
    ensure!(bytes > 0, "the answer is empty");
    Ok(ending(&events, stream))
}

/// Of `count` events that came at once, all but the first came without a gap; before the first of all there is none.
fn note_gaps(gaps: &mut Sample, count: u64, first: bool, since: Duration) {
    for at in 0..count {
        match at {
            0 if first => {}
            0 => gaps.add(since),
            _ => gaps.add(Duration::ZERO),
        }
    }
}

/// Tells how an answer ended whose framing is whole.
pub(super) fn ending(events: &Events, stream: bool) -> Ending {
    if !stream || events.are_whole() {
        Ending::Whole
    } else if events.are_cut() {
        Ending::Cut
    } else {
        Ending::Failed("a stream ended without its terminal event".to_owned())
    }
}

async fn connect(shot: &Shot) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream =
        TcpStream::connect(shot.address).await.with_context(|| format!("cannot connect to {}", shot.address))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

fn request(shot: &Shot) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::post(shot.path)
        .header("host", shot.address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(shot.body.clone()))?;
    request.headers_mut().extend(shot.headers.iter().cloned());
    Ok(request)
}
