//! Pictures of a production: calls a day, the chain, and what was in force.

use std::collections::BTreeMap;

use terms::Moment;

use super::{
    super::summary::{Summary, Totals},
    shown::instruments,
};
use crate::plan::{
    picture::svg::{Svg, WIDTH, breadth, fitted, scale},
    words,
};

/// Days that are drawn; the table and `calls.csv` have all.
const DAYS: usize = 62;
/// Snapshots that are drawn.
const SNAPSHOTS: usize = 12;
const LEFT: u64 = 100;
const BAR: u64 = 16;

/// Draws what there is, by the names under which the page asks for it.
pub(super) fn drawings(summary: &Summary) -> BTreeMap<&'static str, Svg> {
    let all = [("calls", calls(summary)), ("chain", Some(chain(summary))), ("in-force", in_force(summary))];
    all.into_iter().filter_map(|(name, svg)| Some((name, svg?))).collect()
}

/// One bar a day: calls that ended well, were cut, and were refused.
fn calls(summary: &Summary) -> Option<Svg> {
    let mut days: BTreeMap<&str, Totals> = BTreeMap::new();
    for ((_, day), totals) in &summary.totals {
        let sum = days.entry(day).or_default();
        *sum = sum.and(*totals);
    }
    let most = days.values().map(|totals| totals.calls + totals.refusals).max()?;
    let described: Vec<String> = days.iter().map(|(day, totals)| format!("{day}: {}", parts(totals))).collect();
    let mut svg = Svg::new("calls", "Calls and refusals a day", described.join(". "));
    let mut y = 44;
    for (day, totals) in days.iter().take(DAYS) {
        svg.text(0, y + 13, "pv-quiet", day);
        stack(&mut svg, y, totals, most);
        y += BAR + 8;
    }
    if let Some(more) = days.len().checked_sub(DAYS).filter(|more| *more > 0) {
        svg.text(0, y + 13, "pv-quiet", &format!("and {more} more days"));
    }
    Some(svg)
}

fn parts(totals: &Totals) -> String {
    let [calls, cut, refused] = [totals.calls, totals.cut, totals.refusals].map(words::count);
    format!("{calls} calls, {cut} of them cut, {refused} refused")
}

fn stack(svg: &mut Svg, y: u64, totals: &Totals, most: u64) {
    let room = WIDTH - LEFT - 330;
    let mut x = LEFT;
    let whole = totals.calls.saturating_sub(totals.cut);
    for (count, class) in [(whole, "pv-permit"), (totals.cut, "pv-hold"), (totals.refusals, "pv-deny")] {
        let width = scale(count, most, room);
        if width > 0 {
            svg.rect(x, y, width, BAR, class);
            x += width + 2;
        }
    }
    svg.text(x + 8, y + 13, "pv-quiet", &parts(totals));
}

/// The chain as a track: what was before, what is shown, and where the log wrote down how long it is.
fn chain(summary: &Summary) -> Svg {
    let (from, to) = summary.chain.numbers;
    let shown = words::of(to - from, "entry", "entries");
    let described = format!(
        "Of {} in the chain, those numbered {from} to {} are shown, every one.",
        words::of(to, "entry", "entries"),
        to.saturating_sub(1)
    );
    let mut svg = Svg::new("chain", "The chain, from its first entry on", described);
    let begin = scale(from, to, WIDTH);
    svg.rect(0, 44, WIDTH, 18, "pv-track");
    svg.rect(begin, 44, WIDTH - begin, 18, "pv-permit");
    svg.line((begin.max(1), 38), (begin.max(1), 68), "pv-mark");
    svg.line((WIDTH - 1, 38), (WIDTH - 1, 68), "pv-mark");
    let first = format!("number {}", words::count(from));
    let place = begin.min(WIDTH.saturating_sub(breadth(&first) + 260));
    svg.text(place, 84, "", &first);
    svg.text(WIDTH, 84, "pv-end", &format!("{shown}, none missing, up to {}", words::count(to.saturating_sub(1))));
    svg
}

/// What was in force, each from its moment to the next one's.
fn in_force(summary: &Summary) -> Option<Svg> {
    let snapshots = &summary.in_force;
    let (first, last) = (snapshots.first()?.at, end(summary));
    let described: Vec<String> =
        snapshots.iter().map(|one| format!("from {}: {}", words::moment(one.at), instruments(one))).collect();
    let mut svg = Svg::new("in-force", "What was in force, in UTC", described.join(". "));
    let place = |at: Moment| scale(millis(at, first), millis(last, first), WIDTH - 2);
    let mut y = 44;
    for (at, one) in snapshots.iter().enumerate().take(SNAPSHOTS) {
        let end = snapshots.get(at + 1).map_or(last, |next| next.at.min(last));
        let (begin, end) = (place(one.at), place(end));
        svg.rect(0, y + 22, WIDTH, 8, "pv-track");
        svg.rect(begin, y + 22, end.saturating_sub(begin).max(3), 8, "pv-permit");
        let label = format!("{}  {}", words::moment(one.at), instruments(one));
        svg.text(0, y + 14, "", &fitted(&label, WIDTH));
        y += 44;
    }
    if let Some(more) = snapshots.len().checked_sub(SNAPSHOTS).filter(|more| *more > 0) {
        svg.text(0, y + 13, "pv-quiet", &format!("and {more} more"));
    }
    Some(svg)
}

/// The end of the time that was asked for.
fn end(summary: &Summary) -> Moment {
    Moment::from_millis(i64::try_from(summary.selection.to_ms).unwrap_or(i64::MAX))
}

fn millis(later: Moment, earlier: Moment) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}
