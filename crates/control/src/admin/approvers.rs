//! Approvers, whom only root registers.

use terms::PersonId;

use super::{Changed, NewApprover, Root, keys::revoked};
use crate::{Approver, Fault, record::Record, store::Page};

impl Root<'_> {
    /// Registers an approver, or a new key for one whose key was revoked.
    ///
    /// # Errors
    ///
    /// [`Fault::Conflict`] if the person has a key that is not revoked, [`Fault::Invalid`] if the key was ever another
    /// person's, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn add_approver(&self, new: NewApprover) -> Result<Changed<Approver>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let known = registry.store.approvers(&Page::ALL)?;
        if known.iter().any(|approver| approver.id == new.id && approver.revoked_at.is_none()) {
            let detail = format!("`{}` is an approver already: revoke the key that is registered first", new.id);
            return Err(Fault::Conflict(detail));
        }
        if known.iter().any(|approver| approver.public_key == new.public_key) {
            let detail = "is registered already: two approvals by one key are one approval, make another key";
            return Err(Fault::invalid("public_key", detail));
        }
        let approver = Approver {
            id: new.id,
            role: new.role,
            public_key: new.public_key,
            created_at: self.0.now(),
            revoked_at: None,
        };
        let record = Record::Approver(approver.clone());
        self.0.commit(&mut registry, "approver.add", record, approver)
    }

    /// Revokes an approver's key. What was signed with it and is not applied yet no longer counts.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Conflict`] if it is already revoked, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn revoke_approver(&self, id: &PersonId) -> Result<Changed<Approver>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let approver = registry.store.approver(id)?.ok_or_else(|| Fault::not_found("approver", id))?;
        let revoked_at = Some(revoked(id, approver.revoked_at, self.0.now())?);
        let approver = Approver { revoked_at, ..approver };
        let record = Record::Approver(approver.clone());
        self.0.commit(&mut registry, "approver.revoke", record, approver)
    }
}
