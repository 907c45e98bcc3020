//! The manifest of a bundle: JSON of one fixed layout, so that reading it needs no JSON library and leaves no doubt.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{checkpoint::decimal, tree::Hash};

/// What the manifest says it is.
const FORMAT: &str = "exeat-bundle/v2";

/// What a bundle holds. It is not signed: everything in it is checked against the checkpoint and the files.
///
/// Written as JSON of exactly this layout, with two spaces of indentation and a newline at the end:
///
/// ```json
/// {
///   "format": "exeat-bundle/v2",
///   "origin": "log.example.com/exeat/1",
///   "first": 0,
///   "size": 2,
///   "checkpoint": {"bytes": 180, "sha256": "…64 hexadecimal digits…"},
///   "log.vkey": {"bytes": 80, "sha256": "…"},
///   "entries": {"bytes": 700, "sha256": "…"}
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The log's origin, as in the checkpoint.
    pub origin: String,
    /// The index of the first entry in the bundle; 0 in this version.
    pub first: u64,
    /// The size of the log at the checkpoint: the bundle holds the entries from `first` up to it.
    pub size: u64,
    /// The file `checkpoint`.
    pub checkpoint: FileDigest,
    /// The file `log.vkey`.
    pub key: FileDigest,
    /// The file `entries`.
    pub entries: FileDigest,
}

/// Length and hash of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileDigest {
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
}

/// The manifest is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadManifest {
    /// It does not have the fixed layout; the line, the first being 1.
    #[error("line {0} of the manifest is not what a writer of `exeat-bundle/v2` writes")]
    Line(usize),
    /// The origin cannot be written in the fixed layout.
    #[error("the origin of the log has quotes, backslashes or control characters in it")]
    Origin,
}

impl Manifest {
    /// Writes the manifest.
    ///
    /// # Errors
    ///
    /// [`BadManifest::Origin`] if the origin has quotes, backslashes or control characters in it.
    pub fn to_json(&self) -> Result<String, BadManifest> {
        let bad = |c: char| c.is_control() || c == '"' || c == '\\';
        if self.origin.contains(bad) {
            return Err(BadManifest::Origin);
        }
        Ok(self.layout())
    }

    /// Reads a manifest; only the one way it is written is accepted.
    ///
    /// # Errors
    ///
    /// [`BadManifest::Line`] with the first line that differs.
    pub fn parse(text: &str) -> Result<Self, BadManifest> {
        let mut lines = Lines { text, number: 0 };
        lines.exactly("{")?;
        lines.field("format", |value| (value == quoted(FORMAT)).then_some(()))?;
        let manifest = Self {
            origin: lines.field("origin", unquoted)?,
            first: lines.field("first", decimal)?,
            size: lines.field("size", decimal)?,
            checkpoint: lines.field("checkpoint", FileDigest::parse)?,
            key: lines.field("log.vkey", FileDigest::parse)?,
            entries: lines.field("entries", FileDigest::parse)?,
        };
        lines.exactly("}")?;
        if lines.text.is_empty() && manifest.to_json().as_deref() == Ok(text) {
            return Ok(manifest);
        }
        Err(BadManifest::Line(lines.number + 1))
    }

    fn layout(&self) -> String {
        format!(
            "{{\n  \"format\": \"{FORMAT}\",\n  \"origin\": \"{}\",\n  \"first\": {},\n  \"size\": {},\n  \
             \"checkpoint\": {},\n  \"log.vkey\": {},\n  \"entries\": {}\n}}\n",
            self.origin,
            self.first,
            self.size,
            self.checkpoint.to_json(),
            self.key.to_json(),
            self.entries.to_json(),
        )
    }
}

impl FileDigest {
    /// Returns length and hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    fn to_json(self) -> String {
        let hex = self.sha256.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        format!("{{\"bytes\": {}, \"sha256\": \"{hex}\"}}", self.bytes)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("{\"bytes\": ")?.strip_suffix("\"}")?;
        let (bytes, hex) = text.split_once(", \"sha256\": \"")?;
        let mut sha256 = [0; 32];
        let digits = hex.as_bytes().chunks_exact(2);
        if hex.len() != 64 {
            return None;
        }
        for (byte, pair) in sha256.iter_mut().zip(digits) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let bytes = decimal(bytes)?;
        Some(Self { bytes, sha256 })
    }
}

/// Takes the manifest line by line.
struct Lines<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, BadManifest> {
        self.number += 1;
        let (line, rest) = self.text.split_once('\n').ok_or(BadManifest::Line(self.number))?;
        self.text = rest;
        Ok(line)
    }

    fn exactly(&mut self, wanted: &str) -> Result<(), BadManifest> {
        let line = self.next()?;
        (line == wanted).then_some(()).ok_or(BadManifest::Line(self.number))
    }

    fn field<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, BadManifest> {
        let line = self.next()?;
        let value = line.strip_prefix(&format!("  \"{name}\": "));
        value
            .map(|value| value.strip_suffix(',').unwrap_or(value))
            .and_then(parse)
            .ok_or(BadManifest::Line(self.number))
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn unquoted(value: &str) -> Option<String> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            origin: "log.example.com/exeat/1".to_owned(),
            first: 0,
            size: 2,
            checkpoint: FileDigest::of(b"a"),
            key: FileDigest::of(b"bb"),
            entries: FileDigest::of(b"ccc"),
        }
    }

    #[test]
    fn the_manifest_reads_as_it_is_documented() {
        let text = manifest().to_json().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], r#"  "format": "exeat-bundle/v2","#);
        assert_eq!(
            lines[5],
            r#"  "checkpoint": {"bytes": 1, "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},"#
        );
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn every_changed_bit_gives_no_manifest_or_another_one() {
        let text = manifest().to_json().unwrap();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(bytes).map(|text| Manifest::parse(&text));
            assert_ne!(read, Ok(Ok(manifest())), "bit {bit}");
        }
    }

    #[test]
    fn what_follows_the_end_is_refused() {
        let text = manifest().to_json().unwrap();
        assert_eq!(Manifest::parse(&format!("{text}\n")), Err(BadManifest::Line(10)));
        assert_eq!(Manifest::parse(&text[..text.len() - 1]), Err(BadManifest::Line(9)));
        assert_eq!(Manifest::parse(""), Err(BadManifest::Line(1)));
    }

    #[test]
    fn an_origin_that_would_need_escapes_is_not_written() {
        for origin in ["a\"b", "a\\b", "a\nb"] {
            let bad = Manifest { origin: origin.to_owned(), ..manifest() };
            assert_eq!(bad.to_json(), Err(BadManifest::Origin));
        }
    }

    proptest! {
        #[test]
        fn a_manifest_reads_back(origin in "[a-z0-9./,{}\u{e9}]{0,40}", first: u64, size: u64, bytes: u64, sha256: [u8; 32]) {
            let entries = FileDigest { bytes, sha256 };
            let manifest = Manifest { origin, first, size, entries, ..manifest() };
            prop_assert_eq!(Manifest::parse(&manifest.to_json().unwrap()).unwrap(), manifest);
        }
    }
}
