//! Who may listen: the receivers that an operator registered, and how they prove who they are.

use axum::http::{HeaderMap, header};
use control::{Document, Fault, FederatedChange, Source, View};
use identity::{KeyText, Purpose};
use secevent::stream::DefaultSubjects;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use terms::{ClientId, OrganizationId};

use super::{Transmitter, refusal::Refusal, stream};
use crate::token::book;

/// Where receivers are kept, by id.
const COLLECTION: &str = "ssf.client";
/// To what purpose secrets are digested.
const SECRET: &str = "ssf.client.secret";
/// Allows to read streams and to fetch events.
const READ: &str = "ssf.read";
/// Allows to make, change and delete streams.
const MANAGE: &str = "ssf.manage";
/// The most receivers.
const CLIENTS_MAX: usize = 500;

/// A receiver of our signals, as an operator registers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SsfClient {
    /// Names the receiver; where it authenticates with tokens, the client that they are issued to.
    pub id: ClientId,
    /// The organization whose people it hears of; absent for one that may hear of everybody's, such as an auditor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The `aud` of what it gets; 1 to 512 bytes.
    pub audience: String,
    /// Whether its stream is about everybody whom it may hear of, or about those only that it adds.
    pub subjects: DefaultSubjects,
    /// How it proves who it is.
    pub access: SsfAccess,
}

/// How a receiver proves who it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SsfAccess {
    /// By a secret, which opens everything that is its own.
    Secret,
    /// By tokens of our own token service, with the scopes `ssf.read` and `ssf.manage`.
    Token,
}

/// What is kept of a receiver.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    client: SsfClient,
    /// The keyed digest of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    Read,
    Manage,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => READ,
            Self::Manage => MANAGE,
        }
    }

    /// Whoever may manage may read.
    fn is_granted(self, scopes: &[String]) -> bool {
        scopes.iter().any(|scope| scope == MANAGE || (self == Self::Read && scope == READ))
    }
}

impl Transmitter {
    /// Registers a receiver, or changes what is settled about one. Returns its secret, if it has one, to be shown to it
    /// once; the one before opens nothing any more.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`control::Federation::commit`].
    pub fn register(&self, client: &SsfClient) -> Result<Option<KeyText>, Fault> {
        if !(1..=512).contains(&client.audience.len()) {
            return Err(book::invalid("audience", "must be 1 to 512 bytes"));
        }
        let secret = match client.access {
            SsfAccess::Secret => Some(KeyText::mint_for(Purpose::Ssf)?),
            SsfAccess::Token => None,
        };
        let digest = secret.as_ref().map(|secret| self.vault().term(SECRET, secret.reveal()));
        let kept = Kept { client: client.clone(), digest };
        self.federation().commit(&Source::own("ssf.register_client"), |view| {
            if let Some(id) = &client.organization
                && view.organization(id)?.is_none()
            {
                return Err(book::invalid("organization", "is not known"));
            }
            let is_new = view.document(COLLECTION, client.id.as_str())?.is_none();
            if is_new && all(view)?.len() >= CLIENTS_MAX {
                return Err(book::invalid("id", format!("there are {CLIENTS_MAX} receivers already: remove one")));
            }
            let secrets = secret.iter().map(|secret| secret.id().to_string()).collect();
            Ok(vec![book::keep(COLLECTION, client.id.as_str(), secrets, &kept)?])
        })?;
        Ok(secret)
    }

    /// Removes a receiver with its stream; what was not delivered is dropped. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is none of this id; otherwise those of [`control::Federation::commit`].
    pub fn remove(&self, id: &ClientId) -> Result<(), Fault> {
        if let Some(stream) = self.federation().read(|view| stream::of_client(view, id))? {
            self.drop_stream(&stream.id).map_err(|refusal| Fault::Conflict(refusal.to_string()))?;
        }
        let gone = FederatedChange::DocumentGone { collection: COLLECTION.to_owned(), id: id.to_string() };
        self.federation().commit(&Source::own("ssf.remove_client"), |view| {
            let known = view.document(COLLECTION, id.as_str())?;
            known.map(|_| vec![gone]).ok_or_else(|| Fault::NotFound { what: "receiver", id: id.to_string() })
        })?;
        Ok(())
    }

