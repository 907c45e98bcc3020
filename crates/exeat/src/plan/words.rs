//! Numbers, times and counts as people read them.

use policy::plan::Reach;
use terms::Moment;

/// Writes a whole number with a comma between thousands.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a difference with its sign; nothing if there is none.
pub(crate) fn signed(now: u64, then: u64) -> String {
    match then.cmp(&now) {
        std::cmp::Ordering::Less => format!("\u{2212}{}", count(now - then)),
        std::cmp::Ordering::Equal => "\u{b1}0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", count(then - now)),
    }
}

/// Writes thousandths as a percentage: `38%`, `38.2%`.
pub(crate) fn percent(per_mille: u64) -> String {
    match per_mille % 10 {
        0 => format!("{}%", count(per_mille / 10)),
        tenth => format!("{}.{tenth}%", count(per_mille / 10)),
    }
}

/// Writes the share of a reach; `<0.1%` if it was rounded down to nothing.
pub(crate) fn share(reach: &Reach) -> String {
    if reach.share_per_mille == 0 && reach.tokens_per_minute > 0 {
        return "<0.1%".to_owned();
    }
    percent(reach.share_per_mille)
}

/// Returns `part` of `whole` in thousandths, rounded down; 0 of nothing.
pub(crate) fn per_mille(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 1000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Writes a number and its noun: `1 key`, `2,000 keys`.
pub(crate) fn of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Writes `12 people`.
pub(crate) fn people(n: u64) -> String {
    of(n, "person", "people")
}

/// Writes who is reached in one line: people, workloads if any, keys, open streams if any.
pub(crate) fn reach(reach: &Reach) -> String {
    let parts = [
        Some(people(reach.persons)),
        (reach.workloads > 0).then(|| of(reach.workloads, "workload", "workloads")),
        Some(of(reach.keys, "key", "keys")),
        (reach.open_streams > 0).then(|| of(reach.open_streams, "open stream", "open streams")),
    ];
    list(&parts.into_iter().flatten().collect::<Vec<_>>())
}

/// Writes a list as a sentence does: `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Writes a moment in UTC, as precisely as it is: `2026-06-12 22:51 UTC`.
pub(crate) fn moment(at: Moment) -> String {
    let (day, time) = parts(at);
    format!("{day} {time} UTC")
}

/// Writes the time of day of a moment in UTC: `22:51`.
pub(crate) fn time(at: Moment) -> String {
    parts(at).1
}

/// Writes the day of a moment in UTC: `2026-06-12`.
pub(crate) fn day(at: Moment) -> String {
    parts(at).0
}

/// Writes a span of milliseconds in its two largest units: `1 h 29 min`, `340 ms`.
pub(crate) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => two(millis / 60_000, "min", millis % 60_000 / 1_000, "s"),
        3_600_000..86_400_000 => two(millis / 3_600_000, "h", millis % 3_600_000 / 60_000, "min"),
        _ => two(millis / 86_400_000, "d", millis % 86_400_000 / 3_600_000, "h"),
    }
}

/// Writes a span of microseconds: `840 µs`, else as [`span`].
pub(crate) fn micros(micros: u64) -> String {
    if micros < 1_000 { format!("{micros} µs") } else { span(micros / 1_000) }
}

/// Writes time left or time by which something is late: `1 h 19 min left`, `4.0 s LATE`.
pub(crate) fn margin(millis: i64) -> String {
    let written = span(millis.unsigned_abs());
    if millis < 0 { format!("{written} LATE") } else { format!("{written} left") }
}

/// Writes a name of a document field or of one of its choices as words: `person_scope` as `person scope`.
pub(crate) fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// Takes out what could move a cursor, hide text or turn its direction.
pub(crate) fn plain(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|c| if hides(c) { ' ' } else { c }).collect()
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{} {large_unit}", count(large)),
        small => format!("{} {large_unit} {small} {small_unit}", count(large)),
    }
}

/// The day and the time of day, to the minute unless there are seconds.
fn parts(at: Moment) -> (String, String) {
    let text = at.to_string();
    let text = text.strip_suffix('Z').unwrap_or(&text);
    let (day, time) = text.split_once('T').unwrap_or((text, ""));
    (day.to_owned(), time.strip_suffix(":00").unwrap_or(time).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([signed(5, 2), signed(2, 2), signed(2, 2_000)], ["\u{2212}3", "\u{b1}0", "+1,998"]);
    }

    #[test]
    fn shares_are_percentages_and_little_is_not_nothing() {
        assert_eq!([0, 380, 382, 1_000].map(percent), ["0%", "38%", "38.2%", "100%"]);
        assert_eq!(share(&Reach { tokens_per_minute: 1, ..Reach::default() }), "<0.1%");
        assert_eq!(share(&Reach::default()), "0%");
        assert_eq!([per_mille(1, 3), per_mille(u64::MAX, u64::MAX), per_mille(0, 0)], [333, 1_000, 0]);
    }

    #[test]
    fn moments_are_as_precise_as_they_are() {
        let at = |text| Moment::parse(text).unwrap();
        assert_eq!(moment(at("2026-06-12T22:51:00Z")), "2026-06-12 22:51 UTC");
        assert_eq!(moment(at("2026-06-12T22:51:07.25Z")), "2026-06-12 22:51:07.25 UTC");
    }

    #[test]
    fn spans_have_at_most_two_units() {
        let spans = [340, 4_000, 90_000, 5_340_000, 90_000_000].map(span);
        assert_eq!(spans, ["340 ms", "4.0 s", "1 min 30 s", "1 h 29 min", "1 d 1 h"]);
        assert_eq!([margin(-4_000), margin(60_000)], ["4.0 s LATE", "1 min left"]);
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor_or_turn_around() {
        assert_eq!(plain("a\u{1b}[2J\u{202e}b\nc"), "a [2J b c");
    }
}
