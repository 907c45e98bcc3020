//! Shards: proof that the head log covers a checkpoint of one of the logs that make up a record.
//!
//! Where several logs make up one record, a head log has an entry whenever a shard is opened, signs a larger checkpoint, or
//! is closed; its private field 1 is the shard's checkpoint as signed. So whoever follows the head log knows every shard.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::{BadCheckpoint, Checkpoint},
    commit::{Field, Salt, combine, commit_to_field},
    entry::{Entry, Kind},
    note::{NOTE_BYTES_MAX, VerifierKey},
    receipt::{BadReceipt, Receipt},
};

/// The first line of every proof.
const HEADER: &str = "exeat-shard/v1";
/// A leaf, a note and a receipt, in base64 where it is so.
const SHARD_PROOF_BYTES_MAX: usize = 5 * NOTE_BYTES_MAX;

/// What an entry of the head log says about a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShardEvent {
    /// The shard is a part of the record from here on.
    Open,
    /// The shard has grown.
    Checkpoint,
    /// The shard takes no more entries: this is its last checkpoint.
    Close,
}

impl ShardEvent {
    /// Returns the code (key 10) of the entry.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Open => "shard.open",
            Self::Checkpoint => "shard.checkpoint",
            Self::Close => "shard.close",
        }
    }

    /// Returns what an entry says, by its kind and code; `None` if it is not about a shard.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let code = entry.code.as_deref().filter(|_| entry.kind == Kind::Admin)?;
        [Self::Open, Self::Checkpoint, Self::Close].into_iter().find(|event| event.code() == code)
    }
}

/// An entry of the head log, opened, with the proof that it is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShardProof {
    /// The entry's exact bytes.
    pub leaf: Vec<u8>,
    /// The salt of its field 1.
    pub salt: Salt,
    /// Its field 1: the shard's signed checkpoint.
    pub note: String,
    /// The proof that the head log has the entry.
    pub receipt: Receipt,
}

/// A checkpoint of a shard that the head log covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Covered {
    /// The index of the entry in the head log.
    pub index: u64,
    /// What the entry says.
    pub event: ShardEvent,
    /// The shard's checkpoint.
    pub checkpoint: Checkpoint,
    /// The checkpoint of the head log that covers the entry.
    pub head: Checkpoint,
}

/// The text proves nothing about a shard.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadShardProof {
    /// Not the text of a proof.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
    /// The head log does not have the entry.
    #[error(transparent)]
    Receipt(#[from] BadReceipt),
    /// The entry is not about a shard, or commits to another checkpoint.
    #[error("the entry of the head log says nothing about this checkpoint")]
    Other,
    /// The checkpoint is not one that the shard signed.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
}

impl ShardProof {
    /// Checks that the head log of `head`, a key by the name of its origin, has recorded this checkpoint of the log of `shard`.
    ///
    /// # Errors
    ///
    /// [`BadShardProof`]: nothing is proved.
    pub fn verify(&self, head: &VerifierKey, shard: &VerifierKey) -> Result<Covered, BadShardProof> {
        let signed = self.receipt.verify(&self.leaf, head.name(), std::slice::from_ref(head))?;
        let entry = Entry::decode(&self.leaf).map_err(|_| BadShardProof::Other)?;
        let event = ShardEvent::of(&entry).ok_or(BadShardProof::Other)?;
        let field = commit_to_field(Field::Main, &self.salt, self.note.as_bytes());
        if combine([(Field::Main, field)]) != entry.private {
            return Err(BadShardProof::Other);
        }
        let checkpoint = Checkpoint::open(self.note.as_bytes(), shard.name(), std::slice::from_ref(shard))?;
        Ok(Covered { index: self.receipt.index, event, checkpoint, head: signed })
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`BadShardProof::Malformed`], [`BadShardProof::Receipt`].
    pub fn parse(text: &str) -> Result<Self, BadShardProof> {
        let bad = BadShardProof::Malformed;
        if text.len() > SHARD_PROOF_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let (head, receipt) = text.split_once("\n\n").ok_or_else(|| bad("there is no empty line before a receipt"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad("it begins with another line"));
        }
        let mut value = |name: &str| STANDARD.decode(lines.next()?.strip_prefix(name)?.strip_prefix(' ')?).ok();
        let leaf = value("leaf").ok_or_else(|| bad("no `leaf` and base64"))?;
        let salt = value("salt")
            .and_then(|salt| salt.try_into().ok())
            .ok_or_else(|| bad("no `salt` and 16 bytes in base64"))?;
        let note = value("checkpoint").and_then(|note| String::from_utf8(note).ok());
        let note = note.ok_or_else(|| bad("no `checkpoint` and text in base64"))?;
        if lines.next().is_some() {
            return Err(bad("there are more lines before the receipt"));
        }
        Ok(Self { leaf, salt, note, receipt: Receipt::parse(receipt)? })
    }
}

