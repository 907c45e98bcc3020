//! The gateway as a whole: what its workers share, how it is started, changed and drained.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use identity::{Change, Directory, Pepper};
use jose::SigningKey;
use ledger::Ledger;
use policy::Snapshot;
use terms::{Clock, KeyId, ModelVersionId};

use crate::{
    aside::Aside,
    authenticate::{OwnTokens, ResourceServer},
    closing::Unclosed,
    config::{Checked, Limits, Recording},
    decide::InForce,
    lease::Leases,
    listener::{self, Listeners},
    metrics::Metrics,
    recall::Effect,
    responses::Responses,
    screen::Monitor,
    service::Worker,
    tally::Tally,
    upstream::Fleet,
};

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it listens and where it forwards to.
    pub settings: Checked,
    /// People, organizations, workloads and keys; kept up to date by the control plane.
    pub directory: Arc<Directory>,
    /// What is in force at the start.
    pub snapshot: Arc<Snapshot>,
    /// Where calls are recorded.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The secret that key digests were made with.
    pub pepper: Pepper,
    /// Who watches prompts and output.
    pub monitor: Arc<dyn Monitor>,
    /// How the keys of issuers are fetched and issuers are asked.
    pub client: fetch::Client,
    /// The keys of tokens that this deployment issues itself, if it does.
    pub own_tokens: Option<OwnTokens>,
    /// The key that signs tickets for meters; needed if a model version is behind one.
    pub ticket_key: Option<SigningKey>,
    /// Who answers the few paths that are no calls to a model but that SDKs ask of the same server.
    pub aside: Option<Arc<dyn Aside>>,
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: Arc<Directory>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pepper: Pepper,
    pub(crate) oauth: Arc<ResourceServer>,
    pub(crate) ticket_key: Option<SigningKey>,
    pub(crate) aside: Option<Arc<dyn Aside>>,
    pub(crate) asides: Arc<AtomicUsize>,
    pub(crate) aside_bodies: Arc<AtomicUsize>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) metrics: Metrics,
    pub(crate) fleet: Arc<ArcSwap<Fleet>>,
    pub(crate) limits: ArcSwap<Limits>,
    pub(crate) recording: ArcSwap<Recording>,
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) responses: Responses,
    pub(crate) unclosed: Unclosed,
    pub(crate) draining: AtomicBool,
}

/// The gateway cannot start; no port is left bound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream cannot be set up.
    #[error("cannot set up the upstreams: {0}")]
    Upstream(String),
    /// Tokens could not be verified.
    #[error("cannot take access tokens: {0}")]
    Credentials(String),
    /// A port cannot be bound or a certificate cannot be read.
    #[error("cannot listen: {0}")]
    Listen(#[source] listener::StartError),
}

/// New settings cannot take effect; the ones in force stay in force, whole.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// These cannot change while the gateway runs.
    #[error("`{0}` cannot change without a restart: the settings in force stay as they were")]
    NeedsRestart(&'static str),
    /// An upstream cannot be set up.
    #[error("cannot set up the upstreams: {0}: the settings in force stay as they were")]
    Upstream(String),
    /// The certificate cannot be used.
    #[error("{0}: the settings in force stay as they were")]
    Certificate(#[source] listener::StartError),
}

/// A running gateway. Dropped, it stops without draining.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    settings: ArcSwap<Checked>,
    listeners: Mutex<Option<Listeners>>,
    addresses: Vec<SocketAddr>,
}

