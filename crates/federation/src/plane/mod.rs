//! Every source of word about people under one roof: what is started together, served together and set together.

mod kinds;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use axum::Router;
use control::{Control, Fault, Federation, SourcePlaced, Sources};
use fetch::Client;
use jose::Jwks;
use policy::FreshnessTable;
use serde_json::Value;
use terms::Clock;

use crate::{
    attest::{BadTrust, TrustEntry, TrustList, Vault, VaultFault},
    keys::{KeyCache, KeyTerms},
    page::Pages,
    receive::{Receiver, ReceiverParts},
    scim::{Scim, ScimSettings},
    token::{self, OpenFault, TokenService},
    transmit::{Transmitter, TransmitterFault, TransmitterParts, TransmitterSettings},
    wallet::{RequestCertificate, Wallet, WalletOpenFault, WalletParts, WalletSettings},
    webhook::{BadVendor, Vendor, Webhooks},
};

/// What all of it is started with.
#[derive(Debug)]
pub struct PlaneSettings {
    /// Where identity providers, employers, vendors and people reach this server: `https://id.example.com`, without a
    /// slash at the end.
    pub origin: String,
    /// The folder of keys and sealed personal values; made if absent, readable by nobody else.
    pub folder: PathBuf,
    /// The folder of the secrets that transmitters of signals issued to us, one file each.
    pub secrets: PathBuf,
    /// Our token service.
    pub tokens: token::Settings,
    /// Whom to believe about what.
    pub trust: Vec<TrustEntry>,
    /// For how long; the table that ships unless given.
    pub freshness: Option<FreshnessTable>,
    /// Proofing vendors that call back.
    pub vendors: Vec<Vendor>,
    /// By what wallets know who asks; absent if they are not told.
    pub certificate: Option<RequestCertificate>,
}

