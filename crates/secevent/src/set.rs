//! The token itself.
//!
//! # Source
//! RFC 8417, section 2; OpenID Shared Signals Framework 1.0, section 4.

use jose::{Audience, ClaimFault, Keys, Object, Skew, Times, usage::SECEVENT};
use serde_json::{Value, json};
use terms::Moment;

use crate::{Event, Fault, Subject, stream};

/// The longest `jti` and `txn`, in bytes.
const LONGEST_ID: usize = 256;

/// The most events of one token; more than one only if all are of the SCIM profile.
const MOST_EVENTS: usize = 8;

/// What the recipient of a stream expects of each token.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer pinned for the stream.
    pub issuer: &'a str,
    /// The audience that names the recipient on this stream.
    pub audience: &'a str,
    /// The members of a complex subject that the transmitter calls critical.
    pub critical: &'a [String],
    /// The time now.
    pub now: Moment,
    /// How far the transmitter's clock may be ahead.
    pub skew: Skew,
}

/// What one token says: something happened to somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct SecurityEvent {
    /// Names the token at its issuer; 1 to 256 bytes.
    pub jti: String,
    /// When it was issued.
    pub iat: Moment,
    /// What set it off, shared by every token about the same.
    pub txn: Option<String>,
    /// Whom it is about.
    pub subject: Subject,
    /// What happened: one event, or several of the SCIM profile about one change.
    pub events: Vec<Event>,
}

impl SecurityEvent {
    /// Verifies a token in compact form with `keys` and reads what it says.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownKey`] if the keys may be out of date: fetch them again, once, and retry. Any other [`Fault`] is
    /// final: answer it with its [`Fault::code`] and act on nothing.
    pub fn open(token: &str, keys: &impl Keys, expected: &Expected<'_>) -> Result<Self, Fault> {
        let verified = jose::verify(token, &SECEVENT, keys).map_err(Fault::envelope)?;
        Self::read(&verified.payload, expected)
    }

    /// Reads the claims of a token whose signature was verified.
    ///
    /// # Errors
    ///
    /// [`Fault`]: the first thing that is wrong; nothing may be acted on.
    pub fn read(payload: &Object, expected: &Expected<'_>) -> Result<Self, Fault> {
        if payload.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
            return Err(Fault::Issuer);
        }
        let audience = Audience::of(payload).map_err(|_| Fault::Audience)?;
        if !audience.contains(expected.audience) {
            return Err(Fault::Audience);
        }
        // A token with either could be taken for one of another kind (SSF 1.0, sections 4.1.3 and 4.1.7).
        if payload.contains_key("sub") {
            return Err(Fault::Claim { claim: "sub", what: "must not be present" });
        }
        if payload.contains_key("exp") {
            return Err(Fault::Claim { claim: "exp", what: "must not be present" });
        }
        let iat = issued_at(payload, expected)?;
        let jti = id(payload, "jti")?.ok_or(Fault::Claim { claim: "jti", what: "is missing" })?;
        let (subject, events) = happened(payload)?;
        subject.check_critical(expected.critical)?;
        Ok(Self { jti, iat, txn: id(payload, "txn")?, subject, events })
    }

    /// Writes the claims for a token of `issuer` to `audience`, as [`SecurityEvent::read`] reads them.
    #[must_use]
    pub fn to_claims(&self, issuer: &str, audience: &stream::Audience) -> Object {
        let events = self.events.iter().map(|event| (event.uri(), Value::Object(event.claims())));
        let mut claims = Object::from_iter([
            ("iss".to_owned(), json!(issuer)),
            ("jti".to_owned(), json!(self.jti)),
            ("iat".to_owned(), json!(self.iat.as_millis() / 1_000)),
            ("aud".to_owned(), json!(audience)),
            ("sub_id".to_owned(), self.subject.to_value()),
            ("events".to_owned(), Value::Object(events.collect())),
        ]);
        if let Some(txn) = &self.txn {
            claims.insert("txn".to_owned(), json!(txn));
        }
        claims
    }
}

fn issued_at(payload: &Object, expected: &Expected<'_>) -> Result<Moment, Fault> {
    let times = Times::of(payload).map_err(claim)?;
    times.check(expected.now, expected.skew).map_err(claim)?;
    times.iat.ok_or(Fault::Claim { claim: "iat", what: "is missing" })
}

