//! How often one client, or one issuer's tokens, may ask.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use terms::Moment;

/// The most askers that are remembered; beyond it whoever is new waits until others have been quiet.
const ASKERS_MAX: usize = 10_000;

/// A bucket for each asker: `burst` requests at once, and one more each `every_ms`.
#[derive(Debug)]
pub(crate) struct Limits {
    burst: u64,
    every_ms: u64,
    /// For each asker, when their bucket will be full again.
    full_at: Mutex<BTreeMap<String, Moment>>,
}

impl Limits {
    /// Allows `per_minute` requests a minute, as many of them at once.
    pub(crate) fn per_minute(per_minute: u64) -> Self {
        let per_minute = per_minute.clamp(1, 60_000);
        Self { burst: per_minute, every_ms: 60_000 / per_minute, full_at: Mutex::default() }
    }

    /// Counts a request; false if it is one too many.
    pub(crate) fn allows(&self, asker: &str, now: Moment) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= ASKERS_MAX && !full_at.contains_key(asker) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= ASKERS_MAX {
                return false;
            }
        }
        let from = full_at.get(asker).copied().unwrap_or(now).max(now);
        let next = from.plus(std::time::Duration::from_millis(self.every_ms));
        let allowed = next.since(now).as_millis() <= u128::from(self.burst * self.every_ms);
        if allowed {
            full_at.insert(asker.to_owned(), next);
        }
        allowed
    }
}

/// Names whoever asks from an address. One who has an IPv6 address has 2^64 of them, so the network is who asks.
pub(super) fn asker(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_asker_has_a_burst_and_then_a_rate_and_others_are_not_touched() {
        let limits = Limits::per_minute(60);
        let now = Moment::from_millis(1_000_000);
        assert_eq!((0..100).filter(|_| limits.allows("a", now)).count(), 60);
        assert!(limits.allows("b", now));
        let later = now.plus(Duration::from_secs(5));
        assert_eq!((0..100).filter(|_| limits.allows("a", later)).count(), 5);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_asker_and_an_ipv4_address_is_its_own() {
        let named = |text: &str| asker(Some(text.parse().unwrap()));
        assert_eq!(named("2001:db8:1:2::1"), named("2001:db8:1:2:ffff::9"));
        assert_ne!(named("2001:db8:1:2::1"), named("2001:db8:1:3::1"));
        assert_eq!(named("::ffff:192.0.2.1"), named("192.0.2.1"));
        assert_ne!(named("192.0.2.1"), named("192.0.2.2"));
    }

    #[test]
    fn so_many_askers_that_memory_would_grow_are_refused_until_others_are_quiet() {
        let limits = Limits::per_minute(60);
        let now = Moment::from_millis(1_000_000);
        assert_eq!((0..ASKERS_MAX + 5).filter(|n| limits.allows(&n.to_string(), now)).count(), ASKERS_MAX);
        assert!(limits.allows("late", now.plus(Duration::from_secs(2))));
    }
}
