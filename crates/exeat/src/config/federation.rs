//! `[federation]` and `[outbound]`: who vouches for people, and whom this server may ask.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ::federation::{ClientIdPrefix, PlaneSettings, RequestCertificate, Secret, TrustEntry, Vendor, VendorKind, token};
use anyhow::{Context, anyhow};
use fetch::{AddressRule, Client, Roots, Url};
use gateway::TlsSettings;
use policy::FreshnessTable;
use serde::Deserialize;
use terms::{ChannelId, IssuerId};
use zeroize::Zeroizing;

/// The longest file of a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// Whom this server may ask, for keys, status lists and the rest. The public internet over `https` unless more is allowed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutboundConfig {
    /// Hosts that are allowed besides: names, addresses, or ranges in CIDR notation; over plain `http` too.
    pub(crate) allow: Vec<String>,
    /// The certificate authorities to trust, in place of the operating system's.
    pub(crate) ca_file: Option<PathBuf>,
}

impl OutboundConfig {
    /// Returns which addresses may be reached.
    ///
    /// # Errors
    ///
    /// The entry that is none.
    pub(crate) fn rule(&self) -> Result<AddressRule, String> {
        AddressRule::allowing(self.allow.iter().map(String::as_str)).map_err(|error| error.to_string())
    }

    /// Returns what asks other servers.
    ///
    /// # Errors
    ///
    /// If there is no certificate authority to trust.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let roots = match &self.ca_file {
            Some(file) => Roots::of_file(file)?,
            None => Roots::native().or_else(|none| {
                tracing::warn!(%none, "no server outside can be asked over https");
                Roots::nobody()
            })?,
        };
        let rule = self.rule().map_err(|why| anyhow!("`outbound.allow`: {why}"))?;
        Ok(Client::new(fetch::Settings::new(roots, rule)))
    }
}

/// The listener for whoever vouches for people, and what they are believed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct FederationConfig {
    /// Where identity providers, employers, vendors and people reach this server: `https://id.example.com`.
    pub(crate) origin: String,
    /// Where it listens; `127.0.0.1:8082` unless set.
    #[serde(default = "loopback")]
    pub(crate) listen: SocketAddr,
    /// The certificate it serves with; plaintext without.
    #[serde(default)]
    pub(crate) tls: Option<TlsSettings>,
    /// Allows plaintext on another than a loopback address, for a proxy that ends TLS.
    #[serde(default)]
    pub(crate) allow_plaintext: bool,
    /// How many connections one address may have, of 1024 in all; 64 unless set. More behind a proxy, which has one address.
    #[serde(default = "sixty_four")]
    pub(crate) connections_per_address: usize,
    /// How long tokens of our own live, in seconds; 300 unless set.
    #[serde(default = "five_minutes")]
    pub(crate) token_seconds: u64,
    /// The folder of the secrets that transmitters of signals issued to us; `secrets` in the data folder unless set.
    #[serde(default)]
    pub(crate) secrets: Option<PathBuf>,
    /// Whom to believe about what.
    #[serde(default)]
    pub(crate) trust: Vec<TrustEntry>,
    /// The file of a freshness table, in place of the one that ships.
    #[serde(default)]
    pub(crate) freshness: Option<PathBuf>,
    /// Proofing vendors that call back.
    #[serde(default)]
    pub(crate) vendors: Vec<VendorConfig>,
    /// By what wallets know who asks; without one, requests are not signed, and wallets may warn of them.
    #[serde(default)]
    pub(crate) wallet_certificate: Option<WalletCertificate>,
}

/// The certificate with which presentations are asked for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct WalletCertificate {
    /// A PEM file of certificates, the key's own first, without the root.
    pub(crate) chain: PathBuf,
    /// A PEM file of its private key, in PKCS #8.
    pub(crate) key: PathBuf,
    /// What of it tells wallets who asks.
    pub(crate) client_id: ClientIdForm,
}

/// What of a certificate tells wallets who asks (OpenID4VP 1.0 section 5.9.3).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientIdForm {
    /// Its SHA-256.
    X509Hash,
    /// The host of the origin, which it must name.
    X509SanDns,
}

impl WalletCertificate {
    fn certificate(&self) -> RequestCertificate {
        let client_id = match self.client_id {
            ClientIdForm::X509Hash => ClientIdPrefix::X509Hash,
            ClientIdForm::X509SanDns => ClientIdPrefix::X509SanDns,
        };
        RequestCertificate { chain: self.chain.clone(), key: self.key.clone(), client_id }
    }
}

/// One account at a proofing vendor.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorConfig {
    /// The channel of its deliveries: `/webhooks/{channel}`.
    pub(crate) channel: ChannelId,
    /// Whose shapes it speaks.
    pub(crate) kind: VendorKind,
    /// As whom the trust list knows it.
    pub(crate) issuer: IssuerId,
    /// Files of the secrets with which it signs: one, or two while one is replaced.
    pub(crate) secret_files: Vec<PathBuf>,
    /// How far from now a signed time may be, in seconds; 300 unless set.
    #[serde(default = "five_minutes")]
    pub(crate) tolerance_seconds: u64,
    /// Where its API begins, such as `https://api.example.com`.
    pub(crate) api: String,
    /// The file of the key of its API.
    pub(crate) api_key_file: PathBuf,
}

