//! What is shown: a report, and beside it what other parts of the program found out.

use policy::plan::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::Moment;

/// Everything that a rendered plan is made of. The same view gives the same bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct View {
    /// What would happen.
    pub(crate) report: Report,
    /// A few words that name the plan.
    pub(crate) title: String,
    /// What a prover found; the report's own short list is shown if this is absent.
    #[serde(default)]
    pub(crate) proofs: Option<ProofsView>,
    /// What calls of the past would have been answered.
    #[serde(default)]
    pub(crate) replay: Option<ReplayView>,
    /// The document that is planned.
    #[serde(default)]
    pub(crate) document: Option<Value>,
    /// What differs between the document now and then, field by field.
    #[serde(default)]
    pub(crate) changes: Vec<ChangeView>,
    /// Whether the report's signature was checked.
    #[serde(default)]
    pub(crate) signature: Option<SignatureView>,
    /// The command that makes the report again.
    #[serde(default)]
    pub(crate) command: Option<String>,
}

/// What a prover found, or that none was asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "prover", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ProofsView {
    /// No solver was there: nothing is proved.
    NoSolver {
        /// What to do to have one.
        why: String,
    },
    /// A solver answered.
    Solver {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// True if it found the faults that were planted to test it.
        canaries_ok: bool,
        /// One entry for each property.
        proofs: Vec<ProofView>,
    },
}

/// One property of the rules, for every possible caller.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofView {
    /// Names the property, such as `I1`.
    pub(crate) id: String,
    /// The property in one sentence.
    pub(crate) title: String,
    /// What it was asked of, such as an instrument or a model version.
    pub(crate) about: String,
    /// What the solver said.
    pub(crate) verdict: ProofVerdict,
    /// A caller for whom it does not hold, in one sentence.
    #[serde(default)]
    pub(crate) counterexample: Option<String>,
    /// What the decision function answers to that caller.
    #[serde(default)]
    pub(crate) replayed: Option<String>,
    /// How long the solver took, in microseconds.
    pub(crate) micros: u64,
    /// SHA-256 of the question as the solver read it, in hexadecimal digits.
    pub(crate) smt_sha256: String,
}

/// What a solver says of a property.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProofVerdict {
    /// It holds for every possible caller.
    Proved,
    /// There is a caller for whom it does not hold.
    Refuted,
    /// The solver did not answer; nothing is known.
    Failed,
}

/// What calls of the past would have been answered, had the new snapshot been in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayView {
    /// The begin of the window.
    pub(crate) from: Moment,
    /// The end of the window.
    pub(crate) to: Moment,
    /// Calls in the window that had been permitted.
    pub(crate) calls: u64,
    /// Tokens of these calls.
    pub(crate) tokens: u64,
    /// What they would have been answered.
    pub(crate) answers: ReplaySplit,
    /// By the code that would have been given; most calls first.
    pub(crate) by_code: Vec<ReplayRow>,
    /// By day (UTC), in order.
    pub(crate) by_day: Vec<ReplayRow>,
    /// By model version; most refused calls first.
    pub(crate) by_model: Vec<ReplayRow>,
    /// When the first call was made that would not have been permitted.
    #[serde(default)]
    pub(crate) first: Option<Moment>,
    /// When the last such call was made.
    #[serde(default)]
    pub(crate) last: Option<Moment>,
    /// Calls decided again in a second.
    pub(crate) calls_per_second: u64,
    /// Groups of calls that could not be decided again and are in no count.
    pub(crate) dropped_groups: u64,
}

/// How many calls of the past would have been permitted, held and refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaySplit {
    /// Permitted again.
    pub(crate) permitted: u64,
    /// Held for evidence.
    pub(crate) held: u64,
    /// Denied.
    pub(crate) refused: u64,
}

/// Calls of the past that have something in common.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRow {
    /// What they have in common: a code, a day or a model version.
    pub(crate) name: String,
    /// What they would have been answered.
    pub(crate) answers: ReplaySplit,
    /// Tokens of those that would not have been permitted.
    pub(crate) tokens_lost: u64,
}

/// One difference between two versions of a document.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeView {
    /// The place in the document, such as `person_scope.definition`.
    pub(crate) path: String,
    /// What the place means, in a few words.
    pub(crate) meaning: String,
    /// What is written now; absent if nothing.
    #[serde(default)]
    pub(crate) old: Option<String>,
    /// What would be written; absent if nothing.
    #[serde(default)]
    pub(crate) new: Option<String>,
    /// Whether fewer or more may use a model for it.
    pub(crate) effect: Effect,
}

/// What a difference does to the number of those who may.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// Fewer may.
    Narrows,
    /// More may.
    Widens,
    /// As many may.
    Neutral,
    /// It cannot be told from the document alone.
    Unknown,
}

/// Whether a signature was checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureView {
    /// Names the key.
    pub(crate) key: String,
    /// True if the signature is this key's and over this report.
    pub(crate) verified: bool,
}
