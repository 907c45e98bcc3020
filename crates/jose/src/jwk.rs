//! Public keys as JSON (RFC 7517).

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::Value;

use crate::{
    Alg, JsonFault,
    json::{self, Object},
    material::Material,
};

/// The longest JWK that is read, in bytes: an RSA key of 8192 bits with a chain of certificates beside it.
pub(crate) const JWK_BYTES_MAX: usize = 16 * 1024;
/// The longest `kid` that is read, in bytes.
pub(crate) const KID_BYTES_MAX: usize = 256;
/// The one key agreement (RFC 7518 section 4.6).
pub(crate) const ECDH_ES: &str = "ECDH-ES";

/// Members that only a private or a shared key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key that is not used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFault {
    /// The JSON itself.
    #[error("the key {0}")]
    Json(#[from] JsonFault),
    /// It holds a secret. Whoever published it must replace it.
    #[error("the key has the private member `{0}`: publish its public members only, and replace it")]
    Secret(&'static str),
    /// A key type or curve that does not exist here.
    #[error("the key's `kty` and `crv` are none of RSA, EC with P-256 or P-384, OKP with Ed25519")]
    Type,
    /// A member that is missing or malformed.
    #[error("the key's `{0}` is missing or malformed")]
    Member(&'static str),
    /// An RSA modulus of the wrong length.
    #[error("the key has {bits} bits: RSA keys have 2048 to 8192")]
    RsaSize {
        /// The length of its modulus.
        bits: usize,
    },
    /// Not a point of the curve, or one that verifies what nobody signed.
    #[error("the key is no good point of its curve")]
    Point,
    /// `alg`, `use` or `key_ops` rule out what it would be used for here.
    #[error("the key's `alg`, `use` and `key_ops` do not allow a use that exists here")]
    Purpose,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Any,
    Signatures,
    Agreement,
}

/// A public key that is ready to verify signatures, or to agree with.
#[derive(Clone)]
pub struct Jwk {
    material: Material,
    kid: Option<String>,
    alg: Option<Alg>,
    purpose: Purpose,
    verifiers: Vec<(Alg, ParsedPublicKey)>,
    thumbprint: [u8; 32],
}

impl Jwk {
    /// Reads a public key.
    ///
    /// # Errors
    ///
    /// [`KeyFault`]: what is wrong with it; never with a part of a secret.
    ///
    /// # Source
    ///
    /// RFC 7517 section 4; RFC 7518 section 6; RFC 8037 section 2.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFault> {
        Self::from_members(&json::parse_object(bytes, JWK_BYTES_MAX)?)
    }

    /// Reads a public key out of JSON that was read already, such as `jwk` in a header or in `cnf`.
    ///
    /// # Errors
    ///
    /// [`KeyFault`]: as [`Jwk::parse`].
    pub fn from_value(value: &Value) -> Result<Self, KeyFault> {
        Self::from_members(value.as_object().ok_or(JsonFault::NotObject)?)
    }

    /// Returns the RFC 7638 thumbprint with SHA-256: which key this is, whatever else is said beside it.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }

    /// Returns the name under which its owner publishes it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the one signature algorithm that its owner allows, if it names one.
    #[must_use]
    pub fn alg(&self) -> Option<Alg> {
        self.alg
    }

    /// Tells whether a signature of `alg` could be verified with this key.
    #[must_use]
    pub fn verifies(&self, alg: Alg) -> bool {
        self.verifiers.iter().any(|(with, _)| *with == alg)
    }

    /// Returns the key as a JSON object, public members only.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = self.material.members();
        let (purpose, alg) = match self.purpose {
            Purpose::Any => (None, self.alg.map(Alg::name)),
            Purpose::Signatures => (Some("sig"), self.alg.map(Alg::name)),
            Purpose::Agreement => (Some("enc"), Some(ECDH_ES)),
        };
        for (name, value) in [("alg", alg), ("kid", self.kid()), ("use", purpose)] {
            if let Some(value) = value {
                members.insert(name.to_owned(), Value::from(value));
            }
        }
        Value::Object(members)
    }

    /// Returns the key as a JSON object with nothing but what makes it up, as a header carries it.
    pub(crate) fn bare(&self) -> Value {
        Value::Object(self.material.members())
    }

    /// Verifies a signature of `alg`; false too if the key is not for `alg`.
    #[must_use]
    pub(crate) fn verify(&self, alg: Alg, input: &[u8], signature: &[u8]) -> bool {
        let verifier = self.verifiers.iter().find(|(with, _)| *with == alg);
        verifier.is_some_and(|(_, key)| key.verify_sig(input, signature).is_ok())
    }

    /// Makes the key of our own `material`, to sign `alg`, named by its thumbprint.
    pub(crate) fn for_signatures(material: Material, alg: Alg) -> Result<Self, KeyFault> {
        let kid = crate::base64url::encode(material.thumbprint());
        Self::new(material, Some(kid), Some(alg), Purpose::Signatures)
    }

    /// Makes the key of our own `material`, to be agreed with, named by its thumbprint.
    pub(crate) fn for_agreement(material: Material) -> Result<Self, KeyFault> {
        let kid = crate::base64url::encode(material.thumbprint());
        Self::new(material, Some(kid), None, Purpose::Agreement)
    }

    /// Makes the key of a certificate, which names neither it nor its algorithm.
    pub(crate) fn of_certificate(material: Material) -> Result<Self, KeyFault> {
        Self::new(material, None, None, Purpose::Signatures)
    }

    /// Returns the point to agree with; nothing if the key is not for agreement.
    pub(crate) fn agreement_point(&self) -> Option<Vec<u8>> {
        let agrees = self.purpose != Purpose::Signatures && self.alg.is_none();
        (agrees && matches!(self.material, Material::P256 { .. })).then(|| self.material.uncompressed())
    }

    fn from_members(members: &Object) -> Result<Self, KeyFault> {
        if let Some(secret) = SECRET_MEMBERS.into_iter().find(|name| members.contains_key(*name)) {
            return Err(KeyFault::Secret(secret));
        }
        let material = Material::parse(members)?;
        let kid = text(members, "kid")?;
        if kid.is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(KeyFault::Member("kid"));
        }
        let (alg, purpose) = purpose(members)?;
        Self::new(material, kid.map(str::to_owned), alg, purpose)
    }

    fn new(material: Material, kid: Option<String>, alg: Option<Alg>, purpose: Purpose) -> Result<Self, KeyFault> {
        let mut verifiers = Vec::new();
        for &possible in material.algs() {
            // Made in any case: it proves that a point of P-256 or P-384 is on its curve.
            let verifier = material.verifier(possible)?;
            if purpose != Purpose::Agreement && alg.is_none_or(|alg| alg == possible) {
                verifiers.push((possible, verifier));
            }
        }
        let agrees = purpose == Purpose::Agreement && matches!(material, Material::P256 { .. });
        if verifiers.is_empty() && !agrees {
            return Err(KeyFault::Purpose);
        }
        let thumbprint = material.thumbprint();
        Ok(Self { material, kid, alg, purpose, verifiers, thumbprint })
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_value(), f)
    }
}

