//! What callers get: unchanged bytes, their own dialect, and headers that say what served them.

use std::sync::Arc;

use gateway::{Monitor, Verdict};
use identity::{Change, Holder, KeyText};
use policy::Permit;
use proof::entry::{Kind, Outcome};
use serde_json::{Value, json};
use terms::{CallId, Moment};

use crate::world::{CHAT, World, body, chat, now, person};

#[test]
fn a_permitted_call_leaves_an_opening_and_a_closing_entry_and_a_receipt() {
    let world = World::new();
    let ada = world.person("ada", true);
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.head.get("x-exeat-model"), Some("mythos-5"));
    assert_eq!(answer.head.get("x-exeat-fallback"), None);
    let receipt = answer.head.get("x-exeat-receipt").unwrap().to_owned();
    assert!(answer.text().unwrap().contains("chat.completion"));
    let entries = world.entries();
    let open = entries.iter().find(|entry| entry.kind == Kind::Open).unwrap();
    let close = entries.iter().find(|entry| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.call, close.outcome), (open.call, Some(Outcome::Completed)));
    assert!(close.usage.unwrap().output_tokens.is_some());
    std::thread::sleep(std::time::Duration::from_millis(200));
    let shown = world.get(&ada, &format!("/receipts/{receipt}"));
    assert_eq!(shown.head.status, 200);
    let shown: Value = serde_json::from_str(&shown.text().unwrap()).unwrap();
    assert!(shown["proof"].as_str().unwrap().starts_with("c2sp.org/tlog-proof@v1"));
}

#[test]
fn a_receipt_is_shown_to_nobody_else() {
    let world = World::new();
    let (ada, eve) = (world.person("ada", true), world.person("eve", true));
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    let receipt = answer.head.get("x-exeat-receipt").unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(world.get(&eve, &format!("/receipts/{receipt}")).head.status, 404);
}

#[test]
fn a_stream_reaches_the_caller_byte_for_byte_however_it_is_cut_into_pieces() {
    let world = World::new();
    let ada = world.person("ada", true);
    for path in [CHAT, "/v1/messages", "/v1/responses", "/v1/completions"] {
        let direct = |fake: &str| {
            let headers = [("content-type", "application/json"), ("x-fake", fake)];
            let request = body(&chat("mythos-5", true));
            testkit::http::send(world.upstream.address(), "POST", path, &headers, &request).unwrap().text().unwrap()
        };
        for fake in ["split", "crlf", "huge", "slow-40-0"] {
            let relayed = world.post_with(&ada, path, &[("x-fake", fake)], &body(&chat("mythos-5", true)));
            assert_eq!(relayed.head.status, 200, "{path} {fake}");
            assert_eq!(relayed.text().unwrap(), direct(fake), "{path} {fake}");
        }
    }
}

#[test]
fn the_request_reaches_the_upstream_byte_for_byte_without_the_callers_credential() {
    let world = World::new();
    let ada = world.person("ada", true);
    let odd = br#"{ "model":"mythos-5",  "messages":[{"role":"user","content":"\u0068i"}], "tools":[{"x":1.50}], "zz":null }"#;
    world.post_with(&ada, CHAT, &[("anthropic-beta", "odd-2026-01-01"), ("cookie", "c=1")], odd);
    let received = world.upstream.received().pop().unwrap();
    assert_eq!(received.body, odd);
    assert_eq!(received.header("anthropic-beta"), Some("odd-2026-01-01"));
    assert!(received.headers.iter().all(|(_, value)| !value.contains("ex_live_")));
    assert_eq!(received.header("cookie"), None);
}

#[test]
fn an_alias_serves_the_best_permitted_version_and_says_so_when_it_is_not_the_best() {
    let mut world = World::new();
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    world.june_12();
    let best = world.post(&ada, CHAT, &chat("assistant", false));
    assert_eq!((best.head.get("x-exeat-model"), best.head.get("x-exeat-fallback")), (Some("mythos-5"), None));
    let other = world.post(&minh, CHAT, &chat("assistant", false));
    assert_eq!(other.head.get("x-exeat-model"), Some("ember-2"));
    assert_eq!(other.head.get("x-exeat-fallback"), Some("mythos-5; foreign_person_barred"));
    let models: Vec<Value> = world.upstream.received().iter().map(|r| r.json()["model"].clone()).collect();
    assert_eq!(models, [json!("mythos-5"), json!("ember-2")]);
    let open = world.entries().into_iter().rfind(|entry| entry.kind == Kind::Open).unwrap();
    assert_eq!((open.model.as_deref(), open.requested.as_deref()), (Some("ember-2"), Some("assistant")));
}

#[test]
fn a_refusal_is_a_403_that_no_client_tries_again_in_each_dialect() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    world.june_12();
    let openai = world.post(&minh, CHAT, &chat("mythos-5", true));
    assert_eq!((openai.head.status, openai.head.get("x-should-retry")), (403, Some("false")));
    let error: Value = serde_json::from_str(&openai.text().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "foreign_person_barred");
    let anthropic = world.post(&minh, "/v1/messages", &chat("mythos-5", true));
    assert_eq!((anthropic.head.status, anthropic.head.get("x-should-retry")), (403, Some("false")));
    let error: Value = serde_json::from_str(&anthropic.text().unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "permission_error");
    assert!(world.upstream.received().is_empty(), "nothing reached a model");
    assert_eq!(world.entries().iter().filter(|entry| entry.kind == Kind::Refusal).count(), 2);
}

