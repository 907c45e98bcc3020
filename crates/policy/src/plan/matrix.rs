//! The price of each reading: the same population decided under every combination of readings.

use std::collections::BTreeMap;

use super::{
    Study,
    answers::Column,
    models::split,
    reading::Cell,
    report::{Matrix, MatrixCell, Split},
};

impl Study<'_> {
    pub(super) fn matrix(&mut self, cells: &[Cell], document: &serde_json::Value) -> Option<Matrix> {
        if cells.is_empty() {
            return None;
        }
        let knobs = self.plan.readings.marks(document);
        Some(Matrix { knobs, cells: cells.iter().map(|cell| self.cell(cell)).collect() })
    }

    fn cell(&mut self, cell: &Cell) -> MatrixCell {
        let (models, fault) = match self.columns(cell) {
            Ok(columns) => (self.splits(&columns), None),
            Err(fault) => (BTreeMap::new(), Some(fault)),
        };
        MatrixCell { readings: cell.readings.clone(), as_written: cell.as_written, models, fault }
    }

    fn columns(&mut self, cell: &Cell) -> Result<Vec<Column>, String> {
        if cell.as_written {
            return Ok(self.after.clone());
        }
        let snapshot = cell.compile(self.plan.after.document())?;
        Ok(self.docket.decide(&snapshot, &self.models, &mut self.answers))
    }

    fn splits(&self, columns: &[Column]) -> BTreeMap<terms::ModelVersionId, Split> {
        let split = |((model, traffic), column): ((&terms::ModelVersionId, &usize), &Column)| {
            let labels: Vec<u32> = column.iter().map(|answer| self.answers.verdict(*answer) as u32).collect();
            (model.clone(), split(self.census.best(Some(*traffic), &labels)))
        };
        self.models.iter().zip(&self.traffic).zip(columns).map(split).collect()
    }
}
