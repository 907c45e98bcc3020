//! What a request proves to hold: the key of a proof of possession, or of the certificate that it came under.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use identity::Confirmation;
use jose::{
    base64url,
    dpop::{self, Proof, ProofFault, ReplayFault, Rules},
};
use serde_json::{Value, json};

use super::{
    PROOF_WINDOW, TokenService,
    refusal::{Code, Refusal},
};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Who presents a request, as the listener knows; it puts this into the request's extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presenter {
    /// The address that the connection comes from.
    pub address: Option<IpAddr>,
    /// The SHA-256 of the certificate whose key the client proved to hold in the handshake.
    pub certificate: Option<[u8; 32]>,
}

/// What a request proves to hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    proof: Option<Proof>,
    certificate: Option<[u8; 32]>,
}

impl Held {
    /// Returns what a token that is issued now is bound to.
    pub(super) fn confirmations(&self) -> Vec<Confirmation> {
        let proof = self.proof.as_ref().map(|proof| Confirmation::Jwk(proof.jkt));
        proof.into_iter().chain(self.certificate.map(Confirmation::Certificate)).collect()
    }

    /// Tells whether everything that a token is bound to is proved.
    pub(super) fn proves(&self, bound_to: &[Confirmation]) -> bool {
        let held = self.confirmations();
        bound_to.iter().all(|confirmation| held.contains(confirmation))
    }
}

impl TokenService {
    /// Checks what a request to the token endpoint at `path` proves to hold.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `invalid_dpop_proof`, or with `use_dpop_nonce` and a nonce.
    ///
    /// # Source
    ///
    /// RFC 9449 sections 5 and 8; RFC 8705 section 3.
    pub(super) fn held(&self, headers: &HeaderMap, path: &str, presenter: Presenter) -> Result<Held, Refusal> {
        let mut proofs = headers.get_all(DPOP).iter();
        let proof = match (proofs.next(), proofs.next()) {
            (None, _) => None,
            (Some(proof), None) => Some(self.proof(proof.as_bytes(), path)?),
            (Some(_), Some(_)) => return Err(Refusal::new(Code::InvalidDpopProof, "there is more than one `DPoP`")),
        };
        Ok(Held { proof, certificate: presenter.certificate })
    }

    /// Takes the proof of a request that is granted, so that it is good for no other.
    pub(super) fn claim(&self, held: &Held) -> Result<(), Refusal> {
        let claim = |proof| self.0.proofs.claim(proof, self.now());
        held.proof.as_ref().map_or(Ok(()), claim).map_err(|fault| match fault {
            ReplayFault::Repeated => Refusal::new(Code::InvalidDpopProof, fault.to_string()),
            ReplayFault::Full => Refusal::new(Code::Unavailable, fault.to_string()),
        })
    }

    fn proof(&self, proof: &[u8], path: &str) -> Result<Proof, Refusal> {
        let wrong = |why: String| Refusal::new(Code::InvalidDpopProof, why);
        let proof = std::str::from_utf8(proof).map_err(|_| wrong("the proof is no token".to_owned()))?;
        let endpoint = self.0.endpoints.iter().find(|(known, _)| *known == path);
        let (_, target) = endpoint.ok_or_else(|| wrong("no proof is taken here".to_owned()))?;
        let request = dpop::Request { method: "POST", target, access_token: None };
        let rules = Rules { window: PROOF_WINDOW, nonces: Some(&self.0.nonces) };
        let now = self.now();
        dpop::verify(proof, &request, &rules, now).map_err(|fault| match fault {
            ProofFault::Nonce => {
                let nonce = Some(self.0.nonces.issue(now));
                Refusal { nonce, ..Refusal::new(Code::UseDpopNonce, fault.to_string()) }
            }
            fault => wrong(fault.to_string()),
        })
    }
}

/// Spells what a token is bound to as `cnf`; nothing if it is bound to nothing.
///
/// # Source
///
/// RFC 7800 section 3.1; RFC 8705 section 3.1; RFC 9449 section 6.1.
pub(super) fn cnf(bound_to: &[Confirmation]) -> Option<Value> {
    let member = |confirmation: &Confirmation| match confirmation {
        Confirmation::Jwk(sha256) => ("jkt".to_owned(), json!(base64url::encode(sha256))),
        Confirmation::Certificate(sha256) => ("x5t#S256".to_owned(), json!(base64url::encode(sha256))),
    };
    (!bound_to.is_empty()).then(|| Value::Object(bound_to.iter().map(member).collect()))
}

/// Reads what a token is bound to. Whoever presents it must prove all of it, so what is not understood is an error.
///
/// # Errors
///
/// A [`Refusal`] with `invalid_grant`.
pub(super) fn bound_to(cnf: Option<&Value>) -> Result<Vec<Confirmation>, Refusal> {
    let Some(cnf) = cnf else { return Ok(Vec::new()) };
    let not_understood = || Refusal::grant("the token is bound in a way that is not understood here: `cnf`");
    let read = |(name, value): (&String, &Value)| {
        let sha256 = value.as_str().and_then(|text| base64url::decode_array::<32>(text).ok());
        match (name.as_str(), sha256) {
            ("x5t#S256", Some(sha256)) => Ok(Confirmation::Certificate(sha256)),
            ("jkt", Some(sha256)) => Ok(Confirmation::Jwk(sha256)),
            _ => Err(not_understood()),
        }
    };
    let all = cnf.as_object().ok_or_else(not_understood)?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(not_understood()) } else { Ok(all) }
}
