//! OCSF 1.9: every entry is an event of the class API Activity (6003).
//!
//! # Source
//!
//! Open Cybersecurity Schema Framework 1.9, class `api_activity`, profiles `ai_operation` and `record_integrity`,
//! objects `attestation`, `fingerprint`, `ai_model`, `message_context`.

use base64::{Engine, engine::general_purpose::STANDARD};
use proof::{
    entry::{Class, Kind, Outcome},
    hex,
};
use serde_json::{Value, json};

use crate::{event::Event, plain, words::kind};

const CATEGORY_APPLICATION: u32 = 6;
const CLASS_API_ACTIVITY: u32 = 6_003;
const ACTIVITY_CREATE: u32 = 1;
const ACTIVITY_UPDATE: u32 = 3;
const ACTIVITY_OTHER: u32 = 99;
const SHA_256: u32 = 3;
const HEXADECIMAL: u32 = 1;
const OTHER: u32 = 99;
const ASSISTANT: u32 = 2;

/// Renders an entry as an event of API Activity.
pub(crate) fn api_activity(event: &Event) -> Value {
    let entry = &event.entry;
    let (activity, activity_name) = activity(entry.kind);
    let (status, status_name) = status(event);
    let (severity, severity_name) = severity(event);
    let mut shown = json!({
        "activity_id": activity, "activity_name": activity_name,
        "category_uid": CATEGORY_APPLICATION, "category_name": "Application Activity",
        "class_uid": CLASS_API_ACTIVITY, "class_name": "API Activity",
        "type_uid": CLASS_API_ACTIVITY * 100 + activity, "type_name": format!("API Activity: {activity_name}"),
        "severity_id": severity, "severity": severity_name, "status_id": status, "status": status_name,
        "time": entry.at_ms, "metadata": metadata(event), "actor": actor(event), "api": api(event),
        "src_endpoint": source(event), "attestation_list": [attestation(event)],
        "unmapped": plain::of_the_entry(event),
    });
    if let (Some(object), Some(model)) = (shown.as_object_mut(), &entry.model) {
        let uid = event.pseudonym(Class::Model).map(|id| hex(&id));
        let mut model = json!({ "ai_provider": event.origin, "name": model, "version": model });
        put(&mut model, "uid", uid);
        object.insert("ai_model".to_owned(), model);
        object.insert("message_context".to_owned(), message_context(event));
    }
    put(&mut shown, "status_code", entry.code.clone());
    shown
}

/// Returns what was done, in the schema's few words.
fn activity(of: Kind) -> (u32, &'static str) {
    match of {
        Kind::Open => (ACTIVITY_CREATE, "Create"),
        Kind::Snapshot | Kind::Registry | Kind::Admin => (ACTIVITY_UPDATE, "Update"),
        of => (ACTIVITY_OTHER, kind(of)),
    }
}

/// A refusal and a call that was not completed are failures.
fn status(event: &Event) -> (u32, &'static str) {
    let ended_well = event.entry.outcome.is_none_or(|outcome| outcome == Outcome::Completed);
    if event.entry.kind == Kind::Refusal || !ended_well { (2, "Failure") } else { (1, "Success") }
}

/// Somebody should look at a call that was cut, and may want to look at a refusal.
fn severity(event: &Event) -> (u32, &'static str) {
    match (event.entry.kind, event.entry.outcome) {
        (_, Some(Outcome::Cut)) => (3, "Medium"),
        (Kind::Refusal, _) => (2, "Low"),
        _ => (1, "Informational"),
    }
}

fn metadata(event: &Event) -> Value {
    let product = json!({ "name": "Exeat", "vendor_name": "Exeat", "version": env!("CARGO_PKG_VERSION") });
    json!({
        "version": "1.9.0", "product": product, "profiles": ["ai_operation", "record_integrity"],
        "uid": event.uid(), "log_name": event.origin, "sequence": event.index,
    })
}

/// The person or workload by pseudonym; the gateway itself where an entry is about nobody.
fn actor(event: &Event) -> Value {
    match event.entry.subject.or_else(|| event.pseudonym(Class::Subject)) {
        Some(subject) => json!({ "user": { "uid": hex(&subject) } }),
        None => json!({ "app_name": "Exeat", "app_uid": event.origin }),
    }
}

/// The key by pseudonym: the record has no network addresses of callers.
fn source(event: &Event) -> Value {
    match event.pseudonym(Class::Key) {
        Some(key) => json!({ "uid": hex(&key) }),
        None => json!({ "name": event.origin }),
    }
}

