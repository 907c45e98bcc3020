//! Links by which one person comes here once: what binds a wallet's answer to whom it is about.

use std::time::Duration;

use control::{Document, Fault, FederatedChange, Source, View};
use proof::hex;
use sha2::{Digest as _, Sha256};
use terms::{Moment, PersonId};

use super::{Wallet, fault::WalletFault, names::LINKS, shelf::random};

/// How long a link is good.
const LIFE: Duration = Duration::from_mins(15);
/// Links that one minting looks through for old ones to drop.
const SWEPT: u32 = 64;
/// Characters of a secret: 256 bits in base64url.
const SECRET: usize = 43;

impl Wallet {
    /// Makes a link for a person and returns its path, `/wallet/link/...`: good for 15 minutes, and once. Blocks on disk.
    ///
    /// What is presented by it is held to be about that person: it is for the caller to hand it to nobody else. Its last
    /// segment is also what a program sends as `link` to begin a presentation or to get a clearance credential.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such person, or an administrator withdrew their access; those of
    /// [`control::Federation::commit`].
    pub fn link(&self, person: &PersonId) -> Result<String, Fault> {
        let secret = random::<32>().map_err(|fault| Fault::Conflict(fault.to_string()))?;
        self.federation().commit(&Source::own("wallet.link"), |view| {
            if view.person(person)?.is_none_or(|person| !person.active) {
                return Err(Fault::NotFound { what: "person", id: person.to_string() });
            }
            let (collection, id, body) = (LINKS.to_owned(), id_of(&secret), view.now().plus(LIFE).to_string());
            let link = Document { collection, id, owner: Some(person.clone()), terms: Vec::new(), body };
            let mut changes = vec![FederatedChange::Document(link)];
            changes.extend(over(view)?);
            Ok(changes)
        })?;
        Ok(format!("/wallet/link/{secret}"))
    }

    /// Returns whose link it is, and leaves it as it is.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`] if it was used before, is over or never was; [`WalletFault::Registry`].
    pub(super) async fn link_owner(&self, secret: &str) -> Result<PersonId, WalletFault> {
        let id = id_of(secret);
        let owner = move |view: &View<'_>| {
            let link = view.document(LINKS, &id)?.filter(|link| good(link, view.now()));
            Ok(link.and_then(|link| link.owner))
        };
        let owner = self.blocking(move |federation| federation.read(owner)).await?;
        owner.ok_or(WalletFault::Gone)
    }

    /// Uses a link up, and returns whose it was.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`] if it was used before, is over or never was; [`WalletFault::Registry`].
    pub(super) async fn redeemed(&self, secret: String) -> Result<PersonId, WalletFault> {
        let wallet = self.clone();
        let person = self.blocking(move |_| wallet.redeem(&secret)).await?;
        person.ok_or(WalletFault::Gone)
    }

    /// Uses a link up, and returns whose it was. Blocks on the disk.
    pub(super) fn redeem(&self, secret: &str) -> Result<Option<PersonId>, Fault> {
        let id = id_of(secret);
        if secret.len() != SECRET || self.federation().read(|view| view.document(LINKS, &id))?.is_none() {
            return Ok(None);
        }
        let mut person = None;
        self.federation().commit(&Source::own("wallet.redeem"), |view| {
            let Some(link) = view.document(LINKS, &id)? else { return Ok(Vec::new()) };
            person = link.owner.clone().filter(|_| good(&link, view.now()));
            Ok(vec![gone(link)])
        })?;
        Ok(person)
    }
}

/// A link is looked up by this, so no comparison takes longer the closer a guess is.
fn id_of(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn good(link: &Document, now: Moment) -> bool {
    Moment::parse(&link.body).is_ok_and(|until| until > now)
}

fn over(view: &View<'_>) -> Result<Vec<FederatedChange>, Fault> {
    let links = view.documents(LINKS, "", SWEPT)?.into_iter();
    Ok(links.filter(|link| !good(link, view.now())).map(gone).collect())
}

fn gone(link: Document) -> FederatedChange {
    FederatedChange::DocumentGone { collection: link.collection, id: link.id }
}
