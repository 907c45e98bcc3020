//! Signed tokens, keys, messages and proofs: nothing from outside counts without the key that it needs.

use std::{sync::LazyLock, time::Duration};

use jose::{
    Jwk, Unverified,
    dpop::{self, Htu, Proof, ReplayFault, Replays},
    jwe::{self, DecryptionKey},
    ticket, usage, verify,
};
use terms::Moment;

/// The public key of RFC 7515 appendix A.3: nobody signs access tokens with it.
pub(crate) const KEY: &[u8] = br#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

/// The public key of RFC 8037 appendix A.2: it signs no tickets.
const TICKET_KEY: &[u8] = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Bob's private key in RFC 7518 appendix C as PKCS#8: published there, it keeps nothing secret.
const BOB: &[u8] =
    b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
\x04\x27\x30\x25\x02\x01\x01\x04\x20\x54\x49\x83\x66\x90\xd7\x5c\xaf\x29\xf0\xdd\x02\x9d\xdb\x31\xb3\xdd\xb8\xab\xa9\
\xd2\xd5\x15\xc5\x01\x24\x65\xe8\x17\xd4\xa9\xdc";

static BOBS_KEY: LazyLock<Option<DecryptionKey>> = LazyLock::new(|| DecryptionKey::from_pkcs8(BOB).ok());

/// Tells whether bytes are a token in the form of an access token.
pub(crate) fn is_jws(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|token| Unverified::parse(token, &usage::AT_JWT).is_ok())
}

/// A token that parses as one typed kind parses as no other, and verifies with nobody's key.
pub(crate) fn jws(bytes: &[u8]) {
    let (Some(token), Ok(key)) = (text(bytes), Jwk::parse(KEY)) else {
        return;
    };
    let kinds = [&usage::AT_JWT, &usage::SECEVENT, &usage::KB_JWT, &usage::ID_TOKEN];
    assert!(kinds.iter().filter(|kind| Unverified::parse(token, kind).is_ok()).count() <= 1, "one kind at most");
    assert!(kinds.iter().all(|kind| verify(token, kind, &key).is_err()), "nobody signed it");
}

/// Tells whether bytes have the form of a ticket.
pub(crate) fn is_ticket(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|token| ticket::unverified(token).is_ok())
}

/// A ticket that nobody's key signed lets nobody in, whatever it says.
pub(crate) fn ticket(bytes: &[u8]) {
    let (Some(token), Ok(key)) = (text(bytes), Jwk::parse(TICKET_KEY)) else {
        return;
    };
    assert!(ticket::verify(token, "meter.example.com/exeat/1", |_| Some(&key), now()).is_err(), "nobody signed it");
    assert!(ticket::reread(token, |_| Some(&key)).is_err(), "nobody signed it");
}

/// Tells whether bytes are a public key.
pub(crate) fn is_jwk(bytes: &[u8]) -> bool {
    Jwk::parse(bytes).is_ok()
}

/// A key that parses is written as a key that parses to the same, and has no private member.
pub(crate) fn jwk(bytes: &[u8]) {
    let Ok(key) = Jwk::parse(bytes) else {
        return;
    };
    let written = key.to_value();
    assert!(["d", "k", "p"].iter().all(|name| written.get(name).is_none()));
    let again = Jwk::from_value(&written).map(|again| (again.thumbprint(), again.to_value()));
    assert_eq!(again, Ok((key.thumbprint(), written)));
}

/// Tells whether bytes are a message for Bob.
pub(crate) fn is_jwe(bytes: &[u8]) -> bool {
    let message = text(bytes).zip(BOBS_KEY.as_ref());
    message.is_some_and(|(message, key)| jwe::decrypt(message, key).is_ok())
}

/// A message that is decrypted says less than its own length.
pub(crate) fn jwe(bytes: &[u8]) {
    if let Some((message, key)) = text(bytes).zip(BOBS_KEY.as_ref())
        && let Ok(read) = jwe::decrypt(message, key)
    {
        assert!(read.plaintext.len() < message.len());
    }
}

/// Tells whether bytes are a proof for a request of 2026-06-12.
pub(crate) fn is_dpop(bytes: &[u8]) -> bool {
    proof(bytes).is_some()
}

/// A proof that counts does so once.
pub(crate) fn dpop(bytes: &[u8]) {
    if let Some(proof) = proof(bytes) {
        let replays = Replays::with_capacity(16);
        assert_eq!(replays.claim(&proof, now()), Ok(()));
        assert_eq!(replays.claim(&proof, now()), Err(ReplayFault::Repeated));
        assert!(proof.until > now());
    }
}

fn proof(bytes: &[u8]) -> Option<Proof> {
    let target = Htu::parse("https://api.example.com/v1/chat/completions").ok()?;
    let request = dpop::Request { method: "POST", target: &target, access_token: Some("token") };
    let rules = dpop::Rules { window: Duration::from_secs(60), nonces: None };
    dpop::verify(text(bytes)?, &request, &rules, now()).ok()
}

/// 2026-06-12T21:21:00Z.
fn now() -> Moment {
    Moment::from_millis(1_781_299_260_000)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