#[test]
fn the_models_list_shows_what_this_caller_may_use() {
    let mut world = World::new();
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    world.june_12();
    let ids = |key: &str| -> Vec<String> {
        let list: Value = serde_json::from_str(&world.get(key, "/v1/models").text().unwrap()).unwrap();
        list["data"].as_array().unwrap().iter().map(|card| card["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&ada), ["assistant", "ember-2", "mythos-5"]);
    assert_eq!(ids(&minh), ["assistant", "ember-2"]);
    assert_eq!(world.get(&minh, "/v1/models/mythos-5").head.status, 404);
}

#[test]
fn a_stored_response_is_for_its_owner_and_passes_the_decision_again() {
    let mut world = World::new();
    let (minh, eve) = (world.person("minh", false), world.person("eve", true));
    let made = world.post(&minh, "/v1/responses", &json!({"model": "mythos-5", "input": "hi"}));
    let made: Value = serde_json::from_str(&made.text().unwrap()).unwrap();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&minh, &path).head.status, 200);
    assert_eq!(world.get(&eve, &path).head.status, 404);
    let next = json!({"model": "mythos-5", "input": "go on", "previous_response_id": made["id"]});
    assert_eq!(world.post(&eve, "/v1/responses", &next).head.status, 404);
    world.june_12();
    assert_eq!(world.get(&minh, &path).head.status, 403);
}

#[test]
fn bad_credentials_are_401_and_told_apart_to_nobody() {
    let world = World::new();
    let ada = world.person("ada", true);
    let unknown = KeyText::mint().unwrap();
    let mistyped = format!("{}x", &ada[..ada.len() - 1]);
    for key in ["", "sk-other", &mistyped, unknown.reveal()] {
        let answer = world.post(key, CHAT, &chat("mythos-5", false));
        assert_eq!((answer.head.status, answer.head.get("x-should-retry")), (401, Some("false")), "{key}");
    }
    let holder = || Holder::Person { person: "ada".parse().unwrap() };
    let (revoked, expired) = (KeyText::mint().unwrap(), KeyText::mint().unwrap());
    world.put_key(&revoked, holder(), Some(now()), now().plus(std::time::Duration::from_secs(60)));
    world.put_key(&expired, holder(), None, Moment::from_millis(now().as_millis() - 1));
    for key in [revoked, expired] {
        assert_eq!(world.post(key.reveal(), CHAT, &chat("mythos-5", false)).head.status, 401);
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn a_revoked_key_ends_its_streams() {
    let world = World::new();
    world.directory.apply(Change::Person(Arc::new(person("ada", true))));
    let key = KeyText::mint().unwrap();
    let holder = || Holder::Person { person: "ada".parse().unwrap() };
    let later = now().plus(std::time::Duration::from_secs(86_400));
    world.put_key(&key, holder(), None, later);
    let stream = world.stream(key.reveal(), "mythos-5");
    world.put_key(&key, holder(), Some(now()), later);
    assert!(stream.text().unwrap().contains("credential_ended"));
}

#[derive(Debug)]
struct Watchful;

impl Monitor for Watchful {
    fn prompt(&self, _: CallId, _: &Permit, body: &[u8]) -> Verdict {
        if body.windows(6).any(|w| w == b"canary") { Verdict::Stop("canary_in_prompt") } else { Verdict::Pass }
    }

    fn output(&self, _: CallId, chunk: &[u8]) -> Verdict {
        if chunk.windows(5).any(|w| w == b"usage") { Verdict::Stop("usage_in_output") } else { Verdict::Pass }
    }
}

#[test]
fn a_monitor_stops_a_prompt_and_an_output_streamed_or_not() {
    let world = World::with(|_| {}, Arc::new(Watchful));
    let ada = world.person("ada", true);
    let mut bad = chat("mythos-5", false);
    bad["user"] = json!("canary");
    assert_eq!(world.post(&ada, CHAT, &bad).head.status, 403);
    assert!(world.upstream.received().is_empty());
    let whole = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!(whole.head.status, 403);
    let mut asked = chat("mythos-5", true);
    asked["stream_options"] = json!({"include_usage": true});
    let streamed = world.post(&ada, CHAT, &asked);
    assert!(streamed.text().unwrap().contains("usage_in_output"));
}

#[test]
fn a_response_of_a_barred_version_is_not_continued_on_another() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let made = world.post(&minh, "/v1/responses", &json!({"model": "mythos-5", "input": "hi"}));
    let made: Value = serde_json::from_str(&made.text().unwrap()).unwrap();
    world.june_12();
    let next = json!({"model": "ember-2", "input": "go on", "previous_response_id": made["id"]});
    assert_eq!(world.post(&minh, "/v1/responses", &next).head.status, 403);
}
