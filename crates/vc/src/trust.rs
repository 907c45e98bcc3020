//! By what an issuer's signature is known: its published keys, or the certificate authorities that vouch for them.

use jose::{CertificateFault, Chain, Jwks, Roots, Unverified, Use, Verified};
use terms::Moment;

/// By what the signatures of one issuer are known.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Its own keys; a token names one of them.
    Keys(Jwks),
    /// Certificate authorities; a token brings the chain from its key to one of them.
    Roots(Roots),
}

/// Why a signature is not known to be an issuer's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustFault {
    /// The token itself.
    #[error("{0}")]
    Token(#[from] jose::Fault),
    /// No certificates where some are wanted.
    #[error("the token's header has no `x5c`, and its issuer is known by certificates only")]
    NoChain,
    /// Certificates that are malformed, lead nowhere, or are out of their time.
    #[error("{0}")]
    Certificate(#[from] CertificateFault),
}

impl Trust {
    /// Verifies a token of one kind with the key of this issuer that its header names or brings a certificate for.
    ///
    /// # Errors
    ///
    /// [`TrustFault`]: the token does not count.
    ///
    /// # Source
    /// SD-JWT VC, draft-ietf-oauth-sd-jwt-vc-24, section 2.5; RFC 7515, section 4.1.6.
    pub fn verify(&self, token: &str, use_: &Use, now: Moment) -> Result<Verified, TrustFault> {
        let token = Unverified::parse(token, use_)?;
        match self {
            Self::Keys(keys) => Ok(token.verify(keys)?),
            Self::Roots(roots) => {
                let chain = Chain::of(token.header())?.ok_or(TrustFault::NoChain)?;
                Ok(token.verify(chain.verify(roots, now)?)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jose::{Alg, Object, SigningKey, base64url, usage::SD_JWT_VC};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SignatureAlgorithm, date_time_ymd,
    };
    use serde_json::{Value, json};

    use super::*;

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        fn trust(&self) -> Trust {
            Trust::Roots(Roots::parse([self.0.der().as_ref()]).unwrap())
        }

        /// Signs a certificate for a new key and returns a credential signed with it, and the chain.
        fn credential(&self, alg: &'static SignatureAlgorithm, until: i32) -> String {
            let pair = KeyPair::generate_for(alg).unwrap();
            let mut params = CertificateParams::new(vec!["pid.example".to_owned()]).unwrap();
            params.not_after = date_time_ymd(until, 1, 1);
            let leaf = params.signed_by(&pair, &self.0).unwrap();
            let alg = if *alg == rcgen::PKCS_ECDSA_P384_SHA384 { Alg::Es384 } else { Alg::Es256 };
            let key = SigningKey::from_pkcs8(alg, &pair.serialize_der()).unwrap();
            sign(&key, &json!([base64(leaf.der())]))
        }
    }

    fn base64(bytes: &[u8]) -> String {
        let plain = base64url::encode(bytes).replace('-', "+").replace('_', "/");
        format!("{plain}{}", "=".repeat(plain.len().next_multiple_of(4) - plain.len()))
    }

    fn sign(key: &SigningKey, x5c: &Value) -> String {
        let header = Object::from_iter([("x5c".to_owned(), x5c.clone())]);
        key.sign("dc+sd-jwt", &header, &json!({"vct": "urn:eudi:pid:1"})).unwrap()
    }

    fn now() -> Moment {
        Moment::parse("2026-06-12T21:21:00Z").unwrap()
    }

    #[test]
    fn a_key_that_the_trusted_authority_vouches_for_signs_for_the_issuer() {
        let authority = Authority::new();
        for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let token = authority.credential(alg, 2030);
            assert!(authority.trust().verify(&token, &SD_JWT_VC, now()).is_ok());
        }
    }

    #[test]
    fn a_certificate_of_another_authority_or_out_of_its_time_is_refused() {
        let authority = Authority::new();
        let token = authority.credential(&rcgen::PKCS_ECDSA_P256_SHA256, 2030);
        let other = Authority::new().trust().verify(&token, &SD_JWT_VC, now());
        assert!(matches!(other, Err(TrustFault::Certificate(CertificateFault::Untrusted(_)))));
        let expired = authority.credential(&rcgen::PKCS_ECDSA_P256_SHA256, 2026);
        assert!(matches!(
            authority.trust().verify(&expired, &SD_JWT_VC, now()),
            Err(TrustFault::Certificate(CertificateFault::Untrusted(_)))
        ));
    }

    #[test]
    fn a_certificate_beside_a_signature_of_another_key_is_refused() {
        let authority = Authority::new();
        let token = authority.credential(&rcgen::PKCS_ECDSA_P256_SHA256, 2030);
        let x5c = Unverified::parse(&token, &SD_JWT_VC).unwrap().header().get("x5c").unwrap().clone();
        let thief = sign(&SigningKey::generate(Alg::Es256).unwrap(), &x5c);
        assert_eq!(
            authority.trust().verify(&thief, &SD_JWT_VC, now()).unwrap_err(),
            TrustFault::Token(jose::Fault::Signature)
        );
    }

    #[test]
    fn a_chain_that_is_missing_too_long_or_malformed_is_refused() {
        let authority = Authority::new();
        let key = SigningKey::generate(Alg::Es256).unwrap();
        let root = base64(authority.0.der());
        for x5c in [json!([]), json!("a"), json!([1]), json!(["AAA"]), json!(["AAAA"]), json!(vec![root.clone(); 20])] {
            let verified = authority.trust().verify(&sign(&key, &x5c), &SD_JWT_VC, now());
            assert!(matches!(verified, Err(TrustFault::Certificate(_))), "{x5c}");
        }
        let none = key.sign("dc+sd-jwt", &Object::new(), &json!({"vct": "a"})).unwrap();
        assert_eq!(authority.trust().verify(&none, &SD_JWT_VC, now()).unwrap_err(), TrustFault::NoChain);
    }

    #[test]
    fn a_chain_is_not_asked_of_an_issuer_whose_keys_are_known() {
        let key = SigningKey::generate(Alg::Es256).unwrap();
        let trust = Trust::Keys(Jwks::from_iter([key.public().clone()]));
        assert!(trust.verify(&sign(&key, &json!(["junk"])), &SD_JWT_VC, now()).is_ok());
    }
}