fn api(event: &Event) -> Value {
    let entry = &event.entry;
    let operation = match (entry.kind, &entry.code) {
        (Kind::Admin | Kind::Registry | Kind::Snapshot, Some(code)) => code.clone(),
        (of, _) => kind(of).to_owned(),
    };
    let mut api = json!({ "operation": operation, "service": { "name": "Exeat", "uid": event.origin } });
    if let Some(call) = entry.call {
        put(&mut api, "request", Some(json!({ "uid": hex(&call) })));
    }
    let ended = entry.outcome.map(Outcome::name).or_else(|| (entry.kind == Kind::Refusal).then_some("refused"));
    if let Some(ended) = ended {
        let mut response = json!({ "message": ended });
        put(&mut response, "error", entry.code.clone());
        put(&mut api, "response", Some(response));
    }
    api
}

fn message_context(event: &Event) -> Value {
    let usage = event.entry.usage.unwrap_or_default();
    let total = usage.input_tokens.zip(usage.output_tokens).and_then(|(input, output)| input.checked_add(output));
    let mut context = json!({ "ai_role_id": ASSISTANT, "service": { "name": "Exeat", "uid": event.origin } });
    put(&mut context, "uid", event.entry.call.map(|call| hex(&call)));
    put(&mut context, "prompt_tokens", usage.input_tokens);
    put(&mut context, "completion_tokens", usage.output_tokens);
    put(&mut context, "total_tokens", total);
    context
}

/// The leaf hash: of the entry's exact bytes, which are in `uid`, so that a receipt for it can be checked from here.
fn attestation(event: &Event) -> Value {
    json!({
        "uid": STANDARD.encode(&event.leaf), "authority_uid": event.origin, "chain_uid": event.origin,
        "fingerprint": {
            "algorithm_id": SHA_256, "algorithm": "SHA-256", "encoding_id": HEXADECIMAL, "encoding": "Hex",
            "serialization_id": OTHER, "serialization": "entry of the log as a leaf (RFC 9162 section 2.1.1)",
            "value": hex(&event.leaf_hash()),
        },
    })
}

/// Sets a member, where there is something to set.
fn put<T: Into<Value>>(object: &mut Value, name: &str, value: Option<T>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use proof::{entry::Entry, tree::leaf_hash};

    use super::*;
    use crate::event::tests::{about_a_call, close, event};

    #[test]
    fn a_close_says_who_used_how_many_tokens_of_which_model() {
        let shown = api_activity(&event(&close()));
        assert_eq!((&shown["class_uid"], &shown["type_uid"]), (&json!(6_003), &json!(600_399)));
        assert_eq!(shown["actor"]["user"]["uid"], "01".repeat(16));
        assert_eq!(shown["src_endpoint"]["uid"], "02".repeat(16));
        assert_eq!(shown["ai_model"]["name"], "ember-2");
        let context = &shown["message_context"];
        assert_eq!((&context["prompt_tokens"], &context["total_tokens"]), (&json!(120), &json!(1_620)));
        assert_eq!((&shown["status"], &shown["severity_id"]), (&json!("Success"), &json!(1)));
    }

    #[test]
    fn the_fingerprint_is_the_leaf_hash_and_the_entry_lies_beside_it() {
        let entry = close();
        let shown = api_activity(&event(&entry));
        let attestation = &shown["attestation_list"][0];
        let leaf = STANDARD.decode(attestation["uid"].as_str().unwrap()).unwrap();
        assert_eq!(leaf, entry.encode().unwrap());
        assert_eq!(attestation["fingerprint"]["value"], hex(&leaf_hash(&leaf)));
    }

    #[test]
    fn a_refusal_and_a_cut_are_failures_and_one_is_worse() {
        let mut refusal = about_a_call(Kind::Refusal);
        refusal.code = Some("clearance_required".to_owned());
        let shown = api_activity(&event(&refusal));
        assert_eq!((&shown["status"], &shown["severity"]), (&json!("Failure"), &json!("Low")));
        assert_eq!(shown["api"]["response"], json!({ "message": "refused", "error": "clearance_required" }));
        let cut = Entry { outcome: Some(Outcome::Cut), ..close() };
        let shown = api_activity(&event(&cut));
        assert_eq!((&shown["status"], &shown["severity"]), (&json!("Failure"), &json!("Medium")));
    }

    #[test]
    fn what_an_administrator_did_is_an_update_by_the_gateway() {
        let entry = Entry { code: Some("directive.apply".to_owned()), ..Entry::new(Kind::Admin) };
        let shown = api_activity(&event(&entry));
        assert_eq!(
            (&shown["activity_name"], &shown["api"]["operation"]),
            (&json!("Update"), &json!("directive.apply"))
        );
        assert_eq!(shown["actor"]["app_name"], "Exeat");
        assert_eq!(shown.get("ai_model"), None);
    }
}
