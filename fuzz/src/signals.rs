//! Security events: what is read is whole, and nobody's token counts without the key that it needs.

use std::collections::BTreeSet;

use jose::{Jwk, Skew, json};
use secevent::{Event, Expected, SecurityEvent, Subject, stream::Audience};
use terms::Moment;

use crate::tokens;

const ISSUER: &str = "https://tr.example.com";
const AUDIENCE: &str = "https://exeat.example/ssf";

/// The longest payload: that of the longest token.
const LONGEST: usize = 64 << 10;

/// Reads the claims of a token.
pub(crate) fn read_set(bytes: &[u8]) -> Option<SecurityEvent> {
    let critical = ["user".to_owned(), "device".to_owned()];
    let expected = Expected {
        issuer: ISSUER,
        audience: AUDIENCE,
        critical: &critical,
        // 12 June 2026, 12:00 UTC.
        now: Moment::from_millis(1_781_265_600_000),
        skew: Skew::USUAL,
    };
    SecurityEvent::read(&json::parse_object(bytes, LONGEST).ok()?, &expected).ok()
}

/// Claims that are read are written as claims that are read as the same; a subject names itself; no token opens with a key
/// that did not sign it.
pub(crate) fn set(bytes: &[u8]) {
    if let (Ok(token), Ok(key)) = (std::str::from_utf8(bytes), Jwk::parse(tokens::KEY)) {
        let (issuer, audience) = (ISSUER, AUDIENCE);
        let expected = Expected { issuer, audience, critical: &[], now: Moment::MAX, skew: Skew::USUAL };
        assert!(SecurityEvent::open(token, &key, &expected).is_err(), "nobody signed it");
    }
    let Some(event) = read_set(bytes) else { return };
    let claims = event.to_claims(ISSUER, &Audience::One(AUDIENCE.to_owned()));
    let again = read_set(&serde_json::to_vec(&claims).unwrap_or_default());
    let told = |event: &SecurityEvent| {
        let events: BTreeSet<String> = event.events.iter().map(Event::uri).collect();
        (event.jti.clone(), event.iat.as_millis() / 1_000, event.txn.clone(), event.subject.clone(), events)
    };
    assert_eq!(again.as_ref().map(told), Some(told(&event)));
    if let (Some(SecurityEvent { events, .. }), [_]) = (&again, event.events.as_slice()) {
        assert_eq!(*events, event.events, "one event keeps its claims");
    }
    assert!(event.subject.matches(&event.subject), "a subject matches itself");
    assert_eq!(Subject::read(&event.subject.to_value()).as_ref(), Ok(&event.subject));
}
