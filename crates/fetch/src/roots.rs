//! Whom to trust as a server: the operating system's certificate authorities, or those of one file.

use std::{fmt, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// There is nobody to trust.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadRoots(String);

/// A set of certificate authorities, ready for use; cheap to clone.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

impl Roots {
    /// Trusts whom the operating system trusts.
    ///
    /// # Errors
    ///
    /// [`BadRoots`] if it trusts nobody.
    pub fn native() -> Result<Self, BadRoots> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(BadRoots("the operating system has no certificate authorities: install them".into()));
        }
        Self::new(found.certs)
    }

    /// Trusts nobody: nothing can be asked over `https`.
    ///
    /// # Errors
    ///
    /// Never; the same form as its siblings.
    pub fn nobody() -> Result<Self, BadRoots> {
        Self::trusting(RootCertStore::empty())
    }

    /// Trusts the authorities in a PEM file and nobody else.
    ///
    /// # Errors
    ///
    /// [`BadRoots`] if the file cannot be read or holds no usable certificate.
    pub fn of_file(path: &Path) -> Result<Self, BadRoots> {
        let at = path.display();
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let roots = read.map_err(|error| BadRoots(format!("cannot read certificates from `{at}`: {error}")))?;
        if roots.is_empty() {
            return Err(BadRoots(format!("`{at}` holds no certificate")));
        }
        Self::new(roots)
    }

    /// Returns the TLS configuration: TLS 1.2 or 1.3, HTTP/1.1.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }

    fn new(roots: Vec<CertificateDer<'static>>) -> Result<Self, BadRoots> {
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(roots);
        if added == 0 && ignored > 0 {
            return Err(BadRoots(format!("none of {ignored} certificates can be used as an authority")));
        }
        Self::trusting(store)
    }

    fn trusting(store: RootCertStore) -> Result<Self, BadRoots> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| BadRoots(format!("cannot set up TLS: {error}")))?;
        let mut config = builder.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_be_trusted_and_bytes_that_are_no_certificate_cannot() {
        assert!(Roots::nobody().is_ok());
        assert!(Roots::new(vec![CertificateDer::from(vec![1, 2, 3])]).is_err());
    }
}
