//! How the transmitter behaves.

use std::time::Duration;

use control::Fault;

use crate::token::book::invalid;

/// How the transmitter behaves.
#[derive(Clone, Debug)]
pub struct TransmitterSettings {
    /// The `iss` of everything that is sent, and the URL under which receivers reach this server, without a `/` at its
    /// end.
    pub base_url: String,
    /// The least time between two verifications that a receiver asks for, in seconds; 0 to 3,600.
    pub min_verification_s: u64,
    /// How often a stream proves unasked that it works when nothing else is sent, in seconds, at least 10; absent if it
    /// does not.
    pub heartbeat_s: Option<u64>,
    /// After how many seconds without a sign of its receiver a stream is paused, at least 60; absent if it is not.
    pub inactivity_s: Option<u64>,
    /// For how long a poll may wait for an event; at most 60 seconds.
    pub long_poll: Duration,
    /// When a push is tried again.
    pub retry: Retry,
}

/// When a push is tried again that could not be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// After the first failure; each one after waits twice as long.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// After how long without success the stream is paused; what is undelivered is held.
    pub give_up: Duration,
}

impl TransmitterSettings {
    /// A verification every 5 seconds at most, one unasked every 5 minutes, a pause after 7 days of silence; polls wait for
    /// 25 seconds; pushes are tried again after half a second and then ever more seldom, up to every 5 minutes for a day.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        let (first, most) = (Duration::from_millis(500), Duration::from_mins(5));
        Self {
            base_url: base_url.to_owned(),
            min_verification_s: 5,
            heartbeat_s: Some(300),
            inactivity_s: Some(7 * 86_400),
            long_poll: Duration::from_secs(25),
            retry: Retry { first, most, give_up: Duration::from_hours(24) },
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let is_url = secevent::stream::well_known(&self.base_url, "ssf-configuration").is_some();
        if !is_url || self.base_url.ends_with('/') || self.base_url.len() > 512 {
            return Err(invalid(
                "base_url",
                "must be a URL of at most 512 bytes without query, and without `/` at its end",
            ));
        }
        if self.min_verification_s > 3_600 {
            return Err(invalid("min_verification_s", "must be 0 to 3600"));
        }
        if self.heartbeat_s.is_some_and(|every| every < 10) {
            return Err(invalid("heartbeat_s", "must be at least 10, or absent"));
        }
        if self.inactivity_s.is_some_and(|after| after < 60) {
            return Err(invalid("inactivity_s", "must be at least 60, or absent"));
        }
        if self.long_poll > Duration::from_mins(1) {
            return Err(invalid("long_poll", "must be at most 60 seconds"));
        }
        if self.retry.first.is_zero() || self.retry.first > self.retry.most {
            return Err(invalid("retry", "must begin above zero and grow"));
        }
        Ok(())
    }

    /// Returns where a stream is polled.
    pub(super) fn poll_url(&self, stream: &str) -> String {
        format!("{}/ssf/poll/{stream}", self.base_url)
    }
}

impl Retry {
    /// Returns how long to wait after so many failures in a row, of which there is at least one.
    pub(super) fn after(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(24));
        self.first.saturating_mul(doubled).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let retry = TransmitterSettings::new("https://tr.example").retry;
        let waits: Vec<_> = (1..=4).map(|failures| retry.after(failures).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000]);
        assert_eq!(retry.after(u32::MAX), Duration::from_mins(5));
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let good = TransmitterSettings::new("https://tr.example");
        assert!(good.check().is_ok());
        for wrong in [
            TransmitterSettings { base_url: "tr.example".to_owned(), ..good.clone() },
            TransmitterSettings { base_url: "https://tr.example/".to_owned(), ..good.clone() },
            TransmitterSettings { min_verification_s: 3_601, ..good.clone() },
            TransmitterSettings { heartbeat_s: Some(9), ..good.clone() },
            TransmitterSettings { inactivity_s: Some(59), ..good.clone() },
            TransmitterSettings { long_poll: Duration::from_secs(61), ..good.clone() },
            TransmitterSettings { retry: Retry { first: Duration::ZERO, ..good.retry }, ..good.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
