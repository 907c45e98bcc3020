//! The one spelling of a moment that our own records have, read without a general parser.

/// Reads `YYYY-MM-DDTHH:MM:SS` with up to three digits of a second's fraction and `Z`, of 1970 and after, as milliseconds
/// since the Unix epoch; `None` for whatever else there is, which may be RFC 3339 all the same.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let (whole, fraction) = text.as_bytes().split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', o0, o1, b'-', d0, d1, b'T', h0, h1, b':', m0, m1, b':', s0, s1] = *whole else {
        return None;
    };
    let digits = [y0, y1, y2, y3, o0, o1, d0, d1, h0, h1, m0, m1, s0, s1];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, month, day) = (two(y0, y1) * 100 + two(y2, y3), two(o0, o1), two(d0, d1));
    let (hours, minutes, seconds) = (two(h0, h1), two(m0, m1), two(s0, s1));
    let is_day = year >= 1970 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_day || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = ((days_before(year, month)? + day - 1) * 24 + hours) * 3_600 + minutes * 60 + seconds;
    Some(seconds * 1_000 + thousandths(fraction)?)
}

/// Returns the number that two digits are.
fn two(tens: u8, ones: u8) -> i64 {
    i64::from((tens & 15) * 10 + (ones & 15))
}

/// Reads `Z`, or a point, one to three digits and `Z`.
fn thousandths(text: &[u8]) -> Option<i64> {
    let digits = match *text {
        [b'Z'] => return Some(0),
        [b'.', a, b'Z'] => [a, b'0', b'0'],
        [b'.', a, b, b'Z'] => [a, b, b'0'],
        [b'.', a, b, c, b'Z'] => [a, b, c],
        _ => return None,
    };
    let [a, b, c] = digits;
    digits.iter().all(u8::is_ascii_digit).then(|| two(a, b) * 10 + i64::from(c & 15))
}

/// Days from the first of January to the first of each month, in years without a 29 February.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> Option<i64> {
    let past = year - 1;
    let leaps = past / 4 - past / 100 + past / 400 - 477 + i64::from(month > 2 && is_leap(year));
    let months = BEFORE.get(usize::try_from(month - 1).ok()?)?;
    Some((year - 1970) * 365 + leaps + months)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Moment;

    fn general(text: &str) -> Option<i64> {
        text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
    }

    #[test]
    fn every_day_up_to_the_last_is_the_one_of_the_general_parser() {
        for day in 0..=Moment::MAX.as_millis() / 86_400_000 {
            let text = Moment::from_millis(day * 86_400_000).to_string();
            assert_eq!(millis(&text), Some(day * 86_400_000), "{text}");
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_left_to_the_general_parser() {
        for text in [
            "",
            "2026-06-12",
            "2026-06-12T21:21:00+00:00",
            "2026-06-12t21:21:00z",
            "2026-06-30T23:59:60Z",
            "2026-06-12T21:21:00.1234Z",
            "2026-06-12T21:21:00.Z",
            "1969-12-31T23:59:59Z",
            "2026-02-29T00:00:00Z",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(millis("2024-02-29T00:00:00.5Z"), general("2024-02-29T00:00:00.5Z"));
    }

    proptest! {
        #[test]
        fn whatever_moment_is_written_is_read_back(at in 0..=Moment::MAX.as_millis()) {
            prop_assert_eq!(millis(&Moment::from_millis(at).to_string()), Some(at));
        }

        #[test]
        fn what_it_reads_the_general_parser_reads_too(at in 0..=Moment::MAX.as_millis(), place: prop::sample::Index, byte in 32..127_u8) {
            let mut text = Moment::from_millis(at).to_string().into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            let text = String::from_utf8(text).unwrap();
            if let Some(read) = millis(&text).filter(|read| *read <= Moment::MAX.as_millis()) {
                prop_assert_eq!(Some(read), general(&text));
            }
        }
    }
}
