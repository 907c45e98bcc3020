//! What a receiver may ask of its stream.
//!
//! # Source
//!
//! OpenID Shared Signals Framework 1.0, section 8.1.

use std::time::Duration;

use control::{Fault, Source};
use jose::Object;
use secevent::stream::{Configuration, Status, StreamStatus, StreamSubject, VerificationRequest};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Transmitter,
    client::SsfClient,
    refusal::Refusal,
    stream::{self, Asked, AskedDelivery, Method, Stream},
    subject::{self, Roll},
};

/// The most subjects that one stream names.
const SUBJECTS_MAX: u64 = 10_000;
/// The longest state of a verification and the longest reason of a status, in bytes.
const STATE_MAX: usize = 1_024;

/// How an update treats what the request leaves out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// It stays (PATCH).
    Update,
    /// It is as in a new stream (PUT).
    Replace,
}

impl Transmitter {
    /// Makes the stream of a receiver.
    pub(super) async fn create(&self, client: SsfClient, body: Object) -> Result<Configuration, Refusal> {
        let asked = Asked::read(&body)?;
        self.check_url(asked.delivery.as_ref()).await?;
        let this = self.clone();
        self.blocking(move || {
            let method = this.method(asked.delivery.unwrap_or(AskedDelivery::Poll))?;
            let stream = Stream {
                id: stream::name()?,
                client: client.id.clone(),
                events: asked.events,
                method,
                description: asked.description,
                status: Status::Enabled,
                reason: None,
                held: false,
                since: this.now(),
            };
            let made = this.federation().commit(&Source::own("ssf.stream_create"), |view| {
                match stream::of_client(view, &client.id)? {
                    Some(_) => Err(Fault::Conflict("there is one".to_owned())),
                    None => Ok(vec![stream.change()?]),
                }
            });
            match made {
                Ok(_) | Err(Fault::Behind { .. }) => {}
                Err(fault) => {
                    this.forget_secret(stream.secret())?;
                    return Err(if matches!(fault, Fault::Conflict(_)) { Refusal::Conflict } else { fault.into() });
                }
            }
            this.heard_from(&stream);
            this.stir(&stream.id);
            Ok(stream.configuration(&client, this.settings()))
        })
        .await
    }

    /// Returns the stream of a receiver.
    pub(super) async fn read(&self, client: SsfClient, id: String) -> Result<Configuration, Refusal> {
        let this = self.clone();
        self.blocking(move || Ok(this.own(&client, &id)?.configuration(&client, this.settings()))).await
    }

    /// Returns every stream of a receiver: one or none.
    pub(super) async fn list(&self, client: SsfClient) -> Result<Vec<Configuration>, Refusal> {
        let this = self.clone();
        self.blocking(move || {
            let found = this.federation().read(|view| stream::of_client(view, &client.id))?;
            Ok(found.iter().map(|stream| stream.configuration(&client, this.settings())).collect())
        })
        .await
    }

    /// Updates or replaces the stream of a receiver.
    pub(super) async fn change(
        &self,
        client: SsfClient,
        body: Object,
        manner: Manner,
    ) -> Result<Configuration, Refusal> {
        let id = body.get("stream_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(Refusal::invalid("`stream_id` must name the stream"));
        }
        let asked = Asked::read(&body)?;
        self.check_url(asked.delivery.as_ref()).await?;
        let this = self.clone();
        self.blocking(move || {
            let before = this.own(&client, &id)?;
            stream::check_supplied(&body, &before.configuration(&client, this.settings()))?;
            let delivery = match (asked.delivery, manner) {
                (None, Manner::Replace) => Some(AskedDelivery::Poll),
                (asked, _) => asked,
            };
            let method = delivery.map(|delivery| this.method(delivery)).transpose()?;
            let new_secret = method.as_ref().and_then(Method::secret).map(str::to_owned);
            let replaced = method.is_some();
            let changed = this.change_stream("ssf.stream_change", &id, |stream, _| {
                let (keeps, description, events) = (manner == Manner::Update, asked.description, asked.events);
                stream.method = method.unwrap_or_else(|| stream.method.clone());
                stream.description = description.or_else(|| stream.description.take().filter(|_| keeps));
                stream.events = events.or_else(|| stream.events.take().filter(|_| keeps));
                Ok(())
            });
            // Of the two secrets the one is forgotten that is not in use: the old one, or the new one if nothing changed.
            match &changed {
                Ok(_) if replaced => this.forget_secret(before.secret())?,
                Ok(_) => {}
                Err(_) => this.forget_secret(new_secret.as_deref())?,
            }
            let changed = changed?;
            this.heard_from(&changed);
            this.stir(&id);
            Ok(changed.configuration(&client, this.settings()))
        })
        .await
    }

    /// Deletes the stream of a receiver.
    pub(super) async fn delete(&self, client: SsfClient, id: String) -> Result<(), Refusal> {
        let this = self.clone();
        self.blocking(move || {
            let stream = this.own(&client, &id)?;
            this.drop_stream(&stream.id)
        })
        .await
    }

    /// Returns the status of the stream of a receiver.
    pub(super) async fn status(&self, client: SsfClient, id: String) -> Result<StreamStatus, Refusal> {
        let this = self.clone();
        self.blocking(move || Ok(this.own(&client, &id)?.told_status())).await
    }

