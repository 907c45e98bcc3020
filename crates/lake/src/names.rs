//! Where a file lies in the lake: `lake/v2/log=ORIGIN/day=YYYY-MM-DD/hour=HH/part-FIRST-LAST.parquet`.
//!
//! Folders are of the form that engines take for columns. Day and hour are those of the first entry, in UTC.

use object_store::path::Path;
use terms::Moment;

use crate::span::Span;

/// Returns the folder of a log under `prefix`.
pub(crate) fn folder(prefix: &Path, origin: &str) -> Path {
    joined(prefix, &format!("lake/v2/log={}", escaped(origin)))
}

/// Returns the path of the file with the leaves of `span`, the first of which was written at `first_at_ms`.
pub(crate) fn path(folder: &Path, span: Span, first_at_ms: u64) -> Path {
    let at = Moment::from_millis(i64::try_from(first_at_ms).unwrap_or(i64::MAX)).to_string();
    let (day, time) = at.split_once('T').unwrap_or((&at, "00"));
    let hour = time.get(..2).unwrap_or("00");
    joined(folder, &format!("day={day}/hour={hour}/part-{span}.parquet"))
}

/// Returns which leaves the file at `path` has by its name; `None` if it is no file of the lake.
pub(crate) fn span_of(path: &Path) -> Option<Span> {
    let name = path.filename()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let (first, last) = name.split_once('-')?;
    let span = Span::new(first.parse().ok()?, last.parse().ok()?).ok()?;
    (span.to_string() == format!("{first}-{last}")).then_some(span)
}

/// Joins a path of plain characters to a prefix.
pub(crate) fn joined(prefix: &Path, rest: &str) -> Path {
    rest.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

/// Writes a name with letters, digits, dots and hyphens only; any other byte as `_` and two hexadecimal digits.
///
/// Two names never become the same, and no store, engine or shell reads the result in another way.
pub(crate) fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("_{byte:02x}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_day_and_hour_of_the_first_entry() {
        let folder = folder(&Path::from("a/b"), "log.example.com/exeat_1");
        assert_eq!(folder.as_ref(), "a/b/lake/v2/log=log.example.com_2fexeat_5f1");
        let path = path(&folder, Span::around(70_000), 1_781_000_000_000);
        assert_eq!(path.as_ref(), format!("{folder}/day=2026-06-09/hour=10/part-65536-131071.parquet"));
        assert_eq!(span_of(&path), Some(Span::around(70_000)));
    }

    #[test]
    fn only_names_of_whole_spans_are_files_of_the_lake() {
        for name in ["part-0-65535.csv", "part-0-65534.parquet", "part-00-65535.parquet", "0-65535.parquet", "part-0"] {
            assert_eq!(span_of(&Path::from(name)), None, "{name}");
        }
    }
}
