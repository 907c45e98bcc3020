//! Delivery to those who wait to be told, and what else is done unasked.
//!
//! # Source
//!
//! RFC 8935, section 2.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use fetch::{Request, Response, Url};
use secevent::{
    ErrorCode,
    stream::{MEDIA_TYPE, SetError, Status},
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep_until},
};

use super::{
    Transmitter,
    operate::Stop,
    queue::Queued,
    refusal::Refusal,
    stream::{self, Method, Stream},
};

/// How often the record is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);
/// How long the record is left alone after it could not be read.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// How often to look what time brings.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest answer to a push that is read for its reason, in bytes.
const ANSWER_MAX: usize = 8 << 10;

/// What became of the queue of a stream.
enum Pushed {
    /// There is nothing in it that may be sent.
    Empty,
    /// The first event could not be delivered; how long its receiver asked to be left alone.
    Failed { wait: Option<Duration> },
}

/// How pushing to one stream goes.
#[derive(Clone, Copy, Debug)]
struct Line {
    failures: u32,
    since: Instant,
    again: Instant,
}

impl Transmitter {
    /// Reads the record and tells what happens, until `shutdown` completes. What is not delivered by then is delivered
    /// after the next start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.follow_on() => {}
            () = self.keep_looking() => {}
            () = self.push_on() => {}
        }
    }

    async fn follow_on(&self) {
        loop {
            let this = self.clone();
            let wait = match self.blocking(move || this.follow()).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => FOLLOW_EVERY,
                Err(refusal) => {
                    warn(&refusal, "the record cannot be followed");
                    AFTER_FAULT
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn keep_looking(&self) {
        let mut every = interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let this = self.clone();
            let looked = self.blocking(move || {
                this.expire()?;
                this.look_after()
            });
            if let Err(refusal) = looked.await {
                warn(&refusal, "streams cannot be looked after");
            }
        }
    }

    /// Pushes to every stream at once, and to each in order.
    async fn push_on(&self) {
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        let (mut busy, mut work) = (BTreeSet::new(), JoinSet::new());
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            for stream in self.due(&lines, &busy) {
                lines.entry(stream.clone()).and_modify(|line| line.again = Instant::now() + AFTER_FAULT);
                busy.insert(stream.clone());
                let this = self.clone();
                work.spawn(async move {
                    let pushed = this.deliver(&stream).await;
                    (stream, pushed)
                });
            }
            let next = lines.iter().filter(|(stream, _)| !busy.contains(*stream)).map(|(_, line)| line.again).min();
            let idle = Instant::now() + LOOK_EVERY;
            tokio::select! {
                () = news => {}
                () = sleep_until(next.unwrap_or(idle).min(idle)) => {}
                Some(done) = work.join_next() => match done {
                    Ok((stream, pushed)) => {
                        busy.remove(&stream);
                        self.note(&mut lines, stream, pushed).await;
                    }
                    // Which stream it was cannot be told; all begin again, and what is sent twice has the same `jti`.
                    Err(error) => {
                        tracing::error!(%error, "pushing broke off");
                        work.shutdown().await;
                        std::mem::take(&mut busy).iter().for_each(|stream| self.stir(stream));
                    }
                },
            }
        }
    }

    /// Takes the streams that are to be pushed to now: those with something new, and those whose wait is over.
    fn due(&self, lines: &BTreeMap<String, Line>, busy: &BTreeSet<String>) -> Vec<String> {
        let now = Instant::now();
        let waited = lines.iter().filter(|(_, line)| line.again <= now).map(|(stream, _)| stream.clone());
        let mut state = self.state();
        let free = |stream: &String| !busy.contains(stream) && lines.get(stream).is_none_or(|line| line.again <= now);
        let stirred: Vec<_> = state.stirred.iter().filter(|stream| free(stream)).cloned().collect();
        for stream in &stirred {
            state.stirred.remove(stream);
        }
        let found: BTreeSet<_> = waited.filter(|stream| !busy.contains(stream)).chain(stirred).collect();
        found.into_iter().collect()
    }

    /// Notes how it went, and pauses a stream whose receiver could not be reached for too long.
    async fn note(&self, lines: &mut BTreeMap<String, Line>, stream: String, pushed: Pushed) {
        let Pushed::Failed { wait } = pushed else {
            lines.remove(&stream);
            return;
        };
        let (now, retry) = (Instant::now(), self.settings().retry);
        let line = lines.entry(stream.clone()).or_insert(Line { failures: 0, since: now, again: now });
        line.failures = line.failures.saturating_add(1);
        line.again = now + jittered(wait.unwrap_or(Duration::ZERO).max(retry.after(line.failures)).min(retry.most));
        if now.duration_since(line.since) >= retry.give_up {
            line.since = now;
            self.give_up(stream).await;
        }
    }

    async fn give_up(&self, stream: String) {
        let this = self.clone();
        let paused = self.blocking(move || {
            if this.stream_and_client(&stream)?.0.status != Status::Enabled {
                return Ok(());
            }
            let reason = Some("nothing could be delivered for too long".to_owned());
            this.stop(&stream, &Stop { status: Status::Paused, reason, held: false })
        });
        if let Err(refusal) = paused.await {
            warn(&refusal, "a stream cannot be paused");
        }
    }

    /// Pushes the queue of a stream, one event after the other, until it is empty or one cannot be delivered.
    async fn deliver(&self, id: &str) -> Pushed {
        loop {
            let (this, id) = (self.clone(), id.to_owned());
            let next = match self.blocking(move || this.next(&id)).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(Refusal::NotFound) => return Pushed::Empty,
                Err(refusal) => {
                    warn(&refusal, "a token cannot be made");
                    return Pushed::Failed { wait: None };
                }
            };
            if let Err(failed) = self.push(next).await {
                return failed;
            }
        }
    }

    /// Returns the next request to make of a receiver; nothing if there is none. Blocks.
    fn next(&self, id: &str) -> Result<Option<(Stream, Queued, Request)>, Refusal> {
        let (stream, _) = self.stream_and_client(id)?;
        let Method::Push { url, secret } = &stream.method else { return Ok(None) };
        let head = self.queue().head(id, stream.status != Status::Enabled, 1)?;
        let Some(event) = head.into_iter().next() else { return Ok(None) };
        let unavailable = |why: String| Refusal::Unavailable(why);
        let url = Url::parse(url).map_err(|error| unavailable(error.to_string()))?;
        let mut request = Request::post(url, MEDIA_TYPE, Bytes::from(self.signed(&event)?));
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(name) = secret {
            let lost =
                || unavailable("the `Authorization` of the stream is lost: its receiver must set it again".to_owned());
            let secret = self.queue().push_secret(name)?.ok_or_else(lost)?;
            let mut header = HeaderValue::from_str(&secret).map_err(|error| unavailable(error.to_string()))?;
            header.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, header);
        }
        Ok(Some((stream, event, request)))
    }

    /// Makes one push and forgets the event if it was taken, or gives it up if it was refused for good.
    async fn push(&self, (stream, event, request): (Stream, Queued, Request)) -> Result<(), Pushed> {
        let answered = self.0.parts.client.send(request).await;
        let refused = match answered {
            Ok(answer) if answer.status.is_success() => None,
            Ok(answer) => match refused(&answer) {
                Some(error) => Some(error),
                None => {
                    let status = answer.status.as_u16();
                    tracing::warn!(stream = stream.id, jti = event.jti, status, "a push was not taken");
                    return Err(Pushed::Failed { wait: retry_after(&answer) });
                }
            },
            Err(fault) => {
                tracing::warn!(stream = stream.id, jti = event.jti, %fault, "a push could not be delivered");
                return Err(Pushed::Failed { wait: None });
            }
        };
        let this = self.clone();
        let settled = self.blocking(move || {
            this.heard_from(&stream);
            let now = this.now();
            this.queue().write(|writing| match &refused {
                None => writing.acknowledge(&stream.id, std::slice::from_ref(&event.jti), now),
                Some(error) => {
                    let (id, jti) = (&stream.id, &event.jti);
                    tracing::warn!(stream = id, jti, err = %error.err, why = error.description, "a token was refused");
                    writing.give_up(id, jti, error)
                }
            })?;
            Ok(())
        });
        settled.await.map_err(|refusal| {
            warn(&refusal, "what was delivered cannot be noted");
            Pushed::Failed { wait: None }
        })
    }
}

/// Returns why a token was refused for good. What a receiver has wrong about us, such as a key that it does not know yet,
/// may change; what is wrong with the token does not.
fn refused(answer: &Response) -> Option<SetError> {
    if answer.status != StatusCode::BAD_REQUEST || answer.body.len() > ANSWER_MAX {
        return None;
    }
    let error: SetError = serde_json::from_slice(&answer.body).ok()?;
    let may_change = matches!(
        error.err,
        ErrorCode::InvalidKey | ErrorCode::AuthenticationFailed | ErrorCode::AccessDenied | ErrorCode::InvalidIssuer
    );
    (!may_change).then_some(error)
}

/// Returns how many seconds a receiver asks to be left alone.
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Adds up to a quarter, so that those who failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let part = stream::name().ok().and_then(|name| u32::from_str_radix(name.get(..2)?, 16).ok()).unwrap_or(0);
    wait + wait.saturating_mul(part) / 1_024
}

fn warn(refusal: &Refusal, what: &'static str) {
    match refusal {
        Refusal::Unavailable(why) => tracing::error!(why, "{what}"),
        other => tracing::error!(why = %other, "{what}"),
    }
}
