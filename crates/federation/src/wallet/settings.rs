//! What the wallet part is started with: where it is reached, and by what wallets know who asks.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use control::Control;
use fetch::{Client, Url};
use jose::{Alg, Certificate, SigningKey};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use terms::Moment;
use vc::openid4vp::ClientId;

use crate::{attest::TrustList, page::Pages, token::KeyringFault};

/// Certificates that a request may bring.
const MAX_CHAIN: usize = 6;
/// By which algorithms a request may be signed.
///
/// # Source
/// OpenID4VC High Assurance Interoperability Profile 1.0, section 7 (ES256 at least).
const REQUEST_ALGS: [Alg; 3] = [Alg::Es256, Alg::Es384, Alg::EdDsa];

/// What the wallet part needs of the server around it.
#[derive(Clone, Debug)]
pub struct WalletParts {
    /// Where what is presented takes effect.
    pub control: Control,
    /// What each issuer is believed about.
    pub trust: Arc<TrustList>,
    /// Fetches issuers' keys and status lists.
    pub client: Client,
    /// The page whose sessions are taken for a person's own, besides links; absent if there is none.
    pub pages: Option<Pages>,
}

/// What the wallet part is started with.
#[derive(Clone, Debug)]
pub struct WalletSettings {
    /// The origin under which wallets reach this server, such as `https://exeat.example.com`. Also the `iss` of clearance
    /// credentials.
    pub origin: String,
    /// The folder of the keys that sign clearance credentials; made if absent, with mode 0700.
    pub data_dir: PathBuf,
    /// By what wallets know who asks; without one, requests are sent whole and unsigned, and wallets may warn of them.
    pub certificate: Option<RequestCertificate>,
    /// Whether answers must come encrypted, each to a key of its own (`direct_post.jwt`).
    pub encrypted: bool,
}

/// The certificate with which requests are signed.
#[derive(Clone, Debug)]
pub struct RequestCertificate {
    /// A PEM file of certificates, the key's own first, without the root.
    pub chain: PathBuf,
    /// A PEM file of its private key, in PKCS#8.
    pub key: PathBuf,
    /// What of it is our client id.
    pub client_id: ClientIdPrefix,
}

/// What of a certificate tells a wallet who asks.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 5.9.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientIdPrefix {
    /// Its SHA-256.
    X509Hash,
    /// The host of our origin, which it must name.
    X509SanDns,
}

/// The wallet part cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WalletOpenFault {
    /// The origin; correct it.
    #[error("`origin` must be a URL of a scheme, a host and no more, without a slash at its end")]
    Origin,
    /// A file that cannot be read or is not PEM.
    #[error("cannot read `{0}`: {1}")]
    File(String, String),
    /// The certificate does not fit its key, our origin or this day.
    #[error("the certificate in `{0}` {1}")]
    Certificate(String, &'static str),
    /// The keys of clearance credentials.
    #[error("the keys of clearance credentials cannot be used")]
    Keys(#[from] KeyringFault),
}

/// How a wallet can tell who asks.
pub(super) enum Identification {
    /// By a certificate: requests are signed and fetched.
    Certificate { client_id: ClientId, key: Box<SigningKey>, chain: Vec<Vec<u8>> },
    /// By where the answer goes: requests are sent whole, and unsigned.
    ResponseUri,
}

impl Identification {
    /// Reads the certificate that is configured, if one is.
    pub(super) fn load(settings: &WalletSettings, now: Moment) -> Result<Self, WalletOpenFault> {
        match &settings.certificate {
            None => Ok(Self::ResponseUri),
            Some(files) => Self::of_files(files, host(&settings.origin)?, now),
        }
    }

    fn of_files(files: &RequestCertificate, host: String, now: Moment) -> Result<Self, WalletOpenFault> {
        let unfit = |why| WalletOpenFault::Certificate(files.chain.display().to_string(), why);
        let chain = certificates(&files.chain)?;
        let leaf = chain.first().filter(|_| chain.len() <= MAX_CHAIN).ok_or_else(|| unfit("must be 1 to 6"))?;
        let certificate = Certificate::parse(leaf).map_err(|_| unfit("is not X.509 with a key of a known type"))?;
        let key = private_key(&files.key, &certificate)?;
        if key.public().thumbprint() != certificate.key.thumbprint() {
            return Err(unfit("is not that of the private key"));
        }
        if now < certificate.not_before || certificate.not_after <= now {
            return Err(unfit("does not hold today"));
        }
        let client_id = match files.client_id {
            ClientIdPrefix::X509Hash => ClientId::of_certificate(leaf),
            ClientIdPrefix::X509SanDns if certificate.names(&host) => ClientId::X509SanDns(host),
            ClientIdPrefix::X509SanDns => return Err(unfit("does not name the host of our origin")),
        };
        Ok(Self::Certificate { client_id, key: Box::new(key), chain })
    }
}

impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { client_id, .. } => write!(f, "Certificate({client_id})"),
            Self::ResponseUri => f.write_str("ResponseUri"),
        }
    }
}

