//! API keys bound to a person or a workload.
//!
//! `ex_live_` + 16 base62 characters (the public id) + `_` + 43 base62 characters (256 bits of secret) + 6 base62
//! characters (CRC-32 of everything before), so that a scanner and the gateway tell a typing error before any look-up.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use terms::{EndUse, KeyId, Moment, OrganizationId, PersonId, WorkloadId};
use zeroize::Zeroizing;

const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
const BODY_CHARS: usize = ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key opens; told apart by its prefix, so that neither passes for the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Calls to models; `ex_live_`.
    Call,
    /// The admin API; `ex_admin_`.
    Admin,
    /// An employer's channel for provisioning; `ex_scim_`.
    Scim,
    /// The stream of whoever listens to our signals; `ex_ssf_`.
    Ssf,
}

impl Purpose {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Call => "ex_live_",
            Self::Admin => "ex_admin_",
            Self::Scim => "ex_scim_",
            Self::Ssf => "ex_ssf_",
        }
    }
}

/// The text is not one of our keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFault {
    /// It does not have the form of a key of the purpose that was asked for.
    #[error("this is not an Exeat API key: a key begins with `ex_live_`, an admin token with `ex_admin_`")]
    Malformed,
    /// Its checksum fails: a character was mistyped or cut off.
    #[error("the API key's checksum fails: copy the whole key again")]
    Checksum,
}

/// A whole key as its holder presents it. Zeroized when dropped, never printed.
#[derive(Clone)]
pub struct KeyText {
    purpose: Purpose,
    text: Zeroizing<String>,
}

impl KeyText {
    /// Makes a new key for calls from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// The operating system's error if it has no randomness to give; try again later.
    pub fn mint() -> Result<Self, getrandom::Error> {
        Self::mint_for(Purpose::Call)
    }

    /// Makes a new key for `purpose` from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// The operating system's error if it has no randomness to give; try again later.
    pub fn mint_for(purpose: Purpose) -> Result<Self, getrandom::Error> {
        let prefix = purpose.prefix();
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + BODY_CHARS));
        text.push_str(prefix);
        push_random(&mut text, ID_CHARS)?;
        text.push('_');
        push_random(&mut text, SECRET_CHARS)?;
        let check = checksum(text.as_bytes());
        text.push_str(&check);
        Ok(Self { purpose, text })
    }

    /// Parses the bytes of a header as a key for calls.
    ///
    /// # Errors
    ///
    /// [`KeyFault`]; the caller must present another key. No secret is part of the error.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFault> {
        Self::parse_for(Purpose::Call, bytes)
    }

    /// Parses the bytes of a header as a key for `purpose`; a key for any other is malformed.
    ///
    /// # Errors
    ///
    /// [`KeyFault`]; the caller must present another key. No secret is part of the error.
    pub fn parse_for(purpose: Purpose, bytes: &[u8]) -> Result<Self, KeyFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::Malformed)?;
        let prefix = purpose.prefix();
        let rest = text.strip_prefix(prefix).ok_or(KeyFault::Malformed)?;
        let (id, rest) = rest.split_at_checked(ID_CHARS).ok_or(KeyFault::Malformed)?;
        let secret = rest.strip_prefix('_').ok_or(KeyFault::Malformed)?;
        let chars = prefix.len() + BODY_CHARS;
        let shaped = text.len() == chars && [id, secret].iter().all(|part| is_base62(part));
        if !shaped {
            return Err(KeyFault::Malformed);
        }
        let (body, check) = text.split_at(chars - CHECK_CHARS);
        if checksum(body.as_bytes()) != check {
            return Err(KeyFault::Checksum);
        }
        Ok(Self { purpose, text: Zeroizing::new(text.to_owned()) })
    }

    /// Returns the public id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let start = self.purpose.prefix().len();
        let id = self.text.get(start..start + ID_CHARS).unwrap_or_default();
        match KeyId::parse(id) {
            Ok(id) => id,
            Err(_) => unreachable!("base62 is within the grammar of ids"),
        }
    }

    /// Returns the whole key, to be shown to its holder once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({}..)", self.id())
    }
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Appends `count` characters, each uniform over base62: bytes of 248 and more are thrown away.
fn push_random(text: &mut String, count: usize) -> Result<(), getrandom::Error> {
    let wanted = text.len() + count;
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < wanted {
        getrandom::fill(pool.as_mut())?;
        let fair = pool.iter().filter(|byte| **byte < 248);
        for byte in fair.take(wanted - text.len()) {
            text.push(base62(u32::from(*byte)));
        }
    }
    Ok(())
}

