//! Proofs of possession of a key, one for each request (RFC 9449).

mod htu;
mod nonce;
mod replay;

use std::time::Duration;

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use terms::Moment;

pub use self::{
    htu::{BadHtu, Htu},
    nonce::Nonces,
    replay::{ReplayFault, Replays},
};
use crate::{
    ClaimFault, Fault, Jwk, KeyFault, NumericDate, SigningFault, SigningKey, Unverified, base64url, json::Object,
    material::sha256, usage::DPOP,
};

/// The longest `jti` that is read, in bytes; a UUID has 36.
const JTI_BYTES_MAX: usize = 256;
/// The random bytes of a `jti` that is made here.
const JTI_BYTES: usize = 16;

/// The request that a proof is made for. Not `Debug`: the access token is a secret.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capital letters as HTTP has it.
    pub method: &'a str,
    /// Where it goes, as the client sees it: from the configured origin, never from the `Host` field.
    pub target: &'a Htu,
    /// The access token that comes with it, where one does.
    pub access_token: Option<&'a str>,
}

/// Which proofs are taken.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// How far `iat` may lie from now, in both directions; clock skew is part of it.
    pub window: Duration,
    /// Whose nonces a proof must carry, where nonces are asked for.
    pub nonces: Option<&'a Nonces>,
}

/// A proof that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofFault {
    /// The token itself.
    #[error("the proof is refused: {0}")]
    Token(#[from] Fault),
    /// Its key.
    #[error("the proof's `jwk` is refused: {0}")]
    Key(#[from] KeyFault),
    /// For another method.
    #[error("the proof's `htm` is not the method of the request")]
    Method,
    /// For another address.
    #[error("the proof's `htu` is not the address of the request")]
    Target,
    /// Too old, or from the future.
    #[error("the proof's `iat` is too far from now: make a proof for each request, and set the clock")]
    Time,
    /// For another access token, or for none.
    #[error("the proof's `ath` is not the hash of the access token")]
    AccessToken,
    /// No good identifier.
    #[error("the proof's `jti` must have 1 to {JTI_BYTES_MAX} bytes")]
    Jti,
    /// No nonce, or one that is not ours or too old: answer `use_dpop_nonce` with a new one.
    #[error("the proof needs the server's latest `nonce`")]
    Nonce,
}

/// A proof that counts, unless it was used before: ask [`Replays`].
#[derive(Clone, Debug)]
pub struct Proof {
    /// The thumbprint of the key (RFC 7638): what `cnf.jkt` of the access token must be.
    pub jkt: [u8; 32],
    /// Its identifier.
    pub jti: String,
    /// When it was made.
    pub iat: Moment,
    /// From when on it is refused as too old: until then it must be remembered.
    pub until: Moment,
    /// What two proofs have in common if one is a replay of the other.
    pub replay_key: [u8; 32],
}

#[derive(Deserialize, Serialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: NumericDate,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// Checks all that a proof says about `request`; what it does not do is to remember it.
///
/// # Errors
///
/// [`ProofFault`]: the request is refused with `invalid_dpop_proof`, or [`ProofFault::Nonce`] with `use_dpop_nonce`.
///
/// # Source
///
/// RFC 9449 section 4.3.
pub fn verify(proof: &str, request: &Request<'_>, rules: &Rules<'_>, now: Moment) -> Result<Proof, ProofFault> {
    let proof = Unverified::parse(proof, &DPOP)?;
    let key = Jwk::from_value(proof.header().get("jwk").ok_or(Fault::Member("jwk"))?)?;
    let claims: Claims = proof.verify(&key)?.claims().map_err(Fault::from)?;
    check_request(&claims, request)?;
    let (iat, until) = check_time(&claims, rules, now)?;
    if !(1..=JTI_BYTES_MAX).contains(&claims.jti.len()) {
        return Err(ProofFault::Jti);
    }
    let jkt = key.thumbprint();
    let replay_key = replay_key(&jkt, request, &claims.jti);
    Ok(Proof { jkt, jti: claims.jti, iat, until, replay_key })
}

/// Makes a proof for `request`, with `nonce` if the server gave one.
///
/// # Errors
///
/// [`SigningFault::Failed`].
///
/// # Source
///
/// RFC 9449 section 4.2.
pub fn prove(
    key: &SigningKey,
    request: &Request<'_>,
    nonce: Option<&str>,
    now: Moment,
) -> Result<String, SigningFault> {
    let mut jti = [0; JTI_BYTES];
    rand::fill(&mut jti).map_err(|_| SigningFault::Failed)?;
    let claims = Claims {
        jti: base64url::encode(jti),
        htm: request.method.to_owned(),
        htu: request.target.as_str().to_owned(),
        iat: NumericDate(now),
        ath: request.access_token.map(access_token_hash),
        nonce: nonce.map(str::to_owned),
    };
    let extra = [("jwk".to_owned(), key.public().bare()), ("kid".to_owned(), serde_json::Value::Null)];
    key.sign("dpop+jwt", &Object::from_iter(extra), &claims)
}

/// Returns `ath`: the hash by which a proof names an access token (RFC 9449 section 4.2).
fn access_token_hash(token: &str) -> String {
    base64url::encode(sha256(token.as_bytes()))
}

fn check_request(claims: &Claims, request: &Request<'_>) -> Result<(), ProofFault> {
    if claims.htm != request.method {
        return Err(ProofFault::Method);
    }
    if Htu::parse(&claims.htu).as_ref() != Ok(request.target) {
        return Err(ProofFault::Target);
    }
    let token = request.access_token.map(access_token_hash);
    if token.is_some() && token != claims.ath { Err(ProofFault::AccessToken) } else { Ok(()) }
}

fn check_time(claims: &Claims, rules: &Rules<'_>, now: Moment) -> Result<(Moment, Moment), ProofFault> {
    let NumericDate(iat) = claims.iat;
    // `iat` is in seconds, rounded down by whoever made it: its last second still counts.
    let until = iat.plus(rules.window).plus(Duration::from_secs(1));
    if now >= until || iat > now.plus(rules.window) {
        return Err(ProofFault::Time);
    }
    let known = |nonces: &Nonces| claims.nonce.as_deref().is_some_and(|nonce| nonces.accepts(nonce, now));
    if rules.nonces.is_none_or(known) { Ok((iat, until)) } else { Err(ProofFault::Nonce) }
}

/// Hashes what makes a request unique: whose key, which method, which address as it is compared, which identifier.
fn replay_key(jkt: &[u8; 32], request: &Request<'_>, jti: &str) -> [u8; 32] {
    let mut input = jkt.to_vec();
    for part in [request.method, request.target.as_str(), jti] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    sha256(&input)
}

impl From<ClaimFault> for ProofFault {
    fn from(fault: ClaimFault) -> Self {
        Self::Token(Fault::Claim(fault))
    }
}
