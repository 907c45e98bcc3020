//! What a fuzzer may reach of what is read here of private parts: whoever writes a log chooses these bytes.

use proof::entry::{Entry, Kind};
use sha2::{Digest, Sha256};

use crate::{acts, desk::Documents, facts, replay, runs::Runs, walk};

/// Returns true if the bytes are the facts of a decision.
#[must_use]
pub fn facts(bytes: &[u8]) -> bool {
    facts::read(bytes).is_ok()
}

/// Returns whether the bytes are a snapshot document in its one spelling, and whether the desk finds in them what is in
/// force.
#[must_use]
pub fn snapshot(bytes: &[u8]) -> (bool, bool) {
    (replay::compile(&Sha256::digest(bytes).into(), bytes).is_ok(), Documents::read(bytes).is_some())
}

/// Returns true if the bytes are a change that the desk takes, the first that it is told of.
#[must_use]
pub fn desk_record(bytes: &[u8]) -> bool {
    let entry = Entry { code: Some("directive.break_glass".to_owned()), ..Entry::new(Kind::Admin) };
    acts::is_change(bytes) && acts::Acts::default().take(&entry, Some(bytes)).is_ok()
}

/// Returns true if the bytes are what the first start after a genesis says.
#[must_use]
pub fn start_note(bytes: &[u8]) -> bool {
    let mut runs = Runs::default();
    let begun = runs.take(0, &Entry::new(Kind::Genesis), None, 0);
    begun.is_ok() && runs.take(1, &Entry::new(Kind::Start), Some(bytes), 0).is_ok()
}

/// Returns true if the bytes say which log begins, and under which key.
#[must_use]
pub fn genesis(bytes: &[u8]) -> bool {
    serde_json::from_slice::<walk::Genesis>(bytes).is_ok()
}
