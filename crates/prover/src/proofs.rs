//! What came of it: one verdict for each property, to be kept with the record of the change.

use std::collections::BTreeMap;

use policy::Facts;
use serde::{Deserialize, Serialize};

/// What was asked about a snapshot, of which solver, and what it answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Proofs {
    /// The solver.
    pub solver: SolverIdentity,
    /// The SHA-256 of the snapshot that was in force before, in hexadecimal; none if there was none.
    pub before: Option<String>,
    /// The SHA-256 of the snapshot that the properties are about, in hexadecimal.
    pub after: String,
    /// Questions with known answers, asked first of each solver process; all were answered rightly.
    pub canaries: Vec<Canary>,
    /// The properties, in order of id and of what they are about.
    pub properties: Vec<Property>,
}

impl Proofs {
    /// Returns true if every property was proved.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.open().next().is_none()
    }

    /// Returns the properties that were refuted, or for which no proof was found.
    pub fn open(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| !property.verdict.is_proved())
    }
}

/// Which program answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SolverIdentity {
    /// The name of its file.
    pub name: String,
    /// What it says of its version, one line; empty if it says nothing.
    pub version: String,
    /// The SHA-256 of its file, in hexadecimal; the libraries it loads are not covered.
    pub sha256: String,
}

/// A question with a known answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// What it claims.
    pub claim: String,
    /// Whether the claim holds; the solver agreed.
    pub holds: bool,
}

/// One property of a snapshot, and whether it was proved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Its short name, such as `I1`; the same in every release.
    pub id: String,
    /// What it says, in one sentence.
    pub title: String,
    /// The instrument, gate or rules it is about.
    pub about: String,
    /// Whether it was proved.
    pub verdict: Verdict,
    /// How many questions were put to the solver; 0 if the claim was plain without it.
    pub asked: u32,
    /// The SHA-256 of everything written to the solver for it, in hexadecimal.
    pub smt_sha256: String,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// Whether a property was proved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// It holds for everybody.
    Proved {
        /// What exactly was found, such as `narrows` or `widens only through LTR-2026-06-26`.
        finding: String,
        /// Somebody whom a change lets through, where it lets anybody through.
        example: Option<Box<Example>>,
    },
    /// It does not hold; here is somebody for whom it does not.
    Refuted {
        /// Who.
        counterexample: Box<Example>,
    },
    /// It does not hold for a reason that needs no person, or no proof was found.
    Failed {
        /// The reason.
        why: String,
    },
}

impl Verdict {
    /// Returns true if the property holds for everybody.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        matches!(self, Self::Proved { .. })
    }

    pub(crate) fn proved(finding: impl Into<String>) -> Self {
        Self::Proved { finding: finding.into(), example: None }
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }
}

/// An invented person or caller that the solver found, and what the real rules say of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Who it is, in words.
    pub description: String,
    /// The question that the solver found, by the names of the rules' context.
    pub context: BTreeMap<String, String>,
    /// Facts about an invented person that lead to this question; none if no facts of this snapshot can.
    pub facts: Option<Box<Facts>>,
    /// What of the question the facts do not carry; empty if they carry all of it.
    pub not_carried: Vec<String>,
    /// What the policy engine says when asked the very question.
    pub cedar: Answer,
    /// What the decision function says of the invented person; none without facts.
    pub decide: Option<Answer>,
    /// What the decision function says of them under the snapshot before, where the two are compared.
    pub before: Option<Answer>,
    /// True if both permit what the property says must not be permitted.
    pub confirmed: bool,
}

/// What was answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Permitted, on these bases.
    Permits {
        /// The policies, or the legal bases.
        by: Vec<String>,
    },
    /// Not permitted.
    Refuses {
        /// Why, in one sentence.
        why: String,
    },
    /// A policy could not be evaluated.
    Errs {
        /// Which, and why.
        why: String,
    },
}

impl Answer {
    /// Returns true if it was permitted.
    #[must_use]
    pub fn permits(&self) -> bool {
        matches!(self, Self::Permits { .. })
    }
}
