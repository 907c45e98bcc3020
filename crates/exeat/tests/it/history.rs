//! What an operator asks the program about the past: why a call was refused, what was in force when.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::process::Output;

use serde_json::{Value, json};
use testkit::server::Server;

use crate::{
    client::Ask,
    world::{Keys, World, populate, said},
};

const CALL: Ask = Ask { anthropic: false, model: "mythos-5", stream: false, pieces: 1, gap_ms: 0 };

/// A server under an order of an hour ago, which bars one of its two callers.
fn under_order() -> (World, Server, Keys) {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let text = include_str!("../../../../examples/june-12.directive.json");
    let order: Value = serde_json::from_str(text).unwrap();
    server.admin("POST", "/admin/v1/directives?apply=true", &order).unwrap();
    (world, server, keys)
}

fn exeat(server: &Server, world: &World, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(&world.setup.exeat);
    command.args(arguments).args(["--url", &format!("http://{}", server.admin)]);
    command.arg("--token-file").arg(server.data().join("admin.token"));
    command.env_remove("EXEAT_ADMIN_TOKEN").output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_refused_call_is_explained_by_its_entry_and_the_caller_is_told_less() {
    let (world, server, keys) = under_order();
    let refused = CALL.call(server.address, &keys.foreign).unwrap();
    assert_eq!(refused.status, 403);
    let told = String::from_utf8(refused.body).unwrap();
    assert!(!told.contains("minh") && told.contains("foreign_person_barred"), "{told}");

    let record = world.record();
    let index = record.iter().position(|recorded| recorded.entry.kind == proof::entry::Kind::Refusal).unwrap();
    let explained = exeat(&server, &world, &["explain", &index.to_string()]);
    let text = said(&explained);
    assert!(explained.status.success(), "{text}");
    for part in [
        "was refused at",
        "mythos-5: refuse foreign_person_barred",
        "DIR-2026-06-12.person-scope (version 1) bars: persons",
        "a stay of `DIR-2026-06-12` (a court, or the issuer of the directive): permit by base.no-license-required",
        "minh: screening cleared",
        "* directive DIR-2026-06-12 version 1: in effect",
        "Decided now",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let call = terms::CallId(record[index].entry.call.unwrap()).to_string();
    let shown = json_of(&exeat(&server, &world, &["explain", &call, "--json"]));
    assert_eq!((&shown["agrees"], &shown["entry"]), (&json!(true), &json!(index)));

    let served = CALL.call(server.address, &keys.citizen).unwrap();
    let receipt = served.receipt.unwrap();
    let shown = json_of(&exeat(&server, &world, &["explain", &receipt, "--json"]));
    assert_eq!(shown["explanation"]["tried"][0]["answer"]["outcome"], "permit");
    assert_eq!(shown["closed"]["outcome"], "completed");
    assert!(server.terminate().unwrap().success());
}

#[test]
fn the_past_is_asked_for_by_time_and_a_time_before_the_log_is_refused() {
    let (world, server, _keys) = under_order();
    let ask = ["ask", "--person", "minh", "--organization", "larkspur-labs", "--model", "mythos-5"];
    let now = json_of(&exeat(&server, &world, &[&ask[..], &["--json"]].concat()));
    assert_eq!(now["explanation"]["tried"][0]["answer"]["code"], "foreign_person_barred");
    let before = [&ask[..], &["--as-of", "2026-06-12T20:00Z", "--json"]].concat();
    let before = json_of(&exeat(&server, &world, &before));
    assert_ne!(before["explanation"]["tried"][0]["answer"]["code"], "foreign_person_barred");
    let text = said(&exeat(&server, &world, &ask));
    assert!(text.contains("as known at") && text.contains("what would permit it"), "{text}");

    let instruments = said(&exeat(&server, &world, &["instruments", "--as-of", "2026-06-12T21:30Z"]));
    assert!(instruments.contains("DIR-2026-06-12 version 1: not yet effective"), "{instruments}");
    let too_early = exeat(&server, &world, &["instruments", "--known-at", "2020-01-01T00:00Z"]);
    assert_eq!(too_early.status.code(), Some(1));
    assert!(said(&too_early).contains("the log began at"), "{}", said(&too_early));
    let no_call = exeat(&server, &world, &["explain", "ada"]);
    assert!(said(&no_call).contains("is no call"), "{}", said(&no_call));
    assert!(server.terminate().unwrap().success());
}
