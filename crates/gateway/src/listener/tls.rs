//! The server's certificate, which may be replaced while it is used.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, NoClientAuth, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{StartError, peer::AnyCertificate};
use crate::config::{ClientCertificates, TlsSettings};

/// The certificate in use. Shared by all workers.
#[derive(Debug)]
pub(super) struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads the files of the settings.
    ///
    /// # Errors
    ///
    /// [`StartError::Certificate`] names the file and what is wrong with it.
    pub(super) fn load(settings: &TlsSettings) -> Result<Self, StartError> {
        Ok(Self(ArcSwap::from_pointee(read(settings)?)))
    }

    /// Reads the files anew and uses them from the next handshake on.
    ///
    /// # Errors
    ///
    /// [`StartError::Certificate`]: the certificate in use stays in use.
    pub(super) fn renew(&self, settings: &TlsSettings) -> Result<(), StartError> {
        self.0.store(Arc::new(read(settings)?));
        Ok(())
    }

    /// Returns a server configuration that serves this certificate: TLS 1.3, HTTP/2 preferred, and clients are asked
    /// for a certificate of theirs if the operator wants that.
    pub(super) fn config(self: &Arc<Self>, asked: ClientCertificates) -> Result<Arc<ServerConfig>, StartError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients: Arc<dyn ClientCertVerifier> = match asked {
            ClientCertificates::Off => Arc::new(NoClientAuth),
            ClientCertificates::Optional => Arc::new(AnyCertificate::new(&provider)),
        };
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        let builder = builder.map_err(|error| StartError::Worker(std::io::Error::other(error)))?;
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_client_cert_verifier(clients).with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn read(settings: &TlsSettings) -> Result<CertifiedKey, StartError> {
    let chain = CertificateDer::pem_file_iter(&settings.cert_chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&settings.cert_chain, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(&settings.cert_chain, "it holds no certificate in PEM form".into()));
    }
    let key =
        PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| unusable(&settings.key, error.to_string()))?;
    // Also checks that the key belongs to the first certificate.
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| unusable(&settings.key, error.to_string()))
}

fn unusable(path: &Path, why: String) -> StartError {
    StartError::Certificate { path: path.to_owned(), why }
}
