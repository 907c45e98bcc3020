//! Who gets a connection: so many in all, and so many from one address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Connections at once. Employers, providers and vendors are few; people read one page.
const CONNECTIONS_MAX: usize = 1_024;
/// How often the log says that connections are refused.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The places of a listener. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    per_address: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
    refused: Mutex<Refused>,
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    from: IpAddr,
}

/// Connections that were refused since the log said so.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    told_at: Option<Instant>,
}

impl Places {
    /// Makes places of which one address gets at most `per_address`.
    pub(super) fn new(per_address: usize) -> Self {
        Self(Arc::new(Inner { per_address, taken: Mutex::default(), refused: Mutex::default() }))
    }

    /// Takes a place for a connection from `address`; if there is none, the log says so now and then.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let place = self.take_quietly(counted(address));
        if place.is_none() {
            self.tell(address);
        }
        place
    }

    fn tell(&self, last_from: IpAddr) {
        if let Some(refused) = self.refused(Instant::now()) {
            let per_address = self.0.per_address;
            tracing::warn!(refused, %last_from, per_address, in_all = CONNECTIONS_MAX,
                "identity connections were refused; behind a proxy, raise `federation.connections_per_address`");
        }
    }

    fn take_quietly(&self, from: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let of_address = taken.get(&from).copied().unwrap_or(0);
        if of_address >= self.0.per_address || taken.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        taken.insert(from, of_address + 1);
        Some(Place { places: self.clone(), from })
    }

    /// Counts a refused connection. Returns how many there were if the log is to say so now.
    fn refused(&self, now: Instant) -> Option<u64> {
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        if refused.told_at.is_some_and(|told_at| now.duration_since(told_at) < TOLD_EVERY) {
            return None;
        }
        refused.told_at = Some(now);
        Some(std::mem::take(&mut refused.count))
    }

    /// A count is right after every statement, so a thread that panicked left nothing half done.
    fn taken(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.from)),
        }
    }
}

/// Returns under which address connections are counted together: whoever has one of IPv6 has the 2^64 beside it.
///
/// # Source
/// RFC 4291 section 2.5.4: the last 64 bits name an interface within its subnet.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_every_place_and_a_place_is_free_again() {
        let places = Places::new(2);
        let mut held: Vec<Place> = (0..2).filter_map(|_| places.take(at("192.0.2.1"))).collect();
        assert_eq!(held.len(), 2);
        assert!(places.take(at("192.0.2.1")).is_none());
        assert!(places.take(at("::ffff:192.0.2.1")).is_none(), "the same address, mapped");
        assert!(places.take(at("192.0.2.2")).is_some());
        held.pop();
        assert!(places.take(at("192.0.2.1")).is_some());
        drop(held);
        assert!(places.taken().is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn addresses_of_one_ipv6_subnet_are_counted_together() {
        let places = Places::new(1);
        let _held = places.take(at("2001:db8::1")).unwrap();
        assert!(places.take(at("2001:db8::ffff:1")).is_none());
        assert!(places.take(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let places = Places::new(1);
        let from = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let held: Vec<Place> = (0..CONNECTIONS_MAX).filter_map(|n| places.take(from(n))).collect();
        assert_eq!(held.len(), CONNECTIONS_MAX);
        assert!(places.take(from(CONNECTIONS_MAX)).is_none());
    }

    #[test]
    fn the_log_says_once_a_minute_how_many_were_refused() {
        let (places, start) = (Places::new(1), Instant::now());
        let refused = |seconds| places.refused(start + Duration::from_secs(seconds));
        assert_eq!([refused(0), refused(1), refused(59), refused(60)], [Some(1), None, None, Some(3)]);
    }
}
