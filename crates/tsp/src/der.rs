//! A strict reader of DER, and as much of a writer as a query needs.
//!
//! # Source
//!
//! ITU-T X.690 sections 8, 10 and 11: definite lengths in their shortest form, tags of one byte.

/// The bytes are not the DER that was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} is missing or not in DER")]
pub(crate) struct BadDer(pub(crate) &'static str);

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Returns the tag of a constructed element of the class that only its context explains.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element: what it contains, and all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) body: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads what it contains.
    pub(crate) fn read(&self) -> Reader<'a> {
        Reader(self.body)
    }
}

/// Reads elements in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads exactly one element with this tag, and nothing after it.
    pub(crate) fn only(bytes: &'a [u8], tag: u8, what: &'static str) -> Result<Element<'a>, BadDer> {
        let mut reader = Self(bytes);
        let element = reader.take(tag, what)?;
        reader.end(what)?;
        Ok(element)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Requires that nothing is left.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), BadDer> {
        if self.0.is_empty() { Ok(()) } else { Err(BadDer(what)) }
    }

    /// Reads the next element, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8, what: &'static str) -> Result<Element<'a>, BadDer> {
        self.next_if(tag, what)?.ok_or(BadDer(what))
    }

    /// Reads the next element if it has this tag.
    pub(crate) fn next_if(&mut self, tag: u8, what: &'static str) -> Result<Option<Element<'a>>, BadDer> {
        if self.0.first() != Some(&tag) {
            return Ok(None);
        }
        self.any(what).map(Some)
    }

    /// Reads the next element, whatever its tag.
    pub(crate) fn any(&mut self, what: &'static str) -> Result<Element<'a>, BadDer> {
        let (element, rest) = split(self.0).ok_or(BadDer(what))?;
        self.0 = rest;
        Ok(element)
    }
}

fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    // A tag of several bytes has all five of these bits; nothing in these formats does.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = length(rest)?;
    let (body, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some((Element { tag, body, whole }, after))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let shortest = digits.first().is_some_and(|&digit| digit != 0);
    if !shortest || digits.len() > 3 {
        return None;
    }
    let length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
    (length >= 0x80).then_some((length, rest))
}

/// Returns the digits of an integer that is not negative, without a leading zero byte.
pub(crate) fn unsigned<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    match element.body {
        [0] => Some(&[]),
        [0, rest @ ..] if rest.first()? & 0x80 != 0 => Some(rest),
        [first, ..] if first & 0x80 == 0 && *first != 0 => Some(element.body),
        _ => None,
    }
}

/// Returns an element with this tag around `parts`.
pub(crate) fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let digits = body.len().to_be_bytes();
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let mut out = vec![tag];
    if body.len() >= 0x80 {
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
        out.extend_from_slice(digits);
    } else {
        out.push(u8::try_from(body.len()).unwrap_or(0));
    }
    out.extend_from_slice(&body);
    out
}

/// Returns the integer with these digits, most significant first.
pub(crate) fn integer(digits: &[u8]) -> Vec<u8> {
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let positive = digits.first().is_none_or(|first| first & 0x80 != 0);
    let sign: &[u8] = if positive { &[0] } else { &[] };
    wrapped(INTEGER, &[sign, digits])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_has_one_spelling() {
        for bad in [
            &[0x04, 0x80][..],
            &[0x04, 0x81, 0x01, 0],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x84, 1, 0, 0, 0],
            &[0x04, 0x02, 0],
            &[0x1f, 0x81, 0x01, 0],
            &[],
        ] {
            assert!(split(bad).is_none(), "{bad:02x?}");
        }
        let long = wrapped(OCTET_STRING, &[&[7; 300]]);
        assert_eq!(long[..4], [0x04, 0x82, 0x01, 0x2c]);
        assert_eq!(Reader::only(&long, OCTET_STRING, "it").unwrap().body.len(), 300);
        assert!(Reader::only(&[&long[..], &[0]].concat(), OCTET_STRING, "it").is_err());
    }

    #[test]
    fn an_integer_has_one_spelling() {
        for (digits, bytes) in
            [(&[][..], &[2, 1, 0][..]), (&[0, 0, 5], &[2, 1, 5]), (&[0x80], &[2, 2, 0, 0x80]), (&[1, 0], &[2, 2, 1, 0])]
        {
            assert_eq!(integer(digits), bytes);
        }
        for bad in [&[][..], &[0, 5], &[0x80], &[0, 0]] {
            assert_eq!(unsigned(&Element { tag: INTEGER, body: bad, whole: bad }), None, "{bad:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while let Ok(element) = reader.any("it") {
                prop_assert!(element.whole.len() > element.body.len());
            }
        }

        #[test]
        fn what_is_written_reads_back(tag in 0_u8..0x1f, body in proptest::collection::vec(any::<u8>(), 0..700), digits: [u8; 9]) {
            let bytes = wrapped(tag, &[&body]);
            prop_assert_eq!(Reader::only(&bytes, tag, "it").unwrap().body, &body[..]);
            let written = integer(&digits);
            let read = unsigned(&Reader::only(&written, INTEGER, "it").unwrap()).unwrap().to_vec();
            prop_assert_eq!(read, digits.iter().copied().skip_while(|&digit| digit == 0).collect::<Vec<_>>());
        }
    }
}
