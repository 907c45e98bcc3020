//! The published keys of issuers, kept and fetched again no more often than needed.
//!
//! A token that names an unknown key makes this fetch, so whoever sends such tokens could make it fetch for ever. It does
//! not: between two attempts for one set lie [`KeyTerms::retry_after`], whether the last one succeeded or failed, and whoever
//! asks meanwhile gets what is there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fetch::{Client, Request, Url};
use jose::Jwks;
use terms::{Clock, Moment};

/// For how long keys count, and how soon they are fetched again.
#[derive(Clone, Copy, Debug)]
pub struct KeyTerms {
    /// After so long they are fetched again before use.
    pub fresh_for: Duration,
    /// If that fails, they still count until they are this old: a signal must not be lost because a server is down.
    pub stale_for: Duration,
    /// The least time between two attempts for one set.
    pub retry_after: Duration,
}

impl Default for KeyTerms {
    /// 10 minutes, 24 hours, 5 seconds: at most 12 requests a minute for each set, whatever is sent here.
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_mins(10),
            stale_for: Duration::from_hours(24),
            retry_after: Duration::from_secs(5),
        }
    }
}

/// There are no keys that count; nothing of the issuer can be verified now, so ask the sender to try again later.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the keys at `{0}` cannot be had now")]
pub struct KeysUnavailable(String);

/// The key sets of many issuers, by where they are published. Cheap to clone; clones share what they know.
#[derive(Clone, Debug)]
pub struct KeyCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    clock: Arc<dyn Clock>,
    terms: KeyTerms,
    sets: Mutex<BTreeMap<Url, Arc<Slot>>>,
}

/// One set. The lock is held while it is fetched, so that whoever comes meanwhile waits for the same answer.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Arc<Jwks>, Moment)>,
    tried_at: Option<Moment>,
}

impl KeyCache {
    /// Makes an empty cache.
    #[must_use]
    pub fn new(client: Client, clock: Arc<dyn Clock>, terms: KeyTerms) -> Self {
        Self(Arc::new(Inner { client, clock, terms, sets: Mutex::default() }))
    }

    /// Returns the keys at `url`, fetched at most [`KeyTerms::fresh_for`] ago if the server answers.
    ///
    /// # Errors
    ///
    /// [`KeysUnavailable`] if they cannot be fetched and none are known that still count.
    pub async fn keys(&self, url: &Url) -> Result<Arc<Jwks>, KeysUnavailable> {
        self.get(url, |known, now| known.age(now).is_some_and(|age| age < self.0.terms.fresh_for)).await
    }

    /// Returns keys at `url` that are newer than `seen`, in which a token named a key that is not there; `seen` itself if
    /// there was an attempt within [`KeyTerms::retry_after`] or it fails.
    ///
    /// # Errors
    ///
    /// [`KeysUnavailable`], as [`KeyCache::keys`].
    pub async fn newer(&self, url: &Url, seen: &Arc<Jwks>) -> Result<Arc<Jwks>, KeysUnavailable> {
        self.get(url, |known, _| known.keys.as_ref().is_some_and(|(keys, _)| !Arc::ptr_eq(keys, seen))).await
    }

    /// Returns what is known if it is good enough, or else fetches it, if that may be tried now.
    async fn get(&self, url: &Url, good_enough: impl Fn(&Known, Moment) -> bool) -> Result<Arc<Jwks>, KeysUnavailable> {
        let slot = self.slot(url);
        let mut known = slot.0.lock().await;
        let now = self.0.clock.now();
        if !good_enough(&known, now) && known.may_try(now, self.0.terms.retry_after) {
            self.fetch(url, &mut known).await;
        }
        known.counting(self.0.clock.now(), self.0.terms.stale_for).ok_or_else(|| KeysUnavailable(url.to_string()))
    }

    fn slot(&self, url: &Url) -> Arc<Slot> {
        let mut sets = self.0.sets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sets.entry(url.clone()).or_default())
    }

    async fn fetch(&self, url: &Url, known: &mut Known) {
        let now = self.0.clock.now();
        // Noted first: if this is dropped midway, the attempt still counts.
        known.tried_at = Some(now);
        match self.fetched(url).await {
            Ok(keys) => known.keys = Some((Arc::new(keys), now)),
            Err(why) => tracing::warn!(%url, why, "keys of an issuer could not be fetched"),
        }
    }

    async fn fetched(&self, url: &Url) -> Result<Jwks, String> {
        let response = self.0.client.send(Request::get(url.clone())).await.map_err(|fault| fault.to_string())?;
        if response.status != http::StatusCode::OK {
            return Err(format!("status {}", response.status.as_u16()));
        }
        Jwks::parse(&response.body).map_err(|fault| fault.to_string())
    }
}

