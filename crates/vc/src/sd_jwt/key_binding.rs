//! That whoever presents a credential holds its key, now and for this verifier.

use std::time::Duration;

use jose::{Jwk, Object, SigningFault, SigningKey, usage::KB_JWT};
use serde_json::json;
use terms::Moment;

use super::{HashAlg, SdJwt};

/// How old a key binding may be: a person reads what they consent to in the meantime.
pub const MAX_AGE: Duration = Duration::from_secs(300);
/// How far a wallet's clock may be ahead.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);

/// Why a presentation does not prove that its holder holds the key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyBindingFault {
    /// No key binding.
    #[error("the presentation has no key binding JWT")]
    Missing,
    /// The token itself.
    #[error("key binding: {0}")]
    Token(#[from] jose::Fault),
    /// Made for another verifier.
    #[error("the key binding's `aud` is not this verifier")]
    Audience,
    /// Made for another request.
    #[error("the key binding's `nonce` is not that of the request")]
    Nonce,
    /// Too old.
    #[error("the key binding was made more than {} s ago", MAX_AGE.as_secs())]
    Old,
    /// In the future.
    #[error("the key binding's `iat` lies in the future")]
    Early,
    /// Not a time.
    #[error("the key binding's `iat` is not a time")]
    Time,
    /// Made for another selection of disclosures or another credential.
    #[error("the key binding's `sd_hash` is not that of what is presented")]
    Hash,
}

/// For whom and for which request a key binding must have been made.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The verifier: its client id.
    pub audience: &'a str,
    /// The nonce of the request.
    pub nonce: &'a str,
}

/// Verifies that `sd_jwt` is bound to `holder`, for what is `expected`, between 300 s before and 60 s after `now`.
///
/// # Errors
///
/// [`KeyBindingFault`]: the presentation must be refused.
///
/// # Source
/// RFC 9901, section 7.3, steps 5 and 6.
pub fn verify(
    sd_jwt: &SdJwt,
    alg: HashAlg,
    holder: &Jwk,
    expected: &Expected<'_>,
    now: Moment,
) -> Result<(), KeyBindingFault> {
    let token = jose::verify(sd_jwt.key_binding().ok_or(KeyBindingFault::Missing)?, &KB_JWT, holder)?;
    if token.text("aud") != Some(expected.audience) {
        return Err(KeyBindingFault::Audience);
    }
    if token.text("nonce") != Some(expected.nonce) {
        return Err(KeyBindingFault::Nonce);
    }
    let made = token.times().ok().and_then(|times| times.iat).ok_or(KeyBindingFault::Time)?;
    if made > now.plus(MAX_AHEAD) {
        return Err(KeyBindingFault::Early);
    }
    if made.plus(MAX_AGE) < now {
        return Err(KeyBindingFault::Old);
    }
    if token.text("sd_hash") == Some(&sd_jwt.sd_hash(alg)) { Ok(()) } else { Err(KeyBindingFault::Hash) }
}

/// Binds `sd_jwt` to the holder's `key`, as a wallet does.
///
/// # Errors
///
/// [`SigningFault`]: the key cannot sign.
///
/// # Source
/// RFC 9901, section 4.3.
pub fn bind(
    sd_jwt: SdJwt,
    alg: HashAlg,
    key: &SigningKey,
    expected: &Expected<'_>,
    now: Moment,
) -> Result<SdJwt, SigningFault> {
    let claims = json!({
        "iat": now.as_millis() / 1000,
        "aud": expected.audience,
        "nonce": expected.nonce,
        "sd_hash": sd_jwt.sd_hash(alg),
    });
    let token = key.sign("kb+jwt", &Object::new(), &claims)?;
    Ok(sd_jwt.bound_by(token))
}
