//! Checks the receipt of one entry.

use proof::{
    checkpoint::Checkpoint,
    entry::Entry,
    note::VerifierKey,
    receipt::{BadReceipt, Receipt},
};

/// Checks that the log of `key` has the entry `leaf`, by a receipt in the text form of C2SP tlog-proof.
///
/// The log's origin is the name of its key. Returns the index of the entry and the checkpoint that covers it.
///
/// # Errors
///
/// [`BadReceipt`]: nothing is proved.
pub fn verify_receipt(leaf: &[u8], proof: &str, key: &VerifierKey) -> Result<(u64, Checkpoint), BadReceipt> {
    let receipt = Receipt::parse(proof)?;
    let checkpoint = receipt.verify(leaf, key.name(), std::slice::from_ref(key))?;
    Entry::decode(leaf)?;
    Ok((receipt.index, checkpoint))
}
