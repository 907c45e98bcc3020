//! Why nothing was proved at all.

use std::path::PathBuf;

/// Why nothing was proved at all: no property has a verdict that may be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// There is no solver to ask.
    #[error(
        "no solver: `{}`: {why}; NOTHING WAS PROVED. Install it (`apt install cvc5`) or name its path; \
         to go on without proofs takes an explicit override, which is recorded", solver.display()
    )]
    NoSolver {
        /// What was looked for.
        solver: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// The solver did not answer a question as everybody knows it must be answered.
    #[error(
        "the solver failed the canary `{canary}`: {why}; nothing it says is believed and NOTHING WAS PROVED. \
         Install another solver (`apt install cvc5`)"
    )]
    Canary {
        /// The question.
        canary: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// The rules of a snapshot cannot be read, or not as rules of this release.
    #[error("the rules of the snapshot cannot be read: {why}")]
    Rules {
        /// What is wrong.
        why: String,
    },
    /// The machine cannot run the prover.
    #[error("the prover cannot be run: {why}")]
    Machine {
        /// What is wrong.
        why: String,
    },
}

impl Fault {
    pub(crate) fn rules(why: impl std::fmt::Display) -> Self {
        Self::Rules { why: why.to_string() }
    }
}
