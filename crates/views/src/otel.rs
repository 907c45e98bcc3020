//! OpenTelemetry: entries about calls as log records with the generative-AI attributes, in OTLP's JSON.
//!
//! # Source
//!
//! OpenTelemetry protocol, JSON Protobuf encoding and file exporter; semantic conventions for generative AI
//! (`gen_ai.*`, in development: names may change with them, and the record does not rest on them). An entry says of what
//! model something was asked, not whether it was a chat, an embedding or a count of tokens, so `gen_ai.operation.name` is
//! left out.

use proof::{
    entry::{Entry, Kind, Outcome},
    hex,
};
use serde_json::{Value, json};

use crate::{event::Event, words::kind};

const INFO: u32 = 9;
const WARN: u32 = 13;

/// Renders an entry about a call as one request of an OTLP exporter; `None` for any other.
pub(crate) fn record(event: &Event) -> Option<Value> {
    let entry = &event.entry;
    entry.call?;
    let (severity, text) = if is_fine(entry) { (INFO, "INFO") } else { (WARN, "WARN") };
    let record = json!({
        "timeUnixNano": nanoseconds(entry.at_ms), "observedTimeUnixNano": nanoseconds(entry.at_ms),
        "severityNumber": severity, "severityText": text, "eventName": format!("exeat.call.{}", kind(entry.kind)),
        "attributes": attributes(event),
    });
    let service = [text_of("service.name", "exeat"), text_of("service.instance.id", &event.origin)];
    Some(json!({ "resourceLogs": [{
        "resource": { "attributes": service },
        "scopeLogs": [{ "scope": { "name": "exeat", "version": env!("CARGO_PKG_VERSION") }, "logRecords": [record] }],
    }]}))
}

fn is_fine(entry: &Entry) -> bool {
    entry.kind != Kind::Refusal && entry.outcome.is_none_or(|outcome| outcome == Outcome::Completed)
}

fn attributes(event: &Event) -> Vec<Value> {
    let entry = &event.entry;
    let usage = entry.usage.unwrap_or_default();
    let requested = entry.requested.as_ref().or(entry.model.as_ref());
    let failed = (!is_fine(entry)).then(|| entry.code.clone().or_else(|| entry.outcome.map(|of| of.name().to_owned())));
    let texts = [
        ("gen_ai.request.model", requested.cloned()),
        ("gen_ai.response.model", entry.model.clone()),
        ("error.type", failed.flatten()),
        ("enduser.pseudo.id", entry.subject.map(|subject| hex(&subject))),
        ("exeat.call", entry.call.map(|call| hex(&call))),
        ("exeat.outcome", entry.outcome.map(|of| of.name().to_owned())),
        ("exeat.log.leaf_hash", Some(hex(&event.leaf_hash()))),
    ];
    let numbers = [
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("exeat.log.index", Some(event.index)),
    ];
    let texts = texts.into_iter().filter_map(|(name, value)| Some(text_of(name, &value?)));
    texts.chain(numbers.into_iter().filter_map(|(name, value)| Some(number_of(name, value?)))).collect()
}

fn text_of(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// 64-bit integers are decimal text in this encoding.
fn number_of(name: &str, value: u64) -> Value {
    json!({ "key": name, "value": { "intValue": value.to_string() } })
}

fn nanoseconds(at_ms: u64) -> String {
    (u128::from(at_ms) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::{about_a_call, close, event};

    fn attribute(shown: &Value, name: &str) -> Option<Value> {
        let record = &shown["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        let attributes = record["attributes"].as_array().unwrap();
        attributes.iter().find(|one| one["key"] == name).map(|one| one["value"].clone())
    }

    #[test]
    fn a_close_has_model_and_tokens_under_their_conventional_names() {
        let shown = record(&event(&close())).unwrap();
        assert_eq!(attribute(&shown, "gen_ai.response.model"), Some(json!({ "stringValue": "ember-2" })));
        assert_eq!(attribute(&shown, "gen_ai.usage.output_tokens"), Some(json!({ "intValue": "1500" })));
        assert_eq!(attribute(&shown, "error.type"), None);
        let at = &shown["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["timeUnixNano"];
        assert_eq!(at, "1780304400123000000");
    }

    #[test]
    fn a_refusal_names_its_code_and_what_was_asked_for() {
        let mut refusal = about_a_call(Kind::Refusal);
        refusal.code = Some("clearance_required".to_owned());
        refusal.requested = Some("assistant".to_owned());
        let shown = record(&event(&refusal)).unwrap();
        assert_eq!(attribute(&shown, "gen_ai.request.model"), Some(json!({ "stringValue": "assistant" })));
        assert_eq!(attribute(&shown, "error.type"), Some(json!({ "stringValue": "clearance_required" })));
    }

    #[test]
    fn nothing_says_that_a_call_was_a_chat_since_the_entry_does_not() {
        for entry in [close(), about_a_call(Kind::Open), about_a_call(Kind::Refusal)] {
            let shown = record(&event(&entry)).unwrap();
            assert!(attribute(&shown, "exeat.call").is_some());
            assert_eq!(attribute(&shown, "gen_ai.operation.name"), None);
            assert!(!shown.to_string().contains("\"chat\""), "{shown}");
        }
    }

    #[test]
    fn what_is_not_about_a_call_has_no_record() {
        assert_eq!(record(&event(&Entry::new(Kind::Start))), None);
    }
}