fn text<'a>(members: &'a Object, name: &'static str) -> Result<Option<&'a str>, KeyFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Member(name)),
    }
}

/// Reads what the key's owner allows it to be used for.
///
/// # Source
///
/// RFC 7517 sections 4.2 to 4.4.
fn purpose(members: &Object) -> Result<(Option<Alg>, Purpose), KeyFault> {
    let named = match text(members, "alg")? {
        None => None,
        Some(ECDH_ES) => Some(None),
        Some(name) => Some(Some(Alg::from_name(name).ok_or(KeyFault::Purpose)?)),
    };
    let declared = match text(members, "use")? {
        None => Purpose::Any,
        Some("sig") => Purpose::Signatures,
        Some("enc") => Purpose::Agreement,
        Some(_) => return Err(KeyFault::Purpose),
    };
    let verifies = operations(members)?.is_none_or(|operations| operations.contains(&"verify"));
    match (named, declared) {
        (Some(None), Purpose::Signatures) | (Some(Some(_)), Purpose::Agreement) => Err(KeyFault::Purpose),
        (Some(None), _) | (None, Purpose::Agreement) => Ok((None, Purpose::Agreement)),
        _ if !verifies => Err(KeyFault::Purpose),
        (alg, declared) => Ok((alg.flatten(), declared)),
    }
}

