//! What has to be seen of an authority's certificate beside its chain.

use crate::der::{self, BadDer, Reader, context};

/// 2.5.29.37
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// The one purpose, 1.3.6.1.5.5.7.3.8, as the extension has it.
const ONLY_TIME_STAMPING: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// UTF8String and PrintableString.
const TEXTS: [u8; 2] = [0x0c, 0x13];
const WHAT: &str = "the authority's certificate";

/// A certificate, as far as a time stamp depends on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Certificate {
    /// The common name of its subject, if it has one that is text.
    pub(crate) name: String,
    /// True if it is good for time stamps and nothing else, and says so in an extension that nobody may overlook.
    pub(crate) only_time_stamping: bool,
}

impl Certificate {
    /// # Source
    ///
    /// RFC 5280 section 4.1; RFC 3161 section 2.3.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadDer> {
        let mut signed = Reader::only(bytes, der::SEQUENCE, WHAT)?.read().take(der::SEQUENCE, WHAT)?.read();
        signed.next_if(context(0), WHAT)?;
        signed.take(der::INTEGER, WHAT)?;
        for _algorithm_issuer_validity in 0..3 {
            signed.take(der::SEQUENCE, WHAT)?;
        }
        let subject = signed.take(der::SEQUENCE, WHAT)?.read();
        signed.take(der::SEQUENCE, WHAT)?;
        let extensions = signed.next_if(context(3), WHAT)?;
        let extensions = extensions.map(|list| list.read().take(der::SEQUENCE, WHAT)).transpose()?;
        Ok(Self {
            name: common_name(subject)?.unwrap_or_default(),
            only_time_stamping: extensions.is_some_and(|list| only_time_stamping(list.read()).unwrap_or(false)),
        })
    }
}

fn common_name(mut subject: Reader<'_>) -> Result<Option<String>, BadDer> {
    while !subject.is_empty() {
        let mut part = subject.take(der::SET, WHAT)?.read().take(der::SEQUENCE, WHAT)?.read();
        let kind = part.take(der::OID, WHAT)?.body;
        let value = part.any(WHAT)?;
        if kind == COMMON_NAME && TEXTS.contains(&value.tag) {
            return Ok(std::str::from_utf8(value.body).ok().map(str::to_owned));
        }
    }
    Ok(None)
}

fn only_time_stamping(mut extensions: Reader<'_>) -> Result<bool, BadDer> {
    let mut found = Vec::new();
    while !extensions.is_empty() {
        let mut extension = extensions.take(der::SEQUENCE, WHAT)?.read();
        let id = extension.take(der::OID, WHAT)?.body;
        let critical = extension.next_if(der::BOOLEAN, WHAT)?.is_some_and(|flag| flag.body == [0xff]);
        let value = extension.take(der::OCTET_STRING, WHAT)?.body;
        if id == EXTENDED_KEY_USAGE {
            found.push(critical && value == ONLY_TIME_STAMPING);
        }
    }
    Ok(found == [true])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Certificate::parse(&bytes);
        }
    }
}
