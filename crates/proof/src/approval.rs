//! Approvals: acts that people signed, with all that it takes to check the signature.
//!
//! # Source
//!
//! RFC 7515 appendix F (detached payload), RFC 8037 (EdDSA), RFC 8785 (canonical JSON); `docs/log-format.md`, "The
//! directive desk".

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    jcs::{BadNumber, canonical},
    json::{self, Hex, Unique, of_object},
    note::is_signed_by,
    tree::Hash,
};

/// The longest signature that is read, in bytes: a header with the longest id is below 200.
const JWS_BYTES_MAX: usize = 512;

/// An act with its signature, which is not checked yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    #[serde(deserialize_with = "json::plain")]
    act: Value,
    approver: String,
    role: String,
    public_key: String,
    jws: String,
    /// When it was accepted, as the log says; nobody signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What was approved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Act {
    r#type: Type,
    /// What is to be done: `apply`, `stay`, `vacate`, `lift` or `produce`.
    pub act: String,
    /// To what: `directive`, `license` or `production`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// In which version.
    pub version: u64,
    document_sha256: Hex<32>,
    /// From when on the signature no longer counts, RFC 3339.
    pub valid_until: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
enum Type {
    #[serde(rename = "approval/v1")]
    V1,
}

/// The approval does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadApproval {
    /// The act is none.
    #[error("what `{approver}` signed is no act: {why}")]
    Act {
        /// Who is said to have signed.
        approver: String,
        /// What is wrong with it.
        why: String,
    },
    /// The signature is not spelled as one, or has another header.
    #[error("the signature of `{0}` is not a detached JWS under exactly the header of an approval")]
    Form(String),
    /// The signature is not that of the key.
    #[error("the signature of `{0}` does not verify with the key that stands beside it")]
    Signature(String),
}

impl Approval {
    /// Returns who is said to have signed.
    #[must_use]
    pub fn approver(&self) -> &str {
        &self.approver
    }

    /// Returns in which role that person signed, as the log says.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Returns true if the act is an object.
    pub(crate) fn is_spelled_out(&self) -> bool {
        self.act.is_object()
    }

    /// Returns true if it says when it was accepted.
    pub(crate) fn is_dated(&self) -> bool {
        self.at.is_some()
    }

    /// Returns the public key that stands beside the signature, in base64url.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Returns the act, if the key that stands beside it signed it; whose key that is remains to be asked.
    ///
    /// # Errors
    ///
    /// [`BadApproval`].
    pub fn verify(&self) -> Result<Act, BadApproval> {
        let bad = |why: String| BadApproval::Act { approver: self.approver.clone(), why };
        let act: Act = of_object(&self.act).map_err(|e| bad(e.to_string()))?;
        let payload = canonical(&self.act).map_err(|e| bad(e.to_string()))?;
        let (header, signature) = self.parts().ok_or_else(|| BadApproval::Form(self.approver.clone()))?;
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let key = URL_SAFE_NO_PAD.decode(&self.public_key).unwrap_or_default();
        if !is_signed_by(&key, signed.as_bytes(), &signature) {
            return Err(BadApproval::Signature(self.approver.clone()));
        }
        Ok(act)
    }

    /// Returns the header as it is spelled, and the signature; `None` if the header has anything but it must.
    fn parts(&self) -> Option<(&str, Vec<u8>)> {
        let (header, signature) = self.jws.split_once("..").filter(|_| self.jws.len() <= JWS_BYTES_MAX)?;
        let Unique(spelled) = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let members: Header = of_object(&spelled).ok()?;
        let wanted =
            Header { alg: "EdDSA".to_owned(), kid: self.approver.clone(), typ: "exeat-approval+jws".to_owned() };
        (members == wanted).then_some((header, URL_SAFE_NO_PAD.decode(signature).ok()?))
    }
}

#[derive(Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl Act {
    /// Returns true if the act is on the document with this hash.
    #[must_use]
    pub fn has_hash(&self, document: &Hash) -> bool {
        self.document_sha256.0 == *document
    }

    /// Returns true if the act is on this document.
    #[must_use]
    pub fn is_on(&self, document: &Value) -> bool {
        document_sha256(document).is_ok_and(|hash| self.has_hash(&hash))
    }
}

