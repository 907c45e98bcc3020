//! Delivery to those who ask.
//!
//! # Source
//!
//! RFC 8936, section 2.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use secevent::stream::{Poll, Status};
use serde::{Serialize, Serializer, ser::SerializeMap};
use tokio::time::{Instant, timeout_at};

use super::{
    Transmitter,
    client::{Scope, SsfClient},
    http,
    refusal::Refusal,
    stream::Stream,
};

/// The most events of one answer; about 100 KiB.
const EVENTS_MAX: usize = 100;
/// The most acknowledgements and reports of one request.
const ANSWERED_MAX: usize = 1_000;
/// Polls of one stream that may wait at once: one that is given up may not have been noticed.
const WAITING_MAX: u32 = 4;
/// How often a poll that waits looks whether the stream is still its receiver's.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The answer to a poll, its tokens in the order in which they happened.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Polled {
    sets: Sets,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_available: bool,
}

struct Sets(Vec<(String, String)>);

impl Serialize for Sets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (jti, token) in &self.0 {
            map.serialize_entry(jti, token)?;
        }
        map.end()
    }
}

/// Takes acknowledgements and reports, then answers with what is next; waits for it unless asked not to.
pub(super) async fn poll(
    State(transmitter): State<Transmitter>,
    Path(stream): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match answered(&transmitter, stream, &headers, body).await {
        Ok(polled) => http::uncached(Json(polled).into_response()),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answered(
    transmitter: &Transmitter,
    stream: String,
    headers: &HeaderMap,
    body: Body,
) -> Result<Polled, Refusal> {
    let client = transmitter.caller(headers, Scope::Read).await?;
    let asked: Poll = http::parsed(body).await?;
    if asked.ack.len() + asked.set_errs.len() > ANSWERED_MAX {
        return Err(Refusal::Invalid(format!("at most {ANSWERED_MAX} tokens can be acknowledged or reported at once")));
    }
    let most = asked.max_events.map_or(EVENTS_MAX, |most| usize::try_from(most).unwrap_or(EVENTS_MAX));
    let waits = most > 0 && !asked.return_immediately.unwrap_or(false);
    transmitter.take_answers(client.clone(), stream.clone(), asked).await?;
    let at_once = transmitter.offer(client.clone(), stream.clone(), most.min(EVENTS_MAX)).await?;
    if !waits || !at_once.sets.0.is_empty() {
        return Ok(at_once);
    }
    let _waiting = Waiting::begin(transmitter, &stream)?;
    transmitter.wait_for(client, stream.clone(), most.min(EVENTS_MAX)).await
}

impl Transmitter {
    /// Forgets what a receiver has, and gives up what it refused.
    async fn take_answers(&self, client: SsfClient, id: String, asked: Poll) -> Result<(), Refusal> {
        let this = self.clone();
        self.blocking(move || {
            let stream = this.polled(&client, &id)?;
            if asked.ack.is_empty() && asked.set_errs.is_empty() {
                return Ok(());
            }
            for (jti, error) in &asked.set_errs {
                tracing::warn!(stream = id, jti, err = %error.err, why = error.description, "a token was refused");
            }
            let now = this.now();
            this.queue().write(|writing| {
                writing.acknowledge(&stream.id, &asked.ack, now)?;
                asked.set_errs.iter().try_for_each(|(jti, error)| writing.give_up(&stream.id, jti, error))
            })?;
            Ok(())
        })
        .await
    }

    /// Returns what is next, without waiting.
    async fn offer(&self, client: SsfClient, id: String, most: usize) -> Result<Polled, Refusal> {
        let this = self.clone();
        self.blocking(move || {
            let stream = this.polled(&client, &id)?;
            let mut head = this.queue().head(&id, stream.status != Status::Enabled, most + 1)?;
            let more_available = most > 0 && head.len() > most;
            head.truncate(most);
            let signed = head.iter().map(|event| Ok((event.jti.clone(), this.signed(event)?)));
            Ok(Polled { sets: Sets(signed.collect::<Result<_, Refusal>>()?), more_available })
        })
        .await
    }

    /// Returns what is next as soon as there is something, or nothing in the end.
    async fn wait_for(&self, client: SsfClient, id: String, most: usize) -> Result<Polled, Refusal> {
        let end = Instant::now() + self.settings().long_poll;
        loop {
            // Listens before it looks, so that nothing comes in between.
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let polled = self.offer(client.clone(), id.clone(), most).await?;
            if !polled.sets.0.is_empty() || Instant::now() >= end {
                return Ok(polled);
            }
            let _ = timeout_at(end.min(Instant::now() + LOOK_EVERY), news).await;
        }
    }

    /// Returns the stream of a receiver if that polls. Blocks.
    fn polled(&self, client: &SsfClient, id: &str) -> Result<Stream, Refusal> {
        let stream = self.own(client, id)?;
        if stream.is_polled() { Ok(stream) } else { Err(Refusal::NotFound) }
    }
}

/// One poll that waits.
struct Waiting<'a>(&'a Transmitter, &'a str);

impl<'a> Waiting<'a> {
    fn begin(transmitter: &'a Transmitter, stream: &'a str) -> Result<Self, Refusal> {
        let is_one_too_many = transmitter.seen(stream, |seen| {
            let too_many = seen.waiting >= WAITING_MAX;
            seen.waiting += u32::from(!too_many);
            too_many
        });
        if is_one_too_many {
            return Err(Refusal::TooMany("other polls of the stream are waiting"));
        }
        Ok(Self(transmitter, stream))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.seen(self.1, |seen| seen.waiting = seen.waiting.saturating_sub(1));
    }
}
