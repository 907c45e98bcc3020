//! What is fuzzed: every parser of outside bytes, and the law that each must keep besides not panicking.

mod directory;
mod evidence;
mod kept;
mod private;
mod proofs;
mod signals;
mod tokens;
mod wallet;
mod witnesses;

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
    ("entries", proofs::entries),
    ("leaves", proofs::leaves),
    ("sums_statement", proofs::sums_statement),
    ("dsse", proofs::dsse),
    ("production_manifest", proofs::production_manifest),
    ("production_heads", proofs::production_heads),
    ("production_sums", proofs::production_sums),
    ("production_names", proofs::production_names),
    ("approval", proofs::approval),
    ("bundle_manifest", proofs::bundle_manifest),
    ("custody", private::custody),
    ("desk_record", private::desk_record),
    ("facts", private::facts),
    ("genesis", private::genesis),
    ("snapshot_document", private::snapshot_document),
    ("start_note", private::start_note),
    ("follower_message", follower_message),
    ("wal_batch", wal_batch),
    ("segment_header", segment_header),
    ("vault_slot", vault_slot),
    ("saved_heads", saved_heads),
    ("private_part", private_part),
    ("cose_receipt", evidence::cose_receipt),
    ("time_stamp", evidence::time_stamp),
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
    ("ticket", tokens::ticket),
    ("counters", counters),
    ("meter_page", meter_page),
    ("meter_question", meter_question),
    ("tlog_policy", witnesses::tlog_policy),
    ("add_checkpoint", witnesses::add_checkpoint),
    ("add_entries", witnesses::add_entries),
    ("mirror_info", witnesses::mirror_info),
    ("equivocation", witnesses::equivocation),
    ("shard_proof", witnesses::shard_proof),
    ("lake_file", kept::lake_file),
    ("lake_mark", kept::lake_mark),
    ("checkpoint_object", kept::checkpoint_object),
    ("siem_cursor", kept::siem_cursor),
    ("schedule", kept::schedule),
    ("production_state", kept::production_state),
    ("production_survey", kept::production_survey),
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
        "entries" => proofs::read_entries(bytes).is_some(),
        "leaves" => proofs::walk_leaves(bytes).is_some(),
        "sums_statement" => proof::sums::Statement::parse(bytes).is_ok(),
        "dsse" => proof::dsse::Envelope::parse(bytes).is_ok(),
        "production_manifest" => proof::production::Manifest::parse(bytes).is_ok(),
        "production_heads" => proof::production::HeadsFile::parse(bytes).is_ok(),
        "production_sums" => proof::production::SumsFile::parse(bytes).is_ok(),
        "production_names" => proof::production::NamesFile::parse(bytes).is_ok(),
        "approval" => proofs::read_approval(bytes).is_some(),
        "bundle_manifest" => proofs::read_bundle_manifest(bytes).is_some(),
        "custody" => private::read_custody(bytes).is_some(),
        "desk_record" => verifier::fuzzing::desk_record(bytes),
        "facts" => verifier::fuzzing::facts(bytes),
        "genesis" => verifier::fuzzing::genesis(bytes),
        "snapshot_document" => verifier::fuzzing::snapshot(bytes).0,
        "start_note" => verifier::fuzzing::start_note(bytes),
        "follower_message" => ledger::fuzzing::follower_message(bytes).is_some(),
        "wal_batch" => ledger::fuzzing::wal_batch(bytes).is_some(),
        "segment_header" => ledger::fuzzing::segment_header(bytes).is_some(),
        "vault_slot" => ledger::fuzzing::vault_slot(bytes),
        "saved_heads" => ledger::fuzzing::saved_heads(bytes),
        "private_part" => ledger::fuzzing::private_part(bytes).is_some(),
        "cose_receipt" => proof::cose::CoseReceipt::parse(bytes).is_ok(),
        "time_stamp" => evidence::read_time_stamp(bytes).is_some(),
        "tlog_policy" | "add_checkpoint" | "add_entries" | "mirror_info" | "equivocation" | "shard_proof" => {
            witnesses::accepts(name, bytes)
        }
        "lake_file" => kept::is_lake_file(bytes),
        "lake_mark" => lake::fuzzing::mark(bytes).is_some(),
        "checkpoint_object" => lake::fuzzing::checkpoint_object(bytes).is_some(),
        "schedule" => meter::fuzzing::schedule(bytes).is_some(),
        "production_state" => produce::fuzzing::state(bytes).is_some(),
        "production_survey" => produce::fuzzing::survey(bytes).is_some(),
        "siem_cursor" => views::fuzzing::cursor(bytes).is_some(),
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
        "ticket" => tokens::is_ticket(bytes),
        "counters" => meter::fuzzing::counters(bytes),
        "meter_page" => meter::fuzzing::page(bytes),
        "meter_question" => meter::fuzzing::question(bytes),
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

/// A message to a follower that is read is written in exactly the bytes it was read from.
fn follower_message(bytes: &[u8]) {
    if let Some(again) = ledger::fuzzing::follower_message(bytes) {
        assert!(bytes.starts_with(&again));
    }
}

/// A batch that is read has exactly the bytes that it is written in, and zeros after them.
fn wal_batch(bytes: &[u8]) {
    if let Some(again) = ledger::fuzzing::wal_batch(bytes) {
        assert!(bytes.starts_with(&again));
        assert!(bytes.iter().skip(again.len()).all(|byte| *byte == 0));
    }
}

/// The header of a segment that is read is written in the bytes it was read from, and padding.
fn segment_header(bytes: &[u8]) {
    if let Some(again) = ledger::fuzzing::segment_header(bytes) {
        assert!(again.starts_with(bytes));
    }
}

/// A slot of the vault is read or not.
fn vault_slot(bytes: &[u8]) {
    let _is_one = ledger::fuzzing::vault_slot(bytes);
}

/// The file of heads is read, and believed under no other root than its own.
fn saved_heads(bytes: &[u8]) {
    let _is_whole = ledger::fuzzing::saved_heads(bytes);
}

/// A private part that is read is spelled in one way only.
fn private_part(bytes: &[u8]) {
    if let Some(again) = ledger::fuzzing::private_part(bytes) {
        assert_eq!(again, bytes);
    }
}

/// An entry that decodes has exactly the bytes it was decoded from.
fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode().as_deref(), Ok(bytes));
    }
}

/// Counters are read, or they are not.
fn counters(bytes: &[u8]) {
    let _ = meter::fuzzing::counters(bytes);
}

/// A page of a meter's calls that reads is written as it was.
fn meter_page(bytes: &[u8]) {
    let _ = meter::fuzzing::page(bytes);
}

/// A question for sums is understood, or it is not.
fn meter_question(bytes: &[u8]) {
    let _ = meter::fuzzing::question(bytes);
}
