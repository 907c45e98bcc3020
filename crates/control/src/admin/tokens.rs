//! Admin tokens, which only root hands out.

use terms::KeyId;

use super::{Changed, NewToken, checks::Checks, keys::revoked};
use crate::{
    Admin, AdminToken, Fault, Role,
    control::{self, read},
    record::Record,
    token::TokenRecord,
};

/// What only root may do.
#[derive(Clone, Copy)]
pub struct Root<'a>(pub(super) &'a Admin<'a>);

/// A new admin token. The text is not stored anywhere: show it to its holder once.
#[derive(Clone, Debug)]
pub struct MintedToken {
    /// The whole token.
    pub token: AdminToken,
    pub(crate) changed: Changed<TokenRecord>,
}

impl Root<'_> {
    /// Mints an admin token with one role.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`], [`Fault::Random`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn mint_token(&self, new: NewToken) -> Result<MintedToken, Fault> {
        let mut registry = self.0.inner.registry()?;
        let mut checks = Checks::default();
        checks.text(&new.label, "label");
        checks.finish()?;
        let now = self.0.now();
        let expires_at = control::key_end(now, new.not_after, self.0.inner.key_life())?;
        let token = AdminToken::mint()?;
        let record = TokenRecord {
            id: token.id(),
            role: new.role,
            label: new.label,
            digest: self.0.inner.pepper.digest(token.text()),
            created_at: now,
            expires_at,
            revoked_at: None,
            person: new.person,
        };
        let change = Record::AdminToken(record.clone());
        let code = "admin_token.mint";
        let changed = self.0.commit(&mut registry, code, change, record)?;
        Ok(MintedToken { token, changed })
    }

    /// Revokes an admin token; its next request is refused.
    pub(crate) fn revoke_token(&self, id: &KeyId) -> Result<Changed<TokenRecord>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let now = self.0.now();
        let tokens = read(&self.0.inner.tokens).clone();
        let token = tokens.get(id).cloned();
        let token = token.ok_or_else(|| Fault::not_found("admin token", id))?;
        let revoked_at = Some(revoked(id, token.revoked_at, now)?);
        let mut others = tokens.values().filter(|other| other.id != *id);
        let is_root = |token: &TokenRecord| token.role == Role::Root && token.is_current(now);
        if is_root(&token) && !others.any(is_root) {
            let detail = "this is the last current root token: mint another one first";
            return Err(Fault::Conflict(detail.to_owned()));
        }
        let record = TokenRecord { revoked_at, ..token };
        let change = Record::AdminToken(record.clone());
        let code = "admin_token.revoke";
        self.0.commit(&mut registry, code, change, record)
    }
}
