//! Messages for one key: JWE in compact form, with a key agreed for each message.

use std::fmt;

use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, Nonce, RandomizedNonceKey, UnboundKey},
    agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey},
    digest,
    encoding::{AsDer, Pkcs8V1Der},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    JsonFault, Jwk, KeyFault, SigningFault, base64url,
    json::{self, Object},
    jwk::ECDH_ES,
    material::Material,
};

/// The longest message that is read, in bytes: a presentation of several credentials with portraits.
const JWE_BYTES_MAX: usize = 1024 * 1024;
/// The longest header that is read, in bytes, before base64url.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The code at the end of a message of AES-GCM, in bytes (RFC 7518 section 5.3).
const TAG_BYTES: usize = 16;

/// How the content is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enc {
    /// AES-GCM with a key of 128 bits.
    A128Gcm,
    /// AES-GCM with a key of 256 bits.
    A256Gcm,
}

/// A message that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JweFault {
    /// More bytes than are read.
    #[error("the message is longer than {JWE_BYTES_MAX} bytes")]
    TooLong,
    /// Not five parts in base64url, the second empty.
    #[error("the message is not a JWE in compact form with direct key agreement: `header..iv.ciphertext.tag`")]
    Form,
    /// The header's JSON.
    #[error("the message's header {0}")]
    Header(JsonFault),
    /// A member of the header that is missing, malformed, or asks for what does not exist here.
    #[error("the message's header has no good `{0}`")]
    Member(&'static str),
    /// The sender's key.
    #[error("the message's `epk` is refused: {0}")]
    Key(KeyFault),
    /// The message was not made for this key, or was changed.
    #[error("the message cannot be decrypted: it is for another key, or was changed")]
    Sealed,
    /// No key of P-256 that may be agreed with.
    #[error("the recipient's key is no P-256 key for encryption")]
    Recipient,
    /// The operation itself.
    #[error("encryption failed: the system may have no randomness")]
    Failed,
}

/// A private key of P-256 to agree with. It is shown nowhere; the library that holds it clears it when it is dropped.
pub struct DecryptionKey {
    private: PrivateKey,
    public: Jwk,
}

/// A message that was decrypted.
pub struct Decrypted {
    /// Its header.
    pub header: Object,
    /// What it says; cleared when it is dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
}

impl Enc {
    /// Returns the name in `enc`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::A128Gcm, Self::A256Gcm].into_iter().find(|enc| enc.name() == name)
    }

    fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm => 32,
        }
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::A128Gcm => &aead::AES_128_GCM,
            Self::A256Gcm => &aead::AES_256_GCM,
        }
    }
}

