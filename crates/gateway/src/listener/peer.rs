//! The other end of a connection: its address, and the certificate it proved to hold the key of.

use std::net::IpAddr;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    certificate: Option<[u8; 32]>,
}

impl Peer {
    /// Returns the peer at `address`, without a certificate.
    ///
    /// An IPv4 address that came in as IPv6 is the IPv4 address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), certificate: None }
    }

    /// Returns the same peer with the first certificate of the chain that it presented in the handshake, if any.
    pub(super) fn with_certificate(self, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let leaf = chain.and_then(<[_]>::first);
        Self { certificate: leaf.map(|der| Sha256::digest(der).into()), ..self }
    }

    /// Returns the address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns the SHA-256 of the certificate in DER, if it presented one.
    pub(crate) fn certificate(&self) -> Option<[u8; 32]> {
        self.certificate
    }
}

/// Takes any certificate of a client who proves to hold its key, whoever signed it and whenever it was valid.
///
/// The certificate says nothing about who the client is. It only ties a token or key, which does, to the holder of a
/// private key; a self-signed one serves for that.
///
/// # Source
/// RFC 8705 sections 2.2 and 3.
#[derive(Debug)]
pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    /// Checks signatures with the algorithms of `provider`.
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
