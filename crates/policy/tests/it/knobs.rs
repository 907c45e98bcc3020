//! Every field of an instrument that changes an answer, against the answers.
//!
//! The caller is always the same: a foreign person in the United States, directly employed by a grantee and calling
//! under its tenant, at three in the afternoon.

mod license;
mod refused;
mod scope;
mod time;

use std::sync::LazyLock;

use policy::{CompileFault, Determination, Directive, License, Snapshot, SnapshotDocument, decide};
use serde_json::{Value, json};
use testkit::cases::{self, Case};

pub(crate) const ORDER: &str = include_str!("../../../../examples/june-12.directive.json");
pub(crate) const ANNEX: &str = include_str!("../../../../examples/annex-a.license.json");
const KILL_SWITCH: &str = include_str!("../../../../examples/kill-switch.directive.json");
const LIFTING: &str = include_str!("../../../../examples/june-30-lifting.directive.json");
const STAY: &str = include_str!("../../../../examples/june-23-stay.directive.json");

/// Instruments and one call, as documents that a test edits.
#[derive(Clone)]
struct Desk {
    document: SnapshotDocument,
    directives: Vec<Value>,
    licenses: Vec<Value>,
    facts: Value,
}

impl Desk {
    /// Without any instrument.
    fn empty() -> Self {
        static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| cases::load(&cases::directory()).unwrap());
        let case = CASES.iter().find(|case| case.id == "E02").unwrap();
        let check = case.checks.iter().find(|check| check.stage == "before").unwrap();
        let facts = serde_json::to_value(&check.facts).unwrap();
        Self { document: check.document.clone(), directives: Vec::new(), licenses: Vec::new(), facts }
    }

    /// With an order of June 12 that `changes` fields of, at the top.
    fn ordered(changes: Value) -> Self {
        Self::empty().and(order(1, changes))
    }

    /// With the order of June 12, and an approval list that `changes` fields of.
    fn licensed(changes: Value) -> Self {
        Self::ordered(json!({})).under(edited(ANNEX, changes))
    }

    fn and(mut self, directive: Value) -> Self {
        self.directives.push(directive);
        self
    }

    fn under(mut self, license: Value) -> Self {
        self.licenses.push(license);
        self
    }

    fn at(mut self, time: &str) -> Self {
        self.facts["at"] = json!(format!("2026-06-29T{time}Z"));
        self
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.facts.pointer_mut(pointer).unwrap() = value;
        self
    }

    /// Says one more thing about the caller, with good and fresh evidence.
    fn said(mut self, claim: Value) -> Self {
        let all = self.facts.pointer_mut("/caller/person/attestations").unwrap().as_array_mut().unwrap();
        let mut one = all[0].clone();
        one["id"] = json!(format!("said-{}", all.len()));
        one["claim"] = claim;
        all.push(one);
        self
    }

    /// Makes the caller a citizen of the United States.
    fn citizen(self) -> Self {
        self.with("/caller/person/attestations/0/claim", json!({"kind": "us_person", "limb": "citizen"}))
    }

    /// Sets a field of an organization of the registry.
    fn organization(mut self, id: &str, field: &str, value: Value) -> Self {
        let all = self.facts["organizations"].as_array_mut().unwrap();
        all.iter_mut().find(|organization| organization["id"] == id).unwrap()[field] = value;
        self
    }

    /// Makes the caller work for an organization and call under its tenant.
    fn works_for(self, id: &str) -> Self {
        let at = self.with("/caller/person/affiliations/0/organization", json!(id));
        at.with("/credential/organization", json!(id))
    }

    fn compile(&self) -> Result<Snapshot, Vec<CompileFault>> {
        let mut document = self.document.clone();
        let directives = self.directives.iter().map(|json| Directive::parse(json.to_string().as_bytes()).unwrap());
        document.directives = directives.collect();
        let licenses = self.licenses.iter().map(|json| License::parse(json.to_string().as_bytes()).unwrap());
        document.licenses = licenses.collect();
        Snapshot::compile(document)
    }

    /// Returns every reason why the instruments do not compile, one a line.
    fn faults(&self) -> String {
        let faults = self.compile().map(drop).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn decide(&self) -> Determination {
        decide(&self.compile().unwrap(), &serde_json::from_value(self.facts.clone()).unwrap())
    }

    /// Decides, and writes the answer in one line.
    fn answer(&self) -> String {
        match self.decide() {
            Determination::Permit(permit) => {
                let basis: Vec<&str> = permit.basis().iter().map(terms::ProvisionId::as_str).collect();
                format!("permit {}", basis.join(" "))
            }
            Determination::Refuse(refusal) if refusal.is_hold() => {
                format!("hold {} {:?}", refusal.code().as_str(), refusal.remedies())
            }
            Determination::Refuse(refusal) => format!("deny {}", refusal.code().as_str()),
        }
    }

    /// Decides, and returns until when the answer holds.
    fn until(&self) -> String {
        match self.decide() {
            Determination::Permit(permit) => permit.valid_until().to_string(),
            Determination::Refuse(refusal) => refusal.valid_until().to_string(),
        }
    }

    /// Decides, and writes everything about the answer but which snapshot gave it.
    fn whole(&self) -> String {
        match self.decide() {
            Determination::Permit(permit) => {
                let (basis, flags) = (permit.basis(), permit.flags());
                format!("{} {basis:?} {flags:?} {:?} {}", permit.model(), permit.obligations(), permit.valid_until())
            }
            Determination::Refuse(refusal) => {
                let (code, by) = (refusal.code(), refusal.denied_by());
                format!("{} {code:?} {by:?} {:?} {}", refusal.model(), refusal.remedies(), refusal.valid_until())
            }
        }
    }
}

/// Returns a version of the order of June 12 with other fields at the top.
fn order(version: u32, changes: Value) -> Value {
    let mut order = edited(ORDER, json!({"version": version}));
    for field in ["actions", "comply_by"] {
        order.as_object_mut().unwrap().remove(field);
    }
    edited(&order.to_string(), changes)
}

pub(crate) fn edited(document: &str, changes: Value) -> Value {
    let mut document: Value = serde_json::from_str(document).unwrap();
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    document
}
