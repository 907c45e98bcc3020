//! What is shown of the record, and to whom? Writes productions: one chain of a log, complete, with nothing of any other.
//!
//! A production is written from the files of a log in two passes, beside a running server or without one. The first,
//! [`Survey`], finds what belongs to it; the second, [`write_entries`], writes it. What the survey found is kept in a file
//! beside the folder, and so is which steps are done: a writer that is interrupted goes on with the step that it was in,
//! from the beginning of that step.
//!
//! `docs/log-format.md`, section 10, says what is in the folder.

mod act;
mod ahead;
mod entries;
mod files;
pub mod fuzzing;
mod hours;
mod json;
mod leaves;
mod manifest;
mod names;
mod places;
mod step;
mod survey;

pub use act::Act;
pub use entries::{Written, write_entries};
pub use files::{Folder, sha256_hex};
pub use manifest::manifest;
pub use step::Step;
pub use survey::{Hour, Show, Survey};

use ledger::LookupError;

/// What reports how far a pass has come.
pub trait Progress {
    /// Is told after each entry that `done` of `total` were looked at.
    fn entries(&mut self, done: u64, total: u64);
}

impl Progress for () {
    fn entries(&mut self, _: u64, _: u64) {}
}

/// A production cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The log cannot be read.
    #[error("cannot read the log: {0}")]
    Log(#[from] LookupError),
    /// A file cannot be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// There is something under the name of the folder.
    #[error("`{0}` is there already: name a folder that is not")]
    There(String),
    /// There is a folder that is not whole, and not of this production.
    #[error("`{0}` is of another production, or nothing says of which: remove it, or name another folder")]
    Left(String),
    /// A file lies in the folder that no step wrote.
    #[error("`{0}` was not written by this program: remove it, nothing was signed")]
    Foreign(String),
    /// A file in the folder is not what was written.
    #[error("`{0}` changed since it was written: remove the folder and begin anew, nothing was signed")]
    Changed(String),
    /// The entry is not one that records a production, in words.
    #[error("entry {0} does not record a production: {1}")]
    Act(u64, String),
    /// No heads entry was written since the end of the time.
    #[error(
        "the log has not written down where its chains stand since {0}: it does so every hour, when it stops, and when `exeat ledger produce` asks a server"
    )]
    NoHeads(terms::Moment),
    /// The log contradicts itself.
    #[error("entry {0} contradicts the entries before it: {1}")]
    Contradiction(u64, &'static str),
}
