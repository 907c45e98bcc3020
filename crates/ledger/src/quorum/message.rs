//! What a log and its followers say to each other.
//!
//! A message is its length (u32) and so many bytes: a type (u8) and the fields below, little endian; a text stands after
//! its length (u16), the bytes of a write go to the end.
//!
//! ```text
//! 1 hello     u32 version, text origin, 16 leader, u64 epoch, u64 epoch of the last batch, u64 entries
//! 2 write     text name, u64 offset, bytes
//! 3 length    text name, u64 length
//! 4 rename    text from, text to
//! 5 remove    text name
//! 6 sync      text name
//! 7 mark      u64 number
//! 8 keep      names that the leader has, as texts; others are removed
//! 16 welcome  u64 entries before the last batch, 32 root of these; then, for each segment and file of keys that the
//!             follower has: text name, u64 length
//! 17 refused  text why
//! 18 done     u64 number: all before the mark of that number is durable
//! ```

use std::{
    io::{self, Read, Write},
    path::Path,
};

use proof::tree::{Frontier, Hash};

use crate::bytes::Fields;

/// The version of these messages.
pub(super) const VERSION: u32 = 2;
/// The longest message: a batch of the longest kind, with some room.
const LENGTH_MAX: usize = 20 << 20;

/// The name of a file that followers keep, relative to the log's directory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Name(String);

impl Name {
    /// Parses a name: of a segment or the next one, of the file that counts openings, or of a file of sealed keys.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (dir, file) = text.split_once('/')?;
        let (stem, extension) = file.strip_suffix(".tmp").unwrap_or(file).split_once('.').unwrap_or((file, ""));
        let numbered = !stem.is_empty() && stem.len() <= 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
        let known = match dir {
            "wal" => (numbered && ["seg", "pre"].contains(&extension)) || file == "epoch" || file == "epoch.tmp",
            "vault" => numbered && extension == "keys",
            _ => false,
        };
        known.then(|| Self(text.to_owned()))
    }

    /// Returns the name of `path` in the log at `dir`; `None` if followers do not keep it.
    pub(super) fn of(dir: &Path, path: &Path) -> Option<Self> {
        Self::parse(path.strip_prefix(dir).ok()?.to_str()?)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for a segment.
    pub(super) fn is_segment(&self) -> bool {
        self.0.ends_with(".seg")
    }
}

/// What a leader says first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hello {
    pub(super) origin: String,
    pub(super) leader: [u8; 16],
    pub(super) epoch: u64,
    pub(super) place: Place,
}

/// How far a copy of the log is: the epoch of its last batch, then its entries.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) entries: u64,
}

/// What comes before the last batch of a copy of the log: nothing else was ever durable there in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prefix {
    pub(super) entries: u64,
    pub(super) root: Hash,
}

impl Prefix {
    /// Returns what is in a tree.
    pub(super) fn of(tree: &Frontier) -> Self {
        Self { entries: tree.size(), root: tree.root() }
    }
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Message {
    Hello(Hello),
    Write(Name, u64, Vec<u8>),
    Length(Name, u64),
    Rename(Name, Name),
    Remove(Name),
    Sync(Name),
    Mark(u64),
    Keep(Vec<Name>),
    Welcome(Prefix, Vec<(Name, u64)>),
    Refused(String),
    Done(u64),
}

impl Message {
    /// Returns the number of a mark.
    pub(super) fn mark(&self) -> Option<u64> {
        if let Self::Mark(mark) = self { Some(*mark) } else { None }
    }

    /// Writes the message.
    pub(super) fn send(&self, to: &mut dyn Write) -> io::Result<()> {
        let body = self.encode();
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&body)
    }

    /// Reads a message.
    pub(super) fn receive(from: &mut dyn Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "what came is no message of a log");
        if length > LENGTH_MAX {
            return Err(invalid());
        }
        let mut body = Vec::new();
        from.take(length as u64).read_to_end(&mut body)?;
        if body.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::decode(&body).ok_or_else(invalid)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Hello(hello) => encode_hello(hello, &mut bytes),
            Self::Write(name, offset, data) => {
                numbered(2, name, *offset, &mut bytes);
                bytes.extend_from_slice(data);
            }
            Self::Length(name, length) => numbered(3, name, *length, &mut bytes),
            Self::Rename(from, to) => texts(4, &[from.as_str(), to.as_str()], &mut bytes),
            Self::Remove(name) => texts(5, &[name.as_str()], &mut bytes),
            Self::Sync(name) => texts(6, &[name.as_str()], &mut bytes),
            Self::Mark(number) => number_of(7, *number, &mut bytes),
            Self::Keep(names) => texts(8, &names.iter().map(Name::as_str).collect::<Vec<_>>(), &mut bytes),
            Self::Welcome(prefix, files) => {
                number_of(16, prefix.entries, &mut bytes);
                bytes.extend_from_slice(&prefix.root);
                for (name, length) in files {
                    text(name.as_str(), &mut bytes);
                    bytes.extend_from_slice(&length.to_le_bytes());
                }
            }
            Self::Refused(why) => texts(17, &[why], &mut bytes),
            Self::Done(number) => number_of(18, *number, &mut bytes),
        }
        bytes
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let [kind] = fields.array()?;
        let message = match kind {
            1 => Self::Hello(decode_hello(&mut fields)?),
            2 => Self::Write(name(&mut fields)?, fields.u64()?, std::mem::take(&mut fields.0).to_vec()),
            3 => Self::Length(name(&mut fields)?, fields.u64()?),
            4 => Self::Rename(name(&mut fields)?, name(&mut fields)?),
            5 => Self::Remove(name(&mut fields)?),
            6 => Self::Sync(name(&mut fields)?),
            7 => Self::Mark(fields.u64()?),
            8 => Self::Keep(until_end(&mut fields, name)?),
            16 => {
                let prefix = Prefix { entries: fields.u64()?, root: fields.array()? };
                Self::Welcome(prefix, until_end(&mut fields, |fields| Some((name(fields)?, fields.u64()?)))?)
            }
            17 => Self::Refused(read_text(&mut fields)?.to_owned()),
            18 => Self::Done(fields.u64()?),
            _ => return None,
        };
        fields.0.is_empty().then_some(message)
    }
}

