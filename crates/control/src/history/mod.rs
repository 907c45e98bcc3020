//! What was known, and what was in force, at any moment since the log began; and why a recorded call was answered as it
//! was.
//!
//! Two times are kept apart. What is *known at* K is what the entries up to K say: the time of an entry is when the log
//! learned it. What holds *as of* T is what those entries say about T: `status_since`, `effective_at` and `valid` of
//! documents, `issued_at` and `expires_at` of evidence. What has no date of its own (screening, ownership, whether access
//! was withdrawn) counts from its entry; before its first entry, as that says. Configuration has no past: models, aliases
//! and tables are those of the snapshot in force at K.

mod calls;
mod facts;
mod in_force;
mod past;
mod scan;

use terms::Moment;

use crate::{Fault, control::Inner};

pub(crate) use calls::Explained;
pub(crate) use facts::{Known, gather};
pub(crate) use in_force::InForce;
pub(crate) use past::Past;

/// Answers questions about the past of one installation. Reads the ledger's files; blocks.
#[derive(Clone, Copy)]
pub(crate) struct History<'a> {
    inner: &'a Inner,
}

impl<'a> History<'a> {
    pub(crate) fn of(inner: &'a Inner) -> Self {
        Self { inner }
    }

    /// Checks that something can be known at a moment: the log had begun, and the moment is not to come.
    fn check_known_at(self, known_at: Moment) -> Result<(), Fault> {
        let began = scan::time_of(self.inner.ledger.stored(0)?)?;
        if known_at < began {
            let detail = format!("the log began at {began}, and nothing was known before: ask for that or later");
            return Err(Fault::invalid("known_at", detail));
        }
        let now = self.inner.clock.now();
        if known_at > now {
            let detail = format!("is in the future: it is {now}, and nobody knows what will be known");
            return Err(Fault::invalid("known_at", detail));
        }
        Ok(())
    }
}
