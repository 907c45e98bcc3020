//! What a time stamp says.

use terms::Moment;

use crate::{
    der::{self, BadDer, Reader, context},
    query::SHA256_ALGORITHM,
};

/// What an authority says under its signature: this digest was there at this time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// When.
    pub at: Moment,
    /// The authority's number of the stamp, in hexadecimal digits.
    pub serial: String,
    /// Under which policy of the authority, as an object identifier in dotted decimals.
    pub policy: String,
    /// The subject of the certificate that signed it: its common name, else empty.
    pub authority: String,
}

/// The content of a token.
pub(crate) struct Info<'a> {
    pub(crate) digest: &'a [u8],
    pub(crate) nonce: Option<&'a [u8]>,
    pub(crate) at: Moment,
    pub(crate) serial: &'a [u8],
    pub(crate) policy: &'a [u8],
}

impl<'a> Info<'a> {
    /// # Source
    ///
    /// RFC 3161 section 2.4.2, `TSTInfo`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, BadDer> {
        let mut info = Reader::only(bytes, der::SEQUENCE, "the time stamp")?.read();
        if info.take(der::INTEGER, "the stamp's version")?.body != [1] {
            return Err(BadDer("version 1 of the time stamp"));
        }
        let policy = info.take(der::OID, "the policy")?.body;
        let digest = imprint(&mut info)?;
        let serial = info.take(der::INTEGER, "the serial number")?.body;
        let at = moment(info.take(der::GENERALIZED_TIME, "the time")?.body).ok_or(BadDer("the time"))?;
        info.next_if(der::SEQUENCE, "the accuracy")?;
        info.next_if(der::BOOLEAN, "the ordering")?;
        let nonce = info.next_if(der::INTEGER, "the nonce")?;
        let nonce = nonce.map(|nonce| der::unsigned(&nonce).ok_or(BadDer("the nonce"))).transpose()?;
        info.next_if(context(0), "the authority's name")?;
        info.next_if(context(1), "the extensions")?;
        info.end("the end of the time stamp")?;
        Ok(Self { digest, nonce, at, serial, policy })
    }
}

/// Reads the digest that is stamped, which must be a SHA-256.
fn imprint<'a>(info: &mut Reader<'a>) -> Result<&'a [u8], BadDer> {
    const WHAT: &str = "a stamped SHA-256";
    let mut imprint = info.take(der::SEQUENCE, WHAT)?.read();
    let algorithm = imprint.take(der::SEQUENCE, WHAT)?;
    let without_parameters = SHA256_ALGORITHM.get(2..13);
    if algorithm.whole != SHA256_ALGORITHM && Some(algorithm.body) != without_parameters {
        return Err(BadDer(WHAT));
    }
    let digest = imprint.take(der::OCTET_STRING, WHAT)?.body;
    imprint.end(WHAT)?;
    Ok(digest)
}

/// Reads `YYYYMMDDhhmmss[.s+]Z`.
///
/// # Source
///
/// RFC 3161 section 2.4.2; RFC 5280 section 4.1.2.5.2.
fn moment(text: &[u8]) -> Option<Moment> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exact = |text: &str| digits(text) && (1..=9).contains(&text.len()) && !text.ends_with('0');
    if whole.len() != 14 || !digits(whole) || !fraction.is_none_or(exact) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
    let dot = if fraction.is_some() { "." } else { "" };
    let (date, time) =
        ([part(0, 4), part(4, 6), part(6, 8)].join("-"), [part(8, 10), part(10, 12), part(12, 14)].join(":"));
    Moment::parse(&format!("{date}T{time}{dot}{}Z", fraction.unwrap_or_default())).ok()
}

/// Spells an object identifier in dotted decimals.
pub(crate) fn dotted(oid: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let whole = oid.last().is_some_and(|last| last & 0x80 == 0);
    let (&first, rest) = arcs.split_first().filter(|_| whole)?;
    let root = (first / 40).min(2);
    let texts = [root, first - root * 40].into_iter().chain(rest.iter().copied()).map(|arc| arc.to_string());
    Some(texts.collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_has_one_spelling() {
        let at = |text: &str| moment(text.as_bytes()).map(|moment| moment.to_string());
        assert_eq!(at("20260612212100Z").as_deref(), Some("2026-06-12T21:21:00Z"));
        assert_eq!(at("20260612212100.25Z").as_deref(), Some("2026-06-12T21:21:00.25Z"));
        for bad in [
            "20260612212100",
            "202606122121Z",
            "20260612212100.Z",
            "20260612212100.50Z",
            "20261312212100Z",
            "20260612212100+0100",
            "é0260612212100Z",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_object_identifier_is_spelled_in_decimals() {
        assert_eq!(dotted(&[0x2a, 0x03, 0x04, 0x01]).as_deref(), Some("1.2.3.4.1"));
        assert_eq!(dotted(&[0x60, 0x86, 0x48, 0x01]).as_deref(), Some("2.16.840.1"));
        assert_eq!(dotted(&[0x88, 0x37]).as_deref(), Some("2.999"));
        assert_eq!((dotted(&[]), dotted(&[0x2a, 0x86])), (None, None));
        assert_eq!(dotted(&[0xff; 11]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Info::parse(&bytes);
            let _ = (moment(&bytes), dotted(&bytes));
        }
    }
}
