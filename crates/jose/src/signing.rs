//! Private keys, and what they sign.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    Alg, Jwk, KeyFault, base64url, der,
    json::{self, Object},
    jwk::JWK_BYTES_MAX,
    material::Material,
};

/// The bits of an RSA key that is made here.
const RSA_SIZE: rsa::KeySize = rsa::KeySize::Rsa2048;

/// A private key that cannot be made, read or used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigningFault {
    /// Not a private key of this algorithm in PKCS#8.
    #[error("the private key is not PKCS#8 of the type that its algorithm needs")]
    Pkcs8,
    /// Not a private Ed25519 key as a JWK.
    #[error("the private key is not an Ed25519 key as a JWK with `x` and `d`")]
    Jwk,
    /// Its public half would not be accepted.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// The claims are no JSON object.
    #[error("the claims are no JSON object")]
    Claims,
    /// The operation itself.
    #[error("the operation on the private key failed: the system may have no randomness")]
    Failed,
}

/// A private key for one algorithm. It is shown nowhere; the library that holds it clears it when it is dropped.
pub struct SigningKey {
    pair: Pair,
    public: Jwk,
    alg: Alg,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a new key; an RSA key of 2048 bits takes up to a second.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`].
    pub fn generate(alg: Alg) -> Result<Self, SigningFault> {
        let pair = match ec_algorithm(alg) {
            Some(ec) => EcdsaKeyPair::generate(ec).map(Pair::Ec),
            None if alg == Alg::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
            None => RsaKeyPair::generate(RSA_SIZE).map(Pair::Rsa),
        };
        Self::new(pair.map_err(|_| SigningFault::Failed)?, alg)
    }

    /// Reads a private key for `alg` from PKCS#8 in DER.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Pkcs8`], or [`SigningFault::Key`] for an RSA key that is too short.
    ///
    /// # Source
    ///
    /// RFC 5958 section 2.
    pub fn from_pkcs8(alg: Alg, der: &[u8]) -> Result<Self, SigningFault> {
        let pair = match ec_algorithm(alg) {
            Some(ec) => EcdsaKeyPair::from_pkcs8(ec, der).map(Pair::Ec),
            None if alg == Alg::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519),
            None => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
        };
        Self::new(pair.map_err(|_| SigningFault::Pkcs8)?, alg)
    }

    /// Returns the private key as PKCS#8 in DER: a secret, cleared when it is dropped.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`].
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningFault> {
        let document = match &self.pair {
            Pair::Rsa(pair) => {
                let der: Result<Pkcs8V1Der<'_>, _> = pair.as_der();
                der.map(|der| der.as_ref().to_vec())
            }
            Pair::Ec(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
        };
        document.map(Zeroizing::new).map_err(|_| SigningFault::Failed)
    }

    /// Reads a private Ed25519 key from a JWK.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Jwk`]: it is none, or its private and its public half do not belong together.
    ///
    /// # Source
    ///
    /// RFC 8037 section 2.
    pub fn from_ed25519_jwk(text: &str) -> Result<Self, SigningFault> {
        let members = json::parse_object(text.as_bytes(), JWK_BYTES_MAX).map_err(|_| SigningFault::Jwk)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(SigningFault::Jwk);
        let half = |name| base64url::decode_array::<32>(text(name)?).map_err(|_| SigningFault::Jwk);
        if (text("kty")?, text("crv")?) != ("OKP", "Ed25519") {
            return Err(SigningFault::Jwk);
        }
        let (seed, public) = (Zeroizing::new(half("d")?), half("x")?);
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed.as_slice(), &public);
        Self::new(Pair::Ed25519(pair.map_err(|_| SigningFault::Jwk)?), Alg::EdDsa)
    }

    /// Returns a private Ed25519 key as a JWK: a secret, cleared when it is dropped.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Jwk`]: it is a key of another type.
    ///
    /// # Source
    ///
    /// RFC 8037 section 2.
    pub fn to_ed25519_jwk(&self) -> Result<Zeroizing<String>, SigningFault> {
        let Pair::Ed25519(pair) = &self.pair else {
            return Err(SigningFault::Jwk);
        };
        let seed = pair.seed().map_err(|_| SigningFault::Failed)?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| SigningFault::Failed)?;
        let d = Zeroizing::new(base64url::encode(seed.as_ref()));
        let x = base64url::encode(pair.public_key());
        // Written by hand: a JSON value would leave a copy of the secret behind.
        Ok(Zeroizing::new(format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{}"}}"#, *d)))
    }

    /// Returns the public key; its `kid` is its RFC 7638 thumbprint.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Signs `claims` as a token of the type `typ`, in compact form.
    ///
    /// The header has `alg`, `typ`, the key's `kid`, and the members of `extra`, of which none replaces `alg` or `typ`;
    /// `"kid": null` leaves `kid` out.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Claims`] or [`SigningFault::Failed`].
    ///
    /// # Source
    ///
    /// RFC 7515 section 5.1.
    pub fn sign(&self, typ: &str, extra: &Object, claims: &impl Serialize) -> Result<String, SigningFault> {
        let claims = serde_json::to_value(claims).map_err(|_| SigningFault::Claims)?;
        if !claims.is_object() {
            return Err(SigningFault::Claims);
        }
        self.sign_payload(typ, extra, claims.to_string().as_bytes())
    }

    /// Signs exactly the bytes of `payload`, as [`SigningKey::sign`] does the claims: for kinds that say how theirs is
    /// spelled.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`].
    ///
    /// # Source
    ///
    /// RFC 7515 section 5.1.
    pub fn sign_payload(&self, typ: &str, extra: &Object, payload: &[u8]) -> Result<String, SigningFault> {
        let mut header = Object::new();
        let mut put = |name: &str, value: Value| drop(header.insert(name.to_owned(), value));
        put("alg", Value::from(self.alg.name()));
        put("kid", self.public.kid().map_or(Value::Null, Value::from));
        extra.iter().filter(|(name, _)| *name != "alg").for_each(|(name, value)| put(name, value.clone()));
        put("typ", Value::from(typ));
        header.retain(|_, value| !value.is_null());
        let header = Value::Object(header).to_string();
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = self.sign_bytes(input.as_bytes())?;
        Ok(format!("{input}.{}", base64url::encode(signature)))
    }

    fn sign_bytes(&self, input: &[u8]) -> Result<Vec<u8>, SigningFault> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, input).map(|signature| signature.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(input).map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if self.alg == Alg::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, input, &mut signature).map(|()| signature)
            }
        };
        signed.map_err(|_| SigningFault::Failed)
    }

    fn new(pair: Pair, alg: Alg) -> Result<Self, SigningFault> {
        let public = Jwk::for_signatures(pair.material()?, alg)?;
        Ok(Self { pair, public, alg })
    }
}

impl Pair {
    fn material(&self) -> Result<Material, KeyFault> {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = der::rsa_public_key(pair.public_key().as_ref()).ok_or(KeyFault::Type)?;
                Material::rsa(n, e)
            }
            Self::Ec(pair) => Material::point(pair.public_key().as_ref()),
            Self::Ed25519(pair) => {
                let x = pair.public_key().as_ref().try_into().map_err(|_| KeyFault::Type)?;
                Material::ed25519(x)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn ec_algorithm(alg: Alg) -> Option<&'static EcdsaSigningAlgorithm> {
    match alg {
        Alg::Es256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Alg::Es384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Alg::Rs256 | Alg::Ps256 | Alg::EdDsa => None,
    }
}
