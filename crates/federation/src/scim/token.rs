//! The bearer tokens of a channel: one, and beside it for a while the one that it takes the place of. Stored as keyed
//! digests.

use std::time::Duration;

use control::{Document, Fault, FederatedChange, Source, View};
use identity::{KeyText, Purpose};
use subtle::ConstantTimeEq;
use terms::{ChannelId, KeyId, Moment};

use super::{Scim, refusal::Refusal, tenant::registered};

const COLLECTION: &str = "scim.token";
/// For how long an old token may stay good beside a new one.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A token, without what is secret of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Token {
    /// The public half.
    pub id: KeyId,
    /// When it was made.
    pub created_at: Moment,
    /// When it stops being good, if a newer one took its place.
    pub ends_at: Option<Moment>,
}

/// What is stored of a token; its document has the token's public id, and the channel as its one look-up word.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    channel: String,
    digest: String,
    created_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Moment>,
}

impl Scim {
    /// Makes the token that takes the place of a channel's newest. That one stays good for `overlap`, at most a week, so
    /// that the directory can be changed over; any other ends at once.
    ///
    /// # Errors
    ///
    /// [`Fault`] if there is no tenant of that channel, or if it cannot be recorded; the old tokens stay as they were.
    pub fn rotate_token(&self, channel: &ChannelId, overlap: Duration) -> Result<KeyText, Fault> {
        let token = KeyText::mint_for(Purpose::Scim).map_err(Fault::Random)?;
        self.federation.commit(&Source::own("scim.token_rotate"), |view| {
            registered(view, channel)?;
            let ends_at = view.now().plus(overlap.min(OVERLAP_MAX));
            let mut changes = succeeded(view, channel, ends_at)?;
            changes.push(self.token_change(channel, &token, view.now()));
            Ok(changes)
        })?;
        Ok(token)
    }

    /// Returns the channel that a token opens now, if it is one.
    pub(super) fn channel_of(&self, view: &View<'_>, token: &KeyText) -> Result<Option<ChannelId>, Refusal> {
        let Some(document) = view.document(COLLECTION, token.id().as_str())? else { return Ok(None) };
        let stored = read(&document)?;
        let is_same: bool = self.digest(token).as_bytes().ct_eq(stored.digest.as_bytes()).into();
        let is_good = is_same && stored.ends_at.is_none_or(|ends| view.now() < ends);
        Ok(if is_good { ChannelId::parse(&stored.channel).ok() } else { None })
    }

    /// Returns the change that stores a token of a channel.
    pub(super) fn token_change(&self, channel: &ChannelId, token: &KeyText, now: Moment) -> FederatedChange {
        let digest = self.digest(token);
        let stored = Stored { channel: channel.to_string(), digest, created_at: now, ends_at: None };
        change(token.id().as_str(), &stored)
    }

    /// Returns what is stored of a token: useless without the key of the vault.
    fn digest(&self, token: &KeyText) -> String {
        self.vault.term(COLLECTION, token.reveal())
    }
}

/// Returns the tokens of a channel that are good now, the older first.
pub(super) fn live(view: &View<'_>, channel: &ChannelId) -> Result<Vec<Token>, Fault> {
    let stored = stored(view, channel)?.into_iter();
    let good = stored.filter(|(_, stored)| stored.ends_at.is_none_or(|ends| view.now() < ends));
    let named = |(id, stored): (String, Stored)| {
        let id = KeyId::parse(&id).map_err(|bad| Fault::Conflict(bad.to_string()))?;
        Ok(Token { id, created_at: stored.created_at, ends_at: stored.ends_at })
    };
    good.map(named).collect()
}

/// Returns the changes that end every token of a channel.
pub(super) fn all_gone(view: &View<'_>, channel: &ChannelId) -> Result<Vec<FederatedChange>, Fault> {
    Ok(stored(view, channel)?.into_iter().map(|(id, _)| gone(id)).collect())
}

/// Returns the changes by which the newest token ends at `ends_at` and the others now.
fn succeeded(view: &View<'_>, channel: &ChannelId, ends_at: Moment) -> Result<Vec<FederatedChange>, Fault> {
    let mut older = stored(view, channel)?;
    let newest = if ends_at > view.now() { older.pop() } else { None };
    let mut changes: Vec<FederatedChange> = older.into_iter().map(|(id, _)| gone(id)).collect();
    changes.extend(newest.map(|(id, stored)| change(&id, &Stored { ends_at: Some(ends_at), ..stored })));
    Ok(changes)
}

/// Returns what is stored of the tokens of a channel, the oldest first.
fn stored(view: &View<'_>, channel: &ChannelId) -> Result<Vec<(String, Stored)>, Fault> {
    let documents = view.find(COLLECTION, channel.as_str())?;
    let found = documents.iter().map(|document| Ok((document.id.clone(), read(document)?)));
    let mut found = found.collect::<Result<Vec<_>, Fault>>()?;
    found.sort_by_key(|(_, stored)| (stored.created_at, stored.ends_at.is_none()));
    Ok(found)
}

fn read(document: &Document) -> Result<Stored, Fault> {
    serde_json::from_str(&document.body).map_err(|error| Fault::Conflict(format!("token `{}`: {error}", document.id)))
}

fn change(id: &str, stored: &Stored) -> FederatedChange {
    FederatedChange::Document(Document {
        collection: COLLECTION.to_owned(),
        id: id.to_owned(),
        owner: None,
        terms: vec![stored.channel.clone()],
        body: serde_json::to_string(stored).unwrap_or_default(),
    })
}

fn gone(id: String) -> FederatedChange {
    FederatedChange::DocumentGone { collection: COLLECTION.to_owned(), id }
}