impl fmt::Display for ShardProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nleaf {}", STANDARD.encode(&self.leaf))?;
        writeln!(f, "salt {}\ncheckpoint {}", STANDARD.encode(self.salt), STANDARD.encode(&self.note))?;
        write!(f, "\n{}", self.receipt)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        commit::{Fields, Opening, SaltKey},
        note::SignerKey,
        tree::leaf_hash,
    };

    fn key(name: &str) -> SignerKey {
        SignerKey::from_seed(name, &[9; 32]).unwrap()
    }

    fn shard(size: u64) -> String {
        Checkpoint { origin: "log/1".to_owned(), size, root: [size as u8; 32] }.sign(&key("log/1")).unwrap()
    }

    /// A head log of one entry about a shard of so many entries.
    fn proof(size: u64) -> ShardProof {
        let mut entry = Entry { nonce: Some([1; 8]), key_epoch: Some(8_104), ..Entry::new(Kind::Admin) };
        entry.code = Some(ShardEvent::Checkpoint.code().to_owned());
        let fields = Fields::default().with(Field::Main, Bytes::from(shard(size)));
        let openings = SaltKey::new([3; 32]).begin().open(&entry, &fields);
        entry.private = openings.commitment();
        let Some((_, Opening::Shown { salt, .. })) = openings.iter().next() else { panic!("withheld") };
        let leaf = entry.encode().unwrap();
        let head = Checkpoint { origin: "head".to_owned(), size: 1, root: leaf_hash(&leaf) };
        let receipt = Receipt { extra: None, index: 0, hashes: vec![], checkpoint: head.sign(&key("head")).unwrap() };
        ShardProof { leaf, salt: *salt, note: shard(size), receipt }
    }

    fn verify(proof: &ShardProof) -> Result<Covered, BadShardProof> {
        proof.verify(&key("head").verifier(), &key("log/1").verifier())
    }

    #[test]
    fn a_checkpoint_of_a_shard_is_covered_and_no_other_is() {
        let covered = verify(&proof(7)).unwrap();
        assert_eq!(
            (covered.index, covered.event, covered.checkpoint.size, covered.head.size),
            (0, ShardEvent::Checkpoint, 7, 1)
        );
        assert_eq!(verify(&ShardProof { note: shard(8), ..proof(7) }), Err(BadShardProof::Other));
        assert_eq!(verify(&ShardProof { salt: [0; 16], ..proof(7) }), Err(BadShardProof::Other));
        assert!(matches!(verify(&ShardProof { leaf: proof(8).leaf, ..proof(7) }), Err(BadShardProof::Receipt(_))));
        let other = proof(7).verify(&key("head").verifier(), &key("log/2").verifier());
        assert!(matches!(other, Err(BadShardProof::Checkpoint(_))));
        let stranger = proof(7).verify(&key("heads").verifier(), &key("log/1").verifier());
        assert!(matches!(stranger, Err(BadShardProof::Receipt(_))));
    }

    #[test]
    fn the_text_reads_back_and_what_is_malformed_is_refused() {
        let text = proof(7).to_string();
        assert_eq!(ShardProof::parse(&text).unwrap(), proof(7));
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replacen("leaf ", "leaf", 1),
            text.replacen("salt ", "salt AAAA", 1),
            text.replacen("checkpoint ", "checkpoint !", 1),
            text.replacen("\n\n", "\nmore x\n\n", 1),
            text.replacen("\n\n", "\n", 1),
        ] {
            assert!(ShardProof::parse(&bad).is_err(), "{bad:.60}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text: String, at in 0_usize..2_000, with in "[ -~\n]{0,3}") {
            let _ = ShardProof::parse(&text);
            let mut changed = proof(7).to_string();
            let at = changed.char_indices().map(|(at, _)| at).nth(at).unwrap_or(0);
            changed.insert_str(at, &with);
            if let Ok(read) = ShardProof::parse(&changed) {
                prop_assert_eq!(read.to_string(), changed);
            }
        }
    }
}
