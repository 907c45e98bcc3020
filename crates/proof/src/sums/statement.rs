//! Statements: what a gateway and a meter counted of a model version in an hour, each signed by whoever counted.
//!
//! A statement has the same size however many calls it is about, and names none of them.

use serde::{Deserialize, Serialize};

use super::{SumNode, Sums, Trees};
use crate::{
    entry::Entry,
    json::{Base64, Hex},
    note::{SignerKey, VerifierKey},
    tree::Hash,
};

/// A statement is at most this long, in bytes: it has two keys, four roots, and numbers.
pub const STATEMENT_BYTES_MAX: usize = 16 * 1_024;

/// What a statement says it is.
const FORMAT: &str = "exeat-sums/v2";
/// What a side signs begins with this.
const LABEL: &[u8] = b"exeat/sums/v2";

/// What a gateway and a meter counted, compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// What it is about.
    pub about: About,
    /// What the gateway counted.
    pub gateway: Side,
    /// What the meter counted.
    pub meter: Side,
    /// Of which calls they do not agree, without saying which.
    pub differ: Differ,
}

/// What is counted together: the calls of one model version in one hour, of one gateway through one meter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct About {
    /// The origin of the gateway's log.
    pub gateway: String,
    /// The origin of the meter's log.
    pub meter: String,
    /// The model version.
    pub model: String,
    /// The hour: milliseconds since the Unix epoch, divided by 3,600,000.
    pub hour: u64,
}

/// What one side counted, signed by the key of its log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Side {
    /// The key of its log; the key's name is the log's origin.
    pub key: VerifierKey,
    /// What it counted.
    pub trees: Trees,
    /// The signature over [`About::message`].
    pub signature: [u8; 64],
}

/// Of how many calls gateway and meter do not agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Differ {
    /// How many calls.
    pub calls: u64,
    /// What the gateway counted of those that it knows.
    pub gateway: Sums,
    /// What the meter counted of those that it knows.
    pub meter: Sums,
    /// The SHA-256 of the list of these calls, which is in no statement.
    pub hash: Hash,
}

/// The bytes are no statement, or not one to be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadStatement {
    /// Not the JSON of a statement.
    #[error("the statement is not the JSON of an `exeat-sums/v2`: {0}")]
    Malformed(String),
    /// Longer than [`STATEMENT_BYTES_MAX`].
    #[error("the statement is longer than 16 KiB")]
    TooLong,
    /// Something in it contradicts something else in it.
    #[error("the statement contradicts itself: {0}")]
    Contradiction(&'static str),
    /// The signature of a side is not its own.
    #[error("the signature of `{0}` does not match what it counted")]
    Signature(String),
    /// It is in the log of neither side.
    #[error("neither side signed the statement with the key of this log")]
    Log,
    /// It is not about what its entry says.
    #[error("the statement is not the one of its entry: model, root or code differ")]
    Entry,
}

impl Differ {
    /// Of no call. The hash is that of the byte 3 alone, with which the list begins.
    pub const NOTHING: Self = Self {
        calls: 0,
        gateway: Sums { calls: 0, input: 0, output: 0, events: 0 },
        meter: Sums { calls: 0, input: 0, output: 0, events: 0 },
        hash: [
            0x08, 0x4f, 0xed, 0x08, 0xb9, 0x78, 0xaf, 0x4d, 0x7d, 0x19, 0x6a, 0x74, 0x46, 0xa8, 0x6b, 0x58, 0x00, 0x9e,
            0x63, 0x6b, 0x61, 0x1d, 0xb1, 0x62, 0x11, 0xb6, 0x5a, 0x9a, 0xad, 0xff, 0x29, 0xc5,
        ],
    };
}