fn checksum(body: &[u8]) -> String {
    let mut rest = crc32fast::hash(body);
    let mut digits = [0_u32; CHECK_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = rest % 62;
        rest /= 62;
    }
    digits.iter().map(|digit| base62(*digit)).collect()
}

fn base62(value: u32) -> char {
    let at = usize::try_from(value % 62).unwrap_or(0);
    BASE62.get(at).copied().map_or('0', char::from)
}

/// The secret that makes stored key digests useless without it. 32 bytes, zeroized when dropped.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns HMAC-SHA-256 of the whole key under the pepper: what is stored in its place.
    ///
    /// The secret has full entropy, so a fast keyed hash suffices and the hot path stays fast.
    #[must_use]
    pub fn digest(&self, key: &KeyText) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_ref()) else {
            unreachable!("HMAC takes a key of any length")
        };
        mac.update(key.text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Compares a presented key with a stored digest, in constant time.
    #[must_use]
    pub fn matches(&self, key: &KeyText, digest: &[u8; 32]) -> bool {
        self.digest(key).ct_eq(digest).into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// Whom a key belongs to.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Holder {
    /// One natural person.
    Person {
        /// That person.
        person: PersonId,
    },
    /// A workload with accountable owners.
    Workload {
        /// That workload.
        workload: WorkloadId,
    },
    /// Nobody in particular: a shared key. Good for open models only.
    Shared,
}

/// What a caller must prove to hold besides the credential itself (RFC 7800, `cnf`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "kind", content = "sha256", rename_all = "snake_case")]
pub enum Confirmation {
    /// The key of the client certificate with this SHA-256 of its DER form (RFC 8705 section 3.1, `x5t#S256`).
    Certificate([u8; 32]),
    /// The key with this JWK thumbprint (RFC 9449 section 6.1, `jkt`; RFC 7638).
    Jwk([u8; 32]),
}

/// A key as it is stored: everything but the secret.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its public id.
    pub id: KeyId,
    /// Whom it belongs to.
    pub holder: Holder,
    /// The organization whose tenant it belongs to, if any.
    pub organization: Option<OrganizationId>,
    /// [`Pepper::digest`] of the key.
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: Moment,
    /// When it expires; at most 90 days after it was made.
    pub expires_at: Moment,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Moment>,
    /// The end use it was made for (15 CFR 772.1), if one was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_use: Option<EndUse>,
    /// What its holder must prove to hold as well, if it is bound to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minted_key_parses_and_matches_its_own_digest_only() {
        let pepper = Pepper::new([7; 32]);
        let (key, other) = (KeyText::mint().unwrap(), KeyText::mint().unwrap());
        let parsed = KeyText::parse(key.reveal().as_bytes()).unwrap();
        assert_eq!(parsed.id(), key.id());
        assert!(pepper.matches(&parsed, &pepper.digest(&key)));
        assert!(!pepper.matches(&other, &pepper.digest(&key)));
        assert!(!Pepper::new([8; 32]).matches(&key, &pepper.digest(&key)));
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = KeyText::mint().unwrap();
        let secret = key.reveal().get(25..60).unwrap();
        assert!(!format!("{key:?}").contains(secret));
    }

    #[test]
    fn every_single_mistyped_character_fails_before_any_look_up() {
        let key = KeyText::mint().unwrap();
        for at in 0..key.reveal().len() {
            let mut bytes = key.reveal().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(KeyText::parse(&bytes).is_err(), "at {at}");
        }
    }

    #[test]
    fn a_key_for_one_purpose_does_not_parse_for_the_other() {
        for (made, other) in [(Purpose::Call, Purpose::Admin), (Purpose::Admin, Purpose::Call)] {
            let key = KeyText::mint_for(made).unwrap();
            let bytes = key.reveal().as_bytes();
            assert_eq!(KeyText::parse_for(made, bytes).unwrap().id(), key.id());
            assert!(KeyText::parse_for(other, bytes).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(KeyText::parse(&bytes).is_err());
        }
    }
}
