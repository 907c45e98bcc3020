//! The world of the demo: one lab, two people and what is attested about them. All invented.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use terms::{Clock, Moment, SystemClock};

use super::LAB;
use crate::commands::admin::{Admin, Call};

/// A caller of the demo.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// What to call them.
    pub(super) name: &'static str,
    /// Their API key.
    pub(super) key: String,
}

/// Who can call.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// A U.S. citizen, attested at IAL2, employed by the lab.
    pub(super) ada: Caller,
    /// A foreign person in the United States on H-1B status, employed by the lab.
    pub(super) minh: Caller,
    /// A key that belongs to nobody in particular.
    pub(super) shared: Caller,
}

impl World {
    /// Adds everybody through the admin API and mints three keys.
    ///
    /// # Errors
    ///
    /// What the admin API refused.
    pub(super) fn create(admin: &Admin) -> anyhow::Result<Self> {
        let now = SystemClock::default().now();
        admin.ask(&Call::post("/admin/v1/organizations", firm(LAB, "Larkspur Labs, Inc.")))?;
        for person in [ada(now), minh(now)] {
            for (path, body) in person {
                admin.ask(&Call::post(path, body))?;
            }
        }
        Ok(Self {
            ada: Caller { name: "ada", key: key(admin, &of_person("ada"))? },
            minh: Caller { name: "minh", key: key(admin, &of_person("minh"))? },
            shared: Caller { name: "shared", key: key(admin, &json!({ "holder": { "kind": "shared" } }))? },
        })
    }
}

/// Adds a person of another organization, whose calls are nobody's business but hers.
///
/// # Errors
///
/// What the admin API refused.
pub(super) fn elsewhere(admin: &Admin) -> anyhow::Result<Caller> {
    let now = SystemClock::default().now();
    admin.ask(&Call::post("/admin/v1/organizations", firm(ELSEWHERE, "Northgate Grid, Inc.")))?;
    let citizen = json!({ "kind": "us_person", "limb": "citizen" });
    for (path, body) in [
        (PEOPLE, json!({ "id": "noor", "display_name": "Noor A.", "screening": "cleared" })),
        (ATTESTATIONS, attested("noor", &citizen, "harbor-proofing", "proofing case 1043", now)),
        (ATTESTATIONS, located("noor", now)),
        (AFFILIATIONS, employed("noor", ELSEWHERE, now)),
    ] {
        admin.ask(&Call::post(path, body))?;
    }
    let holder = json!({ "holder": { "kind": "person", "person": "noor" }, "organization": ELSEWHERE });
    Ok(Caller { name: "noor", key: key(admin, &holder)? })
}

type Posts = Vec<(&'static str, Value)>;

/// Another organization than the lab.
const ELSEWHERE: &str = "northgate-grid";

const PEOPLE: &str = "/admin/v1/people";
const ATTESTATIONS: &str = "/admin/v1/attestations";
const AFFILIATIONS: &str = "/admin/v1/affiliations";

fn firm(id: &str, legal_name: &str) -> Value {
    json!({
        "id": id, "legal_name": legal_name, "country": "US", "kind": "us",
        "screening": "cleared", "coverage": "none", "resells": false,
    })
}

fn ada(now: Moment) -> Posts {
    let citizen = json!({ "kind": "us_person", "limb": "citizen" });
    vec![
        (PEOPLE, json!({ "id": "ada", "display_name": "Ada L.", "screening": "cleared" })),
        (ATTESTATIONS, attested("ada", &citizen, "harbor-proofing", "proofing case 1041", now)),
        (ATTESTATIONS, located("ada", now)),
        (AFFILIATIONS, employed("ada", LAB, now)),
    ]
}

fn minh(now: Moment) -> Posts {
    let foreign = json!({ "kind": "foreign_person" });
    let citizenship = json!({ "kind": "citizenship", "country": "VN", "from": null, "until": null });
    vec![
        (PEOPLE, json!({ "id": "minh", "display_name": "Minh T.", "screening": "cleared" })),
        (ATTESTATIONS, attested("minh", &foreign, "harbor-proofing", "proofing case 1042; H-1B, form I-797", now)),
        (ATTESTATIONS, attested("minh", &citizenship, "harbor-proofing", "proofing case 1042; passport", now)),
        (ATTESTATIONS, located("minh", now)),
        (AFFILIATIONS, employed("minh", LAB, now)),
    ]
}

fn attested(person: &str, claim: &Value, issuer: &str, evidence: &str, now: Moment) -> Value {
    json!({
        "person": person, "claim": claim, "issuer": issuer, "evidence": evidence, "assurance": "ial2",
        "issued_at": now.to_string(), "expires_at": in_a_year(now),
    })
}

fn located(person: &str, now: Moment) -> Value {
    let claim = json!({ "kind": "location", "country": "US", "method": "managed" });
    attested(person, &claim, "larkspur-it", "managed device at the Larkspur office", now)
}

fn employed(person: &str, organization: &str, now: Moment) -> Value {
    json!({
        "person": person, "organization": organization, "engagement": "employee", "issuer": "larkspur-hr",
        "evidence": "staff roster", "attested_at": now.to_string(), "ends_at": in_a_year(now),
    })
}

fn in_a_year(now: Moment) -> String {
    now.plus(Duration::from_hours(365 * 24)).to_string()
}

fn of_person(id: &str) -> Value {
    json!({ "holder": { "kind": "person", "person": id }, "organization": LAB })
}

fn key(admin: &Admin, body: &Value) -> anyhow::Result<String> {
    let minted = admin.ask(&Call::post("/admin/v1/keys", body.clone()))?;
    let key = minted.get("key").and_then(Value::as_str);
    key.map(str::to_owned).context("the admin API minted a key and did not show it")
}
