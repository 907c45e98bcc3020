//! From what an operator typed to what a meter needs; no port is bound until all of it is good.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jose::{Jwk, KeyFault};
use proof::note::VerifierKey;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{
    config::{Settings, TlsSettings},
    tickets::Tickets,
    upstream::{BadUpstream, Upstream},
};

/// The longest file of a key or a secret that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// How long the reconciliation secret must be and may be, in characters.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 32..=256;

/// Why a meter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A gateway's ticket key is no public Ed25519 key.
    #[error("`{}` is not the public Ed25519 key of a gateway's tickets as a JWK: {why}", path.display())]
    TicketKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: KeyFault,
    },
    /// Nobody could call.
    #[error("no gateway is named in `issuers`: nobody could get a ticket for this meter")]
    NoIssuer,
    /// One name for two things.
    #[error("`{0}` is configured twice")]
    Twice(String),
    /// A verifier key that is none.
    #[error("`log_vkey` of `{0}` is no verifier key: copy `log/log.vkey` of the gateway's ledger")]
    LogKey(String),
    /// The secret could be guessed, or cannot be a header.
    #[error("the secret in `{}` must have {} to {} printable characters and no space", path.display(), SECRET_CHARS.start(), SECRET_CHARS.end())]
    Secret {
        /// Its file.
        path: PathBuf,
    },
    /// The model server's URL or its authorities.
    #[error("{0}")]
    Upstream(#[from] BadUpstream),
    /// Tickets and texts would pass in the clear.
    #[error("`{0}` is no loopback address: set `tls`, or `allow_plaintext` where a mesh encrypts")]
    Plaintext(std::net::SocketAddr),
    /// The port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// The answer of the operating system.
        source: std::io::Error,
    },
    /// The meter's own record of tickets cannot be read.
    #[error("cannot read which tickets were taken before: {0}")]
    Record(#[from] ledger::LookupError),
}

/// Everything of the settings that was read from files and checked.
pub(crate) struct Checked {
    pub(crate) settings: Settings,
    pub(crate) tickets: Tickets,
    pub(crate) issuers: BTreeMap<String, Jwk>,
    pub(crate) upstream: Upstream,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) secret: Option<Zeroizing<String>>,
    pub(crate) log_keys: BTreeMap<String, VerifierKey>,
}

/// Reads what the settings name and checks that it fits together.
pub(crate) fn check(settings: Settings) -> Result<Checked, StartError> {
    if settings.tls.is_none() && !settings.allow_plaintext && !settings.listen.ip().is_loopback() {
        return Err(StartError::Plaintext(settings.listen));
    }
    let issuers = issuers(&settings)?;
    let tickets = Tickets::new(settings.origin.clone(), issuers.clone(), names(&settings)?);
    let upstream = Upstream::new(&settings.upstream)?;
    let tls = settings.tls.as_ref().map(server_tls).transpose()?;
    let secret = settings.reconciliation.as_ref().map(|asked| read_secret(&asked.secret_file)).transpose()?;
    let log_keys = log_keys(&settings)?;
    Ok(Checked { settings, tickets, issuers, upstream, tls, secret, log_keys })
}

fn issuers(settings: &Settings) -> Result<BTreeMap<String, Jwk>, StartError> {
    let mut issuers = BTreeMap::new();
    for issuer in &settings.issuers {
        let path = issuer.ticket_key_file.clone();
        let key = Jwk::parse(&read_bytes(&path)?).map_err(|why| StartError::TicketKey { path, why })?;
        if issuers.insert(issuer.origin.clone(), key).is_some() {
            return Err(StartError::Twice(issuer.origin.clone()));
        }
    }
    if issuers.is_empty() { Err(StartError::NoIssuer) } else { Ok(issuers) }
}

fn names(settings: &Settings) -> Result<BTreeMap<terms::ModelVersionId, String>, StartError> {
    let mut names = BTreeMap::new();
    for model in &settings.models {
        if names.insert(model.id.clone(), model.known_as.clone()).is_some() {
            return Err(StartError::Twice(model.id.as_str().to_owned()));
        }
    }
    Ok(names)
}

fn log_keys(settings: &Settings) -> Result<BTreeMap<String, VerifierKey>, StartError> {
    let mut keys = BTreeMap::new();
    for issuer in &settings.issuers {
        let Some(text) = &issuer.log_vkey else { continue };
        let key: Option<VerifierKey> = text.trim().parse().ok();
        let key = key.filter(|key| key.name() == issuer.origin);
        keys.insert(issuer.origin.clone(), key.ok_or_else(|| StartError::LogKey(issuer.origin.clone()))?);
    }
    Ok(keys)
}

/// Reads the secret of a file; a newline at its end is not part of it.
///
/// # Errors
///
/// [`StartError::File`] and [`StartError::Secret`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, StartError> {
    let bytes = Zeroizing::new(read_bytes(path)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_end();
    if SECRET_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    Err(StartError::Secret { path: path.to_owned() })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, StartError> {
    let failed = |why: String| StartError::File { path: path.to_owned(), why };
    let length = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    fs::read(path).map_err(|error| failed(error.to_string()))
}

/// Returns the server's side of TLS 1.3, HTTP/1.1 and HTTP/2.
fn server_tls(settings: &TlsSettings) -> Result<Arc<ServerConfig>, StartError> {
    let failed = |path: &Path, why: String| StartError::File { path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(&settings.cert_chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| failed(&settings.cert_chain, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| failed(&settings.key, error.to_string()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| failed(&settings.cert_chain, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
