//! Signatures of acts: JWS in compact form with a detached payload, Ed25519 and nothing else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use terms::PersonId;

use super::act::ApprovalAct;

const ALG: &str = "EdDSA";
const TYP: &str = "exeat-approval+jws";
/// The longest signature that is read, in bytes: a header with the longest id is below 200.
const JWS_BYTES_MAX: usize = 512;

/// The protected header. One with another member is refused: what nobody reads must not be signed for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: PersonId,
    typ: String,
}

/// A signature that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum JwsFault {
    #[error("must be a JWS in compact form with a detached payload: `header..signature`")]
    Form,
    #[error("its header is not accepted: {0}")]
    Header(String),
    #[error("its `alg` is `{0}`: only `EdDSA` is accepted")]
    Alg(String),
    #[error("its `typ` is `{0}`: it must be `exeat-approval+jws`")]
    Typ(String),
    #[error("its signature does not verify with the key of `{0}`: sign exactly this act, with that person's key")]
    Signature(PersonId),
}

/// A signature whose form is right; it still has to be verified.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// Who is said to have signed.
    pub(crate) kid: PersonId,
    header: &'a str,
    signature: Signature,
}

impl<'a> Jws<'a> {
    /// Reads a signature in compact form.
    ///
    /// # Source
    ///
    /// RFC 7515 section 3.1 and appendix F; RFC 8037 section 3.1.
    pub(crate) fn parse(text: &'a str) -> Result<Self, JwsFault> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, "", signature] = *parts.as_slice() else {
            return Err(JwsFault::Form);
        };
        if text.len() > JWS_BYTES_MAX {
            return Err(JwsFault::Form);
        }
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsFault::Form);
        let parsed: Header =
            serde_json::from_slice(&decoded(header)?).map_err(|error| JwsFault::Header(error.to_string()))?;
        if parsed.alg != ALG {
            return Err(JwsFault::Alg(parsed.alg));
        }
        if parsed.typ != TYP {
            return Err(JwsFault::Typ(parsed.typ));
        }
        let signature = Signature::from_slice(&decoded(signature)?).map_err(|_| JwsFault::Form)?;
        Ok(Self { kid: parsed.kid, header, signature })
    }

    /// Requires that `key` signed `act` under this header.
    pub(crate) fn verify(&self, act: &ApprovalAct, key: &PublicKey) -> Result<(), JwsFault> {
        let input = signing_input(self.header, act);
        key.0.verify_strict(&input, &self.signature).map_err(|_| JwsFault::Signature(self.kid.clone()))
    }
}

fn signing_input(header: &str, act: &ApprovalAct) -> Vec<u8> {
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(act.payload())).into_bytes()
}

/// An approver's public key: Ed25519, of a point that is good for signatures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl TryFrom<String> for PublicKey {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(&text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        key.filter(|key| !key.is_weak())
            .map(Self)
            .ok_or("must be an Ed25519 public key: 32 bytes in base64url, no padding")
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        URL_SAFE_NO_PAD.encode(key.0.as_bytes())
    }
}

/// An approver's private key. Zeroized when dropped; shown only where it is written to its holder's file.
#[derive(Debug)]
pub struct ApproverKey(SigningKey);

/// A key as a file (RFC 8037 section 2). The private part is in `d`.
#[derive(Deserialize, Serialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: PublicKey,
    d: String,
}

