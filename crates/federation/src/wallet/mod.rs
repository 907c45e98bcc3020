//! Wallets: people present credentials (OpenID4VP), whose status is then watched, and receive a clearance credential.
//!
//! `issuer` says whose credentials are taken, `discovery` finds their keys; `link` binds an answer to a person;
//! `presentation` asks and verifies; `evidence` records; `lists`, `watch` and `withdraw` keep what was recorded true;
//! `clearance` issues a credential of our own and `publish` its status; `http` and `page` are what wallets and people
//! reach.

mod clearance;
mod discovery;
mod evidence;
mod fault;
mod http;
mod issuer;
mod link;
mod lists;
mod names;
mod page;
mod presentation;
mod publish;
mod qr;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;
mod watch;
mod withdraw;

use std::{fmt, sync::Arc, time::Duration};

use axum::Router;
use control::{Control, Fault, Federation};
use jose::Alg;
use terms::Moment;

use self::{
    discovery::Discovery, lists::Lists, presentation::Pending, publish::Published, settings::Identification,
    shelf::Shelf,
};
pub use self::{
    issuer::{CredentialIssuer, CredentialKeys},
    settings::{ClientIdPrefix, RequestCertificate, WalletOpenFault, WalletParts, WalletSettings},
};
use crate::{
    attest::TrustList,
    page::Pages,
    token::{
        keyring::{Keyring, Rotation},
        limit::Limits,
    },
};

/// Presentations that may be open at a time: each holds about 2 KiB.
const MAX_PENDING: usize = 4096;
/// Presentations that one person may begin from their own page in a minute.
const OWN_PER_MINUTE: u64 = 6;
/// A key signs for 90 days; the next one is published a day before, the old one until its last credential is over.
const ROTATION: Rotation = Rotation {
    alg: Alg::Es256,
    every: Duration::from_hours(90 * 24),
    ahead: Duration::from_hours(24),
    after: clearance::LIFE.saturating_add(Duration::from_hours(24)),
};

/// The wallet part: takes credentials that people present, and issues clearance credentials. Cheap to clone.
///
/// It answers through [`Wallet::router`]; what it does of its own accord is [`Wallet::run`].
#[derive(Clone, Debug)]
pub struct Wallet(Arc<Inner>);

struct Inner {
    control: Control,
    federation: Federation,
    trust: Arc<TrustList>,
    pages: Option<Pages>,
    settings: WalletSettings,
    identification: Identification,
    keyring: Keyring,
    discovery: Discovery,
    lists: Lists,
    pending: Shelf<Pending>,
    own_begun: Limits,
    published: Published,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("identification", &self.identification).finish_non_exhaustive()
    }
}

impl Wallet {
    /// Reads or makes the keys of clearance credentials, and reads the certificate of requests. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`WalletOpenFault`]: correct the settings.
    pub fn open(parts: WalletParts, settings: WalletSettings) -> Result<Self, WalletOpenFault> {
        let WalletParts { control, trust, client, pages } = parts;
        let federation = control.federation();
        settings::host(&settings.origin)?;
        let identification = Identification::load(&settings, federation.now())?;
        let keyring = Keyring::open(&settings.data_dir, ROTATION, federation.now())?;
        Ok(Self(Arc::new(Inner {
            control,
            federation,
            trust,
            pages,
            settings,
            identification,
            keyring,
            discovery: Discovery::new(client.clone()),
            lists: Lists::new(client),
            pending: Shelf::new(MAX_PENDING),
            own_begun: Limits::per_minute(OWN_PER_MINUTE),
            published: Published::default(),
        })))
    }

    /// Returns the routes: all below `/wallet`, our status list below `/status-lists`, and where others find the keys of
    /// our credentials, `/.well-known/jwt-vc-issuer`.
    pub fn router(&self) -> Router {
        http::router(self.clone())
    }

    fn federation(&self) -> &Federation {
        &self.0.federation
    }

    fn now(&self) -> Moment {
        self.0.federation.now()
    }

    /// Does what blocks on the disk on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Federation) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let federation = self.0.federation.clone();
        let done = tokio::task::spawn_blocking(move || act(&federation)).await;
        done.unwrap_or_else(|_| Err(Fault::Conflict("the registry's thread ended before its work was done".to_owned())))
    }
}
