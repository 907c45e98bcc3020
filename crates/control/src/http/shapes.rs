//! The schemas of what the API answers, derived from one example each.
//!
//! The integration tests hold every answer they get against these schemas.

use serde_json::{Value, json};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{Array, ArrayBuilder, ObjectBuilder},
};

use crate::schema::{anything, like, or_null, reference, with};

/// Returns every schema of an answer that is not derived from a type, by name.
pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
    let mut all = Vec::new();
    let examples = things().into_iter().map(|(name, example)| (name, like(&example)));
    for (name, schema) in examples.chain(desk()) {
        all.push((name.to_owned(), schema.into()));
        all.push((format!("{name}List"), list(name)));
        all.push((format!("{name}Changed"), changed(name, false)));
        all.push((format!("{name}Minted"), changed(name, true)));
    }
    let alone = alone().into_iter().chain(super::ask::shapes());
    all.extend(alone.map(|(name, example)| (name.to_owned(), like(&example).into())));
    all
}

fn list(name: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(reference(name)))
        .required("items")
        .property("next", like(&Value::Null))
        .required("next");
    Schema::Object(object.build()).into()
}

fn changed(name: &str, with_key: bool) -> RefOr<Schema> {
    let object = ObjectBuilder::new()
        .property("receipt", like(&json!(1)))
        .required("receipt")
        .property("effect", reference("Effect"))
        .required("effect")
        .property("item", reference(name))
        .required("item");
    let object = match with_key {
        true => object.property("key", like(&Value::Null)).required("key"),
        false => object,
    };
    Schema::Object(object.build()).into()
}

const MOMENT: &str = "2026-06-12T21:21:00Z";

/// What is shown alone, in lists, and with a receipt.
fn things() -> Vec<(&'static str, Value)> {
    let status = json!({ "held": true, "attestation": attestation() });
    vec![
        ("Organization", organization()),
        ("Person", person()),
        ("Workload", workload()),
        ("Attestation", attestation()),
        ("AttestationStatus", status),
        ("Affiliation", affiliation()),
        ("AdminToken", token()),
        ("Approver", approver()),
        ("Erased", json!({ "subject": "person:ada", "epoch": 8104, "destroyed": true })),
        ("Produced", json!({ "id": "production-1", "custody": 7, "heads": 8, "size": 9 })),
    ]
}

/// What the directive desk shows: here some things may be absent that are more than text.
fn desk() -> Vec<(&'static str, Schema)> {
    let instrument = json!({
        "id": "DIR-2026-06-12", "version": 1, "applied": true, "entry": 7, "document": {}, "proposer": null,
        "approvals": [approval()],
    });
    let change = json!({ "path": "/models/families", "meaning": "model_family_added", "bearing": "narrows" });
    let change = ["old", "new"].into_iter().fold(like(&change), |change, name| with(change, name, anything()));
    let notices = like(&json!([{ "at": "DIR-2026-06-12", "why": "consider" }]));
    let placed = with(with(like(&instrument), "notices", notices), "changes", Schema::Array(Array::new(change)));
    vec![
        ("Key", with(like(&key()), "confirmation", or_null(like(&json!({ "x5t#S256?": "", "jkt?": "" }))))),
        ("Production", with(like(&production()), "custody", anything())),
        ("Hold", hold()),
        ("Instrument", with(like(&instrument), "break_glass", or_null(break_glass()))),
        ("Placed", with(placed, "break_glass", or_null(break_glass()))),
    ]
}

fn hold() -> Schema {
    let hold = json!({
        "id": "hold-1", "authority": "BIS, by letter", "placed_by": "token:0123", "placed_at": MOMENT,
    });
    let released = json!({ "by": "token:0123", "at": MOMENT, "authorization": "BIS, letter of 2032-01-02" });
    with(with(like(&hold), "scope", anything()), "released", or_null(like(&released)))
}

fn break_glass() -> Schema {
    let glass = json!({
        "kind": "directive", "id": "DIR-2026-06-12", "version": 1, "actor": "token:0123", "reason": "it is urgent",
        "opened_at": MOMENT, "until": MOMENT,
    });
    let ended = or_null(like(&json!({ "at": MOMENT, "why": "approved" })));
    with(with(like(&glass), "ended", ended), "restore", or_null(like(&json!({}))))
}

