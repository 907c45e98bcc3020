//! The one DER structure that keys need: `RSAPublicKey`.

/// The tags of DER that occur in it.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Reads the modulus and the exponent of an `RSAPublicKey`, without leading zeros.
///
/// # Source
///
/// RFC 8017 appendix A.1.1.
pub(crate) fn rsa_public_key(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, after) = element(SEQUENCE, der)?;
    let (n, rest) = element(INTEGER, sequence)?;
    let (e, end) = element(INTEGER, rest)?;
    (after.is_empty() && end.is_empty()).then_some(())?;
    Some((positive(n)?, positive(e)?))
}

/// Splits off one element of the type `tag`: its content, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    (found == tag).then_some(())?;
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    // Two bytes hold the length of every key that is read.
    let length = match *length {
        [low] if low >= 0x80 => usize::from(low),
        [high, low] if high != 0 => usize::from(u16::from_be_bytes([high, low])),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Cuts the one zero byte that keeps a number from being negative.
fn positive(integer: &[u8]) -> Option<Vec<u8>> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest.to_vec()),
        [first, ..] if (1..0x80).contains(first) => Some(integer.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_modulus_and_an_exponent_are_read_and_nothing_around_them() {
        let good = [0x30, 0x09, 0x02, 0x02, 0x00, 0x81, 0x02, 0x03, 0x01, 0x00, 0x01];
        assert_eq!(rsa_public_key(&good), Some((vec![0x81], vec![1, 0, 1])));
        for bad in [&good[..10], &[&good[..], &[0]].concat(), &[0x30, 0x06, 0x02, 0x01, 0x81, 0x02, 0x01, 0x03]] {
            assert_eq!(rsa_public_key(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = rsa_public_key(&bytes);
        }
    }
}
