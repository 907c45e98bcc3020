//! What the holder of a key must prove to hold as well, as an administrator writes it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::Confirmation;
use serde::{Deserialize, Serialize};

/// What a key is bound to: exactly one of the two.
///
/// # Source
/// RFC 7800 section 3.1 (`cnf`); RFC 8705 section 3.1 (`x5t#S256`); RFC 9449 section 6.1 (`jkt`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum BoundTo {
    /// The key of the client certificate with this SHA-256 of its DER form.
    #[serde(rename = "x5t#S256")]
    Certificate(Thumbprint),
    /// The key with this JWK thumbprint (RFC 7638), for DPoP proofs.
    #[serde(rename = "jkt")]
    Jwk(Thumbprint),
}

/// A SHA-256 hash, written in base64url without padding.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(pub [u8; 32]);

impl TryFrom<String> for Thumbprint {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("must be a SHA-256 hash: 32 bytes in base64url, no padding, 43 characters")
    }
}

impl From<Thumbprint> for String {
    fn from(Thumbprint(bytes): Thumbprint) -> Self {
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl From<BoundTo> for Confirmation {
    fn from(bound: BoundTo) -> Self {
        match bound {
            BoundTo::Certificate(Thumbprint(sha256)) => Self::Certificate(sha256),
            BoundTo::Jwk(Thumbprint(sha256)) => Self::Jwk(sha256),
        }
    }
}

impl From<Confirmation> for BoundTo {
    fn from(confirmation: Confirmation) -> Self {
        match confirmation {
            Confirmation::Certificate(sha256) => Self::Certificate(Thumbprint(sha256)),
            Confirmation::Jwk(sha256) => Self::Jwk(Thumbprint(sha256)),
        }
    }
}
