//! How often each channel calls: within its rate, and noted as a sign of life.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use terms::{ChannelId, Moment};

/// How many requests a channel may make in a second, over time.
const RATE: u64 = 100;
/// How many it may make at once.
const BURST: u64 = 5_000;
/// How often a sign of life is noted at most.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// What is known of each channel that called since the start.
#[derive(Debug, Default)]
pub(super) struct Contacts(Mutex<BTreeMap<ChannelId, Contact>>);

#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Requests that it may make now, in thousandths.
    allowance: u64,
    counted_at: Moment,
    noted_at: Option<Moment>,
}

/// What follows from a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contacted {
    /// More than the channel may make.
    TooMany,
    /// One of many.
    Often,
    /// The first for a while: to be noted.
    First,
}

impl Contacts {
    /// Counts a request that the channel authenticated.
    pub(super) fn count(&self, channel: &ChannelId, now: Moment) -> Contacted {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Contact { allowance: BURST * 1000, counted_at: now, noted_at: None };
        let contact = all.entry(channel.clone()).or_insert(new);
        let elapsed = u64::try_from(now.since(contact.counted_at).as_millis()).unwrap_or(u64::MAX);
        let refilled = contact.allowance.saturating_add(elapsed.saturating_mul(RATE));
        contact.allowance = refilled.min(BURST * 1000);
        contact.counted_at = now;
        let Some(left) = contact.allowance.checked_sub(1000) else { return Contacted::TooMany };
        contact.allowance = left;
        let is_due = contact.noted_at.is_none_or(|noted| now.since(noted) >= NOTED_EVERY);
        if is_due {
            contact.noted_at = Some(now);
        }
        if is_due { Contacted::First } else { Contacted::Often }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_held_to_its_rate_and_others_are_not_held_up_by_it() {
        let contacts = Contacts::default();
        let (loud, calm) = (ChannelId::parse("loud").unwrap(), ChannelId::parse("calm").unwrap());
        let now = Moment::from_millis(1_000_000);
        let passed = (0..BURST + 10).filter(|_| contacts.count(&loud, now) != Contacted::TooMany).count();
        assert_eq!(u64::try_from(passed).unwrap(), BURST);
        assert_eq!(contacts.count(&calm, now), Contacted::First);
        assert_eq!(contacts.count(&loud, now.plus(Duration::from_millis(10))), Contacted::Often);
        assert_eq!(contacts.count(&loud, now.plus(Duration::from_millis(10))), Contacted::TooMany);
    }

    #[test]
    fn a_sign_of_life_is_noted_once_a_minute() {
        let contacts = Contacts::default();
        let channel = ChannelId::parse("acme").unwrap();
        let start = Moment::from_millis(1_000_000);
        let count = |seconds: u64| contacts.count(&channel, start.plus(Duration::from_secs(seconds)));
        assert_eq!(
            [count(0), count(59), count(60), count(61)].map(|c| c == Contacted::First),
            [true, false, true, false]
        );
    }
}
