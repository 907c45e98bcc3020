//! How each column is written: measured on the calls of a large gateway, see `docs/lake.md`.

use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties, WriterVersion},
    schema::types::ColumnPath,
};

use crate::bounds::NARROWED;

/// Numbers that rise, or nearly so: what changes between them is kept.
const RISING: [&str; 4] = ["index", "recorded_at", "opened", "facts"];
/// Values that hardly ever come twice: a dictionary would only be in the way.
const UNIQUE: [&str; 5] = ["commitment", "nonce", "root", "private", "leaf"];
/// One page for all values of a row group, so that zstd sees what repeats.
const PAGE_BYTES: usize = 16 << 20;

/// Returns how a file is written.
pub(crate) fn all() -> WriterProperties {
    let rows = usize::try_from(crate::span::SPAN_LEAVES).unwrap_or(usize::MAX);
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
        .set_max_row_group_row_count(Some(rows))
        .set_data_page_row_count_limit(rows)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for column in RISING.map(ColumnPath::from) {
        builder = builder.set_column_dictionary_enabled(column.clone(), false);
        builder = builder.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    for column in UNIQUE.map(ColumnPath::from) {
        builder = builder.set_column_dictionary_enabled(column, false);
    }
    for column in NARROWED.map(ColumnPath::from) {
        builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Chunk);
    }
    builder.build()
}
