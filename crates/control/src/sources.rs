//! The seam to whoever speaks the protocols of the sources: what administrators set there, and what is asked of people.

use serde_json::{Value, json};
use terms::{Channel, Freshness, Moment};

use crate::{
    Admin, Fault,
    admin::Area,
    commit::Act,
    control::{Registry, read},
    federation::Review,
    record::Record,
    store::Page,
};

/// Settings of the sources of word about people, by kind: an issuer of tokens, a transmitter of events, a tenant's
/// directory. Its methods block on the disk.
pub trait Sources: Send + Sync {
    /// Returns every kind of setting, in order.
    fn kinds(&self) -> Vec<&'static str>;
    /// Sets one thing from its JSON, in place of what had its name.
    ///
    /// # Errors
    ///
    /// [`Fault`] naming what is wrong; nothing was changed.
    fn set(&self, kind: &str, json: &[u8]) -> Result<Placed, Fault>;
    /// Lists what is set of one kind, without secrets.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such kind; [`Fault::Store`].
    fn list(&self, kind: &str) -> Result<Vec<Value>, Fault>;
    /// Removes one thing; what rested on it establishes nothing from then on.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such kind or thing; [`Fault::Store`].
    fn remove(&self, kind: &str, id: &str) -> Result<(), Fault>;
}

/// A setting as it was placed.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The setting, without secrets.
    pub item: Value,
    /// What is told once and never again, such as a bearer token.
    pub secret: Option<String>,
}

/// A channel and how well it can be relied on now.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct ChannelState {
    #[serde(flatten)]
    channel: Channel,
    freshness: Freshness,
    fresh_until: Option<Moment>,
    stale_at: Option<Moment>,
}

impl ChannelState {
    fn of(channel: Channel, now: Moment) -> Self {
        let dated = |at: Moment| (at != Moment::MAX).then_some(at);
        Self {
            freshness: channel.freshness(now),
            fresh_until: dated(channel.fresh_until()),
            stale_at: dated(channel.stale_at()),
            channel,
        }
    }
}

impl Admin<'_> {
    /// Sets something of a source. A registrar may.
    pub(crate) fn set_source(&self, kind: &str, json: &[u8]) -> Result<Placed, Fault> {
        let _ = self.registrar()?;
        self.sources()?.set(kind, json)
    }

    /// Lists what is set of one kind.
    pub(crate) fn list_sources(&self, kind: &str) -> Result<Value, Fault> {
        let _ = self.reader(Area::Registry)?;
        Ok(json!({ "kind": kind, "items": self.sources()?.list(kind)? }))
    }

    /// Removes something of a source. A registrar may.
    pub(crate) fn remove_source(&self, kind: &str, id: &str) -> Result<(), Fault> {
        let _ = self.registrar()?;
        self.sources()?.remove(kind, id)
    }

    /// Lists the kinds of settings.
    pub(crate) fn source_kinds(&self) -> Result<Value, Fault> {
        let _ = self.reader(Area::Registry)?;
        Ok(json!({ "kinds": self.sources()?.kinds() }))
    }

    /// Lists every channel with how well it can be relied on.
    pub(crate) fn channels(&self) -> Result<Vec<ChannelState>, Fault> {
        let _ = self.reader(Area::Registry)?;
        let now = self.inner().clock.now();
        let channels = self.inner().peek().store.channels(&Page::ALL)?;
        Ok(channels.into_iter().map(|channel| ChannelState::of(channel, now)).collect())
    }

    /// Lists what a person must look at, and what was settled.
    pub(crate) fn reviews(&self, page: &Page) -> Result<Vec<Review>, Fault> {
        let _ = self.reader(Area::Registry)?;
        Ok(self.inner().peek().store.reviews(page)?)
    }

    /// Settles a review; returns it as it is then.
    pub(crate) fn close_review(&self, id: &str) -> Result<Review, Fault> {
        let _ = self.registrar()?;
        let mut registry = self.inner().registry()?;
        let review = registry.store.review(id)?.ok_or_else(|| Fault::not_found("review", id))?;
        if review.closed_at.is_some() {
            return Err(Fault::Conflict(format!("review `{id}` is settled already")));
        }
        let closed = Review { closed_at: Some(self.inner().clock.now()), ..review };
        self.record_review(&mut registry, closed)
    }

    fn record_review(&self, registry: &mut Registry, review: Review) -> Result<Review, Fault> {
        let act = Act::new(self.actor(), "review.close");
        self.inner().commit(registry, act, Record::Review(review.clone()))?;
        Ok(review)
    }

    fn sources(&self) -> Result<std::sync::Arc<dyn Sources>, Fault> {
        let sources = read(&self.inner().sources).clone();
        sources.ok_or(Fault::NotOffered("this server has no `[federation]` in its configuration"))
    }
}
