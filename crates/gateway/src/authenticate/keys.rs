//! The public keys of one issuer: fetched in the background, bound to that issuer, and never fetched on demand faster
//! than its server can bear.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use jose::{Header, Jwks};
use tokio::sync::{Notify, watch};

use crate::lease::lock;

/// The least time between two fetches, whoever asks.
const APART: Duration = Duration::from_secs(5);
/// How long a call waits for keys that are being fetched.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a key id that a fetch did not bring is not asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);
/// Key ids that are remembered as unknown; of more the one that ends first is forgotten. 256 of at most 256 bytes.
const UNKNOWN_MAX: usize = 256;
/// The longest key id that is remembered, in bytes; a longer one is never asked for.
const KID_MAX: usize = 256;

/// Why no key is there to verify with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// The issuer has no such key.
    Unknown,
    /// The issuer's keys could not be fetched for too long.
    Unavailable,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    held: ArcSwap<Held>,
    attempts: Mutex<Attempts>,
    /// Wakes whoever fetches.
    wanted: Notify,
    /// Counts fetches that have ended.
    ended: watch::Sender<u64>,
    refresh: Duration,
    max_stale: Duration,
}

/// Keys that were fetched.
#[derive(Debug)]
pub(super) struct Held {
    /// The keys.
    pub(super) keys: Jwks,
    /// Grows whenever the keys are others.
    pub(super) version: u64,
    /// When they were last fetched; never, if none were.
    fetched: Option<Instant>,
}

/// Which fetches there were and which are worth it.
#[derive(Debug, Default)]
struct Attempts {
    under_way: bool,
    /// Whether the last one that ended brought keys.
    brought: bool,
    last: Option<Instant>,
    unknown: BTreeMap<String, Instant>,
}

impl IssuerKeys {
    /// Starts without keys.
    pub(super) fn new(refresh: Duration, max_stale: Duration) -> Self {
        Self {
            held: ArcSwap::from_pointee(Held { keys: Jwks::default(), version: 0, fetched: None }),
            attempts: Mutex::new(Attempts { under_way: true, ..Attempts::default() }),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            refresh,
            max_stale,
        }
    }

    /// Returns keys among which is the one that a token's header names; waits for them if they are being fetched.
    ///
    /// # Errors
    ///
    /// [`Missing`]: the token cannot be verified.
    pub(super) async fn holding(&self, header: &Header) -> Result<Arc<Held>, Missing> {
        if let Some(held) = self.held_with(header) {
            return Ok(held);
        }
        if self.wants(header.kid(), Instant::now()) {
            self.next_fetch().await;
            if let Some(held) = self.held_with(header) {
                return Ok(held);
            }
            self.note_unknown(header.kid(), Instant::now());
        }
        Err(if self.is_usable() { Missing::Unknown } else { Missing::Unavailable })
    }

    /// Returns the version of the keys in use; `None` if they are too old to be used.
    pub(super) fn version(&self) -> Option<u64> {
        let held = self.held.load();
        held.is_usable(self.max_stale).then_some(held.version)
    }

    /// Waits until keys should be fetched: when they are due, or wanted and not too soon.
    pub(super) async fn due(&self) {
        tokio::time::sleep(APART).await;
        tokio::select! {
            () = tokio::time::sleep(self.refresh.saturating_sub(APART)) => {}
            () = self.wanted.notified() => {}
        }
        lock(&self.attempts).under_way = true;
    }

    /// Takes what a fetch brought; after a failed one the keys of before stay in use.
    pub(super) fn fetched(&self, keys: Option<Jwks>) {
        let (now, brought) = (Instant::now(), keys.is_some());
        if let Some(keys) = keys {
            let before = self.held.load();
            let same = before.fetched.is_some() && before.keys.to_value() == keys.to_value();
            let version = if same { before.version } else { before.version + 1 };
            self.held.store(Arc::new(Held { keys, version, fetched: Some(now) }));
        }
        {
            let mut attempts = lock(&self.attempts);
            *attempts = Attempts { under_way: false, brought, last: Some(now), unknown: take(&mut attempts.unknown) };
        }
        self.ended.send_modify(|count| *count += 1);
    }

    fn held_with(&self, header: &Header) -> Option<Arc<Held>> {
        let held = self.held.load();
        let found = held.is_usable(self.max_stale) && held.keys.find(header.kid(), header.alg()).is_some();
        found.then(|| Arc::clone(&held))
    }

