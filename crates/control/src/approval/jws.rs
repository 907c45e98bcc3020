//! Signatures of acts: JWS in compact form with a detached payload, Ed25519 and nothing else.

use jose::{Alg, Fault, Jwk, Object, SigningFault, SigningKey, Unverified, base64url, usage::APPROVAL};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use terms::PersonId;
use zeroize::Zeroizing;

use super::act::ApprovalAct;

const TYP: &str = "exeat-approval+jws";
/// The longest signature that is read, in bytes: a header with the longest id is below 200.
const JWS_BYTES_MAX: usize = 512;

/// A signature that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum JwsFault {
    #[error("must be a JWS in compact form with a detached payload: `header..signature`")]
    Form,
    #[error("is refused: {0}")]
    Token(Fault),
    #[error(
        "its header must be exactly `{{\"alg\": \"EdDSA\", \"kid\": <approver>, \"typ\": \"exeat-approval+jws\"}}`"
    )]
    Header,
    #[error("its signature does not verify with the key of `{0}`: sign exactly this act, with that person's key")]
    Signature(PersonId),
}

/// The signature of an act, together with the act; it still has to be verified.
#[derive(Debug)]
pub(crate) struct Jws {
    /// Who is said to have signed.
    pub(crate) kid: PersonId,
    /// The JWS with its payload in place.
    token: String,
}

impl Jws {
    /// Reads a signature in compact form as one of `act`.
    ///
    /// # Source
    ///
    /// RFC 7515 section 3.1 and appendix F; RFC 8037 section 3.1.
    pub(crate) fn parse(text: &str, act: &ApprovalAct) -> Result<Self, JwsFault> {
        let parts = text.split_once("..").filter(|_| text.len() <= JWS_BYTES_MAX);
        let (header, signature) = parts.ok_or(JwsFault::Form)?;
        let token = format!("{header}.{}.{signature}", base64url::encode(act.payload()));
        let unverified = Unverified::parse(&token, &APPROVAL).map_err(JwsFault::Token)?;
        let header = unverified.header();
        let kid = header.kid().and_then(|kid| PersonId::parse(kid).ok()).ok_or(JwsFault::Header)?;
        // What nobody reads must not be signed for, and what is written has one spelling.
        let exactly = json!({ "alg": Alg::EdDsa.name(), "kid": kid, "typ": TYP });
        if exactly.as_object() != Some(header.members()) {
            return Err(JwsFault::Header);
        }
        Ok(Self { kid, token })
    }

    /// Requires that `key` signed the act under this header.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), JwsFault> {
        let refused = || JwsFault::Signature(self.kid.clone());
        let key = key.jwk().ok_or_else(refused)?;
        jose::verify(&self.token, &APPROVAL, &key).map(|_| ()).map_err(|_| refused())
    }
}

/// An approver's public key: Ed25519, of a point that is good for signatures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(String);

