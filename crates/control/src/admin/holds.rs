//! Legal holds: placed and released.

use terms::InstrumentId;

use super::{
    Changed, NewHold, NewRelease, Officer,
    checks::Checks,
    random_id,
    read::{Listed, Reader},
};
use crate::{Fault, Hold, hold::Release, record::Record, store::Page};

impl Officer<'_> {
    /// Places a hold: from now on nothing that it keeps can be erased.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming each wrong field, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn place_hold(&self, new: NewHold) -> Result<Changed<Hold>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let mut checks = Checks::default();
        checks.text(&new.authority, "authority");
        checks.finish()?;
        let id = random_id("hold")?.parse::<InstrumentId>();
        let hold = Hold {
            id: id.map_err(|error| Fault::invalid("id", error.to_string()))?,
            scope: new.scope,
            authority: new.authority,
            placed_by: self.admin.actor().name().to_owned(),
            placed_at: self.admin.now(),
            released: None,
        };
        self.admin.commit(&mut registry, "hold.place", Record::Hold(hold.clone()), hold)
    }

    /// Releases a hold on the agency's written authorization.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it was released already, [`Fault::Invalid`] without an authorization,
    /// [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn release_hold(&self, id: &InstrumentId, new: NewRelease) -> Result<Changed<Hold>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let hold = registry.store.hold(id)?.ok_or_else(|| Fault::not_found("hold", id))?;
        if let Some(release) = &hold.released {
            return Err(Fault::Conflict(format!("`{id}` was released at {}", release.at)));
        }
        let mut checks = Checks::default();
        checks.text(&new.authorization, "authorization");
        checks.finish()?;
        let by = self.admin.actor().name().to_owned();
        let released = Some(Release { by, at: self.admin.now(), authorization: new.authorization });
        let hold = Hold { released, ..hold };
        self.admin.commit(&mut registry, "hold.release", Record::Hold(hold.clone()), hold)
    }
}

impl Reader<'_> {
    pub(crate) fn holds(&self, page: Page) -> Result<Listed<Hold>, Fault> {
        self.listed(page, |store, page| store.holds(page), |hold| hold.id.as_str())
    }
}
