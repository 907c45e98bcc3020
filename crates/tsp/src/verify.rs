//! Whether a response is to be believed.

use std::time::Duration;

use aws_lc_rs::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use terms::Moment;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, aws_lc_rs as algorithms};

use crate::{
    Query, Roots, Stamp,
    certificate::Certificate,
    der::{self, BadDer, Element, Reader},
    response::{Signer, TST_INFO, Token},
    stamp::{Info, dotted},
};

/// 1.3.6.1.5.5.7.3.8
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// 1.2.840.113549.1.9.3
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.2.840.113549.1.9.4
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.9.16.2.12
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
/// 1.2.840.113549.1.9.16.2.47
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];

/// 2.16.840.1.101.3.4.2.1, .2 and .3
const DIGESTS: [(&[u8], &Algorithm); 3] = [
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], &SHA256),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], &SHA384),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], &SHA512),
];
/// 1.2.840.113549.1.1.1: PKCS #1 with the digest that stands beside it.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.113549.1.1.11, .12 and .13, and 1.2.840.10045.4.3.2, .3 and .4: an algorithm together with its digest.
const RSA_SHA: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d],
];
const ECDSA_SHA: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
];
type Verifiers = &'static [&'static dyn SignatureVerificationAlgorithm];
const RSA_VERIFIERS: [Verifiers; 3] = [
    &[algorithms::RSA_PKCS1_2048_8192_SHA256],
    &[algorithms::RSA_PKCS1_2048_8192_SHA384],
    &[algorithms::RSA_PKCS1_2048_8192_SHA512],
];
const ECDSA_VERIFIERS: [Verifiers; 3] = [
    &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256],
    &[algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384],
    &[algorithms::ECDSA_P256_SHA512, algorithms::ECDSA_P384_SHA512],
];

/// A response that shows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadStamp {
    /// Not a response with a token, or the authority refused.
    #[error("the response has no time stamp: {0}")]
    Response(String),
    /// It stamps something else.
    #[error("the time stamp is over another digest")]
    Digest,
    /// It answers another query.
    #[error("the time stamp answers another query")]
    Nonce,
    /// The signature is not over this time stamp, or not good.
    #[error("the signature of the time stamp does not verify: {0}")]
    Signature(&'static str),
    /// The certificate that signed leads to no trusted root, or may not stamp.
    #[error("the authority's certificate is not trusted: {0}")]
    Untrusted(String),
}

impl From<BadDer> for BadStamp {
    fn from(error: BadDer) -> Self {
        Self::Response(error.to_string())
    }
}

/// Requires that `response` stamps what was asked, signed by an authority that one of `roots` certified for this purpose
/// alone and whose certificate held at the time of the stamp; returns what it says.
///
/// Revocation of certificates is not asked: take a root away to end its trust.
///
/// # Errors
///
/// [`BadStamp`]: nothing is shown.
///
/// # Source
///
/// RFC 3161 section 2.2; RFC 5652 section 5.6; RFC 5816.
pub fn verify(response: &[u8], asked: Asked<'_>, roots: &Roots) -> Result<Stamp, BadStamp> {
    let token = Token::of_response(response).map_err(|why| BadStamp::Response(why.to_string()))?;
    let info = Info::parse(token.info)?;
    if info.digest != asked.digest() {
        return Err(BadStamp::Digest);
    }
    if asked.nonce().is_some_and(|nonce| info.nonce != Some(nonce)) {
        return Err(BadStamp::Nonce);
    }
    let attributes = Attributes::read(token.signer.attributes.read())?;
    let signer = attributes.signer(&token)?;
    check_signature(&token, &attributes, signer)?;
    let certificate = check_chain(&token, signer, info.at, roots)?;
    Ok(Stamp {
        at: info.at,
        serial: info.serial.iter().map(|byte| format!("{byte:02x}")).collect(),
        policy: dotted(info.policy).ok_or(BadDer("the policy"))?,
        authority: certificate.name,
    })
}

/// What a response is held against.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// The query that was just sent.
    Now(&'a Query),
    /// The digest alone, of a response that was stored.
    Earlier(&'a [u8; 32]),
}

impl Asked<'_> {
    fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Now(query) => &query.digest,
            Self::Earlier(digest) => digest,
        }
    }

    /// Returns the nonce as an integer is written, without leading zeros.
    fn nonce(&self) -> Option<&[u8]> {
        let Self::Now(query) = self else { return None };
        let zeros = query.nonce.iter().take_while(|&&byte| byte == 0).count();
        query.nonce.get(zeros..)
    }
}

/// What the signer signed beside the content.
struct Attributes<'a> {
    content_type: &'a [u8],
    message_digest: &'a [u8],
    /// The hash of the signer's certificate, and by which algorithm.
    certificate: (&'a [u8], &'static Algorithm),
}

impl<'a> Attributes<'a> {
    fn read(mut set: Reader<'a>) -> Result<Self, BadStamp> {
        let (mut content_type, mut message_digest, mut first, mut second) = (None, None, None, None);
        while !set.is_empty() {
            let (id, value) = attribute(&mut set)?;
            let place = match id {
                CONTENT_TYPE => &mut content_type,
                MESSAGE_DIGEST => &mut message_digest,
                SIGNING_CERTIFICATE => &mut first,
                SIGNING_CERTIFICATE_V2 => &mut second,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(BadStamp::Signature("an attribute is there twice"));
            }
        }
        const MISSING: BadStamp = BadStamp::Signature("a signed attribute is missing");
        Ok(Self {
            content_type: content_type.filter(|value| value.tag == der::OID).ok_or(MISSING)?.body,
            message_digest: message_digest.filter(|value| value.tag == der::OCTET_STRING).ok_or(MISSING)?.body,
            certificate: match (second, first) {
                (Some(second), _) => certificate_hash_v2(&second)?,
                (None, Some(first)) => certificate_hash(&first)?,
                (None, None) => return Err(MISSING),
            },
        })
    }

