//! Permits that end by lapse of time, over time: one row of bars for each model version.

use std::collections::BTreeMap;

use policy::plan::Report;
use terms::{ModelVersionId, Moment};

use super::{
    super::words,
    svg::{Svg, WIDTH, scale},
};

/// Bars in a row.
const BARS: u64 = 48;
const HEIGHT: u64 = 64;

/// Draws how many permits end when; none if none do.
pub(super) fn lapses(report: &Report) -> Option<Svg> {
    let schedule = &report.schedule;
    let rows = rows(report);
    let most = rows.values().flat_map(BTreeMap::values).max().copied()?;
    let described: Vec<String> = rows.iter().map(|(model, bars)| in_words(report, model, bars)).collect();
    let until = words::moment(schedule.lapses_until);
    let title = format!("Permits that end up to {until} if nothing is renewed");
    let mut svg = Svg::new("lapses", title, described.join(" "));
    let mut y = 44;
    for (model, bars) in &rows {
        row(&mut svg, y, model, bars, most);
        y += HEIGHT + 46;
    }
    ticks(&mut svg, y - 5, report);
    Some(svg)
}

fn in_words(report: &Report, model: &ModelVersionId, bars: &BTreeMap<u64, u64>) -> String {
    let peak = bars.iter().max_by_key(|(_, keys)| **keys).map(|(bar, _)| words::moment(begin(report, *bar)));
    let keys = words::of(bars.values().sum(), "permit ends", "permits end");
    format!("{model}: {keys}, most of them from {}.", peak.unwrap_or_default())
}

/// Keys by model version and by bar.
fn rows(report: &Report) -> BTreeMap<&ModelVersionId, BTreeMap<u64, u64>> {
    let window = millis(report.schedule.lapses_until, report.at).max(1);
    let mut rows: BTreeMap<_, BTreeMap<u64, u64>> = BTreeMap::new();
    for lapse in &report.schedule.lapses {
        let place = u128::from(millis(lapse.first, report.at)) * u128::from(BARS) / u128::from(window);
        let bar = u64::try_from(place).unwrap_or(BARS).min(BARS - 1);
        *rows.entry(&lapse.model).or_default().entry(bar).or_default() += lapse.keys;
    }
    rows
}

fn row(svg: &mut Svg, y: u64, model: &ModelVersionId, bars: &BTreeMap<u64, u64>, most: u64) {
    svg.text(0, y + 4, "pv-name", model.as_str());
    let all = words::of(bars.values().sum(), "permit", "permits");
    svg.text(WIDTH, y + 4, "pv-quiet pv-end", &all);
    let base = y + 22 + HEIGHT;
    let width = WIDTH / BARS;
    let highest = bars.iter().max_by_key(|(_, keys)| **keys);
    for (bar, keys) in bars {
        let height = scale(*keys, most, HEIGHT);
        svg.rect(bar * width, base - height, width - 3, height, "pv-hold");
        if highest.is_some_and(|(highest, _)| highest == bar) {
            svg.text(bar * width + width / 2, base - height - 4, "pv-middle", &words::count(*keys));
        }
    }
    svg.line((0, base), (WIDTH, base), "pv-axis");
}

fn ticks(svg: &mut Svg, y: u64, report: &Report) {
    for (bar, anchor) in [(0, ""), (BARS / 3, "pv-middle"), (BARS * 2 / 3, "pv-middle"), (BARS, "pv-end")] {
        let stamp = words::moment(begin(report, bar));
        svg.text(bar * (WIDTH / BARS), y, &format!("pv-quiet {anchor}"), &stamp);
    }
}

/// The moment at which a bar begins, without seconds.
fn begin(report: &Report, bar: u64) -> Moment {
    let window = u128::from(millis(report.schedule.lapses_until, report.at));
    let offset = u64::try_from(window * u128::from(bar) / u128::from(BARS)).unwrap_or(0) / 60_000 * 60_000;
    report.at.plus(std::time::Duration::from_millis(offset))
}

fn millis(later: Moment, earlier: Moment) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}