    /// Returns every receiver, in order of id. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`] if the registry cannot be read.
    pub fn clients(&self) -> Result<Vec<SsfClient>, Fault> {
        self.federation().read(all)
    }

    /// Returns the receiver that a request comes from, if it may do what it wants to.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthenticated`], [`Refusal::Forbidden`], or [`Refusal::Unavailable`] if that cannot be told now.
    ///
    /// # Source
    ///
    /// RFC 6750 sections 2.1 and 3.
    pub(super) async fn caller(&self, headers: &HeaderMap, wants: Scope) -> Result<SsfClient, Refusal> {
        let given = headers.get(header::AUTHORIZATION).ok_or(Refusal::Unauthenticated { tried: false })?;
        let token = bearer(given.as_bytes()).ok_or(Refusal::Unauthenticated { tried: true })?;
        let found = match KeyText::parse_for(Purpose::Ssf, token.as_bytes()) {
            Ok(secret) => self.by_secret(secret).await?,
            Err(_) => self.by_token(token, wants).await?,
        };
        let client = found.ok_or(Refusal::Unauthenticated { tried: true })?;
        if !self.0.limits.allows(client.id.as_str(), self.now()) {
            return Err(Refusal::TooMany("too many requests: wait a little"));
        }
        Ok(client)
    }

    async fn by_secret(&self, secret: KeyText) -> Result<Option<SsfClient>, Refusal> {
        let this = self.clone();
        self.blocking(move || {
            let digest = this.vault().term(SECRET, secret.reveal());
            let found = this.federation().read(|view| book::found::<Kept>(view, COLLECTION, secret.id().as_str()))?;
            let is_its = |kept: &Kept| -> bool {
                let held = kept.digest.as_deref().unwrap_or_default();
                kept.client.access == SsfAccess::Secret && held.as_bytes().ct_eq(digest.as_bytes()).into()
            };
            Ok(found.into_iter().find(is_its).map(|kept| kept.client))
        })
        .await
    }

    async fn by_token(&self, token: &str, wants: Scope) -> Result<Option<SsfClient>, Refusal> {
        let Some(tokens) = &self.0.parts.tokens else { return Ok(None) };
        let access = tokens.client_access(token).await.map_err(Refusal::Unavailable)?;
        let Some(access) = access else { return Ok(None) };
        let (this, id) = (self.clone(), access.client);
        let kept = self.blocking(move || Ok(this.federation().read(|view| client(view, &id))?)).await?;
        let found = kept.filter(|client| client.access == SsfAccess::Token);
        match found {
            Some(_) if !wants.is_granted(&access.scopes) => Err(Refusal::Forbidden(wants)),
            found => Ok(found),
        }
    }
}

/// Returns a receiver.
pub(super) fn client(view: &View<'_>, id: &ClientId) -> Result<Option<SsfClient>, Fault> {
    Ok(book::kept::<Kept>(view, COLLECTION, id.as_str())?.map(|kept| kept.client))
}

fn all(view: &View<'_>) -> Result<Vec<SsfClient>, Fault> {
    let most = u32::try_from(CLIENTS_MAX).unwrap_or(u32::MAX);
    let read = |document: &Document| Ok(book::read::<Kept>(document)?.client);
    view.documents(COLLECTION, "", most)?.iter().map(read).collect()
}

/// Returns the token of a `Bearer` header.
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_header_has_a_token() {
        assert_eq!(bearer(b"Bearer abc"), Some("abc"));
        assert_eq!(bearer(b"bearer  abc"), Some("abc"));
        for other in [&b"Basic abc"[..], b"Bearer", b"Bearer ", b"abc", b"\xff"] {
            assert_eq!(bearer(other), None);
        }
    }

    #[test]
    fn whoever_may_manage_may_read_and_not_the_other_way_round() {
        let scopes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(Scope::Read.is_granted(&scopes(&["ssf.manage"])) && Scope::Manage.is_granted(&scopes(&["ssf.manage"])));
        assert!(Scope::Read.is_granted(&scopes(&["ssf.read"])) && !Scope::Manage.is_granted(&scopes(&["ssf.read"])));
        assert!(!Scope::Read.is_granted(&scopes(&["token.revoke"])));
    }
}