    /// Returns the one certificate that signed, as the signed attributes name it by its hash.
    fn signer<'t>(&self, token: &Token<'t>) -> Result<&'t [u8], BadStamp> {
        let (hash, algorithm) = self.certificate;
        let found = token.certificates.iter().find(|der| digest::digest(algorithm, der).as_ref() == hash);
        found.copied().ok_or_else(|| BadStamp::Untrusted("it did not come along".to_owned()))
    }
}

/// Reads one attribute, which must have one value.
fn attribute<'a>(set: &mut Reader<'a>) -> Result<(&'a [u8], Element<'a>), BadDer> {
    const WHAT: &str = "a signed attribute";
    let mut attribute = set.take(der::SEQUENCE, WHAT)?.read();
    let id = attribute.take(der::OID, WHAT)?.body;
    let mut values = attribute.take(der::SET, WHAT)?.read();
    attribute.end(WHAT)?;
    let value = values.any(WHAT)?;
    values.end(WHAT)?;
    Ok((id, value))
}

/// # Source
///
/// RFC 2634 section 5.4, `SigningCertificate`: SHA-1, which nobody can turn to another certificate of their choice.
fn certificate_hash<'a>(value: &Element<'a>) -> Result<(&'a [u8], &'static Algorithm), BadDer> {
    let mut first = first_certificate(value)?;
    Ok((first.take(der::OCTET_STRING, "the certificate's hash")?.body, &SHA1_FOR_LEGACY_USE_ONLY))
}

/// # Source
///
/// RFC 5035 section 4, `SigningCertificateV2`: SHA-256 where no algorithm is named.
fn certificate_hash_v2<'a>(value: &Element<'a>) -> Result<(&'a [u8], &'static Algorithm), BadStamp> {
    let mut first = first_certificate(value)?;
    let named = first.next_if(der::SEQUENCE, "the hash's algorithm")?;
    let named = named.map(|named| named.read().take(der::OID, "the hash's algorithm")).transpose()?;
    let algorithm = named.map_or(Ok(&SHA256), |named| digest_of(named.body))?;
    Ok((first.take(der::OCTET_STRING, "the certificate's hash")?.body, algorithm))
}

fn first_certificate<'a>(value: &Element<'a>) -> Result<Reader<'a>, BadDer> {
    const WHAT: &str = "the signing certificate";
    if value.tag != der::SEQUENCE {
        return Err(BadDer(WHAT));
    }
    let mut list = value.read().take(der::SEQUENCE, WHAT)?.read();
    Ok(list.take(der::SEQUENCE, WHAT)?.read())
}

fn digest_of(id: &[u8]) -> Result<&'static Algorithm, BadStamp> {
    let known = DIGESTS.iter().find(|(known, _)| *known == id);
    known.map(|(_, algorithm)| *algorithm).ok_or(BadStamp::Signature("its digest is none of SHA-256, -384 and -512"))
}

fn check_signature(token: &Token<'_>, attributes: &Attributes<'_>, certificate: &[u8]) -> Result<(), BadStamp> {
    let digest = digest::digest(digest_of(token.signer.digest)?, token.info);
    if attributes.content_type != TST_INFO || attributes.message_digest != digest.as_ref() {
        return Err(BadStamp::Signature("it is over another time stamp"));
    }
    let certificate = CertificateDer::from(certificate);
    let certificate = EndEntityCert::try_from(&certificate).map_err(untrusted)?;
    // What is signed is the set as a set, not as a part of the token (RFC 5652 section 5.4).
    let signed = der::wrapped(der::SET, &[token.signer.attributes.body]);
    let mut verifiers = verifiers(&token.signer)?.iter();
    let good = verifiers.any(|how| certificate.verify_signature(*how, &signed, token.signer.signature).is_ok());
    if good { Ok(()) } else { Err(BadStamp::Signature("it is not by the authority's key")) }
}

/// Returns how the signature may have been made.
fn verifiers(signer: &Signer<'_>) -> Result<Verifiers, BadStamp> {
    let beside = |ids: &[&[u8]]| ids.iter().position(|id| *id == signer.algorithm);
    let of_digest = || DIGESTS.iter().position(|(id, _)| *id == signer.digest);
    let rsa = beside(&RSA_SHA).or_else(|| of_digest().filter(|_| signer.algorithm == RSA));
    let rsa = rsa.and_then(|at| RSA_VERIFIERS.get(at));
    let found = rsa.or_else(|| beside(&ECDSA_SHA).and_then(|at| ECDSA_VERIFIERS.get(at)));
    found.copied().ok_or(BadStamp::Signature("its algorithm is neither RSA (PKCS #1) nor ECDSA"))
}

fn check_chain(token: &Token<'_>, signer: &[u8], at: Moment, roots: &Roots) -> Result<Certificate, BadStamp> {
    let certificate = Certificate::parse(signer)?;
    if !certificate.only_time_stamping {
        return Err(BadStamp::Untrusted("it is not for time stamps alone".to_owned()));
    }
    let others: Vec<_> = token.certificates.iter().map(|der| CertificateDer::from(*der)).collect();
    let der = CertificateDer::from(signer);
    let leaf = EndEntityCert::try_from(&der).map_err(untrusted)?;
    let seconds = u64::try_from(at.as_millis() / 1_000).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = KeyUsage::required(TIME_STAMPING);
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &roots.0, &others, time, usage, None, None).map_err(untrusted)?;
    Ok(certificate)
}

fn untrusted(error: webpki::Error) -> BadStamp {
    BadStamp::Untrusted(error.to_string())
}
