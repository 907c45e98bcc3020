//! A receipt: the caller's own entry, and the proof that a signed checkpoint covers it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ledger::LookupError;
use proof::entry::Entry;

use crate::{Problem, Worker, authenticate::authenticate, call::Incoming, decide};

/// Spells the id of a receipt: the index of the entry and the first 8 bytes of its leaf hash.
pub(crate) fn id(index: u64, leaf: &[u8; 32]) -> String {
    format!("{index}-{:016x}", short_of(leaf))
}

/// Writes the receipt of one of the caller's own calls as JSON: `index`, `leaf` (base64), `proof` (the C2SP
/// tlog-proof text with its checkpoint) and `origin_key`.
///
/// # Errors
///
/// [`Problem::Unauthenticated`]; [`Problem::NotFound`] if there is no such receipt or it is another's;
/// [`Problem::Overloaded`] with a second to wait if no checkpoint covers it yet.
pub(crate) async fn show(worker: &Worker, incoming: &Incoming, id: &str) -> Result<Bytes, Problem> {
    let caller = authenticate(worker.shared(), incoming).await?;
    let (index, short) = parse(id).ok_or(Problem::NotFound)?;
    let ledger = worker.shared().ledger.clone();
    let found = tokio::task::spawn_blocking(move || ledger.receipt(index)).await;
    let receipt = found.map_err(|_| Problem::Internal)?.map_err(problem)?;
    let entry = Entry::decode(&receipt.leaf).map_err(|_| Problem::Internal)?;
    let own =
        worker.shared().ledger.pseudonym(&decide::spelled(&caller.holder(worker.directory()), caller.credential_id()));
    let leaf = proof::tree::leaf_hash(&receipt.leaf);
    if entry.subject != Some(own) || short != short_of(&leaf) {
        return Err(Problem::NotFound);
    }
    let body = serde_json::json!({
        "index": receipt.index,
        "leaf": STANDARD.encode(&receipt.leaf),
        "proof": receipt.proof,
        "origin_key": worker.shared().ledger.verifier_key(),
    });
    Ok(Bytes::from(body.to_string()))
}

fn parse(id: &str) -> Option<(u64, u64)> {
    let (index, short) = id.split_once('-')?;
    let digits = short.len() == 16 && short.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    let canonical = digits && index.bytes().all(|b| b.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
    let index = index.parse().ok().filter(|_| canonical)?;
    Some((index, u64::from_str_radix(short, 16).ok()?))
}

fn short_of(leaf: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *leaf;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn problem(error: LookupError) -> Problem {
    match error {
        LookupError::Unknown(_) => Problem::NotFound,
        LookupError::NotYet(_) => Problem::Overloaded { retry_after: 1 },
        LookupError::Io(_) | LookupError::Damaged(_) => {
            tracing::error!(%error, "a receipt cannot be shown");
            Problem::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_receipt_reads_back_and_has_one_spelling() {
        let leaf = [0xab; 32];
        assert_eq!(parse(&id(17, &leaf)), Some((17, short_of(&leaf))));
        for id in ["", "17", "017-abababababababab", "17-ab", "-1-abababababababab", "17-+babababababababa"] {
            assert!(parse(id).is_none(), "{id}");
        }
    }
}
