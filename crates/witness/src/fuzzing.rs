//! What a fuzzer reaches of the parsers that are nobody else's business.

use crate::mirror::{Header, Package};

/// Reads the body of an `add-entries` whole; says whether every package it announces is there.
///
/// # Panics
///
/// If what is read is not written as it was.
pub fn add_entries(bytes: &[u8]) -> bool {
    let mut body = bytes;
    let Ok(header) = Header::read(&mut body) else {
        return false;
    };
    let mut written = header.write().unwrap_or_default();
    // A body announces up to 2^55 packages and has as many as it has bytes for.
    for span in header.packages() {
        let Ok(package) = Package::read(&mut body, span.end - span.start) else {
            return false;
        };
        package.write(&mut written);
    }
    assert!(bytes.starts_with(&written), "what was read is not written as it was");
    true
}
