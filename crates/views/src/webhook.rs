//! Webhooks: a batch as one request, with a signature by which the receiver knows the sender.
//!
//! # Source
//!
//! Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, version `v1` (HMAC-SHA-256
//! over id, timestamp and body, with a full stop between).

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use fetch::{Client, Request, Url};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::siem::BadSink;

const MEDIA_TYPE: &str = "application/x-ndjson";
/// A secret of fewer bytes can be guessed.
const SECRET_BYTES_MIN: usize = 24;

/// Where batches go, and the secret under which they are signed.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) client: Client,
    pub(crate) url: Url,
    pub(crate) secret: Secret,
}

/// What sender and receiver share.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Reads `whsec_` and base64, as Standard Webhooks writes secrets.
    pub(crate) fn parse(text: &str) -> Result<Self, BadSink> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(BadSink::Secret)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| BadSink::Secret)?);
        if bytes.len() < SECRET_BYTES_MIN { Err(BadSink::Secret) } else { Ok(Self(bytes)) }
    }

    fn signature(&self, id: &str, at: i64, body: &[u8]) -> String {
        // A key of any length will do.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Receiver {
    /// Sends a batch; `at` is now, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Why the receiver did not take it, in words.
    pub(crate) async fn send(&self, id: &str, at: i64, body: Bytes) -> Result<(), String> {
        let mut request = Request::post(self.url.clone(), MEDIA_TYPE, body);
        request.headers.extend(self.headers(id, at, &request.body).map_err(|error| error.to_string())?);
        let response = self.client.send(request).await.map_err(|fault| fault.to_string())?;
        let status = response.status;
        if status.is_success() { Ok(()) } else { Err(format!("`{}` answered {status}", self.url.authority())) }
    }

    fn headers(&self, id: &str, at: i64, body: &[u8]) -> Result<HeaderMap, http::header::InvalidHeaderValue> {
        let all = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", self.secret.signature(id, at, body)),
        ];
        let named =
            |(name, value): (&'static str, String)| Ok((HeaderName::from_static(name), HeaderValue::try_from(value)?));
        all.into_iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_public_example() {
        // Standard Webhooks, the example of its specification.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_short_or_not_one_is_refused() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_*"] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
    }
}
