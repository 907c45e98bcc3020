//! What a fuzzer may reach of this crate's parsers; files are read by [`crate::File`].

use crate::{checkpoints, mark};

/// Reads the object that guards a log's checkpoints and returns it as it is written; `None` if the bytes are none.
#[must_use]
pub fn checkpoint_object(bytes: &[u8]) -> Option<Vec<u8>> {
    checkpoints::print(&checkpoints::parse(bytes).ok()?).ok()
}

/// Reads the file that says how far the lake was read back and returns it as it is written; `None` if the bytes are none.
#[must_use]
pub fn mark(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(mark::print(mark::parse(bytes)?).into_bytes())
}
