//! The end of a file: it says what follows from pages, keys and bounds, and nothing else, so that no engine is misled by it.

use std::sync::Arc;

use bytes::Bytes;
use parquet::{
    arrow::ArrowSchemaConverter,
    basic::{Compression, ZstdLevel},
    errors::Result,
    file::metadata::{
        ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
    },
    schema::types::{ColumnDescPtr, SchemaDescPtr},
};

use crate::{
    bounds,
    columns::schema,
    file::{BadFile, unreadable},
    pages::{Chunk, GROUP_ROWS, Pages},
};

/// The version of the Parquet format that a footer says.
const VERSION: i32 = 2;

/// Checks that a file is the pages of our columns, one behind the other, and then the footer that our writer writes over these
/// pages, byte for byte, with these `keys`. Only two things are taken from the footer that was `read`: which version of
/// the library wrote it, and the bounds, which are held against the rows when these are read.
///
/// # Errors
///
/// [`BadFile`]: engines may find something else in it than its rows.
pub(crate) fn check(bytes: &Bytes, read: &ParquetMetaData, keys: Vec<KeyValue>) -> std::result::Result<(), BadFile> {
    let schema = ArrowSchemaConverter::new().convert(&schema()).map(Arc::new).map_err(unreadable)?;
    let (mut pages, mut groups) = (Pages::of(bytes)?, Vec::new());
    for (at, said) in (0..).zip(read.row_groups()) {
        let first = pages.at();
        let chunks = schema.columns().iter().map(|column| pages.chunk(column));
        let chunks = chunks.collect::<std::result::Result<Vec<Chunk>, BadFile>>()?;
        check_siblings(&schema, &chunks)?;
        groups.push(group(at, first, &schema, &chunks, said).map_err(unreadable)?);
    }
    let writer = read.file_metadata().created_by().filter(|writer| is_the_library(writer)).ok_or(BadFile::Footer)?;
    let file = FileMetaData::new(VERSION, 0, Some(writer.to_owned()), Some(keys), schema, None);
    let written = written(&ParquetMetaData::new(file, groups)).map_err(unreadable)?;
    if pages.rest() == written { Ok(()) } else { Err(BadFile::Footer) }
}

/// Checks that the columns of one list say of the same elements in which row they are: engines ask any of them.
fn check_siblings(schema: &SchemaDescPtr, chunks: &[Chunk]) -> std::result::Result<(), BadFile> {
    let list = |column: &ColumnDescPtr| column.path().parts().first().filter(|_| column.max_rep_level() > 0).cloned();
    let chunks: Vec<_> = schema.columns().iter().map(list).zip(chunks).collect();
    let differ = chunks
        .array_windows()
        .find(|[(list, one), (next, other)]| list.is_some() && list == next && one.shape != other.shape);
    differ.map_or(Ok(()), |[_, (_, chunk)]| Err(BadFile::Page(u64::try_from(chunk.data).unwrap_or_default())))
}

/// Returns what the footer must say of a row group that has these pages from `first` on.
fn group(
    at: i32,
    first: i64,
    schema: &SchemaDescPtr,
    chunks: &[Chunk],
    said: &RowGroupMetaData,
) -> Result<RowGroupMetaData> {
    let columns = schema.columns().iter().zip(chunks).map(|(column, chunk)| of_chunk(column, chunk, said));
    RowGroupMetaData::builder(Arc::clone(schema))
        .set_column_metadata(columns.collect::<Result<_>>()?)
        .set_num_rows(GROUP_ROWS)
        .set_total_byte_size(chunks.iter().map(|chunk| chunk.unpacked).sum())
        .set_ordinal(at)
        .set_file_offset(first)
        .build()
}

fn of_chunk(column: &ColumnDescPtr, chunk: &Chunk, said: &RowGroupMetaData) -> Result<ColumnChunkMetaData> {
    let built = ColumnChunkMetaData::builder(Arc::clone(column))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_encodings_mask(chunk.encodings())
        .set_page_encoding_stats(chunk.kinds.clone())
        .set_total_compressed_size(chunk.packed)
        .set_total_uncompressed_size(chunk.unpacked)
        .set_num_values(chunk.values)
        .set_data_page_offset(chunk.data)
        .set_dictionary_page_offset(chunk.dictionary);
    bounds::said_again(built, column, said).build()
}

fn written(metadata: &ParquetMetaData) -> Result<Vec<u8>> {
    let mut written = Vec::new();
    ParquetMetaDataWriter::new(&mut written, metadata).finish()?;
    Ok(written)
}

/// Returns true for any version of the library that files are written with: engines read files of some others in special ways.
fn is_the_library(writer: &str) -> bool {
    let version = writer.strip_prefix("parquet-rs version ");
    let is_number = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    version.is_some_and(|version| version.split('.').count() == 3 && version.split('.').all(is_number))
}
