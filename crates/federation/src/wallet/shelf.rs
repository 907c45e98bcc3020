//! Things kept for minutes in memory, each under a random name that only its holder knows.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jose::base64url;
use sha2::{Digest as _, Sha256};
use terms::{Moment, PersonId};

/// Things of one person that are kept at a time.
const MAX_OWN: usize = 4;

/// Why nothing can be kept now; ask to try again later.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum ShelfFault {
    /// As many are kept as may be.
    #[error("too many of these are open: try again in some minutes")]
    Full,
    /// The operating system gives no randomness.
    #[error("the system gives no randomness")]
    Random,
}

/// A bounded store of things that end. Their names are digested here, so that looking one up tells nothing of others.
pub(super) struct Shelf<T> {
    capacity: usize,
    kept: Mutex<BTreeMap<[u8; 32], Kept<T>>>,
}

struct Kept<T> {
    until: Moment,
    owner: PersonId,
    thing: T,
}

impl<T> Shelf<T> {
    /// Makes an empty one for at most `capacity` things at a time.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }

    /// Keeps `thing` until `until` and returns its name: 256 random bits in base64url. If four of its owner are kept, it takes
    /// the place of that which ends first.
    ///
    /// # Errors
    ///
    /// [`ShelfFault`]: it is not kept.
    pub(super) fn put(&self, owner: &PersonId, thing: T, until: Moment, now: Moment) -> Result<String, ShelfFault> {
        let name = random::<32>()?;
        let mut kept = self.lock();
        while let Some(first) = first_of_many(&kept, owner) {
            kept.remove(&first);
        }
        if kept.len() >= self.capacity {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= self.capacity {
            return Err(ShelfFault::Full);
        }
        kept.insert(key(&name), Kept { until, owner: owner.clone(), thing });
        Ok(name)
    }

    /// Looks at what is kept under `name`, and may change it; `None` if nothing is, or no longer.
    pub(super) fn with<R>(&self, name: &str, now: Moment, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut kept = self.lock();
        kept.get_mut(&key(name)).filter(|kept| kept.until > now).map(|kept| look(&mut kept.thing))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `N` random bytes in base64url.
///
/// # Errors
///
/// [`ShelfFault::Random`].
pub(super) fn random<const N: usize>() -> Result<String, ShelfFault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ShelfFault::Random)?;
    Ok(base64url::encode(bytes))
}

/// Returns what ends first of the things of a person of whom as many are kept as may be.
fn first_of_many<T>(kept: &BTreeMap<[u8; 32], Kept<T>>, owner: &PersonId) -> Option<[u8; 32]> {
    let own = || kept.iter().filter(|(_, kept)| kept.owner == *owner);
    let is_full = own().count() >= MAX_OWN;
    own().min_by_key(|(_, kept)| kept.until).filter(|_| is_full).map(|(key, _)| *key)
}

fn key(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> PersonId {
        PersonId::parse(id).unwrap()
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn a_thing_is_found_by_its_name_until_it_ends() {
        let shelf = Shelf::new(10);
        let name = shelf.put(&person("ada"), "a", at(10), at(0)).unwrap();
        assert_eq!(name.len(), 43);
        assert_eq!(shelf.with(&name, at(9), |thing| *thing), Some("a"));
        assert_eq!(shelf.with(&name, at(10), |thing| *thing), None);
        assert_eq!(shelf.with("other", at(9), |thing| *thing), None);
    }

    #[test]
    fn a_full_shelf_takes_nothing_until_something_ends() {
        let shelf = Shelf::new(2);
        let ada = person("ada");
        shelf.put(&ada, "a", at(10), at(0)).unwrap();
        shelf.put(&ada, "b", at(20), at(0)).unwrap();
        assert_eq!(shelf.put(&ada, "c", at(30), at(9)), Err(ShelfFault::Full));
        assert!(shelf.put(&ada, "c", at(30), at(10)).is_ok());
    }

    #[test]
    fn nobody_takes_more_than_four_places_and_who_asks_again_loses_their_own_oldest() {
        let shelf = Shelf::new(5);
        let other = shelf.put(&person("bob"), 0, at(10), at(0)).unwrap();
        let names: Vec<String> = (1..=6).map(|n| shelf.put(&person("ada"), n, at(10 + n), at(0)).unwrap()).collect();
        let kept: Vec<_> = names.iter().map(|name| shelf.with(name, at(1), |thing| *thing)).collect();
        assert_eq!(kept, [None, None, Some(3), Some(4), Some(5), Some(6)]);
        assert_eq!(shelf.with(&other, at(1), |thing| *thing), Some(0));
    }
}
