//! What a verified token says, read into a [`Token`].

use std::fmt::Write;

use identity::{Confirmation, Holder};
use jose::{Audience, NumericDate, Object, Skew, Times, base64url};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use terms::{ChannelId, KeyId, Moment, OrganizationId, PersonId, SubjectName, WorkloadId};

use super::caller::{IssuedTo, Token};
use crate::config::TokenSettings;

/// How long an assertion about an end user may hold, in seconds: it is made for one request.
pub(super) const ASSERTION_SECONDS_MAX: u64 = 300;

/// Why a token is not taken; told to the caller, who holds it anyway.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum TokenFault {
    /// It is not a token that this gateway could know.
    #[error("the access token is not known: it is no API key, and no issuer that is trusted here made it")]
    Foreign,
    /// Its form, signature, type or times.
    #[error("the access token is not valid: {0}")]
    Jose(#[from] jose::Fault),
    /// A claim.
    #[error("the access token is not valid: {0}")]
    Claim(#[from] jose::ClaimFault),
    /// The issuer has no such key.
    #[error("the access token is not valid: its issuer has no such key")]
    UnknownKey,
    /// It is for another resource.
    #[error("the access token is for another audience: ask for one whose `aud` is `{0}`")]
    Audience(String),
    /// The issuer says that it is not good, or any more.
    #[error("the access token is not active: ask for a new one")]
    Inactive,
    /// What it demands of its presenter cannot be checked here.
    #[error("the access token is bound in a way that is not understood here (`cnf`)")]
    Confirmation,
    /// A claim of this gateway's own.
    #[error("the access token names nobody: claim `{0}`")]
    Named(&'static str),
    /// The scope that this gateway asks for is missing.
    #[error("the access token lacks the scope `{0}`")]
    Scope(String),
    /// An assertion about an end user was made for another workload.
    #[error("the assertion was made for another workload: claim `req_wl`")]
    Workload,
    /// An assertion about an end user holds for too long to be remembered as used.
    #[error("the assertion holds for too long: its `exp` may be at most {ASSERTION_SECONDS_MAX} s away")]
    Lasting,
    /// An assertion about an end user was used before.
    #[error("the assertion was used before: send another with each request")]
    Spent,
    /// Whoever could verify it cannot be reached now.
    #[error("the access token cannot be verified now")]
    Unavailable,
}

/// What every kind of token says, as far as it is read here.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    jti: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    iat: NumericDate,
    exp: NumericDate,
    #[serde(default)]
    auth_time: Option<NumericDate>,
    #[serde(default)]
    acr: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    cnf: Option<Object>,
}

/// What a token of this gateway's own says beside that: for whom it is, and for which token it was exchanged.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    org: Option<OrganizationId>,
    src: Origin,
}

/// The token that one of this gateway's own was exchanged for.
#[derive(Deserialize)]
struct Origin {
    channel: ChannelId,
    sub: SubjectName,
    #[serde(default)]
    sid: Option<SubjectName>,
    /// When the session of that token began, where ours begins with its issue.
    #[serde(default)]
    began: Option<NumericDate>,
    /// What else ends ours when it ends: tokens that it was exchanged from, and the rule by which it was issued.
    #[serde(default)]
    rests_on: Vec<SubjectName>,
}

/// What is asked of a token of one issuer.
pub(super) struct Terms<'a> {
    pub(super) channel: &'a ChannelId,
    pub(super) audience: &'a str,
    pub(super) settings: &'a TokenSettings,
}

impl Terms<'_> {
    /// Reads the claims of a token whose signature, or whose issuer's own word, holds; `digest` is of its text.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse the token.
    ///
    /// # Source
    ///
    /// RFC 9068 section 4; RFC 7662 section 2.2.
    pub(super) fn read(&self, claims: &Object, digest: &[u8; 32], now: Moment) -> Result<Token, TokenFault> {
        self.check(claims, now)?;
        let said: Claims = parsed(claims)?;
        let scope = self.settings.scope.as_ref();
        if let Some(missing) = scope.filter(|scope| !has_scope(said.scope.as_deref(), scope)) {
            return Err(TokenFault::Scope(missing.clone()));
        }
        let named = |name: &'static str, text: &str| SubjectName::parse(text).map_err(|_| TokenFault::Named(name));
        let sessions = [("sid", said.sid.as_deref()), ("jti", said.jti.as_deref())];
        let sessions = sessions.into_iter().filter_map(|(name, text)| Some(named(name, text?)));
        Ok(Token {
            id: token_id(digest)?,
            channel: self.channel.clone(),
            subject: named("sub", &said.sub)?,
            sessions: sessions.collect::<Result<_, _>>()?,
            issued_to: None,
            began: said.auth_time.as_ref().map_or(said.iat.0, |auth_time| auth_time.0.min(said.iat.0)),
            known_until: self.known_until(&said),
            expires_at: said.exp.0.plus(self.settings.skew()),
            confirmations: confirmations(said.cnf.as_ref())?,
        })
    }

    /// Reads the claims of a token of this gateway's own.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse the token.
    pub(super) fn read_own(&self, claims: &Object, digest: &[u8; 32], now: Moment) -> Result<Token, TokenFault> {
        let token = self.read(claims, digest, now)?;
        let own: Own = parsed(claims)?;
        let holder = holder(token.subject.as_str()).ok_or(TokenFault::Named("sub"))?;
        let mut sessions = token.sessions;
        sessions.extend(own.src.sid.into_iter().chain(own.src.rests_on));
        Ok(Token {
            began: own.src.began.map_or(token.began, |began| began.0.min(token.began)),
            channel: own.src.channel,
            subject: own.src.sub,
            sessions,
            issued_to: Some(IssuedTo { holder, organization: own.org }),
            ..token
        })
    }

    fn check(&self, claims: &Object, now: Moment) -> Result<(), TokenFault> {
        Times::of(claims)?.check(now, Skew::new(self.settings.skew()))?;
        match Audience::of(claims)?.contains(self.audience) {
            true => Ok(()),
            false => Err(TokenFault::Audience(self.audience.to_owned())),
        }
    }

    /// Returns up to when the authentication counts. A token that does not say when it was is not held to its age.
    fn known_until(&self, said: &Claims) -> Moment {
        let wanted = &self.settings.acr_values;
        let strong = wanted.is_empty() || said.acr.as_ref().is_some_and(|acr| wanted.contains(acr));
        match &said.auth_time {
            _ if !strong => Moment::from_millis(0),
            Some(auth_time) => auth_time.0.plus(self.settings.authentication()),
            None => Moment::MAX,
        }
    }
}