/// Returns the host of our origin.
///
/// # Errors
///
/// [`WalletOpenFault::Origin`] if it is more or less than an origin.
pub(super) fn host(origin: &str) -> Result<String, WalletOpenFault> {
    let url = Url::parse(origin).map_err(|_| WalletOpenFault::Origin)?;
    let authority = url.authority();
    if !origin.ends_with(authority) {
        return Err(WalletOpenFault::Origin);
    }
    let port = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let host = authority.rsplit_once(':').filter(|(_, rest)| port(rest)).map_or(authority, |(host, _)| host);
    Ok(host.to_owned())
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, WalletOpenFault> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let ders = read.map_err(|error| WalletOpenFault::File(path.display().to_string(), error.to_string()))?;
    Ok(ders.into_iter().map(|der| der.to_vec()).collect())
}

fn private_key(path: &Path, certificate: &Certificate) -> Result<SigningKey, WalletOpenFault> {
    let unread = |why: String| WalletOpenFault::File(path.display().to_string(), why);
    let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|error| unread(error.to_string()))?;
    let alg = REQUEST_ALGS.into_iter().find(|alg| certificate.key.verifies(*alg));
    let alg = alg.ok_or_else(|| unread("its type is none of ES256, ES384 and EdDSA".to_owned()))?;
    SigningKey::from_pkcs8(alg, der.secret_pkcs8_der()).map_err(|fault| unread(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    /// Files of a certificate for `name` until `year`, and of a key.
    fn files(dir: &TempDir, name: &str, year: i32, own_key: bool) -> RequestCertificate {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&pair).unwrap();
        let key = if own_key { pair } else { KeyPair::generate().unwrap() };
        let (chain, key_file) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        RequestCertificate { chain, key: key_file, client_id: ClientIdPrefix::X509SanDns }
    }

    fn load(files: RequestCertificate, origin: &str) -> Result<Identification, WalletOpenFault> {
        let settings = WalletSettings {
            origin: origin.to_owned(),
            data_dir: PathBuf::new(),
            certificate: Some(files),
            encrypted: true,
        };
        Identification::load(&settings, Moment::parse("2026-06-12T21:21:00Z").unwrap())
    }

    fn refused(files: RequestCertificate) -> String {
        load(files, "https://exeat.example.com").unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_says_who_asks_by_its_name_or_its_digest() {
        let dir = TempDir::new().unwrap();
        let named = files(&dir, "exeat.example.com", 2030, true);
        let hashed = RequestCertificate { client_id: ClientIdPrefix::X509Hash, ..named.clone() };
        let shown = |files| format!("{:?}", load(files, "https://exeat.example.com:8443").unwrap());
        assert_eq!(shown(named), "Certificate(x509_san_dns:exeat.example.com)");
        assert!(shown(hashed).starts_with("Certificate(x509_hash:"));
    }

    #[test]
    fn a_certificate_of_another_key_host_or_time_is_refused_at_the_start() {
        let dir = TempDir::new().unwrap();
        assert!(refused(files(&dir, "exeat.example.com", 2030, false)).contains("private key"));
        assert!(refused(files(&dir, "other.example", 2030, true)).contains("does not name"));
        assert!(refused(files(&dir, "exeat.example.com", 2026, true)).contains("today"));
        let mut absent = files(&dir, "exeat.example.com", 2030, true);
        absent.key = dir.path().join("absent.pem");
        assert!(refused(absent).contains("absent.pem"));
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_no_more() {
        assert_eq!(host("https://exeat.example.com").unwrap(), "exeat.example.com");
        assert_eq!(host("http://127.0.0.1:8080").unwrap(), "127.0.0.1");
        for origin in ["https://exeat.example.com/", "https://exeat.example.com/a", "exeat.example.com", ""] {
            assert!(host(origin).is_err(), "{origin}");
        }
    }
}
