//! The columns of the lake: one row for each leaf, of the types that every engine reads.
//!
//! | column | key of the entry | |
//! |---|---|---|
//! | `index` | | index of the leaf |
//! | `version`, `kind`, `recorded_at` | 0, 1, 2 | `recorded_at` is a UTC timestamp of milliseconds |
//! | `call`, `opened`, `subject` | 3, 4, 5 | |
//! | `model`, `requested` | 6, 14 | |
//! | `snapshot`, `basis` | 7, 8 | |
//! | `outcome`, `code` | 9, 10 | |
//! | `input_tokens`, `output_tokens`, `delivered_events`, `delivered_bytes` | 11 | `delivered_events` is there wherever key 11 is |
//! | `commitment`, `key_epoch`, `nonce` | 12, 18, 19 | |
//! | `subject_linked`, `keys`, `organizations`, `models`, `in_force_linked`, `starts` | 15 | `organizations` is null where key 15 is absent |
//! | `facts`, `lease`, `root`, `covered` | 16, 17, 20, 21 | |
//! | `private` | | the private part as the ledger sealed it; null also where the file had no room for it |
//! | `leaf` | all | the exact bytes, only where they do not follow from the columns; then `links` are not taken apart |
//!
//! Names, order and types are stored: a change is a new version of the lake's format.

mod read;
mod write;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use sha2::{Digest, Sha256};

pub(crate) use read::Rows;
pub(crate) use write::Columns;

/// Returns the columns in order.
pub(crate) fn schema() -> Schema {
    let hash = DataType::FixedSizeBinary(32);
    let id = DataType::FixedSizeBinary(16);
    let ids = DataType::List(element(id.clone()));
    Schema::new(vec![
        Field::new("index", DataType::Int64, false),
        Field::new("version", DataType::Int32, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("recorded_at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        Field::new("call", id.clone(), true),
        Field::new("opened", DataType::Int64, true),
        Field::new("subject", id, true),
        Field::new("model", DataType::Utf8, true),
        Field::new("requested", DataType::Utf8, true),
        Field::new("snapshot", hash.clone(), true),
        Field::new("basis", DataType::List(element(DataType::Utf8)), true),
        Field::new("outcome", DataType::Utf8, true),
        Field::new("code", DataType::Utf8, true),
        Field::new("input_tokens", DataType::Int64, true),
        Field::new("output_tokens", DataType::Int64, true),
        Field::new("delivered_events", DataType::Int64, true),
        Field::new("delivered_bytes", DataType::Int64, true),
        Field::new("commitment", hash.clone(), true),
        Field::new("key_epoch", DataType::Int32, true),
        Field::new("nonce", DataType::FixedSizeBinary(8), true),
        Field::new("subject_linked", DataType::Boolean, true),
        Field::new("keys", ids.clone(), true),
        Field::new("organizations", ids.clone(), true),
        Field::new("models", ids, true),
        Field::new("in_force_linked", DataType::Boolean, true),
        Field::new("starts", DataType::List(element(DataType::Struct(start()))), true),
        Field::new("facts", DataType::Int64, true),
        Field::new("lease", DataType::Int64, true),
        Field::new("root", hash, true),
        Field::new("covered", DataType::Int64, true),
        Field::new("private", DataType::Binary, true),
        Field::new("leaf", DataType::Binary, true),
    ])
}

/// Returns the fields of a place in a chain.
fn start() -> Fields {
    Fields::from(vec![
        Field::new("link", DataType::Int32, false),
        Field::new("seq", DataType::Int64, false),
        Field::new("back", DataType::Int64, false),
    ])
}

/// Lists name their elements as the Parquet format asks.
fn element(of: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", of, false))
}

/// Returns the SHA-256 of names, types and order of the columns.
pub(crate) fn schema_digest() -> [u8; 32] {
    let mut digest = Sha256::new();
    for field in schema().fields() {
        let null = if field.is_nullable() { " null" } else { "" };
        digest.update(format!("{} {}{null}\n", field.name(), field.data_type()));
    }
    digest.finalize().into()
}