impl DecryptionKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`]: the system has no randomness.
    pub fn generate() -> Result<Self, SigningFault> {
        Self::new(PrivateKey::generate(&ECDH_P256).map_err(|_| SigningFault::Failed)?)
    }

    /// Reads a private key from PKCS#8 in DER.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Pkcs8`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningFault> {
        Self::new(PrivateKey::from_private_key_der(&ECDH_P256, der).map_err(|_| SigningFault::Pkcs8)?)
    }

    /// Returns the private key as PKCS#8 in DER: a secret, cleared when it is dropped.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`].
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningFault> {
        let der: Pkcs8V1Der<'_> = self.private.as_der().map_err(|_| SigningFault::Failed)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// Returns the public key, for `enc` only; its `kid` is its RFC 7638 thumbprint.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    fn new(private: PrivateKey) -> Result<Self, SigningFault> {
        let public = private.compute_public_key().map_err(|_| SigningFault::Failed)?;
        let public = Jwk::for_agreement(Material::point(public.as_ref())?)?;
        Ok(Self { private, public })
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Shows the header only.
impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Decrypts a message: ECDH-ES with P-256, AES-GCM, and nothing else.
///
/// # Errors
///
/// [`JweFault`]: malformed, for another key, or changed.
///
/// # Source
///
/// RFC 7516 section 5.2; RFC 7518 sections 4.6 and 5.3.
pub fn decrypt(token: &str, key: &DecryptionKey) -> Result<Decrypted, JweFault> {
    if token.len() > JWE_BYTES_MAX {
        return Err(JweFault::TooLong);
    }
    let parts: Vec<&str> = token.splitn(6, '.').collect();
    let [protected, "", iv, ciphertext, tag] = *parts.as_slice() else {
        return Err(JweFault::Form);
    };
    let decoded = |part: &str| base64url::decode(part).map_err(|_| JweFault::Form);
    let header = json::parse_object(&decoded(protected)?, HEADER_BYTES_MAX).map_err(JweFault::Header)?;
    let (enc, info) = read_header(&header)?;
    let sender = sender_point(&header)?;
    let secret = agree(&key.private, &sender, &info, enc)?;
    let (iv, tag) = (base64url::decode_array(iv), base64url::decode_array::<TAG_BYTES>(tag));
    let (Ok(iv), Ok(tag)) = (iv, tag) else {
        return Err(JweFault::Form);
    };
    let mut sealed = Zeroizing::new(decoded(ciphertext)?);
    sealed.extend_from_slice(&tag);
    open(enc, &secret, iv, protected, &mut sealed)?;
    Ok(Decrypted { header, plaintext: sealed })
}

/// Encrypts `plaintext` for the holder of `recipient`.
///
/// # Errors
///
/// [`JweFault::Recipient`] or [`JweFault::Failed`].
///
/// # Source
///
/// RFC 7516 section 5.1; RFC 7518 sections 4.6 and 5.3.
pub fn encrypt(plaintext: &[u8], recipient: &Jwk, enc: Enc) -> Result<String, JweFault> {
    let point = recipient.agreement_point().ok_or(JweFault::Recipient)?;
    let ephemeral = DecryptionKey::generate().map_err(|_| JweFault::Failed)?;
    let mut header = json!({ "alg": ECDH_ES, "enc": enc.name(), "epk": ephemeral.public.bare() });
    if let (Some(members), Some(kid)) = (header.as_object_mut(), recipient.kid()) {
        members.insert("kid".to_owned(), Value::from(kid));
    }
    let protected = base64url::encode(header.to_string());
    let secret = agree(&ephemeral.private, &point, &other_info(enc, &[], &[]), enc)?;
    let key = RandomizedNonceKey::new(enc.algorithm(), &secret).map_err(|_| JweFault::Failed)?;
    let mut sealed = plaintext.to_vec();
    let iv =
        key.seal_in_place_append_tag(Aad::from(protected.as_bytes()), &mut sealed).map_err(|_| JweFault::Failed)?;
    let (ciphertext, tag) = sealed.split_at(sealed.len().saturating_sub(TAG_BYTES));
    let [iv, ciphertext, tag] = [iv.as_ref(), ciphertext, tag].map(base64url::encode);
    Ok(format!("{protected}..{iv}.{ciphertext}.{tag}"))
}

/// Reads how the content is encrypted, and what is hashed into its key.
fn read_header(header: &Object) -> Result<(Enc, Vec<u8>), JweFault> {
    for refused in ["crit", "zip"] {
        if header.contains_key(refused) {
            return Err(JweFault::Member(refused));
        }
    }
    let text = |name: &'static str| header.get(name).and_then(Value::as_str);
    if text("alg") != Some(ECDH_ES) {
        return Err(JweFault::Member("alg"));
    }
    let enc = text("enc").and_then(Enc::from_name).ok_or(JweFault::Member("enc"))?;
    let party = |name: &'static str| match header.get(name) {
        None => Ok(Vec::new()),
        Some(value) => value.as_str().and_then(|text| base64url::decode(text).ok()).ok_or(JweFault::Member(name)),
    };
    Ok((enc, other_info(enc, &party("apu")?, &party("apv")?)))
}

fn sender_point(header: &Object) -> Result<Vec<u8>, JweFault> {
    let key = header.get("epk").ok_or(JweFault::Member("epk"))?;
    let key = Jwk::from_value(key).map_err(JweFault::Key)?;
    key.agreement_point().ok_or(JweFault::Member("epk"))
}

/// Agrees on the key of one message.
fn agree(private: &PrivateKey, peer: &[u8], info: &[u8], enc: Enc) -> Result<Zeroizing<Vec<u8>>, JweFault> {
    let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
    agreement::agree(private, peer, JweFault::Sealed, |secret| Ok(derive(secret, info, enc)))
}

/// Derives the key of a message from the agreed secret; one round of SHA-256 is enough for both lengths.
///
/// # Source
///
/// NIST SP 800-56A section 5.8.1, as RFC 7518 section 4.6.2 uses it.
fn derive(secret: &[u8], info: &[u8], enc: Enc) -> Zeroizing<Vec<u8>> {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [&1_u32.to_be_bytes(), secret, info] {
        hash.update(part);
    }
    let mut key = Zeroizing::new(hash.finish().as_ref().to_vec());
    key.truncate(enc.key_bytes());
    key
}

/// Returns the context of a key: the algorithm, both parties, and its length in bits.
fn other_info(enc: Enc, apu: &[u8], apv: &[u8]) -> Vec<u8> {
    let mut info = Vec::new();
    for part in [enc.name().as_bytes(), apu, apv] {
        // No part is longer than a header.
        info.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        info.extend_from_slice(part);
    }
    let bits: u32 = if enc == Enc::A128Gcm { 128 } else { 256 };
    info.extend_from_slice(&bits.to_be_bytes());
    info
}

