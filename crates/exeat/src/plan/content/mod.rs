//! What is said, in which order and in which words; how it is laid out is decided elsewhere.

mod changes;
mod head;
mod marks;
mod matrix;
mod models;
mod proofs;
mod replay;
mod schedule;

pub(crate) use head::ranked;
pub(crate) use matrix::{Grid, grid};

use policy::plan::Reach;

use super::{
    page::{Block, Cell, ColumnKind, Page, Section},
    view::View,
    words,
};

/// Rows of a table that are shown before the rest is only counted.
const ROWS: usize = 12;

/// Says everything about a plan, most important first.
pub(crate) fn page(view: &View) -> Page {
    let report = &view.report;
    let mut sections = vec![head::warnings(report), models::overview(report)];
    sections.extend(models::each(report));
    sections.extend(matrix::readings(report));
    sections.extend(changes::document(view));
    sections.push(proofs::proved(view));
    sections.extend(view.replay.as_ref().map(replay::past));
    sections.push(schedule::times(report));
    sections.push(marks::rollback(report));
    sections.push(marks::reproduce(view));
    Page {
        title: view.title.clone(),
        subtitle: head::subtitle(report),
        headline: head::headline(report),
        beside: head::beside(report),
        sections,
    }
}

fn section(anchor: &str, title: &str, blocks: Vec<Block>) -> Section {
    Section { anchor: anchor.to_owned(), title: title.to_owned(), blocks }
}

/// The columns that [`reached`] fills.
const REACHED: [(ColumnKind, &str); 6] = [
    (ColumnKind::Number, "people"),
    (ColumnKind::Extra, "workloads"),
    (ColumnKind::Number, "keys"),
    (ColumnKind::Extra, "streams"),
    (ColumnKind::Number, "tokens/min"),
    (ColumnKind::Number, "share"),
];

/// Writes how many are concerned, for the columns [`REACHED`].
fn reached(reach: &Reach) -> Vec<Cell> {
    let counts = [reach.persons, reach.workloads, reach.keys, reach.open_streams, reach.tokens_per_minute];
    let mut cells: Vec<Cell> = counts.map(|n| words::count(n).into()).into();
    cells.push(words::share(reach).into());
    cells
}

/// Puts columns of its own before [`REACHED`].
fn columns(own: &[(ColumnKind, &'static str)]) -> Vec<(ColumnKind, &'static str)> {
    own.iter().chain(&REACHED).copied().collect()
}

/// Puts cells of its own before those of a reach.
fn cells(own: impl IntoIterator<Item = Cell>, reach: &Reach) -> Vec<Cell> {
    own.into_iter().chain(reached(reach)).collect()
}
