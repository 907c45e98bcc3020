//! What a file says of the rows of a group beside them. An engine leaves out rows by it that it has not read, so it must be true.

use std::ops::RangeInclusive;

use parquet::{
    file::{
        metadata::{ColumnChunkMetaDataBuilder, LevelHistogram, RowGroupMetaData},
        statistics::{Statistics, ValueStatistics},
    },
    schema::types::ColumnDescriptor,
};

use crate::pages::GROUP_ROWS;

/// Columns that queries narrow down by, and the only ones of which smallest and largest value are said.
pub(crate) const NARROWED: [&str; 2] = ["index", "recorded_at"];

/// The values in one row group of the columns that are narrowed down by.
#[derive(Debug, Default)]
pub(crate) struct Bounds([Option<RangeInclusive<u64>>; 2]);

impl Bounds {
    /// Takes the next row of the group.
    pub(crate) fn take(&mut self, index: u64, at_ms: u64) {
        for (range, value) in self.0.iter_mut().zip([index, at_ms]) {
            let (least, most) = range.take().map_or((value, value), RangeInclusive::into_inner);
            *range = Some(least.min(value)..=most.max(value));
        }
    }

    /// Returns true if the group of all rows that were taken says these bounds.
    pub(crate) fn are_said(&self, group: &RowGroupMetaData) -> bool {
        NARROWED.into_iter().zip(&self.0).all(|(name, range)| said(name, group) == *range)
    }
}

/// Says the bounds that a row group says of a column, as our writer says them; nothing of a column without.
pub(crate) fn said_again(
    built: ColumnChunkMetaDataBuilder,
    column: &ColumnDescriptor,
    group: &RowGroupMetaData,
) -> ColumnChunkMetaDataBuilder {
    let name = column.path().string();
    let range = said(&name, group).filter(|_| NARROWED.contains(&name.as_str()));
    let Some((least, most)) = range.map(RangeInclusive::into_inner) else { return built };
    let statistics = ValueStatistics::new(Some(least.cast_signed()), Some(most.cast_signed()), None, Some(0), false);
    let mut levels = LevelHistogram::try_new(column.max_def_level());
    levels.iter_mut().for_each(|levels| levels.increment_by(column.max_def_level(), GROUP_ROWS));
    built
        .set_statistics(Statistics::Int64(statistics.with_backwards_compatible_min_max(true)))
        .set_definition_level_histogram(levels)
}

/// Returns the bounds that a row group says of a column of rising numbers; `None` if it says none, or any but numbers.
fn said(name: &str, group: &RowGroupMetaData) -> Option<RangeInclusive<u64>> {
    let column = group.columns().iter().find(|column| column.column_path().string() == name)?;
    let Statistics::Int64(numbers) = column.statistics()? else { return None };
    let (least, most) = numbers.min_opt().zip(numbers.max_opt())?;
    Some(u64::try_from(*least).ok()?..=u64::try_from(*most).ok()?)
}
