//! A status list, signed.

use std::time::Duration;

use jose::{ClaimFault, NumericDate, Object, SigningFault, SigningKey, Skew, usage::STATUS_LIST};
use serde::{Deserialize, Serialize};
use terms::Moment;

use super::{Bits, ListFault, StatusList};
use crate::trust::{Trust, TrustFault};

/// Why a status list token does not count: nothing is known of the status of any credential.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// Its signature, or whose it is.
    #[error("{0}")]
    Trust(#[from] TrustFault),
    /// Its claims or times.
    #[error("{0}")]
    Claim(#[from] ClaimFault),
    /// A list of another place.
    #[error("the token's `sub` is not the URI that it was fetched from")]
    Uri,
    /// The list in it.
    #[error("{0}")]
    List(#[from] ListFault),
}

/// The list of one URI, as its issuer signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusListToken {
    /// Where it is published.
    pub uri: String,
    /// When it was made.
    pub issued_at: Moment,
    /// When it stops being good.
    pub expires_at: Option<Moment>,
    /// How long it may be kept before it is fetched again.
    pub ttl: Option<Duration>,
    /// The list.
    pub list: StatusList,
}

#[derive(Deserialize, Serialize)]
struct Claims {
    sub: String,
    iat: NumericDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<NumericDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    status_list: Packed,
}

#[derive(Deserialize, Serialize)]
struct Packed {
    bits: Bits,
    lst: String,
}

impl StatusListToken {
    /// Verifies a token that was fetched from `uri`, and inflates its list within bounds.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: what was known before stands until it ends.
    ///
    /// # Source
    /// Token Status List, sections 5.1 and 8.3.
    pub fn verify(token: &str, trust: &Trust, uri: &str, now: Moment) -> Result<Self, TokenFault> {
        let token = trust.verify(token, &STATUS_LIST, now)?;
        token.times()?.check(now, Skew::USUAL)?;
        let claims: Claims = token.claims()?;
        if claims.sub != uri {
            return Err(TokenFault::Uri);
        }
        if claims.ttl == Some(0) {
            return Err(ClaimFault::Wrong("ttl").into());
        }
        Ok(Self {
            uri: claims.sub,
            issued_at: claims.iat.0,
            expires_at: claims.exp.map(|exp| exp.0),
            ttl: claims.ttl.map(Duration::from_secs),
            list: StatusList::inflate(claims.status_list.bits, &claims.status_list.lst)?,
        })
    }

    /// Signs the list, for it to be published at its URI.
    ///
    /// # Errors
    ///
    /// [`SigningFault`]: the key cannot sign.
    pub fn sign(&self, key: &SigningKey, header: &Object) -> Result<String, SigningFault> {
        let claims = Claims {
            sub: self.uri.clone(),
            iat: NumericDate(self.issued_at),
            exp: self.expires_at.map(NumericDate),
            ttl: self.ttl.map(|ttl| ttl.as_secs()),
            status_list: Packed { bits: self.list.bits(), lst: self.list.deflate() },
        };
        key.sign("statuslist+jwt", header, &claims)
    }

    /// Returns how long what it says may be relied on after `fetched`, at most `longest`: until it must be fetched again.
    #[must_use]
    pub fn good_until(&self, fetched: Moment, longest: Duration) -> Moment {
        let kept = fetched.plus(self.ttl.map_or(longest, |ttl| ttl.min(longest)));
        self.expires_at.map_or(kept, |end| end.min(kept))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        status_list::Status,
        testing::{World, object},
    };

    const URI: &str = "https://pid.example/status/1";

    fn token(world: &World) -> StatusListToken {
        let mut list = StatusList::new(Bits::Two, 100).unwrap();
        list.set(7, Status::Suspended).unwrap();
        StatusListToken {
            uri: URI.to_owned(),
            issued_at: world.now,
            expires_at: Some(world.now.plus(Duration::from_secs(86_400))),
            ttl: Some(Duration::from_secs(300)),
            list,
        }
    }

    /// Verifies a token whose claims were changed before it was signed.
    fn changed(world: &World, changes: Value) -> Result<StatusListToken, TokenFault> {
        let mut claims = json!({
            "sub": URI, "iat": world.at(0), "exp": world.at(60), "ttl": 60,
            "status_list": {"bits": 1, "lst": StatusList::new(Bits::One, 8).unwrap().deflate()},
        });
        claims.as_object_mut().unwrap().extend(object(changes));
        let token = world.issuer.sign("statuslist+jwt", &Object::new(), &claims).unwrap();
        StatusListToken::verify(&token, &world.trust(), URI, world.now)
    }

    #[test]
    fn what_is_signed_is_what_is_verified() {
        let world = World::new();
        let signed = token(&world).sign(&world.issuer, &Object::new()).unwrap();
        let verified = StatusListToken::verify(&signed, &world.trust(), URI, world.now).unwrap();
        assert_eq!(verified, token(&world));
        assert_eq!(verified.list.get(7), Ok(Status::Suspended));
        assert!(changed(&world, json!({})).is_ok());
    }

    #[test]
    fn a_list_of_another_uri_issuer_or_kind_is_refused() {
        let world = World::new();
        assert_eq!(changed(&world, json!({"sub": "https://pid.example/status/2"})), Err(TokenFault::Uri));
        let stranger = token(&world).sign(&World::new().issuer, &Object::new()).unwrap();
        let verified = StatusListToken::verify(&stranger, &world.trust(), URI, world.now);
        assert!(matches!(verified, Err(TokenFault::Trust(_))));
        let credential = world.issuer.sign("dc+sd-jwt", &Object::new(), &world.pid()).unwrap();
        let verified = StatusListToken::verify(&credential, &world.trust(), URI, world.now);
        assert!(matches!(verified, Err(TokenFault::Trust(TrustFault::Token(jose::Fault::Typ { .. })))));
    }

    #[test]
    fn a_list_out_of_its_time_or_with_malformed_times_is_refused() {
        let world = World::new();
        assert_eq!(changed(&world, json!({"exp": world.at(-61)})), Err(ClaimFault::Expired.into()));
        assert_eq!(changed(&world, json!({"iat": world.at(61)})), Err(ClaimFault::Early.into()));
        for changes in [json!({"ttl": 0}), json!({"ttl": -1}), json!({"ttl": "60"}), json!({"exp": "soon"})] {
            assert!(matches!(changed(&world, changes.clone()), Err(TokenFault::Claim(_))), "{changes}");
        }
    }

    #[test]
    fn a_list_of_other_bits_or_bytes_is_refused() {
        let world = World::new();
        for bits in [json!(3), json!(0), json!(16), json!("1")] {
            let list = json!({"bits": bits, "lst": "eNrbuRgAAhcBXQ"});
            assert!(matches!(changed(&world, json!({ "status_list": list })), Err(TokenFault::Claim(_))));
        }
        let list = json!({"bits": 1, "lst": "AAAA"});
        assert_eq!(changed(&world, json!({ "status_list": list })), Err(ListFault::Zlib.into()));
    }

    #[test]
    fn it_is_good_until_its_ttl_its_end_or_the_longest_that_is_allowed() {
        let world = World::new();
        let after = |seconds| world.now.plus(Duration::from_secs(seconds));
        for (ttl, expires, longest, good) in
            [(Some(60), 1000, 300, 60), (Some(600), 1000, 300, 300), (None, 1000, 300, 300), (Some(600), 100, 300, 100)]
        {
            let ttl = ttl.map(Duration::from_secs);
            let token = StatusListToken { ttl, expires_at: Some(after(expires)), ..token(&world) };
            assert_eq!(token.good_until(world.now, Duration::from_secs(longest)), after(good));
        }
    }
}
