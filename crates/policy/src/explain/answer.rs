//! One determination in words: the outcome, and what each provision says.

use serde::Serialize;
use terms::{ModelVersionId, Moment, ProvisionId};

use super::{
    ending::{self, Boundary},
    instruments::InstrumentVersion,
};
use crate::{Code, Determination, Directive, Facts, Flag, License, Remedy, Snapshot};

/// The four outcomes that an operator tells apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call may proceed.
    Permit,
    /// The call may proceed and somebody should look at it.
    PermitWithFlag,
    /// The call may not proceed until named evidence is there.
    Hold,
    /// The call may not proceed.
    Refuse,
}

impl Outcome {
    /// Returns the outcome of a determination.
    #[must_use]
    pub fn of(determination: &Determination) -> Self {
        match determination {
            Determination::Permit(permit) if permit.flags().is_empty() => Self::Permit,
            Determination::Permit(_) => Self::PermitWithFlag,
            Determination::Refuse(refusal) if refusal.is_hold() => Self::Hold,
            Determination::Refuse(_) => Self::Refuse,
        }
    }
}

/// One determination with what it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// The stable reason of a refusal or a hold.
    pub code: Option<Code>,
    /// The sentence that the caller is told; of a refusal or a hold.
    pub message: Option<String>,
    /// The legal bases of a permit.
    pub basis: Vec<ProvisionNote>,
    /// The provisions that refused; empty if nothing permitted and nothing forbade.
    pub denied_by: Vec<ProvisionNote>,
    /// What would clear a hold.
    pub remedies: Vec<Remedy>,
    /// What an operator should look at although the call may proceed.
    pub flags: Vec<Flag>,
    /// What a permit demands, in words.
    pub obligations: Vec<String>,
    /// The moment up to which time alone does not change the answer; absent if it never does.
    pub valid_until: Option<Moment>,
    /// What happens at that moment.
    pub ends_by: Vec<Boundary>,
}

/// A provision that decided, with what it says of itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ProvisionNote {
    /// Its id, as determinations and entries name it.
    pub id: ProvisionId,
    /// What it did: `permits`, `forbids`, `bars` (a directive's scope that nothing waived) or `requires` (a condition of
    /// a license that is not met).
    pub effect: &'static str,
    /// What it rests on, in words.
    pub basis: String,
    /// Where that stands.
    pub cite: Option<String>,
    /// The id of its instrument; absent for rules that need none.
    pub instrument: Option<String>,
    /// The version of its instrument that governs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl Answer {
    pub(super) fn of(
        snapshot: &Snapshot,
        facts: &Facts,
        instruments: &[InstrumentVersion],
        determination: &Determination,
    ) -> Self {
        let notes = |ids: &[ProvisionId]| ids.iter().map(|id| note(snapshot, instruments, id)).collect();
        let until = until(determination);
        let undecided = Self {
            outcome: Outcome::of(determination),
            code: None,
            message: None,
            basis: Vec::new(),
            denied_by: Vec::new(),
            remedies: Vec::new(),
            flags: Vec::new(),
            obligations: Vec::new(),
            valid_until: (until < Moment::MAX).then_some(until),
            ends_by: ending::at(snapshot, facts, until),
        };
        match determination {
            Determination::Permit(permit) => Self {
                basis: notes(permit.basis()),
                flags: permit.flags().to_vec(),
                obligations: permit.obligations().iter().map(spelled).collect(),
                ..undecided
            },
            Determination::Refuse(refusal) => Self {
                code: Some(refusal.code()),
                message: Some(refusal.message()),
                denied_by: notes(refusal.denied_by()),
                remedies: refusal.remedies().to_vec(),
                ..undecided
            },
        }
    }
}

/// Returns the moment up to which time alone does not change a determination.
pub(super) fn until(determination: &Determination) -> Moment {
    match determination {
        Determination::Permit(permit) => permit.valid_until(),
        Determination::Refuse(refusal) => refusal.valid_until(),
    }
}