fn claim(fault: ClaimFault) -> Fault {
    Fault::Envelope(jose::Fault::Claim(fault))
}

fn id(payload: &Object, claim: &'static str) -> Result<Option<String>, Fault> {
    match payload.get(claim) {
        None => Ok(None),
        Some(Value::String(id)) if (1..=LONGEST_ID).contains(&id.len()) => Ok(Some(id.clone())),
        Some(_) => Err(Fault::Claim { claim, what: "must be a text of 1 to 256 bytes" }),
    }
}

/// Reads whom and what, which older transmitters put together: the subject within the event.
fn happened(payload: &Object) -> Result<(Subject, Vec<Event>), Fault> {
    let fault = |what| Fault::Claim { claim: "events", what };
    let events = payload.get("events").and_then(Value::as_object).ok_or_else(|| fault("must be an object"))?;
    if events.is_empty() || events.len() > MOST_EVENTS {
        return Err(fault("must have exactly one event, or 2 to 8 of the SCIM profile"));
    }
    let mut legacy = None;
    let mut read = Vec::with_capacity(events.len());
    for (uri, claims) in events {
        let claims = claims.as_object().ok_or_else(|| fault("must have an object for each event"))?;
        let event = Event::read(uri, claims)?;
        // Two spellings of one type are one type.
        if read.iter().any(|known: &Event| known.uri() == event.uri()) {
            return Err(fault("must not have two events of one type"));
        }
        read.push(event);
        legacy = legacy.or_else(|| claims.get("subject"));
    }
    if read.len() > 1 && !read.iter().all(|event| matches!(event, Event::Scim(_))) {
        return Err(fault("must have exactly one event, or 2 to 8 of the SCIM profile"));
    }
    let subject = payload.get("sub_id").or(legacy).ok_or(Fault::Claim { claim: "sub_id", what: "is missing" })?;
    Ok((Subject::read(subject)?, read))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jose::{Alg, Jwks, SigningKey};
    use proptest::prelude::*;

    use super::*;
    use crate::{ErrorCode, stream::Status};

    const ISSUER: &str = "https://tr.example.com";
    const AUDIENCE: &str = "https://exeat.example/ssf/acme";
    const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

    fn now() -> Moment {
        Moment::parse("2026-06-12T21:21:00Z").unwrap()
    }

    fn expected() -> Expected<'static> {
        Expected { issuer: ISSUER, audience: AUDIENCE, critical: &[], now: now(), skew: Skew::USUAL }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "jti": "24c63fb56e5a2d77a6b512616ca9fa24", "txn": "8675309",
            "iat": now().as_millis() / 1_000,
            "sub_id": {"format": "email", "email": "ada@example.com"},
            "events": {REVOKED: {"event_timestamp": 1_615_304_991}},
        })
    }

    /// The claims with some of them replaced, or removed if null.
    fn with(changes: Value) -> Object {
        let mut claims = claims().as_object().unwrap().clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    fn read(changes: Value) -> Result<SecurityEvent, Fault> {
        SecurityEvent::read(&with(changes), &expected())
    }

    fn code(changes: Value) -> Option<ErrorCode> {
        read(changes).err().map(|fault| fault.code())
    }

    struct Transmitter {
        key: SigningKey,
        jwks: Jwks,
    }

    impl Transmitter {
        fn new(alg: Alg) -> Self {
            let key = SigningKey::generate(alg).unwrap();
            let jwks = Jwks::from_iter([key.public().clone()]);
            Self { key, jwks }
        }

        fn sign(&self, typ: &str, claims: &Object) -> String {
            self.key.sign(typ, &Object::new(), claims).unwrap()
        }

        fn open(&self, token: &str) -> Result<SecurityEvent, Fault> {
            SecurityEvent::open(token, &self.jwks, &expected())
        }
    }

    #[test]
    fn a_signed_token_is_opened_with_each_algorithm() {
        for alg in [Alg::Rs256, Alg::Es256, Alg::EdDsa] {
            let transmitter = Transmitter::new(alg);
            let event = transmitter.open(&transmitter.sign("secevent+jwt", &with(json!({})))).unwrap();
            assert_eq!(event.jti, "24c63fb56e5a2d77a6b512616ca9fa24");
            assert_eq!(event.txn.as_deref(), Some("8675309"));
        }
    }

    #[test]
    fn openid_ssf_receiver_invalid_set_rejection_bad_signature() {
        let transmitter = Transmitter::new(Alg::Rs256);
        let token = transmitter.sign("secevent+jwt", &with(json!({})));
        let other = transmitter.sign("secevent+jwt", &with(json!({"jti": "another"})));
        let (signed, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        let fault = transmitter.open(&format!("{signed}.{signature}")).unwrap_err();
        assert_eq!(fault.code(), ErrorCode::InvalidKey);
        assert_eq!(fault, Fault::Signature);
    }

    #[test]
    fn openid_ssf_receiver_invalid_set_rejection_unknown_kid() {
        let (known, unknown) = (Transmitter::new(Alg::Rs256), Transmitter::new(Alg::Rs256));
        let fault = known.open(&unknown.sign("secevent+jwt", &with(json!({})))).unwrap_err();
        assert_eq!(fault.code(), ErrorCode::InvalidKey);
        assert_eq!(fault, Fault::UnknownKey);
    }

    #[test]
    fn openid_ssf_receiver_invalid_set_rejection_wrong_iss() {
        for iss in [json!("https://evil.example"), json!("https://tr.example.com/"), json!(7), json!(null)] {
            assert_eq!(code(json!({"iss": iss})), Some(ErrorCode::InvalidIssuer), "{iss}");
        }
    }

    #[test]
    fn openid_ssf_receiver_invalid_set_rejection_wrong_aud() {
        for aud in [json!("https://other.example"), json!([]), json!(["a", "b"]), json!({}), json!(null)] {
            assert_eq!(code(json!({"aud": aud})), Some(ErrorCode::InvalidAudience), "{aud}");
        }
        assert_eq!(code(json!({"aud": ["https://other.example", AUDIENCE]})), None);
    }

    #[test]
    fn a_token_of_another_kind_is_no_security_event() {
        let transmitter = Transmitter::new(Alg::Es256);
        for typ in ["JWT", "at+jwt", "dpop+jwt", "statuslist+jwt", "logout+jwt"] {
            let fault = transmitter.open(&transmitter.sign(typ, &with(json!({})))).unwrap_err();
            assert_eq!(fault.code(), ErrorCode::InvalidRequest, "{typ}");
        }
        assert_eq!(transmitter.open("e30.e30.").unwrap_err().code(), ErrorCode::InvalidRequest);
        assert_eq!(transmitter.open("").unwrap_err().code(), ErrorCode::InvalidRequest);
    }

    #[test]
    fn claims_of_other_kinds_must_not_be_present_whatever_their_value() {
        for claim in ["sub", "exp"] {
            for value in [json!("ada"), json!(4_102_444_800_u32), json!(false)] {
                assert_eq!(code(json!({claim: value})), Some(ErrorCode::InvalidRequest), "{claim}");
            }
        }
    }

    #[test]
    fn a_token_from_the_future_is_refused_beyond_the_skew_and_an_old_one_is_not() {
        let second = now().as_millis() / 1_000;
        assert_eq!(code(json!({"iat": second + 60})), None);
        assert_eq!(code(json!({"iat": second + 61})), Some(ErrorCode::InvalidRequest));
        assert_eq!(code(json!({"iat": second - 90 * 86_400})), None);
        for iat in [json!("1615305159"), json!(-1), json!(null)] {
            assert_eq!(code(json!({"iat": iat})), Some(ErrorCode::InvalidRequest), "{iat}");
        }
    }

    #[test]
    fn a_token_without_a_usable_id_is_refused() {
        for jti in [json!(""), json!(7), json!("j".repeat(257)), json!(null)] {
            assert_eq!(code(json!({"jti": jti})), Some(ErrorCode::InvalidRequest), "{jti}");
        }
        assert_eq!(code(json!({"txn": 7})), Some(ErrorCode::InvalidRequest));
        assert_eq!(read(json!({"txn": null})).unwrap().txn, None);
    }

    #[test]
    fn a_token_tells_exactly_one_event() {
        let two = json!({REVOKED: {}, VERIFICATION: {}});
        for events in [json!({}), two, json!([]), json!({REVOKED: "yes"}), json!(null)] {
            assert_eq!(code(json!({"events": events})), Some(ErrorCode::InvalidRequest), "{events}");
        }
    }

    #[test]
    fn several_events_about_one_scim_resource_come_in_one_token() {
        let event = read(json!({
            "sub_id": {"format": "scim", "uri": "/Users/44f6142d", "externalId": "ada"},
            "events": {
                "urn:ietf:params:scim:event:feed:remove": {},
                "urn:ietf:params:scim:event:prov:delete": {},
            },
        }));
        assert_eq!(event.unwrap().events.len(), 2);
    }

    #[test]
    fn two_spellings_of_one_type_of_event_do_not_come_in_one_token() {
        let subject = json!({"format": "scim", "uri": "/Users/44f6142d"});
        let events = |second: &str| json!({"urn:ietf:params:scim:event:prov:delete": {}, second: {}});
        for second in ["urn:ietf:params:scim:event:prov:DELETE", "URN:ietf:params:SCIM:event:prov:delete"] {
            let told = json!({"sub_id": subject, "events": events(second)});
            assert_eq!(code(told), Some(ErrorCode::InvalidRequest), "{second}");
        }
        let told = json!({"sub_id": subject, "events": events("urn:ietf:params:scim:event:prov:deactivate")});
        assert_eq!(code(told), None);
    }

    #[test]
    fn the_subject_may_stand_within_the_event_as_older_transmitters_put_it() {
        let subject = json!({"format": "email", "email": "Old@Example.com"});
        let event = read(json!({"sub_id": null, "events": {REVOKED: {"subject": subject}}})).unwrap();
        assert_eq!(event.subject.to_value()["email"], "old@example.com");
        let both = read(json!({"events": {REVOKED: {"subject": subject}}})).unwrap();
        assert_eq!(both.subject.to_value()["email"], "ada@example.com");
        assert_eq!(code(json!({"sub_id": null})), Some(ErrorCode::InvalidRequest));
    }

    #[test]
    fn a_critical_member_that_cannot_be_processed_discards_the_event() {
        let subject = json!({
            "format": "complex",
            "user": {"format": "email", "email": "ada@example.com"},
            "badge": {"format": "opaque", "id": "7"},
        });
        let payload = with(json!({"sub_id": subject}));
        let critical = ["badge".to_owned()];
        let strict = Expected { critical: &critical, ..expected() };
        assert_eq!(SecurityEvent::read(&payload, &strict), Err(Fault::Critical("badge".to_owned())));
        assert!(SecurityEvent::read(&payload, &expected()).is_ok());
    }

    #[test]
    fn claims_that_nobody_defined_are_ignored() {
        assert_eq!(code(json!({"toe": 1_508_184_845, "x": {"y": []}})), None);
    }

    proptest! {
        #[test]
        fn a_token_is_read_back_as_written(
            jti in "[!-~]{1,40}", txn in proptest::option::of("[!-~]{1,40}"), age in 0_u64..100_000, reason in "[ -~]{0,30}",
        ) {
            let iat = Moment::from_millis((now().as_millis() / 1_000 - i64::try_from(age).unwrap()) * 1_000);
            let event = SecurityEvent {
                jti, iat, txn,
                subject: Subject::Simple(crate::Identifier::Opaque { id: "stream-1".to_owned() }),
                events: vec![Event::Ssf(crate::event::Ssf::StreamUpdated { status: Status::Paused, reason: Some(reason) })],
            };
            let claims = event.to_claims(ISSUER, &stream::Audience::One(AUDIENCE.to_owned()));
            prop_assert_eq!(SecurityEvent::read(&claims, &expected()), Ok(event));
        }

        #[test]
        fn a_token_that_was_changed_anywhere_is_refused(at in 0_usize..10_000, bit in 0_u32..8) {
            let transmitter = Transmitter::new(Alg::Es256);
            let mut token = transmitter.sign("secevent+jwt", &with(json!({}))).into_bytes();
            let at = at % token.len();
            token[at] ^= 1 << bit;
            if let Ok(token) = std::str::from_utf8(&token) {
                prop_assert!(transmitter.open(token).is_err());
            }
        }

        #[test]
        fn the_skew_is_all_that_a_clock_may_be_ahead(skew in 0_u64..300, ahead in 0_u64..600) {
            let iat = now().plus(Duration::from_secs(ahead)).as_millis() / 1_000;
            let skewed = Expected { skew: Skew::new(Duration::from_secs(skew)), ..expected() };
            let read = SecurityEvent::read(&with(json!({"iat": iat})), &skewed);
            prop_assert_eq!(read.is_ok(), ahead <= skew);
        }
    }
}
