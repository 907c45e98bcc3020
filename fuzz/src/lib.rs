//! What is fuzzed: every parser of outside bytes, and the law that each must keep besides not panicking.

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
