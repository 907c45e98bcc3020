//! The manifest: what is produced, and the hash of every file, signed by the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CALLS_FILE, HASHES_FILE, HEADS_FILE, MANIFEST_FILE, NAMES_FILE, POLICY_FILE, SUMS_FILE, Selection};
use crate::{
    bundle::{CHECKPOINT_FILE, ENTRIES_FILE, KEY_FILE},
    dsse::{BadEnvelope, Envelope},
    json::{Hex, Unique, misspelled},
    note::VerifierKey,
    tree::Hash,
};

/// What the envelope of a manifest says it holds.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// A production has at most this many files beside the manifest.
pub const FILES_MAX: usize = 10_000;

/// The type of the statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what it says.
const PREDICATE_TYPE: &str = "https://exeat.example/production/v1";
/// Where the selection stands in a statement.
const SELECTION: &str = "/predicate/selection";
/// Files that every production has.
const NEEDED: [&str; 9] =
    [CHECKPOINT_FILE, KEY_FILE, POLICY_FILE, ENTRIES_FILE, HASHES_FILE, HEADS_FILE, SUMS_FILE, NAMES_FILE, CALLS_FILE];

/// What a production holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The log's origin, as in the checkpoint.
    pub origin: String,
    /// The size of the log at the checkpoint.
    pub size: u64,
    /// What was asked for.
    pub selection: Selection,
    /// The index of the custody entry.
    pub custody: u64,
    /// The programs that wrote the chain, in order; never empty.
    pub engine: Vec<Engine>,
    /// The SHA-256 of every other file of the directory, by its name.
    pub files: BTreeMap<String, Hash>,
}

/// A process that wrote to the log, by its start entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The index of the start entry.
    pub start: u64,
    /// The release of the program that decided from there on, as that entry has it.
    pub version: String,
}

/// The manifest is not one, or not one to be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadManifest {
    /// It is not in an envelope that the log signed.
    #[error("the manifest is not one that the log signed: {0}")]
    Envelope(#[from] BadEnvelope),
    /// It is not the statement of a production.
    #[error("the manifest is not the in-toto statement of a production: {0}")]
    Malformed(String),
    /// It is of another log than the key.
    #[error("the manifest is of the log `{0}`, which is not the one of the key")]
    Origin(String),
    /// There is no engine, or their starts do not rise.
    #[error("the manifest does not name the engines that decided, in order of their start entries")]
    Engine,
    /// A file cannot have this name, or the names do not rise.
    #[error("the manifest lists `{0}`, which is no name of a file here, or out of order")]
    Name(String),
    /// A file that every production has is not listed.
    #[error("the manifest does not list `{0}`")]
    Lacks(&'static str),
    /// There are more than [`FILES_MAX`] files.
    #[error("the manifest lists more than 10,000 files")]
    TooMany,
}

impl Manifest {
    /// Opens the file `manifest.json`, which `key` must have signed.
    ///
    /// # Errors
    ///
    /// [`BadManifest`]: nothing of the production may be believed.
    pub fn open(file: &[u8], key: &VerifierKey) -> Result<Self, BadManifest> {
        let manifest = Self::parse(Envelope::parse(file)?.verify(PAYLOAD_TYPE, key)?)?;
        if manifest.origin != key.name() {
            return Err(BadManifest::Origin(manifest.origin));
        }
        Ok(manifest)
    }

    /// Reads a statement, signed or not.
    ///
    /// # Errors
    ///
    /// [`BadManifest`], except [`BadManifest::Envelope`] and [`BadManifest::Origin`].
    pub fn parse(statement: &[u8]) -> Result<Self, BadManifest> {
        let wire = read(statement).map_err(|e| BadManifest::Malformed(e.to_string()))?;
        if wire.statement_type != STATEMENT_TYPE || wire.predicate_type != PREDICATE_TYPE {
            return Err(BadManifest::Malformed("it is of another type".to_owned()));
        }
        let Predicate { origin, size, selection, custody, engine } = wire.predicate;
        if engine.is_empty() || !engine.is_sorted_by(|a, b| a.start < b.start) {
            return Err(BadManifest::Engine);
        }
        Ok(Self { origin, size, selection, custody, engine, files: files(wire.subject)? })
    }

    /// Writes the statement, to be signed in an envelope of the type [`PAYLOAD_TYPE`].
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let subject =
            |(name, hash): (&String, &Hash)| Subject { name: name.clone(), digest: Digest { sha256: Hex(*hash) } };
        let wire = Wire {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject: self.files.iter().map(subject).collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                origin: self.origin.clone(),
                size: self.size,
                selection: self.selection.clone(),
                custody: self.custody,
                engine: self.engine.clone(),
            },
        };
        // Strings and numbers have a spelling in JSON.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

/// Returns true if a file of a production may have this name: one in the directory itself, or in `timestamps`.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let name = name.strip_prefix("timestamps/").unwrap_or(name);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=200).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') && name != MANIFEST_FILE
}