fn operations(members: &Object) -> Result<Option<Vec<&str>>, KeyFault> {
    let Some(listed) = members.get("key_ops") else {
        return Ok(None);
    };
    let texts = listed.as_array().and_then(|listed| listed.iter().map(Value::as_str).collect());
    texts.map(Some).ok_or(KeyFault::Member("key_ops"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base64url;

    fn jwk(value: Value) -> Jwk {
        Jwk::from_value(&value).unwrap()
    }

    fn holds(key: &Jwk, alg: Alg, token: &str) -> bool {
        let (input, signature) = token.rsplit_once('.').unwrap();
        key.verify(alg, input.as_bytes(), &base64url::decode(signature).unwrap())
    }

    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    #[test]
    fn the_rs256_example_of_rfc_7515_appendix_a_2_verifies() {
        let key = jwk(json!({ "kty": "RSA", "e": "AQAB", "n": concat!(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2",
            "lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTB",
            "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kz",
            "k2PAcDTW9gb54h4FRWyuXpoQ") }));
        let signature = concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9",
            "CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOL",
            "n6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV",
            "rBp0igcN_IoypGlUPQGe77Rw"
        );
        let token = format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{signature}");
        assert!(holds(&key, Alg::Rs256, &token));
        assert!(!holds(&key, Alg::Ps256, &token));
        assert!(!holds(&key, Alg::Rs256, &token.replacen("eyJ", "eyK", 1)));
    }

    #[test]
    fn the_es256_example_of_rfc_7515_appendix_a_3_verifies() {
        let key = jwk(json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }));
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{signature}");
        assert!(holds(&key, Alg::Es256, &token));
        assert!(!holds(&key, Alg::Es256, &token.replacen("eyJ", "eyK", 1)));
    }

    #[test]
    fn the_key_the_thumbprint_and_the_signature_of_rfc_8037_appendix_a_are_right() {
        let key = jwk(json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }));
        assert_eq!(base64url::encode(key.thumbprint()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let token = concat!(
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert!(holds(&key, Alg::EdDsa, token));
        assert!(!holds(&key, Alg::EdDsa, &token.replacen("eyJ", "eyK", 1)));
    }

    #[test]
    fn the_set_of_rfc_7517_appendix_a_1_is_read_and_its_rsa_key_has_the_thumbprint_of_rfc_7638() {
        let set = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
              "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "enc", "kid": "1" },
            { "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB", "n": concat!(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4",
                "n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0",
                "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-c",
                "sFCur-kEgU8awapJzKnqDKgw") },
        ] });
        let set = crate::Jwks::parse(set.to_string().as_bytes()).unwrap();
        assert!(set.find(Some("1"), Alg::Es256).is_none(), "it is for encryption");
        let rsa = set.find(Some("2011-04-29"), Alg::Rs256).unwrap();
        assert_eq!(base64url::encode(rsa.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert!(set.find(Some("2011-04-29"), Alg::Ps256).is_none(), "its `alg` is another");
    }

    #[test]
    fn a_number_that_is_no_point_of_ed25519_is_no_key() {
        // y = 2 belongs to no point: (y^2 - 1) / (d y^2 + 1) is no square.
        let x = base64url::encode([&[2][..], &[0; 31]].concat());
        let key = Jwk::from_value(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x }));
        assert_eq!(key.unwrap_err(), KeyFault::Point);
    }

    #[test]
    fn a_key_that_is_written_is_read_back_as_the_same() {
        for &alg in Alg::ALL {
            let public = crate::SigningKey::generate(alg).unwrap().public().clone();
            let read = Jwk::parse(public.to_value().to_string().as_bytes()).unwrap();
            assert_eq!(read.to_value(), public.to_value());
            assert_eq!(read.thumbprint(), public.thumbprint());
        }
    }
}