impl About {
    /// Returns what the key of the log of a side signs that counted `trees`.
    #[must_use]
    pub fn message(&self, trees: &Trees) -> Vec<u8> {
        let [gateway, meter, model] = [&self.gateway, &self.meter, &self.model].map(|name| name.as_bytes());
        let (hour, commitment) = (self.hour.to_be_bytes(), trees.commitment());
        [LABEL, gateway, &[0], meter, &[0], model, &[0], &hour, &commitment].concat()
    }
}

impl Side {
    /// Signs what was counted.
    #[must_use]
    pub fn sign(trees: Trees, about: &About, key: &SignerKey) -> Self {
        Self { key: key.verifier(), trees, signature: key.sign(&about.message(&trees)) }
    }

    /// Checks the signature; whose key it is remains to be asked.
    ///
    /// # Errors
    ///
    /// [`BadStatement::Signature`].
    pub fn verify(&self, about: &About) -> Result<(), BadStatement> {
        if self.key.accepts(&about.message(&self.trees), &self.signature) {
            return Ok(());
        }
        Err(BadStatement::Signature(self.key.name().to_owned()))
    }

    /// Reads a side, spelled as in a statement; nothing in it may be believed before [`Side::verify`].
    ///
    /// # Errors
    ///
    /// [`BadStatement::Malformed`], [`BadStatement::TooLong`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadStatement> {
        parse::<WireSide>(bytes)?.read()
    }

    /// Writes the side as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&WireSide::of(self))
    }
}

impl Statement {
    /// Reads a statement; nothing in it may be believed before [`Statement::verify`].
    ///
    /// # Errors
    ///
    /// [`BadStatement::Malformed`], [`BadStatement::TooLong`]; [`BadStatement::Contradiction`] if it cannot be so.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadStatement> {
        parse::<Wire>(bytes)?.read()
    }

    /// Writes the statement as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&Wire::of(self))
    }

    /// Returns true if there is no call of which the two sides do not agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differ.calls == 0
    }

    /// Returns the code of the entry that has this statement.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if self.agrees() { "agree" } else { "differ" }
    }

    /// Checks that each side signed what it counted.
    ///
    /// Whose keys these are is to be checked elsewhere: the gateway's is the key of the log that has the statement.
    ///
    /// # Errors
    ///
    /// [`BadStatement::Signature`].
    pub fn verify(&self) -> Result<(), BadStatement> {
        self.gateway.verify(&self.about)?;
        self.meter.verify(&self.about)
    }

    /// Checks that this is the statement of `entry`, a reconciliation in the log with the verifier key `log`, and that the log
    /// is that of one of the sides.
    ///
    /// # Errors
    ///
    /// [`BadStatement::Log`], [`BadStatement::Entry`].
    pub fn belongs_to(&self, entry: &Entry, log: &str) -> Result<(), BadStatement> {
        let side = [&self.gateway, &self.meter].into_iter().find(|side| side.key.to_string() == log);
        let side = side.ok_or(BadStatement::Log)?;
        let same_model = entry.model.as_ref() == Some(&self.about.model);
        let same_root = entry.root == Some(side.trees.commitment());
        if same_model && same_root && entry.code.as_deref() == Some(self.code()) {
            return Ok(());
        }
        Err(BadStatement::Entry)
    }

    fn check(&self) -> Result<(), BadStatement> {
        let bad = |why| Err(BadStatement::Contradiction(why));
        let About { gateway, meter, model, .. } = &self.about;
        if model.is_empty() || model.contains(char::is_control) {
            return bad("`model` is not the name of a model version");
        }
        if gateway == meter {
            return bad("both sides are the same log");
        }
        let Differ { calls, gateway, meter, hash } = &self.differ;
        if gateway.calls > *calls || meter.calls > *calls {
            return bad("a side knows more of the calls that differ than there are");
        }
        let nothing = [gateway, meter].iter().all(|sums| **sums == Sums::default()) && *hash == Differ::NOTHING.hash;
        if self.agrees() && !(nothing && self.gateway.trees.completed == self.meter.trees.completed) {
            return bad("no call differs, and yet the sums of the completed calls do");
        }
        Ok(())
    }
}

