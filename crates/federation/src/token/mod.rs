//! For whom is this token? Word of trusted issuers, exchanged for short-lived tokens of our own.
//!
//! A person or a program shows a token of an issuer that an operator trusts ([`TrustedIssuer`]) and gets one of ours
//! (RFC 8693, RFC 7523): for a person whom the registry knows by an account of that issuer, or for the workload that a
//! [`FederationRule`] names; nobody is ever made here. Every token is a ledger entry before it is answered, under the name
//! by which the gateway records calls with it. Clients that an operator registered get tokens for our own interfaces
//! (RFC 6749 section 4.4), and may ask what a token is (RFC 7662) or end it (RFC 7009).

mod access;
mod account;
mod answer;
mod binding;
pub(crate) mod book;
mod client;
mod exchange;
pub(crate) mod file;
mod grant;
mod issue;
mod issuer;
pub(crate) mod keyring;
pub(crate) mod limit;
mod metadata;
mod params;
pub(crate) mod person;
mod presented;
mod refusal;
mod rule;
mod settle;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use control::{Control, Fault, FederatedChange, Federation, Source, View};
use jose::{
    Jwks, Skew,
    dpop::{Htu, Nonces, Proof, ReplayFault, Replays},
};
use sha2::{Digest, Sha256};
use terms::{Channel, ChannelId, ChannelKind, Clock, Moment};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

pub use self::{
    account::{LinkedAccount, link_account, linked_accounts, unlink_account},
    binding::Presenter,
    client::{ClientKeys, ClientSecret, NewClient, RegisteredClient, clients, remove_client},
    issuer::{Algorithm, IssuerKeys, SubjectKind, TrustedIssuer, issuers, register_issuer, remove_issuer},
    keyring::KeyringFault,
    metadata::protected_resource_metadata,
    rule::{FederationRule, Pattern, register_rule, remove_rule, rules},
};
use self::{keyring::Keyring, limit::Limits, refusal::Refusal, trust::Discovery};
use crate::keys::{KeyCache, KeyTerms};

/// The name of our own channel, at which our own tokens end.
pub const OWN_CHANNEL: &str = "exeat-tokens";
/// How far the clock of an issuer or a client may be off.
const SKEW: Skew = Skew::USUAL;
/// The longest time for which an assertion by which a client authenticates may hold.
const ASSERTION_MAX: Duration = Duration::from_mins(12);
/// How old a proof of possession may be.
const PROOF_WINDOW: Duration = Duration::from_mins(1);
/// Proofs and assertions that are remembered; about 100 bytes each.
const REMEMBERED: usize = 100_000;

/// What the service is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our `iss`: the origin under which clients reach this server, such as `https://gateway.example.com`.
    pub issuer: String,
    /// The `aud` of our tokens for calls to models.
    pub resource: String,
    /// How long our tokens live, in seconds; 60 to 600.
    pub lifetime_s: u64,
    /// The folder of our keys; made if absent, with mode 0700.
    pub data_dir: PathBuf,
    /// Requests a minute of one address, or of one IPv6 network of 64 bits; of all who come through one proxy together.
    /// 1 to 60,000.
    pub per_address: u64,
    /// Tokens a minute for one issuer's; 1 to 60,000.
    pub per_issuer: u64,
}

impl Settings {
    /// Tokens that live five minutes; 300 requests a minute of one address, 6,000 tokens a minute of one issuer.
    #[must_use]
    pub fn new(issuer: &str, resource: &str, data_dir: PathBuf) -> Self {
        let (issuer, resource) = (issuer.to_owned(), resource.to_owned());
        Self { issuer, resource, lifetime_s: 300, data_dir, per_address: 300, per_issuer: 6_000 }
    }
}

