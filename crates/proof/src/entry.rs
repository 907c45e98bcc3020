//! One entry of the log: deterministic CBOR with integer keys (RFC 8949 section 4.2), versioned, never content.
//!
//! What must stay private (the facts a decision saw, real names) is not in the entry: the entry commits to it,
//! see [`mod@crate::commit`], and whoever holds the private part and its salts can show that it belongs.

use minicbor::Decode;
use sha2::{Digest, Sha256};

mod cbor;
mod link;

pub use link::{Class, Link};

/// The version of the entry format that this crate writes.
pub const ENTRY_VERSION: u8 = 2;
/// An entry is a leaf of the log and so at most this long, in bytes (C2SP tlog-tiles allows 65,535).
pub const ENTRY_BYTES_MAX: usize = 1_024;
/// The facts of a decision (field 1 of the kinds 3, 4, 5 and 9) are at most this long, in bytes: 128 people of 8 KiB.
pub const FACTS_BYTES_MAX: usize = 1 << 20;

/// What an entry records. Ordinals are stored and never reused.
#[derive(Clone, Copy, Debug, Decode, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(test, derive(minicbor::Encode))]
#[cbor(index_only)]
pub enum Kind {
    /// The log began.
    #[n(1)]
    Genesis = 1,
    /// A process opened the log.
    #[n(2)]
    Start = 2,
    /// A call was permitted; durable before its first byte leaves.
    #[n(3)]
    Open = 3,
    /// A call ended; `opened` is the index of its opening entry.
    #[n(4)]
    Close = 4,
    /// A call was refused.
    #[n(5)]
    Refusal = 5,
    /// What is in force changed; `snapshot` is the new digest, the private part the new document.
    #[n(6)]
    Snapshot = 6,
    /// A person, organization, workload, affiliation, attestation or key changed.
    #[n(7)]
    Registry = 7,
    /// An administrator acted or was refused.
    #[n(8)]
    Admin = 8,
    /// A live call was decided again and goes on, on another basis.
    #[n(9)]
    Redecision = 9,
    /// A process closed the log in good order.
    #[n(10)]
    Stop = 10,
    /// Where every chain stood; `root` is that of the head map, see `docs/log-format.md`.
    #[n(11)]
    Heads = 11,
    /// A live call may deliver more: `lease` is the new total, durable before anything beyond the last is delivered.
    #[n(12)]
    Lease = 12,
    /// A meter counted a call; in the log of a meter only.
    #[n(13)]
    Metered = 13,
    /// A gateway and a meter compared what they counted in an hour; `root` is that of the sums.
    #[n(14)]
    Reconciliation = 14,
}

impl Kind {
    /// Every kind, in rising order of ordinals.
    pub const ALL: [Self; 14] = [
        Self::Genesis,
        Self::Start,
        Self::Open,
        Self::Close,
        Self::Refusal,
        Self::Snapshot,
        Self::Registry,
        Self::Admin,
        Self::Redecision,
        Self::Stop,
        Self::Heads,
        Self::Lease,
        Self::Metered,
        Self::Reconciliation,
    ];

    /// Returns the number that stands for the kind wherever it is stored.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        self as u8
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Decode, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(test, derive(minicbor::Encode))]
#[cbor(index_only)]
pub enum Outcome {
    /// Everything the upstream sent was delivered.
    #[n(1)]
    Completed = 1,
    /// Ended because the permit no longer held.
    #[n(2)]
    Cut = 2,
    /// The client went away.
    #[n(3)]
    ClientGone = 3,
    /// The upstream failed.
    #[n(4)]
    UpstreamFailed = 4,
    /// The process ended without closing the call; written by recovery.
    #[n(5)]
    Interrupted = 5,
    /// The gateway shed or abandoned the call before any output.
    #[n(6)]
    NotServed = 6,
}

impl Outcome {
    /// Every outcome, in rising order of ordinals.
    pub const ALL: [Self; 6] =
        [Self::Completed, Self::Cut, Self::ClientGone, Self::UpstreamFailed, Self::Interrupted, Self::NotServed];