impl ApproverKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// The operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a private key from a JWK.
    ///
    /// # Errors
    ///
    /// In words, what is wrong with it; never with a part of the key.
    ///
    /// # Source
    ///
    /// RFC 8037 section 2.
    pub fn from_jwk(text: &str) -> Result<Self, &'static str> {
        const BAD: &str = "it is not a private Ed25519 key as a JWK: make one with `exeat approver keygen`";
        let jwk: Jwk = serde_json::from_str(text).map_err(|_| BAD)?;
        let seed = URL_SAFE_NO_PAD.decode(&jwk.d).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = Self(SigningKey::from_bytes(&seed.ok_or(BAD)?));
        let is_ed25519 = jwk.kty == "OKP" && jwk.crv == "Ed25519" && key.public() == jwk.x;
        is_ed25519.then_some(key).ok_or(BAD)
    }

    /// Returns the private key as a JWK: a secret.
    #[must_use]
    pub fn to_jwk(&self) -> String {
        let d = URL_SAFE_NO_PAD.encode(self.0.as_bytes());
        let jwk = Jwk { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), x: self.public(), d };
        serde_json::to_string(&jwk).unwrap_or_default()
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs an act as `kid`; returns `header..signature`.
    #[must_use]
    pub fn sign(&self, act: &ApprovalAct, kid: &PersonId) -> String {
        let header = Header { alg: ALG.to_owned(), kid: kid.clone(), typ: TYP.to_owned() };
        let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).unwrap_or_default());
        let signature = self.0.sign(&signing_input(&header, act));
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use terms::Moment;

    use super::*;

    fn act() -> ApprovalAct {
        let document = json!({ "type": "directive/v1", "id": "DIR-1", "version": 1, "status": "in_force" });
        ApprovalAct::on(&document, Moment::parse("2026-06-13T00:00:00Z").unwrap()).unwrap()
    }

    fn ada() -> PersonId {
        PersonId::parse("ada").unwrap()
    }

    fn with_header(key: &ApproverKey, header: &serde_json::Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let signature = key.0.sign(&signing_input(&header, &act()));
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    #[test]
    fn a_signature_holds_for_its_act_and_its_key_and_for_no_other() {
        let (key, other) = (ApproverKey::generate().unwrap(), ApproverKey::generate().unwrap());
        let text = key.sign(&act(), &ada());
        let jws = Jws::parse(&text).unwrap();
        assert_eq!(jws.kid, ada());
        jws.verify(&act(), &key.public()).unwrap();
        assert!(jws.verify(&act(), &other.public()).is_err());
        let mut changed = act();
        changed.version = 2;
        assert!(jws.verify(&changed, &key.public()).is_err());
    }

    #[test]
    fn every_changed_character_of_a_signature_is_noticed() {
        let key = ApproverKey::generate().unwrap();
        let text = key.sign(&act(), &ada());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let good = Jws::parse(&changed).is_ok_and(|jws| jws.verify(&act(), &key.public()).is_ok());
            assert!(!good, "{changed}");
        }
    }

    #[test]
    fn another_algorithm_another_type_and_members_nobody_reads_are_refused() {
        let key = ApproverKey::generate().unwrap();
        let good = json!({ "alg": "EdDSA", "kid": "ada", "typ": "exeat-approval+jws" });
        let jws = with_header(&key, &good);
        Jws::parse(&jws).unwrap().verify(&act(), &key.public()).unwrap();
        for (member, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("ES256")),
            ("typ", json!("JWT")),
            ("kid", json!("../ada")),
            ("kid", json!(null)),
            ("crit", json!(["b64"])),
            ("b64", json!(false)),
            ("jwk", json!({ "kty": "OKP" })),
        ] {
            let mut header = good.clone();
            header[member] = value;
            let text = with_header(&key, &header);
            assert!(Jws::parse(&text).is_err(), "{header}");
        }
    }

    #[test]
    fn only_the_compact_form_with_a_detached_payload_is_read() {
        let key = ApproverKey::generate().unwrap();
        let text = key.sign(&act(), &ada());
        let attached = text.replace("..", &format!(".{}.", URL_SAFE_NO_PAD.encode(act().payload())));
        let long = format!("{}..{}", "A".repeat(500), "A".repeat(86));
        for bad in ["", ".", "..", "...", "a..b.c", &attached, &format!("{text}="), &format!(" {text}"), &long] {
            assert!(Jws::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_read_back_from_its_file_and_a_broken_one_is_named_without_its_secret() {
        let key = ApproverKey::generate().unwrap();
        let text = key.to_jwk();
        assert_eq!(ApproverKey::from_jwk(&text).unwrap().public(), key.public());
        let mut jwk: serde_json::Value = serde_json::from_str(&text).unwrap();
        jwk["x"] = serde_json::to_value(ApproverKey::generate().unwrap().public()).unwrap();
        for bad in ["", "{}", &jwk.to_string(), &text.replace("Ed25519", "X25519")] {
            let error = ApproverKey::from_jwk(bad).unwrap_err();
            assert!(error.contains("keygen"), "{error}");
        }
    }

    #[test]
    fn a_point_that_verifies_everything_is_no_public_key() {
        let neutral = [&[1][..], &[0; 31]].concat();
        let text = URL_SAFE_NO_PAD.encode(neutral);
        assert!(PublicKey::try_from(text).is_err());
        assert!(PublicKey::try_from("AAAA".to_owned()).is_err());
    }
}
