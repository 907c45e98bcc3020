//! Kinds and outcomes as the columns spell them: the words of `docs/log-format.md`.

use proof::entry::{Kind, Outcome};

/// Every kind with its word. Stored: words are never changed and never used again for something else.
const KINDS: [(Kind, &str); 14] = [
    (Kind::Genesis, "genesis"),
    (Kind::Start, "start"),
    (Kind::Open, "open"),
    (Kind::Close, "close"),
    (Kind::Refusal, "refusal"),
    (Kind::Snapshot, "snapshot"),
    (Kind::Registry, "registry"),
    (Kind::Admin, "admin"),
    (Kind::Redecision, "redecision"),
    (Kind::Stop, "stop"),
    (Kind::Heads, "heads"),
    (Kind::Lease, "lease"),
    (Kind::Metered, "metered"),
    (Kind::Reconciliation, "reconciliation"),
];

/// Every outcome with its word.
const OUTCOMES: [(Outcome, &str); 6] = [
    (Outcome::Completed, "completed"),
    (Outcome::Cut, "cut"),
    (Outcome::ClientGone, "client_gone"),
    (Outcome::UpstreamFailed, "upstream_failed"),
    (Outcome::Interrupted, "interrupted"),
    (Outcome::NotServed, "not_served"),
];

/// Returns the word for a kind; `None` for one that has none yet.
pub(crate) fn of_kind(kind: Kind) -> Option<&'static str> {
    word(&KINDS, kind)
}

/// Returns the kind that a word means.
pub(crate) fn kind(word: &str) -> Option<Kind> {
    meaning(&KINDS, word)
}

/// Returns the word for an outcome; `None` for one that has none yet.
pub(crate) fn of_outcome(outcome: Outcome) -> Option<&'static str> {
    word(&OUTCOMES, outcome)
}

/// Returns the outcome that a word means.
pub(crate) fn outcome(word: &str) -> Option<Outcome> {
    meaning(&OUTCOMES, word)
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], wanted: T) -> Option<&'static str> {
    words.iter().find(|(value, _)| *value == wanted).map(|(_, word)| *word)
}

fn meaning<T: Copy>(words: &[(T, &'static str)], wanted: &str) -> Option<T> {
    words.iter().find(|(_, word)| *word == wanted).map(|(value, _)| *value)
}
