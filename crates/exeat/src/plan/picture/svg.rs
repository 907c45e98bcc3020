//! A drawing in SVG: rectangles, lines and text, each escaped, in whole pixels.

use super::super::{markup, words};

/// The width of every drawing, in pixels.
pub(crate) const WIDTH: u64 = 880;
const MARGIN: u64 = 16;
/// The width of a letter of 13 pixels, in a wide font.
const LETTER: u64 = 7;
/// The style of all drawings; its class names begin with `pv-`, so that it can stand in a page.
pub(crate) const STYLE: &str = include_str!("picture.css");

/// A drawing with a title and a description for those who cannot see it.
#[derive(Clone, Debug)]
pub(crate) struct Svg {
    name: &'static str,
    title: String,
    description: String,
    height: u64,
    body: String,
}

impl Svg {
    /// Begins a drawing; `name` must be unique in a page and is made of letters, digits and hyphens.
    pub(crate) fn new(name: &'static str, title: impl Into<String>, description: impl Into<String>) -> Self {
        let mut svg =
            Self { name, title: title.into(), description: description.into(), height: 0, body: String::new() };
        let title = svg.title.clone();
        svg.text(0, 20, "pv-title", &title);
        svg
    }

    /// Adds a rectangle.
    pub(crate) fn rect(&mut self, x: u64, y: u64, width: u64, height: u64, class: &str) {
        let shape = format!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#);
        self.add(&shape, y + height);
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, from: (u64, u64), to: (u64, u64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(&format!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#), y1.max(y2));
    }

    /// Adds text whose base line is at `y`.
    pub(crate) fn text(&mut self, x: u64, y: u64, class: &str, text: &str) {
        let shape = format!(r#"<text class="{class}" x="{x}" y="{y}">{}</text>"#, markup::escaped(text));
        self.add(&shape, y + 6);
    }

    /// Returns the drawing as a part of a page that has [`STYLE`].
    pub(crate) fn inline(&self) -> String {
        self.element("", "")
    }

    /// Returns the drawing as a file of its own.
    pub(crate) fn standalone(&self) -> String {
        let style = format!("<style>{STYLE}</style>\n");
        self.element(r#" xmlns="http://www.w3.org/2000/svg""#, &style) + "\n"
    }

    fn element(&self, namespace: &str, style: &str) -> String {
        let (name, width, height) = (self.name, WIDTH + 2 * MARGIN, self.height + 2 * MARGIN);
        let frame = format!(r#"x="-{MARGIN}" y="-{MARGIN}" width="{width}" height="{height}""#);
        let (title, description) = (markup::escaped(&self.title), markup::escaped(&self.description));
        let head = format!(
            r#"<svg{namespace} class="pv" role="img" aria-labelledby="{name}-title {name}-desc" width="{width}" height="{height}" viewBox="-{MARGIN} -{MARGIN} {width} {height}">"#
        );
        format!(
            "{head}\n<title id=\"{name}-title\">{title}</title>\n<desc id=\"{name}-desc\">{description}</desc>\n{style}\
             <rect class=\"pv-ground\" {frame}/>\n{}</svg>",
            self.body
        )
    }

    fn add(&mut self, shape: &str, bottom: u64) {
        self.body.push_str(shape);
        self.body.push('\n');
        self.height = self.height.max(bottom);
    }
}

/// Returns `part` of `whole` on a scale of `length` pixels; at least one for anything at all, never more than `length`.
pub(crate) fn scale(part: u64, whole: u64, length: u64) -> u64 {
    let exact = u128::from(part) * u128::from(length) / u128::from(whole.max(1));
    let pixels = u64::try_from(exact).unwrap_or(length).min(length);
    if part > 0 { pixels.max(1) } else { 0 }
}

/// Estimates how wide text is in letters of 13 pixels; rather too wide than too narrow.
pub(crate) fn breadth(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(0) * LETTER
}

/// Shortens text to what should fit into `room` pixels.
pub(crate) fn fitted(text: &str, room: u64) -> String {
    let most = usize::try_from(room / LETTER).unwrap_or(0).max(2);
    let text = words::plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['\u{2026}']).collect()
}