fn encode_hello(hello: &Hello, bytes: &mut Vec<u8>) {
    bytes.push(1);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    text(&hello.origin, bytes);
    bytes.extend_from_slice(&hello.leader);
    for number in [hello.epoch, hello.place.epoch, hello.place.entries] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_hello(fields: &mut Fields<'_>) -> Option<Hello> {
    let version = fields.u32()?;
    let origin = read_text(fields)?.to_owned();
    let (leader, epoch) = (fields.array()?, fields.u64()?);
    let place = Place { epoch: fields.u64()?, entries: fields.u64()? };
    (version == VERSION).then_some(Hello { origin, leader, epoch, place })
}

fn number_of(kind: u8, number: u64, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn numbered(kind: u8, name: &Name, number: u64, bytes: &mut Vec<u8>) {
    texts(kind, &[name.as_str()], bytes);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn texts(kind: u8, texts: &[&str], bytes: &mut Vec<u8>) {
    bytes.push(kind);
    texts.iter().for_each(|each| text(each, bytes));
}

/// Writes a text of at most 65,535 bytes; names are shorter, and so is what is said in a refusal.
fn text(text: &str, bytes: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(text.bytes().take(length.into()));
}

fn read_text<'a>(fields: &mut Fields<'a>) -> Option<&'a str> {
    let length = fields.u16()?;
    std::str::from_utf8(fields.take(length.into())?).ok()
}

fn name(fields: &mut Fields<'_>) -> Option<Name> {
    read_text(fields).and_then(Name::parse)
}

fn until_end<'a, T>(fields: &mut Fields<'a>, mut each: impl FnMut(&mut Fields<'a>) -> Option<T>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    while !fields.0.is_empty() {
        all.push(each(fields)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn any_name() -> impl Strategy<Value = Name> {
        let segment = "wal/[0-9]{20}\\.seg".prop_map(|name| Name::parse(&name).unwrap());
        let keys = "vault/[0-9]{1,3}\\.keys(\\.tmp)?".prop_map(|name| Name::parse(&name).unwrap());
        let epoch = "wal/epoch(\\.tmp)?".prop_map(|name| Name::parse(&name).unwrap());
        prop_oneof![segment, keys, epoch]
    }

    fn any_message() -> impl Strategy<Value = Message> {
        prop_oneof![
            ("[a-z./]{1,30}", any::<([u8; 16], u64, u64, u64)>()).prop_map(
                |(origin, (leader, epoch, last, entries))| {
                    Message::Hello(Hello { origin, leader, epoch, place: Place { epoch: last, entries } })
                }
            ),
            (any_name(), any::<u64>(), vec(any::<u8>(), 0..300)).prop_map(|(n, o, b)| Message::Write(n, o, b)),
            (any_name(), any::<u64>()).prop_map(|(name, length)| Message::Length(name, length)),
            (any_name(), any_name()).prop_map(|(from, to)| Message::Rename(from, to)),
            any_name().prop_map(Message::Remove),
            any_name().prop_map(Message::Sync),
            any::<u64>().prop_map(Message::Mark),
            vec(any_name(), 0..5).prop_map(Message::Keep),
            (any::<(u64, [u8; 32])>(), vec((any_name(), any::<u64>()), 0..5))
                .prop_map(|((entries, root), files)| Message::Welcome(Prefix { entries, root }, files)),
            ".{0,60}".prop_map(Message::Refused),
            any::<u64>().prop_map(Message::Done),
        ]
    }

    proptest! {
        #[test]
        fn a_message_reads_back_and_not_in_part(message in any_message(), cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            message.send(&mut bytes).unwrap();
            prop_assert_eq!(Message::receive(&mut bytes.as_slice()).unwrap(), message);
            let cut = cut.index(bytes.len());
            prop_assert!(Message::receive(&mut &bytes[..cut]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _read = Message::receive(&mut bytes.as_slice());
            let _read = Message::decode(&bytes);
        }
    }

    #[test]
    fn no_name_leads_out_of_what_a_follower_keeps() {
        for name in [
            "../etc/passwd",
            "/etc/passwd",
            "wal/../key",
            "wal/1.seg/..",
            "key",
            "wal/lock",
            "vault/1.kek",
            "wal/",
            "wal/.seg",
            "vault/1.keys.seg",
            "wal/1.seg.tmp.tmp",
            "wal//1.seg",
            "log/checkpoint",
            "wal/tiled",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
