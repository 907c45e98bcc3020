//! A plan for a terminal: aligned tables that fit the width, color only if asked.

mod columns;

use columns::{clip, cut, pad, width_of, widths};

use super::{
    content,
    page::{Block, Callout, Cell, ColumnKind, Page, Row, Section, Table, Tone},
    view::View,
    words,
};

/// The narrowest that a plan is laid out for; a narrower terminal gets lines of this width.
pub(crate) const WIDTH_MIN: usize = 80;
const INDENT: usize = 2;
const GAP: &str = "  ";

/// Renders a plan as text in which no line is wider than `width` columns (at least [`WIDTH_MIN`]).
///
/// Without `color` there is not one escape sequence in it.
pub(crate) fn terminal(view: &View, width: usize, color: bool) -> String {
    let mut screen = Screen { text: String::new(), width: width.max(WIDTH_MIN), color };
    screen.page(&content::page(view));
    screen.text
}

/// What was written so far.
#[derive(Debug)]
struct Screen {
    text: String,
    width: usize,
    color: bool,
}

impl Screen {
    fn page(&mut self, page: &Page) {
        self.paragraph(0, &page.title, Style::Bold);
        self.paragraph(0, &page.subtitle, Style::Tone(Tone::Quiet));
        self.blank();
        self.paragraph(0, &page.headline, Style::Bold);
        for line in &page.beside {
            self.paragraph(0, line, Style::Tone(Tone::Plain));
        }
        for section in &page.sections {
            self.section(section);
        }
    }

    fn section(&mut self, section: &Section) {
        self.blank();
        let title = clip(&words::plain(&section.title), self.width - 6);
        let rule = "\u{2500}".repeat(self.width - width_of(&title) - 4);
        let line = self.styled(&format!("\u{2500}\u{2500} {title} {rule}"), Style::Bold);
        self.line(&line);
        for block in &section.blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(text) => {
                self.blank();
                self.paragraph(0, text, Style::Bold);
            }
            Block::Text(text) => self.paragraph(INDENT, text, Style::Tone(Tone::Plain)),
            Block::Note(text) => self.paragraph(INDENT, text, Style::Tone(Tone::Quiet)),
            Block::Callout(callout) => self.callout(callout),
            Block::Table(table) => self.table(table),
            Block::Facts(facts) => self.facts(facts),
            Block::Code(text) => self.paragraph(INDENT, &format!("$ {text}"), Style::Bold),
            Block::Picture(_) | Block::Document(_) => {}
        }
    }

    fn callout(&mut self, callout: &Callout) {
        let mark = match callout.tone {
            Tone::Loud => "!!! ",
            Tone::Permit => "",
            _ => "! ",
        };
        self.blank();
        self.paragraph(INDENT, &format!("{mark}{}", callout.title), Style::Tone(callout.tone));
        self.paragraph(INDENT + 2, &callout.text, Style::Tone(Tone::Plain));
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        let name_width = facts.iter().map(|(name, _)| width_of(name)).max().unwrap_or(0);
        for (name, value) in facts {
            self.fact(&words::plain(name), &words::plain(value), name_width);
        }
    }

    /// A digest that does not fit beside its name gets a line of its own, so that it can be copied.
    fn fact(&mut self, name: &str, value: &str, name_width: usize) {
        let indent = INDENT + name_width + GAP.len();
        let beside = self.width.saturating_sub(indent).max(16);
        let name = self.styled(&pad(name, name_width, ColumnKind::Id), Style::Tone(Tone::Quiet));
        if width_of(value) > beside && !value.contains(' ') {
            self.line(&format!("{}{}", " ".repeat(INDENT), name.trim_end()));
            return self.paragraph(2 * INDENT, value, Style::Tone(Tone::Plain));
        }
        for (number, line) in fill(value, beside).iter().enumerate() {
            let before = if number == 0 { format!("{}{name}{GAP}", " ".repeat(INDENT)) } else { " ".repeat(indent) };
            self.line(&format!("{before}{line}"));
        }
    }

    fn table(&mut self, table: &Table) {
        self.blank();
        self.paragraph(INDENT, &table.caption, Style::Tone(Tone::Quiet));
        let widths = widths(table, self.width - INDENT, GAP.len());
        let heads: Vec<Cell> = table.columns.iter().map(|c| Cell::toned(c.name.as_str(), Tone::Quiet)).collect();
        self.row(table, &Row { cells: heads, marked: false }, &widths);
        for row in &table.rows {
            self.row(table, row, &widths);
        }
        if let Some(more) = &table.more {
            self.paragraph(INDENT, more, Style::Tone(Tone::Quiet));
        }
    }

    /// Columns without a width are left out.
    fn row(&mut self, table: &Table, row: &Row, widths: &[Option<usize>]) {
        let cells = row.cells.iter().zip(&table.columns).zip(widths);
        let mut room = self.width - INDENT;
        let mut parts = Vec::new();
        for ((cell, column), width) in cells {
            let Some(width) = width.map(|width| width.min(room)) else { continue };
            let text = pad(&clip(&words::plain(&cell.text), width), width, column.kind);
            parts.push(self.styled(&text, Style::Tone(cell.tone)));
            room = room.saturating_sub(width + GAP.len());
        }
        let line = format!("{}{}", " ".repeat(INDENT), parts.join(GAP));
        let line = line.trim_end().to_owned();
        self.line(&line);
    }

    fn paragraph(&mut self, indent: usize, text: &str, style: Style) {
        for line in fill(&words::plain(text), self.width - indent) {
            let line = format!("{}{}", " ".repeat(indent), self.styled(&line, style));
            self.line(&line);
        }
    }

    fn styled(&self, text: &str, style: Style) -> String {
        match style.code() {
            Some(code) if self.color && !text.trim().is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }
}

/// How text is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Style {
    Bold,
    Tone(Tone),
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Bold => Some("1"),
            Self::Tone(Tone::Plain) => None,
            Self::Tone(Tone::Quiet) => Some("2"),
            Self::Tone(Tone::Permit) => Some("36"),
            Self::Tone(Tone::Hold) => Some("33"),
            Self::Tone(Tone::Deny) => Some("31"),
            Self::Tone(Tone::Loud) => Some("1;31"),
        }
    }
}

/// Breaks text into lines of at most `width` columns, between words where that is possible.
fn fill(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().flat_map(|word| cut(word, width)) {
        let Some(last) = lines.last_mut() else { break };
        if last.is_empty() {
            last.push_str(&word);
        } else if width_of(last) + 1 + width_of(&word) <= width {
            last.push(' ');
            last.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}
