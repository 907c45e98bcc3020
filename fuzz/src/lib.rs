//! What is fuzzed: every parser of outside bytes, and the law that each must keep besides not panicking.

mod directory;
mod signals;
mod tokens;
mod wallet;

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
    ("regime", regime),
    ("country_groups", country_groups),
    ("note", note),
    ("checkpoint", checkpoint),
    ("receipt", receipt),
    ("entry", entry),
    ("jws", tokens::jws),
    ("jwk", tokens::jwk),
    ("jwe", tokens::jwe),
    ("dpop", tokens::dpop),
    ("sd_jwt", wallet::sd_jwt),
    ("status_list", wallet::status_list),
    ("dcql", wallet::dcql),
    ("set", signals::set),
    ("scim_filter", directory::scim_filter),
    ("scim_patch", directory::scim_patch),
    ("vp_response", wallet::vp_response),
];

/// The log that no key is trusted for here.
const ORIGIN: &str = "log.example.com/exeat/1";

/// Says whether the parser of the target `name` takes `bytes`; `None` for the targets that only splice and split.
#[must_use]
pub fn accepts(name: &str, bytes: &[u8]) -> Option<bool> {
    Some(match name {
        "key" => identity::KeyText::parse(bytes).is_ok(),
        "directive" => policy::Directive::parse(bytes).is_ok(),
        "license" => policy::License::parse(bytes).is_ok(),
        "regime" => policy::Regime::parse(bytes).is_ok(),
        "country_groups" => policy::CountryGroups::parse(bytes).is_ok(),
        "note" => Note::parse(bytes).is_ok(),
        "checkpoint" => read_checkpoint(bytes).is_some(),
        "receipt" => read_receipt(bytes).is_some(),
        "entry" => Entry::decode(bytes).is_ok(),
        "jws" => tokens::is_jws(bytes),
        "jwk" => tokens::is_jwk(bytes),
        "jwe" => tokens::is_jwe(bytes),
        "dpop" => tokens::is_dpop(bytes),
        "sd_jwt" => wallet::read_sd_jwt(bytes).is_some(),
        "status_list" => wallet::read_status_list(bytes).is_some(),
        "dcql" => vc::dcql::Query::parse(bytes).is_ok(),
        "set" => signals::read_set(bytes).is_some(),
        "scim_filter" => directory::read_filter(bytes).is_some(),
        "scim_patch" => directory::read_patch(bytes).is_some(),
        "vp_response" => vc::openid4vp::Posted::parse(bytes).is_ok(),
        _ => return None,
    })
}

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

/// A regime that parses serializes to a document that parses to the same regime.
fn regime(bytes: &[u8]) {
    if let Ok(document) = policy::Regime::parse(bytes) {
        let again = serde_json::to_vec(&document).unwrap_or_default();
        assert_eq!(policy::Regime::parse(&again).as_ref(), Ok(&document));
    }
}

/// A table of country groups that parses serializes to one that parses to the same.
fn country_groups(bytes: &[u8]) {
    if let Ok(table) = policy::CountryGroups::parse(bytes) {
        let again = serde_json::to_vec(&table).unwrap_or_default();
        assert_eq!(policy::CountryGroups::parse(&again).as_ref(), Ok(&table));
    }
}

/// A note that parses is written as a note that parses to the same.
fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(Note::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
    }
}

/// A checkpoint that parses is written as three lines that parse to the same, and without a trusted key it opens nothing.
fn checkpoint(bytes: &[u8]) {
    if let Some(checkpoint) = read_checkpoint(bytes) {
        assert_eq!(Checkpoint::parse_body(&checkpoint.body()).as_ref(), Ok(&checkpoint));
    }
    assert!(Checkpoint::open(bytes, ORIGIN, &[]).is_err(), "no trusted key, no checkpoint");
}

/// Reads the text of a checkpoint, with or without its signatures.
fn read_checkpoint(bytes: &[u8]) -> Option<Checkpoint> {
    let body = match Note::parse(bytes) {
        Ok(note) => note.text().to_owned(),
        Err(_) => std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    Checkpoint::parse_body(&body).ok()
}

/// A receipt that parses is written as a receipt that parses to the same, and proves nothing without a trusted key.
fn receipt(bytes: &[u8]) {
    if let Some(receipt) = read_receipt(bytes) {
        assert_eq!(Receipt::parse(&receipt.to_text()).as_ref(), Ok(&receipt));
        assert!(receipt.verify(b"leaf", ORIGIN, &[]).is_err(), "no trusted key, no proof");
    }
}

fn read_receipt(bytes: &[u8]) -> Option<Receipt> {
    Receipt::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// An entry that decodes has exactly the bytes it was decoded from.
fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode().as_deref(), Ok(bytes));
    }
}
