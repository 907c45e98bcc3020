//! What an authority is asked.

use crate::der;

/// SHA-256, with the parameters that every authority takes (2.16.840.1.101.3.4.2.1, NULL).
pub(crate) const SHA256_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];
/// The media type of a query.
const MEDIA_TYPE: &str = "application/timestamp-query";

/// A question to a time-stamping authority: stamp this digest, and send your certificates along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Query {
    /// The SHA-256 that is to be stamped.
    pub digest: [u8; 32],
    /// Random, so that the response is one to this query and not an older one.
    pub nonce: [u8; 16],
}

impl Query {
    /// The media type under which it is sent by HTTP `POST`.
    pub const MEDIA_TYPE: &str = MEDIA_TYPE;

    /// Returns the query in DER.
    ///
    /// # Source
    ///
    /// RFC 3161 section 2.4.1, `TimeStampReq`; media type: section 3.4.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let digest = der::wrapped(der::OCTET_STRING, &[&self.digest]);
        let imprint = der::wrapped(der::SEQUENCE, &[SHA256_ALGORITHM, &digest]);
        let certificates_wanted = der::wrapped(der::BOOLEAN, &[&[0xff]]);
        let parts = [&der::integer(&[1])[..], &imprint, &der::integer(&self.nonce), &certificates_wanted];
        der::wrapped(der::SEQUENCE, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_laid_out_as_the_specification_says() {
        let der = Query { digest: [0xab; 32], nonce: [0x81; 16] }.to_der();
        assert_eq!(der[..5], [0x30, 0x4c, 0x02, 0x01, 0x01]);
        assert_eq!(der[5..7], [0x30, 0x31]);
        assert_eq!(der[der.len() - 22..der.len() - 19], [0x02, 0x11, 0x00]);
        assert_eq!(der[der.len() - 3..], [0x01, 0x01, 0xff]);
    }
}
