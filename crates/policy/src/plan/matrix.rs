//! The price of each reading: the same population decided under every combination of readings.
//!
//! A class is decided only in the cells whose readings can bear on it ([`super::bearing`]); in every other cell it gets
//! the answer of the cell that differs only in what does not.

use std::collections::{BTreeMap, BTreeSet};

use terms::ModelVersionId;

use super::{
    Study,
    answers::Column,
    bearing,
    census::NONE,
    classes::index,
    models::split,
    reading::{Cell, Grid, Question},
    report::{Matrix, MatrixCell, Split},
};
use crate::Snapshot;

impl Study<'_> {
    pub(super) fn matrix(&mut self, grid: &Grid) -> Option<Matrix> {
        if grid.cells.is_empty() {
            return None;
        }
        let questions: Vec<Question> = grid.questions().collect();
        let (lens, seats) = (self.shaper.lens, self.shaper.seats);
        let masks = self.classes.shapes.iter().map(|shape| bearing::mask(&questions, shape, lens, seats));
        let masks: Vec<u32> = masks.collect();
        let own: Vec<Result<Own, String>> = grid.cells.iter().map(|cell| self.own(cell, &masks)).collect();
        let filled = |(place, cell): (usize, &Cell)| {
            let (models, fault) = match own.get(place) {
                Some(Err(fault)) => (BTreeMap::new(), Some(fault.clone())),
                _ => (self.splits(&self.fill(grid, &own, &masks, place)), None),
            };
            MatrixCell { readings: cell.readings.clone(), as_written: cell.turned == 0, models, fault }
        };
        let cells = grid.cells.iter().enumerate().map(filled).collect();
        Some(Matrix { knobs: grid.marks(), cells })
    }

    /// Decides under a cell the classes on which all bears in which it differs from what is written.
    fn own(&mut self, cell: &Cell, masks: &[u32]) -> Result<Own, String> {
        let document = cell.read(self.plan.after.document())?;
        if cell.turned == 0 {
            return Ok(Own::new());
        }
        let bears = |(_, mask): &(u32, &u32)| **mask & cell.turned == cell.turned;
        let classes: Vec<u32> = (0..).zip(masks).filter(bears).map(|(class, _)| class).collect();
        if classes.is_empty() {
            return Ok(Own::new());
        }
        let faults = |faults: Vec<crate::CompileFault>| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            faults.join("; ")
        };
        let snapshot = Snapshot::compile(document).map_err(faults)?;
        let decided = self.docket.decide(&snapshot, &self.models, Some(&classes), &mut self.answers);
        let spread = |decided: Column| {
            let mut column = vec![NONE; masks.len()];
            for (class, answer) in classes.iter().zip(decided) {
                column.get_mut(index(*class)).into_iter().for_each(|slot| *slot = answer);
            }
            column
        };
        Ok(decided.into_iter().map(spread).collect())
    }

    /// Puts the answers of all classes in one cell together.
    fn fill(&self, grid: &Grid, own: &[Result<Own, String>], masks: &[u32], place: usize) -> Vec<Column> {
        let sources: BTreeMap<u32, usize> = masks
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|mask| (*mask, grid.projected(place, *mask)))
            .collect();
        let decided = |model: usize, class: usize| {
            let source = sources.get(masks.get(class)?)?;
            let answer = own.get(*source)?.as_ref().ok()?.get(model)?.get(class)?;
            (*answer != NONE).then_some(*answer)
        };
        let columns = self.after.iter().enumerate().map(|(model, written)| {
            let written = written.iter().enumerate();
            written.map(|(class, answer)| decided(model, class).unwrap_or(*answer)).collect()
        });
        columns.collect()
    }

    fn splits(&self, columns: &[Column]) -> BTreeMap<ModelVersionId, Split> {
        let split = |((model, traffic), column): ((&ModelVersionId, &usize), &Column)| {
            let labels: Vec<u32> = column.iter().map(|answer| self.answers.verdict(*answer) as u32).collect();
            (model.clone(), split(self.census.best(Some(*traffic), &labels)))
        };
        self.models.iter().zip(&self.traffic).zip(columns).map(split).collect()
    }
}

/// What was decided under one cell itself, by model version; [`NONE`] for the other classes. Empty if nothing was.
type Own = Vec<Column>;
