//! Sets of public keys (RFC 7517 section 5).

use serde_json::Value;

use crate::{Alg, JsonFault, Jwk, KeyFault, json};

/// The longest set that is read, in bytes.
const JWKS_BYTES_MAX: usize = 512 * 1024;
/// The most keys that a set may have.
const JWKS_KEYS_MAX: usize = 100;

/// A set of keys that is not used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysFault {
    /// The JSON itself.
    #[error("the key set {0}")]
    Json(#[from] JsonFault),
    /// No array `keys`.
    #[error("the key set has no array `keys`")]
    Form,
    /// Too many keys.
    #[error("the key set has more than {JWKS_KEYS_MAX} keys")]
    TooMany,
    /// A secret was published: no key of this set can be relied on.
    #[error("in the key set, {0}")]
    Secret(KeyFault),
}

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    /// Reads a set. Keys of types, curves, sizes or purposes that do not exist here are left out, as RFC 7517 asks.
    ///
    /// # Errors
    ///
    /// [`KeysFault`]: the set is malformed or too large, or a key in it is private.
    ///
    /// # Source
    ///
    /// RFC 7517 section 5.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeysFault> {
        let members = json::parse_object(bytes, JWKS_BYTES_MAX)?;
        Self::from_array(members.get("keys"))
    }

    /// Reads a set out of JSON that was read already, such as `jwks` in metadata.
    ///
    /// # Errors
    ///
    /// [`KeysFault`]: as [`Jwks::parse`].
    pub fn from_value(value: &Value) -> Result<Self, KeysFault> {
        Self::from_array(value.get("keys"))
    }

    /// Returns the key of that name for `alg`, or without a name the only key for `alg`.
    ///
    /// Nothing if several different keys fit: which of them signed must not be a matter of trying.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, alg: Alg) -> Option<&Jwk> {
        let named = |key: &&Jwk| kid.is_none_or(|kid| key.kid() == Some(kid)) && key.verifies(alg);
        let mut found = self.keys.iter().filter(named);
        let first = found.next()?;
        found.all(|other| other.thumbprint() == first.thumbprint()).then_some(first)
    }

    /// Returns the keys.
    pub fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter()
    }

    /// Returns the set as a JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::json!({ "keys": self.keys.iter().map(Jwk::to_value).collect::<Vec<_>>() })
    }

    fn from_array(keys: Option<&Value>) -> Result<Self, KeysFault> {
        let keys = keys.and_then(Value::as_array).ok_or(KeysFault::Form)?;
        if keys.len() > JWKS_KEYS_MAX {
            return Err(KeysFault::TooMany);
        }
        let mut found = Vec::new();
        for key in keys {
            match Jwk::from_value(key) {
                Ok(key) => found.push(key),
                Err(secret @ KeyFault::Secret(_)) => return Err(KeysFault::Secret(secret)),
                Err(_) => {}
            }
        }
        Ok(Self { keys: found })
    }
}

impl FromIterator<Jwk> for Jwks {
    fn from_iter<I: IntoIterator<Item = Jwk>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

/// Where the key of a token is looked for: in a set, or in the one key that it must be.
pub trait Keys {
    /// Returns the key that a token of `kid` and `alg` must verify with.
    fn key(&self, kid: Option<&str>, alg: Alg) -> Option<&Jwk>;
}

impl Keys for Jwks {
    fn key(&self, kid: Option<&str>, alg: Alg) -> Option<&Jwk> {
        self.find(kid, alg)
    }
}

/// The key is known; what `kid` says does not matter.
impl Keys for Jwk {
    fn key(&self, _: Option<&str>, alg: Alg) -> Option<&Jwk> {
        self.verifies(alg).then_some(self)
    }
}