/// Decrypts in place and cuts off the code.
fn open(enc: Enc, key: &[u8], iv: [u8; 12], aad: &str, sealed: &mut Vec<u8>) -> Result<(), JweFault> {
    let key = UnboundKey::new(enc.algorithm(), key).map(LessSafeKey::new).map_err(|_| JweFault::Failed)?;
    let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(aad.as_bytes()));
    let length = key.open_in_place(nonce, aad, sealed).map_err(|_| JweFault::Sealed)?.len();
    sealed.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bob's private key in RFC 7518 appendix C.
    const BOB_D: &str = "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw";

    #[test]
    fn the_key_of_rfc_7518_appendix_c_is_derived() {
        let bob = PrivateKey::from_private_key(&ECDH_P256, &base64url::decode(BOB_D).unwrap()).unwrap();
        let alice = json!({ "epk": { "kty": "EC", "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps" } });
        let header = json!({ "alg": "ECDH-ES", "enc": "A128GCM", "apu": "QWxpY2U", "apv": "Qm9i" });
        let (enc, info) = read_header(header.as_object().unwrap()).unwrap();
        let key = agree(&bob, &sender_point(alice.as_object().unwrap()).unwrap(), &info, enc).unwrap();
        assert_eq!(base64url::encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn a_message_is_read_by_its_recipient_and_by_nobody_else() {
        let (bob, eve) = (DecryptionKey::generate().unwrap(), DecryptionKey::generate().unwrap());
        for enc in [Enc::A128Gcm, Enc::A256Gcm] {
            for text in [&b""[..], b"{\"vp_token\":{}}", &[7; 5000]] {
                let message = encrypt(text, bob.public(), enc).unwrap();
                let read = decrypt(&message, &bob).unwrap();
                assert_eq!(*read.plaintext, text);
                assert_eq!(read.header.get("kid").and_then(Value::as_str), bob.public().kid());
                assert_eq!(decrypt(&message, &eve).unwrap_err(), JweFault::Sealed);
            }
        }
    }

    #[test]
    fn a_private_key_survives_its_file_and_is_shown_nowhere() {
        let key = DecryptionKey::generate().unwrap();
        let read = DecryptionKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        let message = encrypt(b"x", key.public(), Enc::A256Gcm).unwrap();
        assert_eq!(*decrypt(&message, &read).unwrap().plaintext, b"x");
        assert_eq!(format!("{key:?}"), format!("DecryptionKey {{ public: {:?}, .. }}", key.public()));
        assert_eq!(DecryptionKey::from_pkcs8(b"x").unwrap_err(), SigningFault::Pkcs8);
    }

    #[test]
    fn every_changed_character_of_a_message_is_noticed() {
        let key = DecryptionKey::generate().unwrap();
        let message = encrypt(b"{\"a\":1}", key.public(), Enc::A128Gcm).unwrap();
        for at in 0..message.len() {
            let mut changed = message.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(decrypt(std::str::from_utf8(&changed).unwrap(), &key).is_err(), "{at}");
        }
    }

    #[test]
    fn other_algorithms_compression_and_bad_keys_are_refused() {
        let key = DecryptionKey::generate().unwrap();
        let good = json!({ "alg": "ECDH-ES", "enc": "A128GCM", "epk": key.public().bare() });
        let mut off = key.public().bare();
        off["y"] = off["x"].clone();
        for (member, value, fault) in [
            ("alg", json!("dir"), JweFault::Member("alg")),
            ("alg", json!("RSA-OAEP"), JweFault::Member("alg")),
            ("alg", json!("ECDH-ES+A128KW"), JweFault::Member("alg")),
            ("enc", json!("A128CBC-HS256"), JweFault::Member("enc")),
            ("zip", json!("DEF"), JweFault::Member("zip")),
            ("crit", json!([]), JweFault::Member("crit")),
            ("apu", json!("=="), JweFault::Member("apu")),
            ("epk", off, JweFault::Key(KeyFault::Point)),
            ("epk", json!({ "kty": "oct", "k": "AA" }), JweFault::Key(KeyFault::Secret("k"))),
        ] {
            let mut header = good.clone();
            header[member] = value;
            let token = format!("{}..{}.AA.{}", base64url::encode(header.to_string()), "A".repeat(16), "A".repeat(22));
            assert_eq!(decrypt(&token, &key).unwrap_err(), fault, "{header}");
        }
        for bad in ["", "a.b.c", "e30..AA.AA", "e30.AA.AA.AA.AA", "e30..AA.AA.AA.AA", "e30==..AA.AA.AA"] {
            assert_eq!(decrypt(bad, &key).unwrap_err(), JweFault::Form, "{bad}");
        }
        assert_eq!(decrypt(&"A".repeat(JWE_BYTES_MAX + 1), &key).unwrap_err(), JweFault::TooLong);
    }

    #[test]
    fn a_key_for_signatures_is_not_encrypted_for() {
        let signing = crate::SigningKey::generate(crate::Alg::Es256).unwrap();
        assert_eq!(encrypt(b"x", signing.public(), Enc::A128Gcm).unwrap_err(), JweFault::Recipient);
    }
}
