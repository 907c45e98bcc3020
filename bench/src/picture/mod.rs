//! Pictures: horizontal bars with whiskers from the smallest to the largest round, as SVG that can be read on light and
//! on dark ground.

mod axis;
mod svg;

use crate::report::{Spread, figure};
use axis::Axis;
use svg::{Anchor, Svg};

/// One figure of several contenders.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What the figure is, with its unit.
    pub(crate) title: String,
    /// From top to bottom.
    pub(crate) bars: Vec<Bar>,
}

/// One contender's figure.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// Whose.
    pub(crate) name: String,
    /// The bar ends at the median; the whisker goes from the smallest to the largest.
    pub(crate) spread: Spread,
    /// Drawn in the accent color.
    pub(crate) ours: bool,
}

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 24.0;
/// Bars begin here at the earliest; names stand left of them.
const BARS: f64 = 140.0;
/// About as wide as a letter of a name is.
const LETTER: f64 = 7.8;
/// Bars end here at the latest; values stand right of them.
const BARS_END: f64 = 660.0;
const PITCH: f64 = 26.0;
const THICK: f64 = 14.0;
const CHART_HEAD: f64 = 34.0;
const CHART_FOOT: f64 = 34.0;
const HEAD: f64 = 76.0;

/// Draws charts below each other under a title and a line that says how they were made. Charts without bars are left out.
pub(crate) fn render(title: &str, made: &str, charts: &[Chart]) -> String {
    let charts: Vec<_> = charts.iter().filter(|chart| !chart.bars.is_empty()).collect();
    let names = charts.iter().flat_map(|chart| &chart.bars).map(|bar| count(bar.name.chars().count()));
    let left = names.fold(BARS, |left, letters| left.max(MARGIN + 10.0 + LETTER * letters)).min(BARS_END / 2.0);
    let height = HEAD + charts.iter().map(|chart| chart.height()).sum::<f64>();
    let mut svg = Svg::new(WIDTH, height, title);
    svg.text(MARGIN, 34.0, "title", Anchor::Start, title);
    svg.text(MARGIN, 56.0, "made", Anchor::Start, made);
    let mut top = HEAD;
    for chart in charts {
        chart.draw(&mut svg, top, left);
        top += chart.height();
    }
    svg.finish()
}

impl Chart {
    fn height(&self) -> f64 {
        CHART_HEAD + CHART_FOOT + PITCH * count(self.bars.len())
    }

    fn draw(&self, svg: &mut Svg, top: f64, left: f64) {
        let axis = Axis::fit(self.bars.iter().map(|bar| bar.spread), left, BARS_END);
        let (first, last) = (top + CHART_HEAD, top + self.height() - CHART_FOOT);
        let scale = if axis.is_log() { " (log scale)" } else { "" };
        svg.text(MARGIN, top + 18.0, "head", Anchor::Start, &format!("{}{scale}", self.title));
        for (at, label) in axis.ticks() {
            svg.line((at, first), (at, last), "grid");
            svg.text(at, last + 16.0, "tick", Anchor::Middle, &label);
        }
        let mut y = first + PITCH / 2.0;
        for bar in &self.bars {
            bar.draw(svg, &axis, left, y);
            y += PITCH;
        }
    }
}

impl Bar {
    fn draw(&self, svg: &mut Svg, axis: &Axis, left: f64, y: f64) {
        let Spread { median, low, high } = self.spread;
        let [end, from, to] = [median, low, high].map(|value| axis.place(value));
        let class = if self.ours { "ours" } else { "theirs" };
        svg.text(left - 10.0, y + 4.0, if self.ours { "name strong" } else { "name" }, Anchor::End, &self.name);
        svg.rect((left, y - THICK / 2.0), (end - left, THICK), class);
        svg.line((from, y), (to, y), "whisker");
        for x in [from, to] {
            svg.line((x, y - 4.0), (x, y + 4.0), "whisker");
        }
        svg.text(to.max(end) + 8.0, y + 4.0, "value", Anchor::Start, &figure(median));
    }
}

/// Numbers of bars are small.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, median: f64) -> Bar {
        Bar { name: name.to_owned(), spread: Spread { median, low: median * 0.9, high: median * 1.2 }, ours: false }
    }

    fn picture(values: &[f64]) -> String {
        let bars = values.iter().map(|value| bar("a <b> & \"c\"", *value)).collect();
        render("T & <t>", "5 rounds", &[Chart { title: "CPU < 2".to_owned(), bars }])
    }

    /// Checks what well-formedness asks of the part of XML that we write: tags that nest, quoted attributes, no stray
    /// `<` or `&`.
    fn assert_well_formed(text: &str) {
        let mut open = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            assert_no_stray(&rest[..at]);
            let end = at + rest[at..].find('>').expect("a tag ends");
            let tag = &rest[at + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "quotes of `{tag}`");
            assert!(!tag.contains('<'), "`<` in `{tag}`");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name.to_owned())),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap().to_owned()),
            }
            rest = &rest[end + 1..];
        }
        assert!(rest.trim().is_empty() && open.is_empty(), "`{rest}` {open:?}");
    }

    fn assert_no_stray(text: &str) {
        for part in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| part.starts_with(known)), "`&{part}`");
        }
    }

    #[test]
    fn a_picture_is_well_formed_whatever_names_and_values_are() {
        for values in [&[1.0][..], &[0.0, 0.0], &[-5.0, 3.0], &[0.02, 1_900.0, 24_000.0], &[f64::MAX, 1.0], &[]] {
            let text = picture(values);
            assert_well_formed(&text);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn what_checks_well_formedness_sees_tags_that_do_not_nest() {
        assert_well_formed("<a><b></a></b>");
    }

    #[test]
    fn values_that_are_far_apart_are_drawn_on_a_log_scale_and_say_so() {
        assert!(picture(&[30.0, 24_000.0]).contains("CPU &lt; 2 (log scale)"));
        assert!(!picture(&[30.0, 60.0]).contains("log scale"));
    }

    #[test]
    fn a_chart_without_bars_takes_no_room() {
        let empty = Chart { title: "nothing".to_owned(), bars: Vec::new() };
        assert!(!render("t", "", &[empty]).contains("nothing"));
    }
}