/// What is shown only alone.
fn alone() -> Vec<(&'static str, Value)> {
    let effect = json!({ "examined": 0, "recalled": 0 });
    let snapshot = json!({
        "digest": "00", "receipt": 3, "document": {},
        "notices": [{ "at": "DIR-2026-06-12", "why": "consider" }],
    });
    vec![
        ("SourceKinds", json!({ "kinds": ["token_issuer"] })),
        ("Sources", json!({ "kind": "token_issuer", "items": [{}] })),
        ("SourcePlaced", json!({ "item": {}, "secret": null })),
        ("SourceRemoved", json!({ "kind": "token_issuer", "removed": "northgate-idp" })),
        ("Channels", json!({ "items": [channel()] })),
        ("Review", review()),
        ("Reviews", json!({ "items": [review()] })),
        ("InstrumentVersions", json!({ "versions": [{}] })),
        ("SnapshotInForce", snapshot),
        ("Models", json!({ "models": [{}], "aliases": [{}] })),
        ("Whoami", json!({ "actor": "token:0123", "role": "auditor" })),
        ("Reloaded", json!({ "effect": effect })),
        (
            "PlanState",
            json!({
                "id": 1, "state": "running", "step": "planning", "done": 0, "total": 0, "failure": null, "plan": null,
            }),
        ),
        ("Receipt", json!({ "index": 7, "leaf": "AA==", "proof": "" })),
    ]
}

fn organization() -> Value {
    json!({
        "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us",
        "screening": "cleared", "coverage": "none", "resells": false,
        "headquarters?": "US", "ties?": [{ "to": "northgate-grid", "kind": "branch" }],
    })
}

fn person() -> Value {
    json!({
        "id": "ada", "display_name": "Ada", "screening": "cleared", "active": true,
        "attestations": [attestation()], "affiliations": [affiliation()], "accounts?": [account()],
    })
}

fn account() -> Value {
    json!({
        "channel": "larkspur-hr", "subject": "4711", "organization": null, "state": "active", "sessions_end?": MOMENT,
    })
}

fn workload() -> Value {
    json!({
        "id": "nightly", "purpose": "summaries", "organization": "larkspur-labs",
        "owners": ["ada"], "recipients": ["ada"], "active": true,
    })
}

fn attestation() -> Value {
    json!({
        "id": "att-1", "person": "ada", "claim": {}, "issuer": "proofing-desk",
        "evidence": "case 1", "assurance": "ial2", "issued_at": MOMENT, "expires_at": MOMENT,
        "supersedes": null, "means?": "document", "fresh_until?": MOMENT, "channel?": "proofing",
    })
}

fn affiliation() -> Value {
    json!({
        "id": "aff-1", "person": "ada", "organization": "larkspur-labs", "engagement": "employee",
        "issuer": "larkspur-hr", "evidence": "roster", "attested_at": MOMENT, "ends_at": MOMENT, "channel?": "larkspur-hr",
    })
}

fn key() -> Value {
    json!({
        "id": "0123456789abcdef", "holder": {}, "organization": null, "created_at": MOMENT,
        "expires_at": MOMENT, "revoked_at": null, "end_use": null,
    })
}

fn channel() -> Value {
    json!({
        "id": "northgate-hr", "kind": "scim", "organization": null, "issuer": null, "heard_at": MOMENT, "interval_s": 2400,
        "grace_s": 2400, "enabled": true, "freshness": "fresh", "fresh_until": null, "stale_at": null,
    })
}

fn review() -> Value {
    json!({ "id": "rev-1", "person?": null, "what": "two sources disagree", "opened_at": MOMENT, "closed_at?": null })
}

fn approver() -> Value {
    json!({
        "id": "iris", "role": "counsel", "public_key": "AAAA", "created_at": MOMENT, "revoked_at": null,
    })
}

fn production() -> Value {
    json!({
        "id": "production-1", "requester": "token:0123", "reason": "letter of June 30", "requested_at": MOMENT,
        "selection": {
            "class": "organization", "name": "organization:larkspur-labs", "model": null, "from": MOMENT, "to": MOMENT,
            "disclose": ["facts"],
        },
        "approvals": [approval()],
    })
}

fn approval() -> Value {
    json!({
        "act": {
            "type": "approval/v1", "act": "apply", "kind": "directive", "id": "DIR-2026-06-12", "version": 1,
            "document_sha256": "00", "valid_until": MOMENT,
        },
        "approver": "iris", "role": "counsel", "public_key": "AAAA", "jws": "h..s", "at": MOMENT,
    })
}

fn token() -> Value {
    json!({
        "id": "0123456789abcdef", "role": "registrar", "label": "people desk", "person": null,
        "created_at": MOMENT, "expires_at": MOMENT, "revoked_at": null,
    })
}
