//! Each operation runs by itself, so that one that broke is found without counting its instructions.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

fn gate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_exeat-gate")).args(words).output().unwrap()
}

#[test]
fn every_operation_on_the_list_can_be_repeated() {
    let list = String::from_utf8(gate(&["list"]).stdout).unwrap();
    assert_eq!(list.lines().count(), 7, "{list}");
    for line in list.lines() {
        let (name, repetitions) = line.split_once(' ').unwrap();
        assert!(repetitions.parse::<u32>().unwrap() > 0, "{line}");
        let output = gate(&[name, "64"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_no_operation_is_an_error_that_names_it() {
    let output = gate(&["decide-all", "1"]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`decide-all`"), "{said}");
    assert!(!gate(&["verify-key", "many"]).status.success());
}
