//! Receipts: a proof that one entry is in the log, to be checked with nothing but the log's key.
//!
//! # Source
//!
//! C2SP tlog-proof (`c2sp.org/tlog-proof@v1`).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::{BadCheckpoint, Checkpoint, decimal, hash},
    entry::DecodeError,
    note::{NOTE_BYTES_MAX, VerifierKey},
    policy_file::Unsatisfied,
    tree::{BadProof, Hash, leaf_hash, verify_inclusion},
};

/// The first line of every receipt.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A path from a leaf to the root of a tree of 2^64 leaves.
const HASHES_MAX: usize = 64;
/// The header lines and the hashes, generously, besides the checkpoint and as much extra data.
const RECEIPT_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX + 8_192;

/// A proof that one entry is in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Data of the application; no signature covers it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, as the log published it.
    pub checkpoint: String,
}

/// The text is no receipt, or proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadReceipt {
    /// Not the text of a receipt.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
    /// The checkpoint is not to be believed.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// The checkpoint does not satisfy the policy.
    #[error(transparent)]
    Policy(#[from] Unsatisfied),
    /// The entry is not the one at that index under the checkpoint.
    #[error("the entry is not the one the checkpoint covers at this index: {0}")]
    Proof(#[from] BadProof),
    /// What the log has at that index is no entry.
    #[error(transparent)]
    Entry(#[from] DecodeError),
}

impl Receipt {
    /// Returns the text form; store it with the extension `.tlog-proof`.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`BadReceipt::Malformed`] with what is missing.
    pub fn parse(text: &str) -> Result<Self, BadReceipt> {
        if text.len() > RECEIPT_BYTES_MAX {
            return Err(BadReceipt::Malformed("it is too long"));
        }
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(BadReceipt::Malformed("no empty line before a checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(BadReceipt::Malformed("it begins with another line"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(parse_extra).transpose()?;
        let index = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("index ")?))
            .ok_or(BadReceipt::Malformed("no `index` and a decimal number"))?;
        let hashes: Vec<Hash> = lines
            .map(|line| hash(line).ok_or(BadReceipt::Malformed("a hash is not 32 bytes in base64")))
            .collect::<Result<_, _>>()?;
        if hashes.len() > HASHES_MAX {
            return Err(BadReceipt::Malformed("more hashes than any tree needs"));
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that the log `origin`, by a checkpoint that one of `keys` signed, has `leaf` at this index.
    ///
    /// # Errors
    ///
    /// [`BadReceipt`]: nothing is proved.
    pub fn verify(&self, leaf: &[u8], origin: &str, keys: &[VerifierKey]) -> Result<Checkpoint, BadReceipt> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), origin, keys)?;
        self.verify_inclusion(leaf, &checkpoint)?;
        Ok(checkpoint)
    }

    /// Checks that `leaf` is at this index under a checkpoint that was checked already.
    pub(crate) fn verify_inclusion(&self, leaf: &[u8], checkpoint: &Checkpoint) -> Result<(), BadProof> {
        verify_inclusion(&leaf_hash(leaf), self.index, checkpoint.size, &self.hashes, &checkpoint.root)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

fn parse_extra(line: &str) -> Result<Vec<u8>, BadReceipt> {
    line.strip_prefix("extra ")
        .and_then(|data| STANDARD.decode(data).ok())
        .ok_or(BadReceipt::Malformed("the extra data is not base64"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{note::SignerKey, tree::naive};

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
    }

    /// A receipt for entry `index` of a log of `size` entries; entry n is `n` as 8 bytes.
    fn receipt(index: usize, size: usize) -> Receipt {
        let leaves: Vec<Hash> = (0..size as u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: size as u64, root: naive::root(&leaves) };
        Receipt {
            extra: None,
            index: index as u64,
            hashes: naive::path(index, &leaves),
            checkpoint: checkpoint.sign(&key()).unwrap(),
        }
    }

    #[test]
    fn a_receipt_proves_its_entry_and_no_other() {
        let receipt = receipt(4, 11);
        let verify = |n: u64| receipt.verify(&n.to_be_bytes(), ORIGIN, &[key().verifier()]);
        assert_eq!(verify(4).unwrap().size, 11);
        assert_eq!(verify(5), Err(BadProof::Mismatch.into()));
    }

    #[test]
    fn every_changed_bit_of_a_receipt_is_noticed() {
        let text = receipt(4, 11).to_text();
        let leaf = 4_u64.to_be_bytes();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let verified =
                Receipt::parse(&changed).and_then(|receipt| receipt.verify(&leaf, ORIGIN, &[key().verifier()]));
            assert!(verified.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_text_is_laid_out_as_the_specification_says() {
        let alone = Receipt { extra: Some(b"more".to_vec()), ..receipt(0, 1) };
        let text = alone.to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 0\n\nlog.example.com/"));
        assert_eq!(Receipt::parse(&text).unwrap(), alone);
        alone.verify(&[0; 8], ORIGIN, &[key().verifier()]).unwrap();
    }

    #[test]
    fn malformed_receipts_are_refused() {
        let good = receipt(4, 11).to_text();
        let hash_line = good.lines().nth(2).unwrap();
        for text in [
            String::new(),
            good.replace("@v1", "@v2"),
            good.replace("index 4", "index 04"),
            good.replace("index 4", "index"),
            good.replace("index 4\n", ""),
            good.replace("index 4", "extra !\nindex 4"),
            good.replace("index 4", "index 4\nextra bW9yZQ=="),
            good.replace(hash_line, &hash_line[1..]),
            good.replace(hash_line, &[hash_line; 65].join("\n")),
            good.replace("\n\n", "\n"),
        ] {
            assert!(Receipt::parse(&text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_receipt_reads_back(
            extra: Option<Vec<u8>>, index: u64, hashes in proptest::collection::vec(any::<Hash>(), 0..=64),
        ) {
            let receipt = Receipt { extra, index, hashes, checkpoint: "a\n\nb\n".to_owned() };
            prop_assert_eq!(Receipt::parse(&receipt.to_text()).unwrap(), receipt);
        }

        #[test]
        fn any_text_that_is_a_receipt_is_the_one_it_writes(text in "c2sp.org/tlog-proof@v1\n(extra [A-Z=]{0,6}\n)?index [0-9]{0,3}\n\n[a\n]{0,9}") {
            if let Ok(receipt) = Receipt::parse(&text) {
                prop_assert_eq!(receipt.to_text(), text);
            }
        }
    }
}
