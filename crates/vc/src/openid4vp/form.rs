//! Forms: `application/x-www-form-urlencoded`, read strictly and written for queries.

use std::{collections::BTreeMap, fmt::Write as _};

/// Fields of the longest form.
const MAX_FIELDS: usize = 16;

/// What is wrong with a form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormFault {
    /// Too long or too many fields.
    #[error("the form is too long or has more than {MAX_FIELDS} fields")]
    TooLong,
    /// An escape that is none, or bytes that are no text.
    #[error("the form is not URL-encoded UTF-8")]
    Encoding,
    /// A field that stands twice.
    #[error("the form has a field twice")]
    Twice,
}

/// Reads a form of at most `bytes_max` bytes, in which each field stands once.
///
/// # Errors
///
/// [`FormFault`]: which of two programs reads which field would be a matter of taste.
///
/// # Source
/// RFC 6749, section 3.2 (parameters must not be included more than once) and appendix B.
pub fn parse(bytes: &[u8], bytes_max: usize) -> Result<BTreeMap<String, String>, FormFault> {
    if bytes.len() > bytes_max {
        return Err(FormFault::TooLong);
    }
    let mut fields = BTreeMap::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (decode(halves.next().unwrap_or_default())?, decode(halves.next().unwrap_or_default())?);
        if fields.insert(name, value).is_some() {
            return Err(FormFault::Twice);
        }
        if fields.len() > MAX_FIELDS {
            return Err(FormFault::TooLong);
        }
    }
    Ok(fields)
}

/// Writes fields as a form, which is also the query of a URL.
#[must_use]
pub fn encode(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        escape(name, &mut text);
        text.push('=');
        escape(value, &mut text);
    }
    text
}

fn escape(part: &str, text: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn decode(part: &[u8]) -> Result<String, FormFault> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_first_chunk().ok_or(FormFault::Encoding)?;
                rest = tail;
                unescape(*digits).ok_or(FormFault::Encoding)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormFault::Encoding)
}

fn unescape(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    Some(high? << 4 | low?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_spaces_are_read_and_what_is_none_is_refused() {
        let fields = parse(b"a=%7B%22x%22%3A1%7D&b=c+d&e&&f=g=h", 100).unwrap();
        let expected = [("a", "{\"x\":1}"), ("b", "c d"), ("e", ""), ("f", "g=h")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        for bad in ["a=%", "a=%1", "a=%+1", "a=%zz", "a=%ff"] {
            assert_eq!(parse(bad.as_bytes(), 100), Err(FormFault::Encoding), "{bad}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_and_a_form_that_is_too_long_are_refused() {
        assert_eq!(parse(b"state=1&st%61te=2", 100), Err(FormFault::Twice));
        assert_eq!(parse(b"a=1", 2), Err(FormFault::TooLong));
        let many: Vec<String> = (0..17).map(|n| format!("f{n}=1")).collect();
        assert_eq!(parse(many.join("&").as_bytes(), 1000), Err(FormFault::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(fields in prop::collection::btree_map(".{0,8}", ".{0,16}", 0..6)) {
            let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            // A name and a value that are both empty leave no trace between the ampersands but `=`.
            prop_assert_eq!(parse(encode(&pairs).as_bytes(), 10_000).unwrap(), fields);
        }
    }
}
