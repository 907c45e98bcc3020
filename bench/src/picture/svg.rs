//! Writes SVG, element by element.

use std::fmt::Write as _;

const STYLE: &str = "\
.ground{fill:#ffffff}\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;fill:#1f2937;font-size:13px}\
.title{font-size:18px;font-weight:600}\
.head{font-size:14px;font-weight:600}\
.made{fill:#6b7280;font-size:12px}\
.strong{font-weight:600}\
.tick{fill:#6b7280;font-size:11px}\
.value{font-variant-numeric:tabular-nums}\
.grid{stroke:#e5e7eb;stroke-width:1}\
.ours{fill:#2563eb}\
.theirs{fill:#9ca3af}\
.whisker{stroke:#111827;stroke-width:1.25}\
@media (prefers-color-scheme:dark){\
.ground{fill:#0d1117}\
text{fill:#e5e7eb}\
.tick,.made{fill:#9ca3af}\
.grid{stroke:#30363d}\
.ours{fill:#60a5fa}\
.theirs{fill:#6b7280}\
.whisker{stroke:#f9fafb}}";

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A picture being written. Classes name the colors of both grounds.
#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    /// Begins a picture; `label` is what a screen reader says.
    pub(super) fn new(width: f64, height: f64, label: &str) -> Self {
        let mut svg = Self(String::new());
        svg.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>",
            escaped(label)
        ));
        svg.rect((0.0, 0.0), (width, height), "ground");
        svg
    }

    /// Draws a rectangle by its upper left corner and its size.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            width.max(0.0),
            height.max(0.0)
        ));
    }

    /// Draws a line.
    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.put(format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
    }

    /// Writes text on a base line.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escaped(text)
        ));
    }

    /// Ends the picture and returns its text.
    pub(super) fn finish(mut self) -> String {
        self.put(format_args!("</svg>"));
        self.0
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