impl Known {
    fn age(&self, now: Moment) -> Option<Duration> {
        self.keys.as_ref().map(|(_, at)| now.since(*at))
    }

    fn may_try(&self, now: Moment, retry_after: Duration) -> bool {
        self.tried_at.is_none_or(|at| now.since(at) >= retry_after)
    }

    fn counting(&self, now: Moment, stale_for: Duration) -> Option<Arc<Jwks>> {
        let counting = self.keys.as_ref().filter(|(_, at)| now.since(*at) < stale_for);
        counting.map(|(keys, _)| Arc::clone(keys))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Router, http::StatusCode, routing::get};
    use fetch::{AddressRule, Roots, Settings};
    use jose::{Alg, SigningKey};
    use terms::ManualClock;

    use super::*;

    /// A publisher of keys on the loopback interface, which counts how often it was asked.
    struct Publisher {
        url: Url,
        asked: Arc<AtomicUsize>,
        body: Arc<Mutex<Option<String>>>,
    }

    impl Publisher {
        async fn start() -> Self {
            let (asked, body) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(Some(set()))));
            let (count, answer) = (Arc::clone(&asked), Arc::clone(&body));
            let serve = move || {
                count.fetch_add(1, Ordering::SeqCst);
                let body = answer.lock().unwrap().clone();
                async move { body.ok_or(StatusCode::SERVICE_UNAVAILABLE) }
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = Url::parse(&format!("http://{}/jwks", listener.local_addr().unwrap())).unwrap();
            let router = Router::new().route("/jwks", get(serve));
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            Self { url, asked, body }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn publish(&self, body: Option<String>) {
            *self.body.lock().unwrap() = body;
        }
    }

    fn set() -> String {
        let key = SigningKey::generate(Alg::Es256).unwrap();
        Jwks::from_iter([key.public().clone()]).to_value().to_string()
    }

    fn cache() -> (KeyCache, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:00Z").unwrap()));
        let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
        let client = Client::new(Settings::new(Roots::native().unwrap(), rule));
        (KeyCache::new(client, Arc::clone(&clock) as Arc<dyn Clock>, KeyTerms::default()), clock)
    }

    #[tokio::test]
    async fn a_set_is_fetched_once_until_it_is_no_longer_fresh() {
        let (publisher, (cache, clock)) = (Publisher::start().await, cache());
        for _ in 0..20 {
            cache.keys(&publisher.url).await.unwrap();
        }
        assert_eq!(publisher.asked(), 1);
        clock.advance(Duration::from_mins(10));
        cache.keys(&publisher.url).await.unwrap();
        assert_eq!(publisher.asked(), 2);
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_makes_one_request_each_five_seconds() {
        let (publisher, (cache, clock)) = (Publisher::start().await, cache());
        let mut seen = cache.keys(&publisher.url).await.unwrap();
        for _ in 0..10 {
            for _ in 0..100 {
                seen = cache.newer(&publisher.url, &seen).await.unwrap();
            }
            clock.advance(Duration::from_secs(5));
        }
        assert_eq!(publisher.asked(), 10);
    }

    #[tokio::test]
    async fn a_rotated_key_is_found_and_whoever_comes_second_finds_it_without_a_request() {
        let (publisher, (cache, clock)) = (Publisher::start().await, cache());
        let old = cache.keys(&publisher.url).await.unwrap();
        publisher.publish(Some(set()));
        clock.advance(Duration::from_secs(5));
        let (one, two) = tokio::join!(cache.newer(&publisher.url, &old), cache.newer(&publisher.url, &old));
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        assert_eq!(publisher.asked(), 2);
        assert!(!Arc::ptr_eq(&old, &cache.keys(&publisher.url).await.unwrap()));
    }

    #[tokio::test]
    async fn known_keys_are_used_while_the_publisher_is_down_and_not_for_ever() {
        let (publisher, (cache, clock)) = (Publisher::start().await, cache());
        cache.keys(&publisher.url).await.unwrap();
        for broken in [None, Some("not keys".to_owned())] {
            publisher.publish(broken);
            clock.advance(Duration::from_mins(11 * 60));
            cache.keys(&publisher.url).await.unwrap();
        }
        clock.advance(Duration::from_hours(2));
        assert_eq!(cache.keys(&publisher.url).await.unwrap_err(), KeysUnavailable(publisher.url.to_string()));
        publisher.publish(Some(set()));
        cache.keys(&publisher.url).await.unwrap_err();
        clock.advance(Duration::from_secs(5));
        cache.keys(&publisher.url).await.unwrap();
    }
}