impl Gateway {
    /// Binds every port, starts the workers and serves.
    ///
    /// # Errors
    ///
    /// [`StartError`]: nothing serves; mend what it names and start again.
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { settings, directory, snapshot, ledger, clock, pepper, monitor, client, .. } = parts;
        let Parts { own_tokens, ticket_key, aside, .. } = parts;
        if let Some(model) = settings.metered().next().filter(|_| ticket_key.is_none()) {
            return Err(StartError::Upstream(no_ticket_key(model)));
        }
        let metrics = Metrics::new();
        let oauth = ResourceServer::new(settings.credentials(), own_tokens, client, metrics.tokens());
        let oauth = oauth.map_err(StartError::Credentials)?;
        let fleet = Fleet::new(&settings).map_err(|error| StartError::Upstream(error.to_string()))?;
        let shared = Arc::new(Shared {
            directory,
            snapshot: ArcSwap::new(Arc::clone(&snapshot)),
            ledger,
            clock,
            pepper,
            oauth: Arc::new(oauth),
            ticket_key,
            aside,
            asides: Arc::default(),
            aside_bodies: Arc::default(),
            monitor,
            leases: Leases::new(settings.workers().get()),
            tally: Arc::default(),
            metrics,
            fleet: Arc::new(ArcSwap::from_pointee(fleet)),
            limits: ArcSwap::from_pointee(settings.limits().clone()),
            recording: ArcSwap::from_pointee(settings.recording().clone()),
            in_flight: Arc::default(),
            responses: Responses::default(),
            unclosed: Unclosed::default(),
            draining: AtomicBool::new(false),
        });
        shared.follow(&snapshot);
        let for_workers = Arc::clone(&shared);
        let listeners = listener::spawn(&settings, move |id| Worker::start(id, Arc::clone(&for_workers)))
            .map_err(StartError::Listen)?;
        let addresses = listeners.addresses().to_vec();
        Ok(Self {
            shared,
            settings: ArcSwap::from_pointee(settings),
            listeners: Mutex::new(Some(listeners)),
            addresses,
        })
    }

    /// Returns the addresses it listens on.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Decides again every live call that a change touches. The change must already be in the directory.
    ///
    /// When this returns, every call that the change ends is recalled: nothing more of it is relayed.
    pub fn change(&self, change: &Change) -> Effect {
        self.shared.changed(change)
    }

    /// Puts a snapshot in force and decides again every live call that it treats differently.
    ///
    /// When this returns, every call that it ends is recalled: nothing more of it is relayed.
    pub fn snapshot(&self, snapshot: Arc<Snapshot>) -> Effect {
        self.shared.enforce(snapshot)
    }

    /// Puts new settings in force, whole or not at all. Calls in flight end where they began.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]: the settings in force stay in force.
    pub fn reload(&self, settings: Checked) -> Result<(), ReloadError> {
        let now = self.settings.load();
        if now.listen() != settings.listen() {
            return Err(ReloadError::NeedsRestart("listen"));
        }
        if now.workers() != settings.workers() {
            return Err(ReloadError::NeedsRestart("workers"));
        }
        if now.tls() != settings.tls() {
            return Err(ReloadError::NeedsRestart("tls"));
        }
        if now.credentials() != settings.credentials() || now.client_certificates() != settings.client_certificates() {
            return Err(ReloadError::NeedsRestart("what is set about credentials"));
        }
        if fixed(now.limits()) != fixed(settings.limits()) {
            return Err(ReloadError::NeedsRestart("limits of connections"));
        }
        if let Some(model) = settings.metered().next().filter(|_| self.shared.ticket_key.is_none()) {
            return Err(ReloadError::Upstream(no_ticket_key(model)));
        }
        let fleet = self.shared.fleet.load().renewed(&settings);
        let fleet = fleet.map_err(|error| ReloadError::Upstream(error.to_string()))?;
        if let Some(listeners) = self.listeners().as_ref() {
            listeners.renew_certificate().map_err(ReloadError::Certificate)?;
        }
        self.shared.fleet.store(Arc::new(fleet));
        self.shared.limits.store(Arc::new(settings.limits().clone()));
        self.shared.recording.store(Arc::new(settings.recording().clone()));
        self.settings.store(Arc::new(settings));
        Ok(())
    }

    /// Writes every metric in the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let upstreams = self.shared.fleet.load().status();
        self.shared.metrics.text(self.shared.leases.len(), &self.shared.ledger.health(), &upstreams)
    }

    /// Says whether it can serve calls now.
    ///
    /// # Errors
    ///
    /// Why not, in one line.
    pub fn ready(&self) -> Result<(), String> {
        self.shared.ready()
    }

    /// Returns how many live calls each credential has on each model version.
    #[must_use]
    pub fn live_by_key(&self) -> BTreeMap<(KeyId, ModelVersionId), u64> {
        let mut counts = BTreeMap::new();
        for live in self.shared.leases.all() {
            *counts.entry((live.caller.credential_id().clone(), live.model.clone())).or_default() += 1;
        }
        counts
    }

    /// Returns the number of live calls.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shared.leases.len()
    }

    /// Stops taking calls, lets those in flight finish for at most `bound`, then ends the rest. Blocks.
    ///
    /// Returns true if every call finished by itself. Once drained, it stays so.
    pub fn drain(&self, bound: Duration) -> bool {
        self.shared.draining.store(true, Ordering::SeqCst);
        let listeners = self.listeners().take();
        let finished = listeners.is_none_or(|listeners| listeners.drain(bound));
        // The workers are gone by now. What is left stays open and is closed as interrupted by the next start.
        self.shared.close_waiting();
        finished
    }

    fn listeners(&self) -> MutexGuard<'_, Option<Listeners>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Returns what is in force, under `snapshot`.
    pub(crate) fn in_force<'a>(&'a self, snapshot: &'a Snapshot) -> InForce<'a> {
        InForce { directory: &self.directory, snapshot, tally: &self.tally }
    }

    /// Says whether calls can be served now.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::SeqCst) {
            return Err("the gateway is draining".to_owned());
        }
        let behind = self.clock.behind();
        if behind > Duration::from_secs(5) {
            return Err(format!("the clock stepped back by {} s", behind.as_secs()));
        }
        match self.ledger.health().unavailable {
            Some(why) => Err(why.to_string()),
            None => Ok(()),
        }
    }
}

fn no_ticket_key(model: &ModelVersionId) -> String {
    format!("`{model}` is behind a meter, and there is no key to sign tickets with")
}

/// Returns the limits that the listener takes at its start, in the order of [`Limits`].
fn fixed(limits: &Limits) -> [u64; 8] {
    let Limits { header_bytes, header_fields, connections, h2_streams, .. } = *limits;
    [
        header_bytes as u64,
        header_fields as u64,
        limits.header_seconds,
        limits.handshake_seconds,
        limits.idle_seconds,
        limits.write_seconds,
        connections as u64,
        u64::from(h2_streams),
    ]
}