    fn is_usable(&self) -> bool {
        self.held.load().is_usable(self.max_stale)
    }

    /// Says whether it is worth waiting for a fetch, and wakes whoever fetches.
    fn wants(&self, kid: Option<&str>, now: Instant) -> bool {
        let mut attempts = lock(&self.attempts);
        let begun = attempts.under_way;
        let worth = attempts.worth(kid, now);
        // One who is woken while he fetches would fetch once more.
        if worth && !begun {
            self.wanted.notify_one();
        }
        worth
    }

    async fn next_fetch(&self) {
        let mut ended = self.ended.subscribe();
        if !lock(&self.attempts).under_way {
            return;
        }
        // Whoever waits for too long is answered as if nothing had come.
        let _ = tokio::time::timeout(PATIENCE, ended.changed()).await;
    }

    fn note_unknown(&self, kid: Option<&str>, now: Instant) {
        if let Some(kid) = kid.filter(|kid| kid.len() <= KID_MAX) {
            lock(&self.attempts).note_unknown(kid, now);
        }
    }
}

impl Attempts {
    fn worth(&mut self, kid: Option<&str>, now: Instant) -> bool {
        self.unknown.retain(|_, until| now < *until);
        if self.under_way {
            return true;
        }
        let soon = self.last.is_some_and(|last| now.saturating_duration_since(last) < APART);
        let known_unknown = kid.is_none_or(|kid| kid.len() > KID_MAX || self.unknown.contains_key(kid));
        self.under_way = !soon && !known_unknown;
        self.under_way
    }

    /// Remembers that a fetch did not bring a key. Says nothing while one is under way, or after one that failed.
    fn note_unknown(&mut self, kid: &str, now: Instant) {
        if self.under_way || !self.brought {
            return;
        }
        if self.unknown.len() >= UNKNOWN_MAX
            && let Some(first) = self.unknown.iter().min_by_key(|(_, until)| **until).map(|(kid, _)| kid.clone())
        {
            self.unknown.remove(&first);
        }
        self.unknown.entry(kid.to_owned()).or_insert(now + UNKNOWN_FOR);
    }
}

impl Held {
    fn is_usable(&self, max_stale: Duration) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() <= max_stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_unknown_key_ids_leads_to_one_fetch_in_five_seconds() {
        let (start, mut attempts, mut fetches) = (Instant::now(), Attempts::default(), 0);
        for n in 0..100_000_u64 {
            let now = start + Duration::from_millis(n);
            if attempts.worth(Some(&format!("kid-{n}")), now) {
                fetches += 1;
                (attempts.under_way, attempts.brought, attempts.last) = (false, true, Some(now));
                attempts.note_unknown(&format!("kid-{n}"), now);
            }
            assert!(attempts.unknown.len() <= UNKNOWN_MAX);
        }
        assert_eq!(fetches, 20);
    }

    #[test]
    fn a_key_id_that_a_fetch_did_not_bring_is_not_asked_for_again_for_a_minute() {
        let (start, mut attempts) = (Instant::now(), Attempts { brought: true, ..Attempts::default() });
        attempts.note_unknown("gone", start);
        let worth =
            |attempts: &mut Attempts, kid, seconds| attempts.worth(Some(kid), start + Duration::from_secs(seconds));
        assert!(!worth(&mut attempts, "gone", 59));
        assert!(worth(&mut attempts, "gone", 61));
    }

    #[test]
    fn keys_that_could_not_be_fetched_for_too_long_are_not_used() {
        let keys = IssuerKeys::new(Duration::from_secs(30), Duration::ZERO);
        assert_eq!(keys.version(), None);
        keys.fetched(Some(Jwks::default()));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(keys.version(), None);
    }

    #[test]
    fn the_version_grows_with_other_keys_only_and_a_failed_fetch_keeps_those_of_before() {
        let keys = IssuerKeys::new(Duration::from_secs(30), Duration::from_secs(60));
        let jwks = || jose::SigningKey::generate(jose::Alg::Es256).unwrap().public().clone();
        let first: Jwks = [jwks()].into_iter().collect();
        keys.fetched(Some(first.clone()));
        keys.fetched(Some(first));
        keys.fetched(None);
        assert_eq!(keys.version(), Some(1));
        keys.fetched(Some([jwks()].into_iter().collect()));
        assert_eq!(keys.version(), Some(2));
    }
}