impl PublicKey {
    fn jwk(&self) -> Option<Jwk> {
        Jwk::from_value(&json!({ "kty": "OKP", "crv": "Ed25519", "x": self.0 })).ok()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = Self(text);
        match key.jwk() {
            Some(_) => Ok(key),
            None => Err("must be an Ed25519 public key: 32 bytes in base64url, no padding"),
        }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

/// An approver's private key. Shown only where it is written to its holder's file.
#[derive(Debug)]
pub struct ApproverKey(SigningKey);

impl ApproverKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// The operating system has no randomness.
    pub fn generate() -> Result<Self, SigningFault> {
        SigningKey::generate(Alg::EdDsa).map(Self)
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
        SigningKey::from_ed25519_jwk(text).map(Self).map_err(|_| BAD)
    }

    /// Returns the private key as a JWK: a secret, cleared when it is dropped.
    ///
    /// # Errors
    ///
    /// The library that holds the key does not show it.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, SigningFault> {
        self.0.to_ed25519_jwk()
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let jwk = self.0.public().to_value();
        PublicKey(jwk.get("x").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Signs an act as `kid`; returns `header..signature`.
    ///
    /// # Errors
    ///
    /// The operation on the private key failed.
    pub fn sign(&self, act: &ApprovalAct, kid: &PersonId) -> Result<String, SigningFault> {
        let kid = Object::from_iter([("kid".to_owned(), Value::from(kid.as_str()))]);
        let payload = act.payload();
        let token = self.0.sign_payload(TYP, &kid, &payload)?;
        Ok(token.replacen(&format!(".{}.", base64url::encode(payload)), "..", 1))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer;
    use terms::Moment;

    use super::*;

    fn act() -> ApprovalAct {
        let document = json!({ "type": "directive/v1", "id": "DIR-1", "version": 1, "status": "in_force" });
        ApprovalAct::on(&document, Moment::parse("2026-06-13T00:00:00Z").unwrap()).unwrap()
    }

    fn ada() -> PersonId {
        PersonId::parse("ada").unwrap()
    }

    /// Signs the act under any header, as this crate itself would not, with another library.
    fn with_header(key: &ApproverKey, header: &Value) -> String {
        let jwk: Value = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
        let seed = base64url::decode_array(jwk["d"].as_str().unwrap()).unwrap();
        let header = base64url::encode(header.to_string());
        let input = format!("{header}.{}", base64url::encode(act().payload()));
        let signature = ed25519_dalek::SigningKey::from_bytes(&seed).sign(input.as_bytes());
        format!("{header}..{}", base64url::encode(signature.to_bytes()))
    }

    fn counts(text: &str, key: &ApproverKey) -> bool {
        Jws::parse(text, &act()).is_ok_and(|jws| jws.verify(&key.public()).is_ok())
    }

    #[test]
    fn a_signature_holds_for_its_act_and_its_key_and_for_no_other() {
        let (key, other) = (ApproverKey::generate().unwrap(), ApproverKey::generate().unwrap());
        let text = key.sign(&act(), &ada()).unwrap();
        let jws = Jws::parse(&text, &act()).unwrap();
        assert_eq!(jws.kid, ada());
        jws.verify(&key.public()).unwrap();
        assert_eq!(jws.verify(&other.public()), Err(JwsFault::Signature(ada())));
        let mut changed = act();
        changed.version = 2;
        let jws = Jws::parse(&text, &changed).unwrap();
        assert_eq!(jws.verify(&key.public()), Err(JwsFault::Signature(ada())));
    }

    #[test]
    fn every_changed_character_of_a_signature_is_noticed() {
        let key = ApproverKey::generate().unwrap();
        let text = key.sign(&act(), &ada()).unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(!counts(&changed, &key), "{changed}");
        }
    }

    #[test]
    fn another_algorithm_another_type_and_members_nobody_reads_are_refused() {
        let key = ApproverKey::generate().unwrap();
        let good = json!({ "alg": "EdDSA", "kid": "ada", "typ": "exeat-approval+jws" });
        assert!(counts(&with_header(&key, &good), &key));
        for (member, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("ES256")),
            ("alg", json!("Ed25519")),
            ("typ", json!("JWT")),
            ("typ", json!("application/exeat-approval+jws")),
            ("typ", json!("EXEAT-APPROVAL+JWS")),
            ("kid", json!("../ada")),
            ("kid", json!(null)),
            ("crit", json!(["b64"])),
            ("b64", json!(false)),
            ("jwk", json!({ "kty": "OKP" })),
        ] {
            let mut header = good.clone();
            header[member] = value;
            let text = with_header(&key, &header);
            assert!(Jws::parse(&text, &act()).is_err(), "{header}");
        }
    }

    #[test]
    fn only_the_compact_form_with_a_detached_payload_is_read() {
        let key = ApproverKey::generate().unwrap();
        let text = key.sign(&act(), &ada()).unwrap();
        assert!(counts(&text, &key));
        let attached = text.replace("..", &format!(".{}.", base64url::encode(act().payload())));
        let long = format!("{}..{}", "A".repeat(500), "A".repeat(86));
        for bad in ["", ".", "..", "...", "a..b.c", &attached, &format!("{text}="), &format!(" {text}"), &long] {
            assert!(Jws::parse(bad, &act()).is_err(), "{bad}");
        }
    }

    /// With the key of RFC 8037 appendix A.1; made by another library.
    #[test]
    fn a_signature_of_another_library_counts_and_is_made_here_bit_for_bit() {
        let jwk = concat!(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","#,
            r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#
        );
        let key = ApproverKey::from_jwk(jwk).unwrap();
        let text = concat!(
            "eyJhbGciOiJFZERTQSIsImtpZCI6ImFkYSIsInR5cCI6ImV4ZWF0LWFwcHJvdmFsK2p3cyJ9..",
            "2hqVCiopspgid5JUbigrBnXK0UUCaLQ_L5NppCb8xx05DM3--9y4564DycaiRiccKx0wGBXqbLP-bi-R16EfCQ"
        );
        assert!(counts(text, &key));
        assert_eq!(key.sign(&act(), &ada()).unwrap(), text);
    }

    #[test]
    fn a_key_is_read_back_from_its_file_and_a_broken_one_is_named_without_its_secret() {
        let key = ApproverKey::generate().unwrap();
        let text = key.to_jwk().unwrap();
        assert_eq!(ApproverKey::from_jwk(&text).unwrap().public(), key.public());
        let mut jwk: Value = serde_json::from_str(&text).unwrap();
        jwk["x"] = serde_json::to_value(ApproverKey::generate().unwrap().public()).unwrap();
        for bad in ["", "{}", &jwk.to_string(), &text.replace("Ed25519", "X25519")] {
            let error = ApproverKey::from_jwk(bad).unwrap_err();
            assert!(error.contains("keygen"), "{error}");
        }
    }

    #[test]
    fn a_point_that_verifies_everything_is_no_public_key() {
        let neutral = [&[1][..], &[0; 31]].concat();
        let text = base64url::encode(neutral);
        assert!(PublicKey::try_from(text).is_err());
        assert!(PublicKey::try_from("AAAA".to_owned()).is_err());
    }
}
