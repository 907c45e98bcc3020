//! Each license about each person, one condition at a time.

use serde::Serialize;
use terms::{InstrumentId, PersonId, ProvisionId};

use crate::{
    Code, Directive, Facts, License, Remedy, Snapshot,
    caller::{Caller, Subject},
    decide::Inquiry,
    rules::{Gate, Ruling},
    why::Finding,
};

/// One license under one directive, read for one person.
#[derive(Clone, Debug, Serialize)]
pub struct LicenseTest {
    /// The directive that it would waive.
    pub under: InstrumentId,
    /// The license.
    pub license: InstrumentId,
    /// Its version.
    pub version: u32,
    /// The person it was read for.
    pub person: PersonId,
    /// True if it is in effect now; if not, nothing of it was asked.
    pub in_effect: bool,
    /// Its conditions, each met or not.
    pub conditions: Vec<Condition>,
    /// True if the rules permit by it: exactly where it is in effect and every condition is met.
    pub permits: bool,
}

/// One condition of a license.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Condition {
    /// Which.
    pub clause: Clause,
    /// True if it is met.
    pub met: bool,
    /// The code that it would refuse with, if it is not met.
    pub code: Option<Code>,
    /// What would meet it; absent if nothing that can be shown would.
    pub remedy: Option<Remedy>,
}

/// A condition that a license can have.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// The person acts for one of its grantees, under that grantee's tenant where it binds the tenant.
    Grantees,
    /// They do so in a capacity that it reaches.
    Beneficiaries,
    /// Their standing is attested.
    Standing,
    /// They are in a country where it is good.
    Territory,
    /// They are no national of a country that it leaves out.
    NationalityExclude,
    /// The credential was made for one of its end uses.
    EndUses,
    /// Its caps on tokens are not used up.
    TokenCaps,
}

impl Clause {
    /// Returns the last part of the provision id under which a finding names it.
    fn provision(self) -> &'static str {
        match self {
            Self::Grantees => "grantees",
            Self::Beneficiaries | Self::Standing => "beneficiaries",
            Self::Territory => "territory",
            Self::NationalityExclude => "nationality-exclude",
            Self::EndUses => "end-uses",
            Self::TokenCaps => "conditions",
        }
    }
}

/// Reads every license that waives a directive in effect on `facts.model` for everybody who would receive the output.
pub(super) fn tested(snapshot: &Snapshot, facts: &Facts) -> Vec<LicenseTest> {
    let mut inquiry = Inquiry::begin(snapshot, facts);
    let caller = inquiry.caller();
    let mut tests = Vec::new();
    for (gate, directive) in inquiry.gates(&facts.model) {
        for subject in &caller.people {
            for place in &gate.licenses {
                let trial = Trial { gate, directive, caller: &caller, subject };
                tests.extend(trial.run(snapshot, &mut inquiry, *place));
            }
        }
    }
    tests
}

/// One person before one directive.
struct Trial<'a> {
    gate: &'a Gate,
    directive: &'a Directive,
    caller: &'a Caller<'a>,
    subject: &'a Subject<'a>,
}

impl Trial<'_> {
    fn run(&self, snapshot: &Snapshot, inquiry: &mut Inquiry<'_>, place: usize) -> Option<LicenseTest> {
        let license = snapshot.document().licenses.get(place)?;
        let in_effect = inquiry.is_valid(place, license);
        let mut question = inquiry.question(self.directive, self.caller, self.subject);
        let obstacles = inquiry.terms(self.gate, place, license, self.caller, self.subject, &mut question);
        let ruling = snapshot.rules().licensed(self.gate, place, &question);
        let permits = in_effect && matches!(ruling, Ok(Ruling::Permit(_)));
        let conditions = if in_effect { conditions(license, obstacles.as_deref()) } else { Vec::new() };
        Some(LicenseTest {
            under: self.directive.id().clone(),
            license: license.id().clone(),
            version: license.version(),
            person: self.subject.person.id.clone(),
            in_effect,
            conditions,
            permits,
        })
    }
}

/// Lists the conditions that a license has. What is not about the person at all fails at its grantees, and the rest was
/// not asked.
fn conditions(license: &License, obstacles: Option<&[Finding]>) -> Vec<Condition> {
    let Some(obstacles) = obstacles else {
        let code = Some(Code::LicenseConditionUnmet);
        return vec![Condition { clause: Clause::Grantees, met: false, code, remedy: None }];
    };
    let has = [
        (Clause::Grantees, true),
        (Clause::Beneficiaries, true),
        (Clause::Standing, true),
        (Clause::Territory, !license.excluded_groups().is_empty() || !license.unsettled_groups().is_empty()),
        (Clause::NationalityExclude, license.nationality_exclude().is_some()),
        (Clause::EndUses, !license.end_uses().is_empty()),
        (Clause::TokenCaps, license.token_caps().next().is_some()),
    ];
    has.into_iter().filter(|(_, has)| *has).map(|(clause, _)| condition(license, clause, obstacles)).collect()
}

fn condition(license: &License, clause: Clause, obstacles: &[Finding]) -> Condition {
    let by = ProvisionId::parse(&format!("{}.{}", license.id(), clause.provision())).ok();
    let is_standing = |found: &&Finding| found.code == Code::StandingUnattested;
    let against = obstacles.iter().filter(|found| found.by == by);
    let unmet = match clause {
        Clause::Standing => against.into_iter().find(is_standing),
        Clause::Beneficiaries => against.into_iter().find(|found| !is_standing(found)),
        _ => against.into_iter().next(),
    };
    Condition {
        clause,
        met: unmet.is_none(),
        code: unmet.map(|found| found.code),
        remedy: unmet.and_then(|found| found.remedies.first().copied()),
    }
}