/// The service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// A setting; correct it.
    #[error("`{setting}` {why}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Our signing keys.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyringFault),
    /// The key of client secrets.
    #[error("the key of client secrets cannot be used: `{0}`")]
    ClientKey(String, #[source] std::io::Error),
    /// The operating system has no randomness.
    #[error("the operating system has no randomness to give")]
    Random,
    /// Our own channel could not be recorded.
    #[error("our own channel cannot be registered: {0}")]
    Registry(#[from] Fault),
}

/// The security token service. Cheap to clone; every clone is the same one.
#[derive(Clone)]
pub struct TokenService(Arc<Inner>);

struct Inner {
    control: Control,
    clock: Arc<dyn Clock>,
    settings: Settings,
    own: ChannelId,
    endpoints: Vec<(&'static str, Htu)>,
    keyring: Keyring,
    client_key: Zeroizing<[u8; 32]>,
    keys: KeyCache,
    discovery: Discovery,
    nonces: Nonces,
    proofs: Replays,
    assertions: Replays,
    addresses: Limits,
    issuers: Limits,
}

impl TokenService {
    /// Reads or makes our keys, and registers our own channel. Keys of issuers are fetched by `client`.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`OpenFault`]; no token may be issued.
    pub fn open(
        control: &Control,
        clock: Arc<dyn Clock>,
        client: fetch::Client,
        settings: Settings,
    ) -> Result<Self, OpenFault> {
        let endpoints = checked(&settings)?;
        let own = ChannelId::parse(OWN_CHANNEL).map_err(|_| wrong("issuer", "has no channel"))?;
        let now = clock.now();
        let keyring = Keyring::open(&settings.data_dir.join("token-keys"), ROTATION, now)?;
        let file = settings.data_dir.join("token-clients.key");
        let client_key =
            file::secret(&file).map_err(|error| OpenFault::ClientKey(file.display().to_string(), error))?;
        let nonces = Nonces::generate(Duration::from_mins(5)).map_err(|_| OpenFault::Random)?;
        let service = Self(Arc::new(Inner {
            keys: KeyCache::new(client.clone(), Arc::clone(&clock), KeyTerms::default()),
            discovery: Discovery::new(client, Arc::clone(&clock)),
            addresses: Limits::per_minute(settings.per_address),
            issuers: Limits::per_minute(settings.per_issuer),
            proofs: Replays::with_capacity(REMEMBERED),
            assertions: Replays::with_capacity(REMEMBERED),
            control: control.clone(),
            clock,
            settings,
            own,
            endpoints,
            keyring,
            client_key,
            nonces,
        }));
        service.register_own_channel()?;
        Ok(service)
    }

    /// Returns the public keys that our tokens are verified with at present; the next one is among them a day before it
    /// signs.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        self.0.keyring.public()
    }

    /// Returns a number that grows with every change of [`TokenService::jwks`].
    #[must_use]
    pub fn keys_version(&self) -> u64 {
        self.0.keyring.version()
    }

    fn register_own_channel(&self) -> Result<(), Fault> {
        let own = |heard_at| Channel {
            id: self.0.own.clone(),
            kind: ChannelKind::Oidc,
            organization: None,
            issuer: Some(self.0.settings.issuer.clone()),
            heard_at,
            interval_s: 0,
            grace_s: 0,
            enabled: true,
        };
        let federation = self.federation();
        let known = federation.read(|view| view.channel(&self.0.own))?;
        if known.is_some_and(|known| known == own(known.heard_at)) {
            return Ok(());
        }
        let register = |view: &View<'_>| Ok(vec![FederatedChange::Channel(own(view.now()))]);
        federation.commit(&Source::own("token.register_own"), register).map(drop)
    }

    fn federation(&self) -> Federation {
        self.0.control.federation()
    }

    fn now(&self) -> Moment {
        self.0.clock.now()
    }

    fn client_key(&self) -> &[u8] {
        self.0.client_key.as_slice()
    }

    /// Returns every name by which an assertion may say that it is for this server.
    fn names(&self) -> impl Iterator<Item = &str> {
        let endpoints = self.0.endpoints.iter().map(|(_, url)| url.as_str());
        std::iter::once(self.0.settings.issuer.as_str()).chain(endpoints)
    }

    /// Takes an assertion that is used now for the first time, remembered until `until`.
    fn remember(&self, message: &str, until: Moment) -> Result<(), ReplayFault> {
        let key: [u8; 32] = Sha256::digest(message).into();
        let once = Proof { jkt: key, jti: String::new(), iat: self.now(), until, replay_key: key };
        self.0.assertions.claim(&once, self.now())
    }

    /// Reads the registry on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let federation = self.federation();
        self.blocking(move || federation.read(|view| Ok(look(view)))?).await
    }

    /// Works on a thread that may block. What did not begin before nobody waits for it any more is not begun.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let mut working = JoinSet::new();
        working.spawn_blocking(work);
        let done = working.join_next().await.and_then(Result::ok);
        done.unwrap_or_else(|| Err(Refusal::new(refusal::Code::Unavailable, "no token was issued: try again later")))
    }
}

impl std::fmt::Debug for TokenService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenService").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Returns the routes of the token service. A listener that knows from whom a request comes puts a [`Presenter`] into its
/// extensions.
pub fn router(service: TokenService) -> Router {
    Router::new()
        .route("/oauth/token", post(grant::token))
        .route("/v1/oauth/token", post(grant::token))
        .route("/oauth/introspect", post(answer::introspect))
        .route("/oauth/revoke", post(answer::revoke))
        .route("/oauth/jwks.json", get(metadata::jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route("/.well-known/oauth-protected-resource", get(metadata::protected_resource))
        .with_state(service)
}

/// A key signs for 30 days; the next one is published a day before, the old one until the longest token of a client (an
/// hour) is over, and an hour more.
const ROTATION: keyring::Rotation = keyring::Rotation {
    alg: jose::Alg::Es256,
    every: Duration::from_hours(30 * 24),
    ahead: Duration::from_hours(24),
    after: Duration::from_hours(2),
};

/// The paths of the token endpoint.
const TOKEN_PATHS: [&str; 2] = ["/oauth/token", "/v1/oauth/token"];

fn checked(settings: &Settings) -> Result<Vec<(&'static str, Htu)>, OpenFault> {
    let authority = settings.issuer.split_once("://").map(|(_, authority)| authority);
    let is_origin =
        authority.is_some_and(|authority| !authority.is_empty() && !authority.contains(['/', '?', '#', '@']));
    if fetch::Url::parse(&settings.issuer).is_err() || !is_origin {
        return Err(wrong("issuer", "must be an origin, such as `https://gateway.example.com`"));
    }
    if settings.resource.is_empty() || settings.resource.len() > 512 {
        return Err(wrong("resource", "must be 1 to 512 bytes"));
    }
    if !(60..=600).contains(&settings.lifetime_s) {
        return Err(wrong("lifetime_s", "must be 60 to 600"));
    }
    let endpoint = |path: &'static str| Htu::parse(&format!("{}{path}", settings.issuer)).map(|url| (path, url));
    let endpoints: Result<Vec<_>, _> = TOKEN_PATHS.into_iter().map(endpoint).collect();
    endpoints.map_err(|_| wrong("issuer", "must be an `http` or `https` URL without user information"))
}

fn wrong(setting: &'static str, why: &'static str) -> OpenFault {
    OpenFault::Setting { setting, why }
}

#[cfg(test)]
mod tests;
