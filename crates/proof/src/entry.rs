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
        let entry: Self = minicbor::decode(bytes).map_err(|e| DecodeError::Malformed(e.to_string()))?;
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

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::Genesis,
        Kind::Start,
        Kind::Open,
        Kind::Close,
        Kind::Refusal,
        Kind::Snapshot,
        Kind::Registry,
        Kind::Admin,
        Kind::Redecision,
        Kind::Stop,
    ];
    const OUTCOMES: [Outcome; 6] = [
        Outcome::Completed,
        Outcome::Cut,
        Outcome::ClientGone,
        Outcome::UpstreamFailed,
        Outcome::Interrupted,
        Outcome::NotServed,
    ];

    fn any_text() -> impl Strategy<Value = Option<String>> {
        option::of("[ -~\u{e9}]{0,64}")
    }

    prop_compose! {
        fn any_usage()(input_tokens: Option<u64>, output_tokens: Option<u64>, delivered_events: u64, delivered_bytes: u64) -> Usage {
            Usage { input_tokens, output_tokens, delivered_events, delivered_bytes }
        }
    }

    prop_compose! {
        pub(crate) fn any_entry()(
            kind in proptest::sample::select(&KINDS),
            (at_ms, call, opened, subject) in any::<(u64, Option<[u8; 16]>, Option<u64>, Option<[u8; 16]>)>(),
            (model, code, requested) in (any_text(), any_text(), any_text()),
            (snapshot, private, request) in any::<(Option<[u8; 32]>, Option<[u8; 32]>, Option<[u8; 32]>)>(),
            basis in option::of(proptest::collection::vec("[a-z0-9.-]{0,20}", 0..5)),
            outcome in option::of(proptest::sample::select(&OUTCOMES)),
            usage in option::of(any_usage()),
        ) -> Entry {
            Entry {
                at_ms, call, opened, subject, model, snapshot, basis, outcome, code, usage, private, request, requested,
                ..Entry::new(kind)
            }
        }
    }

    /// Written by hand after RFC 8949; as long as version 1 is read, these bytes must be.
    #[test]
    fn an_entry_has_the_bytes_that_the_format_says() {
        let mut entry = Entry::new(Kind::Close);
        entry.at_ms = 1_000;
        entry.opened = Some(23);
        entry.outcome = Some(Outcome::Cut);
        entry.usage = Some(Usage { output_tokens: Some(256), ..Usage::default() });
        let bytes = [
            0xa6, 0x00, 0x01, 0x01, 0x04, 0x02, 0x19, 0x03, 0xe8, 0x04, 0x17, 0x09, 0x02, 0x0b, 0xa3, 0x01, 0x19, 0x01,
            0x00, 0x02, 0x00, 0x03, 0x00,
        ];
        assert_eq!(entry.encode().unwrap(), bytes);
        assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    }

    #[test]
    fn the_same_entry_in_other_bytes_is_refused() {
        for (what, bytes) in [
            ("a longer integer", vec![0xa3, 0, 1, 1, 1, 2, 0x18, 5]),
            ("an indefinite map", vec![0xbf, 0, 1, 1, 1, 2, 5, 0xff]),
            ("keys out of order", vec![0xa3, 1, 1, 0, 1, 2, 5]),
            ("a repeated key", vec![0xa4, 0, 1, 1, 1, 2, 5, 2, 5]),
            ("an unknown key", vec![0xa4, 0, 1, 1, 1, 2, 5, 0x18, 99, 0]),
            ("an explicit null", vec![0xa4, 0, 1, 1, 1, 2, 5, 4, 0xf6]),
            ("a trailing byte", vec![0xa3, 0, 1, 1, 1, 2, 5, 0]),
        ] {
            assert_eq!(Entry::decode(&bytes), Err(DecodeError::NotCanonical), "{what}");
        }
        assert!(Entry::decode(&[0xa3, 0, 1, 1, 1, 2, 5]).is_ok());
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_reason() {
        assert!(matches!(Entry::decode(&[]), Err(DecodeError::Malformed(_))));
        let kind_99 = [0xa3, 0, 1, 1, 0x18, 99, 2, 5];
        assert!(matches!(Entry::decode(&kind_99), Err(DecodeError::Malformed(_))));
        let version_2 = [0xa3, 0, 2, 1, 1, 2, 5];
        assert_eq!(Entry::decode(&version_2), Err(DecodeError::Version(2)));
        let long = Entry { code: Some("x".repeat(ENTRY_BYTES_MAX)), ..Entry::new(Kind::Admin) };
        assert!(matches!(long.encode(), Err(EncodeError::TooLong(_))));
        assert!(matches!(Entry::decode(&[0; 4_097]), Err(DecodeError::TooLong(4_097))));
        let other = Entry { version: 2, ..Entry::new(Kind::Admin) };
        assert_eq!(other.encode(), Err(EncodeError::Version(2)));
    }

    proptest! {
        #[test]
        fn an_entry_reads_back(entry in any_entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode().unwrap()).unwrap(), entry);
        }

        #[test]
        fn bytes_that_are_an_entry_are_its_only_encoding(entry in any_entry(), at: prop::sample::Index, byte: u8) {
            let mut bytes = entry.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Entry::decode(&bytes) {
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
}
