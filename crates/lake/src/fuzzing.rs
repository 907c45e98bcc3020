//! What a fuzzer may reach of this crate's parsers; files are read by [`crate::File`].

use crate::checkpoints::{parse, print};

/// Reads the object that guards a log's checkpoints and returns it as it is written; `None` if the bytes are none.
#[must_use]
pub fn checkpoint_object(bytes: &[u8]) -> Option<Vec<u8>> {
    print(&parse(bytes).ok()?).ok()
}
