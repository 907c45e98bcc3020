//! Bars: who is permitted, held and denied, now and then; who keeps a model version, and on what legal basis.

use policy::plan::{Keep, Report, Split};

use super::{
    super::{content, law, words},
    svg::{Svg, WIDTH, breadth, fitted, scale},
};

const LEFT: u64 = 56;
const BAR: u64 = 24;

/// Draws two stacked bars for each model version, in keys: each key is in exactly one part.
pub(super) fn before_after(report: &Report) -> Option<Svg> {
    let most = report.models.iter().flat_map(|model| [total(&model.before), total(&model.after)]).max()?;
    let models = content::ranked(report);
    let described = models
        .iter()
        .map(|model| format!("{}: now {}; then {}", model.model, parts(&model.before), parts(&model.after)));
    let described = described.collect::<Vec<_>>().join(". ");
    let mut svg = Svg::new("before-after", "Keys permitted, held and denied, now and then", described);
    let mut y = 48;
    for model in models {
        svg.text(0, y, "pv-name", model.model.as_str());
        stack(&mut svg, y + 10, "now", &model.before, most);
        stack(&mut svg, y + 12 + BAR, "then", &model.after, most);
        y += 2 * BAR + 46;
    }
    Some(svg)
}

/// Draws one bar for each legal basis of each model version that loses or changes anything.
pub(super) fn keeps(report: &Report) -> Option<Svg> {
    let all =
        content::ranked(report).into_iter().flat_map(|model| model.keeps.iter().map(move |keep| (&model.model, keep)));
    let all: Vec<_> = all.collect();
    let most = all.iter().map(|(_, keep)| keep.reach.keys).max()?;
    let described: Vec<String> =
        all.iter().map(|(model, keep)| format!("{model} on {}: {}", law::ids(&keep.basis), kept(keep))).collect();
    let mut svg = Svg::new("keeps", "Who keeps it, by legal basis", described.join(". "));
    let mut y = 48;
    let mut last = None;
    for (model, keep) in all {
        if last != Some(model) {
            svg.text(0, y, "pv-name", model.as_str());
            y += 20;
        }
        last = Some(model);
        y = basis(&mut svg, y, keep, most);
    }
    Some(svg)
}

fn total(split: &Split) -> u64 {
    split.permit.keys + split.hold.keys + split.deny.keys
}

fn parts(split: &Split) -> String {
    let [permit, hold, deny] = [split.permit, split.hold, split.deny].map(|reach| words::count(reach.keys));
    format!("{permit} permitted, {hold} held, {deny} denied")
}

/// Draws one bar. A part says its number if there is room in it; else the number stands behind the bar, by its color.
fn stack(svg: &mut Svg, y: u64, when: &str, split: &Split, most: u64) {
    svg.text(0, y + 17, "pv-quiet", when);
    let room = WIDTH - LEFT - 210;
    let mut x = LEFT;
    let mut behind = Vec::new();
    for (reach, what) in [(split.permit, "permit"), (split.hold, "hold"), (split.deny, "deny")] {
        let width = scale(reach.keys, most, room);
        let label = format!("{} {what}", words::count(reach.keys));
        if width > 0 {
            svg.rect(x, y, width, BAR, &format!("pv-{what}"));
        }
        if breadth(&label) + 12 <= width {
            svg.text(x + 7, y + 17, &format!("pv-on-{what}"), &label);
        } else if reach.keys > 0 {
            behind.push((label, what));
        }
        x += if width > 0 { width + 2 } else { 0 };
    }
    for (label, what) in behind {
        svg.rect(x + 6, y + 8, 9, 9, &format!("pv-{what}"));
        svg.text(x + 20, y + 17, "pv-quiet", &label);
        x += 26 + breadth(&label);
    }
}

fn basis(svg: &mut Svg, y: u64, keep: &Keep, most: u64) -> u64 {
    let label = format!("{}: {}", law::ids(&keep.basis), law::meanings(&keep.basis));
    svg.text(0, y, "pv-quiet", &fitted(&label, WIDTH));
    let room = WIDTH - 330;
    let width = scale(keep.reach.keys, most, room);
    svg.rect(0, y + 8, width, BAR - 6, "pv-permit");
    svg.text(width + 8, y + 22, "", &kept(keep));
    y + BAR + 32
}

fn kept(keep: &Keep) -> String {
    let reach = &keep.reach;
    let (people, keys) = (words::people(reach.persons), words::of(reach.keys, "key", "keys"));
    format!("{people}, {keys}, {} of its tokens", words::share(reach))
}
