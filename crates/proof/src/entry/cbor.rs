//! The one encoding of an entry, written and read in one pass: nearly all that the log does with entries is this.
//!
//! What is read here is what [`minicbor`] reads and would write again in the same bytes; everything else is for it to refuse,
//! with the reason.

use super::{Class, Entry, Kind, Link, Outcome, Usage};

// Major types of CBOR (RFC 8949 section 3.1).
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Returns the bytes of an entry.
pub(super) fn write(entry: &Entry) -> Vec<u8> {
    let mut map = Map::begin(Vec::with_capacity(320));
    map.number(0, Some(entry.version.into()));
    map.number(1, Some(entry.kind.ordinal().into()));
    map.number(2, Some(entry.at_ms));
    map.bytes(3, entry.call.as_ref());
    map.number(4, entry.opened);
    map.bytes(5, entry.subject.as_ref());
    map.text(6, entry.model.as_deref());
    map.bytes(7, entry.snapshot.as_ref());
    map.each(8, entry.basis.as_deref(), text);
    map.number(9, entry.outcome.map(|outcome| outcome.ordinal().into()));
    map.text(10, entry.code.as_deref());
    map.usage(11, entry.usage.as_ref());
    map.bytes(12, entry.private.as_ref());
    map.text(14, entry.requested.as_deref());
    map.each(15, entry.links.as_deref(), link);
    map.number(16, entry.facts);
    map.number(17, entry.lease);
    map.number(18, entry.key_epoch.map(u64::from));
    map.bytes(19, entry.nonce.as_ref());
    map.bytes(20, entry.root.as_ref());
    map.number(21, entry.covered);
    map.bytes(22, entry.meter.as_ref());
    map.end()
}

/// A map of fewer than 24 keys that is being written.
struct Map {
    out: Vec<u8>,
    head: usize,
    pairs: u8,
}

impl Map {
    fn begin(mut out: Vec<u8>) -> Self {
        let head = out.len();
        out.push(0);
        Self { out, head, pairs: 0 }
    }

    fn key(&mut self, key: u8) -> &mut Vec<u8> {
        self.pairs += 1;
        // It is its own encoding, as all keys are below 24.
        self.out.push(key);
        &mut self.out
    }

    fn number(&mut self, key: u8, value: Option<u64>) {
        if let Some(value) = value {
            head(self.key(key), UNSIGNED, value);
        }
    }

    fn bytes<const N: usize>(&mut self, key: u8, value: Option<&[u8; N]>) {
        if let Some(value) = value {
            string(self.key(key), BYTES, value);
        }
    }

    fn text(&mut self, key: u8, value: Option<&str>) {
        if let Some(value) = value {
            text(self.key(key), value);
        }
    }

    fn each<T>(&mut self, key: u8, values: Option<&[T]>, write: impl Fn(&mut Vec<u8>, &T)) {
        if let Some(values) = values {
            let out = self.key(key);
            head(out, ARRAY, values.len() as u64);
            values.iter().for_each(|value| write(out, value));
        }
    }

    fn usage(&mut self, key: u8, usage: Option<&Usage>) {
        if let Some(usage) = usage {
            let mut map = Self::begin(std::mem::take(self.key(key)));
            map.number(0, usage.input_tokens);
            map.number(1, usage.output_tokens);
            map.number(2, Some(usage.delivered_events));
            map.number(3, Some(usage.delivered_bytes));
            self.out = map.end();
        }
    }

    fn end(mut self) -> Vec<u8> {
        if let Some(head) = self.out.get_mut(self.head) {
            *head = MAP << 5 | self.pairs;
        }
        self.out
    }
}

fn link(out: &mut Vec<u8>, link: &Link) {
    head(out, ARRAY, 4);
    head(out, UNSIGNED, link.class.ordinal().into());
    string(out, BYTES, &link.id);
    head(out, UNSIGNED, link.seq);
    head(out, UNSIGNED, link.back);
}

fn text<T: AsRef<str> + ?Sized>(out: &mut Vec<u8>, text: &T) {
    string(out, TEXT, text.as_ref().as_bytes());
}

fn string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the head of a data item: its major type with a number in the fewest bytes (RFC 8949 section 4.2.1).
fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let [.., h, g, f, e, d, c, b, a] = number.to_be_bytes();
    let major = major << 5;
    match number {
        0..24 => out.push(major | a),
        24..0x100 => out.extend_from_slice(&[major | 24, a]),
        0x100..0x1_0000 => out.extend_from_slice(&[major | 25, b, a]),
        0x1_0000..0x1_0000_0000 => out.extend_from_slice(&[major | 26, d, c, b, a]),
        _ => out.extend_from_slice(&[major | 27, h, g, f, e, d, c, b, a]),
    }
}

