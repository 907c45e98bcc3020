//! What a mirror says about where it stands: `text/x.tlog.mirror-info`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::request::decimal;

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "text/x.tlog.mirror-info";
/// Two numbers, and a ticket of at most 65,535 bytes in base64.
const BYTES_MAX: usize = 90_000;

/// Where a mirror stands, and how an upload goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorInfo {
    /// Entries in a checkpoint that an upload may end with.
    pub size: u64,
    /// The index of the first entry that the mirror does not have.
    pub next: u64,
    /// To be sent along with the next request; opaque to the client.
    pub ticket: Vec<u8>,
}

impl MirrorInfo {
    /// Reads the body of an answer; `None` if it is none.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= BYTES_MAX)?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (size, next) = (decimal(lines.next()?)?, decimal(lines.next()?)?);
        let ticket = STANDARD.decode(lines.next()?).ok()?;
        let fits = ticket.len() <= usize::from(u16::MAX) && lines.next().is_none();
        fits.then_some(Self { size, next, ticket })
    }
}

impl fmt::Display for MirrorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.size, self.next, STANDARD.encode(&self.ticket))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_ticket_is_an_empty_line() {
        let info = MirrorInfo { size: 600, next: 256, ticket: Vec::new() };
        assert_eq!(info.to_string(), "600\n256\n\n");
        assert_eq!(MirrorInfo::parse(b"600\n256\n\n"), Some(info));
    }

    #[test]
    fn malformed_answers_are_refused() {
        for body in ["", "1\n2\n", "1\n2\n\n\n", "1\n2\n\nmore", "01\n2\n\n", "1\n-2\n\n", "1\n2\n!\n", "1\n2"] {
            assert_eq!(MirrorInfo::parse(body.as_bytes()), None, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>, text in "[0-9]{1,3}\n[0-9]{1,3}\n[A-Z=]{0,8}\n") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Some(info) = MirrorInfo::parse(bytes) {
                    prop_assert_eq!(info.to_string().into_bytes(), bytes);
                }
            }
        }
    }
}
