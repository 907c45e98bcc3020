//! The roots that a reader trusts.

use rustls_pki_types::{CertificateDer, TrustAnchor, pem::PemObject};

/// The most roots that are read.
const ROOTS_MAX: usize = 64;

/// Root certificates of time-stamping authorities.
#[derive(Clone, Debug)]
pub struct Roots(pub(crate) Vec<TrustAnchor<'static>>);

/// The text holds no root certificates.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadRoots {
    /// Not PEM.
    #[error("it is not PEM: {0}")]
    Pem(String),
    /// Not X.509.
    #[error("certificate {0} of it is not X.509")]
    Certificate(usize),
    /// None, or too many.
    #[error("it holds {0} certificates: give 1 to {ROOTS_MAX}")]
    Count(usize),
}

impl Roots {
    /// Reads certificates in PEM, one after another.
    ///
    /// # Errors
    ///
    /// [`BadRoots`].
    pub fn parse_pem(text: &[u8]) -> Result<Self, BadRoots> {
        let read = CertificateDer::pem_slice_iter(text).take(ROOTS_MAX + 1);
        let ders: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| BadRoots::Pem(error.to_string()))?;
        if ders.is_empty() || ders.len() > ROOTS_MAX {
            return Err(BadRoots::Count(ders.len()));
        }
        let anchors = ders.iter().zip(1..).map(|(der, at)| {
            let anchor = webpki::anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned());
            anchor.map_err(|_| BadRoots::Certificate(at))
        });
        anchors.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        assert_eq!(Roots::parse_pem(b"").unwrap_err(), BadRoots::Count(0));
        let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(Roots::parse_pem(junk).unwrap_err(), BadRoots::Certificate(1));
        assert!(matches!(Roots::parse_pem(b"-----BEGIN CERTIFICATE-----\n!\n"), Err(BadRoots::Pem(_))));
    }
}
