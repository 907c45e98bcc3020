//! Base64url without padding: one spelling for each string of bytes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The text is not base64url without padding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not base64url without padding (RFC 4648 section 5)")]
pub struct BadBase64;

/// Returns `bytes` in base64url without padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding; `decode(text) == Ok(bytes)` exactly if `encode(bytes) == text`.
///
/// # Errors
///
/// [`BadBase64`]: padding, a character outside of the alphabet, or bits after the last byte that are not zero.
///
/// # Source
///
/// RFC 7515 section 2; RFC 4648 section 3.5.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, BadBase64> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadBase64)
}

/// Reads exactly `N` bytes.
///
/// # Errors
///
/// [`BadBase64`]: as [`decode`], or another number of bytes.
pub fn decode_array<const N: usize>(text: impl AsRef<[u8]>) -> Result<[u8; N], BadBase64> {
    decode(text)?.try_into().map_err(|_| BadBase64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn padding_other_alphabets_and_bits_left_over_are_refused() {
        assert_eq!(decode("-_8"), Ok(vec![0xfb, 0xff]));
        for bad in ["-_8=", "+/8", "-_9", "A", "AA A", "AA\n", "AAA.", "é"] {
            assert_eq!(decode(bad), Err(BadBase64), "{bad}");
        }
        assert_eq!(decode_array::<3>("AAAA"), Ok([0; 3]));
        assert_eq!(decode_array::<2>("AAAA"), Err(BadBase64));
    }

    proptest! {
        #[test]
        fn a_text_that_is_read_is_the_one_that_is_written(text in "[A-Za-z0-9_=+/-]{0,40}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
