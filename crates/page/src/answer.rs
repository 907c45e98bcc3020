//! The one question that is asked, and its answer in JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use proof::{
    checkpoint::Checkpoint,
    entry::{DecodeError, Entry},
    hex,
    note::{BadKey, VerifierKey},
    receipt::{BadReceipt, Receipt},
    tree::leaf_hash,
    unhex,
};
use serde_json::json;

/// A line of the table that is shown: what it is about, and what it says.
type Row = (&'static str, String);

/// Answers whether `receipt` shows `entry` to be in the log of `key`, each as a person puts it into the page.
///
/// The key is that of the log, `name+hash+key`; the entry stands in hexadecimal digits or base64; the receipt is text.
/// The answer is `{"rows": [[name, text], ...]}` with what is shown of the entry, its time in milliseconds since the
/// Unix epoch, or `{"why": text}` where it is not shown to be in the log.
///
/// # Source
///
/// `docs/log-format.md`, sections 1, 4 and 5.
#[must_use]
pub fn answer(key: &str, entry: &str, receipt: &str) -> String {
    match check(key, entry, receipt) {
        Ok(rows) => json!({ "rows": rows }).to_string(),
        Err(refused) => json!({ "why": refused.to_string() }).to_string(),
    }
}

/// The entry is not shown to be in the log.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error("the entry is neither hexadecimal digits nor base64")]
    Digits,
    #[error(transparent)]
    Receipt(#[from] BadReceipt),
    #[error(transparent)]
    Entry(#[from] DecodeError),
}

fn check(key: &str, entry: &str, receipt: &str) -> Result<Vec<Row>, Refused> {
    let key: VerifierKey = key.trim().parse()?;
    let leaf = leaf(entry.trim()).ok_or(Refused::Digits)?;
    let receipt = Receipt::parse(receipt)?;
    let checkpoint = receipt.verify(&leaf, key.name(), std::slice::from_ref(&key))?;
    let entry = Entry::decode(&leaf)?;
    Ok(place(&checkpoint, receipt.index, &leaf).into_iter().chain(said(&entry)).collect())
}

fn leaf(text: &str) -> Option<Vec<u8>> {
    digits(text).or_else(|| STANDARD.decode(text).ok())
}

fn digits(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| unhex::<1>(pair?).map(|[byte]| byte)).collect()
}

/// Says in which log the entry is, and where.
fn place(checkpoint: &Checkpoint, index: u64, leaf: &[u8]) -> [Row; 4] {
    [
        ("origin", checkpoint.origin.clone()),
        ("index", index.to_string()),
        ("size", checkpoint.size.to_string()),
        ("leaf hash", hex(&leaf_hash(leaf))),
    ]
}

/// Says what the entry records, as far as it is shown to people.
fn said(entry: &Entry) -> impl Iterator<Item = Row> {
    let usage = entry.usage.unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let rows = [
        ("kind", Some(format!("{:?}", entry.kind).to_lowercase())),
        ("time", Some(entry.at_ms.to_string())),
        ("call", entry.call.map(|call| hex(&call))),
        ("opened", number(entry.opened)),
        ("subject", entry.subject.map(|subject| hex(&subject))),
        ("model", entry.model.clone()),
        ("outcome", entry.outcome.map(|outcome| outcome.name().replace('_', " "))),
        ("code", entry.code.clone()),
        ("input tokens", number(usage.input_tokens)),
        ("output tokens", number(usage.output_tokens)),
        ("events delivered", number(entry.usage.map(|usage| usage.delivered_events))),
    ];
    rows.into_iter().filter_map(|(name, text)| Some((name, text?)))
}

#[cfg(test)]
mod tests {
    use proof::{
        entry::{Kind, Outcome, Usage},
        note::SignerKey,
    };

    use super::*;

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
    }

    fn entry() -> Entry {
        Entry {
            at_ms: 1_780_304_400_000,
            opened: Some(3),
            outcome: Some(Outcome::ClientGone),
            usage: Some(Usage { output_tokens: Some(u64::MAX), delivered_events: 7, ..Usage::default() }),
            ..Entry::new(Kind::Close)
        }
    }

    /// The receipt of the only entry of a log.
    fn receipt(leaf: &[u8]) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: leaf_hash(leaf) };
        let checkpoint = checkpoint.sign(&key()).unwrap();
        Receipt { extra: None, index: 0, hashes: Vec::new(), checkpoint }.to_text()
    }

    #[test]
    fn an_entry_in_the_log_says_what_it_records_whichever_way_it_is_written() {
        let leaf = entry().encode().unwrap();
        let key = format!(" {}\n", key().verifier());
        for text in [hex(&leaf), STANDARD.encode(&leaf)] {
            let said: serde_json::Value = serde_json::from_str(&answer(&key, &text, &receipt(&leaf))).unwrap();
            let rows = json!([
                ["origin", ORIGIN],
                ["index", "0"],
                ["size", "1"],
                ["leaf hash", hex(&leaf_hash(&leaf))],
                ["kind", "close"],
                ["time", "1780304400000"],
                ["opened", "3"],
                ["outcome", "client gone"],
                ["output tokens", u64::MAX.to_string()],
                ["events delivered", "7"],
            ]);
            assert_eq!(said, json!({ "rows": rows }));
        }
    }

    #[test]
    fn what_is_not_shown_to_be_in_the_log_is_refused_with_a_reason() {
        let leaf = entry().encode().unwrap();
        let (key, text, proof) = (key().verifier().to_string(), hex(&leaf), receipt(&leaf));
        for (answer, why) in [
            (answer("", &text, &proof), "a verifier key reads"),
            (answer(&key, "0g", &proof), "neither hexadecimal digits nor base64"),
            (answer(&key, &text.to_uppercase(), &proof), "neither"),
            (answer(&key, "", &proof), "not the one the checkpoint covers"),
            (answer(&key, &text, ""), "the proof is malformed"),
            (answer(&key, "00", &receipt(&[0])), "not the CBOR of an entry"),
        ] {
            assert!(answer.starts_with(r#"{"why":""#) && answer.contains(why), "{answer}");
        }
    }
}
