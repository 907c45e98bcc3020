//! Pictures of a plan, in SVG.

mod bars;
mod heatmap;
mod lapses;
pub(crate) mod svg;
mod timeline;

use std::collections::BTreeMap;

use svg::Svg;

use policy::plan::Report;

use super::view::View;

/// Renders the pictures of a plan, each a file of its own, by the name of its file.
///
/// A picture that has nothing to show is left out.
pub(crate) fn pictures(view: &View) -> BTreeMap<String, String> {
    let drawn = drawings(&view.report).into_iter();
    drawn.map(|(name, svg)| (name.to_owned(), svg.standalone())).collect()
}

/// Draws the pictures of a report, by the names of their files.
pub(crate) fn drawings(report: &Report) -> BTreeMap<&'static str, Svg> {
    let all = [
        ("before-after.svg", bars::before_after(report)),
        ("keeps.svg", bars::keeps(report)),
        ("lapses.svg", lapses::lapses(report)),
        ("matrix.svg", heatmap::heatmap(report)),
        ("time-plan.svg", timeline::timeline(report)),
    ];
    all.into_iter().filter_map(|(name, svg)| Some((name, svg?))).collect()
}
