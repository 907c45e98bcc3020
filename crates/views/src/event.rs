//! An entry that is to be shown in somebody else's words.

use std::{fmt, str::FromStr};

use proof::{
    entry::{Class, DecodeError, Entry},
    tree::leaf_hash,
};
use serde_json::Value;

use crate::{ocsf, otel, plain};

/// An entry of a log, with what names it: the log's origin, its index, its leaf hash.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) origin: String,
    pub(crate) index: u64,
    pub(crate) leaf: Vec<u8>,
    pub(crate) entry: Entry,
}

/// The words in which entries are shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// OCSF 1.9 API Activity, with the profiles `ai_operation` and `record_integrity`; of every entry.
    #[default]
    Ocsf,
    /// OpenTelemetry log records with the `gen_ai` attributes, as OTLP in JSON; of entries about calls.
    Otel,
    /// The entry's own fields by name; of every entry.
    Jsonl,
}

impl Event {
    /// Reads the entry that is `index` in the log `origin`, from its exact bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are no entry.
    pub fn new(origin: &str, index: u64, leaf: Vec<u8>) -> Result<Self, DecodeError> {
        let entry = Entry::decode(&leaf)?;
        Ok(Self { origin: origin.to_owned(), index, leaf, entry })
    }

    /// Renders the entry; `None` where the format has no word for it.
    #[must_use]
    pub fn render(&self, format: Format) -> Option<Value> {
        match format {
            Format::Ocsf => Some(ocsf::api_activity(self)),
            Format::Otel => otel::record(self),
            Format::Jsonl => Some(plain::fields(self)),
        }
    }

    /// Returns when the entry was written, in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.entry.at_ms
    }

    pub(crate) fn leaf_hash(&self) -> [u8; 32] {
        leaf_hash(&self.leaf)
    }

    /// Returns the name by which a receiver knows an event that comes twice.
    pub(crate) fn uid(&self) -> String {
        format!("{}#{}", self.origin, self.index)
    }

    /// Returns the id of the entry's chain of a class, if it has just one.
    pub(crate) fn pseudonym(&self, class: Class) -> Option<[u8; 16]> {
        let mut of = self.entry.links.iter().flatten().filter(|link| link.class == class);
        of.next().filter(|_| of.next().is_none()).map(|link| link.id)
    }
}

impl Format {
    /// Every format.
    const ALL: [Self; 3] = [Self::Ocsf, Self::Otel, Self::Jsonl];

    /// Returns the word by which the format is asked for.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Otel => "otel",
            Self::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no format: write `ocsf`, `otel` or `jsonl`"))
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Format {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proof::entry::{Kind, Link, Outcome, Usage};

    use super::*;

    /// Returns an entry about a call, as a gateway writes it.
    pub(crate) fn about_a_call(kind: Kind) -> Entry {
        let link = |class, id| Link { class, id: [id; 16], seq: 0, back: 0 };
        Entry {
            at_ms: 1_780_304_400_123,
            call: Some([7; 16]),
            subject: Some([1; 16]),
            model: Some("ember-2".to_owned()),
            links: Some(vec![
                link(Class::Subject, 1),
                link(Class::Key, 2),
                link(Class::Organization, 3),
                link(Class::Model, 4),
            ]),
            ..Entry::new(kind)
        }
    }

    /// Returns the close of a call that used 120 and 1,500 tokens.
    pub(crate) fn close() -> Entry {
        let usage = Usage {
            input_tokens: Some(120),
            output_tokens: Some(1_500),
            delivered_events: 1_500,
            delivered_bytes: 120_000,
        };
        Entry { opened: Some(41), outcome: Some(Outcome::Completed), usage: Some(usage), ..about_a_call(Kind::Close) }
    }

    pub(crate) fn event(entry: &Entry) -> Event {
        Event::new("log.example.com/exeat/1", 42, entry.encode().unwrap()).unwrap()
    }

    #[test]
    fn bytes_that_are_no_entry_make_no_event() {
        assert!(Event::new("log.example.com/exeat/1", 0, vec![0xa0]).is_err());
    }

    #[test]
    fn a_format_is_read_as_it_is_written_and_no_other_is() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("cef".parse::<Format>().unwrap_err(), "`cef` is no format: write `ocsf`, `otel` or `jsonl`");
    }

    #[test]
    fn a_class_with_two_chains_names_nobody() {
        let mut entry = close();
        assert_eq!(event(&entry).pseudonym(Class::Organization), Some([3; 16]));
        let mut links = entry.links.take().unwrap();
        links.insert(3, Link { class: Class::Organization, id: [9; 16], seq: 0, back: 0 });
        entry.links = Some(links);
        assert_eq!(event(&entry).pseudonym(Class::Organization), None);
    }
}
