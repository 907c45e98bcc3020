//! A plan as one page of HTML: nothing is loaded from anywhere, nothing runs, and it is well-formed XML.

use std::collections::BTreeMap;

use super::{
    content,
    markup::{escaped, escaped_lines},
    page::{Block, Callout, Cell, ColumnKind, Page, Row, Section, Table, Tone},
    picture::{
        self,
        svg::{self, Svg},
    },
    view::View,
};

const STYLE: &str = include_str!("page.css");
/// Whatever slipped in could neither run nor be fetched.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Renders a plan as one file that a browser shows and a printer prints without any other.
///
/// All text is escaped; there is no script, no font and no address in it.
pub(crate) fn html(view: &View) -> String {
    page(&content::page(view), &picture::drawings(&view.report))
}

/// Renders a page with its drawings, each where a [`Block::Picture`] has its name; otherwise as [`html`].
pub(crate) fn page(page: &Page, drawings: &BTreeMap<&'static str, Svg>) -> String {
    let sections: String = page.sections.iter().map(|section| self::section(section, drawings)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{POLICY}\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{}</title>\n<style>{STYLE}{}</style>\n</head>\n\
         <body>\n{}{}<main>\n{sections}</main>\n</body>\n</html>\n",
        escaped(&page.title),
        svg::STYLE,
        head(page),
        contents(&page.sections),
    )
}

fn head(page: &Page) -> String {
    let beside: String = page.beside.iter().map(|line| element("p", "", &escaped(line))).collect();
    format!(
        "<header>\n{}{}{}{beside}</header>\n",
        element("h1", "", &escaped(&page.title)),
        element("p", "subtitle", &escaped(&page.subtitle)),
        element("p", "headline", &escaped(&page.headline)),
    )
}

fn contents(sections: &[Section]) -> String {
    let link = |section: &Section| {
        format!("<li><a href=\"#{}\">{}</a></li>\n", escaped(&section.anchor), escaped(&section.title))
    };
    let links: String = sections.iter().map(link).collect();
    format!("<nav aria-label=\"Contents\">\n<ul>\n{links}</ul>\n</nav>\n")
}

fn section(section: &Section, drawings: &BTreeMap<&'static str, Svg>) -> String {
    let anchor = escaped(&section.anchor);
    let blocks: String = section.blocks.iter().map(|block| self::block(block, drawings)).collect();
    format!(
        "<section id=\"{anchor}\" aria-labelledby=\"{anchor}-head\">\n<h2 id=\"{anchor}-head\">{}</h2>\n{blocks}</section>\n",
        escaped(&section.title),
    )
}

fn block(block: &Block, drawings: &BTreeMap<&'static str, Svg>) -> String {
    match block {
        Block::Heading(text) => element("h3", "", &escaped(text)),
        Block::Text(text) => element("p", "", &escaped(text)),
        Block::Note(text) => element("p", "note", &escaped(text)),
        Block::Callout(callout) => self::callout(callout),
        Block::Table(table) => self::table(table),
        Block::Facts(facts) => self::facts(facts),
        Block::Code(text) => format!("<pre><code>{}</code></pre>\n", escaped_lines(text)),
        Block::Document(text) => format!(
            "<details open=\"open\">\n<summary>The whole document</summary>\n<pre><code>{}</code></pre>\n</details>\n",
            escaped_lines(text)
        ),
        Block::Picture(name) => {
            drawings.get(name).map_or_else(String::new, |svg| format!("<figure>\n{}\n</figure>\n", svg.inline()))
        }
    }
}

/// Loud ones are announced by screen readers as what they are.
fn callout(callout: &Callout) -> String {
    let role = if callout.tone == Tone::Loud { "alert" } else { "note" };
    let (class, title, text) = (tone(callout.tone), escaped(&callout.title), escaped(&callout.text));
    format!("<div role=\"{role}\" class=\"callout {class}\">\n<p><strong>{title}</strong></p>\n<p>{text}</p>\n</div>\n")
}

fn facts(facts: &[(String, String)]) -> String {
    let fact = |(name, value): &(String, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value));
    format!("<dl>\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
}

fn table(table: &Table) -> String {
    let heads = table.columns.iter().map(|column| {
        let class = column_class(column.kind);
        format!("<th scope=\"col\"{}>{}</th>", classes(&[class]), escaped(&column.name))
    });
    let rows: String = table.rows.iter().map(|row| self::row(table, row)).collect();
    let more = table.more.as_ref().map_or_else(String::new, |more| element("p", "note", &escaped(more)));
    format!(
        "<div class=\"scroll\">\n<table>\n<caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         </div>\n{more}",
        escaped(&table.caption),
        heads.collect::<String>(),
    )
}

fn row(table: &Table, row: &Row) -> String {
    let cells = row.cells.iter().zip(&table.columns).enumerate();
    let cells = cells.map(|(place, (cell, column))| self::cell(cell, column.kind, place == 0));
    let marked = classes(&[if row.marked { "marked" } else { "" }]);
    format!("<tr{marked}>{}</tr>\n", cells.collect::<String>())
}

fn cell(cell: &Cell, kind: ColumnKind, first: bool) -> String {
    let (tag, scope) = if first { ("th", " scope=\"row\"") } else { ("td", "") };
    let classes = classes(&[column_class(kind), tone(cell.tone)]);
    format!("<{tag}{scope}{classes}>{}</{tag}>", escaped(&cell.text))
}

fn column_class(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Id => "id",
        ColumnKind::Words => "words",
        ColumnKind::Number | ColumnKind::Extra => "number",
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Quiet => "quiet",
        Tone::Permit => "permit",
        Tone::Hold => "hold",
        Tone::Deny => "deny",
        Tone::Loud => "loud",
    }
}

fn classes(names: &[&str]) -> String {
    let named: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    if named.is_empty() { String::new() } else { format!(" class=\"{}\"", named.join(" ")) }
}

/// Writes an element around what is escaped already.
fn element(tag: &str, class: &str, inner: &str) -> String {
    format!("<{tag}{}>{inner}</{tag}>\n", classes(&[class]))
}
