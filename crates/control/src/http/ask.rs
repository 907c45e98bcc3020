//! Why a call was answered as it was, and what was in force when, over HTTP.

use axum::response::Response;
use serde_json::{Value, json};
use terms::CallId;

use super::call::{Answer, Call};
use crate::{
    Fault, FieldFault,
    admin::{Area, Question, When},
};

/// Where to look for a call.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EntryQuery {
    /// The index of an entry of the call, for calls further back than the last 1,048,576 entries.
    entry: Option<u64>,
}

/// Explains a recorded call: why it was answered as it was, how it ended, and what would be decided now.
#[utoipa::path(
    get,
    path = "/admin/v1/calls/{call}/explanation",
    tag = "history",
    params(("call" = String, Path, description = "The id of the call, or the index of one of its entries."), EntryQuery),
    responses((status = 200, body = ref("#/components/schemas/CallExplanation"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn explain_call(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::History)?;
        let entry = sent.query::<EntryQuery>()?.entry;
        let named: String = sent.param("call")?;
        let (call, entry) = match named.parse::<u64>() {
            Ok(index) if named.len() < 20 => (None, Some(entry.unwrap_or(index))),
            _ => (Some(call_id(&named)?), entry),
        };
        Answer::ok(&reader.explain_call(call, entry)?)
    })
    .await
}

fn call_id(text: &str) -> Result<CallId, Fault> {
    CallId::parse(text).map_err(|error| Fault::Malformed(FieldFault::new("call", error.to_string())))
}

/// Answers what would be decided about a person or a key, as of one time and as known at another. Changes nothing.
#[utoipa::path(
    post,
    path = "/admin/v1/ask",
    tag = "history",
    request_body = Question,
    responses((status = 200, body = ref("#/components/schemas/Asked"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn ask(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::History)?;
        Answer::ok(&reader.ask(&sent.body::<Question>()?)?)
    })
    .await
}

/// Lists every version of every directive and license as of one time and as known at another: which govern, and why.
#[utoipa::path(
    get,
    path = "/admin/v1/instruments",
    tag = "history",
    params(When),
    responses((status = 200, body = ref("#/components/schemas/InstrumentsThen"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_instruments(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::History)?;
        Answer::ok(&reader.instruments_then(sent.query::<When>()?)?)
    })
    .await
}

const MOMENT: &str = "2026-06-12T21:21:00Z";

/// Returns an example of each answer, from which its schema is made.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let mut version = instrument();
    if let Some(fields) = version.as_object_mut() {
        fields.insert("reason".to_owned(), json!("in effect"));
    }
    let closed = json!({
        "entry": 9, "at": MOMENT, "outcome": "cut", "code": null, "explanation?": explanation(),
    });
    vec![
        (
            "CallExplanation",
            json!({
                "call": "00", "entry": 7, "kind": "refusal", "at": MOMENT, "agrees": true,
                "recorded": { "model": null, "code": null, "basis": ["base.screening"], "snapshot": "00" },
                "explanation": explanation(), "closed?": closed, "now?": explanation(),
            }),
        ),
        (
            "Asked",
            json!({
                "as_of": MOMENT, "known_at": MOMENT, "in_force": in_force(), "explanation": explanation(),
            }),
        ),
        ("InstrumentsThen", json!({ "as_of": MOMENT, "known_at": MOMENT, "in_force": in_force(), "items": [version] })),
    ]
}

fn in_force() -> Value {
    json!({ "entry": 3, "since": MOMENT, "epoch": 1, "digest": "00", "has_past": true })
}

fn instrument() -> Value {
    json!({
        "kind": "directive", "id": "DIR-2026-06-12", "version": 1, "status": "in_force", "status_since": MOMENT,
        "governs": true, "in_effect": true, "why": "in_effect", "from": MOMENT, "until": null,
    })
}

fn explanation() -> Value {
    json!({
        "at": MOMENT, "epoch": 1, "snapshot": "00", "requested": "mythos-5.0",
        "credential": {
            "id": "0123456789abcdef", "expires_at": MOMENT, "revoked": false, "organization": null, "end_use": null,
        },
        "tried": [{ "model": "mythos-5.0", "answer": answer(), "licenses": [license()], "nearest": [nearest()] }],
        "people": [person()],
        "organizations": [{
            "id": "larkspur-labs", "is_tenant": true, "known": true, "kind": null, "country": null,
            "headquarters": null, "screening": null, "coverage": null, "resells": false,
        }],
        "instruments": [instrument()],
        "rules": [{ "provision": "base.entity-ownership", "regime": "us-base", "in_force": true }],
    })
}

fn answer() -> Value {
    let provision = json!({
        "id": "base.screening", "effect": "forbids", "basis": "screening", "cite": null, "instrument": null,
        "version?": 1,
    });
    json!({
        "outcome": "hold", "code": null, "message": null, "basis": [provision], "denied_by": [provision],
        "remedies": ["attest_standing"], "flags": ["location_red_flag"], "obligations": ["strip_logprobs"], "valid_until": null,
        "ends_by": [{ "what": "expires", "about": "att-1" }],
    })
}

fn license() -> Value {
    json!({
        "under": "DIR-2026-06-12", "license": "LTR-2026-06-26", "version": 1, "person": "ada", "in_effect": true,
        "conditions": [{ "clause": "grantees", "met": true, "code": null, "remedy": null }], "permits": true,
    })
}

fn nearest() -> Value {
    json!({
        "steps": [{
            "what": "renew the attestation `att-1`", "who_can_give_it": "its issuer", "change": "renew_evidence",
            "end_use?": "u", "organization?": null, "person?": "ada", "attestation?": "att-1", "affiliation?": "aff-1",
            "credential?": "0123456789abcdef", "workload?": "nightly", "standings?": ["citizen"], "party?": "ada",
            "who?": "ada", "license?": "LTR-2026-06-26", "directive?": "DIR-2026-06-12", "at?": MOMENT,
            "family?": "mythos-5",
        }],
        "size": 3,
        "would_be": { "outcome": "permit", "model": "mythos-5.0", "code": null, "basis": ["base.published"] },
    })
}

fn person() -> Value {
    let evidence = json!({
        "id": "att-1", "claims": "us_person", "issuer": "proofing-desk", "assurance": "ial2", "issued_at": MOMENT,
        "age_seconds": 60, "counts_until": MOMENT, "counts": true, "why_not": null,
    });
    let affiliation = json!({
        "id": "aff-1", "organization": "larkspur-labs", "engagement": "employee", "issuer": "larkspur-hr",
        "attested_at": MOMENT, "ends_at": MOMENT, "current": true, "stale": false,
    });
    json!({
        "id": "ada", "active": true, "screening": "cleared", "affiliations": [affiliation],
        "readings": [{
            "under": null, "min_assurance": "ial2", "max_age_seconds?": 86_400, "standing": "us_person", "limb": null,
            "location": null, "nationality_ear?": ["CA"], "nationality_itar?": ["CA"], "evidence": [evidence],
        }],
    })
}
