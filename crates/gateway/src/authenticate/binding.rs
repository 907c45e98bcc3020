//! What a caller proves to hold besides a credential: the key of a certificate, or the key of a DPoP proof.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use identity::Confirmation;
use jose::dpop::{self, Htu, ProofFault, ReplayFault};
use sha2::{Digest, Sha256};
use terms::Moment;

use super::{Presented, Scheme, server::ResourceServer};
use crate::{
    dialect::{Challenge, Problem},
    listener::Peer,
};

static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
static DPOP: HeaderName = HeaderName::from_static("dpop");

/// The longest certificate that a proxy may pass on, in bytes of DER.
const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// A request, as far as its bindings are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// The SHA-256 of the certificate whose key the client proved to hold.
    pub(super) certificate: Option<[u8; 32]>,
}

/// Returns the certificate of the client: of the handshake, or as a trusted proxy passed it on.
///
/// Between a trusted proxy and the gateway the certificate of the handshake is the proxy's own and says nothing about
/// the client.
///
/// # Errors
///
/// [`Problem::BadRequest`] if anybody else sends `Client-Cert`, or it is malformed. It is never passed over in silence:
/// a proxy that is not named in the settings would otherwise look as if it worked.
///
/// # Source
/// RFC 9440 sections 2.2 and 4.
pub(super) fn certificate(headers: &HeaderMap, peer: &Peer, trusted: &[IpAddr]) -> Result<Option<[u8; 32]>, Problem> {
    let mut passed_on = headers.get_all(&CLIENT_CERT).iter();
    let is_proxy = trusted.contains(&peer.address());
    match (passed_on.next(), passed_on.next(), is_proxy) {
        (None, _, false) => Ok(peer.certificate()),
        (None, _, true) => Ok(None),
        (Some(value), None, true) => passed(value).map(Some).ok_or_else(|| {
            Problem::bad_request("the header `client-cert` is not one certificate as RFC 9440 writes it")
        }),
        (Some(_), Some(_), true) => Err(Problem::bad_request("the header `client-cert` came more than once")),
        (Some(_), _, false) => {
            Err(Problem::bad_request("the header `client-cert` is taken from trusted proxies only; do not send it"))
        }
    }
}

/// Reads a certificate from a byte sequence of structured fields and returns its SHA-256.
fn passed(value: &HeaderValue) -> Option<[u8; 32]> {
    let text = value.to_str().ok()?.strip_prefix(':')?.strip_suffix(':')?;
    let der = STANDARD.decode(text).ok()?;
    let is_sequence = der.first() == Some(&0x30);
    (is_sequence && der.len() <= CERTIFICATE_BYTES_MAX).then(|| Sha256::digest(&der).into())
}

impl ResourceServer {
    /// Checks that a credential was presented as its bindings demand, and that the caller holds what they name.
    ///
    /// # Errors
    ///
    /// [`Problem::Challenged`]; [`Problem::Overloaded`] if no more proofs can be remembered.
    ///
    /// # Source
    /// RFC 8705 section 3; RFC 9449 sections 7.1 and 7.2.
    pub(super) fn confirm(
        &self,
        confirmations: &[Confirmation],
        presented: &Presented<'_>,
        asked: &Asked<'_>,
        now: Moment,
    ) -> Result<(), Problem> {
        let mut keys = Vec::new();
        for confirmation in confirmations {
            match confirmation {
                Confirmation::Certificate(sha256) if asked.certificate == Some(*sha256) => {}
                Confirmation::Certificate(_) => {
                    return Err(invalid("the credential is bound to a certificate: present that in the TLS handshake"));
                }
                Confirmation::Jwk(jkt) => keys.push(*jkt),
            }
        }
        match (presented.scheme, keys.as_slice()) {
            (Scheme::Bearer, []) => Ok(()),
            (Scheme::Bearer, _) => {
                Err(invalid("the credential is bound to a key: send it as `authorization: DPoP` with a proof"))
            }
            (Scheme::Dpop, []) => Err(invalid("the credential is bound to no key: send it as `authorization: Bearer`")),
            (Scheme::Dpop, keys) => self.prove(keys, presented, asked, now),
        }
    }

