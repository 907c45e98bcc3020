//! Why a checkpoint is not cosigned, in the terms of the protocol.

use std::io;

use proof::walk::BadLeaf;

/// Nothing was cosigned and nothing was remembered, except after [`Refusal::Io`].
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not a request of the protocol (400).
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// No known log has this origin (404).
    #[error("the origin of the checkpoint is not that of a known log")]
    UnknownLog,
    /// No trusted key of the log signed the checkpoint, or a signature of one is not its own (403).
    #[error("the checkpoint is not signed by the log, or a signature does not match")]
    Unsigned,
    /// The latest cosigned checkpoint has another size than the request says (409).
    #[error("the latest cosigned checkpoint has {0} entries")]
    Conflict(u64),
    /// The checkpoint does not extend the latest one (422).
    #[error("the checkpoint is not consistent with the latest: {0}")]
    Inconsistent(&'static str),
    /// A leaf before the checkpoint contradicts those before it: a link, a time, or where a heads entry says that the
    /// chains stand (422). No larger checkpoint of this log will be cosigned either.
    #[error("the log contradicts itself at {0}")]
    Contradicts(BadLeaf),
    /// As many uploads of this log are under way as may be (503).
    #[error("too many uploads of this log are under way: try again")]
    Busy,
    /// The leaves of the log are still being held against each other, and so many were; the entries of the upload are kept
    /// (503).
    #[error("the entries are kept, and the leaves of the log are looked at: {0} were so far; try again")]
    Walking(u64),
    /// The checkpoint could not be remembered; whether it was is found out before the next one (500).
    #[error("the checkpoint could not be made durable")]
    Io(#[source] io::Error),
}

impl Refusal {
    /// Returns the HTTP status that the protocol gives it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent(_) | Self::Contradicts(_) => 422,
            Self::Io(_) => 500,
            Self::Busy | Self::Walking(_) => 503,
        }
    }
}
