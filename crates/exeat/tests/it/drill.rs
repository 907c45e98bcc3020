//! The drill of a directive day, as one command before a scripted model server.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::process::{Command, Output, Stdio};

use testkit::upstream::FakeUpstream;

use crate::world::said;

/// Plays the drill before a model server that behaves by the name of its model; returns how it ended and what it said.
fn played(model: &str) -> (Output, String) {
    let (dir, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().unwrap());
    let mut drill = Command::new(env!("CARGO_BIN_EXE_exeat"));
    drill.args(["demo", "--drill", "--port", "0", "--admin-port", "0", "--identity-port", "0"]);
    drill.args(["--upstream", &upstream.url(), "--upstream-model", model]).arg("--data").arg(dir.path());
    let output = drill.stdin(Stdio::null()).output().unwrap();
    let text = said(&output);
    (output, text)
}

#[test]
fn a_directive_day_is_played_from_the_first_call_to_the_agencys_verification() {
    // As many pieces as tokens are asked for, 30 ms apart: an order comes in the middle of 200.
    let (output, text) = played("paced-30");
    assert!(output.status.success(), "{text}");
    for held in [
        "around the gateway: 401 ticket_missing",
        "1 key would lose mythos-5",
        "minh's stream was cut",
        "signed by both and recorded in both logs: ",
        "not before iris has signed",
        "not before otto has signed",
        "exeat-verify, in",
        "verify.py, in",
        "`entries`, verify.py",
        "`sums.json`, verify.py",
        "every step, in",
    ] {
        // Where the verifier is not built beside the program, "the code of exeat-verify" says the same.
        assert!(text.contains(held), "`{held}` is not among what held: {text}");
    }
}

#[test]
fn the_drill_says_where_it_fails_and_ends_with_one() {
    let (output, text) = played("status-500");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("step 1 did not hold") && !text.contains("every step"), "{text}");
}