/// Reads a statement in its one spelling, but for the times of the selection.
fn read(statement: &[u8]) -> serde_json::Result<Wire> {
    let Unique(said) = serde_json::from_slice(statement)?;
    let wire = Wire::deserialize(&said)?;
    let mut written = serde_json::to_value(&wire)?;
    let selection = said.pointer(SELECTION).filter(|selection| selection.is_object());
    let (Some(place), Some(selection)) = (written.pointer_mut(SELECTION), selection) else {
        return Err(misspelled());
    };
    selection.clone_into(place);
    if written == said { Ok(wire) } else { Err(misspelled()) }
}

/// Takes the files in order, each once.
fn files(subjects: Vec<Subject>) -> Result<BTreeMap<String, Hash>, BadManifest> {
    if subjects.len() > FILES_MAX {
        return Err(BadManifest::TooMany);
    }
    let mut files = BTreeMap::new();
    for Subject { name, digest } in subjects {
        let rises = files.last_key_value().is_none_or(|(last, _)| *last < name);
        if !rises || !is_file_name(&name) {
            return Err(BadManifest::Name(name));
        }
        files.insert(name, digest.sha256.0);
    }
    match NEEDED.into_iter().find(|name| !files.contains_key(*name)) {
        Some(name) => Err(BadManifest::Lacks(name)),
        None => Ok(files),
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: String,
    digest: Digest,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    sha256: Hex<32>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    origin: String,
    size: u64,
    selection: Selection,
    custody: u64,
    engine: Vec<Engine>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{super::selection::tests::any_selection, *};
    use crate::note::SignerKey;

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[5; 32]).unwrap()
    }

    fn statement() -> Value {
        let mut names = NEEDED.to_vec();
        names.push("timestamps/1.tsr");
        names.sort_unstable();
        let subject: Vec<Value> =
            names.iter().map(|name| json!({ "name": name, "digest": { "sha256": "ab".repeat(32) } })).collect();
        let selection = json!({
            "class": "key", "name": "key:1", "model": null, "from": "2026-06-26T00:00:00Z", "to": "2026-06-27T00:00:00Z",
            "disclose": [],
        });
        json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": subject,
            "predicateType": "https://exeat.example/production/v1",
            "predicate": {
                "origin": ORIGIN, "size": 20, "selection": selection, "custody": 17,
                "engine": [{ "start": 1, "version": "0.4.0" }, { "start": 9, "version": "0.5.0" }],
            },
        })
    }

    fn parsed(change: impl FnOnce(&mut Value)) -> Result<Manifest, BadManifest> {
        let mut statement = statement();
        change(&mut statement);
        Manifest::parse(statement.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_that_the_log_signed_is_opened_and_no_other() {
        let payload = statement().to_string().into_bytes();
        let file = |kind: &str, key: &SignerKey| Envelope::sign(kind, payload.clone(), key).to_json();
        let manifest = Manifest::open(&file(PAYLOAD_TYPE, &key()), &key().verifier()).unwrap();
        assert_eq!((manifest.origin.as_str(), manifest.size, manifest.custody), (ORIGIN, 20, 17));
        assert_eq!(manifest.engine[1], Engine { start: 9, version: "0.5.0".to_owned() });
        assert_eq!(manifest.files["timestamps/1.tsr"], [0xab; 32]);
        let forger = SignerKey::from_seed(ORIGIN, &[6; 32]).unwrap();
        assert!(matches!(
            Manifest::open(&file(PAYLOAD_TYPE, &forger), &key().verifier()),
            Err(BadManifest::Envelope(_))
        ));
        assert!(matches!(
            Manifest::open(&file("text/plain", &key()), &key().verifier()),
            Err(BadManifest::Envelope(_))
        ));
        let other = SignerKey::from_seed("other.example/1", &[5; 32]).unwrap();
        let opened = Manifest::open(&file(PAYLOAD_TYPE, &other), &other.verifier());
        assert_eq!(opened, Err(BadManifest::Origin(ORIGIN.to_owned())));
    }

    #[test]
    fn statements_of_another_form_are_refused() {
        assert!(parsed(|_| ()).is_ok());
        for change in [
            (|s: &mut Value| s["_type"] = json!("https://in-toto.io/Statement/v0.1")) as fn(&mut Value),
            |s| s["predicateType"] = json!("https://exeat.example/production/v2"),
            |s| s["more"] = json!(1),
            |s| s["predicate"]["more"] = json!(1),
            |s| s["subject"][0]["digest"]["sha512"] = json!("00"),
            |s| s["subject"][0]["digest"]["sha256"] = json!("00"),
            |s| s["subject"][0]["uri"] = json!("file:"),
            |s| s["predicate"]["size"] = json!("20"),
            |s| s["predicate"]["engine"][0] = json!([1, "0.4.0"]),
            |s| {
                s["predicate"]["selection"] =
                    json!(["key", "key:1", null, "2026-06-26T00:00:00Z", "2026-06-27T00:00:00Z", []])
            },
        ] {
            assert!(matches!(parsed(change), Err(BadManifest::Malformed(_))));
        }
    }

    #[test]
    fn files_stand_in_order_inside_the_directory_and_none_is_lacking() {
        for bad in
            ["../entries", "/entries", "a/b", "manifest.json", "timestamps/", "timestamps/../x", ".x", "", "a\\b"]
        {
            assert!(!is_file_name(bad), "{bad}");
            assert!(matches!(parsed(|s| s["subject"][0]["name"] = json!(bad)), Err(BadManifest::Name(_))), "{bad}");
        }
        let swapped = parsed(|s| s["subject"].as_array_mut().unwrap().swap(0, 1));
        assert_eq!(swapped, Err(BadManifest::Name("calls.csv".to_owned())));
        let twice = parsed(|s| s["subject"][1]["name"] = json!("calls.csv"));
        assert_eq!(twice, Err(BadManifest::Name("calls.csv".to_owned())));
        let lacks = parsed(|s| drop(s["subject"].as_array_mut().unwrap().remove(2)));
        assert_eq!(lacks, Err(BadManifest::Lacks("entries")));
        let many = parsed(|s| s["subject"] = vec![s["subject"][0].clone(); FILES_MAX + 1].into());
        assert_eq!(many, Err(BadManifest::TooMany));
    }

    #[test]
    fn a_manifest_names_its_engines_in_order_of_their_starts() {
        let none = parsed(|s| s["predicate"]["engine"] = json!([]));
        let twice = parsed(|s| s["predicate"]["engine"][1]["start"] = json!(1));
        assert_eq!((none, twice), (Err(BadManifest::Engine), Err(BadManifest::Engine)));
        let silent = parsed(|s| drop(s["predicate"].as_object_mut().unwrap().remove("engine")));
        assert!(matches!(silent, Err(BadManifest::Malformed(_))));
    }

    proptest! {
        #[test]
        fn a_manifest_reads_back(selection in any_selection(), size: u64, custody: u64, origin: String, hash: [u8; 32]) {
            let mut files: BTreeMap<String, Hash> = NEEDED.iter().map(|name| ((*name).to_owned(), hash)).collect();
            files.insert("report.html".to_owned(), [1; 32]);
            let engine = vec![Engine { start: custody, version: origin.clone() }];
            let manifest = Manifest { origin, size, selection, custody, engine, files };
            prop_assert_eq!(Manifest::parse(&manifest.to_json()), Ok(manifest));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at: prop::sample::Index) {
            let mut text = statement().to_string().into_bytes();
            let at = at.index(text.len());
            text.splice(at..text.len().min(at + bytes.len()), bytes);
            if let Ok(read) = Manifest::parse(&text) {
                prop_assert_eq!(Manifest::parse(&read.to_json()), Ok(read));
            }
        }
    }
}