/// Reads an entry; `None` if these are not the bytes that [`write`] makes of one.
pub(super) fn read(bytes: &[u8]) -> Option<Entry> {
    let mut left = Left(bytes);
    let mut keys = left.keys()?;
    let mut entry = Entry::new(Kind::Genesis);
    let (version, kind, at_ms) = (left.needed(&mut keys, 0)?, left.needed(&mut keys, 1)?, left.needed(&mut keys, 2)?);
    entry.version = u8::try_from(version).ok()?;
    entry.kind = of_ordinal(&Kind::ALL, kind)?;
    entry.at_ms = at_ms;
    while let Some(key) = left.key(&mut keys)? {
        match key {
            3 => entry.call = Some(left.array()?),
            4 => entry.opened = Some(left.number()?),
            5 => entry.subject = Some(left.array()?),
            6 => entry.model = Some(left.text()?),
            7 => entry.snapshot = Some(left.array()?),
            8 => entry.basis = Some(left.each(Left::text)?),
            9 => entry.outcome = Some(of_ordinal(&Outcome::ALL, left.number()?)?),
            10 => entry.code = Some(left.text()?),
            11 => entry.usage = Some(left.usage()?),
            12 => entry.private = Some(left.array()?),
            14 => entry.requested = Some(left.text()?),
            15 => entry.links = Some(left.each(Left::link)?),
            16 => entry.facts = Some(left.number()?),
            17 => entry.lease = Some(left.number()?),
            18 => entry.key_epoch = Some(u32::try_from(left.number()?).ok()?),
            19 => entry.nonce = Some(left.array()?),
            20 => entry.root = Some(left.array()?),
            21 => entry.covered = Some(left.number()?),
            22 => entry.meter = Some(left.array()?),
            _ => return None,
        }
    }
    left.0.is_empty().then_some(entry)
}

/// Bytes that are left to read.
struct Left<'a>(&'a [u8]);

/// The keys of a map that is being read.
struct Keys {
    /// How many are left.
    left: u64,
    /// The least that the next may be.
    least: u64,
}

impl Left<'_> {
    /// Reads the head of a data item of this major type, its number in the fewest bytes.
    fn head(&mut self, major: u8) -> Option<u64> {
        let [first] = *self.take()?;
        let (number, least) = match first & 0x1f {
            info @ 0..24 => (info.into(), 0),
            24 => (u8::from_be_bytes(*self.take()?).into(), 24),
            25 => (u16::from_be_bytes(*self.take()?).into(), 0x100),
            26 => (u32::from_be_bytes(*self.take()?).into(), 0x1_0000),
            27 => (u64::from_be_bytes(*self.take()?), 0x1_0000_0000),
            _ => return None,
        };
        (first >> 5 == major && number >= least).then_some(number)
    }

    fn take<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.head(UNSIGNED)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let is_whole = self.head(BYTES)? == N as u64;
        self.take().copied().filter(|_| is_whole)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.head(TEXT)?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    fn each<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.head(ARRAY)?).ok().filter(|count| *count <= self.0.len())?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(read(self)?);
        }
        Some(all)
    }

    fn link(&mut self) -> Option<Link> {
        let is_whole = self.head(ARRAY)? == 4;
        let class = of_ordinal(&Class::ALL, self.number()?).filter(|_| is_whole)?;
        Some(Link { class, id: self.array()?, seq: self.number()?, back: self.number()? })
    }

    fn usage(&mut self) -> Option<Usage> {
        let (mut keys, mut usage, mut needed) = (self.keys()?, Usage::default(), 2);
        while let Some(key) = self.key(&mut keys)? {
            let number = self.number()?;
            match key {
                0 => usage.input_tokens = Some(number),
                1 => usage.output_tokens = Some(number),
                2 => usage.delivered_events = number,
                3 => usage.delivered_bytes = number,
                _ => return None,
            }
            needed -= u8::from(key >= 2);
        }
        (needed == 0).then_some(usage)
    }

    fn keys(&mut self) -> Option<Keys> {
        Some(Keys { left: self.head(MAP)?, least: 0 })
    }

    /// Reads the next key, which must be above all before it; an inner `None` after the last.
    fn key(&mut self, keys: &mut Keys) -> Option<Option<u64>> {
        if keys.left == 0 {
            return Some(None);
        }
        let key = self.number().filter(|key| *key >= keys.least)?;
        *keys = Keys { left: keys.left - 1, least: key.checked_add(1)? };
        Some(Some(key))
    }

    /// Reads the next key, which must be this one, and the number that it has.
    fn needed(&mut self, keys: &mut Keys, key: u64) -> Option<u64> {
        (self.key(keys)? == Some(key)).then(|| self.number())?
    }
}

/// Returns which of these has an ordinal; they have all from 1 on.
pub(super) fn of_ordinal<T: Copy>(all: &[T], ordinal: u64) -> Option<T> {
    let at = usize::try_from(ordinal).ok()?.checked_sub(1)?;
    all.get(at).copied()
}
