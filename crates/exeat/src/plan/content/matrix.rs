//! What each reading of the instruments costs.

use std::collections::BTreeSet;

use policy::plan::{KnobMark, Matrix, MatrixCell, Report, Split};
use terms::ModelVersionId;

use super::{
    super::{
        law,
        page::{Block, Cell, Column, ColumnKind, Row, Section, Table, Tone},
        words,
    },
    ROWS, ranked,
};

/// The counts of one model version for all readings: the last question across, the others down.
#[derive(Clone, Debug)]
pub(crate) struct Grid<'a> {
    /// Which model version.
    pub(crate) model: &'a ModelVersionId,
    /// The questions whose answers go down; empty if there is only one.
    pub(crate) down: &'a [KnobMark],
    /// The question whose answers go across.
    pub(crate) across: &'a KnobMark,
    /// One for each combination of answers that go down.
    pub(crate) rows: Vec<&'a [MatrixCell]>,
    /// The counts of the documents as written, if they are among the combinations.
    pub(crate) as_written: AsWritten,
}

/// The counts of the documents as written, if they are known.
pub(crate) type AsWritten = Option<Split>;

/// Lays out the counts of one model version; none where no reading makes a difference to it.
pub(crate) fn grid<'a>(matrix: &'a Matrix, model: &'a ModelVersionId) -> Option<Grid<'a>> {
    let (across, down) = matrix.knobs.split_last()?;
    let splits = matrix.cells.iter().filter_map(|cell| cell.models.get(model));
    let counts: BTreeSet<[u64; 3]> = splits.map(persons).collect();
    if across.choices.is_empty() || counts.len() < 2 {
        return None;
    }
    let written = matrix.cells.iter().find(|cell| cell.as_written);
    let as_written = written.and_then(|cell| cell.models.get(model)).copied();
    Some(Grid { model, down, across, rows: matrix.cells.chunks(across.choices.len()).collect(), as_written })
}

/// The readings side by side, model version by model version.
pub(super) fn readings(report: &Report) -> Option<Section> {
    let matrix = report.matrix.as_ref()?;
    let mut blocks = vec![
        Block::Text(
            "The wording leaves questions open. Each cell is one set of answers: the people who could use the model \
             version, and in parentheses the difference to the document as written, which is marked \u{25c6}."
                .to_owned(),
        ),
        Block::Table(questions(matrix)),
        Block::Picture("matrix.svg"),
    ];
    for model in ranked(report) {
        match grid(matrix, &model.model) {
            Some(grid) => blocks.extend([Block::Table(table(&grid)), Block::Table(prices(matrix, &grid))]),
            None => blocks.push(Block::Note(format!("No reading makes a difference to {}.", model.model))),
        }
    }
    blocks.extend(faults(matrix).map(Block::Table));
    Some(super::section("readings", "What each reading costs", blocks))
}

fn persons(split: &Split) -> [u64; 3] {
    [split.permit.persons, split.hold.persons, split.deny.persons]
}

fn questions(matrix: &Matrix) -> Table {
    let heads =
        [(ColumnKind::Id, "question"), (ColumnKind::Words, "answers compared"), (ColumnKind::Words, "asked of")];
    let written = matrix.cells.iter().find(|cell| cell.as_written);
    Table::new("The questions", &heads).fill(&matrix.knobs, usize::MAX, |knob| {
        let answer = |choice: &String| {
            let stated = written.is_some_and(|cell| cell.readings.get(&knob.name) == Some(choice));
            format!("{}{}", law::reading(choice), if stated { " \u{25c6}" } else { "" })
        };
        let answers: Vec<String> = knob.choices.iter().map(answer).collect();
        let asked: Vec<&str> = knob.instruments.iter().map(terms::InstrumentId::as_str).collect();
        vec![law::reading(&knob.name).into(), answers.join(" | ").into(), asked.join(", ").into()]
    })
}

fn table(grid: &Grid<'_>) -> Table {
    let down = grid.down.iter().map(|knob| (ColumnKind::Words, law::reading(&knob.name)));
    let across = grid.across.choices.iter().map(|choice| (ColumnKind::Number, law::reading(choice)));
    let columns = down.chain(across).map(|(kind, name)| Column { name, kind });
    let across = law::reading(&grid.across.name);
    let caption = format!("People who could use {}, with the answers on {across} across", grid.model);
    let mut table = Table { columns: columns.collect(), ..Table::new(caption, &[]) };
    for cells in &grid.rows {
        let Some(first) = cells.first() else { continue };
        let answers = grid.down.iter().map(|knob| answer(first, knob).into());
        let counts = cells.iter().map(|cell| count(cell, grid));
        let marked = cells.iter().any(|cell| cell.as_written);
        table.rows.push(Row { cells: answers.chain(counts).collect(), marked });
    }
    table
}

