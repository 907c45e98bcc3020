//! The readings side by side: the darker a cell, the further from the document as written.

use policy::plan::{KnobMark, MatrixCell, Report, Split};

use super::{
    super::{
        content::{self, Grid},
        law, words,
    },
    svg::{Svg, WIDTH, fitted},
};

const ROW: u64 = 36;
/// The width of the answers to one question that goes down.
const ANSWER: u64 = 232;
/// The least width of a cell.
const CELL: u64 = 104;

/// Draws one grid for each model version to which some reading makes a difference.
pub(super) fn heatmap(report: &Report) -> Option<Svg> {
    let matrix = report.matrix.as_ref()?;
    let grids: Vec<Grid<'_>> =
        content::ranked(report).into_iter().filter_map(|model| content::grid(matrix, &model.model)).collect();
    if grids.is_empty() {
        return None;
    }
    let title = "People who could use it, by reading; \u{25c6} as written";
    let mut svg = Svg::new("matrix", title, grids.iter().map(described).collect::<Vec<_>>().join(" "));
    let mut y = 52;
    for grid in &grids {
        y = draw(&mut svg, y, grid);
    }
    Some(svg)
}

fn described(grid: &Grid<'_>) -> String {
    let counts = grid.rows.iter().copied().flatten().filter_map(|cell| cell.models.get(grid.model));
    let counts: Vec<u64> = counts.map(|split| split.permit.persons).collect();
    let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
    let written = grid.as_written.map(|split| words::people(split.permit.persons));
    format!(
        "{}: {} as written, from {} to {} over all readings.",
        grid.model,
        written.unwrap_or_else(|| "unknown".to_owned()),
        words::count(least.unwrap_or(0)),
        words::count(most.unwrap_or(0)),
    )
}

/// Draws a grid below `y` and returns where the next one begins.
fn draw(svg: &mut Svg, mut y: u64, grid: &Grid<'_>) -> u64 {
    let (down, across) = (number(grid.down.len()), number(grid.across.choices.len()).max(1));
    let answers = ANSWER.min(WIDTH.saturating_sub(across * CELL) / down.max(1));
    let left = answers * down;
    let width = ((WIDTH - left) / across).max(4);
    svg.text(0, y, "pv-name", grid.model.as_str());
    svg.text(left, y, "pv-quiet", &fitted(&law::reading(&grid.across.name), WIDTH - left));
    y += 22;
    heads(svg, y, grid, (answers, width));
    y += 10;
    for (row, cells) in grid.rows.iter().enumerate() {
        let above = row.checked_sub(1).and_then(|above| grid.rows.get(above)).and_then(|row| row.first());
        labels(svg, y, grid.down, answers, (cells.first(), above));
        for (place, cell) in (0_u64..).zip(cells.iter()) {
            cell_at(svg, (left + place * width, y, width - 3), cell, grid);
        }
        y += ROW;
    }
    y + 40
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn heads(svg: &mut Svg, y: u64, grid: &Grid<'_>, (answers, width): (u64, u64)) {
    let mut x = 0;
    for knob in grid.down {
        svg.text(x, y, "pv-quiet", &fitted(&law::reading(&knob.name), answers.saturating_sub(8)));
        x += answers;
    }
    for choice in &grid.across.choices {
        svg.text(x, y, "", &fitted(&law::reading(choice), width.saturating_sub(8)));
        x += width;
    }
}

/// Writes the answers of a row, but those that the row above has too.
fn labels(svg: &mut Svg, y: u64, down: &[KnobMark], width: u64, rows: (Option<&MatrixCell>, Option<&MatrixCell>)) {
    let (Some(cell), above) = rows else { return };
    let mut same = above.is_some();
    let mut x = 0;
    for knob in down {
        let choice = cell.readings.get(&knob.name);
        same = same && above.is_some_and(|above| above.readings.get(&knob.name) == choice);
        if let Some(choice) = choice.filter(|_| !same) {
            svg.text(x, y + 22, "", &fitted(&law::reading(choice), width.saturating_sub(8)));
        }
        x += width;
    }
}

fn cell_at(svg: &mut Svg, (x, y, width): (u64, u64, u64), cell: &MatrixCell, grid: &Grid<'_>) {
    let Some(split) = cell.models.get(grid.model) else {
        svg.rect(x, y, width, ROW - 3, "pv-void");
        svg.text(x + 10, y + 21, "pv-quiet", "not valid");
        return;
    };
    let class = grid.as_written.map_or_else(|| "pv-same".to_owned(), |written| shade(written, *split));
    let on = if class.ends_with('3') { "pv-on-strong" } else { "pv-on-pale" };
    svg.rect(x, y, width, ROW - 3, &class);
    let now = words::count(split.permit.persons);
    let mark = if cell.as_written { "\u{25c6} " } else { "" };
    svg.text(x + 10, y + 21, on, &format!("{mark}{now}"));
    if let Some(written) = grid.as_written.filter(|_| !cell.as_written) {
        let difference = words::signed(written.permit.persons, split.permit.persons);
        svg.text(x + width - 10, y + 21, &format!("{on} pv-end"), &difference);
    }
    if cell.as_written {
        svg.rect(x + 1, y + 1, width - 2, ROW - 5, "pv-written");
    }
}

/// Three shades each way: less than 5, less than 15, and more percent of the people as written.
fn shade(written: Split, read: Split) -> String {
    let (base, now) = (written.permit.persons, read.permit.persons);
    let step = match words::per_mille(base.abs_diff(now), base) {
        0..50 => 1,
        50..150 => 2,
        _ => 3,
    };
    match now.cmp(&base) {
        std::cmp::Ordering::Less => format!("pv-less-{step}"),
        std::cmp::Ordering::Equal => "pv-same".to_owned(),
        std::cmp::Ordering::Greater => format!("pv-more-{step}"),
    }
}