/// What of it cannot be started; nothing is served then.
#[derive(Debug, thiserror::Error)]
pub enum PlaneFault {
    /// The trust list.
    #[error("the trust list cannot be used: {0}")]
    Trust(#[from] BadTrust),
    /// A vendor.
    #[error("a proofing vendor cannot be used: {0}")]
    Vendor(#[from] BadVendor),
    /// The store of personal values.
    #[error("the sealed personal values cannot be opened: {0}")]
    Vault(#[from] VaultFault),
    /// The token service.
    #[error("the token service cannot be started: {0}")]
    Tokens(#[from] OpenFault),
    /// The transmitter of signals.
    #[error("the transmitter of signals cannot be started: {0}")]
    Transmitter(#[from] TransmitterFault),
    /// What wallets ask.
    #[error("presentations from wallets cannot be taken: {0}")]
    Wallet(#[from] WalletOpenFault),
}

/// The sources of word about people, as one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plane(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    federation: Federation,
    vault: Arc<Vault>,
    tokens: TokenService,
    receiver: Receiver,
    transmitter: Transmitter,
    scim: Arc<Scim>,
    wallet: Wallet,
    webhooks: Webhooks,
    pages: Pages,
    origin: String,
}

impl Plane {
    /// Opens all of it; requests to others go through `client`. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`PlaneFault`] says which part cannot be started and why.
    pub fn open(
        control: &Control,
        clock: &Arc<dyn Clock>,
        client: &Client,
        settings: PlaneSettings,
    ) -> Result<Self, PlaneFault> {
        let PlaneSettings { origin, folder, secrets, tokens, trust, freshness, vendors, certificate } = settings;
        let mut trust = TrustList::new(trust)?;
        if let Some(table) = freshness {
            control.attach_freshness(table.clone());
            trust = trust.with_freshness(table);
        }
        let (federation, trust) = (control.federation(), Arc::new(trust));
        let vault = Arc::new(Vault::open(&folder)?);
        let tokens = TokenService::open(control, Arc::clone(clock), client.clone(), tokens)?;
        let receiver = Receiver::new(ReceiverParts {
            federation: federation.clone(),
            client: client.clone(),
            keys: KeyCache::new(client.clone(), Arc::clone(clock), KeyTerms::default()),
            vault: Arc::clone(&vault),
            secrets,
            base_url: origin.clone(),
        });
        let transmitter = Transmitter::open(TransmitterParts {
            federation: federation.clone(),
            tokens: Some(tokens.clone()),
            vault: Arc::clone(&vault),
            client: client.clone(),
            data_dir: folder.join("transmitter"),
            settings: TransmitterSettings::new(&origin),
        })?;
        let scim = ScimSettings { origin: origin.clone(), issuers: BTreeMap::new(), trust: Arc::clone(&trust) };
        let scim = Arc::new(Scim::new(federation.clone(), Arc::clone(&vault), scim));
        let webhooks =
            Webhooks::new(federation.clone(), client.clone(), Arc::clone(&trust), Arc::clone(&vault), vendors)?;
        let pages = Pages::new(control.clone(), &origin, Some("/wallet/present".to_owned()));
        let pages = pages.with_tokens(tokens.clone());
        let parts = WalletParts { control: control.clone(), trust, client: client.clone(), pages: Some(pages.clone()) };
        let wallet = WalletSettings { origin: origin.clone(), data_dir: folder, encrypted: true, certificate };
        let wallet = Wallet::open(parts, wallet)?;
        let inner = Inner { federation, vault, tokens, receiver, transmitter, scim, wallet, webhooks, pages, origin };
        Ok(Self(Arc::new(inner)))
    }

    /// Returns what identity providers, employers, vendors and people ask: events, provisioning, wallets, call-backs and
    /// the page of one's own standing. The caller binds it to a listener that the outside reaches.
    pub fn router(&self) -> Router {
        let parts = &self.0;
        [
            parts.receiver.router(),
            parts.transmitter.router(),
            Arc::clone(&parts.scim).router(),
            parts.wallet.router(),
            parts.webhooks.router(),
            parts.pages.router(),
        ]
        .into_iter()
        .fold(Router::new(), Router::merge)
    }

    /// Returns what clients of models ask: tokens, what they are, and who issues them. It belongs to the origin that
    /// [`token::Settings::issuer`] names; whoever serves it puts a [`token::Presenter`] into each request's extensions.
    pub fn token_router(&self) -> Router {
        token::router(self.0.tokens.clone())
    }

    /// Returns the public keys that our tokens are verified with at present.
    #[must_use]
    pub fn token_keys(&self) -> Jwks {
        self.0.tokens.jwks()
    }

    /// Returns a number that grows with every change of [`Plane::token_keys`].
    #[must_use]
    pub fn token_keys_version(&self) -> u64 {
        self.0.tokens.keys_version()
    }

    /// Does what nobody asks for: polls, heartbeats, status lists, rosters, signals out. Ends when it is dropped.
    pub async fn run(self) {
        let parts = &self.0;
        tokio::join!(
            parts.receiver.clone().run(),
            parts.transmitter.clone().run(std::future::pending()),
            Arc::clone(&parts.scim).run(std::future::pending()),
            parts.wallet.clone().run(std::future::pending()),
            parts.webhooks.clone().run(),
        );
    }
}

impl Sources for Plane {
    fn kinds(&self) -> Vec<&'static str> {
        kinds::KINDS.iter().map(|kind| kind.name).collect()
    }

    fn set(&self, kind: &str, json: &[u8]) -> Result<SourcePlaced, Fault> {
        (kinds::find(kind)?.set)(self, json)
    }

    fn list(&self, kind: &str) -> Result<Vec<Value>, Fault> {
        (kinds::find(kind)?.list)(self)
    }

    fn remove(&self, kind: &str, id: &str) -> Result<(), Fault> {
        (kinds::find(kind)?.remove)(self, id)
    }
}
