//! DSSE: a payload of some type, signed by the key of a log.
//!
//! # Source
//!
//! Dead Simple Signing Envelope, protocol and envelope v1.0.2.

use serde::{Deserialize, Serialize};

use crate::{
    json::{Base64, spelled},
    note::{SignerKey, VerifierKey},
};

/// An envelope is at most this long, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// A payload with one signature, which is not checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    key: String,
    signature: Vec<u8>,
}

/// The bytes are no envelope, or not one to be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEnvelope {
    /// Longer than [`ENVELOPE_BYTES_MAX`].
    #[error("the envelope is longer than 16 MiB")]
    TooLong,
    /// Not the JSON of an envelope with one signature.
    #[error("the envelope is not the JSON of a DSSE envelope with one signature: {0}")]
    Malformed(String),
    /// The payload is something else.
    #[error("the envelope holds `{0}`, which is not what was asked for")]
    PayloadType(String),
    /// Another key signed, or the signature is not its own.
    #[error("the envelope is not signed by the key `{0}`: pin the key it should be signed with")]
    Signature(String),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: Base64,
    signatures: [WireSignature; 1],
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: String,
    sig: Base64,
}

impl Envelope {
    /// Signs a payload.
    #[must_use]
    pub fn sign(payload_type: &str, payload: Vec<u8>, key: &SignerKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(payload_type, &payload));
        Self::signed(payload_type, payload, key.name(), &signature)
    }

    /// Takes a payload that was signed elsewhere: `signature` is that of the key `key`, by name, over
    /// [`pre_authentication_encoding`].
    #[must_use]
    pub fn signed(payload_type: &str, payload: Vec<u8>, key: &str, signature: &[u8; 64]) -> Self {
        Self { payload_type: payload_type.to_owned(), payload, key: key.to_owned(), signature: signature.to_vec() }
    }

    /// Reads an envelope; its payload is handed out by [`Envelope::verify`] only.
    ///
    /// # Errors
    ///
    /// [`BadEnvelope::TooLong`], [`BadEnvelope::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(BadEnvelope::TooLong);
        }
        let wire: Wire = spelled(bytes).map_err(|e| BadEnvelope::Malformed(e.to_string()))?;
        let [WireSignature { keyid, sig }] = wire.signatures;
        Ok(Self { payload_type: wire.payload_type, payload: wire.payload.0, key: keyid, signature: sig.0 })
    }

    /// Writes the envelope as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let signature = WireSignature { keyid: self.key.clone(), sig: Base64(self.signature.clone()) };
        let payload = Base64(self.payload.clone());
        let wire = Wire { payload_type: self.payload_type.clone(), payload, signatures: [signature] };
        // Strings have a spelling in JSON.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Returns the payload, if it is of this type and signed by this key.
    ///
    /// # Errors
    ///
    /// [`BadEnvelope::PayloadType`], [`BadEnvelope::Signature`]: nothing in it may be believed.
    pub fn verify(&self, payload_type: &str, key: &VerifierKey) -> Result<&[u8], BadEnvelope> {
        if self.payload_type != payload_type {
            return Err(BadEnvelope::PayloadType(self.payload_type.clone()));
        }
        let message = pre_authentication_encoding(payload_type, &self.payload);
        if self.key != key.name() || !key.accepts(&message, &self.signature) {
            return Err(BadEnvelope::Signature(key.name().to_owned()));
        }
        Ok(&self.payload)
    }
}

/// Returns what is signed: type and payload, each after its length in bytes as a decimal number.
///
/// # Source
///
/// DSSE protocol v1.0.2, `PAE`.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "http://example.com/HelloWorld";

    fn key() -> SignerKey {
        SignerKey::from_seed("log.example.com/exeat/1", &[5; 32]).unwrap()
    }

    /// The example of the protocol's own text.
    #[test]
    fn what_is_signed_is_what_the_protocol_says() {
        let message = pre_authentication_encoding(TYPE, b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_has_the_members_that_the_protocol_says() {
        let text = Envelope::signed(TYPE, b"hello world".to_vec(), "log", &[0; 64]).to_json();
        let wanted = format!(
            r#"{{"payloadType":"{TYPE}","payload":"aGVsbG8gd29ybGQ=","signatures":[{{"keyid":"log","sig":"{}=="}}]}}"#,
            "A".repeat(86)
        );
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }

    #[test]
    fn what_the_key_did_not_sign_as_this_type_is_refused() {
        let good = Envelope::sign(TYPE, b"hello world".to_vec(), &key());
        assert_eq!(good.verify(TYPE, &key().verifier()), Ok(&b"hello world"[..]));
        assert_eq!(good.verify("text/plain", &key().verifier()), Err(BadEnvelope::PayloadType(TYPE.to_owned())));
        let refused = |envelope: &Envelope, key: &SignerKey| {
            assert!(matches!(envelope.verify(TYPE, &key.verifier()), Err(BadEnvelope::Signature(_))));
        };
        refused(&good, &SignerKey::from_seed("log.example.com/exeat/1", &[6; 32]).unwrap());
        refused(&good, &SignerKey::from_seed("log.example.com/exeat/2", &[5; 32]).unwrap());
        refused(&Envelope { payload: b"hello worle".to_vec(), ..good.clone() }, &key());
        refused(&Envelope { signature: Vec::new(), ..good }, &key());
    }

    #[test]
    fn an_envelope_without_one_signature_or_with_more_to_say_is_refused() {
        for bad in [
            r#"{"payloadType":"t","payload":"","signatures":[]}"#,
            r#"{"payloadType":"t","payload":"","signatures":[{"keyid":"a","sig":""},{"keyid":"b","sig":""}]}"#,
            r#"{"payloadType":"t","payload":"","signatures":[{"keyid":"a","sig":""}],"more":1}"#,
            r#"{"payloadType":"t","payload":"","signatures":[{"keyid":"a","sig":"","cert":""}]}"#,
            r#"{"payloadType":"t","payloadType":"u","payload":"","signatures":[{"keyid":"a","sig":""}]}"#,
            r#"{"payloadType":"t","payload":"_-","signatures":[{"keyid":"a","sig":""}]}"#,
            r#"{"payloadType":"t","payload":"","signatures":[{"keyid":"a","sig":""}]} {}"#,
        ] {
            assert!(matches!(Envelope::parse(bad.as_bytes()), Err(BadEnvelope::Malformed(_))), "{bad}");
        }
        assert_eq!(Envelope::parse(&vec![b' '; ENVELOPE_BYTES_MAX + 1]), Err(BadEnvelope::TooLong));
    }

    proptest! {
        #[test]
        fn an_envelope_reads_back(payload: Vec<u8>, name in "[a-z./0-9]{1,20}") {
            let key = SignerKey::from_seed(&name, &[1; 32]).unwrap();
            let envelope = Envelope::sign(TYPE, payload.clone(), &key);
            let read = Envelope::parse(&envelope.to_json()).unwrap();
            prop_assert_eq!(read.verify(TYPE, &key.verifier()), Ok(payload.as_slice()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at: prop::sample::Index) {
            let mut text = Envelope::sign(TYPE, b"hello world".to_vec(), &key()).to_json();
            let at = at.index(text.len());
            text.splice(at..text.len().min(at + bytes.len()), bytes);
            if let Ok(read) = Envelope::parse(&text) {
                prop_assert_eq!(Envelope::parse(&read.to_json()), Ok(read));
            }
        }
    }
}
