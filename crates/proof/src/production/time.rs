//! Times as productions spell them: RFC 3339 in UTC, to the millisecond.

/// Milliseconds in a day.
const DAY_MS: u64 = 86_400_000;
/// The largest time that has four digits for its year, in milliseconds since the Unix epoch.
const MAX_MS: u64 = 253_402_300_799_999;

/// Writes milliseconds since the Unix epoch, always with three digits of a second; times after the year 9999 as the last
/// moment of it.
pub(super) fn to_rfc_3339(at_ms: u64) -> String {
    let at_ms = at_ms.min(MAX_MS);
    let (year, month, day) = date(at_ms / DAY_MS);
    let (seconds, millis) = (at_ms % DAY_MS / 1_000, at_ms % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// Reads a time in UTC from 1970 to 9999, with no or up to three digits after the full stop.
pub(super) fn from_rfc_3339(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = hours * 3_600 + minutes * 60 + seconds;
    let at_ms = days(year, month, day)? * DAY_MS + seconds * 1_000 + fraction.map_or(Some(0), millis)?;
    Some(at_ms)
}

/// Reads three numbers of these many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn millis(fraction: &str) -> Option<u64> {
    let plain = (1..=3).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    let digits: u64 = fraction.parse().ok().filter(|_| plain)?;
    Some(digits * [0, 100, 10, 1].get(fraction.len())?)
}

/// Returns the date of a day that is this many days after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1_970 + days / 366;
    days -= days_before(year);
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

/// Returns how many days a date is after 1970-01-01; `None` if there is no such date, or it is before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let exists = year >= 1_970 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    let months: u64 = (1..month).map(|month| days_in_month(year, month)).sum();
    exists.then(|| days_before(year) + months + day - 1)
}

/// Returns how many days there are from 1970-01-01 to the first of this year, which is not before 1970.
fn days_before(year: u64) -> u64 {
    let leap_years = |year: u64| year / 4 - year / 100 + year / 400;
    365 * (year - 1_970) + leap_years(year - 1) - leap_years(1_969)
}

fn days_in_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_have_their_known_spelling() {
        for (at_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_782_475_200_123, "2026-06-26T12:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (MAX_MS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(to_rfc_3339(at_ms), text);
            assert_eq!(from_rfc_3339(text), Some(at_ms), "{text}");
        }
        assert_eq!(to_rfc_3339(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(from_rfc_3339("2026-06-26T12:00:00Z"), Some(1_782_475_200_000));
        assert_eq!(from_rfc_3339("2026-06-26T12:00:00.5Z"), Some(1_782_475_200_500));
    }

    #[test]
    fn what_is_no_time_in_utc_is_refused() {
        for text in [
            "",
            "2026-06-26",
            "2026-06-26T12:00:00",
            "2026-06-26T12:00:00+00:00",
            "2026-06-26 12:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-06-00T00:00:00Z",
            "2026-06-31T00:00:00Z",
            "2026-06-26T24:00:00Z",
            "2026-06-26T12:60:00Z",
            "2026-06-26T12:00:60Z",
            "1969-12-31T23:59:59Z",
            "2026-6-26T12:00:00Z",
            "2026-06-26T12:00:00.Z",
            "2026-06-26T12:00:00.1234Z",
            "2026-06-26T12:00:00.+1Z",
            "2026-06-26T12:00Z",
            "+026-06-26T12:00:00Z",
        ] {
            assert_eq!(from_rfc_3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_up_to_the_year_9999_reads_back(at_ms in 0..=MAX_MS) {
            prop_assert_eq!(from_rfc_3339(&to_rfc_3339(at_ms)), Some(at_ms));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*|[0-9:TZ.-]{19,25}") {
            if let Some(at_ms) = from_rfc_3339(&text) {
                prop_assert_eq!(from_rfc_3339(&to_rfc_3339(at_ms)), Some(at_ms));
            }
        }
    }
}
