//! The numbers of a public key, checked, and their one canonical spelling.

use aws_lc_rs::{
    digest,
    signature::{self, ParsedPublicKey, RsaPublicKeyComponents},
};
use ed25519_dalek::VerifyingKey;
use serde_json::Value;

use crate::{Alg, KeyFault, base64url, json::Object};

/// RSA keys shorter than this are within reach of a well-equipped attacker (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;
/// RSA keys longer than this cost more to verify than a stranger may make us spend.
const RSA_BITS_MAX: usize = 8192;
/// The longest public exponent that is read, in bytes; all the world's keys use 3.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// A public key of a type that exists here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { x: [u8; 32], y: [u8; 32] },
    P384 { x: [u8; 48], y: [u8; 48] },
    Ed25519 { x: [u8; 32] },
}

impl Material {
    /// Reads the members that `kty` names.
    pub(crate) fn parse(members: &Object) -> Result<Self, KeyFault> {
        let text = |name: &'static str| members.get(name).and_then(Value::as_str);
        match (text("kty"), text("crv")) {
            (Some("RSA"), None) => Self::rsa(bytes(members, "n")?, bytes(members, "e")?),
            (Some("EC"), Some("P-256")) => Ok(Self::P256 { x: array(members, "x")?, y: array(members, "y")? }),
            (Some("EC"), Some("P-384")) => Ok(Self::P384 { x: array(members, "x")?, y: array(members, "y")? }),
            (Some("OKP"), Some("Ed25519")) => Self::ed25519(array(members, "x")?),
            _ => Err(KeyFault::Type),
        }
    }

    pub(crate) fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, KeyFault> {
        let bits = bit_length(&n).ok_or(KeyFault::Member("n"))?;
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyFault::RsaSize { bits });
        }
        let odd = e.last().is_some_and(|last| last % 2 == 1);
        let usable = bit_length(&e).is_some_and(|bits| bits > 1) && e.len() <= RSA_EXPONENT_BYTES_MAX;
        if odd && usable { Ok(Self::Rsa { n, e }) } else { Err(KeyFault::Member("e")) }
    }

    /// Reads a point of Ed25519. One of order 8 or less is refused: with it, signatures can be made that verify with any
    /// message.
    ///
    /// # Source
    ///
    /// RFC 8032 section 5.1.3.
    pub(crate) fn ed25519(x: [u8; 32]) -> Result<Self, KeyFault> {
        // Decompressed here, since what verifies would not notice before the first signature.
        match VerifyingKey::from_bytes(&x) {
            Ok(point) if !point.is_weak() => Ok(Self::Ed25519 { x }),
            _ => Err(KeyFault::Point),
        }
    }

    /// Reads an uncompressed point (SEC 1 section 2.3.4) of P-256 or P-384.
    pub(crate) fn point(point: &[u8]) -> Result<Self, KeyFault> {
        let coordinates = point.strip_prefix(&[4]).ok_or(KeyFault::Point)?;
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        match (x.try_into(), y.try_into()) {
            (Ok(x), Ok(y)) => return Ok(Self::P256 { x, y }),
            (Err(_), _) | (_, Err(_)) => {}
        }
        let x = x.try_into().map_err(|_| KeyFault::Point)?;
        Ok(Self::P384 { x, y: y.try_into().map_err(|_| KeyFault::Point)? })
    }

    /// Returns the algorithms that a key of this type can verify.
    pub(crate) fn algs(&self) -> &'static [Alg] {
        match self {
            Self::Rsa { .. } => &[Alg::Rs256, Alg::Ps256],
            Self::P256 { .. } => &[Alg::Es256],
            Self::P384 { .. } => &[Alg::Es384],
            Self::Ed25519 { .. } => &[Alg::EdDsa],
        }
    }

    /// Makes the key ready to verify `alg`; fails if its point is not on the curve.
    pub(crate) fn verifier(&self, alg: Alg) -> Result<ParsedPublicKey, KeyFault> {
        let parsed = match self {
            Self::Rsa { n, e } => {
                let padding = if alg == Alg::Ps256 {
                    &signature::RSA_PSS_2048_8192_SHA256
                } else {
                    &signature::RSA_PKCS1_2048_8192_SHA256
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(padding)
            }
            Self::Ed25519 { x } => ParsedPublicKey::new(alg.verification(), x),
            Self::P256 { .. } | Self::P384 { .. } => ParsedPublicKey::new(alg.verification(), self.uncompressed()),
        };
        parsed.map_err(|_| KeyFault::Point)
    }

    /// Returns the uncompressed point of an elliptic curve key; nothing of any other.
    pub(crate) fn uncompressed(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => [&[4], x.as_slice(), y].concat(),
            Self::P384 { x, y } => [&[4], x.as_slice(), y].concat(),
            Self::Rsa { .. } | Self::Ed25519 { .. } => Vec::new(),
        }
    }

    /// Returns the members that make up the key, and no other.
    pub(crate) fn members(&self) -> Object {
        let pairs: &[(&str, String)] = &match self {
            Self::Rsa { n, e } => {
                vec![("e", base64url::encode(e)), ("kty", "RSA".to_owned()), ("n", base64url::encode(n))]
            }
            Self::P256 { x, y } => ec("P-256", x, y),
            Self::P384 { x, y } => ec("P-384", x, y),
            Self::Ed25519 { x } => {
                vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", base64url::encode(x))]
            }
        };
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
    }

    /// Hashes the required members in the order of their names.
    ///
    /// # Source
    ///
    /// RFC 7638 section 3; RFC 8037 section 2.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        let mut members: Vec<_> = self.members().into_iter().collect();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        sha256(format!("{{{}}}", members.join(",")).as_bytes())
    }
}