impl FederationConfig {
    /// Returns one that listens on `listen`, in plaintext, and believes nobody yet.
    pub(crate) fn on_loopback(listen: SocketAddr) -> Self {
        Self {
            origin: format!("http://{listen}"),
            listen,
            tls: None,
            allow_plaintext: false,
            connections_per_address: sixty_four(),
            token_seconds: five_minutes(),
            secrets: None,
            trust: Vec::new(),
            freshness: None,
            vendors: Vec::new(),
            wallet_certificate: None,
        }
    }

    /// Calls `place` with every path, to make it absolute.
    pub(super) fn each_path(&mut self, mut place: impl FnMut(&mut PathBuf)) {
        if let Some(tls) = &mut self.tls {
            place(&mut tls.cert_chain);
            place(&mut tls.key);
        }
        self.secrets.iter_mut().for_each(&mut place);
        self.freshness.iter_mut().for_each(&mut place);
        if let Some(certificate) = &mut self.wallet_certificate {
            place(&mut certificate.chain);
            place(&mut certificate.key);
        }
        for vendor in &mut self.vendors {
            vendor.secret_files.iter_mut().for_each(&mut place);
            place(&mut vendor.api_key_file);
        }
    }

    /// Finds what is wrong, as key and reason.
    pub(super) fn check(&self, gateway_origin: Option<&str>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut add = |key: &str, why: String| faults.push((format!("federation.{key}"), why));
        let url = Url::parse(&self.origin);
        if url.as_ref().map_or(true, |url| url.path_and_query() != "/") || self.origin.ends_with('/') {
            let why = format!("`{}` is not an origin such as `https://id.example.com`", self.origin);
            add("origin", why);
        }
        if gateway_origin.is_none() {
            add("origin", "needs `server.external_origin`, the origin at which clients get tokens: set it".into());
        }
        if self.tls.is_none() && !self.allow_plaintext && !self.listen.ip().is_loopback() {
            let why = format!(
                "{} would serve secrets in plaintext: use a loopback address, `[federation.tls]`, or set `allow_plaintext` behind a proxy that ends TLS",
                self.listen
            );
            add("listen", why);
        }
        if !(1..=1_024).contains(&self.connections_per_address) {
            add("connections_per_address", format!("{} is not between 1 and 1024", self.connections_per_address));
        }
        if !(60..=600).contains(&self.token_seconds) {
            add("token_seconds", format!("{} is not between 60 and 600", self.token_seconds));
        }
        if let Err(error) = ::federation::TrustList::new(self.trust.clone()) {
            add("trust", error.to_string());
        }
        for (n, vendor) in self.vendors.iter().enumerate() {
            if let Err(error) = Url::parse(&vendor.api) {
                add(&format!("vendors[{n}].api"), error.to_string());
            }
        }
        faults
    }

    /// Reads the freshness table; none if the one that ships is in force.
    ///
    /// # Errors
    ///
    /// The file that cannot be read, or is no table.
    pub(super) fn freshness_table(&self) -> anyhow::Result<Option<FreshnessTable>> {
        self.freshness.as_deref().map(freshness).transpose()
    }

    /// Returns what the sources are started with; reads the files of secrets.
    ///
    /// # Errors
    ///
    /// The file that cannot be read.
    pub(crate) fn settings(&self, data_dir: &Path, issuer: &str, resource: &str) -> anyhow::Result<PlaneSettings> {
        let folder = data_dir.join("federation");
        let tokens = token::Settings {
            lifetime_s: self.token_seconds,
            ..token::Settings::new(issuer, resource, folder.clone())
        };
        Ok(PlaneSettings {
            origin: self.origin.clone(),
            secrets: self.secrets.clone().unwrap_or_else(|| data_dir.join("secrets")),
            folder,
            tokens,
            trust: self.trust.clone(),
            freshness: self.freshness_table()?,
            certificate: self.wallet_certificate.as_ref().map(WalletCertificate::certificate),
            vendors: self.vendors.iter().map(VendorConfig::vendor).collect::<anyhow::Result<_>>()?,
        })
    }
}

impl VendorConfig {
    fn vendor(&self) -> anyhow::Result<Vendor> {
        Ok(Vendor {
            channel: self.channel.clone(),
            kind: self.kind,
            issuer: self.issuer.clone(),
            secrets: self.secret_files.iter().map(|file| secret(file)).collect::<anyhow::Result<_>>()?,
            tolerance: Duration::from_secs(self.tolerance_seconds),
            api: Url::parse(&self.api)?,
            api_key: secret(&self.api_key_file)?,
        })
    }
}

fn secret(file: &Path) -> anyhow::Result<Secret> {
    let at = file.display();
    let length = fs::metadata(file).with_context(|| format!("cannot read `{at}`"))?.len();
    if length > SECRET_BYTES_MAX {
        return Err(anyhow!("`{at}` is longer than any secret"));
    }
    let text = Zeroizing::new(fs::read_to_string(file).with_context(|| format!("cannot read `{at}`"))?);
    match text.trim() {
        "" => Err(anyhow!("`{at}` is empty: put the secret there")),
        text => Ok(Secret::new(text)),
    }
}

fn freshness(file: &Path) -> anyhow::Result<FreshnessTable> {
    let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    FreshnessTable::parse(&text).with_context(|| format!("`{}` is no freshness table", file.display()))
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8082))
}

fn sixty_four() -> usize {
    64
}

fn five_minutes() -> u64 {
    300
}
