//! Which proofs were used already.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use terms::Moment;

use super::Proof;

/// How many parts the memory has, each with a lock of its own.
const SHARDS: usize = 16;

/// A proof that is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayFault {
    /// It was used before.
    #[error("the proof was used before: make a proof for each request")]
    Repeated,
    /// Nothing more can be remembered. A proof that could be used twice is not taken once.
    #[error("too many proofs are remembered: try again later")]
    Full,
}

/// Remembers proofs until they are refused as too old; shared between threads.
///
/// It forgets nothing early: when it is full it refuses. So only proofs of keys that some valid token is bound to should
/// come here, or a stranger could fill it.
#[derive(Debug)]
pub struct Replays {
    shards: Vec<Mutex<Shard>>,
    shard_max: usize,
}

/// What was seen, and in which order it may be forgotten.
#[derive(Debug, Default)]
struct Shard {
    seen: BTreeMap<[u8; 32], Moment>,
    by_end: BTreeMap<Moment, Vec<[u8; 32]>>,
}

impl Replays {
    /// Makes a memory of at least `capacity` proofs; about 100 bytes each.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        // Keys are hashes and spread evenly; a quarter more keeps one part from filling long before the rest.
        let shard_max = (capacity / SHARDS).saturating_mul(5) / 4 + 1;
        Self { shards, shard_max }
    }

    /// Takes a proof that is used now for the first time.
    ///
    /// # Errors
    ///
    /// [`ReplayFault`]: refuse the request.
    ///
    /// # Source
    ///
    /// RFC 9449 section 11.1.
    pub fn claim(&self, proof: &Proof, now: Moment) -> Result<(), ReplayFault> {
        self.claim_key(proof.replay_key, proof.until, now)
    }

    /// Takes something else that is used now for the first time and is refused from `until` on; `key` is a hash that
    /// names it.
    ///
    /// # Errors
    ///
    /// [`ReplayFault`]: refuse it.
    pub fn claim_key(&self, key: [u8; 32], until: Moment, now: Moment) -> Result<(), ReplayFault> {
        let [first, ..] = key;
        let Some(shard) = self.shards.get(usize::from(first) % SHARDS) else {
            return Err(ReplayFault::Full);
        };
        shard.lock().unwrap_or_else(PoisonError::into_inner).claim((key, until), now, self.shard_max)
    }
}

impl Shard {
    fn claim(&mut self, (key, until): ([u8; 32], Moment), now: Moment, max: usize) -> Result<(), ReplayFault> {
        self.forget(now);
        if self.seen.contains_key(&key) {
            return Err(ReplayFault::Repeated);
        }
        if self.seen.len() >= max {
            return Err(ReplayFault::Full);
        }
        self.seen.insert(key, until);
        self.by_end.entry(until).or_default().push(key);
        Ok(())
    }

    /// Forgets what is refused anyway: `until` is the first moment at which it is.
    fn forget(&mut self, now: Moment) {
        while let Some(first) = self.by_end.first_entry().filter(|first| *first.key() <= now) {
            for key in first.remove() {
                self.seen.remove(&key);
            }
        }
    }
}
