//! Equivocation: proof that a log signed two checkpoints that cannot both be true.
//!
//! Of two checkpoints of an append-only log, the tree of the smaller is a prefix of the tree of the larger. The proof shows
//! what root the first entries of the larger tree have, and that it is another than the one the smaller checkpoint signs.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::{BadCheckpoint, Checkpoint, decimal, hash},
    note::{NOTE_BYTES_MAX, VerifierKey},
    tree::{BadProof, EMPTY_ROOT, Hash, verify_consistency},
};

/// The first line of every proof.
const HEADER: &str = "exeat-equivocation/v1";
/// A consistency proof between trees of at most 2^64 leaves.
const HASHES_MAX: usize = 65;
/// Two notes, the hashes, and the lines before them.
const EQUIVOCATION_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX + 8_192;

/// Two signed checkpoints of one log that contradict each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Equivocation {
    /// The checkpoint with fewer entries, or either if both have as many.
    pub smaller: String,
    /// The other.
    pub larger: String,
    /// The root that as many entries as the smaller has have in the tree of the larger.
    pub root: Hash,
    /// The consistency proof from that root to the larger checkpoint; empty if both are of one size.
    pub hashes: Vec<Hash>,
}

/// The text proves no equivocation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEquivocation {
    /// Not the text of a proof.
    #[error("the proof of equivocation is malformed: {0}")]
    Malformed(&'static str),
    /// A checkpoint is not to be believed, so the log need not answer for it.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// The root is not that of the first entries of the larger tree.
    #[error("the root is not that of the first entries of the larger tree: {0}")]
    Proof(#[from] BadProof),
    /// The root is the one that the smaller checkpoint signs.
    #[error("the two checkpoints agree")]
    Agree,
}

impl Equivocation {
    /// Checks that the log `origin` signed both checkpoints with one of `keys`, and that they contradict each other.
    ///
    /// # Errors
    ///
    /// [`BadEquivocation`]: nothing is proved against the log.
    pub fn verify(&self, origin: &str, keys: &[VerifierKey]) -> Result<(Checkpoint, Checkpoint), BadEquivocation> {
        let smaller = Checkpoint::open_extended(self.smaller.as_bytes(), origin, keys)?;
        let larger = Checkpoint::open_extended(self.larger.as_bytes(), origin, keys)?;
        if smaller.size > larger.size {
            return Err(BadEquivocation::Malformed("the smaller checkpoint is the larger one"));
        }
        if smaller.size > 0 {
            verify_consistency(smaller.size, larger.size, &self.hashes, &self.root, &larger.root)?;
        } else if self.root != EMPTY_ROOT || !self.hashes.is_empty() {
            return Err(BadEquivocation::Malformed("the tree without entries has one root and no proof"));
        }
        if self.root == smaller.root {
            return Err(BadEquivocation::Agree);
        }
        Ok((smaller, larger))
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`BadEquivocation::Malformed`].
    pub fn parse(text: &str) -> Result<Self, BadEquivocation> {
        let bad = BadEquivocation::Malformed;
        if text.len() > EQUIVOCATION_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let (head, notes) =
            text.split_once("\n\n").ok_or_else(|| bad("there is no empty line before the checkpoints"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad("it begins with another line"));
        }
        let mut value = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let length = value("smaller").and_then(decimal).and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(|| bad("no `smaller` and the length of a checkpoint"))?;
        let root = value("root").and_then(hash).ok_or_else(|| bad("no `root` and a hash"))?;
        let hashes: Vec<Hash> = lines
            .map(|line| hash(line).ok_or_else(|| bad("a hash is not 32 bytes in base64")))
            .collect::<Result<_, _>>()?;
        let (smaller, larger) = notes.split_at_checked(length).ok_or_else(|| bad("the checkpoints are shorter"))?;
        if hashes.len() > HASHES_MAX {
            return Err(bad("more hashes than any tree needs"));
        }
        Ok(Self { smaller: smaller.to_owned(), larger: larger.to_owned(), root, hashes })
    }
}

impl fmt::Display for Equivocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nsmaller {}\nroot {}", self.smaller.len(), STANDARD.encode(self.root))?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}{}", self.smaller, self.larger)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        note::SignerKey,
        tree::{leaf_hash, naive},
    };

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key(seed: u8) -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
    }

    /// The leaves of a log; from entry `fork` on they are others.
    fn leaves(size: usize, fork: usize) -> Vec<Hash> {
        (0..size).map(|n| leaf_hash(format!("{n}{}", if n >= fork { "!" } else { "" }).as_bytes())).collect()
    }

    fn signed(leaves: &[Hash], key: &SignerKey) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: leaves.len() as u64, root: naive::root(leaves) };
        checkpoint.sign(key).unwrap()
    }

    /// What follows from a log of `size` entries that forked at `fork`, and one of `shorter` that did not.
    fn equivocation(shorter: usize, size: usize, fork: usize) -> Equivocation {
        let (one, other) = (leaves(shorter, usize::MAX), leaves(size, fork));
        let hashes = if shorter == 0 { Vec::new() } else { naive::consistency(shorter, &other, true) };
        let root = naive::root(&other[..shorter]);
        Equivocation { smaller: signed(&one, &key(9)), larger: signed(&other, &key(9)), root, hashes }
    }

    fn verify(equivocation: &Equivocation) -> Result<(u64, u64), BadEquivocation> {
        equivocation.verify(ORIGIN, &[key(9).verifier()]).map(|(a, b)| (a.size, b.size))
    }

    #[test]
    fn every_fork_below_the_smaller_size_is_proved_and_no_other() {
        for size in 1..=20 {
            for shorter in 1..=size {
                for fork in 0..=size {
                    let verified = verify(&equivocation(shorter, size, fork));
                    let wanted =
                        if fork < shorter { Ok((shorter as u64, size as u64)) } else { Err(BadEquivocation::Agree) };
                    assert_eq!(verified, wanted, "{shorter} of {size}, forked at {fork}");
                }
            }
        }
    }

    #[test]
    fn a_log_answers_only_for_what_its_key_signed() {
        let mut forged = equivocation(5, 9, 3);
        forged.larger = signed(&leaves(9, 3), &key(8));
        assert!(matches!(verify(&forged), Err(BadEquivocation::Checkpoint(_))));
        let mut other = equivocation(5, 9, 3);
        other.root = [1; 32];
        assert!(matches!(verify(&other), Err(BadEquivocation::Proof(_))));
        let swapped = Equivocation { smaller: other.larger.clone(), larger: other.smaller.clone(), ..other };
        assert!(matches!(verify(&swapped), Err(BadEquivocation::Malformed(_))));
    }

    #[test]
    fn the_tree_without_entries_has_one_root() {
        assert_eq!(verify(&equivocation(0, 5, 0)), Err(BadEquivocation::Agree));
        let bogus = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: [1; 32] }.sign(&key(9)).unwrap();
        let proved = Equivocation { smaller: bogus, ..equivocation(0, 5, 0) };
        assert_eq!(verify(&proved), Ok((0, 5)));
    }

    #[test]
    fn the_text_reads_back_and_what_is_malformed_is_refused() {
        let equivocation = equivocation(5, 9, 3);
        let text = equivocation.to_string();
        assert_eq!(Equivocation::parse(&text).unwrap(), equivocation);
        let length = equivocation.smaller.len();
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replace(&format!("smaller {length}"), "smaller 999999"),
            text.replace("smaller", "larger"),
            text.replace("root ", "root"),
            text.replacen("\n\n", "\n", 1),
        ] {
            let verified = Equivocation::parse(&bad).and_then(|read| verify(&read));
            assert!(verified.is_err(), "{bad:.60}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text: String, end in "[a-z\u{2014}\n]{0,9}", length in 0_usize..12) {
            let _ = Equivocation::parse(&text);
            let root = STANDARD.encode([7; 32]);
            let text = format!("{HEADER}\nsmaller {length}\nroot {root}\n\n{end}");
            if let Ok(read) = Equivocation::parse(&text) {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
