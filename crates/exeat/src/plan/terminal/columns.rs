//! How wide text is, and how wide the columns of a table may be.

use super::super::{
    page::{ColumnKind, Table},
    words,
};

/// Words are shortened to this before a column is left out.
const WORDS: usize = 34;
/// Words are shortened to this before an identifier is.
const WORDS_MIN: usize = 8;
/// Identifiers are shortened to this before a line is cut off.
const ID_MIN: usize = 10;

/// Returns the width of each column, `None` for one that is left out; together at most `room` if at all possible.
///
/// What is given up, in this order: long words, columns of kind `Extra` from the right, more words, identifiers.
pub(super) fn widths(table: &Table, room: usize, gap: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = (0..table.columns.len()).map(|column| Some(natural(table, column))).collect();
    shrink(table, &mut widths, ColumnKind::Words, WORDS, room, gap);
    drop_extras(table, &mut widths, room, gap);
    shrink(table, &mut widths, ColumnKind::Words, WORDS_MIN, room, gap);
    shrink(table, &mut widths, ColumnKind::Id, ID_MIN, room, gap);
    widths
}

/// Returns the columns that text takes on a terminal: two for a wide East Asian character.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Shortens text to `width` columns; an ellipsis tells that it was.
pub(super) fn clip(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut pieces = cut(text, width.saturating_sub(1)).into_iter();
    format!("{}\u{2026}", pieces.next().unwrap_or_default().trim_end())
}

/// Cuts text into pieces of at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        if used + columns(c) > width && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        used += columns(c);
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// Fills text up to `width` columns: numbers from the left, all else from the right.
pub(super) fn pad(text: &str, width: usize, kind: ColumnKind) -> String {
    let space = " ".repeat(width.saturating_sub(width_of(text)));
    match kind {
        ColumnKind::Number | ColumnKind::Extra => format!("{space}{text}"),
        ColumnKind::Id | ColumnKind::Words => format!("{text}{space}"),
    }
}

fn natural(table: &Table, column: usize) -> usize {
    let head = table.columns.get(column).map_or(0, |column| width_of(&column.name));
    let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
    cells.map(|cell| width_of(&words::plain(&cell.text))).max().unwrap_or(0).max(head)
}

fn total(widths: &[Option<usize>], gap: usize) -> usize {
    let shown: Vec<usize> = widths.iter().flatten().copied().collect();
    shown.iter().sum::<usize>() + gap * shown.len().saturating_sub(1)
}

/// Takes one column of width at a time from the widest of a kind.
fn shrink(table: &Table, widths: &mut [Option<usize>], kind: ColumnKind, least: usize, room: usize, gap: usize) {
    while total(widths, gap) > room {
        let of_kind = widths.iter_mut().zip(&table.columns).filter(|(_, column)| column.kind == kind);
        let widest = of_kind.filter_map(|(width, _)| width.as_mut()).max();
        match widest {
            Some(width) if *width > least => *width -= 1,
            _ => return,
        }
    }
}

fn drop_extras(table: &Table, widths: &mut [Option<usize>], room: usize, gap: usize) {
    while total(widths, gap) > room {
        let mut extras = widths.iter_mut().zip(&table.columns).rev();
        let last = extras.find(|(width, column)| column.kind == ColumnKind::Extra && width.is_some());
        match last {
            Some((width, _)) => *width = None,
            None => return,
        }
    }
}

/// The columns that one character takes; the blocks of wide scripts, near enough for alignment.
fn columns(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_says_so_and_wide_characters_take_two_columns() {
        assert_eq!(clip("northgate-grid", 8), "northga\u{2026}");
        assert_eq!(clip("\u{8a31}\u{53ef}\u{8a3c}", 5), "\u{8a31}\u{53ef}\u{2026}");
        assert_eq!(cut("abcdef", 4), ["abcd", "ef"]);
    }

    #[test]
    fn words_give_way_first_then_extra_columns_then_identifiers() {
        let mut table = Table::new("", &[(ColumnKind::Id, "i"), (ColumnKind::Words, "w"), (ColumnKind::Extra, "x")]);
        let cells = ["i".repeat(20), "w".repeat(40), "9".repeat(8)].map(Into::into);
        table.rows.push(super::super::super::page::Row { cells: cells.into(), marked: false });
        assert_eq!(widths(&table, 72, 2), [Some(20), Some(40), Some(8)]);
        assert_eq!(widths(&table, 68, 2), [Some(20), Some(36), Some(8)]);
        assert_eq!(widths(&table, 50, 2), [Some(20), Some(28), None]);
        assert_eq!(widths(&table, 25, 2), [Some(15), Some(8), None]);
    }
}
