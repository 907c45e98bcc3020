//! What is fuzzed: every parser of outside bytes, and the law that each must keep besides not panicking.

use proof::{checkpoint::Checkpoint, entry::Entry, note::Note, receipt::Receipt};

/// A target: its name, which is also the folder of its corpus, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("openai", gateway::fuzzing::openai),
    ("anthropic", gateway::fuzzing::anthropic),
    ("sse", gateway::fuzzing::sse),
    ("key", key),
    ("directive", directive),
    ("license", license),
    ("note", note),
    ("checkpoint", checkpoint),
    ("receipt", receipt),
    ("entry", entry),
];

/// Runs the target `name` on `bytes`; does nothing if there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        target(bytes);
    }
}

/// A key that parses is spelled exactly as it was given.
fn key(bytes: &[u8]) {
    if let Ok(key) = identity::KeyText::parse(bytes) {
        assert_eq!(key.reveal().as_bytes(), bytes);
    }
}

/// A directive that parses serializes to a document that parses to the same directive.
fn directive(bytes: &[u8]) {
    if let Ok(document) = policy::Directive::parse(bytes) {
        let again = serde_json::to_vec(&document).unwrap_or_default();
        assert_eq!(policy::Directive::parse(&again).as_ref(), Ok(&document));
    }
}

/// A license that parses serializes to a document that parses to the same license.
fn license(bytes: &[u8]) {
    if let Ok(document) = policy::License::parse(bytes) {
        let again = serde_json::to_vec(&document).unwrap_or_default();
        assert_eq!(policy::License::parse(&again).as_ref(), Ok(&document));
    }
}

/// A note that parses is written as a note that parses to the same; what is inside was not touched.
fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(Note::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
    }
}

/// A checkpoint that parses is written as three lines that parse to the same, and no key unknown to it opens it.
fn checkpoint(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(checkpoint) = Checkpoint::parse_body(&text) {
        assert_eq!(Checkpoint::parse_body(&checkpoint.body()).as_ref(), Ok(&checkpoint));
    }
    assert!(Checkpoint::open(bytes, "log.example.com/exeat/1", &[]).is_err(), "no trusted key, no checkpoint");
}

/// A receipt that parses is written as a receipt that parses to the same, and proves nothing without a key.
fn receipt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(receipt) = Receipt::parse(&text) {
        assert_eq!(Receipt::parse(&receipt.to_text()).as_ref(), Ok(&receipt));
        assert!(receipt.verify(b"leaf", "log.example.com/exeat/1", &[]).is_err(), "no trusted key, no proof");
    }
}

/// An entry that decodes has exactly the bytes it was decoded from.
fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode().as_deref(), Ok(bytes));
    }
}
