//! The commands, one file for each kind of thing.

pub(crate) mod admin;
pub(crate) mod approvers;
pub(crate) mod ask;
mod diff;
mod documents;
mod events;
pub(crate) mod evidence;
pub(crate) mod explained;
pub(crate) mod follower;
pub(crate) mod headlog;
mod holds;
pub(crate) mod instruments;
pub(crate) mod keys;
mod lake;
pub(crate) mod ledger;
pub(crate) mod meter;
pub(crate) mod parties;
pub(crate) mod plan;
mod produce;
pub(crate) mod productions;
mod query;
pub(crate) mod reconcile;
pub(crate) mod record;
pub(crate) mod schema;
pub(crate) mod setup;
mod sign;
pub(crate) mod sources;
mod timestamp;
pub(crate) mod witness;

use std::process::ExitCode;

use crate::{client::ClientError, config::Problems};

/// How the process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All done.
    Done,
    /// Refused, or something did not hold.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// The server could not be reached.
    Unreachable,
    /// A second signal asked to end now.
    Killed,
}

impl Exit {
    /// Returns how the process ends after `error`.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<Problems>() || matches!(error.downcast_ref(), Some(ClientError::Url(_))) {
            return Self::Usage;
        }
        match error.downcast_ref() {
            Some(ClientError::Unreachable { .. }) => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            // 128 + SIGINT, as shells report it.
            Exit::Killed => 130,
        })
    }
}
