//! The request: who asks, for what, and where the answer goes.

use std::fmt;

use jose::{Jwk, NumericDate, Object, SigningFault, SigningKey, base64url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use terms::Moment;

use super::form;
use crate::dcql::Query;

/// Any wallet that the person chooses.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 5.8.
const AUDIENCE: &str = "https://self-issued.me/v2";
/// The scheme by which the operating system finds a wallet.
const SCHEME: &str = "openid4vp://";

/// Who asks, by how a wallet can tell.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 5.9.3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientId {
    /// By a DNS name in the certificate that the request is signed with.
    X509SanDns(String),
    /// By the SHA-256 of that certificate.
    X509Hash([u8; 32]),
    /// By where the answer goes: the request cannot be signed.
    RedirectUri(String),
}

impl ClientId {
    /// Makes the client id of the holder of a certificate in DER.
    #[must_use]
    pub fn of_certificate(leaf: &[u8]) -> Self {
        Self::X509Hash(Sha256::digest(leaf).into())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X509SanDns(name) => write!(f, "x509_san_dns:{name}"),
            Self::X509Hash(digest) => write!(f, "x509_hash:{}", base64url::encode(digest)),
            Self::RedirectUri(uri) => write!(f, "redirect_uri:{uri}"),
        }
    }
}

/// How the answer comes.
#[derive(Clone, Debug)]
pub enum ResponseMode {
    /// As a form.
    DirectPost,
    /// Encrypted to this key, which serves one request.
    DirectPostJwt(Jwk),
}

/// Why a request cannot be signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestFault {
    /// A client that is known by its URI only.
    #[error("a request of a client known by `redirect_uri` cannot be signed: send it by value")]
    Unsigned,
    /// The signature.
    #[error("{0}")]
    Signing(#[from] SigningFault),
}

/// A request for credentials.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes.
    pub response_uri: String,
    /// How it comes.
    pub response_mode: ResponseMode,
    /// What the holder's proof must repeat: at least 128 random bits.
    pub nonce: String,
    /// What the answer must repeat.
    pub state: String,
    /// What is asked.
    pub query: Query,
    /// When it was made.
    pub issued_at: Moment,
    /// When it stops being good.
    pub expires_at: Moment,
}

impl Request {
    /// Signs the request for a wallet that fetches it, with the certificates in DER from the signer's to one below the root.
    ///
    /// `wallet_nonce` is what the wallet sent with its fetch, if anything.
    ///
    /// # Errors
    ///
    /// [`RequestFault`].
    ///
    /// # Source
    /// OpenID for Verifiable Presentations 1.0, sections 5.8, 5.9.3 and 5.10; RFC 9101, section 10.8.
    pub fn sign(
        &self,
        key: &SigningKey,
        chain: &[Vec<u8>],
        wallet_nonce: Option<&str>,
    ) -> Result<String, RequestFault> {
        if matches!(self.client_id, ClientId::RedirectUri(_)) {
            return Err(RequestFault::Unsigned);
        }
        let mut claims = self.parameters();
        claims.insert("aud".to_owned(), AUDIENCE.into());
        claims.insert("iat".to_owned(), json!(NumericDate(self.issued_at)));
        claims.insert("exp".to_owned(), json!(NumericDate(self.expires_at)));
        claims.extend(wallet_nonce.map(|nonce| ("wallet_nonce".to_owned(), Value::from(nonce))));
        let chain: Vec<String> = chain.iter().map(|certificate| encode_base64(certificate)).collect();
        let header = Object::from_iter([("x5c".to_owned(), json!(chain))]);
        Ok(key.sign("oauth-authz-req+jwt", &header, &claims)?)
    }

    /// Returns the URL that hands the whole request to a wallet, unsigned.
    #[must_use]
    pub fn by_value(&self) -> String {
        let texts: Vec<(String, String)> = self.parameters().into_iter().map(parameter).collect();
        let fields: Vec<(&str, &str)> = texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        format!("{SCHEME}?{}", form::encode(&fields))
    }

    fn parameters(&self) -> Object {
        let mode = match self.response_mode {
            ResponseMode::DirectPost => "direct_post",
            ResponseMode::DirectPostJwt(_) => "direct_post.jwt",
        };
        Object::from_iter([
            ("client_id".to_owned(), self.client_id.to_string().into()),
            ("response_type".to_owned(), "vp_token".into()),
            ("response_mode".to_owned(), mode.into()),
            ("response_uri".to_owned(), self.response_uri.as_str().into()),
            ("nonce".to_owned(), self.nonce.as_str().into()),
            ("state".to_owned(), self.state.as_str().into()),
            ("dcql_query".to_owned(), json!(self.query)),
            ("client_metadata".to_owned(), self.metadata()),
        ])
    }

    fn metadata(&self) -> Value {
        let algs = ["ES256", "ES384", "EdDSA"];
        let mut metadata = json!({
            "vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": algs, "kb-jwt_alg_values": algs}},
        });
        if let (ResponseMode::DirectPostJwt(key), Some(members)) = (&self.response_mode, metadata.as_object_mut()) {
            members.insert("jwks".to_owned(), json!({ "keys": [key.to_value()] }));
            members.insert("encrypted_response_enc_values_supported".to_owned(), json!(["A128GCM", "A256GCM"]));
        }
        metadata
    }
}

/// Returns the URL that tells a wallet where to fetch a signed request, by POST if it can.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 5.10; RFC 9101, section 5.2.
#[must_use]
pub fn by_reference(client_id: &ClientId, request_uri: &str) -> String {
    let client_id = client_id.to_string();
    let fields = [("client_id", client_id.as_str()), ("request_uri", request_uri), ("request_uri_method", "post")];
    format!("{SCHEME}?{}", form::encode(&fields))
}

/// Writes a parameter as a query has it: objects as JSON text.
fn parameter((name, value): (String, Value)) -> (String, String) {
    let text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    (name, text)
}

/// Writes base64 with padding, as `x5c` alone has it.
fn encode_base64(bytes: &[u8]) -> String {
    let plain = base64url::encode(bytes).replace('-', "+").replace('_', "/");
    let padding = "=".repeat(plain.len().next_multiple_of(4) - plain.len());
    plain + &padding
}
