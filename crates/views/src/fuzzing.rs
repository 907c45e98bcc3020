//! What a fuzzer may reach of this crate's parsers.

use crate::siem;

/// Reads the index that the cursor of a stream holds; `None` if the bytes are none.
#[must_use]
pub fn cursor(bytes: &[u8]) -> Option<u64> {
    siem::read_cursor(bytes)
}
