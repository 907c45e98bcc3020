//! Tokens that are fetched.
//!
//! # Source
//! RFC 8936.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
};
use fetch::{Request, Url};
use secevent::stream::{Poll, Polled, SetError};
use terms::ChannelId;
use zeroize::Zeroizing;

use super::{
    Receiver,
    manage::{self, ManageFault},
    settings::{Known, Receive},
};

/// The most tokens of one answer: so many of the longest, 64 KiB each, are within the 1 MiB that an answer may have.
const MOST_TOKENS: u32 = 15;

/// How long to leave a transmitter alone that has tokens which cannot be taken in now.
const RETRY: Duration = Duration::from_secs(5);

/// How long a transmitter must have waited for an event before it is asked again at once.
const PATIENT: Duration = Duration::from_secs(1);

/// How long to leave a transmitter alone that has nothing and does not wait for an event.
const IDLE: Duration = Duration::from_secs(2);

/// What is to be told with the next request, by channel: kept until a transmitter has answered it.
#[derive(Debug, Default)]
pub(crate) struct Tellings(Mutex<BTreeMap<ChannelId, Telling>>);

#[derive(Clone, Debug, Default)]
struct Telling {
    ack: BTreeSet<String>,
    errs: BTreeMap<String, SetError>,
}

impl Telling {
    fn has_something(&self) -> bool {
        !self.ack.is_empty() || !self.errs.is_empty()
    }
}

impl Tellings {
    fn of(&self, channel: &ChannelId) -> Telling {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(channel).cloned().unwrap_or_default()
    }

    fn replace(&self, channel: &ChannelId, telling: Telling) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.clone(), telling);
    }
}

impl Receiver {
    /// Asks a transmitter once for tokens, telling it what became of those before; takes in what comes. Returns after how
    /// long to ask again.
    ///
    /// A token is acknowledged with the request after the one that brought it, when what it says is durable and in effect;
    /// whatever breaks in between, it comes again.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: the transmitter gave no answer that can be read; nothing is lost.
    pub(crate) async fn poll(&self, known: &Known) -> Result<Duration, ManageFault> {
        let channel = &known.channel.id;
        let (telling, asked_at) = (self.tellings().of(channel), self.federation().now());
        let answer = match self.ask(known, &telling, MOST_TOKENS).await {
            // Some of them are longer than a token may be: one by one, those before it come through.
            Err(ManageFault::Fetch(fetch::Fault::TooLarge { .. })) => self.ask(known, &telling, 1).await?,
            answer => answer?,
        };
        let waited = self.federation().now().since(asked_at);
        // It was heard. What comes again is taken in again.
        let (told, put_off) = self.take_in_each(known, &answer).await;
        let next = match () {
            () if told.has_something() => Duration::ZERO,
            () if put_off => RETRY,
            () if telling.has_something() || waited >= PATIENT => Duration::ZERO,
            () => IDLE,
        };
        self.tellings().replace(channel, told);
        Ok(next)
    }

    async fn ask(&self, known: &Known, telling: &Telling, most: u32) -> Result<Polled, ManageFault> {
        let in_a_hurry = telling.has_something();
        let poll = Poll {
            max_events: Some(most),
            // What became of tokens is told at once; otherwise the transmitter may wait for one.
            return_immediately: Some(in_a_hurry),
            ack: telling.ack.iter().cloned().collect(),
            set_errs: telling.errs.clone(),
        };
        let body = serde_json::to_vec(&poll).map_err(|error| ManageFault::Here(error.to_string()))?;
        let mut request = Request::post(endpoint(known)?, "application/json", Bytes::from(body));
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if !poll.set_errs.is_empty() {
            request.headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        }
        if let Some(authorization) = self.poll_authorization(known).await? {
            request.headers.insert(header::AUTHORIZATION, manage::sensitive(&authorization)?);
        }
        match self.poll_client().send(request).await {
            Ok(response) if response.status == StatusCode::UNAUTHORIZED => {
                self.access().forget(&known.channel.id);
                Err(ManageFault::Status { what: "a poll", status: response.status.as_u16() })
            }
            Ok(response) => manage::document("a poll", &response, &[StatusCode::OK]),
            // A transmitter that waited as long as it may had nothing to say; if it had, it says so again.
            Err(fetch::Fault::Timeout(_)) if !in_a_hurry => Ok(Polled::default()),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn poll_authorization(&self, known: &Known) -> Result<Option<Zeroizing<String>>, ManageFault> {
        match (&known.settings.delivery, &known.settings.management) {
            (Receive::Poll { authorization: Some(name), .. }, _) => self.secret(name).map(Some),
            (_, Some(management)) => self.authorization(&known.channel.id, &management.authorization).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Takes in every token of an answer. Returns what to tell, and whether one has to come again.
    async fn take_in_each(&self, known: &Known, answer: &Polled) -> (Telling, bool) {
        let channel = &known.channel.id;
        let (mut telling, mut put_off) = (Telling::default(), false);
        for (jti, token) in &answer.sets {
            match self.accept(known, token).await {
                Ok(()) => {
                    telling.ack.insert(jti.clone());
                }
                Err(refusal) => match refusal.told() {
                    Some(error) => {
                        tracing::warn!(%channel, err = %error.err, why = error.description, "a fetched token was refused");
                        telling.errs.insert(jti.clone(), error);
                    }
                    None => {
                        tracing::warn!(%channel, why = %refusal, "a fetched token could not be taken in");
                        put_off = true;
                    }
                },
            }
        }
        (telling, put_off)
    }
}

fn endpoint(known: &Known) -> Result<Url, ManageFault> {
    let settled = match &known.settings.delivery {
        Receive::Poll { endpoint, .. } => endpoint.as_deref(),
        Receive::Push { .. } => return Err(ManageFault::NotOffered("the tokens of this stream are pushed")),
    };
    let url = known.stream.poll_endpoint.as_deref().or(settled);
    let url = url.ok_or(ManageFault::NotOffered("the transmitter has not said where to fetch tokens"))?;
    Url::parse(url).map_err(|error| ManageFault::Document(error.to_string()))
}