    /// Returns the number that stands for the outcome wherever it is stored.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        self as u8
    }

    /// Returns the word that stands for the outcome wherever people read it: in reports, tables, labels and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
            Self::UpstreamFailed => "upstream_failed",
            Self::Interrupted => "interrupted",
            Self::NotServed => "not_served",
        }
    }

    /// Returns the outcome of a number; `None` if there is none.
    #[must_use]
    pub fn from_ordinal(ordinal: u8) -> Option<Self> {
        cbor::of_ordinal(&Self::ALL, ordinal.into())
    }
}

/// What was used, as far as it is known.
#[derive(Clone, Copy, Debug, Decode, Default, Eq, PartialEq)]
#[cfg_attr(test, derive(minicbor::Encode))]
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
#[derive(Clone, Debug, Decode, Eq, PartialEq)]
#[cfg_attr(test, derive(minicbor::Encode))]
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
    /// The name that was asked for, where it was not the version that served.
    #[n(14)]
    pub requested: Option<String>,
    /// The places of the entry in its chains, in order of class and id; in entries about calls.
    #[n(15)]
    pub links: Option<Vec<Link>>,
    /// The index of the entry that has the facts of the decision, where an earlier one of the same subject has.
    #[n(16)]
    pub facts: Option<u64>,
    /// How many events with output the call may deliver before a further lease is durable.
    #[n(17)]
    pub lease: Option<u64>,
    /// The epoch of the subject's key under which the private part is kept; present where `private` is.
    #[n(18)]
    pub key_epoch: Option<u32>,
    /// Sets the salts apart where kind and call do not; present where `private` is, but not in open, close and refusal.
    #[cbor(n(19), with = "minicbor::bytes")]
    pub nonce: Option<[u8; 8]>,
    /// A root: of the head map, of the sums of an hour.
    #[cbor(n(20), with = "minicbor::bytes")]
    pub root: Option<[u8; 32]>,
    /// How many entries of the log the root is about.
    #[n(21)]
    pub covered: Option<u64>,
    /// The meter that the call belongs to, see [`meter_id`]; in closes of a gateway.
    #[cbor(n(22), with = "minicbor::bytes")]
    pub meter: Option<[u8; 8]>,
}

/// Returns what stands for the meter whose log has this origin: the first 8 bytes of the origin's SHA-256.
#[must_use]
pub fn meter_id(origin: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(origin).into();
    [a, b, c, d, e, f, g, h]
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
            requested: None,
            links: None,
            facts: None,
            lease: None,
            key_epoch: None,
            nonce: None,
            root: None,
            covered: None,
            meter: None,
        }
    }

    /// Returns the entry's bytes: a leaf of the log. The same entry always has the same bytes.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Version`] if the version is not [`ENTRY_VERSION`]; [`EncodeError::Form`]; [`EncodeError::TooLong`]
    /// beyond [`ENTRY_BYTES_MAX`]: shorten its texts.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.version != ENTRY_VERSION {
            return Err(EncodeError::Version(self.version));
        }
        self.check_form()?;
        let bytes = cbor::write(self);
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
        let read = cbor::read(bytes).filter(|entry| entry.version == ENTRY_VERSION);
        let entry = read.ok_or_else(|| Self::refusal(bytes))?;
        entry.check_form()?;
        Ok(entry)
    }

    /// Says why bytes are not the one encoding of an entry of this version.
    fn refusal(bytes: &[u8]) -> DecodeError {
        match minicbor::decode::<Self>(bytes) {
            Err(why) => DecodeError::Malformed(why.to_string()),
            Ok(entry) if entry.version != ENTRY_VERSION => DecodeError::Version(entry.version),
            Ok(_) => DecodeError::NotCanonical,
        }
    }

    /// Returns the link to the chain of `class` and `id`.
    #[must_use]
    pub fn link(&self, class: Class, id: &[u8; 16]) -> Option<&Link> {
        self.links.iter().flatten().find(|link| link.class == class && link.id == *id)
    }

    /// Checks what the types leave open.
    fn check_form(&self) -> Result<(), BadForm> {
        self.links.as_deref().map_or(Ok(()), link::check)?;
        if self.key_epoch.is_some() != self.private.is_some() {
            return Err(BadForm::Epoch);
        }
        let by_call = matches!(self.kind, Kind::Open | Kind::Close | Kind::Refusal);
        if self.nonce.is_some() != (self.private.is_some() && !by_call) {
            return Err(BadForm::Nonce);
        }
        Ok(())
    }
}

