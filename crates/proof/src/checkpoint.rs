//! Checkpoints: the size and root of a log at one moment, signed by the log.
//!
//! # Source
//!
//! C2SP tlog-checkpoint v1.0.0.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    note::{BadNote, Note, SignerKey, VerifierKey},
    tree::Hash,
};

/// What a log commits to when it signs: how many entries it has and what they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log, by a schema-less URL such as `log.example.com/exeat/1`; one line, not empty.
    pub origin: String,
    /// Entries in the log.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// The text is no checkpoint, or not one to be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCheckpoint {
    /// Not a note, or not signed by a trusted key.
    #[error(transparent)]
    Note(#[from] BadNote),
    /// Not three lines of origin, size and root.
    #[error("the checkpoint has no {0}")]
    Missing(&'static str),
    /// The size is not a decimal number below 2^64 without needless digits.
    #[error("the size of the checkpoint is not a plain decimal number")]
    Size,
    /// The root is not 32 bytes in base64.
    #[error("the root of the checkpoint is not 32 bytes in base64")]
    Root,
    /// There is more to it than origin, size and root.
    #[error(
        "the checkpoint has more than the three lines of origin, size and root, which is all that such a log signs"
    )]
    Extended,
    /// The checkpoint is another log's.
    #[error("the checkpoint is of the log `{0}`, not of the one asked for")]
    Origin(String),
}

impl Checkpoint {
    /// Returns the text to be signed: origin, size and root, each on a line; no extension lines.
    #[must_use]
    pub fn body(&self) -> String {
        let root = STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Reads the text of a checkpoint. Extension lines are not used, but must not be empty.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint`], except [`BadCheckpoint::Note`] and [`BadCheckpoint::Origin`].
    pub fn parse_body(text: &str) -> Result<Self, BadCheckpoint> {
        let text = text.strip_suffix('\n').ok_or(BadCheckpoint::Missing("line end"))?;
        let mut lines = text.split('\n');
        let mut line = |what| {
            let line = lines.next().filter(|line| !line.is_empty());
            line.ok_or(BadCheckpoint::Missing(what))
        };
        let (origin, size, root) = (line("origin")?, line("size")?, line("root")?);
        let size = decimal(size).ok_or(BadCheckpoint::Size)?;
        let root = hash(root).ok_or(BadCheckpoint::Root)?;
        if lines.any(str::is_empty) {
            return Err(BadCheckpoint::Missing("text in an extension line"));
        }
        let origin = origin.to_owned();
        Ok(Self { origin, size, root })
    }

    /// Signs the checkpoint and returns the note to publish.
    ///
    /// A log must never sign two checkpoints of which neither tree is a prefix of the other.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint::Note`] or [`BadCheckpoint::Missing`] if the origin is not one line of text.
    pub fn sign(&self, key: &SignerKey) -> Result<String, BadCheckpoint> {
        let body = self.body();
        if Self::parse_body(&body)? != *self {
            return Err(BadCheckpoint::Missing("origin of one line"));
        }
        let mut note = Note::new(body)?;
        note.sign(key);
        Ok(note.to_string())
    }

    /// Reads a signed checkpoint of the log `origin` that at least one of `keys`, the log's own, signed. It has no
    /// extension lines.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint`]: nothing in it may be believed.
    pub fn open(note: &[u8], origin: &str, keys: &[VerifierKey]) -> Result<Self, BadCheckpoint> {
        let checkpoint = Self::open_extended(note, origin, keys)?;
        let plain = Note::parse(note)?.text() == checkpoint.body();
        plain.then_some(checkpoint).ok_or(BadCheckpoint::Extended)
    }

    /// As [`Checkpoint::open`], and takes extension lines: a log that signed two histories is not excused by what it wrote
    /// below one of them.
    pub(crate) fn open_extended(note: &[u8], origin: &str, keys: &[VerifierKey]) -> Result<Self, BadCheckpoint> {
        let note = Note::parse(note)?;
        note.verify(keys)?;
        let checkpoint = Self::parse_body(note.text())?;
        if checkpoint.origin != origin {
            return Err(BadCheckpoint::Origin(checkpoint.origin));
        }
        Ok(checkpoint)
    }
}

/// Reads a decimal number that has no sign and no needless zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Reads a hash in base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: 1_000, root: [0xab; 32] }
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let read = Checkpoint::parse_body(text).unwrap();
        assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(read.body(), text);
    }

    #[test]
    fn a_signed_checkpoint_opens_with_its_key_and_for_its_origin_only() {
        let signed = checkpoint().sign(&key()).unwrap();
        let open = |origin, key: &SignerKey| Checkpoint::open(signed.as_bytes(), origin, &[key.verifier()]);
        assert_eq!(open(ORIGIN, &key()), Ok(checkpoint()));
        assert_eq!(open("log.example.com/exeat/2", &key()), Err(BadCheckpoint::Origin(ORIGIN.to_owned())));
        let stranger = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
        assert_eq!(open(ORIGIN, &stranger), Err(BadNote::Unsigned.into()));
    }

    #[test]
    fn a_checkpoint_with_extension_lines_is_not_one_of_our_logs() {
        let mut note = Note::new(format!("{}more\n", checkpoint().body())).unwrap();
        note.sign(&key());
        let (note, keys) = (note.to_string(), [key().verifier()]);
        assert_eq!(Checkpoint::open(note.as_bytes(), ORIGIN, &keys), Err(BadCheckpoint::Extended));
        assert_eq!(Checkpoint::open_extended(note.as_bytes(), ORIGIN, &keys), Ok(checkpoint()));
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        let root = STANDARD.encode([1; 32]);
        for text in [
            String::new(),
            "\n".to_owned(),
            format!("o\n1\n{root}"),
            format!("\n1\n{root}\n"),
            "o\n1\n".to_owned(),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            "o\n1\nAAAA\n".to_owned(),
            format!("o\n1\n {root}\n"),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}\nmore\n\n"),
        ] {
            assert!(Checkpoint::parse_body(&text).is_err(), "{text:?}");
        }
        let extended = format!("o\n1\n{root}\nmore\n");
        assert_eq!(Checkpoint::parse_body(&extended).unwrap().size, 1);
    }

    #[test]
    fn an_origin_that_is_not_one_line_is_not_signed() {
        for origin in ["", "a\nb", "a\t"] {
            let bad = Checkpoint { origin: origin.to_owned(), ..checkpoint() };
            assert!(bad.sign(&key()).is_err(), "{origin:?}");
        }
    }

    proptest! {
        #[test]
        fn a_checkpoint_reads_back(origin in "[!-~]{1,60}", size: u64, root: [u8; 32]) {
            let checkpoint = Checkpoint { origin, size, root };
            prop_assert_eq!(Checkpoint::parse_body(&checkpoint.body()).unwrap(), checkpoint);
        }
    }
}