/// Returns the model that a determination is about.
pub(super) fn model(determination: &Determination) -> &ModelVersionId {
    match determination {
        Determination::Permit(permit) => permit.model(),
        Determination::Refuse(refusal) => refusal.model(),
    }
}

/// Says what a provision that decided says: a policy of the rules, or a clause of an instrument.
fn note(snapshot: &Snapshot, instruments: &[InstrumentVersion], id: &ProvisionId) -> ProvisionNote {
    let (owner, clause) = id.as_str().rsplit_once('.').unwrap_or((id.as_str(), ""));
    let governing = instruments.iter().find(|version| version.id.as_str() == owner && version.governs);
    let version = governing.map(|version| version.version);
    let name = version.map_or_else(|| id.to_string(), |version| format!("{id}@{version}"));
    let instrument = governing.map(|version| version.id.to_string());
    let of = |effect, basis, cite| ProvisionNote { id: id.clone(), effect, basis, cite, instrument, version };
    if let Some(policy) = snapshot.rules().provision(&name) {
        let words = policy.basis.clone().unwrap_or_else(|| clause.replace('-', " "));
        return of(if policy.is_permit() { "permits" } else { "forbids" }, words, policy.cite.clone());
    }
    let document = snapshot.document();
    let is = |found: u32| version == Some(found);
    if let Some(directive) = document.directives.iter().find(|d| d.id().as_str() == owner && is(d.version())) {
        return of("bars", scope(directive, clause), Some(directive.cite()));
    }
    let license = document.licenses.iter().find(|l| l.id().as_str() == owner && is(l.version()));
    let cite = license.map(|license| format!("{} version {}", license.id(), license.version()));
    of("requires", license.map_or_else(String::new, |license| condition(license, clause)), cite)
}

/// Says what a scope of a directive bars.
fn scope(directive: &Directive, clause: &str) -> String {
    match clause {
        "person-scope" => format!("persons: {}", spelled(directive.person_scope())),
        "destination-scope" => format!("destinations: {}", spelled(directive.destination())),
        _ => format!("organizations: {}", spelled(directive.entity_scope())),
    }
}

/// Spells a part of a document as it is written there, without its punctuation: `deny foreign_person, unknown hold`.
fn spelled(part: &impl Serialize) -> String {
    let value = serde_json::to_value(part).unwrap_or_default();
    let word = |value: &serde_json::Value| value.to_string().replace('"', "");
    let fields = value.as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name} {}", word(value))).collect();
    if fields.is_empty() { word(&value) } else { fields.join(", ") }
}

/// Says what a clause of a license asks for.
fn condition(license: &License, clause: &str) -> String {
    let groups = |groups: &std::collections::BTreeSet<crate::CountryGroup>| {
        groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match clause {
        "beneficiaries" => match license.employee_scope() {
            Some(scope) => format!("reaches people of its grantees by the employee scope {}", spelled(&scope)),
            None => "reaches direct employees of its grantees; counsel has not ruled on others".to_owned(),
        },
        "territory" => format!(
            "is not good in [{}], and in [{}] counsel has not ruled",
            groups(license.excluded_groups()),
            groups(license.unsettled_groups())
        ),
        "nationality-exclude" => license
            .nationality_exclude()
            .map_or_else(String::new, |exclude| format!("leaves out nationals of [{}]", groups(&exclude.groups))),
        "end-uses" => {
            let named: Vec<&str> = license.end_uses().iter().map(terms::EndUse::as_str).collect();
            format!("is limited to the end uses [{}]", named.join(", "))
        }
        _ => {
            let caps = license.token_caps().map(|(tokens, per)| format!("{tokens} tokens per {}", per.as_str()));
            format!("is capped at {}", caps.collect::<Vec<_>>().join(" and "))
        }
    }
}
