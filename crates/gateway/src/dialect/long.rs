//! A frame that is too long to hold: what is told of it while its parts pass.

use std::{borrow::Cow, fmt};

use memchr::memchr2;
use serde::{Deserializer, de};

use super::{meter::Event, sse};

/// The longest usage object that is read. Those of the known servers are shorter than 1 KiB.
const USAGE_BYTES_MAX: usize = 16 << 10;
/// The longest name of a member that is looked for.
const NAME_BYTES_MAX: usize = 16;

/// Returns the name of a frame's event, given its first part: of a line of its own, or else the `type` of its data. Empty if
/// it is not in that part.
pub(super) fn name_at_the_beginning(beginning: &[u8]) -> Cow<'_, [u8]> {
    let name = sse::fields(beginning).find(|(field, _)| *field == b"event").map(|(_, value)| value);
    match name {
        Some(name) if !name.is_empty() => Cow::Borrowed(name),
        _ => Cow::Owned(kind_at_the_beginning(beginning_of_data(beginning))),
    }
}

/// A frame of which the first part has passed and the last has not.
#[derive(Clone, Debug)]
pub(super) struct Long {
    /// What it is as a whole.
    pub(super) event: Event,
    usage: UsageScan,
}

impl Long {
    /// Takes the first part of a frame that is `event` by its name.
    pub(super) fn new(event: Event, beginning: &[u8]) -> Self {
        let mut usage = UsageScan::default();
        let data = beginning_of_data(beginning);
        usage.over = event == Event::Output || data.is_empty();
        usage.read(data);
        Self { event, usage }
    }

    /// Takes a further part.
    pub(super) fn read(&mut self, part: &[u8]) {
        self.usage.read(part);
    }

    /// Returns what the member `usage` of the member `response` is, if that was an object.
    pub(super) fn usage(&self) -> Option<&[u8]> {
        self.usage.found.then_some(&self.usage.taken)
    }
}

/// Returns the bytes of a frame behind its first `data:`, line endings included.
fn beginning_of_data(beginning: &[u8]) -> &[u8] {
    let mut rest = beginning;
    while !rest.is_empty() {
        if let Some(data) = rest.strip_prefix(b"data:") {
            return data;
        }
        let end = memchr2(b'\n', b'\r', rest).map_or(rest.len(), |at| at + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    &[]
}

/// Returns the `type` in data of which only the beginning is there; empty if it is not in that.
fn kind_at_the_beginning(data: &[u8]) -> Vec<u8> {
    let mut kind = None;
    // It ends in an error, where the data does.
    let _ = serde_json::Deserializer::from_slice(data).deserialize_map(KindOf(&mut kind));
    kind.unwrap_or_default().into_bytes()
}

/// Finds the member `type` of an object that may be cut off behind it.
struct KindOf<'a>(&'a mut Option<String>);

impl<'de> de::Visitor<'de> for KindOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "type" {
                *self.0 = Some(map.next_value()?);
            } else {
                let _: de::IgnoredAny = map.next_value()?;
            }
        }
        Ok(())
    }
}

/// Finds `response.usage` in one line of JSON that passes in parts, holding no more than that object.
#[derive(Clone, Debug, Default)]
struct UsageScan {
    /// Arrays and objects that are open.
    depth: usize,
    within: Within,
    /// The last string, as far as it can be a name that is looked for.
    name: Vec<u8>,
    /// The member of the outer object at hand is `response`.
    in_response: bool,
    /// The member of the response at hand is `usage`.
    at_usage: bool,
    taking: bool,
    taken: Vec<u8>,
    found: bool,
    /// The line has ended, or cannot be read.
    over: bool,
}

/// Whether a byte stands in a string.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Within {
    #[default]
    Structure,
    String,
    /// Behind a backslash.
    Escape,
}

impl UsageScan {
    fn read(&mut self, part: &[u8]) {
        let mut rest = part;
        while let (Some((byte, tail)), false) = (rest.split_first(), self.over || self.found) {
            let taken = match self.within {
                Within::String => self.string(rest),
                Within::Escape => {
                    self.within = Within::String;
                    1
                }
                Within::Structure => {
                    self.structure(*byte);
                    1
                }
            };
            self.take(rest.get(..taken).unwrap_or(rest));
            rest = if taken == 1 { tail } else { rest.get(taken..).unwrap_or_default() };
        }
    }

    /// Reads on within a string, to its end or the next backslash; returns how many bytes that was.
    fn string(&mut self, rest: &[u8]) -> usize {
        let Some(at) = memchr2(b'"', b'\\', rest) else {
            self.spell(rest);
            return rest.len();
        };
        self.spell(rest.get(..at).unwrap_or_default());
        let escapes = rest.get(at) == Some(&b'\\');
        if escapes {
            // No name that is looked for is written with escapes.
            self.spell(b"\\");
        }
        self.within = if escapes { Within::Escape } else { Within::Structure };
        at + 1
    }

