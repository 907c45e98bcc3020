//! Where is the record after a year? In the lake: Parquet files on any object store, each one subtree of the log.
//!
//! A file holds an aligned range of 65,536 leaves, a row each, as columns that every engine reads; the exact bytes of
//! the leaves are rebuilt from the columns, so one hash of the tree is the integrity of one file.

mod bounds;
mod chains;
mod checkpoints;
mod columns;
mod compact;
mod entries;
mod file;
mod footer;
pub mod fuzzing;
mod levels;
mod log;
mod mark;
mod names;
mod pages;
mod place;
mod properties;
mod query;
mod row;
mod s3;
mod source;
mod span;
mod store;
mod upload;
mod words;
mod worm;
mod writer;

pub use checkpoints::CheckpointObject;
pub use compact::{Compacted, Keep, compact};
pub use entries::{Entries, EntriesError};
pub use file::{BadFile, FORMAT, File, Leaves};
pub use log::Log;
pub use place::{Files, Place, ReadError};
pub use query::{Cell, Filter, Query, Question, Step, Table};
pub use row::Record;
pub use source::{Records, Source, SourceError};
pub use span::{BadSpan, SPAN_LEAVES, SPAN_LEAVES_MAX, Span};
pub use store::{Store, StoreError};
pub use upload::{Progress, UploadError, Uploader};
pub use worm::{Lock, Worm, probe};
pub use writer::{WriteError, Written, write};