/// Returns the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn ec(crv: &'static str, x: &[u8], y: &[u8]) -> Vec<(&'static str, String)> {
    vec![("crv", crv.to_owned()), ("kty", "EC".to_owned()), ("x", base64url::encode(x)), ("y", base64url::encode(y))]
}

fn bytes(members: &Object, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let text = members.get(name).and_then(Value::as_str).ok_or(KeyFault::Member(name))?;
    base64url::decode(text).map_err(|_| KeyFault::Member(name))
}

fn array<const N: usize>(members: &Object, name: &'static str) -> Result<[u8; N], KeyFault> {
    bytes(members, name)?.try_into().map_err(|_| KeyFault::Member(name))
}

/// Returns the length of a big-endian number in bits; nothing if it is zero or starts with a zero byte.
fn bit_length(number: &[u8]) -> Option<usize> {
    let first = number.first().filter(|first| **first != 0)?;
    let rest = number.len().checked_sub(1)?.checked_mul(8)?;
    usize::try_from(u8::BITS - first.leading_zeros()).ok()?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Verifier};

    use super::*;

    /// The y coordinates of the points of order 8 or less, and their spellings above the prime p = 2^255 - 19.
    fn small_order() -> Vec<[u8; 32]> {
        let small = |first| [vec![first], vec![0; 31]].concat();
        let near_prime = |first| [vec![first], vec![0xff; 30], vec![0x7f]].concat();
        let of_order_8 = ["JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"];
        let listed = [small(0), small(1), near_prime(0xec), near_prime(0xed), near_prime(0xee)];
        let of_order_8 = of_order_8.map(|y| base64url::decode(y).unwrap());
        listed.into_iter().chain(of_order_8).map(|y| y.try_into().unwrap()).collect()
    }

    #[test]
    fn a_point_of_small_order_is_refused_with_either_sign() {
        for y in small_order() {
            for sign in [0, 0x80] {
                let mut x = y;
                x[31] |= sign;
                assert_eq!(Material::ed25519(x), Err(KeyFault::Point), "{x:?}");
            }
        }
        let points = small_order().iter().filter(|y| VerifyingKey::from_bytes(y).is_ok()).count();
        assert!(points >= 5, "the list is of points, not of any numbers");
    }

    #[test]
    fn a_signature_that_a_weak_point_verifies_shows_why_it_is_refused() {
        // R = the neutral element, S = 0: holds under the neutral key for any message.
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let key: [u8; 32] = *bytes.first_chunk().unwrap();
        let neutral = VerifyingKey::from_bytes(&key).unwrap();
        assert!(neutral.verify(b"never signed", &Signature::from_bytes(&bytes)).is_ok());
        assert_eq!(Material::ed25519(key), Err(KeyFault::Point));
    }

    #[test]
    fn a_point_is_read_in_one_form_only() {
        for bad in [&[][..], &[4], &[3; 33], &[4; 64], &[4; 66], &[5; 65], &[4; 98], &[0; 65]] {
            assert_eq!(Material::point(bad), Err(KeyFault::Point), "{bad:?}");
        }
        assert!(matches!(Material::point(&[4; 65]), Ok(Material::P256 { .. })));
        assert!(matches!(Material::point(&[4; 97]), Ok(Material::P384 { .. })));
    }
}
