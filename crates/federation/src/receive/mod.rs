//! Signals from identity providers: the receiver of the Shared Signals Framework.
//!
//! Tokens come by push ([`push`]) or are fetched ([`poll`]); either way [`accept`] takes them in. What an event type does is
//! in [`effect`], whom a subject names in [`tenant`], and what that changes in [`change`]. [`manage`] speaks with
//! transmitters about streams, [`operate`] is what may be asked of them, and [`tend`] is what is done unasked.

mod accept;
mod access;
mod asked;
mod change;
mod effect;
mod manage;
mod operate;
mod poll;
mod push;
mod question;
mod revoke;
mod secrets;
mod settings;
pub(crate) mod tenant;
mod tend;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, http::StatusCode, routing::post};
use control::Federation;
use fetch::Client;
use terms::ChannelId;

pub use manage::ManageFault;
pub use settings::{
    Authorization, ClientCredentials, KeySource, Management, Receive, Registered, SsfReceiver, register, registered,
    unregister,
};

use self::{accept::Refusal, access::AccessTokens, asked::Asked, poll::Tellings, secrets::Secrets, settings::Known};
use crate::{attest::Vault, keys::KeyCache};

/// What a receiver needs of the server around it.
#[derive(Debug)]
pub struct ReceiverParts {
    /// Where what is heard takes effect.
    pub federation: Federation,
    /// Asks transmitters. As long as it waits for an answer, as long a poll may wait for an event.
    pub client: Client,
    /// The keys of issuers.
    pub keys: KeyCache,
    /// Under which terms directories keep the names of people.
    pub vault: Arc<Vault>,
    /// The directory of secrets that transmitters issued.
    pub secrets: PathBuf,
    /// The URL under which this server is reached from outside, without a `/` at its end.
    pub base_url: String,
}

/// Listens to every registered transmitter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Receiver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: ReceiverParts,
    /// Asks for tokens. A transmitter may wait with its answer: what waits takes no place of keys, grants and the rest.
    poll_client: Client,
    secrets: Secrets,
    access: AccessTokens,
    asked: Asked,
    tellings: Tellings,
    /// Held while the stream of a channel is made.
    making: Mutex<BTreeMap<ChannelId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Receiver {
    /// Makes a receiver. It answers through [`Receiver::router`]; what it does of its own accord is [`Receiver::run`].
    #[must_use]
    pub fn new(parts: ReceiverParts) -> Self {
        let secrets = Secrets::new(parts.secrets.clone());
        let (access, asked, tellings) = Default::default();
        let poll_client = parts.client.sibling();
        Self(Arc::new(Inner { parts, poll_client, secrets, access, asked, tellings, making: Mutex::default() }))
    }

    /// Returns the routes at which transmitters and identity providers call.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/ssf/push/{channel}", post(push::push))
            .route(&format!("{}{{channel}}", revoke::PATH), post(revoke::revoke))
            .with_state(self.clone())
    }

    fn federation(&self) -> &Federation {
        &self.0.parts.federation
    }

    fn keys(&self) -> &KeyCache {
        &self.0.parts.keys
    }

    fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    fn client(&self) -> &Client {
        &self.0.parts.client
    }

    fn poll_client(&self) -> &Client {
        &self.0.poll_client
    }

    fn base_url(&self) -> &str {
        &self.0.parts.base_url
    }

    fn vault(&self) -> &Vault {
        &self.0.parts.vault
    }

    fn access(&self) -> &AccessTokens {
        &self.0.access
    }

    fn tellings(&self) -> &Tellings {
        &self.0.tellings
    }

    fn asked(&self) -> &Asked {
        &self.0.asked
    }

    fn making(&self, channel: &ChannelId) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(making.entry(channel.clone()).or_default())
    }

    /// Returns what is known about a channel now; nothing if it is no transmitter's.
    async fn known(&self, channel: &ChannelId) -> Result<Option<Known>, Refusal> {
        let (this, channel) = (self.clone(), channel.clone());
        let read = self.blocking(move || this.federation().read(|view| Known::read(view, &channel))).await?;
        read.map_err(|fault| Refusal::Unavailable(fault.to_string()))
    }

    /// Returns what is known about the channel that a path names, or how a request to it is refused.
    async fn addressed(&self, channel: &str) -> Result<Known, StatusCode> {
        let channel = ChannelId::parse(channel).map_err(|_| StatusCode::NOT_FOUND)?;
        let known = self.known(&channel).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        known.ok_or(StatusCode::NOT_FOUND)
    }

    /// Runs what blocks on the disk where that is allowed.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Refusal::Unavailable("the work was given up".to_owned()))
    }
}