/// Names a token here by the SHA-256 of its text.
pub(super) fn token_id(digest: &[u8; 32]) -> Result<KeyId, TokenFault> {
    let mut id = "tok-".to_owned();
    for byte in digest.iter().take(16) {
        // Writing into a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    KeyId::parse(&id).map_err(|_| TokenFault::Foreign)
}

/// Hashes the text of a token.
pub(super) fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn parsed<T: for<'de> Deserialize<'de>>(claims: &Object) -> Result<T, TokenFault> {
    let value = Value::Object(claims.clone());
    // What the parser says would repeat values, which are about people.
    T::deserialize(value).map_err(|_| jose::ClaimFault::Shape("one is missing or has the wrong type".to_owned()).into())
}

fn has_scope(held: Option<&str>, wanted: &str) -> bool {
    held.is_some_and(|held| held.split(' ').any(|scope| scope == wanted))
}

/// Spells a holder as a token's `sub`, and reads it back.
fn holder(sub: &str) -> Option<Holder> {
    match sub.split_once(':')? {
        ("person", id) => Some(Holder::Person { person: PersonId::parse(id).ok()? }),
        ("workload", id) => Some(Holder::Workload { workload: WorkloadId::parse(id).ok()? }),
        _ => None,
    }
}

/// Reads how a token is bound. All that it names must be proved, so one that is not understood refuses the token.
///
/// # Source
/// RFC 7800 section 3.1; RFC 8705 section 3.1; RFC 9449 section 6.1.
fn confirmations(cnf: Option<&Object>) -> Result<Vec<Confirmation>, TokenFault> {
    let Some(cnf) = cnf else { return Ok(Vec::new()) };
    let read = |(name, value): (&String, &Value)| {
        let sha256 = value.as_str().and_then(|text| base64url::decode_array::<32>(text).ok());
        match (name.as_str(), sha256) {
            ("x5t#S256", Some(sha256)) => Ok(Confirmation::Certificate(sha256)),
            ("jkt", Some(sha256)) => Ok(Confirmation::Jwk(sha256)),
            _ => Err(TokenFault::Confirmation),
        }
    };
    let all: Vec<Confirmation> = cnf.iter().map(read).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(TokenFault::Confirmation) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(change: impl FnOnce(&mut Value)) -> Object {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": ["https://gw.example.com"], "sub": "ada", "client_id": "cli",
            "iat": 1_000, "exp": 1_300, "jti": "t1", "sid": "s1", "auth_time": 900,
        });
        change(&mut claims);
        let Value::Object(claims) = claims else { unreachable!() };
        claims
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<Token, TokenFault> {
        read_under(&TokenSettings::default(), change)
    }

    fn read_under(settings: &TokenSettings, change: impl FnOnce(&mut Value)) -> Result<Token, TokenFault> {
        let channel = ChannelId::parse("idp").unwrap();
        let terms = Terms { channel: &channel, audience: "https://gw.example.com", settings };
        terms.read(&claims(change), &[0xab; 32], Moment::from_millis(1_100_000))
    }

    #[test]
    fn a_token_is_named_by_its_hash_and_began_when_its_session_did() {
        let token = read(|_| {}).unwrap();
        assert_eq!(token.id.as_str(), format!("tok-{}", "ab".repeat(16)));
        assert_eq!(token.began, Moment::from_millis(900_000));
        assert_eq!(token.expires_at, Moment::from_millis(1_305_000));
        assert_eq!(token.known_until, Moment::from_millis(900_000 + 12 * 3_600_000));
        let sessions: Vec<_> = token.sessions.iter().map(SubjectName::as_str).collect();
        assert_eq!(sessions, ["s1", "t1"]);
    }

    #[test]
    fn a_token_for_another_time_or_audience_is_refused() {
        for change in [
            (|c: &mut Value| c["exp"] = json!(1_000)) as fn(&mut Value),
            |c| c["iat"] = json!(1_200),
            |c| c["nbf"] = json!(1_200),
            |c| c["aud"] = json!("https://other.example"),
            |c| c["exp"] = json!("1300"),
            |c| c["sub"] = json!(""),
            |c| c["auth_time"] = json!("900"),
            |c| c["jti"] = json!(7),
        ] {
            assert!(read(change).is_err());
        }
    }

    #[test]
    fn every_way_in_which_a_token_is_bound_must_be_understood() {
        let sha256 = base64url::encode([7; 32]);
        let bound = |cnf: Value| read(|c| c["cnf"] = cnf).map(|token| token.confirmations);
        assert_eq!(bound(json!({ "jkt": sha256 })), Ok(vec![Confirmation::Jwk([7; 32])]));
        let both = bound(json!({ "jkt": sha256, "x5t#S256": sha256 })).unwrap();
        assert_eq!(both.len(), 2);
        for cnf in [json!({}), json!({ "jkt": "short" }), json!({ "kid": "k" }), json!({ "jkt": sha256, "osc": {} })] {
            assert_eq!(bound(cnf), Err(TokenFault::Confirmation));
        }
    }

    #[test]
    fn scope_and_authentication_context_are_asked_for_where_the_operator_wants_them() {
        let settings = TokenSettings {
            scope: Some("model.call".to_owned()),
            acr_values: vec!["phr".to_owned()],
            ..TokenSettings::default()
        };
        assert!(matches!(read_under(&settings, |_| {}), Err(TokenFault::Scope(_))));
        let token = read_under(&settings, |c| c["scope"] = json!("openid model.call")).unwrap();
        assert_eq!(token.known_until, Moment::from_millis(0));
        let strong = |c: &mut Value| (c["scope"], c["acr"]) = (json!("model.call"), json!("phr"));
        assert!(read_under(&settings, strong).unwrap().known_until > Moment::from_millis(0));
        assert!(read_under(&settings, |c| c["scope"] = json!("model.callx")).is_err());
    }

    #[test]
    fn a_token_of_our_own_names_its_holder_and_the_token_it_was_exchanged_for() {
        let channel = ChannelId::parse("own").unwrap();
        let settings = TokenSettings::default();
        let terms = Terms { channel: &channel, audience: "https://gw.example.com", settings: &settings };
        let own = |sub: &str, src: Value| {
            let claims = claims(|c| {
                c["sub"] = json!(sub);
                c["org"] = json!("larkspur-labs");
                c["src"] = src;
            });
            terms.read_own(&claims, &[0; 32], Moment::from_millis(1_100_000))
        };
        let token = own("workload:ci", json!({ "channel": "k8s", "sub": "ns:sa", "sid": "s9" })).unwrap();
        assert_eq!((token.channel.as_str(), token.subject.as_str()), ("k8s", "ns:sa"));
        let issued_to = token.issued_to.unwrap();
        assert_eq!(issued_to.holder, Holder::Workload { workload: WorkloadId::parse("ci").unwrap() });
        assert_eq!(token.sessions.len(), 3);
        assert_eq!(token.began, Moment::from_millis(900_000));
        for sub in ["ci", "shared:", "person:", "person:a b"] {
            assert!(own(sub, json!({ "channel": "k8s", "sub": "x" })).is_err(), "{sub}");
        }
        assert!(own("person:ada", json!({})).is_err());
        assert!(own("person:ada", json!({ "channel": "idp", "sub": "x", "began": "800" })).is_err());
    }

    #[test]
    fn a_token_of_our_own_began_when_the_session_behind_it_did_and_ends_with_all_that_it_rests_on() {
        let channel = ChannelId::parse("own").unwrap();
        let settings = TokenSettings::default();
        let terms = Terms { channel: &channel, audience: "https://gw.example.com", settings: &settings };
        let began = |began: u64| {
            let claims = claims(|c| {
                c["sub"] = json!("person:ada");
                c["src"] = json!({ "channel": "idp", "sub": "ada", "began": began, "rests_on": ["p-1", "rule:api:x"] });
                c.as_object_mut().unwrap().remove("auth_time");
            });
            terms.read_own(&claims, &[0; 32], Moment::from_millis(1_100_000)).unwrap()
        };
        assert_eq!(began(800).began, Moment::from_millis(800_000));
        assert_eq!(began(1_050).began, Moment::from_millis(1_000_000), "never later than its own issue");
        assert_eq!(began(800).known_until, Moment::MAX, "it is no time of authentication");
        let sessions = began(800).sessions;
        let names: Vec<_> = sessions.iter().map(SubjectName::as_str).collect();
        assert_eq!(names, ["s1", "t1", "p-1", "rule:api:x"]);
    }
}
