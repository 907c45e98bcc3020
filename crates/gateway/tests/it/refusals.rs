//! What a refused caller is told, in each dialect: a stable code, a sentence, and whether evidence would help.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::sync::Arc;

use identity::Change;
use policy::{Directive, License};
use serde_json::{Value, json};
use terms::{Coverage, Organization};
use testkit::http::Answer;

use crate::world::{CHAT, World, chat, lab};

const MESSAGES: &str = "/v1/messages";

/// The order of June 12 with another scope.
fn order(field: &str, scope: Value) -> Directive {
    let text = include_str!("../../../../examples/june-12.directive.json");
    let mut json: Value = serde_json::from_str(text).unwrap();
    json[field] = scope;
    Directive::parse(json.to_string().as_bytes()).unwrap()
}

/// A letter for the lab's own staff that is limited to one end use and leaves out nationals of some countries.
fn letter() -> License {
    let text = include_str!("../../../../examples/annex-a.license.json");
    let mut json: Value = serde_json::from_str(text).unwrap();
    json["end_uses"] = json!(["cyber_defence"]);
    json["territory"] = json!({"exclude_groups": [], "unsettled_groups": []});
    License::parse(json.to_string().as_bytes()).unwrap()
}

/// What a caller was told: the header, the code in the error object, and the sentence.
fn told(answer: Answer, path: &str) -> (String, String, String) {
    let status = answer.head.status;
    let kind = answer.head.get("exeat-refusal").unwrap_or_default().to_owned();
    let retry = answer.head.get("x-should-retry").map(str::to_owned);
    let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
    assert_eq!((status, retry.as_deref()), (403, Some("false")), "{body}");
    let code = if path == MESSAGES { &body["error"]["details"]["error_code"] } else { &body["error"]["code"] };
    let message = body["error"]["message"].as_str().unwrap();
    (kind, code.as_str().unwrap().to_owned(), message.to_owned())
}

#[test]
fn each_way_to_be_barred_has_its_code_and_its_sentence_in_both_dialects() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let nationals =
        |unknown: &str| json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "ear", "unknown": unknown});
    let seat = json!({"deny": "headquarters", "headquartered_in": ["A:1"]});
    let table = [
        (order("person_scope", json!({"deny": "everyone"})), "denial", "everyone_barred", "bars everybody"),
        (order("person_scope", nationals("hold")), "hold", "nationality_unattested", "every citizenship"),
        (
            order("person_scope", nationals("deny")),
            "denial",
            "nationality_unattested",
            "nationality is not established",
        ),
        (order("entity_scope", seat), "denial", "foreign_person_barred", "bars foreign persons"),
    ];
    for (directive, kind, code, words) in table {
        world.enforce(vec![directive], Vec::new());
        for path in [CHAT, MESSAGES] {
            let (told_kind, told_code, message) = told(world.post(&minh, path, &chat("mythos-5", false)), path);
            assert_eq!((told_kind.as_str(), told_code.as_str()), (kind, code), "{path}: {message}");
            assert!(message.contains(words) && !message.contains("minh"), "{path}: {message}");
            assert_eq!(message.contains("to clear this"), kind == "hold", "{path}: {message}");
        }
    }
}

#[test]
fn a_license_that_asks_for_an_end_use_holds_and_says_which_key_would_do() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let directive = Directive::parse(include_bytes!("../../../../examples/june-12.directive.json")).unwrap();
    world.enforce(vec![directive], vec![letter()]);
    for path in [CHAT, MESSAGES] {
        let (kind, code, message) = told(world.post(&minh, path, &chat("mythos-5", false)), path);
        assert_eq!((kind.as_str(), code.as_str()), ("hold", "license_condition_unmet"), "{message}");
        assert!(message.contains("use a key that was made for one of the license's end uses"), "{message}");
    }
}

#[test]
fn a_flag_is_for_operators_and_the_caller_of_a_flagged_permit_sees_an_ordinary_answer() {
    let world = World::new();
    let ada = world.person("ada", true);
    let names = |answer: &Answer| -> Vec<String> {
        let varying = ["date", "x-request-id", "x-exeat-receipt"];
        let headers = answer.head.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        headers.filter(|line| !varying.iter().any(|name| line.starts_with(name))).collect()
    };
    let plain = world.post(&ada, CHAT, &chat("mythos-5", false));
    let flagged = Organization { coverage: Coverage::RedFlag, ..lab() };
    world.change(Change::Organization(Arc::new(flagged)));
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 200);
    assert_eq!(names(&answer), names(&plain));
    assert!(!answer.text().unwrap().contains("flag"));
}
