//! The body of `add-checkpoint`.

use base64::{Engine, engine::general_purpose::STANDARD};
use proof::{note::NOTE_BYTES_MAX, tree::Hash};

use crate::Refusal;

/// A consistency proof of the protocol has at most this many hashes.
pub(crate) const PROOF_HASHES_MAX: usize = 63;
/// A body is at most this long, in bytes: a note, 63 lines of 45 bytes, the line of the old size.
pub(crate) const ADD_CHECKPOINT_BYTES_MAX: usize = NOTE_BYTES_MAX + (PROOF_HASHES_MAX + 1) * 45;

/// A checkpoint with the proof that it extends one of `old` entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// Entries in the checkpoint that the witness is thought to have cosigned last; 0 if none.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

impl AddCheckpoint {
    /// Reads the body of a request.
    ///
    /// # Errors
    ///
    /// [`Refusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > ADD_CHECKPOINT_BYTES_MAX {
            return Err(Refusal::Malformed("it is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| Refusal::Malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(Refusal::Malformed("there is no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("old ")?))
            .ok_or(Refusal::Malformed("the first line is not `old` and a decimal number"))?;
        let proof: Vec<Hash> = lines
            .map(|line| hash(line).ok_or(Refusal::Malformed("a hash is not 32 bytes in base64")))
            .collect::<Result<_, _>>()?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(Refusal::Malformed("there are more than 63 hashes"));
        }
        Ok(Self { old, proof, note: note.to_owned() })
    }

    /// Returns the body of a request.
    #[must_use]
    pub fn to_body(&self) -> String {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body + &self.note
    }
}

/// Reads a decimal number that has no sign and no needless zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let body = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
                    \nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} x AAAAAAA=\n";
        let read = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!((read.old, read.proof.len()), (20_852_014, 2));
        assert!(read.note.starts_with("example.com/behind-the-sofa\n"));
        assert_eq!(read.to_body(), body);
    }

    #[test]
    fn malformed_requests_are_refused() {
        let hash = STANDARD.encode([1; 32]);
        for body in [
            String::new(),
            "\n\n".to_owned(),
            "old 1\nnote".to_owned(),
            "old\n\nnote\n".to_owned(),
            "old 01\n\nnote\n".to_owned(),
            "old -1\n\nnote\n".to_owned(),
            "old 18446744073709551616\n\nnote\n".to_owned(),
            "new 1\n\nnote\n".to_owned(),
            format!("old 1\n{}\n\nnote\n", &hash[1..]),
            format!("old 1\n{}\n\nnote\n", [hash.as_str(); 64].join("\n")),
            "old 1\n\n".to_owned() + &"n".repeat(ADD_CHECKPOINT_BYTES_MAX),
        ] {
            assert!(matches!(AddCheckpoint::parse(body.as_bytes()), Err(Refusal::Malformed(_))), "{body:.80?}");
        }
        let most = format!("old 1\n{}\n\nnote\n", [hash.as_str(); 63].join("\n"));
        assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), 63);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>, text in "(old [0-9]{0,3}\n)?[A-Za-z0-9=\n]{0,60}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(read) = AddCheckpoint::parse(bytes) {
                    prop_assert_eq!(read.to_body().into_bytes(), bytes);
                }
            }
        }
    }
}
