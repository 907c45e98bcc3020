//! How do others read the record? Entries as events of their schemas, and senders that bring them there.
//!
//! A view is derived from an entry and proves nothing: it names the entry by log, index and leaf hash, and whoever
//! doubts it asks for the receipt. No view shows a private part.

mod event;
pub mod fuzzing;
mod ocsf;
mod otel;
mod plain;
mod siem;
mod syslog;
mod webhook;
mod words;

pub use event::{Event, Format};
pub use siem::{BadSink, Limits, Progress, Sink, Stream, follow};
