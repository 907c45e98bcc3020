//! Tokens that were verified, by the SHA-256 of their text: the second use of one costs a look-up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use terms::Moment;

use super::caller::Token;
use crate::lease::lock;

/// How many parts it has, each with a lock of its own.
const SHARDS: usize = 16;
/// Tokens in one part; 65,536 of about 600 bytes in all are 40 MB.
const SHARD_MAX: usize = 4_096;

/// The SHA-256 of a token's text.
pub(super) type Digest = [u8; 32];

/// What is known about a token.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The token; `None` if its issuer said that it is not good.
    pub(super) token: Option<Arc<Token>>,
    /// Which of the issuers, in the order of the settings; the gateway's own come after them.
    pub(super) issuer: usize,
    /// The version of the issuer's keys that verified it.
    pub(super) version: u64,
    /// When it must be verified anew.
    pub(super) until: Moment,
}

/// Verified tokens; shared between threads.
#[derive(Debug, Default)]
pub(super) struct Verified([Mutex<BTreeMap<Digest, Entry>>; SHARDS]);

impl Verified {
    /// Returns what is known about a token, unless its time has come.
    pub(super) fn get(&self, digest: &Digest, now: Moment) -> Option<Entry> {
        lock(self.shard(digest)?).get(digest).filter(|entry| now < entry.until).cloned()
    }

    /// Remembers a token. Where there is no room, those go whose time has come, and else any one: which, nobody can
    /// choose, since they stand in the order of their hashes.
    pub(super) fn put(&self, digest: Digest, entry: Entry, now: Moment) {
        let Some(shard) = self.shard(&digest) else { return };
        let mut shard = lock(shard);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, entry| now < entry.until);
        }
        if shard.len() >= SHARD_MAX {
            shard.pop_first();
        }
        shard.insert(digest, entry);
    }

    fn shard(&self, digest: &Digest) -> Option<&Mutex<BTreeMap<Digest, Entry>>> {
        self.0.get(usize::from(digest[31]) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(until: i64) -> Entry {
        Entry { token: None, issuer: 0, version: 0, until: Moment::from_millis(until) }
    }

    #[test]
    fn an_entry_is_gone_when_its_time_has_come() {
        let verified = Verified::default();
        verified.put([1; 32], entry(10), Moment::from_millis(0));
        assert!(verified.get(&[1; 32], Moment::from_millis(9)).is_some());
        assert!(verified.get(&[1; 32], Moment::from_millis(10)).is_none());
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for_and_the_newest_is_there() {
        let verified = Verified::default();
        for n in 0..=SHARD_MAX as u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            verified.put(digest, entry(10), Moment::from_millis(0));
            assert!(verified.get(&digest, Moment::from_millis(0)).is_some());
        }
        assert_eq!(lock(&verified.0[0]).len(), SHARD_MAX);
    }
}
