//! Certificates that carry an issuer's key beside a token (`x5c`), and the roots they lead to.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use serde_json::Value;
use terms::Moment;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::{
    extensions::GeneralName,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    },
    prelude::{FromDer, X509Certificate},
    x509::SubjectPublicKeyInfo,
};

use crate::{
    Header, Jwk, KeyFault, der,
    material::{Material, sha256},
};

/// The longest certificate that is read, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// The most certificates in one `x5c`.
const CHAIN_MAX: usize = 6;

/// A certificate that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateFault {
    /// Not an X.509 certificate in DER.
    #[error("the certificate is not X.509 in DER of at most {CERTIFICATE_BYTES_MAX} bytes")]
    Form,
    /// Its key.
    #[error("the certificate's key is refused: {0}")]
    Key(#[from] KeyFault),
    /// `x5c` is no list of certificates.
    #[error("`x5c` must be an array of 1 to {CHAIN_MAX} certificates in base64")]
    Chain,
    /// It leads to no root that is trusted, or does not hold now; in words.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(String),
}

/// What a certificate says; whether that is true is [`Chain::verify`]'s to find out.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its key.
    pub key: Jwk,
    /// The DNS names in its subject alternative name, in lower case.
    pub dns_names: Vec<String>,
    /// SHA-256 of the certificate in DER: `x5t#S256`.
    pub sha256: [u8; 32],
    /// From when it holds.
    pub not_before: Moment,
    /// Until when it holds.
    pub not_after: Moment,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::Form`] or [`CertificateFault::Key`].
    ///
    /// # Source
    ///
    /// RFC 5280 section 4.1.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateFault> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateFault::Form);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateFault::Form)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Form);
        }
        let validity = parsed.validity();
        let moment = |seconds: i64| Moment::from_millis(seconds.saturating_mul(1000));
        Ok(Self {
            key: Jwk::of_certificate(material(parsed.public_key())?)?,
            dns_names: dns_names(&parsed)?,
            sha256: sha256(der),
            not_before: moment(validity.not_before.timestamp()),
            not_after: moment(validity.not_after.timestamp()),
        })
    }

    /// Tells whether the certificate names `host`, letter for letter but for case; a wildcard names no one host.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.dns_names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// The certificates that came with a token: its issuer's first, each certified by the next.
#[derive(Clone, Debug)]
pub struct Chain {
    key: Jwk,
    ders: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads `x5c` of a header; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`CertificateFault`]: malformed.
    ///
    /// # Source
    ///
    /// RFC 7515 section 4.1.6.
    pub fn of(header: &Header) -> Result<Option<Self>, CertificateFault> {
        header.get("x5c").map(Self::from_value).transpose()
    }

    fn from_value(value: &Value) -> Result<Self, CertificateFault> {
        let listed = value.as_array().filter(|listed| (1..=CHAIN_MAX).contains(&listed.len()));
        let decoded = |each: &Value| STANDARD.decode(each.as_str()?).ok().map(CertificateDer::from);
        let ders: Option<Vec<_>> = listed.and_then(|listed| listed.iter().map(decoded).collect());
        let ders = ders.ok_or(CertificateFault::Chain)?;
        if ders.iter().any(|der| der.len() > CERTIFICATE_BYTES_MAX) {
            return Err(CertificateFault::Form);
        }
        let leaf = ders.first().ok_or(CertificateFault::Chain)?;
        Ok(Self { key: key_of(leaf)?, ders })
    }

    /// Requires that the chain leads to one of `roots` and holds at `now`; returns the key of the issuer.
    ///
    /// What the key may be used for beyond signatures of its own kind (extended key usage) is not asked. Revocation of
    /// certificates is not asked either: take a root away to end its trust.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::Untrusted`].
    ///
    /// # Source
    ///
    /// RFC 5280 section 6.
    pub fn verify(&self, roots: &Roots, now: Moment) -> Result<&Jwk, CertificateFault> {
        let untrusted = |error: webpki::Error| CertificateFault::Untrusted(error.to_string());
        let (leaf, rest) = self.ders.split_first().ok_or(CertificateFault::Chain)?;
        let leaf = EndEntityCert::try_from(leaf).map_err(untrusted)?;
        let seconds = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &roots.anchors, rest, time, AnyUsage, None, None)
            .map_err(untrusted)?;
        Ok(&self.key)
    }
}

