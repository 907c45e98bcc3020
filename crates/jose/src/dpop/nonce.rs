//! Nonces that need no memory: a time, and a code over it that only this server can make.

use std::{fmt, time::Duration};

use aws_lc_rs::{hmac, rand};
use terms::Moment;
use zeroize::Zeroizing;

use crate::base64url;

/// Eight bytes of time and the code.
const NONCE_BYTES: usize = 8 + 32;

/// Makes nonces and recognizes them, for as long as they live.
///
/// # Source
///
/// RFC 9449 section 8.
pub struct Nonces {
    key: hmac::Key,
    lifetime: Duration,
}

impl Nonces {
    /// Draws a key; nonces of any other key are refused, those of before a restart too.
    ///
    /// # Errors
    ///
    /// [`crate::SigningFault::Failed`]: the system has no randomness.
    pub fn generate(lifetime: Duration) -> Result<Self, crate::SigningFault> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(secret.as_mut_slice()).map_err(|_| crate::SigningFault::Failed)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()), lifetime })
    }

    /// Returns a nonce that is accepted from now until its lifetime is over.
    #[must_use]
    pub fn issue(&self, now: Moment) -> String {
        let time = now.as_millis().to_be_bytes();
        base64url::encode([time.as_slice(), hmac::sign(&self.key, &time).as_ref()].concat())
    }

    /// Tells whether `nonce` was issued here and lives.
    #[must_use]
    pub fn accepts(&self, nonce: &str, now: Moment) -> bool {
        let Ok(bytes) = base64url::decode_array::<NONCE_BYTES>(nonce) else {
            return false;
        };
        let Some((time, code)) = bytes.split_first_chunk::<8>() else {
            return false;
        };
        let issued = Moment::from_millis(i64::from_be_bytes(*time));
        hmac::verify(&self.key, time, code).is_ok() && issued <= now && now.since(issued) < self.lifetime
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_lives_as_long_as_it_says_and_only_where_it_was_made() {
        let (ours, other) =
            (Nonces::generate(Duration::from_secs(60)).unwrap(), Nonces::generate(Duration::MAX).unwrap());
        let now = Moment::parse("2026-06-12T21:21:00Z").unwrap();
        let nonce = ours.issue(now);
        assert!(ours.accepts(&nonce, now));
        assert!(ours.accepts(&nonce, now.plus(Duration::from_millis(59_999))));
        assert!(!ours.accepts(&nonce, now.plus(Duration::from_secs(60))));
        assert!(!ours.accepts(&nonce, Moment::from_millis(now.as_millis() - 1)));
        assert!(!other.accepts(&nonce, now));
    }

    #[test]
    fn every_changed_character_of_a_nonce_is_noticed() {
        let nonces = Nonces::generate(Duration::from_hours(24 * 365 * 1000)).unwrap();
        let now = Moment::parse("2026-06-12T21:21:00Z").unwrap();
        let nonce = nonces.issue(now);
        for at in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!nonces.accepts(std::str::from_utf8(&changed).unwrap(), now), "{at}");
        }
        assert!(!nonces.accepts("", now));
        assert!(!nonces.accepts(&format!("{nonce}A"), now));
    }
}