    fn spell(&mut self, text: &[u8]) {
        let room = (NAME_BYTES_MAX + 1).saturating_sub(self.name.len());
        self.name.extend(text.iter().take(room));
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.within = Within::String;
                self.name.clear();
            }
            b':' if self.depth == 1 => self.in_response = self.name == b"response",
            b':' if self.depth == 2 => self.at_usage = self.in_response && self.name == b"usage",
            b',' if self.depth == 1 => self.in_response = false,
            b',' if self.depth == 2 => self.at_usage = false,
            b'{' | b'[' => {
                self.taking |= byte == b'{' && self.depth == 2 && self.at_usage;
                self.depth += 1;
            }
            b'}' | b']' => self.close(),
            b'\n' | b'\r' => self.over = true,
            _ => {}
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.found = self.taking && self.depth == 2;
        self.over = self.depth == 0;
    }

    fn take(&mut self, bytes: &[u8]) {
        if !self.taking {
            return;
        }
        self.taken.extend_from_slice(bytes);
        self.over |= self.taken.len() > USAGE_BYTES_MAX;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Scans a frame in parts of which the first has `first` bytes, and the others `rest`.
    fn scanned(frame: &str, first: usize, rest: usize) -> Option<Value> {
        let (beginning, others) = frame.as_bytes().split_at(first.min(frame.len()));
        let mut long = Long::new(Event::Terminal, beginning);
        others.chunks(rest).for_each(|part| long.read(part));
        long.usage().map(|usage| serde_json::from_slice(usage).unwrap())
    }

    #[test]
    fn the_usage_of_the_response_is_found_and_no_other() {
        let usage = json!({"input_tokens": 5, "output_tokens": 7, "details": {"usage": [1, "}\""]}});
        for (data, found) in [
            (json!({"response": {"usage": usage}}), true),
            (json!({"type": "x", "response": {"id": "usage", "a": [{"usage": {}}], "usage": usage, "z": {}}}), true),
            (
                json!({"response": {"tools": [{"usage": {"input_tokens": 0}}], "x": {"usage": {}}, "usage": usage}}),
                true,
            ),
            (json!({"response": {"text": "\"usage\":{\"input_tokens\":0}", "usage": usage}}), true),
            (json!({"usage": usage}), false),
            (json!({"other": {"usage": usage}}), false),
            (json!({"response": {"usage": null}}), false),
            (json!({"response": {"us\u{65}": {}, "x": usage}}), false),
            (json!([{"response": {"usage": usage}}]), false),
        ] {
            let frame = format!("event: response.completed\ndata: {data}\n\n");
            for (first, rest) in [(frame.len(), 1), (32, 1), (33, 7), (60, 1_000)] {
                assert_eq!(scanned(&frame, first, rest), found.then(|| usage.clone()), "{frame}");
            }
        }
    }

    #[test]
    fn a_usage_longer_than_any_is_not_held() {
        let frame = format!("data: {{\"response\":{{\"usage\":{{\"x\":\"{}\"}}}}}}\n\n", "y".repeat(USAGE_BYTES_MAX));
        let mut long = Long::new(Event::Terminal, frame.as_bytes());
        assert_eq!(long.usage(), None);
        long.read(&[b'y'; 64 << 10]);
        assert!(long.usage.taken.len() <= 2 * USAGE_BYTES_MAX);
    }

    fn json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![Just("usage"), Just("response"), Just("input_tokens"), Just("a\\\"{")];
        let leaf = prop_oneof![any::<u8>().prop_map(Value::from), "[\"\\\\{}:,a]{0,6}".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            let members = prop::collection::vec((name.clone(), inner.clone()), 0..4);
            let object =
                members.prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
            prop_oneof![prop::collection::vec(inner, 0..3).prop_map(Value::Array), object.prop_map(Value::Object)]
        })
    }

    proptest! {
        #[test]
        fn what_a_scan_finds_in_parts_is_what_a_reader_finds_in_the_whole(
            data in json(), first in 6_usize..64, rest in 1_usize..32,
        ) {
            let frame = format!("data: {data}\n\n");
            let usage = data.get("response").and_then(|response| response.get("usage")).filter(|usage| usage.is_object());
            prop_assert_eq!(scanned(&frame, first, rest), usage.cloned());
        }

        #[test]
        fn no_bytes_make_a_scan_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..6)) {
            let mut long = Long::new(Event::Terminal, b"data: ");
            for part in &parts {
                name_at_the_beginning(part);
                long.read(part);
            }
        }
    }
}