/// The certificates that are trusted by themselves.
#[derive(Clone, Debug)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
}

impl Roots {
    /// Reads certificates in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::Form`]: one is no certificate.
    pub fn parse<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, CertificateFault> {
        let anchor = |der: &[u8]| {
            let der = CertificateDer::from(der);
            let anchor = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned());
            anchor.map_err(|_| CertificateFault::Form)
        };
        Ok(Self { anchors: ders.into_iter().map(anchor).collect::<Result<_, _>>()? })
    }
}

/// Issuers of credentials have certificates of many usages, none of them registered for all.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Reads the key of a certificate as the library that judges its chain sees it, so that no two readers differ.
fn key_of(der: &CertificateDer<'_>) -> Result<Jwk, CertificateFault> {
    let certificate = EndEntityCert::try_from(der).map_err(|_| CertificateFault::Form)?;
    let key = certificate.subject_public_key_info();
    match SubjectPublicKeyInfo::from_der(&key) {
        Ok(([], key)) => Ok(Jwk::of_certificate(material(&key)?)?),
        _ => Err(CertificateFault::Form),
    }
}

fn material(key: &SubjectPublicKeyInfo<'_>) -> Result<Material, KeyFault> {
    let (kind, bytes) = (&key.algorithm.algorithm, key.subject_public_key.data.as_ref());
    if *kind == OID_PKCS1_RSAENCRYPTION {
        let (n, e) = der::rsa_public_key(bytes).ok_or(KeyFault::Member("n"))?;
        return Material::rsa(n, e);
    }
    if *kind == OID_SIG_ED25519 {
        return Material::ed25519(bytes.try_into().map_err(|_| KeyFault::Point)?);
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let curve = curve.filter(|_| *kind == OID_KEY_TYPE_EC_PUBLIC_KEY).ok_or(KeyFault::Type)?;
    match Material::point(bytes)? {
        point @ Material::P256 { .. } if curve == OID_EC_P256 => Ok(point),
        point @ Material::P384 { .. } if curve == OID_NIST_EC_P384 => Ok(point),
        _ => Err(KeyFault::Type),
    }
}

fn dns_names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, CertificateFault> {
    let names = certificate.subject_alternative_name().map_err(|_| CertificateFault::Form)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    Ok(names.iter().filter_map(dns).collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use serde_json::json;

    use super::*;
    use crate::{Alg, SigningKey};

    struct Authority {
        der: Vec<u8>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn authority(name: &str, above: Option<&Authority>) -> Authority {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let signed = match above {
            Some(above) => params.signed_by(&key, &above.issuer),
            None => params.self_signed(&key),
        };
        Authority { der: signed.unwrap().der().to_vec(), issuer: Issuer::new(params, key) }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params
    }

    fn leaf(with: &'static rcgen::SignatureAlgorithm, by: &Authority) -> (KeyPair, Vec<u8>) {
        let key = KeyPair::generate_for(with).unwrap();
        let der = params("Issuer.Example").signed_by(&key, &by.issuer).unwrap().der().to_vec();
        (key, der)
    }

    fn chain(ders: &[&[u8]]) -> Result<Chain, CertificateFault> {
        Chain::from_value(&json!(ders.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>()))
    }

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn a_certificate_says_its_key() {
        let root = authority("root.example", None);
        for with in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let (key, der) = leaf(with, &root);
            let found = key_of(&CertificateDer::from(der)).unwrap();
            let alg = Alg::ALL.iter().find(|alg| found.verifies(**alg)).unwrap();
            let ours = SigningKey::from_pkcs8(*alg, &key.serialize_der()).unwrap();
            assert_eq!(found.thumbprint(), ours.public().thumbprint());
        }
    }

    #[test]
    fn a_chain_is_trusted_if_it_leads_to_a_root_and_holds_now() {
        let (root, other) = (authority("root.example", None), authority("other.example", None));
        let middle = authority("middle.example", Some(&root));
        let (_, leaf) = leaf(&rcgen::PKCS_ECDSA_P256_SHA256, &middle);
        let roots = Roots::parse([root.der.as_slice()]).unwrap();
        let now = at("2026-06-12T21:21:00Z");
        let good = chain(&[&leaf, &middle.der]).unwrap();
        assert_eq!(good.verify(&roots, now).unwrap().thumbprint(), good.key.thumbprint());
        let trusted = |chain: &Chain, roots: &Roots, now| chain.verify(roots, now).is_ok();
        assert!(!trusted(&good, &Roots::parse([other.der.as_slice()]).unwrap(), now));
        assert!(!trusted(&good, &Roots::parse([]).unwrap(), now));
        assert!(!trusted(&good, &roots, at("2025-12-31T23:59:00Z")));
        assert!(!trusted(&good, &roots, at("2027-01-01T00:01:00Z")));
        assert!(!trusted(&chain(&[&leaf]).unwrap(), &roots, now), "the one in between is missing");
        assert!(!trusted(&chain(&[&leaf, &other.der]).unwrap(), &roots, now));
    }

    #[test]
    fn a_certificate_of_no_authority_certifies_nothing() {
        let root = authority("root.example", None);
        let (key, der) = leaf(&rcgen::PKCS_ECDSA_P256_SHA256, &root);
        let attacker = Authority { der: der.clone(), issuer: Issuer::new(params("Issuer.Example"), key) };
        let (_, forged) = leaf(&rcgen::PKCS_ECDSA_P256_SHA256, &attacker);
        let roots = Roots::parse([root.der.as_slice()]).unwrap();
        let chain = chain(&[&forged, &der]).unwrap();
        assert!(matches!(chain.verify(&roots, at("2026-06-12T21:21:00Z")), Err(CertificateFault::Untrusted(_))));
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let (_, der) = leaf(&rcgen::PKCS_ED25519, &authority("root.example", None));
        for bad in [json!([]), json!("x"), json!([1]), json!(["%"]), json!(vec![STANDARD.encode(&der); 7])] {
            assert_eq!(Chain::from_value(&bad).unwrap_err(), CertificateFault::Chain);
        }
        assert_eq!(chain(&[b"x"]).unwrap_err(), CertificateFault::Form);
        assert_eq!(chain(&[&[&der[..], &[0]].concat()]).unwrap_err(), CertificateFault::Form);
        assert_eq!(chain(&[&der, &[0; CERTIFICATE_BYTES_MAX + 1]]).unwrap_err(), CertificateFault::Form);
        assert!(Roots::parse([&b"x"[..]]).is_err());
        for cut in 0..der.len() {
            assert!(chain(&[&der[..cut]]).is_err());
        }
    }

    #[test]
    fn a_point_of_another_curve_than_the_certificate_names_is_no_key() {
        let oid = |body: &[u8]| [&[0x06, u8::try_from(body.len()).unwrap()], body].concat();
        let (p256, p384) = (oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]), oid(&[0x2b, 0x81, 4, 0, 0x22]));
        let algorithm = |curve: &[u8]| {
            let id = [oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), curve.to_vec()].concat();
            [&[0x30, u8::try_from(id.len()).unwrap()], id.as_slice()].concat()
        };
        let public = SigningKey::generate(Alg::Es256).unwrap();
        let read = |curve: &[u8]| {
            let point = Material::parse(public.public().to_value().as_object().unwrap()).unwrap().uncompressed();
            let body = [algorithm(curve), [&[0x03, 0x42, 0][..], &point].concat()].concat();
            let spki = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
            material(&SubjectPublicKeyInfo::from_der(&spki).unwrap().1)
        };
        assert!(read(&p256).is_ok());
        assert_eq!(read(&p384), Err(KeyFault::Type));
    }
}
