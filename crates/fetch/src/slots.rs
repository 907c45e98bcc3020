//! How many requests are under way: in all, and to one host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts requests under way, so that one slow host cannot take every place.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_all: usize,
    to_one: usize,
    taken: Mutex<BTreeMap<String, usize>>,
}

/// One request's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    host: String,
}

impl Slots {
    pub(crate) fn new(in_all: usize, to_one: usize) -> Self {
        Self(Arc::new(Inner { in_all, to_one, taken: Mutex::default() }))
    }

    /// Takes a place for a request to `host`, unless as many are taken as may be.
    pub(crate) fn take(&self, host: &str) -> Option<Slot> {
        let mut taken = self.taken();
        let to_host = taken.get(host).copied().unwrap_or(0);
        if to_host >= self.0.to_one || taken.values().sum::<usize>() >= self.0.in_all {
            return None;
        }
        taken.insert(host.to_owned(), to_host + 1);
        Some(Slot { slots: self.clone(), host: host.to_owned() })
    }

    /// A count is right after every statement, so a thread that panicked left nothing half done.
    fn taken(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        match taken.get_mut(&self.host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_cannot_take_every_place_and_a_place_is_free_again() {
        let slots = Slots::new(3, 2);
        let first = slots.take("a.example").unwrap();
        let _second = slots.take("a.example").unwrap();
        assert!(slots.take("a.example").is_none());
        let _third = slots.take("b.example").unwrap();
        assert!(slots.take("c.example").is_none());
        drop(first);
        assert!(slots.take("a.example").is_some());
        assert_eq!(slots.taken().len(), 2);
    }
}