/// Returns the SHA-256 of a document in its canonical spelling (RFC 8785).
///
/// # Errors
///
/// [`BadNumber`] for a number on whose spelling not all programs agree.
pub fn document_sha256(document: &Value) -> Result<Hash, BadNumber> {
    Ok(Sha256::digest(canonical(document)?).into())
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::json::hex;

    pub(crate) fn act(verb: &str, document: &Value) -> Value {
        let sha256 = hex(&document_sha256(document).unwrap());
        json!({
            "type": "approval/v1", "act": verb, "kind": "production", "id": "p-1", "version": 1,
            "document_sha256": sha256, "valid_until": "2026-06-27T00:00:00Z",
        })
    }

    /// Signs as an approver does in a role.
    pub(crate) fn signed_as(role: &str, act: Value, approver: &str, seed: u8) -> Approval {
        Approval { role: role.to_owned(), ..signed(act, approver, seed) }
    }

    fn signed(act: Value, approver: &str, seed: u8) -> Approval {
        let header = json!({ "alg": "EdDSA", "kid": approver, "typ": "exeat-approval+jws" });
        signed_under(&header.to_string(), act, approver, seed)
    }

    fn signed_under(header: &str, act: Value, approver: &str, seed: u8) -> Approval {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let header = URL_SAFE_NO_PAD.encode(header);
        let payload = URL_SAFE_NO_PAD.encode(canonical(&act).unwrap());
        let signature = key.sign(format!("{header}.{payload}").as_bytes()).to_bytes();
        Approval {
            act,
            approver: approver.to_owned(),
            role: "counsel".to_owned(),
            public_key: URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
            jws: format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature)),
            at: None,
        }
    }

    #[test]
    fn an_act_that_was_signed_is_returned_and_knows_its_document() {
        let document = json!({ "b": 1, "a": ["x"] });
        let act = signed(act("produce", &document), "olga", 3).verify().unwrap();
        assert_eq!(
            (act.act.as_str(), act.kind.as_str(), act.id.as_str(), act.version),
            ("produce", "production", "p-1", 1)
        );
        assert!(act.is_on(&json!({ "a": ["x"], "b": 1 })));
        assert!(!act.is_on(&json!({ "a": ["x"], "b": 2 })));
    }

    #[test]
    fn whatever_is_changed_after_the_signature_is_found() {
        let good = signed(act("produce", &json!({})), "olga", 3);
        let signature = |approval: Approval| assert!(matches!(approval.verify(), Err(BadApproval::Signature(_))));
        signature(Approval { act: act("apply", &json!({})), ..good.clone() });
        signature(Approval { public_key: signed(Value::Null, "olga", 4).public_key, ..good.clone() });
        signature(Approval { public_key: "AAAA".to_owned(), ..good.clone() });
        let form = |approval: Approval| assert!(matches!(approval.verify(), Err(BadApproval::Form(_))));
        form(Approval { approver: "ivan".to_owned(), ..good.clone() });
        form(Approval { jws: good.jws.replace("..", "."), ..good.clone() });
        form(Approval { jws: good.jws.clone() + "=", ..good.clone() });
        form(Approval { jws: "a".repeat(600) + &good.jws, ..good });
    }

    #[test]
    fn only_the_one_header_counts_even_if_it_was_signed() {
        let header = |text: &str| signed_under(text, act("produce", &json!({})), "olga", 3).verify();
        assert!(header(r#"{"typ":"exeat-approval+jws","alg":"EdDSA","kid":"olga"}"#).is_ok());
        for bad in [
            r#"{"alg":"none","kid":"olga","typ":"exeat-approval+jws"}"#,
            r#"{"alg":"EdDSA","kid":"olga","typ":"JWT"}"#,
            r#"{"alg":"EdDSA","kid":"olga","typ":"exeat-approval+jws","crit":["b64"],"b64":false}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA","kid":"olga","typ":"exeat-approval+jws"}"#,
            r#"{"kid":"olga","typ":"exeat-approval+jws"}"#,
            r#"["EdDSA","olga","exeat-approval+jws"]"#,
        ] {
            assert_eq!(header(bad), Err(BadApproval::Form("olga".to_owned())), "{bad}");
        }
    }

    #[test]
    fn what_is_no_act_does_not_count_even_if_it_was_signed() {
        for change in [
            (|act: &mut Value| act["type"] = json!("approval/v2")) as fn(&mut Value),
            |act| act["more"] = json!(1),
            |act| act["document_sha256"] = json!("00"),
            |act| drop(act.as_object_mut().unwrap().remove("valid_until")),
        ] {
            let mut act = act("produce", &json!({}));
            change(&mut act);
            assert!(matches!(signed(act, "olga", 3).verify(), Err(BadApproval::Act { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_approval_is_read_or_refused(jws in ".*|[A-Za-z0-9_-]{0,40}\\.\\.[A-Za-z0-9_-]{0,90}", public_key: String) {
            let approval = Approval { jws, public_key, ..signed(act("produce", &json!({})), "olga", 3) };
            prop_assert!(approval.verify().is_err());
        }
    }
}