    /// Checks the one DPoP proof of a request.
    fn prove(
        &self,
        keys: &[[u8; 32]],
        presented: &Presented<'_>,
        asked: &Asked<'_>,
        now: Moment,
    ) -> Result<(), Problem> {
        let mut proofs = asked.headers.get_all(&DPOP).iter();
        let (Some(proof), None) = (proofs.next(), proofs.next()) else {
            return Err(bad_proof("send exactly one `DPoP` header"));
        };
        let proof = proof.to_str().map_err(|_| bad_proof("the `DPoP` header is not a JWT"))?;
        let origin = self.origin.as_deref().ok_or_else(|| bad_proof("this gateway takes no proofs"))?;
        let target = Htu::parse(&format!("{origin}{}", asked.uri.path()));
        let target = target.map_err(|_| bad_proof("the path of the request cannot be proved"))?;
        let request =
            dpop::Request { method: asked.method.as_str(), target: &target, access_token: Some(presented.text) };
        let window = std::time::Duration::from_secs(self.settings.dpop_seconds);
        let rules = dpop::Rules { window, nonces: self.nonces.as_ref() };
        let proof = dpop::verify(proof, &request, &rules, now).map_err(|fault| match fault {
            ProofFault::Nonce => wants_nonce(),
            fault => bad_proof(&fault.to_string()),
        })?;
        if keys.iter().any(|jkt| *jkt != proof.jkt) {
            return Err(invalid("the credential is bound to another key than the proof's"));
        }
        self.replays.claim(&proof, now).map_err(|fault| match fault {
            ReplayFault::Repeated => bad_proof(&fault.to_string()),
            ReplayFault::Full => Problem::Overloaded { retry_after: 1 },
        })
    }

    /// Returns the nonce that the next proofs should hold, if they must hold one.
    pub(crate) fn nonce(&self, now: Moment) -> Option<HeaderValue> {
        self.nonces.as_ref().and_then(|nonces| HeaderValue::from_str(&nonces.issue(now)).ok())
    }
}

/// Asks for the nonce that every answer to a request with a proof holds.
fn wants_nonce() -> Problem {
    let fault = "the proof must hold the nonce of the `DPoP-Nonce` header: make another with it".to_owned();
    Problem::Challenged { fault, challenge: Challenge::UseNonce }
}

/// Says whether a request holds a DPoP proof.
pub(crate) fn holds_proof(headers: &HeaderMap) -> bool {
    headers.contains_key(&DPOP)
}

fn invalid(fault: &str) -> Problem {
    Problem::Challenged { fault: fault.to_owned(), challenge: Challenge::InvalidToken }
}

fn bad_proof(fault: &str) -> Problem {
    Problem::Challenged { fault: fault.to_owned(), challenge: Challenge::InvalidProof }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (CLIENT_CERT.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_passed_on_certificate_is_taken_from_a_trusted_proxy_and_from_nobody_else() {
        let (proxy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let der = [0x30, 0x03, 1, 2, 3];
        let header = format!(":{}:", STANDARD.encode(der));
        let found = |values: &[&str], from| certificate(&headers(values), &Peer::at(from), &[proxy]);
        assert_eq!(found(&[&header], proxy).unwrap(), Some(Sha256::digest(der).into()));
        assert_eq!(found(&[], proxy).unwrap(), None);
        assert!(found(&[&header], other).is_err());
        for bad in [&["MAMBAgM="][..], &["::"], &[":AQID:"], &[":!:"], &[&header, &header]] {
            assert!(found(bad, proxy).is_err(), "{bad:?}");
        }
    }
}
