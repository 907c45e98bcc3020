//! Who may administer: roles, tokens, and the actor that a token stands for.

use std::fmt;

use identity::{KeyText, Purpose};
use terms::{KeyId, Moment, PersonId};

/// What an administrator may do. `Root` may do everything; the others are disjoint but for reading.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, and the only one who mints admin tokens.
    Root,
    /// People, organizations, workloads, attestations, affiliations and keys.
    Registrar,
    /// Directives and licenses.
    Officer,
    /// Reads everything, changes nothing.
    Auditor,
    /// Health, models and reload.
    Operator,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 5] = [Self::Root, Self::Registrar, Self::Officer, Self::Auditor, Self::Operator];

    /// Returns the role as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Registrar => "registrar",
            Self::Officer => "officer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A new admin token in clear: to be shown once. Zeroized when dropped, never printed.
#[derive(Clone, Debug)]
pub struct AdminToken(KeyText);

impl AdminToken {
    pub(crate) fn mint() -> Result<Self, getrandom::Error> {
        KeyText::mint_for(Purpose::Admin).map(Self)
    }

    pub(crate) fn text(&self) -> &KeyText {
        &self.0
    }

    /// Returns the token's public id, under which it is listed and revoked.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// Returns the whole token, for `Authorization: Bearer`.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// A token as it is stored: everything but the secret.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRecord {
    pub(crate) id: KeyId,
    pub(crate) role: Role,
    pub(crate) label: String,
    pub(crate) digest: [u8; 32],
    pub(crate) created_at: Moment,
    pub(crate) expires_at: Moment,
    pub(crate) revoked_at: Option<Moment>,
    /// The natural person who holds it, if that was said: they do not approve what they proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<PersonId>,
}

impl TokenRecord {
    /// Returns true if the token is good at `now`.
    pub(crate) fn is_current(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Who acts, already authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl Actor {
    /// Makes the actor that a source of word about people is, in the record.
    pub(crate) fn channel(channel: &terms::ChannelId) -> Self {
        Self { name: format!("channel:{channel}"), role: Role::Registrar }
    }

    /// Makes an actor for code that runs inside the server's own process, such as the demo.
    ///
    /// The record names it `process:` and `name`, at most 64 characters of it. It holds `role` without a token: never
    /// make one for a request from outside.
    #[must_use]
    pub fn process(name: &str, role: Role) -> Self {
        let name: String = name.chars().take(64).collect();
        Self { name: format!("process:{name}"), role }
    }

    pub(crate) fn of_token(record: &TokenRecord) -> Self {
        Self { name: format!("token:{}", record.id), role: record.role }
    }

    /// Returns the name under which the record knows the actor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the actor's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}