/// A statement as it is spelled.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    model: String,
    hour: u64,
    gateway: WireSide,
    meter: WireSide,
    differ: WireDiffer,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireSide {
    key: String,
    completed: WireTree,
    early: WireTree,
    signature: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireTree {
    root: Hex<32>,
    calls: u64,
    input: u64,
    output: u64,
    events: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireDiffer {
    calls: u64,
    gateway: WireSums,
    meter: WireSums,
    hash: Hex<32>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireSums {
    calls: u64,
    input: u64,
    output: u64,
    events: u64,
}

impl Wire {
    fn of(statement: &Statement) -> Self {
        Self {
            format: FORMAT.to_owned(),
            model: statement.about.model.clone(),
            hour: statement.about.hour,
            gateway: WireSide::of(&statement.gateway),
            meter: WireSide::of(&statement.meter),
            differ: WireDiffer::of(&statement.differ),
        }
    }

    fn read(self) -> Result<Statement, BadStatement> {
        if self.format != FORMAT {
            return Err(malformed("`format` is another"));
        }
        let (gateway, meter) = (self.gateway.read()?, self.meter.read()?);
        let [ours, theirs] = [&gateway, &meter].map(|side| side.key.name().to_owned());
        let about = About { gateway: ours, meter: theirs, model: self.model, hour: self.hour };
        let statement = Statement { about, gateway, meter, differ: self.differ.read() };
        statement.check()?;
        Ok(statement)
    }
}

impl WireSide {
    fn of(side: &Side) -> Self {
        Self {
            key: side.key.to_string(),
            completed: WireTree::of(&side.trees.completed),
            early: WireTree::of(&side.trees.early),
            signature: Base64(side.signature.to_vec()),
        }
    }

    fn read(self) -> Result<Side, BadStatement> {
        let key: VerifierKey = self.key.parse().map_err(|_| malformed("`key` is no verifier key"))?;
        if key.to_string() != self.key {
            return Err(malformed("`key` is spelled in another way"));
        }
        let trees = Trees { completed: self.completed.read(), early: self.early.read() };
        let signature = self.signature.0.try_into().map_err(|_| malformed("`signature` has not 64 bytes"))?;
        Ok(Side { key, trees, signature })
    }
}

impl WireTree {
    fn of(node: &SumNode) -> Self {
        let SumNode { hash, sums: Sums { calls, input, output, events } } = *node;
        Self { root: Hex(hash), calls, input, output, events }
    }

    fn read(self) -> SumNode {
        let Self { root, calls, input, output, events } = self;
        SumNode { hash: root.0, sums: Sums { calls, input, output, events } }
    }
}

impl WireDiffer {
    fn of(differ: &Differ) -> Self {
        let Differ { calls, gateway, meter, hash } = *differ;
        Self { calls, gateway: WireSums::of(gateway), meter: WireSums::of(meter), hash: Hex(hash) }
    }

    fn read(self) -> Differ {
        Differ { calls: self.calls, gateway: self.gateway.read(), meter: self.meter.read(), hash: self.hash.0 }
    }
}

impl WireSums {
    fn of(sums: Sums) -> Self {
        let Sums { calls, input, output, events } = sums;
        Self { calls, input, output, events }
    }

    fn read(self) -> Sums {
        let Self { calls, input, output, events } = self;
        Sums { calls, input, output, events }
    }
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, BadStatement> {
    if bytes.len() > STATEMENT_BYTES_MAX {
        return Err(BadStatement::TooLong);
    }
    serde_json::from_slice(bytes).map_err(|e| BadStatement::Malformed(e.to_string()))
}

fn to_json(wire: &impl Serialize) -> Vec<u8> {
    // Structs, numbers and strings have a spelling in JSON.
    serde_json::to_vec(wire).unwrap_or_default()
}

fn malformed(why: &str) -> BadStatement {
    BadStatement::Malformed(why.to_owned())
}

#[cfg(test)]
mod tests;
