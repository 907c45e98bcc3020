//! What an authority answers: taken apart, not yet believed.

use crate::der::{self, BadDer, Element, Reader, context};

/// The longest response that is read, in bytes: a token with a chain of certificates is below 10 KiB.
pub const RESPONSE_BYTES_MAX: usize = 64 << 10;
/// The most certificates in one token.
const CERTIFICATES_MAX: usize = 16;

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4
pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// Why there is no token to look at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoToken {
    #[error("a response may have at most {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    #[error(transparent)]
    Der(#[from] BadDer),
    #[error("the authority refused with status {0}")]
    Refused(u8),
    #[error("it is no time-stamp token with one signature")]
    Kind,
}

/// The parts of a time-stamp token (CMS signed data).
#[derive(Debug)]
pub(crate) struct Token<'a> {
    /// What is signed: `TSTInfo` in DER.
    pub(crate) info: &'a [u8],
    /// The certificates that came along, each in DER.
    pub(crate) certificates: Vec<&'a [u8]>,
    pub(crate) signer: Signer<'a>,
}

/// The one signature of a token.
#[derive(Debug)]
pub(crate) struct Signer<'a> {
    /// With which digest.
    pub(crate) digest: &'a [u8],
    /// The signed attributes, as they stand in the token.
    pub(crate) attributes: Element<'a>,
    /// With which algorithm.
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Token<'a> {
    /// Takes a response apart.
    ///
    /// # Source
    ///
    /// RFC 3161 section 2.4.2, `TimeStampResp`; RFC 5652 section 5.1, `SignedData`.
    pub(crate) fn of_response(bytes: &'a [u8]) -> Result<Self, NoToken> {
        if bytes.len() > RESPONSE_BYTES_MAX {
            return Err(NoToken::TooLong);
        }
        let mut response = Reader::only(bytes, der::SEQUENCE, "the response")?.read();
        let status = response.take(der::SEQUENCE, "the status")?.read().take(der::INTEGER, "the status")?;
        // 0 is granted, 1 granted with modifications.
        if !matches!(status.body, [0 | 1]) {
            return Err(NoToken::Refused(status.body.last().copied().unwrap_or_default()));
        }
        let mut token = response.take(der::SEQUENCE, "the token")?.read();
        response.end("the end of the response")?;
        if token.take(der::OID, "the token's type")?.body != SIGNED_DATA {
            return Err(NoToken::Kind);
        }
        let mut content = token.take(context(0), "the token")?.read();
        token.end("the end of the token")?;
        let data = content.take(der::SEQUENCE, "the signed data")?.read();
        content.end("the end of the signed data")?;
        Self::of_signed_data(data)
    }

    fn of_signed_data(mut data: Reader<'a>) -> Result<Self, NoToken> {
        let version = data.take(der::INTEGER, "the version")?;
        data.take(der::SET, "the digest algorithms")?;
        let info = info(&mut data)?;
        let certificates = match data.next_if(context(0), "the certificates")? {
            Some(set) => certificates(set.read())?,
            None => Vec::new(),
        };
        data.next_if(context(1), "the revocation lists")?;
        let mut signers = data.take(der::SET, "the signers")?.read();
        data.end("the end of the signed data")?;
        let signer = Signer::read(signers.take(der::SEQUENCE, "the signer")?.read())?;
        // A token that is not of plain data has version 3, and one signer.
        if version.body != [3] || !signers.is_empty() {
            return Err(NoToken::Kind);
        }
        Ok(Self { info, certificates, signer })
    }
}

fn info<'a>(data: &mut Reader<'a>) -> Result<&'a [u8], NoToken> {
    let mut content = data.take(der::SEQUENCE, "the content")?.read();
    if content.take(der::OID, "the content's type")?.body != TST_INFO {
        return Err(NoToken::Kind);
    }
    let mut explicit = content.take(context(0), "the content")?.read();
    let info = explicit.take(der::OCTET_STRING, "the content")?;
    explicit.end("the end of the content")?;
    content.end("the end of the content")?;
    Ok(info.body)
}

fn certificates(mut set: Reader<'_>) -> Result<Vec<&[u8]>, NoToken> {
    let mut found = Vec::new();
    while !set.is_empty() {
        found.push(set.take(der::SEQUENCE, "a certificate")?.whole);
        if found.len() > CERTIFICATES_MAX {
            return Err(NoToken::Kind);
        }
    }
    Ok(found)
}

impl<'a> Signer<'a> {
    /// # Source
    ///
    /// RFC 5652 section 5.3, `SignerInfo`.
    fn read(mut info: Reader<'a>) -> Result<Self, NoToken> {
        info.take(der::INTEGER, "the signer's version")?;
        // Nothing signs the name of the certificate here; the signed attributes have its hash.
        info.any("the signer's certificate")?;
        let digest = algorithm(&mut info, "the signer's digest")?;
        let attributes = info.take(context(0), "the signed attributes")?;
        let algorithm = algorithm(&mut info, "the signature's algorithm")?;
        let signature = info.take(der::OCTET_STRING, "the signature")?.body;
        info.next_if(context(1), "the unsigned attributes")?;
        info.end("the end of the signer")?;
        Ok(Self { digest, attributes, algorithm, signature })
    }
}

/// Reads an algorithm that has no parameters, or NULL; returns its identifier.
fn algorithm<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], BadDer> {
    let mut algorithm = reader.take(der::SEQUENCE, what)?.read();
    let id = algorithm.take(der::OID, what)?.body;
    algorithm.next_if(der::NULL, what)?;
    algorithm.end(what)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_status() {
        // Status 2, rejection, with the failure bit for a bad algorithm.
        let refused = [0x30, 0x09, 0x30, 0x07, 0x02, 0x01, 0x02, 0x03, 0x02, 0x07, 0x80];
        assert_eq!(Token::of_response(&refused).unwrap_err(), NoToken::Refused(2));
    }

    #[test]
    fn more_than_an_authority_ever_sends_is_not_read() {
        assert_eq!(Token::of_response(&vec![0x30; RESPONSE_BYTES_MAX + 1]).unwrap_err(), NoToken::TooLong);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Token::of_response(&bytes);
        }
    }
}
