//! One entry of the log: deterministic CBOR with integer keys (RFC 8949 section 4.2), versioned, never content.
//!
//! What must stay private (the facts a decision saw, real names) is not in the entry: the entry commits to it,
//! see [`mod@crate::commit`], and whoever holds the private part and its salt can show that it belongs.

use minicbor::{Decode, Encode};

/// The version of the entry format that this crate writes.
pub const ENTRY_VERSION: u8 = 1;
/// An entry is a leaf of the log and so at most this long, in bytes (C2SP tlog-tiles allows 65,535).
pub const ENTRY_BYTES_MAX: usize = 4_096;

/// What an entry records. Ordinals are stored and never reused.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Ord, PartialEq, PartialOrd)]
#[cbor(index_only)]
pub enum Kind {
    /// The log began.
    #[n(1)]
    Genesis,
    /// A process opened the log.
    #[n(2)]
    Start,
    /// A call was permitted; durable before its first byte leaves.
    #[n(3)]
    Open,
    /// A call ended; `opened` is the index of its opening entry.
    #[n(4)]
    Close,
    /// A call was refused.
    #[n(5)]
    Refusal,
    /// What is in force changed; `snapshot` is the new digest, the private part the new document.
    #[n(6)]
    Snapshot,
    /// A person, organization, workload, affiliation, attestation or key changed.
    #[n(7)]
    Registry,
    /// An administrator acted or was refused.
    #[n(8)]
    Admin,
    /// A live call was decided again and goes on, on another basis.
    #[n(9)]
    Redecision,
    /// A process closed the log in good order.
    #[n(10)]
    Stop,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Ord, PartialEq, PartialOrd)]
#[cbor(index_only)]
pub enum Outcome {
    /// Everything the upstream sent was delivered.
    #[n(1)]
    Completed,
    /// Ended because the permit no longer held.
    #[n(2)]
    Cut,
    /// The client went away.
    #[n(3)]
    ClientGone,
    /// The upstream failed.
    #[n(4)]
    UpstreamFailed,
    /// The process ended without closing the call; written by recovery.
    #[n(5)]
    Interrupted,
    /// The gateway shed or abandoned the call before any output.
    #[n(6)]
    NotServed,
}

/// What was used, as far as it is known.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
#[cbor(map)]
pub struct Usage {
    /// Input tokens the upstream reported.
    #[n(0)]
    pub input_tokens: Option<u64>,
    /// Output tokens the upstream reported.
    #[n(1)]
    pub output_tokens: Option<u64>,
    /// Stream events that carried output and were delivered; an upper bound of one token each on most servers.
    #[n(2)]
    pub delivered_events: u64,
    /// Body bytes delivered.
    #[n(3)]
    pub delivered_bytes: u64,
}

/// One entry of the log. Absent fields are not written.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
#[cbor(map)]
pub struct Entry {
    /// [`ENTRY_VERSION`] when written by this crate.
    #[n(0)]
    pub version: u8,
    /// What it records.
    #[n(1)]
    pub kind: Kind,
    /// When, in milliseconds since the Unix epoch; never less than in an earlier entry of the same log.
    #[n(2)]
    pub at_ms: u64,
    /// The call, for entries about calls.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub call: Option<[u8; 16]>,
    /// The index of the opening entry, in entries that follow one.
    #[n(4)]
    pub opened: Option<u64>,
    /// The pseudonym of the person or workload.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub subject: Option<[u8; 16]>,
    /// The model version that served or was refused.
    #[n(6)]
    pub model: Option<String>,
    /// The digest of the snapshot that decided or took force.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub snapshot: Option<[u8; 32]>,
    /// Provisions that permitted or refused, in order.
    #[n(8)]
    pub basis: Option<Vec<String>>,
    /// How the call ended.
    #[n(9)]
    pub outcome: Option<Outcome>,
    /// A stable code: of the refusal, of the cut, of the administrator's action.
    #[n(10)]
    pub code: Option<String>,
    /// What was used.
    #[n(11)]
    pub usage: Option<Usage>,
    /// Commitment to the private part, see [`mod@crate::commit`].
    #[cbor(n(12), with = "minicbor::bytes")]
    pub private: Option<[u8; 32]>,
    /// SHA-256 of the request body as forwarded, salted with the private salt.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub request: Option<[u8; 32]>,
    /// The name that was asked for, where it was not the version that served.
    #[n(14)]
    pub requested: Option<String>,
}

impl Entry {
    /// Makes an entry of `kind` with nothing else set.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            version: ENTRY_VERSION,
            kind,
            at_ms: 0,
            call: None,
            opened: None,
            subject: None,
            model: None,
            snapshot: None,
            basis: None,
            outcome: None,
            code: None,
            usage: None,
            private: None,
            request: None,
            requested: None,
        }
    }

    /// Returns the entry's bytes: a leaf of the log. The same entry always has the same bytes.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Version`] if the version is not [`ENTRY_VERSION`]; [`EncodeError::TooLong`] beyond
    /// [`ENTRY_BYTES_MAX`]: shorten its texts. [`EncodeError::Refused`] does not happen to an entry that can be built.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.version != ENTRY_VERSION {
            return Err(EncodeError::Version(self.version));
        }
        let bytes = self.to_cbor()?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EncodeError::TooLong(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads an entry from the exact bytes of a leaf.
    ///
    /// Every entry has one encoding: bytes that the same entry would not be written as are refused, so nothing can
    /// be hidden in keys that are unknown, repeated or out of order, in longer spellings, or after the end.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the leaf is no entry of this version; it must not be read in part.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        let entry: Self =
            minicbor::decode(bytes).map_err(|e| DecodeError::Malformed(e.to_string()))?;
        if entry.version != ENTRY_VERSION {
            return Err(DecodeError::Version(entry.version));
        }
        if entry.to_cbor().as_deref() != Ok(bytes) {
            return Err(DecodeError::NotCanonical);
        }
        Ok(entry)
    }

    fn to_cbor(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(256);
        minicbor::encode(self, &mut bytes).map_err(|e| EncodeError::Refused(e.to_string()))?;
        Ok(bytes)
    }
}

/// An entry cannot be written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The entry says it is of another version.
    #[error("this crate writes entries of version 1, not {0}")]
    Version(u8),
    /// The entry's bytes, as many as given, do not fit a leaf.
    #[error("the entry takes {0} bytes and may take 4,096: shorten its texts")]
    TooLong(usize),
    /// The CBOR encoder refused; no entry that can be built makes it.
    #[error("the entry has no encoding: {0}")]
    Refused(String),
}

/// The bytes are no entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than an entry can be, by this many bytes in all.
    #[error("the leaf takes {0} bytes and an entry at most 4,096")]
    TooLong(usize),
    /// Not the CBOR of an entry.
    #[error("the leaf is not the CBOR of an entry: {0}")]
    Malformed(String),
    /// An entry of a version this crate does not know.
    #[error("the entry is of version {0}: use a newer program to read it")]
    Version(u8),
    /// The same entry is written in other bytes.
    #[error("the leaf is not the one encoding of its entry")]
    NotCanonical,
}
