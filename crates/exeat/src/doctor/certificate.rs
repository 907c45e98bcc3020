//! The certificate files: readable, private, and not about to expire.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway::TlsSettings;
use terms::Moment;

use super::Finding;

/// Common authorities renew 30 days before the end; with 14 left, renewal has failed.
const RENEWED_BY: Duration = Duration::from_hours(14 * 24);

/// Looks at the server's certificate and key.
pub(super) fn check(tls: &TlsSettings, now: Moment) -> Vec<Finding> {
    vec![chain(&tls.cert_chain, now), key(&tls.key)]
}

fn chain(file: &Path, now: Moment) -> Finding {
    let about = format!("certificate {}", file.display());
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return Finding::wrong(
                about,
                error.to_string(),
                "set `server.tls.cert_chain` to a PEM file that this user can read",
            );
        }
    };
    let Some(ends) = first_certificate(&text).and_then(|der| not_after(&der)) else {
        return Finding::wrong(
            about,
            "holds no certificate in PEM",
            "put the server's own certificate first, then the chain",
        );
    };
    if ends <= now {
        return Finding::wrong(about, format!("expired at {ends}"), "renew it and run `exeat reload`");
    }
    if ends.since(now) < RENEWED_BY {
        return Finding::caution(about, format!("expires at {ends}"), "renew it and run `exeat reload`");
    }
    Finding::fine(about, format!("good until {ends}"))
}

fn key(file: &Path) -> Finding {
    let about = format!("certificate key {}", file.display());
    match fs::read_to_string(file) {
        Err(error) => {
            Finding::wrong(about, error.to_string(), "set `server.tls.key` to a PEM file that this user can read")
        }
        Ok(text) if !text.contains("PRIVATE KEY-----") => {
            Finding::wrong(about, "holds no private key in PEM", "put the key of the first certificate here")
        }
        Ok(_) if mode(file) & 0o077 != 0 => Finding::caution(
            about,
            format!("others can read it (mode {:03o})", mode(file)),
            format!("chmod 600 {}", file.display()),
        ),
        Ok(_) => Finding::fine(about, "readable by its owner alone"),
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).map_or(0, |meta| meta.permissions().mode() & 0o777)
}

/// Returns the bytes of the first certificate of a PEM text (RFC 7468).
fn first_certificate(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// Reads `notAfter` out of a certificate (RFC 5280 section 4.1): the fifth or sixth field of its first part.
fn not_after(der: &[u8]) -> Option<Moment> {
    let (certificate, _) = element(der)?;
    let (mut to_be_signed, _) = element(certificate.value)?;
    let mut rest = to_be_signed.value;
    (to_be_signed, rest) = element(rest)?;
    if to_be_signed.tag == 0xa0 {
        (_, rest) = element(rest)?;
    }
    let (_algorithm, rest) = element(rest)?;
    let (_issuer, rest) = element(rest)?;
    let (validity, _) = element(rest)?;
    let (_not_before, rest) = element(validity.value)?;
    let (end, _) = element(rest)?;
    time(&end)
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
}

fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        let length =
            digits.iter().try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        (length, rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((Element { tag: *tag, value }, rest))
}

/// Reads a UTCTime (two digits of year, 50 to 49) or a GeneralizedTime, both in Z (RFC 5280 section 4.1.2.5).
fn time(element: &Element<'_>) -> Option<Moment> {
    let text = std::str::from_utf8(element.value).ok()?.strip_suffix('Z')?;
    let text = match element.tag {
        0x17 => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let part = |range: std::ops::Range<usize>| text.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    Moment::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed Ed25519 certificate made for this test; notAfter is 2034-01-02T03:04:05Z.
    const DER_HEAD: &[u8] = &[
        0x30, 0x36, 0x30, 0x34, // Certificate, TBSCertificate
        0xa0, 0x03, 0x02, 0x01, 0x02, // version 3
        0x02, 0x01, 0x07, // serial
        0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, // Ed25519
        0x30, 0x00, // issuer
        0x30, 0x1e, // validity
        0x17, 0x0d, b'2', b'4', b'0', b'1', b'0', b'2', b'0', b'3', b'0', b'4', b'0', b'5', b'Z', //
        0x17, 0x0d, b'3', b'4', b'0', b'1', b'0', b'2', b'0', b'3', b'0', b'4', b'0', b'5', b'Z', //
    ];

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut der = DER_HEAD.to_vec();
        // The outer lengths are those of what follows them.
        der[1] = u8::try_from(der.len() - 2).unwrap();
        der[3] = u8::try_from(der.len() - 4).unwrap();
        assert_eq!(not_after(&der).unwrap().to_string(), "2034-01-02T03:04:05Z");
        for end in 0..der.len() {
            assert!(not_after(&der[..end]).is_none(), "{end}");
        }
    }
}
