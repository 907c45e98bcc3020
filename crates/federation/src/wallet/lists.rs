//! Status lists of others: fetched, verified and kept no longer than they are good.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{
    HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use fetch::{Client, Request, Response, Url};
use terms::{ChannelKind, IssuerId, Moment};
use vc::{
    status_list::{MAX_LIST_BYTES, Status, StatusListToken},
    trust::Trust,
};

use super::{Wallet, discovery::Undiscovered, issuer::CredentialIssuer};

/// How old a list that names no end may be: one that was replaced long ago says nothing of today.
const OLDEST: Duration = Duration::from_hours(24);
/// The media type of a list.
pub(super) const MEDIA_TYPE: &str = "application/statuslist+jwt";
/// Bytes of lists that are kept, inflated: 16 of the largest. A further one is fetched each time.
const MAX_KEPT: usize = 16 * MAX_LIST_BYTES;

/// Why the status of a credential cannot be told: it counts as not valid for who presents it now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the status list at `{uri}` cannot be relied on: {why}")]
pub(super) struct ListUnavailable {
    uri: String,
    why: String,
}

/// A list by who signs it and where it is published: the word of one issuer about another's list does not count.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) issuer: &'a IssuerId,
    pub(super) uri: &'a str,
}

/// The lists of others.
#[derive(Debug)]
pub(super) struct Lists {
    client: Client,
    kept: Mutex<BTreeMap<(IssuerId, String), Kept>>,
}

/// A list as it was fetched.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) fetched_at: Moment,
    /// When it must be fetched again.
    pub(super) good_until: Moment,
    pub(super) token: Arc<StatusListToken>,
}

impl Lists {
    pub(super) fn new(client: Client) -> Self {
        Self { client, kept: Mutex::default() }
    }

    /// Returns a list, fetched only if what is kept is no longer good.
    ///
    /// # Errors
    ///
    /// [`ListUnavailable`].
    async fn current(
        &self,
        at: At<'_>,
        trust: &Trust,
        now: Moment,
        longest: Duration,
    ) -> Result<Kept, ListUnavailable> {
        match self.kept(at) {
            Some(kept) if now < kept.good_until => Ok(kept),
            _ => self.fetch(at, trust, now, longest).await,
        }
    }

    /// Fetches a list and verifies it; it is relied on for `longest` at most.
    ///
    /// # Errors
    ///
    /// [`ListUnavailable`]: not to be had, not signed by whom it should be, out of its time, or older than one seen.
    async fn fetch(&self, at: At<'_>, trust: &Trust, now: Moment, longest: Duration) -> Result<Kept, ListUnavailable> {
        let unavailable = |why: String| ListUnavailable { uri: at.uri.to_owned(), why };
        let body = self.body(at.uri).await.map_err(unavailable)?;
        let verified = StatusListToken::verify(&body, trust, at.uri, now);
        let token = Arc::new(verified.map_err(|fault| unavailable(fault.to_string()))?);
        if token.expires_at.is_none() && token.issued_at.plus(OLDEST) < now {
            return Err(unavailable("it names no end and is older than a day".to_owned()));
        }
        if self.kept(at).is_some_and(|kept| kept.token.issued_at > token.issued_at) {
            return Err(unavailable("it is older than one that was seen before".to_owned()));
        }
        let kept = Kept { fetched_at: now, good_until: token.good_until(now, longest), token };
        self.keep(at, kept.clone());
        Ok(kept)
    }

    /// Says whether the entry is not valid by the newest list that is kept.
    pub(super) fn is_known_invalid(&self, at: At<'_>, idx: u32) -> bool {
        self.kept(at).is_some_and(|kept| status_at(&kept.token, idx) != Some(Status::Valid))
    }

    async fn body(&self, uri: &str) -> Result<String, String> {
        let url = Url::parse(uri).map_err(|fault| fault.to_string())?;
        let mut request = Request::get(url);
        request.headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
        let response = self.client.send(request).await.map_err(|fault| fault.to_string())?;
        if response.status != StatusCode::OK {
            return Err(format!("status {}", response.status.as_u16()));
        }
        if !is_list(&response) {
            return Err(format!("its media type is not `{MEDIA_TYPE}`"));
        }
        String::from_utf8(response.body.to_vec()).map_err(|_| "it is not text".to_owned())
    }

    fn kept(&self, at: At<'_>) -> Option<Kept> {
        self.lock().get(&(at.issuer.clone(), at.uri.to_owned())).cloned()
    }

    fn keep(&self, at: At<'_>, kept: Kept) {
        let mut all = self.lock();
        let name = (at.issuer.clone(), at.uri.to_owned());
        all.remove(&name);
        let bytes: usize = all.values().map(|kept| kept.token.list.bytes()).sum();
        if bytes + kept.token.list.bytes() <= MAX_KEPT {
            all.insert(name, kept);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(IssuerId, String), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wallet {
    /// Returns the list at `uri` by the keys of its issuer; should it not verify, by those that the issuer has now.
    ///
    /// # Errors
    ///
    /// [`ListUnavailable`].
    pub(super) async fn current_list(&self, issuer: &CredentialIssuer, uri: &str) -> Result<Kept, ListUnavailable> {
        let at = At { issuer: &issuer.id, uri };
        let undiscovered = |fault: Undiscovered| ListUnavailable { uri: uri.to_owned(), why: fault.to_string() };
        // A revocation is in effect at most this long after it was published, and the time of one fetch.
        let longest = self.federation().freshness().channel(ChannelKind::StatusList).fresh;
        let trust = self.trust_of(issuer, false).await.map_err(undiscovered)?;
        match self.0.lists.current(at, &trust, self.now(), longest).await {
            Err(_) if issuer.is_discovered() => {
                let trust = self.trust_of(issuer, true).await.map_err(undiscovered)?;
                self.0.lists.current(at, &trust, self.now(), longest).await
            }
            current => current,
        }
    }
}

/// Returns the status at an index; `None` if the list has no such entry.
pub(super) fn status_at(token: &StatusListToken, idx: u32) -> Option<Status> {
    token.list.get(usize::try_from(idx).ok()?).ok()
}

fn is_list(response: &Response) -> bool {
    let media_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}
