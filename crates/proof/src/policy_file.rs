//! Trust policies: whose signatures it takes for a checkpoint to be believed.
//!
//! # Source
//!
//! C2SP tlog-policy (commit 5ba5ee8).

use crate::{
    checkpoint::{BadCheckpoint, Checkpoint},
    cosignature::{self, CosignerKey},
    note::{BadKey, BadNote, Note, NoteSignature, VerifierKey},
    receipt::{BadReceipt, Receipt},
};

mod parse;

pub use parse::{BadPolicy, PolicyFault};

/// A policy file is at most this long, in bytes: 256 logs and 256 witnesses with ML-DSA-44 keys of 1.8 kB take 0.9 MB.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// A policy has at most this many logs, this many witnesses, and this many groups; the format asks for 32.
pub const POLICY_ITEMS_MAX: usize = 256;

/// Which logs are believed, under the signatures of which witnesses.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    logs: Vec<Log>,
    /// Witnesses and groups in the order in which they are defined; a group has members that come before it.
    parties: Vec<Party>,
    /// Which of the parties must have witnessed; `None` asks for nobody.
    quorum: Option<usize>,
}

/// A log that is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// The log's key; its name is the log's origin.
    pub key: LogKey,
    /// Where the log is, if the policy says so; opaque.
    pub url: Option<Vec<u8>>,
}

/// The key of a log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogKey {
    /// Plain Ed25519.
    Note(VerifierKey),
    /// ML-DSA-44, in the form of a cosignature by the log itself.
    Cosigner(CosignerKey),
}

impl LogKey {
    /// Returns the log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        match self {
            Self::Note(key) => key.name(),
            Self::Cosigner(key) => key.name(),
        }
    }

    /// Returns true if `signature` says that it is of this key.
    #[must_use]
    pub fn is_named_by(&self, signature: &NoteSignature) -> bool {
        let id = match self {
            Self::Note(key) => key.id(),
            Self::Cosigner(key) => key.id(),
        };
        signature.id == id && signature.name == self.origin()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Party {
    Witness(Box<Witness>),
    Group { name: Vec<u8>, threshold: usize, members: Vec<usize> },
}

/// A witness that counts for a quorum.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// What the policy calls it; any bytes but spaces and control characters.
    pub name: Vec<u8>,
    /// Its key.
    pub key: CosignerKey,
    /// Where it is, if the policy says so; opaque.
    pub url: Option<Vec<u8>>,
}

/// A checkpoint that satisfies a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted<'p> {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The witnesses of the policy that cosigned it, with their times in seconds since 1970-01-01T00:00:00Z.
    pub witnesses: Vec<(&'p Witness, u64)>,
}

/// A checkpoint that does not satisfy a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsatisfied {
    /// It is no checkpoint, its log is not one of the policy's, or a signature of a key of the policy is not its own.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// Too few witnesses cosigned it.
    #[error("the checkpoint has cosignatures of {0} witnesses of the policy, which are not the quorum it asks for")]
    Quorum(usize),
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// [`BadPolicy`] with the line and what is wrong there.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPolicy> {
        parse::policy(bytes)
    }

    /// Returns the logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Returns the witnesses, in the order of the file.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness.as_ref()),
            Party::Group { .. } => None,
        })
    }

    /// Checks a signed checkpoint: one of the logs signed it, and the quorum of witnesses cosigned it.
    ///
    /// # Errors
    ///
    /// [`Unsatisfied`]: nothing in it may be believed.
    pub fn check(&self, note: &[u8]) -> Result<Accepted<'_>, Unsatisfied> {
        let note = Note::parse(note).map_err(BadCheckpoint::from)?;
        let checkpoint = Checkpoint::parse_body(note.text())?;
        self.check_log(&note, &checkpoint.origin)?;
        let keys: Vec<CosignerKey> = self.witnesses().map(|witness| witness.key.clone()).collect();
        let found = cosignature::verify(&note, &keys).map_err(BadCheckpoint::from)?;
        let time = |witness: &Witness| found.iter().find(|seen| *seen.key == witness.key).map(|seen| seen.time);
        let witnesses: Vec<_> =
            self.witnesses().filter_map(|witness| time(witness).map(|time| (witness, time))).collect();
        if self.is_quorum(&witnesses) {
            Ok(Accepted { checkpoint, witnesses })
        } else {
            Err(Unsatisfied::Quorum(witnesses.len()))
        }
    }

    /// Checks that `receipt` proves `leaf` under a checkpoint that satisfies this policy.
    ///
    /// # Errors
    ///
    /// [`BadReceipt::Policy`] or [`BadReceipt::Proof`]: nothing is proved.
    pub fn check_receipt(&self, receipt: &Receipt, leaf: &[u8]) -> Result<Accepted<'_>, BadReceipt> {
        let accepted = self.check(receipt.checkpoint.as_bytes())?;
        receipt.verify_inclusion(leaf, &accepted.checkpoint)?;
        Ok(accepted)
    }

    /// Checks that a log of this origin is one of the policy's and signed the note, whoever witnessed it.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint::Origin`] if no log of the policy has this origin; [`BadCheckpoint::Note`] if none of its keys signed
    /// the note, or a signature of one is not its own.
    pub fn check_log(&self, note: &Note, origin: &str) -> Result<(), BadCheckpoint> {
        let (mut plain, mut timed) = (Vec::new(), Vec::new());
        for log in self.logs.iter().filter(|log| log.key.origin() == origin) {
            match &log.key {
                LogKey::Note(key) => plain.push(key.clone()),
                LogKey::Cosigner(key) => timed.push(key.clone()),
            }
        }
        if plain.is_empty() && timed.is_empty() {
            return Err(BadCheckpoint::Origin(origin.to_owned()));
        }
        let by_plain = match note.verify(&plain) {
            Err(BadNote::Unsigned) => false,
            signers => !signers?.is_empty(),
        };
        let by_timed = !cosignature::verify(note, &timed)?.is_empty();
        if by_plain || by_timed { Ok(()) } else { Err(BadNote::Unsigned.into()) }
    }

    fn is_quorum(&self, cosigned: &[(&Witness, u64)]) -> bool {
        let mut witnessed: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            let holds = match party {
                Party::Witness(witness) => cosigned.iter().any(|(seen, _)| seen.name == witness.name),
                Party::Group { threshold, members, .. } => {
                    let count = members.iter().filter(|member| witnessed.get(**member) == Some(&true)).count();
                    count >= *threshold
                }
            };
            witnessed.push(holds);
        }
        self.quorum.is_none_or(|party| witnessed.get(party) == Some(&true))
    }
}

/// Reads the key of a log: plain Ed25519 or ML-DSA-44.
fn log_key(text: &str) -> Result<LogKey, BadKey> {
    match text.parse::<VerifierKey>() {
        Err(BadKey::Type(0x06)) => text.parse().map(LogKey::Cosigner),
        key => key.map(LogKey::Note),
    }
}

#[cfg(test)]
mod tests;
