//! The program as an auditor runs it.

use std::process::{Command, Output};

use base64::{Engine, engine::general_purpose::STANDARD};
use proof::receipt::Receipt;
use tempfile::TempDir;

use crate::world::{export, full_log, key, signed};

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_exeat-verify");
    let Output { status, stdout, stderr } = Command::new(program).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn bundle() -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    export(dir.path(), &full_log().entries());
    let path = dir.path().to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn a_bundle_that_holds_exits_with_0_and_says_so() {
    let (_dir, path) = bundle();
    let (code, out, err) = run(&["bundle", &path, "--key", &key().verifier().to_string()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("holds: the log `log.example.com/exeat/1`, 18 entries\n"), "{out}");
    assert!(!out.contains("WARNING"));
}

#[test]
fn a_key_may_be_named_by_its_file_and_the_answer_be_json() {
    let (_dir, path) = bundle();
    let (code, out, _) = run(&["bundle", &path, "--key", &format!("{path}/log.vkey"), "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(answer["holds"], true);
    assert_eq!(answer["key_pinned"], true);
    assert_eq!(answer["replays"]["permits"], 5);
}

#[test]
fn a_bundle_that_does_not_hold_exits_with_1() {
    let (dir, path) = bundle();
    std::fs::write(dir.path().join("entries"), b"exeat-entries/v2").unwrap();
    let (code, out, _) = run(&["bundle", &path]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("DOES NOT HOLD") && out.contains("WARNING: THE KEY WAS NOT PINNED"), "{out}");
}

#[test]
fn a_receipt_as_the_gateway_hands_it_out_is_checked() {
    let entries = full_log().entries();
    let one = &entries[..1];
    let receipt = Receipt { extra: None, index: 0, hashes: Vec::new(), checkpoint: signed(one, &key()) };
    let handed = serde_json::json!({
        "index": 0,
        "leaf": STANDARD.encode(&one[0].leaf),
        "proof": receipt.to_text(),
        "origin_key": key().verifier().to_string(),
    });
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("receipt.json");
    std::fs::write(&path, handed.to_string()).unwrap();
    let path = path.to_str().unwrap();
    let (code, out, _) = run(&["receipt", path, "--key", &key().verifier().to_string()]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("holds: it is entry 0 of the 1 that the log signed\n"), "{out}");
    assert!(!out.contains("WARNING"));
    let (code, out, _) = run(&["receipt", path]);
    assert!(code == Some(0) && out.contains("WARNING: THE KEY WAS NOT PINNED"), "{out}");
    let leaf = dir.path().join("leaf");
    std::fs::write(&leaf, &entries[1].leaf).unwrap();
    let (code, out, _) = run(&["receipt", path, "--leaf", leaf.to_str().unwrap()]);
    assert!(code == Some(1) && out.starts_with("DOES NOT HOLD"), "{out}");
}

#[test]
fn what_cannot_be_checked_exits_with_2_and_the_reason() {
    let (_dir, path) = bundle();
    let fails = |args: &[&str], why: &str| {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains(why), "{err}");
    };
    fails(&[], "say what to check");
    fails(&["bundle", "/nowhere/at/all"], "cannot read `/nowhere/at/all/manifest.json`");
    fails(&["bundle", &path, "--key", "no-key"], "the key is no key");
    fails(&["receipt", &format!("{path}/checkpoint")], "pass it with --leaf");
}
