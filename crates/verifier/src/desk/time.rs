//! Until when an approval counts.

use jiff::{civil::DateTime, tz::TimeZone};
use terms::Moment;

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, with up to three digits of a second after a full stop before the `Z`; `None` for every
/// other spelling. A moment ends some hours before the year 10000: what is in these is as late as a moment can be.
pub(super) fn millis(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_at_checked(19)?;
    let is_fraction = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !fraction.is_empty() && !fraction.strip_prefix('.').is_some_and(is_fraction) {
        return None;
    }
    let read: DateTime = text.parse().ok()?;
    if format!("{read:.0}") != whole {
        return None;
    }
    let last = Moment::MAX.as_millis();
    let millis = TimeZone::UTC.to_timestamp(read).map_or(last, |read| read.as_millisecond().min(last));
    u64::try_from(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_form() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2024-02-29T00:00:00.5Z"), Some(1_709_164_800_500));
        let last = u64::try_from(Moment::MAX.as_millis()).ok();
        assert_eq!((millis("9999-12-30T22:00:00Z"), millis("9999-12-31T23:59:59.999Z")), (last, last));
        for bad in [
            "",
            "2026-06-12",
            "2026-06-12T21:21:00",
            "2026-06-12T21:21:00+00:00",
            "2026-06-12t21:21:00z",
            "2026-06-12 21:21:00Z",
            "2026-06-30T23:59:60Z",
            "2026-06-30T23:59:60.5Z",
            "2026-06-12T21:21:00,5Z",
            "+02026-06-12T21:21:0Z",
            "-000001-01-01T00:00Z",
            "2026-06-12T21:21:00.1234Z",
            "2026-06-12T21:21:00.Z",
            "1969-12-31T23:59:59Z",
            "2026-02-29T00:00:00Z",
            "9999-12-31T24:00:00Z",
            "9999-12-32T00:00:00Z",
            "\u{e9}026-06-12T21:21:0\u{e9}Z",
        ] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