/// The fields of an entry do not go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadForm {
    /// There are none in the array, they are out of order, or one cannot be.
    #[error(
        "the links of the entry are not those of an entry: rising by class and id, `back` 0 in the first of a chain only"
    )]
    Links,
    /// An epoch without a commitment, or the other way round.
    #[error("the entry has one of commitment and key epoch, and not the other")]
    Epoch,
    /// A nonce where it is not needed, or none where it is.
    #[error("the entry has a nonce that it must not have, or none and must have one")]
    Nonce,
}

/// An entry cannot be written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The entry says it is of another version.
    #[error("this crate writes entries of version 2, not {0}")]
    Version(u8),
    /// The entry's bytes, as many as given, do not fit a leaf.
    #[error("the entry takes {0} bytes and may take 1,024: shorten its texts")]
    TooLong(usize),
    /// Its fields do not go together.
    #[error(transparent)]
    Form(#[from] BadForm),
}

/// The bytes are no entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than an entry can be, by this many bytes in all.
    #[error("the leaf takes {0} bytes and an entry at most 1,024")]
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
    /// Its fields do not go together.
    #[error(transparent)]
    Form(#[from] BadForm),
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{option, prelude::*};

    use super::{link::tests::any_links, *};

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
            kind in proptest::sample::select(&Kind::ALL),
            (at_ms, call, opened, subject) in any::<(u64, Option<[u8; 16]>, Option<u64>, Option<[u8; 16]>)>(),
            (model, code, requested) in (any_text(), any_text(), any_text()),
            (snapshot, private) in any::<(Option<[u8; 32]>, Option<[u8; 32]>)>(),
            basis in option::of(proptest::collection::vec("[a-z0-9.-]{0,20}", 0..5)),
            outcome in option::of(proptest::sample::select(&Outcome::ALL)),
            usage in option::of(any_usage()),
            links in option::of(any_links()),
            (facts, lease, covered) in any::<(Option<u64>, Option<u64>, Option<u64>)>(),
            (key_epoch, nonce, root, meter) in any::<(u32, [u8; 8], Option<[u8; 32]>, Option<[u8; 8]>)>(),
        ) -> Entry {
            let key_epoch = private.map(|_| key_epoch);
            let nonce = private.filter(|_| !matches!(kind, Kind::Open | Kind::Close | Kind::Refusal)).map(|_| nonce);
            Entry {
                links, facts, lease, covered, key_epoch, nonce, root, meter, at_ms, call, opened, subject, model, snapshot, basis, outcome, code, usage, private, requested,
                ..Entry::new(kind)
            }
        }
    }

    /// Written by hand after RFC 8949; as long as version 2 is read, these bytes must be.
    #[test]
    fn an_entry_has_the_bytes_that_the_format_says() {
        let mut entry = Entry::new(Kind::Close);
        entry.at_ms = 1_000;
        entry.opened = Some(23);
        entry.outcome = Some(Outcome::Cut);
        entry.usage = Some(Usage { output_tokens: Some(256), ..Usage::default() });
        let bytes = [
            0xa6, 0x00, 0x02, 0x01, 0x04, 0x02, 0x19, 0x03, 0xe8, 0x04, 0x17, 0x09, 0x02, 0x0b, 0xa3, 0x01, 0x19, 0x01,
            0x00, 0x02, 0x00, 0x03, 0x00,
        ];
        assert_eq!(entry.encode().unwrap(), bytes);
        assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    }

    #[test]
    fn every_kind_and_outcome_stands_at_its_ordinal() {
        assert!(Kind::ALL.iter().zip(1..).all(|(kind, ordinal)| kind.ordinal() == ordinal));
        assert!(Outcome::ALL.iter().zip(1..).all(|(outcome, ordinal)| outcome.ordinal() == ordinal));
    }

    #[test]
    fn the_same_entry_in_other_bytes_is_refused() {
        for (what, bytes) in [
            ("a longer integer", vec![0xa3, 0, 2, 1, 1, 2, 0x18, 5]),
            ("an indefinite map", vec![0xbf, 0, 2, 1, 1, 2, 5, 0xff]),
            ("keys out of order", vec![0xa3, 1, 1, 0, 2, 2, 5]),
            ("a repeated key", vec![0xa4, 0, 2, 1, 1, 2, 5, 2, 5]),
            ("an unknown key", vec![0xa4, 0, 2, 1, 1, 2, 5, 0x18, 99, 0]),
            ("an explicit null", vec![0xa4, 0, 2, 1, 1, 2, 5, 4, 0xf6]),
            ("a trailing byte", vec![0xa3, 0, 2, 1, 1, 2, 5, 0]),
        ] {
            assert_eq!(Entry::decode(&bytes), Err(DecodeError::NotCanonical), "{what}");
        }
        assert!(Entry::decode(&[0xa3, 0, 2, 1, 1, 2, 5]).is_ok());
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_reason() {
        assert!(matches!(Entry::decode(&[]), Err(DecodeError::Malformed(_))));
        let kind_99 = [0xa3, 0, 2, 1, 0x18, 99, 2, 5];
        assert!(matches!(Entry::decode(&kind_99), Err(DecodeError::Malformed(_))));
        let version_1 = [0xa3, 0, 1, 1, 1, 2, 5];
        assert_eq!(Entry::decode(&version_1), Err(DecodeError::Version(1)));
        let long = Entry { code: Some("x".repeat(ENTRY_BYTES_MAX)), ..Entry::new(Kind::Admin) };
        assert!(matches!(long.encode(), Err(EncodeError::TooLong(_))));
        assert!(matches!(Entry::decode(&[0; 1_025]), Err(DecodeError::TooLong(1_025))));
        let other = Entry { version: 1, ..Entry::new(Kind::Admin) };
        assert_eq!(other.encode(), Err(EncodeError::Version(1)));
    }

    /// Writes what the encoder refuses to write, and says what the decoder answers.
    pub(super) fn read_back(entry: &Entry) -> Result<Entry, DecodeError> {
        Entry::decode(&cbor::write(entry))
    }

    #[test]
    fn commitment_epoch_and_nonce_go_together() {
        let entry = |kind, private: bool, epoch: bool, nonce: bool| Entry {
            private: private.then_some([1; 32]),
            key_epoch: epoch.then_some(8_104),
            nonce: nonce.then_some([2; 8]),
            ..Entry::new(kind)
        };
        for good in
            [entry(Kind::Open, true, true, false), entry(Kind::Admin, true, true, true), Entry::new(Kind::Admin)]
        {
            assert_eq!(read_back(&good).as_ref(), Ok(&good));
        }
        for (bad, why) in [
            (entry(Kind::Open, true, false, false), BadForm::Epoch),
            (entry(Kind::Open, false, true, false), BadForm::Epoch),
            (entry(Kind::Open, true, true, true), BadForm::Nonce),
            (entry(Kind::Admin, true, true, false), BadForm::Nonce),
            (entry(Kind::Admin, false, false, true), BadForm::Nonce),
        ] {
            assert_eq!(read_back(&bad), Err(DecodeError::Form(why)));
            assert_eq!(bad.encode(), Err(EncodeError::Form(why)));
        }
    }

    proptest! {
        #[test]
        fn an_entry_reads_back(entry in any_entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode().unwrap()).unwrap(), entry);
        }

        #[test]
        fn an_entry_is_written_as_a_common_encoder_writes_it(entry in any_entry()) {
            prop_assert_eq!(cbor::write(&entry), minicbor::to_vec(&entry).unwrap());
        }

        #[test]
        fn bytes_are_read_in_one_pass_where_a_common_decoder_reads_them_and_would_write_them_again(
            entry in any_entry(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut: prop::sample::Index,
            more in proptest::collection::vec(any::<u8>(), 0..3),
        ) {
            let whole = cbor::write(&entry);
            let mut bytes = whole.clone();
            for (at, byte) in changes {
                bytes[at.index(whole.len())] = byte;
            }
            let cut = cut.index(2 * whole.len()).max(1);
            bytes.truncate(cut);
            bytes.extend(more);
            let common = minicbor::decode::<Entry>(&bytes).ok();
            prop_assert_eq!(cbor::read(&bytes), common.filter(|entry| minicbor::to_vec(entry).unwrap() == bytes));
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
