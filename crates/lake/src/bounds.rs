//! What a file says of the rows of a group beside them. An engine leaves out rows by it that it has not read, so it must be true.

use std::ops::RangeInclusive;

use parquet::file::{
    metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData},
    statistics::Statistics,
};

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

    /// Returns true if the group of all rows that were taken says these bounds and no others.
    pub(crate) fn are_said(&self, group: &RowGroupMetaData) -> bool {
        let said = |name| group.columns().iter().find(|column| column.column_path().string() == name)?.statistics();
        NARROWED.into_iter().zip(&self.0).all(|(name, range)| said(name).and_then(range_of) == *range)
    }
}

/// Returns true if nothing is said of rows but bounds, and those of no other columns: no indices of pages, no filters, no order.
pub(crate) fn are_all(metadata: &ParquetMetaData) -> bool {
    let plain = |group: &RowGroupMetaData| group.sorting_columns().is_none() && group.columns().iter().all(is_plain);
    metadata.row_groups().iter().all(plain)
}

fn is_plain(column: &ColumnChunkMetaData) -> bool {
    let more = [column.column_index_offset(), column.offset_index_offset(), column.bloom_filter_offset()];
    let name = column.column_path().string();
    more.iter().all(Option::is_none) && column.statistics().is_some() == NARROWED.contains(&name.as_str())
}

/// Returns the bounds in the statistics of a column of rising numbers; `None` if they say anything else.
fn range_of(statistics: &Statistics) -> Option<RangeInclusive<u64>> {
    let Statistics::Int64(numbers) = statistics else { return None };
    let nothing_else = numbers.null_count_opt().is_none_or(|nulls| nulls == 0) && numbers.distinct_count().is_none();
    let (least, most) = numbers.min_opt().zip(numbers.max_opt()).filter(|_| nothing_else)?;
    Some(u64::try_from(*least).ok()?..=u64::try_from(*most).ok()?)
}