fn answer(cell: &MatrixCell, knob: &KnobMark) -> String {
    cell.readings.get(&knob.name).map_or_else(String::new, |choice| law::reading(choice))
}

fn count(cell: &MatrixCell, grid: &Grid<'_>) -> Cell {
    let Some(split) = cell.models.get(grid.model) else {
        return Cell::toned("not valid", Tone::Quiet);
    };
    let now = words::count(split.permit.persons);
    match grid.as_written {
        _ if cell.as_written => Cell::toned(format!("\u{25c6} {now}"), Tone::Plain),
        Some(written) => {
            let difference = words::signed(written.permit.persons, split.permit.persons);
            Cell::toned(format!("{now} ({difference})"), tone(written, *split))
        }
        None => now.into(),
    }
}

fn tone(written: Split, read: Split) -> Tone {
    match read.permit.persons.cmp(&written.permit.persons) {
        std::cmp::Ordering::Less => Tone::Deny,
        std::cmp::Ordering::Equal => Tone::Quiet,
        std::cmp::Ordering::Greater => Tone::Permit,
    }
}

/// One question answered otherwise at a time, all others as written.
fn prices(matrix: &Matrix, grid: &Grid<'_>) -> Table {
    let heads = [
        (ColumnKind::Id, "question"),
        (ColumnKind::Words, "answered otherwise"),
        (ColumnKind::Number, "permit"),
        (ColumnKind::Number, "diff"),
        (ColumnKind::Number, "hold"),
        (ColumnKind::Number, "diff"),
        (ColumnKind::Number, "deny"),
        (ColumnKind::Number, "diff"),
    ];
    let caption = format!("{}: people, with one question answered otherwise at a time", grid.model);
    let table = Table::new(caption, &heads);
    let (Some(written), Some(base)) = (matrix.cells.iter().find(|cell| cell.as_written), grid.as_written) else {
        return table;
    };
    let others: Vec<(&KnobMark, &MatrixCell)> =
        matrix.cells.iter().filter_map(|cell| Some((only_difference(matrix, written, cell)?, cell))).collect();
    table.fill(&others, usize::MAX, |(knob, cell)| price(knob, cell, base, grid.model))
}

fn only_difference<'a>(matrix: &'a Matrix, written: &MatrixCell, cell: &MatrixCell) -> Option<&'a KnobMark> {
    let differs = |knob: &&KnobMark| cell.readings.get(&knob.name) != written.readings.get(&knob.name);
    let mut different = matrix.knobs.iter().filter(differs);
    let knob = different.next()?;
    different.next().is_none().then_some(knob)
}

fn price(knob: &KnobMark, cell: &MatrixCell, base: Split, model: &ModelVersionId) -> Vec<Cell> {
    let mut row: Vec<Cell> = vec![law::reading(&knob.name).into(), answer(cell, knob).into()];
    let Some(split) = cell.models.get(model) else {
        row.resize(8, Cell::toned("\u{2013}", Tone::Quiet));
        return row;
    };
    for (then, now) in persons(split).into_iter().zip(persons(&base)) {
        let tone = if then == now { Tone::Quiet } else { Tone::Plain };
        row.extend([words::count(then).into(), Cell::toned(words::signed(now, then), tone)]);
    }
    row
}

fn faults(matrix: &Matrix) -> Option<Table> {
    let heads = [(ColumnKind::Words, "readings"), (ColumnKind::Words, "why they make no valid document")];
    let faulty: Vec<(&MatrixCell, &String)> =
        matrix.cells.iter().filter_map(|cell| Some((cell, cell.fault.as_ref()?))).collect();
    let table = Table::new("Readings that exclude each other", &heads).fill(&faulty, ROWS, |(cell, fault)| {
        let readings: Vec<String> = cell.readings.values().map(|choice| law::reading(choice)).collect();
        vec![readings.join(", ").into(), fault.as_str().into()]
    });
    (!faulty.is_empty()).then_some(table)
}
