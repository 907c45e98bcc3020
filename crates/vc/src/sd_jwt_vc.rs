//! Verifiable credentials as SD-JWTs: a type, a holder's key, a status, and claims.
//!
//! # Source
//! SD-JWT-based Verifiable Credentials, draft-ietf-oauth-sd-jwt-vc-24.

use std::{collections::BTreeSet, fmt};

use jose::{ClaimFault, Jwk, KeyFault, Object, SigningFault, SigningKey, Skew, Times, usage::SD_JWT_VC};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use terms::Moment;

use crate::{
    claim_path::{ClaimPath, Step},
    sd_jwt::{
        self, ConcealFault, Disclosed, HashAlg, ResolveFault, SdJwt,
        key_binding::{self, Expected, KeyBindingFault},
    },
    status_list::Reference,
    trust::{Trust, TrustFault},
};

/// Claims that their issuer must sign in the open.
///
/// # Source
/// SD-JWT VC, section 2.2.2.3.
const OPEN: [&str; 8] = ["_sd_alg", "cnf", "exp", "iss", "nbf", "status", "vct", "vct#integrity"];
/// Bytes of the longest type, and of the longest URI of a status list.
const MAX_TEXT: usize = 2048;

/// Why a credential does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VcFault {
    /// Its signature, or whose it is.
    #[error("{0}")]
    Trust(#[from] TrustFault),
    /// Its times.
    #[error("{0}")]
    Claim(#[from] ClaimFault),
    /// Its disclosures.
    #[error("{0}")]
    Resolve(#[from] ResolveFault),
    /// Its type is not text.
    #[error("the credential's `vct` is not text of 1 to {MAX_TEXT} bytes")]
    Type,
    /// Its holder's key is malformed, or not a key.
    #[error("the credential's `cnf` holds no good `jwk`: {0}")]
    Holder(KeyFault),
    /// Its issuer may not issue credentials of its type, or calls itself otherwise.
    #[error("the credential's issuer is not trusted for credentials of its type")]
    Unauthorized,
    /// Its status is malformed, or of a mechanism that is not known.
    #[error("the credential's `status` holds no `status_list` with an `idx` and a `uri`")]
    Status,
}

/// Why a credential cannot be issued.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssueFault {
    /// What is to be disclosable.
    #[error("{0}")]
    Conceal(#[from] ConcealFault),
    /// A claim that must be signed in the open.
    #[error("`{0}` must be signed in the open")]
    Open(String),
    /// No type.
    #[error("a credential needs a `vct`")]
    Type,
    /// The signature.
    #[error("{0}")]
    Signing(#[from] SigningFault),
}

/// A credential whose issuer, times and disclosures are verified. Its claims are personal: `Debug` does not show them.
#[derive(Clone)]
pub struct SdJwtVc {
    /// Its type.
    pub vct: String,
    /// Who issued it, where it says so.
    pub iss: Option<String>,
    /// When it was made and how long it holds.
    pub times: Times,
    /// The key of its holder, if it is bound to one.
    pub holder: Option<Jwk>,
    /// Where its status stands, if it has one.
    pub status: Option<Reference>,
    /// All that it shows.
    pub claims: Map<String, Value>,
    /// Top-level claims of which something may be withheld.
    pub incomplete: BTreeSet<String>,
    /// SHA-256 of what its issuer signed: which credential this is, whatever is shown of it.
    pub digest: [u8; 32],
    hash_alg: HashAlg,
}

impl SdJwtVc {
    /// Verifies the issuer's signature by `trust`, the times at `now`, and every disclosure.
    ///
    /// It says nothing yet of who presents it ([`SdJwtVc::verify_binding`]) nor of its status.
    ///
    /// # Errors
    ///
    /// [`VcFault`]: the credential must be refused.
    pub fn verify(sd_jwt: &SdJwt, trust: &Trust, now: Moment) -> Result<Self, VcFault> {
        let signed = trust.verify(sd_jwt.jwt(), &SD_JWT_VC, now)?;
        let times = signed.times()?;
        times.check(now, Skew::USUAL)?;
        let Disclosed { claims, incomplete, hash_alg } = sd_jwt::resolve(signed.payload, sd_jwt.disclosures(), &OPEN)?;
        Ok(Self {
            vct: vct(&claims)?,
            iss: claims.get("iss").and_then(Value::as_str).map(str::to_owned),
            times,
            holder: claims.get("cnf").map(holder).transpose()?,
            status: claims.get("status").map(status).transpose()?,
            claims,
            incomplete,
            digest: Sha256::digest(sd_jwt.jwt()).into(),
            hash_alg,
        })
    }

    /// Verifies that whoever presents `sd_jwt`, of which this is the credential, holds its key.
    ///
    /// # Errors
    ///
    /// [`KeyBindingFault`]: the presentation must be refused; also if the credential is bound to no key.
    pub fn verify_binding(&self, sd_jwt: &SdJwt, expected: &Expected<'_>, now: Moment) -> Result<(), KeyBindingFault> {
        let holder = self.holder.as_ref().ok_or(KeyBindingFault::Missing)?;
        key_binding::verify(sd_jwt, self.hash_alg, holder, expected, now)
    }
}

impl fmt::Debug for SdJwtVc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdJwtVc").field("vct", &self.vct).field("iss", &self.iss).finish_non_exhaustive()
    }
}

/// Issues a credential of `claims`, of which what `paths` select may be withheld by its holder.
///
/// `header` is added to the signed header: `x5c`, where its readers want a chain. `salt` gives 128 random bits each time.
///
/// # Errors
///
/// [`IssueFault`]: nothing is issued.
pub fn issue(
    key: &SigningKey,
    header: &Object,
    claims: Map<String, Value>,
    paths: &[ClaimPath],
    salt: impl FnMut() -> [u8; 16],
) -> Result<SdJwt, IssueFault> {
    vct(&claims).map_err(|_| IssueFault::Type)?;
    for path in paths {
        match path.steps().first() {
            Some(Step::Name(name)) if OPEN.contains(&name.as_str()) => return Err(IssueFault::Open(name.clone())),
            _ => (),
        }
    }
    let made = sd_jwt::conceal(claims, paths, salt)?;
    Ok(SdJwt::issued(key.sign("dc+sd-jwt", header, &made.payload)?, made.disclosures))
}

fn vct(claims: &Map<String, Value>) -> Result<String, VcFault> {
    let vct = claims.get("vct").and_then(Value::as_str).filter(|vct| (1..=MAX_TEXT).contains(&vct.len()));
    vct.map(str::to_owned).ok_or(VcFault::Type)
}

fn holder(cnf: &Value) -> Result<Jwk, VcFault> {
    let key = cnf.get("jwk").ok_or(VcFault::Holder(KeyFault::Member("jwk")))?;
    Jwk::from_value(key).map_err(VcFault::Holder)
}

fn status(status: &Value) -> Result<Reference, VcFault> {
    let list = status.get("status_list").ok_or(VcFault::Status)?;
    let reference: Reference = serde_json::from_value(list.clone()).map_err(|_| VcFault::Status)?;
    if reference.uri.len() > MAX_TEXT { Err(VcFault::Status) } else { Ok(reference) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{World, object, path, salts};

    /// Verifies a credential whose claims were changed before it was signed.
    fn verified(changes: Value) -> Result<SdJwtVc, VcFault> {
        let world = World::new();
        let mut claims = world.pid();
        claims.extend(object(changes));
        claims.retain(|_, value| value != "absent");
        let token = world.issuer.sign("dc+sd-jwt", &Object::new(), &claims).unwrap();
        SdJwtVc::verify(&SdJwt::issued(token, Vec::new()), &world.trust(), world.now)
    }

    fn fault(changes: Value) -> VcFault {
        verified(changes).unwrap_err()
    }

    #[test]
    fn what_was_issued_is_verified_with_its_type_status_and_holder() {
        let world = World::new();
        let credential = SdJwtVc::verify(&world.issued(), &world.trust(), world.now).unwrap();
        assert_eq!(credential.vct, "urn:eudi:pid:1");
        assert_eq!(credential.iss.as_deref(), Some("https://pid.example"));
        assert_eq!(credential.holder.unwrap().thumbprint(), world.holder.public().thumbprint());
        assert_eq!(credential.status.unwrap().uri, "https://pid.example/status/1");
        assert!(!format!("{:?}", verified(json!({})).unwrap()).contains("1815"));
    }

    #[test]
    fn a_credential_out_of_its_time_is_refused() {
        let world = World::new();
        assert_eq!(fault(json!({"exp": world.at(-61)})), VcFault::Claim(ClaimFault::Expired));
        assert_eq!(fault(json!({"nbf": world.at(61)})), VcFault::Claim(ClaimFault::NotYet));
        assert_eq!(fault(json!({"iat": world.at(61)})), VcFault::Claim(ClaimFault::Early));
        for exp in [json!("1781299260"), json!(true)] {
            assert_eq!(fault(json!({ "exp": exp })), VcFault::Claim(ClaimFault::Wrong("exp")));
        }
    }

    #[test]
    fn a_type_a_status_and_a_key_must_be_what_they_should_be() {
        for vct in [json!(""), json!(1), json!("a".repeat(2049))] {
            assert_eq!(fault(json!({ "vct": vct })), VcFault::Type);
        }
        for status in [
            json!({}),
            json!({"status_list": {"idx": -1, "uri": "https://a.example"}}),
            json!({"status_list": {"idx": "1", "uri": "https://a.example"}}),
            json!({"status_list": {"idx": 1}}),
            json!({"status_list": {"idx": 1, "uri": "a".repeat(2049)}}),
            json!({"other_mechanism": {}}),
        ] {
            assert_eq!(fault(json!({ "status": status })), VcFault::Status, "{status}");
        }
        for cnf in [json!({}), json!({"kid": "1"}), json!({"jwk": {"kty": "oct", "k": "AA"}})] {
            assert!(matches!(fault(json!({ "cnf": cnf })), VcFault::Holder(_)), "{cnf}");
        }
        assert!(verified(json!({"cnf": "absent", "status": "absent"})).unwrap().status.is_none());
    }

    #[test]
    fn a_holder_may_not_choose_what_must_be_open() {
        let world = World::new();
        for name in OPEN {
            let claims = object(json!({"vct": "a", name: "b"}));
            let issued = issue(&world.issuer, &Object::new(), claims, &[path(json!([name]))], salts());
            assert_eq!(issued, Err(IssueFault::Open(name.to_owned())));
        }
        let made = sd_jwt::conceal(world.pid(), &[path(json!(["exp"]))], salts()).unwrap();
        let token = world.issuer.sign("dc+sd-jwt", &Object::new(), &made.payload).unwrap();
        let shown = SdJwtVc::verify(&SdJwt::issued(token, made.disclosures), &world.trust(), world.now);
        assert_eq!(shown.unwrap_err(), VcFault::Resolve(ResolveFault::Reserved("exp".to_owned())));
    }

    #[test]
    fn a_credential_without_a_type_is_not_issued() {
        let world = World::new();
        let issued = issue(&world.issuer, &Object::new(), object(json!({"a": 1})), &[], salts());
        assert_eq!(issued, Err(IssueFault::Type));
    }
}
