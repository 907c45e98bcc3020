//! Is this delivery the vendor's, and of now? Computed over the raw bytes, before anything of them is read.
//!
//! # Source
//! Stripe, "Resolve webhook signature verification errors" (`Stripe-Signature`); Persona, "Webhook best practices"
//! (`Persona-Signature`); Entrust IDV, "Webhooks" (`X-SHA2-Signature`); RFC 2104.

use std::time::Duration;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderValue};
use terms::Moment;
use zeroize::Zeroizing;

/// Signatures in one header that are looked at: two secrets while one is replaced, and room for other schemes.
const MAX_SIGNATURES: usize = 8;
/// Bytes of a signature header.
const MAX_HEADER: usize = 2_048;

/// How a vendor signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    /// `t=` and one or more `v1=`, separated by commas, over `time.body`; one such group per secret, separated by spaces.
    Timed(&'static str),
    /// One hexadecimal tag over the body, which carries no time.
    Plain(&'static str),
}

/// A delivery is refused; nothing of it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SignatureFault {
    #[error("there is no signature, or more than one header of it")]
    Missing,
    #[error("the signature header is malformed")]
    Malformed,
    #[error("the delivery was signed too long ago, or in the future")]
    Stale,
    #[error("no signature is of a secret of this channel")]
    Wrong,
}

/// One of the secrets with which a vendor signs. Never shown; zeroized when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the secret as the vendor shows it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// Returns the header that authorizes a call to the vendor's API with this secret; marked as sensitive.
    pub(crate) fn authorization(&self, scheme: &str) -> Option<HeaderValue> {
        let text = Zeroizing::new([scheme.as_bytes(), &self.0].concat());
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Compares in constant time.
    fn signed(&self, parts: &[&[u8]], tag: &[u8; 32]) -> bool {
        let mut message = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| message.extend_from_slice(part));
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), &message, tag).is_ok()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Checks that `body` was signed with one of `secrets`, and if the scheme tells, within `tolerance` of now.
pub(crate) fn check(
    scheme: Scheme,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    (now, tolerance): (Moment, Duration),
) -> Result<(), SignatureFault> {
    let (Scheme::Timed(name) | Scheme::Plain(name)) = scheme;
    let mut found = headers.get_all(name).iter();
    let (Some(header), None) = (found.next(), found.next()) else { return Err(SignatureFault::Missing) };
    let header = header.to_str().ok().filter(|text| text.len() <= MAX_HEADER).ok_or(SignatureFault::Malformed)?;
    match scheme {
        Scheme::Timed(_) => check_timed(header, body, secrets, (now, tolerance)),
        Scheme::Plain(_) => {
            let tag = tag(header).ok_or(SignatureFault::Malformed)?;
            let right = secrets.iter().any(|secret| secret.signed(&[body], &tag));
            if right { Ok(()) } else { Err(SignatureFault::Wrong) }
        }
    }
}

fn check_timed(
    header: &str,
    body: &[u8],
    secrets: &[Secret],
    (now, tolerance): (Moment, Duration),
) -> Result<(), SignatureFault> {
    let groups = groups(header).ok_or(SignatureFault::Malformed)?;
    let signed = |group: &&Group<'_>| {
        let parts = [group.time.as_bytes(), b".", body];
        group.tags.iter().any(|tag| secrets.iter().any(|secret| secret.signed(&parts, tag)))
    };
    let mut right = groups.iter().filter(signed).peekable();
    if right.peek().is_none() {
        return Err(SignatureFault::Wrong);
    }
    let recent = |group: &Group<'_>| now.since(group.at).max(group.at.since(now)) <= tolerance;
    if right.any(recent) { Ok(()) } else { Err(SignatureFault::Stale) }
}

/// A time as it was signed, and the tags for it.
struct Group<'a> {
    time: &'a str,
    at: Moment,
    tags: Vec<[u8; 32]>,
}

fn groups(header: &str) -> Option<Vec<Group<'_>>> {
    let groups: Option<Vec<Group<'_>>> = header.split(' ').filter(|text| !text.is_empty()).map(group).collect();
    groups.filter(|groups| (1..=MAX_SIGNATURES).contains(&groups.iter().map(|group| group.tags.len()).sum()))
}

fn group(text: &str) -> Option<Group<'_>> {
    let (mut time, mut tags) = (None, Vec::new());
    for pair in text.split(',') {
        match pair.split_once('=')? {
            ("t", value) if time.is_none() => time = Some(value),
            ("t", _) => return None,
            ("v1", value) => tags.push(tag(value)?),
            // Another version of the scheme; Stripe sends `v0` beside `v1` for test events.
            _ => {}
        }
    }
    let time = time.filter(|time| (1..=12).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit()))?;
    let at = Moment::from_millis(time.parse::<i64>().ok()?.checked_mul(1_000)?);
    Some(Group { time, at, tags })
}

/// Reads 64 hexadecimal digits.
fn tag(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut tag = [0; 32];
    for (byte, pair) in tag.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Signed by `fixtures/sign.py`, which shares nothing with this program.
    #[derive(Deserialize)]
    struct Fixture {
        name: String,
        vendor: String,
        secrets: Vec<String>,
        now: i64,
        header: String,
        body: String,
        expect: String,
    }

    fn outcome(fixture: &Fixture) -> &'static str {
        let scheme = match fixture.vendor.as_str() {
            "stripe" => Scheme::Timed("stripe-signature"),
            "persona" => Scheme::Timed("persona-signature"),
            _ => Scheme::Plain("x-sha2-signature"),
        };
        let (Scheme::Timed(name) | Scheme::Plain(name)) = scheme;
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), fixture.header.parse().unwrap())]);
        let secrets: Vec<Secret> = fixture.secrets.iter().map(|text| Secret::new(text)).collect();
        let now = Moment::from_millis(fixture.now * 1_000);
        match check(scheme, &headers, fixture.body.as_bytes(), &secrets, (now, Duration::from_secs(300))) {
            Ok(()) => "good",
            Err(SignatureFault::Missing) => "missing",
            Err(SignatureFault::Malformed) => "malformed",
            Err(SignatureFault::Stale) => "stale",
            Err(SignatureFault::Wrong) => "wrong",
        }
    }

    #[test]
    fn deliveries_that_were_signed_elsewhere_are_told_apart() {
        let fixtures: Vec<Fixture> = serde_json::from_str(include_str!("fixtures/signatures.json")).unwrap();
        assert!(fixtures.len() >= 25);
        for fixture in &fixtures {
            assert_eq!(outcome(fixture), fixture.expect, "{} {}", fixture.vendor, fixture.name);
        }
    }

    #[test]
    fn no_header_and_two_headers_are_refused() {
        let secrets = [Secret::new("x")];
        let clock = (Moment::from_millis(0), Duration::from_secs(300));
        let scheme = Scheme::Plain("x-sha2-signature");
        assert_eq!(check(scheme, &HeaderMap::new(), b"", &secrets, clock), Err(SignatureFault::Missing));
        let mut twice = HeaderMap::new();
        twice.append("x-sha2-signature", HeaderValue::from_static("a"));
        twice.append("x-sha2-signature", HeaderValue::from_static("b"));
        assert_eq!(check(scheme, &twice, b"", &secrets, clock), Err(SignatureFault::Missing));
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("whsec_1")), "Secret(..)");
        let header = Secret::new("key").authorization("Bearer ").unwrap();
        assert_eq!((header.as_bytes(), format!("{header:?}").as_str()), (&b"Bearer key"[..], "Sensitive"));
    }
}
