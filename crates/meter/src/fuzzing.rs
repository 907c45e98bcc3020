//! What a fuzzer may reach of this crate's parsers: each function takes any bytes and must not panic.

use crate::{
    counters,
    schedule::Schedule,
    tally::Hour,
    wire::{Asked, Page},
};

/// Says whether bytes are the counters of a model server.
#[must_use]
pub fn counters(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| counters::read(text).is_some())
}

/// Says whether bytes are a page of calls of the log `meter` in the hour 7; what is read is written as it was.
///
/// # Panics
///
/// A page that reads is written as another.
#[must_use]
pub fn page(bytes: &[u8]) -> bool {
    let Ok(page) = serde_json::from_slice::<Page>(bytes) else { return false };
    let mut hour = Hour::default();
    let read = page.clone().read("meter", 7, None, &mut hour);
    if read == Ok(None) {
        assert_eq!(Page::of("meter", 7, &hour, None), page, "a page reads back");
    }
    read.is_ok()
}

/// Says whether bytes are a question for sums.
#[must_use]
pub fn question(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Asked>(bytes).is_ok_and(|asked| asked.moved().is_ok())
}

/// Reads which hours were reconciled, and returns that as it is written; `None` if the bytes do not say.
#[must_use]
pub fn schedule(bytes: &[u8]) -> Option<Vec<u8>> {
    let schedule: Schedule = serde_json::from_slice(bytes).ok()?;
    serde_json::to_vec(&schedule).ok()
}
