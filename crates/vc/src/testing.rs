//! An issuer, a holder and their credential, for tests.

use std::time::Duration;

use jose::{Alg, Jwks, Object, SigningKey};
use serde_json::{Map, Value, json};
use terms::Moment;

use crate::{
    claim_path::ClaimPath,
    sd_jwt::{
        HashAlg, SdJwt,
        key_binding::{self, Expected},
    },
    sd_jwt_vc,
    trust::Trust,
};

pub(crate) const ISSUER: &str = "https://pid.example";
pub(crate) const CLIENT_ID: &str = "x509_san_dns:verifier.example.com";
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj";
pub(crate) const EXPECTED: Expected<'static> = Expected { audience: CLIENT_ID, nonce: NONCE };

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) fn path(steps: Value) -> ClaimPath {
    serde_json::from_value(steps).unwrap()
}

/// Salts that differ and are the same on every run.
pub(crate) fn salts() -> impl FnMut() -> [u8; 16] {
    let mut next = 0_u128;
    move || {
        next += 1;
        next.to_be_bytes()
    }
}

/// Who takes part, and when.
pub(crate) struct World {
    pub(crate) issuer: SigningKey,
    pub(crate) holder: SigningKey,
    pub(crate) now: Moment,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            issuer: SigningKey::generate(Alg::Es256).unwrap(),
            holder: SigningKey::generate(Alg::Es256).unwrap(),
            now: Moment::parse("2026-06-12T21:21:00Z").unwrap(),
        }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Keys(Jwks::from_iter([self.issuer.public().clone()]))
    }

    /// Seconds since the epoch, `by` seconds from now.
    pub(crate) fn at(&self, by: i64) -> i64 {
        self.now.as_millis() / 1000 + by
    }

    /// The claims of a PID, bound to the holder by the least that a key needs.
    pub(crate) fn pid(&self) -> Map<String, Value> {
        let key = self.holder.public().to_value();
        object(json!({
            "iss": ISSUER, "vct": "urn:eudi:pid:1", "iat": self.at(-3600), "exp": self.at(86_400),
            "cnf": {"jwk": {"kty": key["kty"], "crv": key["crv"], "x": key["x"], "y": key["y"]}},
            "status": {"status_list": {"idx": 7, "uri": "https://pid.example/status/1"}},
            "nationalities": ["US", "KR"], "birthdate": "1815-12-10",
        }))
    }

    pub(crate) fn issue(&self, claims: Map<String, Value>, paths: &[Value]) -> SdJwt {
        let paths: Vec<ClaimPath> = paths.iter().cloned().map(path).collect();
        sd_jwt_vc::issue(&self.issuer, &Object::new(), claims, &paths, salts()).unwrap()
    }

    pub(crate) fn issued(&self) -> SdJwt {
        self.issue(self.pid(), &[json!(["nationalities"]), json!(["birthdate"])])
    }

    /// What a wallet sends for the request that is expected, made `by` seconds from now.
    pub(crate) fn presented_at(&self, by: i64) -> SdJwt {
        let millis = Duration::from_secs(by.unsigned_abs());
        let when = if by < 0 {
            Moment::from_millis(self.now.as_millis() - i64::try_from(millis.as_millis()).unwrap())
        } else {
            self.now.plus(millis)
        };
        key_binding::bind(self.issued(), HashAlg::Sha256, &self.holder, &EXPECTED, when).unwrap()
    }

    pub(crate) fn presented(&self) -> SdJwt {
        self.presented_at(0)
    }
}
