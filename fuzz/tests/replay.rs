//! Replays every file of the corpora through its target, as `cargo test` does without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use exeat_fuzz::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_and_program_a_target() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&corpus()), targets);
    let programs = names(&corpus().with_file_name("fuzz_targets"));
    assert_eq!(programs, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(corpus().with_file_name("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in Cargo.toml");
    }
}

#[test]
fn every_file_of_every_corpus_keeps_the_law_of_its_target() {
    for (name, target) in TARGETS {
        let dir = corpus().join(name);
        let files = names(&dir);
        assert!(files.len() >= 4, "the corpus of {name} has {} files", files.len());
        for file in files {
            target(&fs::read(dir.join(&file)).unwrap());
        }
    }
}

#[test]
fn a_file_named_valid_is_accepted_and_one_named_invalid_is_not() {
    let parsers = TARGETS.iter().filter(|(name, _)| exeat_fuzz::accepts(name, b"").is_some());
    for (name, _) in parsers {
        let dir = corpus().join(name);
        let files = names(&dir);
        for (prefix, expected) in [("valid-", true), ("invalid-", false)] {
            let mut with = files.iter().filter(|file| file.starts_with(prefix)).peekable();
            assert!(with.peek().is_some(), "{name} has no file {prefix}*");
            for file in with {
                let bytes = fs::read(dir.join(file)).unwrap();
                assert_eq!(exeat_fuzz::accepts(name, &bytes), Some(expected), "{name}/{file}");
            }
        }
    }
}
