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
//! | `facts`, `lease`, `root`, `covered`, `meter` | 16, 17, 20, 21, 22 | |
//! | `private` | | the private part as the ledger sealed it; null also where the file had no room for it |
//! | `leaf` | all | the exact bytes, only where they do not follow from the columns; then links are not taken apart |
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
        Field::new("meter", DataType::FixedSizeBinary(8), true),
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

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
    use proof::entry::{Class, ENTRY_VERSION, Entry, Kind, Link, Outcome, Usage};

    use super::*;
    use crate::{chains::Chains, row::Row};

    /// Every field is set, and all are named: whoever adds one decides what becomes of it here.
    fn full(seq: u64, meter: Option<[u8; 8]>) -> Entry {
        let link = |class, id| Link { class, id: [id; 16], seq, back: 1 };
        Entry {
            version: ENTRY_VERSION,
            kind: Kind::Redecision,
            at_ms: 1_781_000_000_000,
            call: Some([1; 16]),
            opened: Some(2),
            subject: Some([3; 16]),
            model: Some("mythos-5".to_owned()),
            snapshot: Some([4; 32]),
            basis: Some(vec!["us-person-only".to_owned(), String::new()]),
            outcome: Some(Outcome::Cut),
            code: Some("standing_unknown".to_owned()),
            usage: Some(Usage { input_tokens: Some(5), output_tokens: None, delivered_events: 6, delivered_bytes: 7 }),
            private: Some([8; 32]),
            requested: Some("mythos".to_owned()),
            links: Some(vec![
                link(Class::Subject, 3),
                link(Class::Key, 9),
                link(Class::Key, 10),
                link(Class::Organization, 11),
                link(Class::Model, 12),
                link(Class::InForce, 0),
            ]),
            facts: Some(13),
            lease: Some(14),
            key_epoch: Some(15),
            nonce: Some([16; 8]),
            root: Some([17; 32]),
            covered: Some(18),
            meter,
        }
    }

    #[test]
    fn every_field_of_an_entry_comes_back_from_its_columns() {
        let entries = [full(20, None), full(21, Some([19; 8])), Entry::new(Kind::Stop), full(22, None)];
        let leaves = entries.map(|entry| entry.encode().unwrap());
        let (mut columns, mut writing, mut reading) = (Columns::new(), Chains::default(), Chains::default());
        for (index, leaf) in (7..).zip(&leaves) {
            let row = Row::of(index, leaf.clone(), &mut writing).unwrap();
            columns.push(&row, index.is_multiple_of(2).then_some(&leaf[..5])).unwrap();
        }
        let batch = columns.finish().unwrap();
        let rows = Rows::of(&batch).unwrap();
        for ((at, index), leaf) in (0..).zip(7_u64..).zip(&leaves) {
            assert_eq!(rows.row(at).unwrap().into_leaf(&mut reading).as_ref(), Ok(leaf), "{index}");
            assert_eq!(rows.sealed(at), index.is_multiple_of(2).then_some(&leaf[..5]));
        }
        let whole: Vec<bool> = (0..leaves.len()).map(|at| rows.row(at).unwrap().leaf.is_some()).collect();
        assert_eq!(whole, [false; 4]);
    }

    /// Writes the leaves, puts another array in the place of a column, and reads the row at `at`.
    fn lied(entries: &[Entry], name: &str, array: ArrayRef, at: usize) -> Option<Vec<u8>> {
        let (mut columns, mut writing, mut reading) = (Columns::new(), Chains::default(), Chains::default());
        for (index, entry) in (0..).zip(entries) {
            columns.push(&Row::of(index, entry.encode().unwrap(), &mut writing).unwrap(), None).unwrap();
        }
        let batch = columns.finish().unwrap();
        let mut arrays = batch.columns().to_vec();
        arrays[batch.schema().index_of(name).unwrap()] = array;
        let batch = RecordBatch::try_new(batch.schema(), arrays).ok()?;
        let rows = Rows::of(&batch).unwrap();
        (0..=at).map(|at| rows.row(at).ok()?.into_leaf(&mut reading).ok()).next_back()?
    }

    #[test]
    fn a_row_with_something_that_its_leaf_does_not_say_is_refused() {
        let stop = || Entry::new(Kind::Stop);
        let whole = Entry { lease: Some(u64::MAX), ..full(20, None) };
        let numbers = |number| Arc::new(Int64Array::from(vec![number])) as ArrayRef;
        let words = |word: &str| Arc::new(StringArray::from(vec![word])) as ArrayRef;
        let flags = |flag| Arc::new(BooleanArray::from(vec![flag])) as ArrayRef;
        for (entry, name, array) in [
            (&whole, "kind", words("open")),
            (&whole, "model", words("fable-5")),
            (&whole, "output_tokens", numbers(Some(7))),
            (&whole, "lease", numbers(Some(7))),
            (&whole, "in_force_linked", flags(Some(true))),
            (&stop(), "output_tokens", numbers(Some(7))),
            (&stop(), "delivered_bytes", numbers(Some(7))),
            (&stop(), "subject_linked", flags(Some(true))),
            (&full(20, None), "in_force_linked", flags(None)),
        ] {
            let own = entry.encode().unwrap();
            assert_eq!(lied(std::slice::from_ref(entry), "index", numbers(Some(0)), 0), Some(own), "true, {name}");
            assert_eq!(lied(std::slice::from_ref(entry), name, array, 0), None, "{name}");
        }
    }
}
