//! Whom to trust as an upstream: the operating system's certificate authorities, or those of one file.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// A set of certificate authorities, ready for use. Equal if the authorities are.
#[derive(Clone)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    roots: Arc<Vec<CertificateDer<'static>>>,
}

impl Trust {
    /// Trusts whom the operating system trusts.
    pub(crate) fn native() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err("the operating system has no certificate authorities: install them or set `ca_file`".into());
        }
        Self::new(found.certs)
    }

    /// Trusts the authorities in a PEM file and nobody else.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let roots = read.map_err(|error| format!("cannot read certificates from `{at}`: {error}"))?;
        if roots.is_empty() {
            return Err(format!("`{at}` holds no certificate"));
        }
        Self::new(roots)
    }

    /// Returns the TLS configuration: TLS 1.2 or 1.3, HTTP/1.1.
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    fn new(roots: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(roots.iter().cloned());
        if added == 0 {
            return Err(format!("none of {ignored} certificates can be used as an authority"));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("cannot set up TLS: {error}"))?;
        let mut config = builder.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), roots: Arc::new(roots) })
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots
    }
}

impl Eq for Trust {}
