//! Reads a policy file, line by line.

use super::{Log, LogKey, POLICY_BYTES_MAX, POLICY_ITEMS_MAX, Party, Policy, Witness, log_key};
use crate::{
    cosignature::CosignerKey,
    note::{BadKey, VerifierKey},
};

/// The bytes are no policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line} of the policy: {fault}")]
pub struct BadPolicy {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: PolicyFault,
}

/// What is wrong with a line of a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyFault {
    /// The file is longer than [`POLICY_BYTES_MAX`].
    #[error("the file is longer than {POLICY_BYTES_MAX} bytes")]
    TooLong,
    /// A control character, or a last line without its newline.
    #[error("a line has no control characters but tabs, and ends with a newline")]
    NotText,
    /// Not one of the four forms of line.
    #[error("write `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME...` or `quorum NAME`")]
    Form,
    /// The key is none, or of a type that does not sign this.
    #[error("the key is no key: {0}")]
    Key(BadKey),
    /// The same key stands in an earlier line of the same kind.
    #[error("this key stands in an earlier line")]
    DuplicateKey,
    /// The name is taken.
    #[error("the name `{0}` is taken")]
    Taken(String),
    /// The name was not defined before this line.
    #[error("`{0}` is not defined before this line")]
    Undefined(String),
    /// The name is a member of a group already.
    #[error("`{0}` is a member of a group already: it can count in one place only")]
    Counted(String),
    /// The threshold is not from 1 to the number of members.
    #[error("the threshold is a decimal number from 1 to the number of members")]
    Threshold,
    /// More than [`POLICY_ITEMS_MAX`] of a kind.
    #[error("there are more than {POLICY_ITEMS_MAX} of a kind")]
    TooMany,
    /// A second quorum line.
    #[error("there is a quorum already")]
    SecondQuorum,
    /// The file ended without a quorum line.
    #[error("there is no quorum: end with `quorum NAME`, or with `quorum none` to ask for no witness")]
    NoQuorum,
}

/// Reads a whole policy.
pub(super) fn policy(bytes: &[u8]) -> Result<Policy, BadPolicy> {
    let at = |line: usize| move |fault| BadPolicy { line, fault };
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(at(1)(PolicyFault::TooLong));
    }
    let mut reading = Reading::default();
    let mut lines = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        lines += 1;
        reading.line(line).map_err(at(lines))?;
    }
    let quorum = reading.quorum.ok_or_else(|| at(lines + 1)(PolicyFault::NoQuorum))?;
    Ok(Policy { logs: reading.logs, parties: reading.parties, quorum })
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    logs: Vec<Log>,
    parties: Vec<Party>,
    /// Which of the parties are members of a group.
    counted: Vec<usize>,
    quorum: Option<Option<usize>>,
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        let line = line.strip_suffix(b"\n").ok_or(PolicyFault::NotText)?;
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(PolicyFault::NotText);
        }
        let items: Vec<&[u8]> =
            line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|item| !item.is_empty()).collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            [b"quorum", name] => self.set_quorum(name),
            _ => Err(PolicyFault::Form),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let key = log_key(text(key)?).map_err(PolicyFault::Key)?;
        if self.logs.iter().any(|log| public(&log.key) == public(&key)) {
            return Err(PolicyFault::DuplicateKey);
        }
        room(self.logs.len())?;
        self.logs.push(Log { key, url: url.map(|url| url.to_vec()) });
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let key: CosignerKey = text(key)?.parse().map_err(PolicyFault::Key)?;
        let is_witness = |party: &&Party| matches!(party, Party::Witness(_));
        let same = |party: &Party| matches!(party, Party::Witness(w) if w.key.public_bytes() == key.public_bytes());
        if self.parties.iter().any(same) {
            return Err(PolicyFault::DuplicateKey);
        }
        room(self.parties.iter().filter(is_witness).count())?;
        self.free(name)?;
        let witness = Witness { name: name.to_vec(), key, url: url.map(|url| url.to_vec()) };
        self.parties.push(Party::Witness(Box::new(witness)));
        Ok(())
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), PolicyFault> {
        let is_group = |party: &&Party| matches!(party, Party::Group { .. });
        room(self.parties.iter().filter(is_group).count())?;
        self.free(name)?;
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => decimal(number).filter(|k| (1..=members.len()).contains(k)).ok_or(PolicyFault::Threshold)?,
        };
        let members = members.iter().map(|member| self.member(member)).collect::<Result<_, _>>()?;
        self.parties.push(Party::Group { name: name.to_vec(), threshold, members });
        Ok(())
    }

    /// Finds a party that becomes a member of a group; each does so once.
    fn member(&mut self, name: &[u8]) -> Result<usize, PolicyFault> {
        let party = self.find(name)?;
        if self.counted.contains(&party) {
            return Err(PolicyFault::Counted(shown(name)));
        }
        self.counted.push(party);
        Ok(party)
    }

    fn set_quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        if self.quorum.is_some() {
            return Err(PolicyFault::SecondQuorum);
        }
        self.quorum = Some(if name == b"none" { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<usize, PolicyFault> {
        let found = self.parties.iter().position(|party| party_name(party) == name);
        found.ok_or_else(|| PolicyFault::Undefined(shown(name)))
    }

    fn free(&self, name: &[u8]) -> Result<(), PolicyFault> {
        let taken = name == b"none" || self.find(name).is_ok();
        if taken { Err(PolicyFault::Taken(shown(name))) } else { Ok(()) }
    }
}

fn room(there: usize) -> Result<(), PolicyFault> {
    if there < POLICY_ITEMS_MAX { Ok(()) } else { Err(PolicyFault::TooMany) }
}

fn party_name(party: &Party) -> &[u8] {
    match party {
        Party::Witness(witness) => &witness.name,
        Party::Group { name, .. } => name,
    }
}

fn public(key: &LogKey) -> Vec<u8> {
    match key {
        LogKey::Note(key) => VerifierKey::public_bytes(key).to_vec(),
        LogKey::Cosigner(key) => key.public_bytes(),
    }
}

fn text(bytes: &[u8]) -> Result<&str, PolicyFault> {
    std::str::from_utf8(bytes).map_err(|_| PolicyFault::Key(BadKey::Malformed))
}

/// Reads a decimal number without needless digits.
fn decimal(bytes: &[u8]) -> Option<usize> {
    let plain = bytes.iter().all(u8::is_ascii_digit) && !bytes.starts_with(b"0");
    std::str::from_utf8(bytes).ok().filter(|_| plain)?.parse().ok()
}

/// At most 80 characters of a name, for people.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(80).collect()
}
