//! What sources of word about people may change: several changes as one, recorded as one entry, in effect at once.
//!
//! [`Federation::commit`] is the only way in. The guard in [`guard`] holds whatever the caller decides: a signal only
//! removes, and a source of one organization touches nobody else's.

mod change;
mod ending;
mod guard;
mod happened;
mod view;

use std::sync::Arc;

use policy::FreshnessTable;
use terms::{ChannelId, Moment};

pub use change::{Document, FederatedChange, Review, Source};
pub use ending::{Ended, Ending};
pub use happened::{Cause, Happened, Happening};
pub use view::View;

use crate::{
    Actor, Control, Effect, Fault, Role,
    commit::{Act, Receipt},
    control::{Inner, Registry, read},
    record::{Heard, Record, SignalRecord},
};

/// The most changes that one commit may hold; what is more is split by the caller.
const CHANGES_MAX: usize = 512;
/// The longest name of a message, in bytes: a `jti` or the id of an event.
const MESSAGE_BYTES_MAX: usize = 512;

/// Changes that were made: durable, stored, and in effect on every live call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    /// The index of the ledger entry.
    pub index: u64,
    /// What they did to live calls.
    pub effect: Effect,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Once {
    /// It was new, and what it brings was done.
    Done(Committed),
    /// It was taken in before; nothing was done.
    Repeated {
        /// The index of the entry that took it in.
        index: u64,
    },
}

/// What sources of word about people may do. Cheap to clone.
///
/// Its methods block on the disk: call them from async code through a blocking thread.
#[derive(Clone)]
pub struct Federation(Arc<Inner>);

impl Control {
    /// Returns what sources of word about people may do.
    #[must_use]
    pub fn federation(&self) -> Federation {
        Federation(Arc::clone(&self.0))
    }
}

impl Federation {
    /// Returns the time of the server's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// Returns for how long evidence counts and channels may be silent.
    #[must_use]
    pub fn freshness(&self) -> Arc<FreshnessTable> {
        Arc::clone(&read(&self.0.freshness))
    }

    /// Reads the registry as it is, with nobody writing meanwhile; keep it short.
    ///
    /// # Errors
    ///
    /// What `look` returns.
    pub fn read<T>(&self, look: impl FnOnce(&View<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        look(&View::new(&self.0.peek().store, self.now()))
    }

    /// Makes the changes that `decide` returns, all or none: one ledger entry, one transaction, then the live calls that
    /// they touch are decided again. `decide` sees the registry as it is, and nobody writes before they are made.
    ///
    /// An empty list is recorded too: that a source said something about nobody here is part of the record.
    ///
    /// # Errors
    ///
    /// What `decide` returns; [`Fault::Forbidden`] is never among it: what the source may not change is
    /// [`Fault::Invalid`], naming each change. [`Fault::Unrecorded`]: nothing was changed, try again.
    /// [`Fault::Behind`]: it is on record and in effect, do not repeat it.
    pub fn commit(
        &self,
        source: &Source,
        decide: impl FnOnce(&View<'_>) -> Result<Vec<FederatedChange>, Fault>,
    ) -> Result<Committed, Fault> {
        let mut registry = self.0.registry()?;
        self.make(&mut registry, source, None, decide)
    }

    /// Like [`Federation::commit`], but a message of this name at this channel is taken in only once, for good.
    ///
    /// # Errors
    ///
    /// Those of [`Federation::commit`]; a message whose commit failed with anything but [`Fault::Behind`] was not taken
    /// in, and is to be sent again.
    pub fn commit_once(
        &self,
        source: &Source,
        (channel, message): (&ChannelId, &str),
        decide: impl FnOnce(&View<'_>) -> Result<Vec<FederatedChange>, Fault>,
    ) -> Result<Once, Fault> {
        if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
            let detail = format!("must be 1 to {MESSAGE_BYTES_MAX} bytes");
            return Err(Fault::invalid("message", detail));
        }
        let mut registry = self.0.registry()?;
        if let Some(index) = registry.store.message(channel, message)? {
            return Ok(Once::Repeated { index });
        }
        let named = Some((channel.clone(), message.to_owned()));
        self.make(&mut registry, source, named, decide).map(Once::Done)
    }

    /// Notes that a channel proved to be alive at `at`, durably. What rests on it counts for longer from now on.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such channel; [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn heard(&self, channel: &ChannelId, at: Moment) -> Result<(), Fault> {
        let mut registry = self.0.registry()?;
        let known = registry.store.channel(channel)?.ok_or_else(|| Fault::not_found("channel", channel))?;
        if known.heard_at >= at || at > self.now() {
            return Ok(());
        }
        let record = Record::Heard(Heard { channel: channel.clone(), at });
        let actor = actor(Some(channel));
        self.0.commit(&mut registry, Act::new(&actor, "channel.heard"), record).map(drop)
    }

    fn make(
        &self,
        registry: &mut Registry,
        source: &Source,
        message: Option<(ChannelId, String)>,
        decide: impl FnOnce(&View<'_>) -> Result<Vec<FederatedChange>, Fault>,
    ) -> Result<Committed, Fault> {
        let received_at = self.now();
        let view = View::new(&registry.store, received_at);
        let changes = decide(&view)?;
        if changes.len() > CHANGES_MAX {
            let detail = format!("must be at most {CHANGES_MAX} changes: split them");
            return Err(Fault::invalid("changes", detail));
        }
        guard::check(&view, source, &changes)?;
        let records = changes.into_iter().map(|change| change.record(&view)).collect::<Result<Vec<_>, _>>()?;
        let record = Record::Signal(SignalRecord {
            channel: source.channel.clone(),
            message,
            caused_by: source.caused_by.clone(),
            received_at,
            changes: records.into_iter().flatten().collect(),
        });
        let actor = actor(source.channel.as_ref());
        let Receipt { index, effect } = self.0.commit(registry, Act::new(&actor, source.code), record)?;
        Ok(Committed { index, effect })
    }
}

impl std::fmt::Debug for Federation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Federation").finish_non_exhaustive()
    }
}

fn actor(channel: Option<&ChannelId>) -> Actor {
    match channel {
        Some(channel) => Actor::channel(channel),
        None => Actor::process("federation", Role::Registrar),
    }
}
