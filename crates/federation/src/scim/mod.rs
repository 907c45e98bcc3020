//! A SCIM 2.0 server for each employer: who works there, and what the employer attests about them (RFC 7644).
//!
//! An employer's directory is configured with the base URL `/scim/v2/{channel}` and one bearer token. What it writes is
//! kept as documents, and in the same commit becomes what it means: an account and an affiliation that live and end with
//! the employment, and attestations as far as the trust list lets the employer make them. `http` takes a request apart,
//! `service` does what it asks, `effects` says what follows for the person.

mod called;
mod chores;
mod contact;
mod effects;
mod http;
mod list;
mod record;
mod refusal;
mod roster;
mod service;
mod statements;
mod tenant;
mod token;
mod turns;

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use control::{Fault, Federation};
use scim::ScimType;
use terms::{ChannelId, IssuerId};

use contact::Contacts;
use refusal::Refusal;

use crate::attest::{TrustList, Vault};

pub(crate) use called::called;
pub use roster::Reconciled;
pub use tenant::{NewTenant, TenantEntry};
pub use token::Token;

/// What the server is started with.
#[derive(Clone, Debug)]
pub struct ScimSettings {
    /// The origin under which clients reach it, such as `https://id.example.com`, without a slash at its end.
    pub origin: String,
    /// Under which name each employer's channel attests; under the channel's own if absent.
    pub issuers: BTreeMap<ChannelId, IssuerId>,
    /// What each issuer is believed about.
    pub trust: Arc<TrustList>,
}

/// The SCIM server of all channels. Its methods block on the disk.
pub struct Scim {
    federation: Federation,
    vault: Arc<Vault>,
    settings: ScimSettings,
    contacts: Contacts,
}

impl Scim {
    /// Makes the server.
    #[must_use]
    pub fn new(federation: Federation, vault: Arc<Vault>, settings: ScimSettings) -> Self {
        Self { federation, vault, settings, contacts: Contacts::default() }
    }

    /// Returns its endpoints; the caller binds them to a listener.
    pub fn router(self: Arc<Self>) -> Router {
        http::router(self)
    }

    /// Returns the URL below which a channel's endpoints are.
    #[must_use]
    pub fn base_url(&self, channel: &ChannelId) -> String {
        format!("{}/scim/v2/{channel}", self.settings.origin)
    }
}

impl std::fmt::Debug for Scim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scim").finish_non_exhaustive()
    }
}

/// Makes a random id (RFC 9562 version 4).
fn random_id() -> Result<String, Refusal> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::Control(Fault::Random(error)))?;
    let bits = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

/// Refuses a value that another resource of the channel has.
fn taken(what: &str) -> Refusal {
    Refusal::scim(ScimType::Uniqueness, format!("another resource has this `{what}`"))
}
