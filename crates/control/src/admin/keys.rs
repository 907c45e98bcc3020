//! API keys: minted once, shown once, revoked at any time.

use std::fmt;

use identity::{Holder, KeyRecord, KeyText};
use terms::{KeyId, Moment, OrganizationId};

use super::{Changed, NewKey, Registrar};
use crate::{Fault, control, record::Record, store::Store};

/// A new key. The text is not stored anywhere: show it to its holder once.
#[derive(Clone, Debug)]
pub struct Minted {
    /// Where the minting is recorded, and the key as it is stored.
    pub changed: Changed<KeyRecord>,
    /// The whole key.
    pub key: KeyText,
}

impl Registrar<'_> {
    /// Mints a key for a person, for a workload, or for nobody in particular.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming the fault, [`Fault::Random`], [`Fault::Unrecorded`], [`Fault::Behind`]: in the last
    /// case the key may exist, but nobody has its text; mint another.
    pub fn mint_key(&self, new: NewKey) -> Result<Minted, Fault> {
        let mut registry = self.0.inner.registry()?;
        let now = self.0.now();
        let organization = tenant(&registry.store, &new)?;
        let expires_at = control::key_end(now, new.not_after, self.0.inner.key_life())?;
        let key = KeyText::mint()?;
        let record = KeyRecord {
            id: key.id(),
            holder: new.holder,
            organization,
            digest: self.0.inner.pepper.digest(&key),
            created_at: now,
            expires_at,
            revoked_at: None,
            end_use: new.end_use,
            confirmation: new.confirmation.map(Into::into),
        };
        let change = Record::Key(record.clone());
        let changed = self.0.commit(&mut registry, "key.mint", change, record)?;
        Ok(Minted { changed, key })
    }

    /// Revokes a key; live calls under it have been recalled when this returns.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it is already revoked, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn revoke_key(&self, id: &KeyId) -> Result<Changed<KeyRecord>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let key = registry.store.key(id)?;
        let key = key.ok_or_else(|| Fault::not_found("key", id))?;
        let record = KeyRecord { revoked_at: Some(revoked(id, key.revoked_at, self.0.now())?), ..key };
        let change = Record::Key(record.clone());
        self.0.commit(&mut registry, "key.revoke", change, record)
    }
}

/// Returns the time of a first revocation.
pub(super) fn revoked(id: &impl fmt::Display, before: Option<Moment>, now: Moment) -> Result<Moment, Fault> {
    match before {
        Some(at) => Err(Fault::Conflict(format!("`{id}` was revoked at {at}"))),
        None => Ok(now),
    }
}

/// Returns the organization that a key belongs to, after checking that its holder may have one.
fn tenant(store: &Store, new: &NewKey) -> Result<Option<OrganizationId>, Fault> {
    if let Some(id) = &new.organization
        && store.organization(id)?.is_none()
    {
        let detail = "must be a registered organization: add it first";
        return Err(Fault::invalid("organization", detail));
    }
    match &new.holder {
        Holder::Shared => Ok(new.organization.clone()),
        Holder::Person { person } => {
            let active = store.person_record(person)?.is_some_and(|held| held.active);
            let detail = "must be a registered, active person";
            require(active, "holder.person", detail)?;
            Ok(new.organization.clone())
        }
        Holder::Workload { workload } => {
            let found = store.workload(workload)?.filter(|held| held.active);
            let detail = "must be a registered, active workload";
            let workload = found.ok_or_else(|| Fault::invalid("holder.workload", detail))?;
            let own = Some(workload.organization);
            let same = new.organization.is_none() || new.organization == own;
            require(same, "organization", "must be the workload's own, or absent")?;
            Ok(own)
        }
    }
}

fn require(holds: bool, field: &str, detail: &str) -> Result<(), Fault> {
    match holds {
        true => Ok(()),
        false => Err(Fault::invalid(field, detail)),
    }
}