    /// Changes the status of the stream of a receiver, at its wish.
    pub(super) async fn request_status(&self, client: SsfClient, asked: StreamStatus) -> Result<StreamStatus, Refusal> {
        if asked.reason.as_ref().is_some_and(|reason| reason.len() > STATE_MAX) {
            return Err(Refusal::Invalid(format!("`reason` must be at most {STATE_MAX} bytes")));
        }
        let this = self.clone();
        self.blocking(move || {
            this.own(&client, &asked.stream_id)?;
            let changed = this.change_status(&asked.stream_id, |stream| {
                if stream.held && stream.status != asked.status {
                    return Err(Refusal::Held);
                }
                stream.status = asked.status;
                stream.reason.clone_from(&asked.reason);
                Ok(())
            })?;
            Ok(changed.told_status())
        })
        .await
    }

    /// Puts a subject on the stream of a receiver. Whether anybody here is known by it, it does not learn.
    pub(super) async fn add_subject(&self, client: SsfClient, asked: StreamSubject) -> Result<(), Refusal> {
        subject::check(&asked.subject)?;
        let this = self.clone();
        self.blocking(move || {
            let stream = this.own(&client, &asked.stream_id)?;
            if this.federation().read(|view| subject::count(view, &stream.id))? >= SUBJECTS_MAX {
                return Err(Refusal::TooMany("the stream names as many subjects as it may"));
            }
            this.federation().commit(&Source::own("ssf.subject_add"), |view| {
                let roll = Roll { view, vault: this.vault(), client: &client, stream: &stream };
                roll.add(&asked.subject)
            })?;
            Ok(())
        })
        .await
    }

    /// Takes a subject off the stream of a receiver.
    pub(super) async fn remove_subject(&self, client: SsfClient, asked: StreamSubject) -> Result<(), Refusal> {
        subject::check(&asked.subject)?;
        let this = self.clone();
        self.blocking(move || {
            let stream = this.own(&client, &asked.stream_id)?;
            this.federation().commit(&Source::own("ssf.subject_remove"), |view| {
                let roll = Roll { view, vault: this.vault(), client: &client, stream: &stream };
                roll.remove(&asked.subject)
            })?;
            Ok(())
        })
        .await
    }

    /// Has the stream of a receiver prove that it works: behind everything that is queued before.
    pub(super) async fn request_verification(
        &self,
        client: SsfClient,
        asked: VerificationRequest,
    ) -> Result<(), Refusal> {
        if asked.state.as_ref().is_some_and(|state| state.len() > STATE_MAX) {
            return Err(Refusal::Invalid(format!("`state` must be at most {STATE_MAX} bytes")));
        }
        let this = self.clone();
        self.blocking(move || {
            let stream = this.own(&client, &asked.stream_id)?;
            let (now, least) = (this.now(), Duration::from_secs(this.settings().min_verification_s));
            let is_soon = this.seen(&stream.id, |seen| {
                let soon = seen.verification.is_some_and(|last| now < last.plus(least));
                seen.verification = if soon { seen.verification } else { Some(now) };
                soon
            });
            if is_soon {
                return Err(Refusal::TooMany("a verification was asked for less than `min_verification_interval` ago"));
            }
            if stream.is_disabled() {
                return Ok(());
            }
            this.verify((&stream, &client), asked.state)
        })
        .await
    }

    /// Returns a stream if it is this receiver's; that is a sign of life. Blocks.
    pub(super) fn own(&self, client: &SsfClient, id: &str) -> Result<Stream, Refusal> {
        let found = self.federation().read(|view| stream::read(view, id))?;
        let own = found.filter(|stream| stream.client == client.id).ok_or(Refusal::NotFound)?;
        self.heard_from(&own);
        Ok(own)
    }

    /// Notes that a receiver gave a sign of life.
    pub(super) fn heard_from(&self, stream: &Stream) {
        let now = self.now();
        self.seen(&stream.id, |seen| seen.receiver = Some(now));
    }

    /// Refuses a URL that must not be pushed to. A host that cannot be found now may be found later.
    async fn check_url(&self, delivery: Option<&AskedDelivery>) -> Result<(), Refusal> {
        let Some(AskedDelivery::Push { url, .. }) = delivery else { return Ok(()) };
        match self.0.parts.client.check(url).await {
            Err(fault @ (fetch::Fault::PlainText(_) | fetch::Fault::Forbidden { .. })) => {
                Err(Refusal::Invalid(format!("`delivery.endpoint_url` cannot be used: {fault}")))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the secret of a delivery. Blocks.
    fn method(&self, delivery: AskedDelivery) -> Result<Method, Refusal> {
        let AskedDelivery::Push { url, authorization } = delivery else { return Ok(Method::Poll) };
        let secret = match authorization.map(Zeroizing::new) {
            Some(header) => {
                let name = stream::name()?;
                self.queue().write(|writing| writing.keep_push_secret(&name, &header))?;
                Some(name)
            }
            None => None,
        };
        Ok(Method::Push { url: url.to_string(), secret })
    }

    fn forget_secret(&self, name: Option<&str>) -> Result<(), Refusal> {
        let Some(name) = name else { return Ok(()) };
        Ok(self.queue().write(|writing| writing.forget_push_secret(name))?)
    }
}
